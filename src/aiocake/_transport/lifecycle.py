"""To which event loop a client belongs, what it has under way, and how that comes to an end."""

import asyncio
import math
import os
from collections.abc import Callable, Generator
from contextlib import contextmanager

import anyio

from aiocake._background import clock
from aiocake.errors import ClosedError, WrongLoopError


class Lifecycle:
    """From the first call of a client, which binds it to a loop and a process, to its closing."""

    def __init__(self) -> None:
        self._home: tuple[int, object] | None = None
        self._scopes: set[anyio.CancelScope] = set()
        self._holds = 0
        self._idle: anyio.Event | None = None
        #: Whether it was ended.
        self.closed: bool = False
        #: The clock of the event loop, once that is known.
        self.clock: Callable[[], float] = anyio.current_time

    def check_usable(self) -> None:
        """Refuse a call where the client cannot make one.

        Raises:
            ClosedError: The client is closed.
            WrongLoopError: It belongs to another event loop or process.
        """
        self.check_home()
        if self.closed:
            raise ClosedError("the client is closed")

    def check_home(self) -> None:
        """See that this is the loop and the process of the first call.

        Raises:
            WrongLoopError: It is not.
        """
        process = os.getpid()
        # First: asyncio says that none of its loops runs in a process that was forked off within.
        if self._home is not None and self._home[0] != process:
            raise WrongLoopError("the client was made in another process: make one after the fork")
        loop = _running_loop()
        if self._home is None:
            self._home = process, loop
            self.clock = clock()
        elif self._home[1] is not loop:
            raise WrongLoopError("the client belongs to another event loop: make one for each loop")

    def open_scope(self, deadline: float = math.inf) -> anyio.CancelScope:
        """Return a scope that is cancelled at a deadline, or by :meth:`end`, before or later.

        Whoever has left the scope calls :meth:`close_scope`, in any case.
        """
        scope = anyio.CancelScope(deadline=deadline)
        if self.closed:
            scope.cancel()
        self._scopes.add(scope)
        return scope

    def close_scope(self, scope: anyio.CancelScope) -> None:
        """Forget a scope that was left."""
        self._scopes.discard(scope)
        self._look()

    def hold(self) -> None:
        """Have :meth:`end` wait until :meth:`release`."""
        self._holds += 1

    def release(self) -> None:
        """Take one :meth:`hold` back."""
        self._holds -= 1
        self._look()

    @contextmanager
    def pending(self) -> Generator[None]:
        """Have :meth:`end` wait for what is done within, and not cancel it."""
        self.hold()
        try:
            yield
        finally:
            self.release()

    async def end(self) -> None:
        """Cancel what is under way, and wait until it has ended."""
        self.closed = True
        for scope in tuple(self._scopes):
            scope.cancel()
        while self._scopes or self._holds:
            if self._idle is None or self._idle.is_set():
                self._idle = anyio.Event()  # one for all who wait
            await self._idle.wait()

    def _look(self) -> None:
        if self._idle is not None and not self._scopes and not self._holds:
            self._idle.set()


def _running_loop() -> object:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        import trio  # noqa: PLC0415 - only there when it is in use

        return trio.lowlevel.current_trio_token()
