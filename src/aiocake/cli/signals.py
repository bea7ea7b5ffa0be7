"""Handle Ctrl-C, SIGTERM and SIGHUP: the first ends the work in order, a second one at once.

A signal that is ignored, as SIGHUP is under nohup, stays ignored; one that the program around the
command has taken for itself stays with that program.
"""

import asyncio
import signal
import threading
from collections.abc import Awaitable, Callable, Generator, Mapping
from contextlib import contextmanager
from functools import partial
from types import FrameType
from typing import Any, Final, TypeVar

import anyio

T = TypeVar("T")

#: Is called with a signal, and whether one has come before.
React = Callable[[int, bool], object]
_Handler = Callable[[int, FrameType | None], Any] | int | None

#: Those that this system has: Windows has no SIGHUP.
SIGNALS: Final = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)


class Interrupted(KeyboardInterrupt):
    """A signal asks the command to end.

    Attributes:
        number: The signal.
        note: The outcome of the command's work, as the rest of a sentence.
        code: The exit code, as shells have it.
    """

    def __init__(self, number: int = signal.SIGINT, note: str = "") -> None:
        super().__init__(number, note)
        self.number = number
        self.code: int = 128 + number
        self.note = note

    def __str__(self) -> str:
        return f"interrupted{self.note}"


class _Reaction:
    """A handler for signals.

    Args:
        react: Is called with the signal, and whether one has come before.
        came: The signals that have come, of all handlers.
    """

    def __init__(self, react: React, came: list[int]) -> None:
        self.react = react
        self.came = came

    def __call__(self, number: int, frame: FrameType | None = None) -> None:
        del frame
        self.came.append(number)
        self.react(number, len(self.came) > 1)


@contextmanager
def raising() -> Generator[None]:
    """Raise :class:`Interrupted` on each signal, until the block is left."""
    free = (signal.SIG_DFL, signal.default_int_handler)
    taken = {number: was for number in SIGNALS if (was := signal.getsignal(number)) in free}
    if threading.current_thread() is not threading.main_thread():  # Python lets no other do this
        taken = {}
    came: list[int] = []
    with _restored(taken):
        for number in taken:
            signal.signal(number, _Reaction(_raise, came))
        yield


@contextmanager
def reacting(react: Callable[[int, bool, React], object]) -> Generator[None]:
    """React differently to the signals that :func:`raising` has taken, until the block is left.

    Args:
        react: Is called with the signal, whether one has come before, and the earlier reaction.
    """
    before = {
        number: was for number in SIGNALS if isinstance(was := signal.getsignal(number), _Reaction)
    }
    with _restored(before):
        for number, was in before.items():
            inner = partial(_react, react, was.react)
            signal.signal(number, _Reaction(inner, was.came))
        yield


def run(work: Callable[[], Awaitable[T]]) -> T:
    """Run work on an event loop. A signal cancels it; a second one ends it at once.

    Raises:
        Interrupted: A signal has ended it.
    """
    came: list[int] = []

    async def main() -> T:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None  # noqa: S101 - this is one

        def react(number: int, again: bool, _: React) -> None:  # noqa: FBT001 - as all of them
            if again:
                raise Interrupted(came[0] if came else number)
            came.append(number)
            # A loop that waits for the network is woken up by this.
            loop.call_soon_threadsafe(task.cancel)

        with reacting(react):
            return await work()

    try:
        return anyio.run(main)
    except asyncio.CancelledError:
        if not came:
            raise
        raise Interrupted(came[0]) from None


def _raise(number: int, again: bool) -> None:  # noqa: FBT001 - as all of them
    # Only people insist: timeout(1) sends SIGTERM twice, a terminal that goes can send two SIGHUPs.
    if number == signal.SIGINT or not again:
        raise Interrupted(number)


def _react(
    react: Callable[[int, bool, React], object],
    before: React,
    number: int,
    again: bool,  # noqa: FBT001 - as all of them
) -> None:
    react(number, again, before)


@contextmanager
def _restored(handlers: Mapping[int, _Handler]) -> Generator[None]:
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
