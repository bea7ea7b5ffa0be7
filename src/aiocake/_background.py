"""One-shot tasks that outlive the frame that started them, on asyncio and on trio.

A task group cannot be held open across a ``yield`` or by an iterator: it would wrap the caller's
own exceptions in a group and break cancellation (PEP 789). A :class:`BackgroundTask` can: it is one
native task (an asyncio task, a trio system task) that keeps its result until it is awaited, and
that can be cancelled from anywhere, a finaliser on another thread included.
"""

import asyncio
import contextlib
import contextvars
import sys
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

import anyio
import anyio.lowlevel

T = TypeVar("T")


def clock() -> Callable[[], float]:
    """Return the clock of the event loop that runs here, as ``anyio.current_time`` has it.

    The clock can be read from anywhere, and in a fifth of the time: anyio looks for the loop first.
    """
    if on_trio():
        import trio  # noqa: PLC0415 - only there when it is in use

        return trio.lowlevel.current_clock().current_time
    return asyncio.get_running_loop().time


def soon() -> Callable[[Callable[[], object]], None]:
    """Return what calls a function soon on the event loop that runs here.

    It can be used from any thread, and by a finaliser. It does nothing once the loop has ended.
    """
    if on_trio():
        import trio  # noqa: PLC0415 - only there when it is in use

        token = trio.lowlevel.current_trio_token()

        def soon_on_trio(function: Callable[[], object]) -> None:
            with contextlib.suppress(trio.RunFinishedError):
                token.run_sync_soon(function)

        return soon_on_trio
    loop = asyncio.get_running_loop()

    def soon_on_asyncio(function: Callable[[], object]) -> None:
        with contextlib.suppress(RuntimeError):  # it is closed
            loop.call_soon_threadsafe(function)

    return soon_on_asyncio


async def checkpoint_if_cancelled() -> None:
    """Raise the cancellation that awaits the caller, asyncio's own included; let nobody else run.

    anyio's function of this name does not see that a task has cancelled itself.
    """
    await anyio.lowlevel.checkpoint_if_cancelled()
    if not on_trio():
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            await asyncio.sleep(0)


class BackgroundTaskCancelled(Exception):
    """The background task was cancelled before it had a result."""


class BackgroundTask(Generic[T]):
    """A coroutine that runs in a native task of its own, from now on.

    Args:
        coroutine: What to run.
        eager: True to begin at once, where the event loop can (asyncio since Python 3.12), which
            saves a turn of the loop. Never where a finaliser may call this.

    Attributes:
        done: True if the task has ended, in whatever way.
    """

    __slots__ = ("_cancel", "_ended", "_error", "_value", "done")

    def __init__(self, coroutine: Coroutine[Any, Any, T], *, eager: bool = False) -> None:
        self.done = False
        self._ended: anyio.Event | None = None
        self._value: list[T] = []
        self._error: BaseException | None = None
        self._cancel: Callable[[], None] = _nothing
        start = self._on_trio if on_trio() else self._on_asyncio
        cancel = start(coroutine, eager=eager)
        if not self.done:  # an eager task can have ended by now
            self._cancel = cancel

    async def result(self) -> T:
        """Wait for the task to end; return its value or raise its exception.

        A caller that is cancelled here leaves the task running. A task that was cancelled raises
        :class:`BackgroundTaskCancelled`, which is no cancellation of the caller.
        """
        if not self.done:
            await self._wait()
        if self._error is not None:
            raise self._error
        return self._value[0]

    async def _wait(self) -> None:
        if self._ended is None:
            self._ended = anyio.Event()
        await self._ended.wait()

    def cancel(self) -> None:
        """Cancel the task. Safe from any thread, from a finaliser, and twice.

        It is cancelled once only: a second cancellation would cut off its clean-up.
        """
        cancel, self._cancel = self._cancel, _nothing
        cancel()

    async def aclose(self) -> None:
        """Cancel the task and wait until it has ended; its result is dropped."""
        self.cancel()
        if not self.done:
            await self._wait()

    def _on_asyncio(self, coroutine: Coroutine[Any, Any, T], *, eager: bool) -> Callable[[], None]:
        loop = asyncio.get_running_loop()
        run = self._run(coroutine)
        if eager and sys.version_info >= (3, 12):
            task = asyncio.Task(run, loop=loop, eager_start=True)
            if self.done:
                return _nothing
        else:
            task = loop.create_task(run)
        running = _tasks_of(loop)
        running.add(task)

        def ended(task: asyncio.Task[None]) -> None:
            running.discard(task)
            if not running:
                _running.pop(loop, None)
            if not self.done:  # cancelled before its first step, so that nothing in it ran
                coroutine.close()
                self._end(BackgroundTaskCancelled())

        task.add_done_callback(ended)

        def cancel() -> None:
            if task.done() or loop.is_closed():
                return
            if _running_loop() is loop:
                task.cancel()
            else:
                with contextlib.suppress(RuntimeError):  # closed just now, by its own thread
                    loop.call_soon_threadsafe(task.cancel)

        return cancel

    def _on_trio(self, coroutine: Coroutine[Any, Any, T], *, eager: bool) -> Callable[[], None]:  # noqa: ARG002 - trio has no such tasks
        import trio  # noqa: PLC0415 - only there when it is in use

        scope = trio.CancelScope()
        token = trio.lowlevel.current_trio_token()

        async def run() -> None:
            # An error that comes in one group with a cancellation is left over by the scope; and
            # one that leaves a system task ends the whole run.
            try:
                with contextlib.suppress(Exception), scope:
                    await self._run(coroutine)
            except (SystemExit, KeyboardInterrupt) as error:  # of a callback: to whoever waits
                self._error = error

        try:
            trio.lowlevel.spawn_system_task(run, context=contextvars.copy_context())
        except RuntimeError:  # the run is ending and takes no more tasks
            coroutine.close()
            raise

        def cancel() -> None:
            if on_trio() and trio.lowlevel.current_trio_token() is token:
                scope.cancel()
            else:
                with contextlib.suppress(trio.RunFinishedError):
                    token.run_sync_soon(scope.cancel)

        return cancel

    async def _run(self, coroutine: Coroutine[Any, Any, T]) -> None:
        try:
            self._value.append(await coroutine)
        except Exception as error:  # noqa: BLE001 - kept for result(), whatever it is
            self._end(error)
        except BaseException:
            self._end(BackgroundTaskCancelled())
            raise
        else:
            self._end(None)

    def _end(self, error: BaseException | None) -> None:
        self._error = error
        self._cancel = _nothing  # breaks the cycle of this, task and coroutine
        self.done = True
        if self._ended is not None:
            self._ended.set()


def on_trio() -> bool:
    """Return True in a task of trio. In its guest mode a loop of asyncio runs here as well."""
    trio = sys.modules.get("trio")
    return trio is not None and bool(trio.lowlevel.in_trio_task())


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _nothing() -> None:
    """Do nothing: the task has ended, or was cancelled already."""


def _tasks_of(loop: asyncio.AbstractEventLoop) -> set[asyncio.Task[None]]:
    """Return the set of the tasks that run on a loop, and forget those of closed loops."""
    tasks = _running.get(loop)
    if tasks is None:
        for each in list(_running):
            if each.is_closed():
                _running.pop(each, None)
        tasks = _running[loop] = set()
    return tasks


#: asyncio keeps only weak references to its tasks.
_running: dict[asyncio.AbstractEventLoop, set[asyncio.Task[None]]] = {}
