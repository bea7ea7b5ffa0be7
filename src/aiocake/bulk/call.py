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

from aiocake._normalize import guarded
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
from aiocake.values import ANY, ERASE, Idempotency

P = ParamSpec("P")
T = TypeVar("T")

_HIDDEN: Final = "<hidden>"
_MARKS: Final = {"ERASE": ERASE, "ANY": ANY}


class Instance(Protocol):
    """A client, or a view of one."""

    @property
    def invoices(self) -> Endpoints:
        """Return one of its groups of endpoints."""
        ...


@attrs.frozen(repr=False, hash=False)
class Call(Generic[T]):
    """A write that can be compared, printed, kept as JSON and sent. Made by :func:`call`.

    Two calls are equal when they would set the same: same operation, equal arguments.

    Attributes:
        operation: The operation's name, such as ``"invoices.update"``.
        arguments: Its arguments, by CAKE's names.
    """

    operation: str
    arguments: Mapping[str, object]
    _table: Operation[T] = attrs.field(eq=False)
    _executor: Executor = attrs.field(eq=False)

    @property
    def table(self) -> Operation[T]:
        """Return the operation's table."""
        return self._table

    @property
    def executor(self) -> Executor:
        """Return the executor that carries out the call."""
        return self._executor

    async def send(self, observer: WriteObserver[T] | None = None) -> T:
        """Send the call now, as the method itself does.

        Args:
            observer: Called before the call is sent and after it has ended.

        Raises:
            CakeError: As the method itself does.
        """
        executor = self._executor if observer is None else self._executor.exempt_from_queue_limit
        return await executor.execute(self._table, self.arguments, observer=observer)

    def digest(self) -> bytes:
        """Return 16 bytes that are the same for equal calls."""
        parts = sorted((name, _canonical(value)) for name, value in self.arguments.items())
        text = json.dumps([self.operation, parts])
        return hashlib.blake2b(text.encode(), digest_size=16).digest()

    def mark_digest(self) -> bytes | None:
        """Return 16 bytes that are the same for all calls that mark one bill in the same way.

        A Mark call sets all that its operation sets, the amount among it: of two for one bill the
        second undoes the first, whichever is right. Return None for all other calls.
        """
        table = self._table
        if table.shape is not ResponseShape.MARK:
            return None
        text = json.dumps([self.operation, table.record, self.arguments[table.record]])
        return hashlib.blake2b(text.encode(), digest_size=16).digest()

    def to_json(self) -> str:
        """Return operation and arguments as JSON, with names, notes and amounts."""
        arguments = {name: _to_json(value) for name, value in self.arguments.items()}
        return json.dumps({"operation": self.operation, "arguments": arguments})

    @classmethod
    def from_json(cls, text: str, cake: Instance) -> "Call[Any]":
        """Return the call that :meth:`to_json` wrote, to be sent by a client.

        Raises:
            ArgumentError: The text is not a call, or the call cannot be sent.
        """
        try:
            kept = json.loads(text)
            operation: str = kept["operation"]
            arguments = {name: _from_json(value) for name, value in kept["arguments"].items()}
        except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError):
            raise ArgumentError(Problem("text", "is not a call that to_json() wrote")) from None
        return rebuild(operation, arguments, cake)

    @classmethod
    def of(cls, intent: Intent, cake: Instance) -> "Call[Any]":
        """Return the call of an intent, as ``OutcomeUnknown.intent`` and a ledger have it.

        Raises:
            ArgumentError: The intent has been through a pickle, which hides its texts and amounts.
        """
        lost = [name for name in intent.hidden if intent.arguments.get(name) == _HIDDEN]
        if lost:
            raise ArgumentError(*(Problem(name, "is hidden in a pickled intent") for name in lost))
        return rebuild(intent.operation, intent.arguments, cake)

    def describe(self, *, show_sensitive: bool = False) -> str:
        """Return operation and arguments as one line.

        Args:
            show_sensitive: Show names, notes and amounts, too.
        """
        hidden = frozenset[str]() if show_sensitive else self._table.sensitive
        shown = (
            f"{name}={_HIDDEN if name in hidden else _format(value)}"
            for name, value in self.arguments.items()
        )
        return f"{self.operation}({', '.join(shown)})"

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
    executor = executor_of(group)
    checked = executor.check(table, bound.arguments)
    return Call(table.name, MappingProxyType(checked), table, executor)


def rebuild(operation: str, arguments: Mapping[str, object], cake: Instance) -> Call[Any]:
    """Return the call of an operation by its name.

    Args:
        operation: The operation's name, such as ``"invoices.update"``.
        arguments: By CAKE's names.
        cake: The client that is to send it.

    Raises:
        ArgumentError: The client has no such method, or the arguments cannot be sent.
    """
    group, _, name = operation.partition(".")
    endpoints = getattr(cake, group, None)
    method = getattr(endpoints, name, None) if isinstance(endpoints, Endpoints) else None
    if method is None:
        raise ArgumentError(Problem("operation", f"there is no {operation!a}"))
    try:
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
            Problem("method", "must be a method of a client, such as cake.invoices.update")
        )
    return group, name


@cache
def _signature(method: Callable[..., object]) -> inspect.Signature:
    """Return the signature of a method without ``self``.

    A write takes the arguments of its operation, by their names; nothing else prepares them.
    """
    _, *parameters = inspect.signature(method).parameters.values()
    return inspect.Signature(parameters)


def _canonical(value: object) -> object:
    """Return a value in the one form that all equal values have."""
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        text = format(Decimal(value), "f")
        text = text.rstrip("0").rstrip(".") if "." in text else text
        return "0" if text == "-0" else text
    return _to_json(value.astimezone(UTC) if isinstance(value, datetime) else value)


def _to_json(value: object) -> object:
    if value is ERASE or value is ANY:
        return {"mark": repr(value)}
    if isinstance(value, Decimal):
        return {"decimal": str(value)}
    if isinstance(value, datetime):
        return {"datetime": value.isoformat()}
    if isinstance(value, date):
        return {"date": value.isoformat()}
    return value


def _from_json(value: object) -> object:
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


def tagged(value: object) -> object:
    """Return an argument as JSON has it: what JSON has no type for is tagged with one."""
    return _to_json(value)


def untagged(value: object) -> object:
    """Return the argument that :func:`tagged` wrote.

    Raises:
        ValueError, LookupError, TypeError, ArithmeticError: It did not write this.
    """
    return _from_json(value)


def _format(value: object) -> str:
    return repr(value) if isinstance(value, str | Enum) else str(value)
