"""An Operation describes one call of the API; an Executor carries it out for an endpoint.

An endpoint is one :class:`Operation` and one short method next to each other. The tables here say
everything that codec and transport need to know of a call, so that neither knows any endpoint.
"""

from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from datetime import date
from enum import Enum
from types import TracebackType
from typing import Any, ClassVar, Generic, Protocol, Self, TypeVar

import attrs

from aiocake._messages import SendDeadline
from aiocake._operations.conditions import Comparison, WriteCondition
from aiocake._operations.parameters import Id, Parameter
from aiocake.errors import CakeError, Intent, Problem
from aiocake.events import Event
from aiocake.traits import InstanceTraits
from aiocake.values import Idempotency

T = TypeVar("T")
T_contra = TypeVar("T_contra", contravariant=True)

Rule = Callable[[Mapping[str, object]], Problem | None]
"""A check over several arguments: the problem it finds, or None.

It receives exact built-in values, and another value in place of one that is wrong by itself.
"""


class Api(Enum):
    """Which of CAKE's two faces an operation belongs to."""

    V1 = 1
    V2 = 2


class ResponseShape(Enum):
    """The layout of a response's body, and so how it is read."""

    ONE = "one"
    """One record."""
    ROWS = "rows"
    """All records of a short list, as a tuple."""
    PAGE = "page"
    """A :class:`aiocake.models.Page` of records."""
    FOUND = "found"
    """The record whose id was asked for, in a page."""
    STREAM = "stream"
    """Records as the body arrives."""
    MARK = "mark"
    """A :class:`aiocake.models.MarkResult`."""


@attrs.frozen
class ExistingRecord:
    """A record as a list shows it: enough to tell if a create would duplicate it.

    Attributes:
        id: Its id.
        owner: Whose it is.
        start: The first day of its period; None where the instance does not show it.
        end: The last day, included.
        void: True if it is cancelled.
    """

    id: int
    owner: int
    start: date | None
    end: date | None
    void: bool


@attrs.frozen(kw_only=True)
class CreateLookup:
    """A way to find the record that a create makes: the only way to learn if it was carried out.

    Attributes:
        owner: The name of the argument that says whose the record will be.
        start: The name of the argument with the first day of its period.
        end: The name of the argument with the last day, included.
        id: The name of the field of the response with the id of the new record.
        list_existing: Passes each record of an owner, of all periods, to a function; of all
            owners for None.
        count: Returns how many records all owners have; None if the instance does not say.
    """

    owner: str
    start: str
    end: str
    id: str
    list_existing: Callable[
        ["Executor", int | None, Callable[[ExistingRecord], None]], Awaitable[None]
    ]
    count: Callable[["Executor"], Awaitable[int | None]]


class Compare(Protocol):
    """Compares a record with a write that is to set it."""

    def __call__(
        self,
        record: Any,  # noqa: ANN401 - of the model that the operation of the look returns
        arguments: Mapping[str, object],
        condition: WriteCondition,
        *,
        show_sensitive: bool,
    ) -> Comparison:
        """Return the fields that are not as expected, and whether the write was carried out."""
        ...


@attrs.frozen(kw_only=True, eq=False)
class RecordLook:
    """A way to read the record that a write sets, before it is sent.

    Attributes:
        read: The operation that reads the record, by the argument that the write names it by.
        more: The other arguments of that.
        pages: The operation that reads a page of such records.
        expects: The class of what a caller can expect of a record.
        sensitive: The names of its fields that errors and logs hide.
        compare: Compares a record with a write.
        result: Returns the result of a write that was found to have been carried out.
        number: Returns the id of a record.
        narrow: Returns the filters of ``pages`` by which records are found that are alike.
        sets_status: Returns True for a write that a run looks at even if nothing is expected.
    """

    read: "Operation[Any]"
    more: Mapping[str, object]
    pages: "Operation[Any]"
    expects: type[object]
    sensitive: frozenset[str]
    compare: Compare
    result: Callable[[Any], object]
    number: Callable[[Any], int]
    narrow: Callable[[Sequence[Any]], Mapping[str, object] | None]
    sets_status: Callable[[Mapping[str, object]], bool]


def _record_argument(operation: "Operation[object]") -> str:
    """Return the name of the argument that identifies the record a write sets."""
    if operation.idempotency is Idempotency.SAFE or operation.create_lookup is not None:
        return ""
    needed = (each for each in operation.parameters if isinstance(each, Id) and each.required)
    return next((each.name for each in needed), "")


def _sensitive_arguments(operation: "Operation[object]") -> frozenset[str]:
    return frozenset(each.name for each in operation.parameters if each.sensitive)


@attrs.frozen(kw_only=True, eq=False)
class Operation(Generic[T]):
    """One operation of CAKE's API, whose response is a ``T``.

    Attributes:
        name: The endpoint's name in Python, such as ``"invoices.update"``.
        api: v1 or v2.
        method: Of v2, the HTTP method; v1's depends on the binding.
        path: Of v2 the whole path; of v1 the path of the service
            (``/api/1/accounting.asmx``), to which GET and form append ``/call``.
        call: Of v1, CAKE's name of the operation, such as ``"MarkAffiliateBillAsPaid"``.
        parameters: In the order in which they are sent.
        idempotency: Says if it may be sent again.
        non_idempotent_if: Returns True for arguments with which it must not be sent again.
        shape: The layout of the response.
        element: The name of the record in the response (``"invoice"``); of a list its list's
            (``"invoices"``), whose records are named by ``row`` in XML.
        row: Of v1's lists, the name of one record.
        model: The class of a record.
        echoed: The arguments that the response must repeat unchanged, where it names them: a
            list, in each of its rows.
        rules: Checks over several arguments.
        create_lookup: Of a create: how to find the record that it makes.
        look: Of a call that sets values: how to look at the record before, where that is possible.
        documented_in: The title of CAKE's page.
        record: The name of the argument that says which record a write sets; empty of a create.
        sensitive: The names of the arguments that errors and logs hide.
    """

    name: str
    api: Api
    path: str
    method: str = "GET"
    call: str = ""
    parameters: tuple[Parameter, ...] = ()
    idempotency: Idempotency = Idempotency.SAFE
    non_idempotent_if: Callable[[Mapping[str, object]], bool] | None = None
    shape: ResponseShape
    element: str
    row: str = ""
    model: type[object]
    echoed: tuple[str, ...] = ()
    rules: tuple[Rule, ...] = ()
    create_lookup: CreateLookup | None = None
    look: RecordLook | None = None
    documented_in: str
    record: str = attrs.field(init=False, default=attrs.Factory(_record_argument, takes_self=True))
    sensitive: frozenset[str] = attrs.field(
        init=False, default=attrs.Factory(_sensitive_arguments, takes_self=True)
    )

    def idempotency_of(self, arguments: Mapping[str, object]) -> Idempotency:
        """Return the effect of sending this call again, which its arguments may decide."""
        if self.non_idempotent_if is not None and self.non_idempotent_if(arguments):
            return Idempotency.NON_IDEMPOTENT
        return self.idempotency


class Stream(Protocol[T]):
    """Records as they arrive. Nothing runs any more once ``async with`` is left."""

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
        /,
    ) -> None: ...

    def __aiter__(self) -> Self: ...

    async def __anext__(self) -> T: ...

    async def collect(self) -> list[T]:
        """Read all records into a list. If the response breaks off, the call is sent again."""
        ...

    async def aclose(self) -> None:
        """Stop, and release the connection. Can be called twice."""
        ...


class WriteObserver(Protocol[T_contra]):
    """Is called before one write is sent and after it ended, such as a run's journal."""

    async def before(self, intent: Intent) -> None:
        """Record that the write is about to be sent. If this raises, nothing is sent."""
        ...

    def after(
        self, value: T_contra | None, error: CakeError | None
    ) -> Coroutine[object, None, None] | None:
        """Record that the write has ended.

        Returns:
            A coroutine that is to be awaited without interruption by a cancellation of the caller;
            None if there is nothing to await.
        """
        ...


class ExportedBills(Stream[T], Protocol[T]):
    """The bills of one export, as they arrive.

    ``async with`` sends the call and reads as far as the first bill, so that in its block the
    attributes are known before any bill is; a refused export raises there. Without it, the first
    step of ``async for`` does that.
    """

    @property
    def success(self) -> bool | None:
        """Return CAKE's own flag of success; None until it is read, or where there is none."""
        ...

    @property
    def message(self) -> str:
        """Return CAKE's message beside the bills; mostly an empty text."""
        ...

    @property
    def row_count(self) -> int | None:
        """Return CAKE's count of the bills; None until it is read, or where there is none."""
        ...

    @property
    def rows_read(self) -> int:
        """Return the number of bills read so far."""
        ...

    @property
    def ready(self) -> int:
        """Return the number of bills that have arrived and were not read yet."""
        ...

    @property
    def dropped(self) -> int:
        """Return the number of references dropped so far: to characters that XML cannot hold."""
        ...


class Executor(Protocol):
    """Carries operations out. Endpoints know nothing else of the layers below."""

    @property
    def domain(self) -> str:
        """Return the instance: its host, and its port where that is not the usual one."""
        ...

    @property
    def concurrency(self) -> int:
        """Return how many calls the throttle allows at once; paging prefetches twice as many."""
        ...

    @property
    def traits(self) -> InstanceTraits:
        """Return the known traits of the instance; some may be unknown."""
        ...

    @property
    def for_tests(self) -> bool:
        """Return True for a test: a loopback address, or a transport of the caller's."""
        ...

    @property
    def holds_first_byte(self) -> bool:
        """Return True if a write can be held back right before its first byte leaves.

        It cannot where a transport of the caller's carries requests.
        """
        ...

    @property
    def longest_write(self) -> float:
        """Return the seconds after which a write ends in any case."""
        ...

    @property
    def exempt_from_queue_limit(self) -> "Executor":
        """Return an executor that ignores ``max_waiting``: for later calls of work in progress."""
        ...

    def check(
        self,
        operation: Operation[T],
        arguments: Mapping[str, object],
        condition: WriteCondition | None = None,
    ) -> dict[str, object]:
        """Raise the ArgumentError that :meth:`execute` would raise. Sends nothing.

        Returns:
            The arguments that were given, as exact built-in values.
        """
        ...

    async def execute(  # noqa: PLR0913 - by name
        self,
        operation: Operation[T],
        arguments: Mapping[str, object],
        *,
        condition: WriteCondition | None = None,
        observer: WriteObserver[T] | None = None,
        not_after: SendDeadline | None = None,
        on_response: Callable[[], Awaitable[None]] | None = None,
    ) -> T:
        """Carry out one call, with its retries, before its deadline.

        Args:
            operation: The call.
            arguments: Its arguments.
            condition: Of a write: what its record has to be. It is looked at before the first
                attempt, and again before each further one after one that may have left.
            observer: Of a write: called before it is sent and after it ended. Neither is called
                where the look keeps it from being sent.
            not_after: Of a write: the moment after which no byte of it may leave.
            on_response: Of a read: awaited when the response is here, before it is decoded, so that
                requests which wait for it are sent first.
        """
        ...

    def stream(self, operation: Operation[T], arguments: Mapping[str, object]) -> ExportedBills[T]:
        """Prepare a streamed call. Sends nothing before the first record is requested."""
        ...

    def scrub(self, text: str) -> str:
        """Return a text without the API key, however that is encoded."""
        ...

    def anomaly(self, operation: str, what: str, detail: str = "") -> None:
        """Report to ``on_event`` a list that behaved in an undocumented way."""
        ...

    def emit(self, event: Event) -> None:
        """Pass an event to ``on_event`` that concerns more than one call."""
        ...


class Endpoints:
    """The base of each group of endpoints.

    ``class Invoices(Endpoints, operations=(FIND, GET))`` names the operations that its methods
    carry out, each by the method that is called like it.
    """

    __slots__ = ("_executor",)
    _operations: ClassVar[Mapping[str, Operation[Any]]] = {}

    def __init_subclass__(
        cls, *, operations: Iterable[Operation[Any]] = (), **arguments: object
    ) -> None:
        super().__init_subclass__(**arguments)
        named = {each.name.partition(".")[2]: each for each in operations}
        cls._operations = {**cls._operations, **named}

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    def _call(self, operation: Operation[T], **arguments: object) -> Coroutine[Any, Any, T]:
        return self._executor.execute(operation, arguments)

    def _stream(self, operation: Operation[T], **arguments: object) -> ExportedBills[T]:
        return self._executor.stream(operation, arguments)


def executor_of(group: Endpoints) -> Executor:
    """Return the executor that carries out the calls of a group."""
    return group._executor  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - of this module


def operations_of(group: type[Endpoints]) -> Mapping[str, Operation[Any]]:
    """Return the operations of a group, each by the name of its method."""
    return group._operations  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - of this module
