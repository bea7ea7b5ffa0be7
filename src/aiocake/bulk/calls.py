"""A write as a value: a method of the client and its arguments, checked now and sent later."""

import hashlib
import inspect
import json
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from functools import cache
from types import MappingProxyType
from typing import Any, Final, Generic, NoReturn, ParamSpec, Protocol, TypeVar, cast

import attrs

from aiocake._messages import SendDeadline
from aiocake._normalize import guarded
from aiocake._operations.conditions import WriteCondition
from aiocake._operations.operation import (
    Endpoints,
    Executor,
    Operation,
    ResponseShape,
    WriteObserver,
    executor_of,
    operations_of,
)
from aiocake.errors import ArgumentError, Intent, Problem
from aiocake.models import Expect
from aiocake.values import ANY, ERASE, SKIP, Idempotency, Skip

P = ParamSpec("P")
T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

_HIDDEN: Final = "<hidden>"
_MARKS: Final = {"ERASE": ERASE, "ANY": ANY}


class Instance(Protocol):
    """A client, or a view of one."""

    @property
    def invoices(self) -> Endpoints:
        """Return one of its groups of endpoints."""
        ...


@attrs.frozen(repr=False, hash=False)
class Call(Generic[T_co]):
    """A write that can be compared, printed, kept as JSON and sent. Made by :func:`call`.

    Two calls are equal when they would set the same where the same is expected: same operation,
    equal arguments, equal expectations.

    Attributes:
        operation: The operation's name, such as ``"invoices.update"``.
        arguments: Its arguments, by CAKE's names.
        table: The operation's table.
        executor: The executor that carries out the call.
        expect: What its record has to be for it to be sent; None where nothing was said.
    """

    operation: str
    arguments: Mapping[str, object]
    table: Operation[T_co] = attrs.field(eq=False)
    executor: Executor = attrs.field(eq=False)
    expect: Expect | None = None

    async def send(
        self,
        observer: WriteObserver[T_co] | None = None,
        *,
        condition: WriteCondition | Skip | None = SKIP,
        not_after: SendDeadline | None = None,
    ) -> T_co:
        """Send the call now, as the method itself does.

        Args:
            observer: Called before the call is sent and after it has ended.
            condition: What a run makes of ``expect``, and takes in its place.
            not_after: The moment after which no byte of it may leave.

        Raises:
            CakeError: As the method itself does.
        """
        executor = self.executor if observer is None else self.executor.exempt_from_queue_limit
        if condition is SKIP:
            condition = None if self.expect is None else WriteCondition(self.expect)
        return await executor.execute(
            self.table,
            self.arguments,
            condition=condition,
            observer=observer,
            not_after=not_after,
        )

    def digest(self) -> bytes:
        """Return 16 bytes that are the same for equal calls."""
        parts: list[object] = [self.operation, _in_order(self.arguments)]
        if self.expect is not None:
            parts.append(_in_order(self.expect.stated()))
        return _digest(parts)

    def effect_digest(self) -> bytes:
        """Return 16 bytes that are the same for calls that set the same, whatever they expect."""
        return _digest([self.operation, _in_order(self.arguments)])

    def mark_digest(self) -> bytes | None:
        """Return 16 bytes that are the same for all calls that mark one bill in the same way.

        A Mark call sets all that its operation sets, the amount among it: of two for one bill the
        second undoes the first, whichever is right. Return None for all other calls.
        """
        table = self.table
        if table.shape is not ResponseShape.MARK:
            return None
        return _digest([self.operation, table.record, self.arguments[table.record]])

    def to_json(self) -> str:
        """Return operation, arguments and what is expected as JSON, with notes and amounts."""
        arguments = {name: tagged(value) for name, value in self.arguments.items()}
        kept: dict[str, object] = {"operation": self.operation, "arguments": arguments}
        if self.expect is not None:
            stated = self.expect.stated().items()
            kept["expect"] = {name: tagged(value) for name, value in stated}
        return json.dumps(kept)

    @classmethod
    def from_json(cls, text: str, cake: Instance) -> "Call[Any]":
        """Return the call that :meth:`to_json` wrote, to be sent by a client.

        Args:
            text: The JSON.
            cake: The client, or a view of it.

        Raises:
            ArgumentError: The text is not a call, or the call cannot be sent.
        """
        try:
            kept = json.loads(text)
            operation: str = kept["operation"]
            arguments = {name: untagged(value) for name, value in kept["arguments"].items()}
            stated = {name: untagged(value) for name, value in kept.get("expect", {}).items()}
        except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError):
            raise ArgumentError(Problem("text", "is not a call that to_json() wrote")) from None
        return rebuild(operation, arguments, cake, stated)

    @classmethod
    def of(cls, intent: Intent, cake: Instance) -> "Call[Any]":
        """Return the call of an intent, as ``OutcomeUnknown.intent`` and a ledger have it.

        Args:
            intent: The intent.
            cake: The client that is to send it, or a view of it.

        Raises:
            ArgumentError: The intent has been through a pickle, which hides its texts and amounts.
        """
        passed = {**intent.expect, **intent.arguments}
        lost = [name for name in intent.hidden if passed.get(name) == _HIDDEN]
        if lost:
            raise ArgumentError(*(Problem(name, "is hidden in a pickled intent") for name in lost))
        return rebuild(intent.operation, intent.arguments, cake, intent.expect)

    def describe(self, *, show_sensitive: bool = False) -> str:
        """Return operation, arguments and what is expected as one line.

        Args:
            show_sensitive: Show names, notes and amounts, too.
        """
        hidden = frozenset[str]() if show_sensitive else self.sensitive

        def shown(values: Mapping[str, object]) -> str:
            return ", ".join(
                f"{name}={_HIDDEN if name in hidden else _format(value)}"
                for name, value in values.items()
            )

        expected = "" if self.expect is None else f" if {shown(self.expect.stated())}"
        return f"{self.operation}({shown(self.arguments)}){expected}"

    @property
    def sensitive(self) -> frozenset[str]:
        """Return the names of the arguments and expected fields that errors and logs hide."""
        look = self.table.look
        return self.table.sensitive if look is None else self.table.sensitive | look.sensitive

    def __repr__(self) -> str:
        return f"<Call {self.describe()}>"

    def __hash__(self) -> int:
        return hash((self.operation, frozenset(self.arguments.items())))

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Call cannot be pickled: store it as JSON, by to_json()")


def call(method: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs) -> Call[T]:
    """Return a write of the client as a value. Sends nothing.

    ::

        bulk.call(cake.invoices.update, 4821, invoice_status="approved")

    With ``expect``, it is sent only if the record is as expected then::

        expect = Expect(invoice_status="pending", total_amount=Decimal("1250.00"), currency="USD")
        bulk.call(cake.invoices.update, 4821, invoice_status="approved", expect=expect)

    Args:
        method: A method of a client that writes, such as ``cake.invoices.update``.
        *args: As the method takes them.
        **kwargs: As the method takes them.

    Returns:
        The call.

    Raises:
        TypeError: The method takes no such arguments.
        ArgumentError: ``method`` is not a method of a client, it writes nothing, or an argument
            cannot be sent.
    """
    group, name = guarded("method", lambda: _owner(method))
    # The operation returns what its method does.
    table = cast("Operation[T] | None", operations_of(type(group)).get(name))
    if table is None or table.idempotency is Idempotency.SAFE:
        raise ArgumentError(Problem("method", f"must be a write: {name} only reads"))
    try:
        bound = _signature(getattr(type(group), name)).bind(*args, **kwargs)
    except TypeError as error:
        raise TypeError(f"{table.name}() {error}") from None
    bound.apply_defaults()
    executor, arguments = executor_of(group), dict(bound.arguments)
    expected = arguments.pop("expect", SKIP)
    condition = None if expected is SKIP else WriteCondition(expected)
    checked = executor.check(table, arguments, condition)
    expect = None if expected is SKIP else cast("Expect", expected)
    return Call(table.name, MappingProxyType(checked), table, executor, expect)


def rebuild(
    operation: str,
    arguments: Mapping[str, object],
    cake: Instance,
    expect: Mapping[str, object] = MappingProxyType({}),
) -> Call[Any]:
    """Return the call of an operation by its name.

    Args:
        operation: The operation's name, such as ``"invoices.update"``.
        arguments: By CAKE's names.
        cake: The client that is to send it.
        expect: What is expected of its record, by field.

    Raises:
        ArgumentError: The client has no such method, or the arguments cannot be sent.
    """
    group, _, name = operation.partition(".")
    endpoints = getattr(cake, group, None)
    method = getattr(endpoints, name, None) if isinstance(endpoints, Endpoints) else None
    if method is None:
        raise ArgumentError(Problem("operation", f"there is no {operation!a}"))
    try:
        if expect:
            arguments = {**arguments, "expect": Expect.of(expect)}
        return call(method, **arguments)
    except TypeError as error:
        raise ArgumentError(Problem("arguments", f"do not fit {operation}: {error}")) from None


def _owner(method: object) -> tuple[Endpoints, str]:
    """Return the group of endpoints that a method belongs to, and the method's name."""
    group: object = getattr(method, "__self__", None)
    name: object = getattr(method, "__name__", "_")
    if (
        not isinstance(group, Endpoints)
        or not isinstance(name, str)
        or name.startswith("_")
        or getattr(type(group), name, None) is not getattr(method, "__func__", method)
    ):
        raise ArgumentError(
            Problem(
                "method",
                "must be a method of a client, such as cake.invoices.update (a "
                "blocking client has cake.bulk.call for its own)",
            )
        )
    return group, name


@cache
def _signature(method: Callable[..., object]) -> inspect.Signature:
    """Return the signature of a method without ``self``.

    A write takes the arguments of its operation, by their names; nothing else prepares them.
    """
    _, *parameters = inspect.signature(method).parameters.values()
    return inspect.Signature(parameters)


def _digest(parts: list[object]) -> bytes:
    return hashlib.blake2b(json.dumps(parts).encode(), digest_size=16).digest()


def _in_order(values: Mapping[str, object]) -> list[tuple[str, object]]:
    return sorted([(name, _canonical(value)) for name, value in values.items()])


def _canonical(value: object) -> object:
    """Return a value in the one form that all equal values have."""
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        text = format(Decimal(value), "f")
        text = text.rstrip("0").rstrip(".") if "." in text else text
        return "0" if text == "-0" else text
    return tagged(value.astimezone(UTC) if isinstance(value, datetime) else value)


def tagged(value: object) -> object:
    """Return a value of a call as JSON, tagged with its type where JSON has none."""
    if value is ERASE or value is ANY:
        return {"mark": repr(value)}
    if isinstance(value, Decimal):
        return {"decimal": str(value)}
    if isinstance(value, datetime):
        return {"datetime": value.isoformat()}
    if isinstance(value, date):
        return {"date": value.isoformat()}
    return value


def untagged(value: object) -> object:
    """Return the value that :func:`tagged` wrote.

    Raises:
        ValueError, LookupError, TypeError, ArithmeticError: It did not write this.
    """
    if not isinstance(value, dict):
        return value
    ((tag, text),) = cast("dict[str, str]", value).items()
    readers: dict[str, Callable[[str], object]] = {
        "mark": _MARKS.__getitem__,
        "decimal": Decimal,
        "datetime": datetime.fromisoformat,
        "date": date.fromisoformat,
    }
    return readers[tag](text)


def _format(value: object) -> str:
    if isinstance(value, str):
        return repr(str.__str__(value))  # not as the member of an enum
    return repr(value) if isinstance(value, Enum) else str(value)
