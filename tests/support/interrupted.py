"""Cancels a coroutine at any of its awaits, by scope or natively."""

import asyncio
from collections.abc import Callable, Coroutine, Generator
from contextlib import suppress
from functools import partial
from typing import Any

import anyio

__all__ = ["interrupted"]


async def interrupted(
    coroutine: Coroutine[Any, Any, object], waits: range, *, natively: bool
) -> bool:
    """Run a coroutine, cancelled at some of its waits.

    Args:
        coroutine: What to run.
        waits: At which of its waits it is cancelled, counted from 0.
        natively: Whether asyncio's own cancellation is used, and not a scope's.

    Returns:
        Whether it came so far that it was cancelled.
    """
    if natively:
        task = asyncio.current_task()
        assert task is not None
        run = _Interrupted(coroutine, waits, task.cancel)
        with suppress(asyncio.CancelledError):
            await run
        while task.cancelling():
            task.uncancel()
    else:
        scope = anyio.CancelScope()
        run = _Interrupted(coroutine, waits, scope.cancel)
        with scope:
            await run
    return run.waited > waits.start


class _Interrupted:
    """Runs a coroutine, and calls ``cancel`` each time that it is about to wait, from the first
    to the last of these waits."""

    def __init__(
        self, coroutine: Coroutine[Any, Any, object], waits: range, cancel: Callable[[], object]
    ) -> None:
        self._coroutine = coroutine
        self._waits = waits
        self._cancel = cancel
        #: How often it waited.
        self.waited = 0

    def __await__(self) -> Generator[Any, Any, object]:
        send: Callable[[], Any] = partial(self._coroutine.send, None)
        while True:
            try:
                wait = send()
            except StopIteration as stop:
                return stop.value
            if self.waited in self._waits:
                self._cancel()
            self.waited += 1
            try:
                value = yield wait
            except BaseException as error:  # noqa: BLE001 - handed on, whatever it is
                send = partial(self._coroutine.throw, error)
            else:
                send = partial(self._coroutine.send, value)
