"""Cancels a call at any of its awaits, and keeps the books on what became of it."""

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

import anyio
import attrs

from aiocake import Client
from aiocake.config import Ledger
from aiocake.errors import Intent, Outcome

from ..support.interrupted import interrupted
from ._cake import Call
from ._canary import reported
from ._card import Card, census

__all__ = [
    "Books",
    "cancelled",
    "cancelled_by_scope",
    "cancelled_natively",
    "given_back",
    "until_cancelled",
]


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

    came = await interrupted(watched(), waits, natively=natively)
    for error in found:
        card.everything.no_key_in(reported(error))
    return came


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
