"""What becomes of each write of a run, told by a ledger of the client."""

import asyncio
import signal
from collections import Counter
from collections.abc import Callable, Coroutine, Generator
from contextlib import contextmanager
from decimal import Decimal
from enum import StrEnum
from types import FrameType
from typing import Any, Final

import typer

from aiocake.errors import Intent, Outcome
from aiocake.values import ERASE

__all__ = ["GRACE", "Rehearsal", "Writes"]

#: Seconds that a write which has left is given when it is interrupted.
GRACE: Final = 5.0

#: What a question says by itself.
_SAID: Final = frozenset({"apply_credit_to_buyer", "bill_id", "invoice_id"})

_FATES: Final = {
    Outcome.DONE: "done",
    Outcome.NOT_DONE: "not done",
    Outcome.UNKNOWN: "unknown whether it was done",
}


class Writes:
    """A ledger that holds the fate of each write."""

    def __init__(self) -> None:
        self._intents: dict[str, Intent] = {}
        self._outcomes: dict[str, Outcome] = {}

    async def before(self, intent: Intent) -> None:
        """A write is going to leave."""
        self._intents[intent.id] = intent

    async def after(self, intent: Intent, outcome: Outcome) -> None:
        """A write has ended."""
        self._outcomes[intent.id] = outcome

    @property
    def open(self) -> list[str]:
        """The operations that have begun and not ended, each once."""
        begun = (
            intent.operation
            for number, intent in self._intents.items()
            if number not in self._outcomes
        )
        return list(dict.fromkeys(begun))

    def __str__(self) -> str:
        """The fates, as the rest of a sentence: empty when nothing was written."""
        fates = Counter(
            (intent.operation, self._outcomes.get(number, Outcome.UNKNOWN))
            for number, intent in self._intents.items()
        )
        return "".join(
            f"; {f'{count} ' if count > 1 else ''}{operation}: {_FATES[outcome]}"
            for (operation, outcome), count in fates.items()
        )

    @contextmanager
    def explained(self, give_up: Callable[[], Coroutine[Any, Any, None]]) -> Generator[None]:
        """While a write is on its way, say on Ctrl-C what is waited for.

        To be entered on the event loop, whose own reaction to Ctrl-C follows the first time.

        Args:
            give_up: Ends the waiting. It follows the second time: an exception raised from there
                would come out of whichever task happens to run.
        """
        react = signal.getsignal(signal.SIGINT)
        if not callable(react):  # it is ignored, as under nohup
            yield
            return
        loop = asyncio.get_running_loop()
        ends: list[asyncio.Task[None]] = []
        explained = False

        def explain(number: int, frame: FrameType | None) -> None:
            nonlocal explained
            if explained and self.open:
                loop.call_soon_threadsafe(lambda: ends.append(loop.create_task(give_up())))
                return
            if self.open:
                explained = True
                typer.echo(
                    f"\naiocake: waiting up to {GRACE:g} s for what becomes of "
                    f"{', '.join(self.open)}; Ctrl-C again ends it at once",
                    err=True,
                )
            react(number, frame)

        signal.signal(signal.SIGINT, explain)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, react)


class Rehearsal:
    """A ledger that lets no write leave: all but the sending has been done when it is told."""

    def __init__(self) -> None:
        self._set: list[str] = []

    async def before(self, intent: Intent) -> None:
        """Hold a write back: it ends in NotSent."""
        self._set += [
            f"{name.replace('_', ' ')} {_in_words(value)}"
            for name, value in intent.arguments.items()
            if name not in _SAID
        ]
        raise _HeldBack

    async def after(self, intent: Intent, outcome: Outcome) -> None:
        """A write that was held back has ended."""

    def __str__(self) -> str:
        """What the write sets, as the rest of a question."""
        return f": {', '.join(self._set)}" if self._set else ""


def _in_words(value: object) -> str:
    match value:
        case _ if value is ERASE:
            return "erased"
        case Decimal():
            return format(value, "f")
        case StrEnum():
            return value
        case str():
            return f'"{value}"'
        case _:
            return str(value)


class _HeldBack(Exception):
    """A rehearsal goes no further."""
