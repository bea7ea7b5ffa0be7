"""Cancels a call at any of its awaits, and keeps the books on what became of it."""

import asyncio
from collections.abc import Callable, Coroutine, Generator
from contextlib import suppress
from typing import Any

import anyio
import attrs

from aiocake import Client
from aiocake.config import Ledger
from aiocake.errors import Intent, Outcome

from ._cake import Call
from ._canary import told
from ._card import Card, census

__all__ = [
    "Books",
    "cancelled",
    "cancelled_by_scope",
    "cancelled_natively",
    "given_back",
    "until_cancelled",
]


class Interrupted:
    """Runs a coroutine, and calls ``cancel`` when it is about to wait for the n-th time."""

    def __init__(
        self, coroutine: Coroutine[Any, Any, object], waits: range, cancel: Callable[[], object]
    ) -> None:
        self._coroutine = coroutine
        self._waits = waits
        self._cancel = cancel
        self.waited = 0

    def __await__(self) -> Generator[Any, Any, object]:
        send: Callable[[], Any] = lambda: self._coroutine.send(None)  # noqa: E731 - replaced below
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
                send = lambda error=error: self._coroutine.throw(error)  # noqa: E731 - as above
            else:
                send = lambda value=value: self._coroutine.send(value)  # noqa: E731 - as above


@attrs.define
class Books(Ledger):
    """A ledger: what was going to be written, and what became of it."""

    opened: list[Intent] = attrs.field(factory=list)
    closed: list[tuple[str, Outcome]] = attrs.field(factory=list)
    _closing: anyio.Event = attrs.field(factory=anyio.Event)

    async def before(self, intent: Intent) -> None:
        await anyio.lowlevel.checkpoint()
        self.opened.append(intent)

    async def after(self, intent: Intent, outcome: Outcome) -> None:
        await anyio.lowlevel.checkpoint()
        self.closed.append((intent.id, outcome))
        self._closing.set()

    async def settled(self) -> None:
        """Wait until of each call that was opened it is known what became of it.

        A second cancellation on asyncio goes on at once: what becomes of the call comes later.
        """
        with anyio.fail_after(30):
            while len(self.closed) < len(self.opened):
                self._closing = anyio.Event()
                await self._closing.wait()


async def until_cancelled(call: Call, cake: Client) -> None:
    """Make a call for a task group, whatever it gives."""
    await call.make(cake)


async def cancelled(card: Card, call: Call, cake: Client, waits: range, *, natively: bool) -> bool:
    """Whether a call came so far that it was cancelled."""
    found: list[BaseException] = []

    async def watched() -> None:
        try:
            await call.make(cake)
        except BaseException as error:
            found.append(error)
            raise

    if natively:
        task = asyncio.current_task()
        assert task is not None
        run = Interrupted(watched(), waits, task.cancel)
        with suppress(asyncio.CancelledError):
            await run
        while task.cancelling():
            task.uncancel()
    else:
        with anyio.CancelScope() as scope:
            run = Interrupted(watched(), waits, scope.cancel)
            await run
    for error in found:
        card.everything.no_key_in(told(error))
    return run.waited > waits.start


async def cancelled_by_scope(making: Coroutine[Any, Any, object], ticks: int, times: int) -> bool:
    """Whether a call, cancelled after so many turns of the event loop, had not ended by then."""
    ended = False

    async def make() -> None:
        nonlocal ended
        await making
        ended = True

    async with anyio.create_task_group() as group:
        group.start_soon(make)
        for _ in range(ticks):
            await anyio.lowlevel.checkpoint()
        came = not ended
        for _ in range(times):
            group.cancel_scope.cancel()
    return came


async def cancelled_natively(making: Coroutine[Any, Any, object], ticks: int, times: int) -> bool:
    """As :func:`cancelled_by_scope`, by the task's own ``cancel``."""
    task = asyncio.create_task(making)
    for _ in range(ticks):
        await anyio.lowlevel.checkpoint()
    came = not task.done()
    for _ in range(times):
        task.cancel()
        await anyio.lowlevel.checkpoint()
    with suppress(asyncio.CancelledError):
        await task
    return came


async def given_back(before: tuple[int, int]) -> None:
    """See that no more descriptors and tasks are there than before."""
    for _ in range(100):
        if await census() <= before:
            return
    assert await census() <= before
