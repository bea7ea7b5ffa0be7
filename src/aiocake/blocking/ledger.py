"""The ledger of the client behind a blocking one: counts writes and passes them on."""

from typing import Protocol, cast

from aiocake.blocking.waited_call import ask, tally
from aiocake.config import Ledger as AsyncLedger
from aiocake.errors import Intent, Outcome


class Ledger(Protocol):
    """Records each write before it is sent and after it ended.

    The functions are called on the thread that makes the call, so that they can use the connection
    that this thread has to a database. A ledger of the asynchronous client is one, too.
    """

    def before(self, intent: Intent) -> object:
        """Record a write that is about to be sent. If this raises, nothing is sent.

        Args:
            intent: The write, with an id.
        """
        ...

    def after(self, intent: Intent, outcome: Outcome) -> object:
        """Record how the write ended that ``before`` was called with, by ``intent.id``.

        Args:
            intent: The write.
            outcome: Whether it was carried out.
        """
        ...


class CountingLedger:
    """Counts the writes of each call, and tells the user's ledger of them.

    Args:
        ledger: The user's; None for none.
    """

    def __init__(self, ledger: Ledger | None) -> None:
        self._ledger = ledger

    async def before(self, intent: Intent) -> None:
        """Take the intent of a write before it is sent."""
        writes = tally()
        writes.begun(intent)
        if self._ledger is not None:
            try:
                await ask(self._ledger.before, intent)
            except Exception:
                writes.ended(intent, Outcome.NOT_DONE)  # it is not sent, and after() not called
                raise

    async def after(self, intent: Intent, outcome: Outcome) -> None:
        """Take the outcome of a write."""
        tally().ended(intent, outcome)
        if self._ledger is not None:
            await ask(self._ledger.after, intent, outcome)


def counted(ledger: Ledger | None) -> AsyncLedger:
    """Return a ledger for the asynchronous client; what is no ledger is refused there."""
    functions = [getattr(ledger, each, None) for each in ("before", "after")]
    if ledger is None or all(map(callable, functions)):
        return CountingLedger(ledger)
    return cast("AsyncLedger", ledger)
