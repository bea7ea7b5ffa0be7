"""The look at a record: right before a write with a condition is sent, with the slot of that write.

A record is read by itself, or seen in a page of a list that serves the other calls of a run, too
(:mod:`aiocake._operations.recent_rows`). What is not as expected ends the call, unless an attempt
before may have made it so.
"""

from collections.abc import Mapping
from typing import Any, Final, Protocol, cast

from aiocake._listener import EventEmitter
from aiocake._operations.conditions import Comparison, WriteCondition
from aiocake._operations.operation import Operation, RecordLook
from aiocake._operations.recent_rows import Lead, RecentRows
from aiocake._pipeline.call_state import CallState, Turn
from aiocake._pipeline.ledger import WriteRecorder
from aiocake._pipeline.retry import SUCCEEDED, AttemptOutcome
from aiocake._transport import Refusal, RequestLimiter
from aiocake.errors import CakeError, Conflict, FoundInvoice, NotSent
from aiocake.events import Waited

#: Seconds that a write waits for the rate after a look, at most: a longer wait makes that old.
_LONGEST_FOLLOW: Final = 4.0


class ReadWith(Protocol):
    """Makes a read with the slot of a write; gives the slot back to that if it succeeds."""

    async def __call__(  # noqa: PLR0913 - a read within a write
        self,
        call: CallState,
        operation: Operation[Any],
        arguments: Mapping[str, object],
        turn: Turn,
        leads: Lead | None,
        *,
        again: bool = False,
    ) -> tuple[Any, CakeError | None]: ...


class RecordLooks:
    """Looks at the records of one client's writes.

    Args:
        limiter: Gives a write its further turn, after a look.
        recorder: Records a write once its record was seen.
        emitter: Takes the events.
        show_sensitive: Whether a conflict may show amounts.
    """

    def __init__(
        self,
        limiter: RequestLimiter,
        recorder: WriteRecorder,
        emitter: EventEmitter,
        *,
        show_sensitive: bool,
    ) -> None:
        self._limiter = limiter
        self._recorder = recorder
        self._emitter = emitter
        self._show_sensitive = show_sensitive

    async def see(
        self, call: CallState, condition: WriteCondition, turn: Turn, read: ReadWith
    ) -> AttemptOutcome | Refusal | NotSent | None:
        """Check that a record is as its write expects, by a look of the last seconds.

        A look that is missing or too old is made with the slot that the write has got, so that
        a waiting call never has to begin anew. Ledger and observer record the write only when it is
        going to be sent.

        Args:
            call: The write.
            condition: What it expects of its record.
            turn: The slot that it has got.
            read: Makes a read with that.

        Returns:
            How the call ends without a further attempt, or why it has no further turn, the slot
            given back; None where the write is to be sent now.
        """
        call.looking = True
        if call.maybe_done:
            condition.forget()
        ended: AttemptOutcome | Refusal | NotSent | None = None
        ready = False
        try:
            while ended is None and not condition.is_fresh(call.now()):
                failure = await self._look(call, condition, turn, read)
                if failure is None:
                    ended = self._compare(call, condition)
                else:
                    ended = AttemptOutcome(call.looked(failure))
                ended = ended or await self._turn_again(call, turn)
                if ended is None and not call.recorded and call.intent is not None:
                    try:
                        await self._recorder.before(call, call.intent)
                    except NotSent as refused:
                        ended = refused
            ready = ended is None
        finally:
            if not ready and turn.slot is not None:
                self._limiter.release(turn.slot)
        return ended

    async def _look(
        self, call: CallState, condition: WriteCondition, turn: Turn, read: ReadWith
    ) -> CakeError | None:
        """Read the record of a write: from a page that shows many, or by itself.

        Returns:
            What kept it from being seen.
        """
        look, number = look_of(call), record_of(call)
        # What an attempt may have changed is read by itself: no page is as new.
        rows = None if call.attempts or condition.in_doubt else condition.rows
        leads = None
        if rows is not None:
            await rows.wait_for_look(number, call.now)
            if self._is_listed(call, condition, rows):
                return None
            asked, leads = rows.next_page(call.now()), rows.begin()
            if asked is not None:
                at = call.now()
                page, failure = await read(call, look.pages, asked, turn, leads)
                if failure is not None:
                    rows.failed()
                else:
                    rows.add(asked, page.items, page.total_rows, at)
                    if self._is_listed(call, condition, rows):
                        return None
                if (refusal := await self._turn_again(call, turn)) is not None:
                    return refusal.error()
        wanted = {**look.more, cast("Operation[Any]", call.operation).record: number}
        record, failure = await read(call, look.read, wanted, turn, leads, again=True)
        if failure is None:
            condition.saw(record, turn.asked_at, call.now())
            if rows is not None:
                rows.got(record, call.now())
        return failure

    def _is_listed(self, call: CallState, condition: WriteCondition, rows: RecentRows) -> bool:
        """Return True if a page shows the record as expected."""
        number = record_of(call)
        found = rows.find(number, call.now())
        if found is None or self._differences(call, condition, found[0]).differences:
            return False
        rows.use(number, call.arguments)
        condition.saw(*found, found[1])
        return True

    def _differences(
        self, call: CallState, condition: WriteCondition, record: object
    ) -> Comparison:
        return look_of(call).compare(
            record, call.arguments, condition, show_sensitive=self._show_sensitive
        )

    def _compare(self, call: CallState, condition: WriteCondition) -> AttemptOutcome | None:
        """Return the conflict that the record's state means; None if the write can be sent."""
        seen = self._differences(call, condition, condition.record)
        maybe_done = call.maybe_done or condition.in_doubt
        if maybe_done and seen.applied:
            condition.applied, call.error = True, None
            return SUCCEEDED
        # Sent again, it makes certain what no look shows, and changes nothing that one shows.
        if not seen.differences or (maybe_done and seen.applied is None):
            return None
        name = cast("Operation[Any]", call.operation).record.removesuffix("_id")
        what = f"{name} {record_of(call)} is not as expected: {'; '.join(seen.differences)}"
        return AttemptOutcome(
            call.looked(Conflict(what, found=cast("FoundInvoice", condition.record)))
        )

    async def _turn_again(self, call: CallState, turn: Turn) -> Refusal | None:
        """Wait for a further turn, keeping the slot of a request that was sent.

        Returns:
            Why there is none.
        """
        if turn.slot is None or not turn.spent:
            return None
        turn.spent = False
        limiter, emitter = self._limiter, self._emitter
        if limiter.follow_nowait(turn.slot):
            return None
        began = emitter.now() if emitter.enabled else 0.0
        refusal: Refusal | None = None
        try:
            refusal = await limiter.follow(turn.slot, within=_LONGEST_FOLLOW)
        finally:
            if emitter.enabled:
                got = refusal is None
                emitter.emit(Waited(call.name, emitter.now() - began, got, call.number))
        return refusal


def look_of(call: CallState) -> RecordLook:
    """Return how to look at the record of a call that has a condition."""
    return cast("RecordLook", cast("Operation[Any]", call.operation).look)


def record_of(call: CallState) -> int:
    """Return the id of the record that a call writes."""
    return cast("int", call.arguments[cast("Operation[Any]", call.operation).record])
