"""The thread of a blocking client: the event loop of the asynchronous client behind it.

It starts with the first call and ends with the client. Nothing is shared between clients.
"""

import asyncio
import inspect
import os
import threading
import warnings
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from typing import Final, ParamSpec, TypeVar

import attrs

from aiocake.blocking.posted import PostedFunctions
from aiocake.blocking.waited_call import CLOSED, WaitedCall
from aiocake.client import Client
from aiocake.errors import ClosedError, WrongLoopError

P = ParamSpec("P")
T = TypeVar("T")

_FORKED: Final = (
    "the client was used before a fork, which does not copy its thread: make one in each process"
)
_OWN_THREAD: Final = (
    "the client's own thread cannot wait for a call of the client: on_event, and what run() is "
    "given, are called there"
)

#: Seconds that calls have to end after the client was closed; what waits for something else, as a
#: function given to run() may, is cancelled then.
_LAST: Final = 1.0


@attrs.frozen(eq=False)
class _Loop:
    """The event loop of a running thread: what is posted to it, and what ends both."""

    posted: PostedFunctions
    stop: asyncio.Event


class ClientThread:
    """Makes the calls of one client, each for a thread that waits.

    Args:
        client: The asynchronous client. It is not used elsewhere.

    Attributes:
        closed: True once the client is closed.
    """

    def __init__(self, client: Client) -> None:
        self.closed: bool = False
        self._client = client
        self._thread: threading.Thread | None = None
        self._running: Future[_Loop] = Future()
        self._loop: _Loop | None = None
        #: That of the thread.
        self._process = os.getpid()
        # Reentrant: a finaliser or a signal handler can come in the middle of anything.
        self._lock = threading.RLock()

    def run(self, function: Callable[P, Awaitable[T]], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Call an asynchronous function on the thread, and return what it returns.

        Raises:
            ClosedError: The client is closed, or was meanwhile.
            WrongLoopError: The client was used before a fork, or this is its own thread.
            BaseException: What the function raises; or what interrupts the waiting, such as
                KeyboardInterrupt, once the call was cancelled and has ended: its notes tell what
                became of each write.
        """
        self._start()
        return WaitedCall(partial(function, *args, **kwargs)).wait(self._post, self._is_alive)

    def call(self, function: Callable[[], T]) -> T:
        """Call a plain function on the thread, and return what it returns.

        Raises:
            ClosedError: The client is closed.
            WrongLoopError: The client was used before a fork.
        """
        if threading.current_thread() is self._thread:
            return function()

        async def call() -> T:
            return function()

        return self.run(call)

    def soon(self, function: Callable[[], Awaitable[object]]) -> None:
        """Call an asynchronous function on the thread, without waiting. A finaliser may do this."""
        if self._process == os.getpid():
            self._post(WaitedCall(function).begin)

    def close(self) -> None:
        """Close the client: its calls end in errors, and so does its thread. Can be called twice.

        In the middle of a call, as in a ledger or a signal handler, it does not wait for the end.

        Raises:
            WrongLoopError: This is the client's own thread.
        """
        if self._thread is not None and self._process != os.getpid():
            return  # the parent's, which goes on with it
        if not self.closed:
            with suppress(ClosedError):  # another thread was quicker
                self._start()  # even if there was no call: only there it can be closed
            self._stop()
        if self._thread is not None:
            if threading.current_thread() is self._thread:
                raise WrongLoopError(_OWN_THREAD)
            if not self._is_called():
                self._thread.join()

    def _is_called(self) -> bool:
        """Return True in the middle of a call of this thread, whose end would wait for this one.

        The caller's ledger is there, and a signal handler may be. The frames tell it: a counter
        could be left wrong by an interruption.
        """
        frame = inspect.currentframe()
        while frame is not None:
            if frame.f_code is ClientThread.run.__code__ and frame.f_locals["self"] is self:
                return True
            frame = frame.f_back
        return False

    def _start(self) -> None:
        """Start the thread, unless it runs."""
        thread = self._thread
        if thread is not None and self._process != os.getpid():
            raise WrongLoopError(_FORKED)
        if thread is not None and threading.current_thread() is thread:
            raise WrongLoopError(_OWN_THREAD)
        if self._loop is not None and not self.closed:
            return
        with self._lock:
            if self.closed:
                raise ClosedError(CLOSED)
            if self._thread is None:
                self._process = os.getpid()
                try:
                    # A daemon: the interpreter waits for others before it drops the client.
                    self._thread = threading.Thread(
                        target=_serve,
                        args=(self._client, self._running, self._lock),
                        name="aiocake",
                        daemon=True,
                    )
                    self._thread.start()
                except BaseException:  # there are too many; or an interruption, before it began
                    if self._running.cancel():
                        self._thread, self._running = None, Future()
                    raise
        self._loop = self._running.result()

    def _is_alive(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def _post(self, function: Callable[[], object]) -> bool:
        """Run a function on the thread soon; return False if the client is closed."""
        with self._lock:
            loop = self._loop
            # The loop refuses if it has ended by itself: a callback has raised SystemExit there.
            return loop is not None and not self.closed and loop.posted.post(function)

    def _stop(self) -> None:
        with self._lock:
            self.closed = True  # what was posted before is begun before the loop ends
            self._running.add_done_callback(partial(_stop, self._lock))

    def __repr__(self) -> str:
        return repr(self._client)

    def __del__(self) -> None:
        if self._thread is not None and not self.closed and self._process == os.getpid():
            warnings.warn(f"unclosed {self!r}", ResourceWarning, stacklevel=2, source=self)
            self._stop()


def _stop(lock: "threading.RLock", running: "Future[_Loop]") -> None:
    if not running.cancelled() and running.exception() is None:
        with lock:
            loop = running.result()
            loop.posted.post(loop.stop.set)


def _serve(client: Client, running: "Future[_Loop]", lock: "threading.RLock") -> None:
    """Run an event loop until it is stopped, then close the client. It must not hold its thread."""

    async def serve() -> None:
        stop = asyncio.Event()
        posted = PostedFunctions(asyncio.get_running_loop())
        running.set_result(_Loop(posted, stop))
        try:
            await stop.wait()
            await client.aclose()
            # Each call gets its error now, which tells what became of a write: to cancel it with
            # the loop would lose that.
            if others := asyncio.all_tasks() - {asyncio.current_task()}:
                await asyncio.wait(others, timeout=_LAST)
        finally:
            with lock:
                posted.close()

    if not running.set_running_or_notify_cancel():
        return
    try:
        # Not asyncio.run(): in notebooks, nest_asyncio replaces it by one that leaves loops open.
        with asyncio.Runner() as runner:
            runner.run(serve())
    except (KeyboardInterrupt, SystemExit):
        pass  # of a callback: it ends the loop, and its call has raised it to whoever waited
    except BaseException as error:
        if running.done():
            raise
        running.set_exception(error)
