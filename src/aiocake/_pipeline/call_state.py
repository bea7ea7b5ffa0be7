"""The state of one call, kept exact while it runs, and how the call ends.

Each attempt has a fresh state of its own, so that no fact of an earlier attempt can be taken for a
fact of this one.
"""

import math
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any, Final

import anyio
import attrs

from aiocake import _clock
from aiocake._codec.reply import Reply  # noqa: TC001 - imported like the others
from aiocake._messages import Request, Response, SendDeadline
from aiocake._operations.conditions import WriteCondition
from aiocake._operations.operation import Operation, WriteObserver
from aiocake._pipeline.retry import may_have_been_applied
from aiocake._transport import NetworkTimeBudget, SendTrace, TransportFailure
from aiocake.errors import (
    AuthenticationError,
    CakeError,
    ClosedError,
    Conflict,
    DeadlineExceeded,
    Intent,
    NotSent,
    RateLimited,
)
from aiocake.values import Idempotency, Secret

#: Bytes that tell what a body that did not come whole was going to be.
_BEGINNING: Final = 1024


@attrs.frozen(eq=False)
class CallLimits:
    """The limits of a call, and its idempotency.

    Attributes:
        idempotency: What sending it again does.
        total: Seconds for the whole call. Of an export they count the time spent waiting for the
            network only (and, apart from that, for a slot).
        read: Seconds to wait for the next bytes.
        attempts: How many attempts at most.
        queue: Seconds to wait for a slot at most; None for as long as the call may take.
        export: Whether it uses the slot of the exports.
        exempt_from_queue_limit: Whether it waits for a slot however many wait already.
    """

    idempotency: Idempotency
    total: float
    read: float
    attempts: int
    queue: float | None = None
    export: bool = False
    exempt_from_queue_limit: bool = False


class AttemptState:
    """The facts of one attempt, from the moment it has a slot and a key.

    Attributes:
        slot: The slot, and so the connection.
        key: The key that it uses, and how often the key's function had been asked by then.
        began: When it began, on the event loop's clock.
        began_at: Of a write, the same on the wall's.
        trace: Whether the request may have left.
        status: The status of the response; None until its head is here.
        headers: The headers of the response.
        framed: Whether a length or chunks mark the end of the response, not that of its connection.
        kept: Whether a stream goes on using the slot and the connection.
    """

    __slots__ = ("began", "began_at", "framed", "headers", "kept", "key", "slot", "status", "trace")

    def __init__(
        self, slot: int, key: tuple[Secret, int], began: float, began_at: datetime | None
    ) -> None:
        self.slot: int = slot
        self.key: tuple[Secret, int] = key
        self.began: float = began
        self.began_at: datetime | None = began_at
        self.trace: SendTrace = SendTrace()
        self.status: int | None = None
        self.headers: Mapping[str, str] = {}
        self.framed: bool = True
        self.kept: bool = False


class Turn:
    """The slot that a write has got, which a look at its record may use before.

    Attributes:
        slot: The slot; None while a look has it, and where that has lost it.
        key: The key to send, and how often the key's function had been asked by then.
        spent: Whether a request was sent with it: then the next one needs a further turn.
        asked_at: When that request was sent, on the event loop's clock.
    """

    __slots__ = ("asked_at", "key", "slot", "spent")

    def __init__(self, slot: int, key: tuple[Secret, int]) -> None:
        self.slot: int | None = slot
        self.key = key
        self.spent = False
        self.asked_at = -math.inf

    def took(self, attempt: AttemptState) -> None:
        """Take over the slot of an attempt that succeeded."""
        self.slot, self.key = attempt.slot, attempt.key
        self.spent, self.asked_at = True, attempt.began


class CallState:
    """One call on its way. It is no attrs class: what reports errors does not look into it.

    Args:
        request: What is sent.
        limits: How the call is made.
        operation: What is called; None of a call that has no method.
        arguments: What it is called with, as exact built-in values.
        intent: Of a write, what is going to be written; None of a read.
        condition: Of a write, what its record has to be; None where that does not matter.
        observer: Of a write, what is called before it is sent and after it ended.
        not_after: Of a write, the moment after which no byte of it may leave.
        on_response: Is awaited when the call has its response, the slot given back.
        network_time: What may be spent waiting for the network; None where the deadline counts
            everything.

    Attributes:
        attempts: How many attempts were begun.
        attempt: The attempt under way, or the last one; None before the first, and where the last
            one does not count.
        being_sent: Whether an attempt is under way.
        reply: The response, when it is a success.
        error: What the last attempt met.
        sent_before: Whether an attempt before the last may have been carried out.
        maybe_done: Whether any attempt may have been carried out, the last one included.
        needed: Of a write, the seconds that an attempt needs to have left, as far as is known.
        partial: Of each response that did not come whole, its head and how its body begins.
        applied_likely: Whether a response that could not be read looked like one to a write that
            was carried out. Once one attempt has met such a response, no later one makes it less
            likely.
        uncounted: How many attempts, one at most, met a connection that had been closed while it
            was idle. They cost none of those that the call has.
        renewed: Whether the key was asked for again.
        recorded: Of a write, whether ledger and observer have recorded that it is about to be sent.
        keeps_slot: Of a look at a record, whether the slot is kept when it succeeds: the write is
            sent with it.
        looking: Whether the record is being looked at.
        ended_by_look: Whether the call ended in what a look met or found, and not in an attempt.
        abandoned: Whether nobody waits for the call any more, so that no further attempt is begun.
        deadline: When the call must be over, on the event loop's clock.
        now: Tells that clock.
    """

    __slots__ = (
        "_left_before",
        "_met",
        "abandoned",
        "applied_likely",
        "arguments",
        "attempt",
        "attempts",
        "being_sent",
        "condition",
        "deadline",
        "ended_by_look",
        "error",
        "intent",
        "keeps_slot",
        "limits",
        "looking",
        "maybe_done",
        "name",
        "needed",
        "network_time",
        "not_after",
        "now",
        "number",
        "observer",
        "on_response",
        "operation",
        "partial",
        "recorded",
        "renewed",
        "reply",
        "request",
        "sent_before",
        "uncounted",
        "writes",
    )

    def __init__(  # noqa: PLR0913 - what a call is
        self,
        request: Request,
        limits: CallLimits,
        *,
        operation: Operation[Any] | None = None,
        arguments: Mapping[str, object] | None = None,
        intent: Intent | None = None,
        condition: WriteCondition | None = None,
        observer: WriteObserver[Any] | None = None,
        not_after: SendDeadline | None = None,
        on_response: Callable[[], Awaitable[None]] | None = None,
        network_time: NetworkTimeBudget | None = None,
        number: int = 0,
    ) -> None:
        self.request: Request = request
        self.number: int = number
        self.limits: CallLimits = limits
        self.operation: Operation[Any] | None = operation
        self.arguments: Mapping[str, object] = {} if arguments is None else arguments
        self.intent: Intent | None = intent
        self.condition: WriteCondition | None = condition
        self.observer: WriteObserver[Any] | None = observer
        self.not_after: SendDeadline | None = not_after
        self.on_response: Callable[[], Awaitable[None]] | None = on_response
        self.network_time: NetworkTimeBudget | None = network_time
        self.name: str = request.operation
        self.writes: bool = limits.idempotency is not Idempotency.SAFE
        self.now: Callable[[], float] = anyio.current_time
        self.deadline: float = math.inf
        self.attempts: int = 0
        self.uncounted: int = 0
        self.attempt: AttemptState | None = None
        self.being_sent: bool = False
        self.reply: Reply | None = None
        self.error: CakeError | None = None
        #: What the last attempt that may have left met.
        self._met: CakeError | None = None
        self.maybe_done: bool = False
        self.sent_before: bool = False
        self._left_before: datetime | None = None
        self.needed: float = 0.0
        self.partial: tuple[Response, ...] = ()
        self.applied_likely: bool = False
        self.renewed: bool = False
        self.abandoned: bool = False
        self.recorded: bool = False
        self.keeps_slot: bool = False
        self.looking: bool = False
        self.ended_by_look: bool = False

    @property
    def sent(self) -> bool:
        """Return True if the last attempt may have left."""
        return self.attempt is not None and self.attempt.trace.sent

    @property
    def left_at(self) -> datetime | None:
        """Return, of a write, when the first attempt that may have left began."""
        if self._left_before is None and self.attempt is not None and self.sent:
            return self.attempt.began_at
        return self._left_before

    def has_left(self) -> bool:
        """Return True if the attempt under way may have left."""
        return self.being_sent and self.sent

    def left(self) -> float:
        """Return the seconds that are left for further attempts."""
        return 0.0 if self.abandoned else self.time_left()

    def time_left(self) -> float:
        """Return the seconds that are left, even if nobody waits for the call."""
        if self.network_time is not None:
            return self.network_time.left
        return self.deadline - self.now()

    def begin(self, slot: int, key: tuple[Secret, int]) -> AttemptState:
        """Begin another attempt."""
        if self.attempt is not None:
            self._left_before = self.left_at
        self.sent_before = self.maybe_done
        self.attempts += 1
        self.reply = self.error = None
        self.being_sent = True
        self.looking = self.ended_by_look = False
        began_at = _clock.now() if self.writes else None
        self.attempt = attempt = AttemptState(slot, key, self.now(), began_at)
        return attempt

    def broken_off(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        """Store the beginning of a response that is incomplete."""
        self.partial += (Response(status, headers, body[:_BEGINNING]),)

    def end(self, outcome: CakeError | TransportFailure | None) -> CakeError | None:
        """End the attempt; return the error that it met."""
        self.being_sent = False
        if outcome is None:
            return None
        # A refusal may come before anything of the request has left: then nothing is sent.
        self.maybe_done = self.sent_before or (self.sent and may_have_been_applied(outcome))
        self.reply = None
        self.error = outcome.error() if isinstance(outcome, TransportFailure) else outcome
        # What was refused for an old key does not count.
        if self.sent and not isinstance(self.error, AuthenticationError):
            self._met = self.error
        return self.error

    def told(self, error: CakeError) -> CakeError:
        """Return the error to raise for one: no NotSent where an earlier attempt was sent."""
        return self._met if isinstance(error, NotSent) and self._met is not None else error

    def renew(self) -> None:
        """Discard the last attempt: what was refused for the old key was not carried out."""
        self._left_before = self.left_at
        self.error = None
        self.attempt = None

    def queue_ended(self, reason: CakeError) -> CakeError:
        """Record that no attempt could start; an earlier attempt's error takes precedence."""
        if self.error is None:
            self.error = reason
        return self.error

    def looked(self, reason: CakeError) -> CakeError:
        """End the call by the look at its record: by its error, or by a conflict.

        Of a write that may be done already, what an attempt before met has the last word over a
        look that failed.
        """
        self.ended_by_look = True
        if self.error is None or isinstance(reason, Conflict) or not self.maybe_done:
            if isinstance(reason, DeadlineExceeded):
                text = f"the record was not seen within {self.limits.total:g} s"
                reason = NotSent(f"nothing was sent: {text}")
            self.error = reason
        return self.error

    def refused(self, reason: RateLimited) -> CakeError:
        """Record that no attempt could start, since the client is paused.

        Of a write that may be done already, what an attempt before met has the last word.
        """
        if self.error is None or not (self.writes and self.maybe_done):
            self.error = reason
        return self.error

    def cut(self, *, closed: bool) -> None:
        """End the call at its deadline, or because the client is closed."""
        if self.reply is not None:  # it was there in time
            return
        if closed:
            self.error = ClosedError("the client was closed during the call")
        elif self.being_sent:
            text = f"no response within {self.limits.total:g} s"
            nothing = self._nothing_left()
            self.error = NotSent(f"nothing was sent: {text}") if nothing else DeadlineExceeded(text)
        else:
            what = "the record was not seen" if self.looking else "no turn"
            self.queue_ended(NotSent(f"nothing was sent: {what} within {self.limits.total:g} s"))

    def abandon(self) -> None:
        """End the call of a cancelled caller, unless it has ended by itself."""
        if self.reply is None and self.error is None:
            text = "the caller was cancelled"
            nothing = self._nothing_left()
            self.error = NotSent(f"nothing was sent: {text}") if nothing else CakeError(text)

    def _nothing_left(self) -> bool:
        return not (self.sent_before or self.sent)
