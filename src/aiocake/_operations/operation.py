"""What an endpoint is made of: an Operation constant, and the Executor that carries it out.

An endpoint is one :class:`Operation` and one short method next to each other. The tables here say
everything that codec and transport need to know of a call, so that neither knows any endpoint.
"""

from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from datetime import date
from enum import Enum
from types import TracebackType
from typing import Any, ClassVar, Generic, Protocol, Self, TypeVar

import attrs

from aiocake._operations.arguments import without_skipped
from aiocake._operations.parameters import Parameter, ParameterKind
from aiocake.errors import CakeError, Intent, Problem
from aiocake.events import Event
from aiocake.values import Idempotency

T = TypeVar("T")
T_contra = TypeVar("T_contra", contravariant=True)

Rule = Callable[[Mapping[str, object]], Problem | None]
"""A check over several arguments: the problem it finds, or None.

It is given exact built-in values, and something else in place of what is wrong by itself.
"""


class Api(Enum):
    """Which of CAKE's two faces an operation belongs to."""

    V1 = 1
    V2 = 2


class ResponseShape(Enum):
    """What an answer holds, and so how it is read."""

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
    """A record as a list shows it: as much as tells whether a create would double it.

    Attributes:
        id: Its id.
        owner: Whose it is.
        start: The first day of its period; None where the instance does not show it.
        end: The last day, included.
        void: Whether it is cancelled.
    """

    id: int
    owner: int
    start: date | None
    end: date | None
    void: bool


@attrs.frozen(kw_only=True)
class CreateLookup:
    """What a create makes, and how a list shows it: the only way to find out whether it did.

    Attributes:
        owner: The name of the argument that says whose the record will be.
        start: The name of the argument with the first day of its period.
        end: The same of the last day, included.
        id: The name of what in the answer is the id of the new record.
        visit: Shows each record of an owner, of all periods, to a function; of all owners for
            None.
        total: How many records of all owners there are; None when the instance does not say.
    """

    owner: str
    start: str
    end: str
    id: str
    list_existing: Callable[
        ["Executor", int | None, Callable[[ExistingRecord], None]], Awaitable[None]
    ]
    count: Callable[["Executor"], Awaitable[int | None]]


class UpdateState(Enum):
    """How a record stands to a write that was to set it."""

    APPLIED = "there"
    """It is as the write would leave it."""
    NOT_APPLIED = "before"
    """The write was not carried out, and can be sent (again)."""
    INDETERMINATE = "open"
    """Nothing shows whether the write was carried out; it can be sent (again)."""
    SUPERSEDED = "beyond"
    """Somebody has set it to something that the write would undo."""


def _record_argument(operation: "Operation[object]") -> str:
    """Which argument says what record a write sets: the id that it needs."""
    if operation.idempotency is Idempotency.SAFE or operation.create_lookup is not None:
        return ""
    needed = (
        each for each in operation.parameters if each.kind is ParameterKind.ID and each.required
    )
    return next((each.name for each in needed), "")


@attrs.frozen(kw_only=True, eq=False)
class Operation(Generic[T]):
    """One operation of CAKE's API, and what it answers: a ``T``.

    Attributes:
        name: The endpoint's name in Python, such as ``"invoices.update"``.
        api: v1 or v2.
        method: Of v2, the HTTP method; v1's depends on the binding.
        path: Of v2 the whole path; of v1 the path of the service
            (``/api/1/accounting.asmx``), to which GET and form append ``/call``.
        call: Of v1, CAKE's name of the operation, such as ``"MarkAffiliateBillAsPaid"``.
        parameters: In the order in which they are sent.
        idempotency: What sending it again does.
        once_if: Makes a call that sets values one that must not be repeated, by its arguments.
        shape: What the answer holds.
        element: The name of the record in the answer (``"invoice"``); of a list its list's
            (``"invoices"``), whose records are named by ``row`` in XML.
        row: Of v1's lists, the name of one record.
        model: The class of a record.
        echoed: The arguments that the answer must give back unchanged, where it names them: a
            list, in each of its rows.
        rules: Checks over several arguments.
        creates: Of a create: what it makes.
        standing: Of a call that sets values: how what it sets stands now, where that can be read.
        page: Where CAKE documents it.
        record: The name of the argument that says which record a write sets; empty of a create.
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
    state_after: Callable[["Executor", Mapping[str, object]], Awaitable[UpdateState]] | None = None
    documented_in: str
    record: str = attrs.field(init=False, default=attrs.Factory(_record_argument, takes_self=True))

    def idempotency_of(self, arguments: Mapping[str, object]) -> Idempotency:
        """What sending this call again does, by its arguments."""
        if self.non_idempotent_if is not None and self.non_idempotent_if(arguments):
            return Idempotency.NON_IDEMPOTENT
        return self.idempotency

    def sensitive(self) -> frozenset[str]:
        """The names of the arguments that errors and logs hide."""
        return frozenset(parameter.name for parameter in self.parameters if parameter.sensitive)


class Stream(Protocol[T]):
    """Records as they arrive. Leaving ``async with`` leaves nothing running."""

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
        """All records, as a list. Where the answer breaks off, it is asked for again."""
        ...

    async def aclose(self) -> None:
        """Stop and give everything back. Can be called twice."""
        ...


class WriteObserver(Protocol[T_contra]):
    """Is told of one write before it leaves, and of its end whatever that is: a run's journal."""

    async def before(self, intent: Intent) -> None:
        """The write is going to be sent. If this raises, nothing is sent."""
        ...

    def after(
        self, value: T_contra | None, error: CakeError | None
    ) -> Coroutine[object, None, None] | None:
        """The write has ended.

        Returns:
            What is left to be awaited, which no cancellation of the caller interrupts; None where
            nothing is.
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
        """Whether CAKE says that the export succeeded; None while it is not known, or not said."""
        ...

    @property
    def message(self) -> str:
        """What CAKE says beside the bills; mostly nothing."""
        ...

    @property
    def row_count(self) -> int | None:
        """How many bills CAKE says there are; None while it is not known, or not said."""
        ...

    @property
    def rows_read(self) -> int:
        """How many bills were given so far."""
        ...

    @property
    def dropped(self) -> int:
        """How many references to characters that XML cannot hold were left out so far."""
        ...


class Executor(Protocol):
    """What carries operations out. Endpoints know nothing else of the layers below."""

    @property
    def domain(self) -> str:
        """The instance: host, and port where it is not usual."""
        ...

    @property
    def concurrency(self) -> int:
        """How many calls the throttle lets out at once: paging reads twice as far ahead."""
        ...

    @property
    def for_tests(self) -> bool:
        """Whether it is taken for a test: a loopback address, or a transport of the caller's."""
        ...

    @property
    def exempt_from_queue_limit(self) -> "Executor":
        """The same for the later calls of what has begun: a full queue turns none of them away."""
        ...

    def check(self, operation: Operation[T], arguments: Mapping[str, object]) -> dict[str, object]:
        """Refuse with an ArgumentError what :meth:`execute` would not send. Sends nothing.

        Returns:
            The arguments that were given, as exact built-in values.
        """
        ...

    async def execute(
        self,
        operation: Operation[T],
        arguments: Mapping[str, object],
        *,
        observer: WriteObserver[T] | None = None,
        on_response: Callable[[], None] | None = None,
    ) -> T:
        """Carry one call out, with its retries, inside its deadline.

        Args:
            operation: The call.
            arguments: Its arguments.
            observer: Of a write: is told before it leaves and after it ended.
            on_response: Of a read: is told when it was answered, before the answer is decoded. What
                that lets go on is sent first.
        """
        ...

    def stream(self, operation: Operation[T], arguments: Mapping[str, object]) -> ExportedBills[T]:
        """Begin a streamed call: nothing is sent before the first record is asked for."""
        ...

    def scrub(self, text: str) -> str:
        """A text without the key, in whatever disguise."""
        ...

    def anomaly(self, operation: str, what: str, detail: str = "") -> None:
        """Tell ``on_event`` of a list that behaved in an unpromised way."""
        ...

    def emit(self, event: Event) -> None:
        """Tell ``on_event`` of what happened to more than one call."""
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

    async def _call(self, operation: Operation[T], **arguments: object) -> T:
        return await self._executor.execute(operation, without_skipped(arguments))

    def _stream(self, operation: Operation[T], **arguments: object) -> ExportedBills[T]:
        return self._executor.stream(operation, without_skipped(arguments))


def executor_of(group: Endpoints) -> Executor:
    """Return the executor that carries out the calls of a group."""
    return group._executor  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - of this module


def operations_of(group: type[Endpoints]) -> Mapping[str, Operation[Any]]:
    """Return the operations of a group, each by the name of its method."""
    return group._operations  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - of this module
