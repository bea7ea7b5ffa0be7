"""Report the outcome of each write of a command, with a ledger of the client."""

import asyncio
import signal
import sys
from collections import Counter
from collections.abc import Callable, Coroutine, Generator
from contextlib import contextmanager
from typing import Any, Final, Generic, TypeVar

from aiocake import CakeError, CreatedInvoice
from aiocake.bulk import Call
from aiocake.cli.errors import begin_line, print_error
from aiocake.cli.signals import React, reacting
from aiocake.cli.terminal import is_terminal
from aiocake.cli.text import money
from aiocake.errors import Intent, Outcome

T = TypeVar("T")

#: Seconds that a write which has left is given when it is interrupted.
GRACE: Final = 5.0

_OUTCOME_TEXTS: Final = {
    Outcome.DONE: "done",
    Outcome.NOT_DONE: "not done",
    Outcome.UNKNOWN: "outcome unknown",
}


class Writes:
    """A ledger that holds the outcome of each write."""

    def __init__(self) -> None:
        self._intents: dict[str, Intent] = {}
        self._outcomes: dict[str, Outcome] = {}
        self._made: dict[str, str] = {}

    async def before(self, intent: Intent) -> None:
        """Take the intent of a write before it is sent."""
        self._intents[intent.id] = intent

    async def after(self, intent: Intent, outcome: Outcome) -> None:
        """Take the outcome of a write."""
        self._outcomes[intent.id] = outcome

    @property
    def open(self) -> list[str]:
        """Return the operations that have begun and not ended, each once."""
        begun = (
            intent.operation
            for number, intent in self._intents.items()
            if number not in self._outcomes
        )
        return list(dict.fromkeys(begun))

    def __str__(self) -> str:
        """Return the outcomes as the rest of a sentence; empty if nothing was written."""
        outcomes = Counter(map(self._describe, self._intents.values()))
        return "".join(
            f"; {f'{count} ' if count > 1 else ''}{text}" for text, count in outcomes.items()
        )

    def _describe(self, intent: Intent) -> str:
        outcome = self._outcomes.get(intent.id, Outcome.UNKNOWN)
        made = self._made.get(intent.id)
        return f"{intent.operation}: {_OUTCOME_TEXTS[outcome]}{f': {made}' if made else ''}"

    async def send(self, call: Call[T]) -> T:
        """Send a write, and keep its result, which a cancelled caller does not get."""
        return await call.send(_Result(self._keep))

    def _keep(self, intent: str, value: object) -> None:
        if isinstance(value, CreatedInvoice):
            amount = money(value.total_amount, value.currency)
            self._made[intent] = f"invoice {value.invoice_id}, {amount}"

    @contextmanager
    def explained(self, give_up: Callable[[], Coroutine[Any, Any, None]]) -> Generator[None]:
        """Explain on a signal what is being waited for, while a write is in flight.

        To be entered on the event loop, whose own reaction follows the first time.

        Args:
            give_up: Ends the waiting. It follows Ctrl-C again: an exception raised from there
                would come out of whichever task happens to run.
        """
        loop = asyncio.get_running_loop()
        ends: list[asyncio.Task[None]] = []
        explained = False

        def react(number: int, again: bool, then: React) -> None:  # noqa: FBT001 - as all of them
            nonlocal explained
            if explained and self.open:
                # Only people insist: timeout(1), for one, sends SIGTERM twice.
                if number == signal.SIGINT:
                    loop.call_soon_threadsafe(lambda: ends.append(loop.create_task(give_up())))
                return
            if self.open:
                explained = True
                # Not from here: a signal can come in the middle of another line.
                loop.call_soon_threadsafe(_explain, number, self.open)
            then(number, again)

        with reacting(react):
            yield


def _explain(number: int, operations: list[str]) -> None:
    again = "; Ctrl-C again ends it at once" if number == signal.SIGINT else ""
    if number == signal.SIGINT or is_terminal(sys.stderr):
        begin_line()  # behind ^C, or a bar
    print_error(f"waiting up to {GRACE:g} s for the result of {', '.join(operations)}{again}")


class _Result(Generic[T]):
    """Stores the result of a write, even if its caller was cancelled before it got it."""

    def __init__(self, keep: Callable[[str, object], object]) -> None:
        self._keep = keep
        self._intent = ""

    async def before(self, intent: Intent) -> None:
        """Take the intent of the write before it is sent."""
        self._intent = intent.id

    def after(self, value: T | None, error: CakeError | None) -> None:
        """Keep the result of the write."""
        if error is None:
            self._keep(self._intent, value)
