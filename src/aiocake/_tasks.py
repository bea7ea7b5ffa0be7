"""One-shot tasks that outlive the frame which started them, on asyncio and on trio.

A task group cannot be held open across a ``yield`` or by an iterator: it would wrap the caller's
own exceptions in a group and break cancellation (PEP 789). A Job can: it is one native task (an
asyncio task, a trio system task) that keeps its result until it is asked for, and that can be
cancelled from anywhere, a finaliser on another thread included.
"""

import asyncio
import contextvars
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

import anyio
import sniffio

__all__ = ["Job", "JobCancelled", "start"]

T = TypeVar("T")


class Job(Generic[T]):
    """A coroutine that runs in a task of its own. Made by :func:`start`."""

    __slots__ = ("_cancel", "_done", "_error", "_value")

    def __init__(self) -> None:
        self._done = anyio.Event()
        self._value: list[T] = []
        self._error: BaseException | None = None
        self._cancel: Callable[[], None] = _nothing

    @property
    def done(self) -> bool:
        """Whether it has ended, in whatever way."""
        return self._done.is_set()

    async def result(self) -> T:
        """Wait for its end: the value, or its exception raised.

        A caller that is cancelled here leaves the job running. A job that was cancelled raises
        :class:`JobCancelled`, which is no cancellation of the caller.
        """
        await self._done.wait()
        if self._error is not None:
            raise self._error
        return self._value[0]

    def cancel(self) -> None:
        """Ask it to stop. Safe from any thread, from a finaliser, and twice."""
        self._cancel()

    async def aclose(self) -> None:
        """Cancel it and wait until it has ended; its result is dropped."""
        self._cancel()
        await self._done.wait()

    async def _run(self, coroutine: Coroutine[Any, Any, T]) -> None:
        try:
            self._value.append(await coroutine)
        except Exception as error:  # noqa: BLE001 - kept for result(), whatever it is
            self._error = error
        except BaseException:
            self._error = JobCancelled()
            raise
        finally:
            self._end()

    def _end(self) -> None:
        self._cancel = _nothing  # breaks the cycle of job, task and coroutine
        self._done.set()


class JobCancelled(Exception):
    """The job was cancelled before it had a result."""


def start(coroutine: Coroutine[Any, Any, T]) -> Job[T]:
    """Run ``coroutine`` in a native task of its own and return its :class:`Job` at once."""
    job: Job[T] = Job()
    if sniffio.current_async_library() == "trio":
        _start_on_trio(job, coroutine)
    else:
        _start_on_asyncio(job, coroutine)
    return job


def _start_on_asyncio(job: Job[T], coroutine: Coroutine[Any, Any, T]) -> None:
    loop = asyncio.get_running_loop()
    task = loop.create_task(job._run(coroutine))
    _running.add(task)

    def ended(task: asyncio.Task[None]) -> None:
        _running.discard(task)
        if not job.done:  # cancelled before its first step, so that nothing in it ran
            coroutine.close()
            job._error = JobCancelled()
            job._end()

    task.add_done_callback(ended)

    def cancel() -> None:
        if task.done() or loop.is_closed():
            return
        if _running_loop() is loop:
            task.cancel()
        else:
            loop.call_soon_threadsafe(task.cancel)

    job._cancel = cancel


def _start_on_trio(job: Job[T], coroutine: Coroutine[Any, Any, T]) -> None:
    import trio  # only there when it is in use

    scope = trio.CancelScope()

    async def run() -> None:
        with scope:
            await job._run(coroutine)

    trio.lowlevel.spawn_system_task(run, context=contextvars.copy_context())
    token = trio.lowlevel.current_trio_token()

    def cancel() -> None:
        if job.done:
            return
        try:
            inside = trio.lowlevel.current_trio_token() is token
        except RuntimeError:
            inside = False
        if inside:
            scope.cancel()
        else:
            try:
                token.run_sync_soon(scope.cancel)
            except trio.RunFinishedError:
                return

    job._cancel = cancel


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _nothing() -> None:
    """A job that has not begun has nothing to cancel."""


#: asyncio keeps only weak references to its tasks.
_running: set[asyncio.Task[None]] = set()
