"""A call that runs on the client's thread while another thread waits for it.

The thread that waits is not idle: what the user gave to the call (callbacks, a plan to read, a
ledger) runs there and not on the client's thread. A connection to a database belongs to one thread,
and code that blocks must not keep the event loop from its other calls.

A thread that is interrupted, mostly by Ctrl-C, does not leave its call behind: it cancels it, and
waits until a write that has left has had its grace and its outcome is recorded. The error says what
became of each write.
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from contextvars import ContextVar
from functools import partial
from inspect import isawaitable
from queue import Empty, SimpleQueue
from typing import Any, Final, Generic, TypeVar, cast, final

from aiocake.blocking.writes import WriteTally
from aiocake.errors import ClosedError

T = TypeVar("T")
V = TypeVar("V")

#: Runs a function on the client's thread soon; returns False if the client is closed.
Post = Callable[[Callable[[], object]], bool]

CLOSED: Final = "the client is closed: make a new one, for example by Client.from_env()"
#: Seconds after which a waiting thread looks if it was interrupted. A signal wakes it by itself,
#: but not one between its last instruction and the wait, and none on Windows.
_LOOK_EVERY: Final = 0.2


class CallerLeftError(RuntimeError):
    """The thread that waited for the call was interrupted twice, and has left."""


@final
class WaitedCall(Generic[T]):
    """A call, between the client's thread and the one that waits for it.

    Args:
        function: Makes the call.

    Attributes:
        writes: What it has written so far.
    """

    def __init__(self, function: Callable[[], Awaitable[T]]) -> None:
        self.writes: WriteTally = WriteTally()
        self._function: Callable[[], Awaitable[T]] | None = function
        self._task: asyncio.Task[None] | None = None
        self._value: list[T] = []
        self._error: BaseException | None = None
        #: What the waiting thread is to run; None once the call has ended.
        self._inbox: SimpleQueue[Callable[[], object] | None] = SimpleQueue()
        #: What the client's thread waits for.
        self._questions: set[_Question[Any]] = set()
        self._interrupted = False
        self._left = False

    # On the client's thread.

    def begin(self) -> None:
        """Start the call."""
        function, self._function = self._function, None
        assert function is not None  # noqa: S101 - it is begun once
        _waited_call.set(self)
        call, loop = self._make(function), asyncio.get_running_loop()
        if sys.version_info >= (3, 12):
            # A turn of the loop less: each is a system call.
            task = asyncio.Task(call, loop=loop, eager_start=True)
        else:
            task = loop.create_task(call)
            task.add_done_callback(self._end)  # it may be cancelled before its first step
        if not task.done():
            self._task = task

    async def _make(self, function: Callable[[], Awaitable[T]]) -> None:
        try:
            self._value.append(await function())
        except Exception as error:  # noqa: BLE001 - it is raised where the call is waited for
            self._error = error
        except BaseException:
            task = asyncio.current_task()
            assert task is not None  # noqa: S101 - this is one
            task.add_done_callback(self._end)
            raise
        self._end()

    def _end(self, task: asyncio.Task[None] | None = None) -> None:
        # What the call has opened keeps its context, and this in it: nothing else, then.
        self._task = None
        if task is not None and not task.cancelled():
            self._error = task.exception() or self._error
        self._inbox.put(None)

    def cancel(self) -> None:
        """Cancel the call, which ends once its writes have."""
        # What the thread had taken when it was interrupted, it has not run: it is given once more.
        for question in self._questions:
            self._inbox.put(question.run)
        if self._task is None:
            self._inbox.put(None)
        else:
            self._task.cancel()

    def leave(self) -> None:
        """Leave the questions unanswered: nobody waits for the call any more."""
        self._left = True
        for question in self._questions:
            question.answer(None, _left())

    async def ask(self, function: Callable[[], V]) -> V:
        """Run a function on the thread that waits, and return what it returns."""
        if self._left:
            raise _left()
        question = _Question(function)
        self._questions.add(question)
        self._inbox.put(question.run)
        try:
            return await question.wait()
        finally:
            self._questions.discard(question)

    def notify(self, function: Callable[[], object]) -> None:
        """Run a function on the thread that waits, and go on; an error of it ends the call."""
        self._inbox.put(lambda: None if self._interrupted else function())

    # On the thread that waits.

    def wait(self, post: Post, alive: Callable[[], bool]) -> T:
        """Make the call, wait until it has ended, and return its value.

        Args:
            post: Runs a function on the client's thread soon.
            alive: Returns False once that thread has ended, and nothing runs there any more.

        Raises:
            ClosedError: The client is closed, or was meanwhile.
            BaseException: The error of the call; or what interrupted the thread, with a note for
                what became of each write.
        """
        try:
            if not post(self.begin):
                self._error = ClosedError(CLOSED)
            else:
                self._serve(alive)
                if self._error is None and not self._value:
                    self._error = ClosedError("the client was closed during the call")
                    self._tell_writes(self._error)
        except BaseException as interrupt:
            self._give_up(interrupt, post, alive)
            raise
        # Nothing is called from here on: Python would raise an interruption there, and not tell
        # what became of the writes.
        self._left = True
        error, self._error = self._error, None
        values, self._value = self._value, []
        try:
            if error is not None:
                raise error
        finally:
            del error  # it holds this frame
        return values[0]

    def _serve(self, alive: Callable[[], bool]) -> None:
        """Run what the call asks for, until it has ended."""
        while True:
            try:
                job = self._inbox.get(timeout=_LOOK_EVERY)
            except Empty:
                if not alive() and self._inbox.empty():
                    return
                continue
            if job is None:
                return
            job()

    def _give_up(self, interrupt: BaseException, post: Post, alive: Callable[[], bool]) -> None:
        """Cancel the call and wait for its end, unless there is an interruption again."""
        self._interrupted = True
        try:
            # After begin(), if that was posted: the order is kept.
            post(self.cancel)
            self._serve(alive)
        except BaseException as again:
            post(self.leave)
            self._explain(again)
            raise
        self._explain(interrupt)

    def _explain(self, interrupt: BaseException) -> None:
        self._tell_writes(interrupt)
        if self._error is not None:
            interrupt.add_note(f"the interrupted call ended in {self._error!r}")

    def _tell_writes(self, error: BaseException) -> None:
        for line in self.writes.lines():
            error.add_note(line)


class _Question(Generic[V]):
    """A function that the waiting thread is to run; the client's thread waits for its value."""

    def __init__(self, function: Callable[[], V]) -> None:
        self._function = function
        self._begun = False
        self._loop = asyncio.get_running_loop()
        self._answer: asyncio.Future[tuple[V | None, BaseException | None]]
        self._answer = self._loop.create_future()

    def run(self) -> None:
        """Run the function, unless it was begun: on the waiting thread."""
        if self._begun:
            return
        value: V | None = None
        error: BaseException | None = None
        try:
            self._begun = True
            value = self._function()
        except Exception as raised:  # noqa: BLE001 - it is the call's, which raises it there
            error = raised
        except BaseException:
            error = CallerLeftError("the thread of the call was interrupted")
            raise
        finally:
            with suppress(RuntimeError):  # the loop was closed with the client
                self._loop.call_soon_threadsafe(self.answer, value, error)

    def answer(self, value: V | None, error: BaseException | None) -> None:
        """Take the response: on the client's thread."""
        if not self._answer.done():
            self._answer.set_result((value, error))

    async def wait(self) -> V:
        """Return what the function returned, or raise what it raised."""
        value, error = await self._answer
        if error is not None:
            raise error
        return cast("V", value)


def _left() -> CallerLeftError:
    return CallerLeftError("the thread of the call has left")


#: The call that the code of the client's thread is part of; tasks of the call inherit it.
_waited_call: ContextVar[WaitedCall[Any] | None] = ContextVar("waited_call", default=None)


def tally() -> WriteTally:
    """Return the tally of the call that this code is part of; a new one if there is none."""
    call = _waited_call.get()
    return WriteTally() if call is None else call.writes


async def ask(function: Callable[..., V], *arguments: object) -> V:
    """Run a function on the thread that waits for the call that this code is part of.

    If it returns an awaitable, as an asynchronous callback does, that is awaited here.
    """
    call, asked = _waited_call.get(), partial(function, *arguments)
    answer = asked() if call is None else await call.ask(asked)
    return cast("V", await answer) if isawaitable(answer) else answer


def notify(function: Callable[..., object], *arguments: object) -> None:
    """Run a function on that thread, and go on; an error of it ends the call."""
    call, notification = _waited_call.get(), partial(function, *arguments)
    if call is None:
        notification()
    else:
        call.notify(notification)
