"""To which event loop a client belongs, what it has under way, and how that comes to an end."""

import asyncio
import math
import os
from collections.abc import Callable, Generator
from contextlib import contextmanager

import anyio

from aiocake._background import clock, on_trio
from aiocake.errors import ClosedError, WrongLoopError

#: Stands for this process: to ask for its number is a call of the system.
_process = object()


def _after_fork() -> None:
    global _process  # noqa: PLW0603 - one for all clients
    _process = object()


if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(after_in_child=_after_fork)


class Lifecycle:
    """From the first call of a client, which binds it to a loop and a process, to its closing.

    Args:
        what: What it is the lifecycle of, for errors.
    """

    def __init__(self, what: str = "client") -> None:
        self._what = what
        self._home: tuple[object, object] | None = None
        #: Each with what says that it holds a write which has left.
        self._scopes: dict[anyio.CancelScope, Callable[[], bool]] = {}
        #: Of the writes that are under way: whether they have left.
        self._writes: set[Callable[[], bool]] = set()
        self._holds = 0
        self._changed: anyio.Event | None = None
        #: Whether it was ended.
        self.closed: bool = False
        #: The clock of the event loop, once that is known.
        self.clock: Callable[[], float] = anyio.current_time

    def check_usable(self, *, even_closed: bool = False) -> None:
        """Raise if the client cannot be used here and now. The first check binds it to its loop.

        Args:
            even_closed: True where it may be closed.

        Raises:
            ClosedError: The client is closed.
            WrongLoopError: It belongs to another event loop or process.
        """
        # First: asyncio says that none of its loops runs in a process that was forked off within.
        if self._home is not None and self._home[0] is not _process:
            raise WrongLoopError(
                f"the {self._what} was made in another process: make one after the fork"
            )
        if on_trio():
            import trio  # noqa: PLC0415 - only there when it is in use

            loop: object = trio.lowlevel.current_trio_token()
        else:
            loop = asyncio.get_running_loop()
        if self._home is None:
            self._home = _process, loop
            self.clock = clock()
        elif self._home[1] is not loop:
            raise WrongLoopError(
                f"the {self._what} belongs to another event loop: make one for each loop"
            )
        if self.closed and not even_closed:
            raise ClosedError(f"the {self._what} is closed")

    def open_scope(
        self, deadline: float = math.inf, has_left: Callable[[], bool] = bool
    ) -> anyio.CancelScope:
        """Return a scope that is cancelled at a deadline, or by :meth:`end`, before or later.

        Whoever has left the scope calls :meth:`close_scope`, in any case.

        Args:
            deadline: When, on the event loop's clock.
            has_left: Whether it holds a write that has left: :meth:`finish_writes` spares it.
        """
        scope = anyio.CancelScope(deadline=deadline)
        if self.closed:
            scope.cancel()
        self._scopes[scope] = has_left
        return scope

    def close_scope(self, scope: anyio.CancelScope) -> None:
        """Forget a scope that was left."""
        del self._scopes[scope]
        if self._changed is not None:
            self._changed.set()

    def hold(self) -> None:
        """Make :meth:`end` wait until :meth:`release`."""
        self._holds += 1

    def release(self) -> None:
        """Undo one :meth:`hold`."""
        self._holds -= 1
        if self._changed is not None:
            self._changed.set()

    @contextmanager
    def pending(self) -> Generator[None]:
        """Make :meth:`end` wait for the block instead of cancelling it."""
        self.hold()
        try:
            yield
        finally:
            self.release()

    def begin_write(self, has_left: Callable[[], bool]) -> None:
        """Make :meth:`finish_writes` wait for a sent write, until :meth:`end_write`."""
        self._writes.add(has_left)

    def end_write(self, has_left: Callable[[], bool]) -> None:
        """Undo :meth:`begin_write`."""
        self._writes.discard(has_left)
        if self._changed is not None:
            self._changed.set()

    async def finish_writes(self, seconds: float) -> None:
        """Refuse new calls, cancel what can be cancelled, and give sent writes some time."""
        self.closed = True
        for scope, has_left in tuple(self._scopes.items()):
            if not (seconds and has_left()):
                scope.cancel()
        with anyio.move_on_after(seconds):
            while any(has_left() for has_left in self._writes):
                await self._change()

    async def end(self) -> None:
        """Cancel what is under way, and wait until it has ended."""
        self.closed = True
        for scope in tuple(self._scopes):
            scope.cancel()
        while self._scopes or self._holds:
            await self._change()

    async def _change(self) -> None:
        if self._changed is None or self._changed.is_set():
            self._changed = anyio.Event()  # one for all who wait
        await self._changed.wait()
