"""Convert the arguments of a blocking client to those of the functions of :mod:`aiocake.bulk`.

Plans and callbacks run on the thread that makes the call, see
:mod:`aiocake.blocking.waited_call`.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable
from typing import Any, Final, Generic, TypeVar, cast

from aiocake._operations.operation import Endpoints
from aiocake.blocking.thread import ClientThread
from aiocake.blocking.waited_call import ask, notify
from aiocake.bulk import Call
from aiocake.errors import ArgumentError, Problem

T = TypeVar("T")
V = TypeVar("V")
G = TypeVar("G", bound=Endpoints)

_END: Final = object()


class Group(Generic[G]):
    """The base of each group of endpoints.

    Args:
        thread: The client's thread.
        group: The group of the asynchronous client.
    """

    __slots__ = ("_group", "_thread")

    def __init__(self, thread: ClientThread, group: G) -> None:
        self._thread = thread
        self._group = group


def _parts(group: Group[G]) -> tuple[G, ClientThread]:
    return group._group, group._thread  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - for this


def method_of(thread: ClientThread, method: Callable[..., T]) -> Callable[..., Awaitable[T]]:
    """Return the method of the asynchronous client that a method of a blocking one calls.

    What is no method of a client is returned as it is, for :func:`aiocake.bulk.call` to refuse.

    Args:
        thread: That of the client whose run it is for. A call is sent by the client that it was
            made by, so one of another client could go to another instance.
        method: The method.

    Raises:
        ArgumentError: It is that of another client.
    """
    owner: object = getattr(method, "__self__", None)
    if isinstance(owner, Group):
        group, mine = _parts(cast("Group[Endpoints]", owner))
        if mine is thread:
            return cast("Callable[..., Awaitable[T]]", getattr(group, method.__name__))
    if isinstance(owner, Group | Endpoints):
        raise ArgumentError(Problem("method", "must be one of this client: another would send it"))
    return cast("Callable[..., Awaitable[T]]", method)


def read(calls: Iterable[Call[T]]) -> Iterable[Call[T]] | AsyncIterator[Call[T]]:
    """Return calls that are read on the thread of the user, as far as reading runs any code."""
    if isinstance(calls, Collection) or not isinstance(calls, Iterable):  # pyright: ignore[reportUnnecessaryIsInstance] - callers err
        return calls
    return _read(calls)


async def _read(calls: Iterable[Call[T]]) -> AsyncIterator[Call[T]]:
    iterator = await ask(iter, calls)
    try:
        while (call := await ask(next, iterator, _END)) is not _END:
            yield cast("Call[T]", call)
    finally:
        close = getattr(iterator, "close", None)
        if close is not None:
            await ask(close)


def made(plan: Callable[[], Iterable[Call[Any]]]) -> Callable[[], Awaitable[Any]]:
    """Return a function that makes a plan, and reads it, on the thread of the user."""
    if not callable(plan):  # pyright: ignore[reportUnnecessaryComparison] - callers err
        return plan

    async def make() -> Any:  # noqa: ANN401 - what a run takes
        return read(await ask(plan))

    return make


def asked(function: Callable[[V], object] | None) -> Callable[[V], Awaitable[None]] | None:
    """Return a callback that is called on the thread of the user, and waited for."""
    if not callable(function):
        return function

    async def call(value: V) -> None:
        await ask(function, value)

    return call


def notifier(function: Callable[[V], object] | None) -> Callable[[V], None] | None:
    """Return a callback that is called on the thread of the user; the run goes on meanwhile."""
    return (lambda value: notify(function, value)) if callable(function) else function
