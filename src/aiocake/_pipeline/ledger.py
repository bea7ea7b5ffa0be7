"""The record of a write: before it leaves, and after it ended, in a ledger and for an observer.

A write that the ledger does not take is not sent; and no cancellation of the caller comes between
the end of a write and its record.
"""

import logging
import os
from typing import Any, Final, cast

import anyio

from aiocake import _clock
from aiocake._background import BackgroundTask
from aiocake._operations.operation import WriteObserver
from aiocake._pipeline.call_state import CallState
from aiocake.config import Ledger
from aiocake.errors import CakeError, Intent, NotSent, Outcome

_log: Final = logging.getLogger("aiocake")
#: The arguments of ``client.request()`` that errors and logs hide.
_RAW_HIDDEN: Final = frozenset({"params", "json"})


class WriteRecorder:
    """Records the writes of one client.

    Args:
        ledger: The user's; None for none.
        show_sensitive: Whether the log may show what an error of the ledger says.

    Attributes:
        unknowns: How many writes so far have an unknown outcome.
    """

    def __init__(self, ledger: Ledger | None, *, show_sensitive: bool) -> None:
        self._ledger = ledger
        self._show_sensitive = show_sensitive
        self.unknowns = 0

    async def before(self, call: CallState, intent: Intent) -> None:
        """Record a write that is going to be sent.

        Raises:
            NotSent: The ledger does not take it, or the observer does not.
        """
        ledger, observer = self._ledger, call.observer
        begun = False
        try:
            if ledger is not None:
                begun = True
                await ledger.before(intent)
            if observer is not None:
                await observer.before(intent)
        except Exception as error:
            refused = NotSent(f"the ledger refused the write: {type(error).__name__}")
            refused.outcome = Outcome.NOT_DONE
            refused.operation = intent.operation
            if begun and observer is not None:
                await self.after(call, None, refused, observed=False)
            raise refused from error
        except BaseException:  # cancelled: the intent may stand in the ledger already
            if begun:
                await self.after(call, None, _cancelled(intent), observed=False)
            raise
        call.recorded = True

    async def after(
        self, call: CallState, value: object, failure: CakeError | None, *, observed: bool = True
    ) -> None:
        """Record how a write ended: its value, or the error that the call ends in."""
        observer = call.observer if observed else None
        outcome = Outcome.DONE if failure is None else failure.outcome or Outcome.UNKNOWN
        if outcome is Outcome.UNKNOWN:
            self.unknowns += 1
        if self._ledger is None:
            recording = None if observer is None else observer.after(value, failure)
        else:
            intent = cast("Intent", call.intent)
            recording = self._record(self._ledger, intent, outcome, value, failure, observer)
        if recording is None:
            return
        # In a task of its own: asyncio's own cancellation breaks through shields.
        recorded = BackgroundTask(recording)
        with anyio.CancelScope(shield=True):
            await recorded.result()

    async def _record(  # noqa: PLR0913, PLR0917 - all that there is to record
        self,
        ledger: Ledger,
        intent: Intent,
        outcome: Outcome,
        value: object,
        failure: CakeError | None,
        observer: WriteObserver[Any] | None,
    ) -> None:
        try:
            await ledger.after(intent, outcome)
        # Raised, it would read as if the write were not done.
        except Exception as error:  # noqa: BLE001 - it is the user's
            # Its text may hold what was to be noted: names, notes and amounts.
            _log.error(
                "the ledger failed to take the outcome of %s %s, which is %s: %s",
                intent.operation,
                intent.id,
                outcome,
                type(error).__name__,
                exc_info=error if self._show_sensitive else None,
            )
        recording = None if observer is None else observer.after(value, failure)
        if recording is not None:
            await recording


def _cancelled(intent: Intent) -> NotSent:
    error = NotSent("nothing was sent: the caller was cancelled")
    error.outcome = Outcome.NOT_DONE
    error.operation = intent.operation
    return error


def intent_of(call: CallState, *, show_sensitive: bool) -> Intent:
    """Return the intent of a write, with a new id.

    Args:
        call: The call.
        show_sensitive: Whether errors and logs may show names, notes and amounts.
    """
    operation, condition = call.operation, call.condition
    expect = None if condition is None else condition.expect
    stated = {} if expect is None else expect.stated()
    hidden = _RAW_HIDDEN if operation is None else operation.sensitive
    if condition is not None and operation is not None and operation.look is not None:
        hidden |= operation.look.sensitive
    if show_sensitive:
        hidden = frozenset[str]()
    return Intent(_new_id(), call.name, dict(call.arguments), _clock.now(), 0, hidden, stated)


def _new_id() -> str:
    """Return a random UUID (RFC 9562 section 5.4), as ``uuid4()`` does in twice the time."""
    digits = os.urandom(16).hex()
    variant = "89ab"[int(digits[16], 16) & 3]
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"
