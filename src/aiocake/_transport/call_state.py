"""The facts of one call, kept exact while it runs, and what they come to in the end."""

import math
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Final

import anyio
import attrs

from aiocake._messages import Request, Response
from aiocake._transport.failures import TransportFailure
from aiocake._transport.network_time import NetworkTimeBudget
from aiocake._transport.retry import may_have_been_applied
from aiocake._transport.sender import SendTrace
from aiocake.errors import CakeError, ClosedError, DeadlineExceeded, NotSent, RateLimited
from aiocake.values import Idempotency, Secret

#: Bytes that tell what a body that did not come whole was going to be.
_BEGINNING: Final = 1024

#: Is told of each attempt that is begun: its number, from 1.
Begun = Callable[[int], None]


@attrs.frozen
class CallLimits:
    """How a call is to be made.

    Attributes:
        idempotency: What sending it again does.
        total: Seconds for the whole call.
        read: Seconds to wait for the next bytes.
        attempts: How many attempts at most.
        queue: Seconds to wait for a turn at most; None for as long as the call may take.
        export: Whether it uses the slot of the exports.
        exempt_from_queue_limit: Whether it waits for its turn however many wait already.
        on_response: Of a read: is told when it was answered, its slot given back.
    """

    idempotency: Idempotency
    total: float
    read: float
    attempts: int
    queue: float | None = None
    export: bool = False
    exempt_from_queue_limit: bool = False
    on_response: Callable[[], None] | None = None


@attrs.frozen(eq=False)
class CallResult:
    """What became of a whole call.

    Attributes:
        response: The answer of the last attempt, when it is a success.
        error: What the last attempt met; None when there is a response.
        attempts: How many attempts were begun.
        sent: Whether the last attempt may have left.
        sent_before: Whether an attempt before the last may have left and been carried out: it
            left, and was not answered by "too many calls" (429 or "Restricted") or "invalid
            key", which say that nothing was done.
        left_at: Of a write: when the first attempt that may have left began; None when none did.
        partial: Of each answer that did not come whole, its head and how its body begins.
    """

    response: Response | None
    error: CakeError | None
    attempts: int
    sent: bool
    sent_before: bool
    left_at: datetime | None = None
    partial: tuple[Response, ...] = ()


class CallState:
    """One call on its way."""

    __slots__ = (
        "_began_at",
        "_begun",
        "abandoned",
        "attempts",
        "began",
        "being_sent",
        "deadline",
        "error",
        "framed",
        "headers",
        "kept",
        "key",
        "left_at",
        "maybe_applied",
        "needed",
        "network_time",
        "partial",
        "plan",
        "renewed",
        "request",
        "response",
        "sent_before",
        "status",
        "trace",
    )

    def __init__(
        self,
        request: Request,
        plan: CallLimits,
        network_time: NetworkTimeBudget | None = None,
        *,
        begun: Begun | None = None,
    ) -> None:
        self._begun = begun
        self.request = request
        self.plan = plan
        #: What may be spent waiting for the network; None where the deadline counts everything.
        self.network_time = network_time
        self.deadline = math.inf
        #: Whether an attempt is under way.
        self.being_sent = False
        self.attempts = 0
        self.trace = SendTrace()
        #: When the current attempt began, on the event loop's clock.
        self.began = 0.0
        self._began_at: datetime | None = None
        self.left_at: datetime | None = None
        self.maybe_applied = False
        self.sent_before = False
        #: Of a write: the seconds that an attempt needs to have left, as far as is known.
        self.needed = 0.0
        self.response: Response | None = None
        self.error: CakeError | None = None
        #: Of the current attempt's answer.
        self.status: int | None = None
        self.headers: dict[str, str] = {}
        self.framed = True
        #: What came of the answers that did not come whole.
        self.partial: tuple[Response, ...] = ()
        #: The key that the current attempt uses, and how often it had been asked for.
        self.key: tuple[Secret, int] | None = None
        self.renewed = False
        #: Whether a stream goes on using slot and connection.
        self.kept = False
        #: Whether nobody waits for it any more, so that no further attempt is begun.
        self.abandoned = False

    def left(self) -> float:
        """The seconds that are left for further attempts."""
        return 0.0 if self.abandoned else self.time_left()

    def time_left(self) -> float:
        """The seconds that are left, whether or not anybody waits for it."""
        if self.network_time is not None:
            return self.network_time.left
        return self.deadline - anyio.current_time()

    def begin(self) -> SendTrace:
        """Another attempt begins."""
        self.sent_before = self.sent_before or self.maybe_applied
        self.attempts += 1
        if self._begun is not None:
            self._begun(self.attempts)
        self.being_sent = True
        self.began = anyio.current_time()
        if self.plan.idempotency is not Idempotency.SAFE:
            self._began_at = datetime.now(UTC)
        self.trace = SendTrace()
        self.response = self.error = self.status = None
        self.headers = {}
        self.framed = True
        self.maybe_applied = False
        return self.trace

    def broken_off(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        """An answer did not come whole: keep how it began."""
        self.partial += (Response(status, headers, body[:_BEGINNING]),)

    def end(self, outcome: CakeError | TransportFailure | None) -> CakeError | None:
        """The attempt is over."""
        self._left()
        self.being_sent = False
        if outcome is None:
            return None
        self.maybe_applied = may_have_been_applied(outcome)
        self.response = None
        self.error = outcome.error() if isinstance(outcome, TransportFailure) else outcome
        return self.error

    def renew(self) -> None:
        """There is a new key: what was refused for the old one did nothing, and is not the end."""
        self.error = None
        self.trace = SendTrace()

    def queue_ended(self, reason: CakeError) -> CakeError:
        """No attempt could be begun; what an attempt before met has the last word."""
        if self.error is None:
            self.error = reason
        return self.error

    def refused(self, reason: RateLimited) -> CakeError:
        """No attempt could be begun, since the client is paused.

        Of a write that may be done already, what an attempt before met has the last word.
        """
        writes = self.plan.idempotency is not Idempotency.SAFE
        if self.error is None or not (writes and (self.sent_before or self.maybe_applied)):
            self.error = reason
        return self.error

    def cut(self, *, closed: bool) -> None:
        """It was ended from outside: by its deadline, or by the client's end."""
        if self.response is not None:  # it was there in time
            return
        self._left()
        if closed:
            self.error = ClosedError("the client was closed while the call was on its way")
        elif self.being_sent:
            text = f"no answer within {self.plan.total:g} s"
            nothing = self._nothing_left()
            self.error = NotSent(f"nothing was sent: {text}") if nothing else DeadlineExceeded(text)
        else:
            self.queue_ended(NotSent(f"nothing was sent: no turn within {self.plan.total:g} s"))

    def abandon(self) -> None:
        """Its caller was cancelled, and it was cut before it had come to an end."""
        if self.response is None and self.error is None:
            self._left()
            text = "the caller was cancelled"
            nothing = self._nothing_left()
            self.error = NotSent(f"nothing was sent: {text}") if nothing else CakeError(text)

    def exchange(self) -> CallResult:
        """What became of it."""
        return CallResult(
            self.response,
            self.error,
            self.attempts,
            sent=self.trace.sent,
            sent_before=self.sent_before,
            left_at=self.left_at,
            partial=self.partial,
        )

    def _nothing_left(self) -> bool:
        return not (self.sent_before or self.trace.sent)

    def _left(self) -> None:
        if self.left_at is None and self.trace.sent:
            self.left_at = self._began_at
