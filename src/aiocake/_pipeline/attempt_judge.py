"""What the end of an attempt means for a retry, and for the other calls of the client.

A failed attempt may be retried. A throttled response pauses the client's calls, or makes them fail
at once; a time-out lowers the limiter's concurrency, and accepted calls raise it again. The
response times of writes decide how late another attempt may start.
"""

from collections import deque
from typing import Final

from aiocake._listener import EventEmitter
from aiocake._pipeline.call_state import AttemptState, CallState
from aiocake._pipeline.retry import (
    SUCCEEDED,
    AttemptOutcome,
    Retries,
    RetryDecision,
    classify_retry,
)
from aiocake._pipeline.retry_after import retry_after
from aiocake._transport import FailureKind, RequestLimiter, TransportFailure
from aiocake.errors import ApiError, CakeError, RateLimited, Restricted, ServerError
from aiocake.events import AttemptBegan, AttemptEnded, Paused, PauseEnded

_REMEMBERED: Final = 64
#: While fewer are known, a response may take a second at least.
_FEW: Final = 8
_UNTIL_KNOWN: Final = 1.0
#: A response may take longer than all of the last ones: by so much.
_MARGIN: Final = 2
#: Of the time of a call, responses are never given more than this share.
_MOST: Final = 0.5


class ResponseTimes:
    """The times of the last responses to writes: an attempt needs that much time to have left.

    A write that leaves shortly before its deadline is cut off before its response can be there, and
    nobody knows what became of it. So one that has too little time left is not begun at all.

    Attributes:
        needed: The seconds that an attempt needs to have left, of a call that has enough in all.
    """

    __slots__ = ("_last", "_longest", "needed")

    def __init__(self) -> None:
        self._last: deque[float] = deque(maxlen=_REMEMBERED)
        self._longest = 0.0
        self.needed = _MARGIN * _UNTIL_KNOWN

    def add(self, seconds: float) -> None:
        """Add the time that a response took, dialling included."""
        last = self._last
        leaves = last[0] if len(last) == _REMEMBERED else 0.0
        last.append(seconds)
        if seconds >= self._longest:
            self._longest = seconds
        elif leaves == self._longest:
            self._longest = max(last)
        least = 0.0 if len(last) >= _FEW else _UNTIL_KNOWN
        self.needed = _MARGIN * max(least, self._longest)

    def cut_off(self, seconds: float) -> None:
        """Record that a response did not come in time: it takes longer than this."""
        if seconds > self._longest:
            self.add(seconds)


class AttemptJudge:
    """Judges the attempts of all calls of one client.

    Args:
        limiter: Lets the client's calls go, or holds them back.
        retries: The policy and the budget of retries.
        emitter: Takes the events.
        server: The URL of the server, without a path, for events.
    """

    def __init__(
        self, limiter: RequestLimiter, retries: Retries, emitter: EventEmitter, server: str
    ) -> None:
        self._limiter = limiter
        self._server = server
        self._retries = retries
        self._emitter = emitter
        #: Of writes.
        self._times = ResponseTimes()
        #: The operations that have succeeded with the key in use.
        self._proven: set[str] = set()

    def forget_key(self) -> None:
        """Forget which operations the key may call, since another key is used from now on."""
        self._proven.clear()

    def needed(self, call: CallState) -> float:
        """Return the minimum seconds that must be left to start an attempt."""
        # Another attempt at what may be done already can only bring a better end: it is not kept
        # back because its own first one was waited for in vain.
        if call.writes and not call.maybe_done:
            call.needed = min(self._times.needed, _MOST * call.limits.total)
        return call.needed

    def emit_begin(self, call: CallState) -> None:
        """Emit that an attempt is sent now."""
        request = call.request
        path = None if request.own_path else request.path
        self._emitter.emit(
            AttemptBegan(call.name, call.attempts, request.method, self._server, path, call.number)
        )

    def cut(self, call: CallState, attempt: AttemptState) -> None:
        """Record that an attempt was cut short from outside."""
        if call.writes:
            self._times.cut_off(call.now() - attempt.began)
        if self._emitter.enabled:
            self._emit_end(call, attempt, "Cancelled")

    def judge(
        self,
        call: CallState,
        attempt: AttemptState,
        outcome: CakeError | TransportFailure | None,
    ) -> AttemptOutcome:
        """End an attempt, adapt the limiter, and decide on a further one."""
        error = call.end(outcome)
        failure = outcome if isinstance(outcome, TransportFailure) else None
        if call.writes and (failure is None or failure.sent):
            note = self._times.add if failure is None else self._times.cut_off
            note(call.now() - attempt.began)
        if self._emitter.enabled:
            self._emit_end(call, attempt, None if error is None else type(error).__name__)
        if outcome is not None:
            return self.failed(call, outcome, attempt)
        self._proven.add(call.name)
        self._note_response(call, attempt, accepted=True, throttled=False)
        return SUCCEEDED

    def failed(
        self,
        call: CallState,
        outcome: CakeError | TransportFailure,
        attempt: AttemptState | None = None,
    ) -> AttemptOutcome:
        """Decide whether a call whose attempt failed is worth another one, and whether to pause.

        Args:
            call: The call, its attempt ended.
            outcome: What the attempt ended in.
            attempt: The attempt; None when its response had begun well, and broke off later.
        """
        error, last = call.error, call.attempt
        framed = last is None or last.framed
        decision = classify_retry(outcome, call.limits.idempotency, framed=framed)
        pace, asked = decision, None
        if isinstance(error, RateLimited):
            if error.retry_after is None:
                error.retry_after = None if last is None else retry_after(last.headers)
            pace, asked = RetryDecision.THROTTLED, error.retry_after
        throttled = pace is RetryDecision.THROTTLED or (
            pace is RetryDecision.RESTRICTED and call.name in self._proven
        )
        if attempt is not None:
            if not isinstance(outcome, TransportFailure):
                accepted = _was_accepted(outcome)
                self._note_response(call, attempt, accepted=accepted, throttled=throttled)
            elif outcome.kind is FailureKind.TIMEOUT and outcome.sent and not call.limits.export:
                self._limiter.on_timeout(attempt.began)
        if pace is RetryDecision.NONE:
            return AttemptOutcome(error)
        wait = self._retries.wait(pace, call.attempts - 1, asked)
        if throttled and last is not None:
            self._pause(call, last, wait, asked=asked is not None)
        return AttemptOutcome(error, decision, wait)

    def _pause(
        self, call: CallState, attempt: AttemptState, seconds: float, *, asked: bool
    ) -> None:
        """Hold back the client's calls, or refuse them, after a throttled response."""
        limiter, longest = self._limiter, self._retries.longest_pause
        began, status = attempt.began, attempt.status or 0
        too_long = seconds > self._retries.longest_asked
        refused = asked and (too_long or seconds >= call.time_left())
        if refused and longest and limiter.may_refuse(status):
            if limiter.refuse(seconds, longest, since=began, status=status):
                self._emitter.emit(
                    Paused(call.name, min(seconds, longest), refused=True, call=call.number)
                )
        elif too_long:
            # Such a pause would hang every call. The server will refuse each of them by itself.
            limiter.on_timeout(began)
        elif limiter.pause(seconds, since=began, asked=asked):
            self._emitter.emit(Paused(call.name, seconds, call=call.number))

    def _note_response(
        self, call: CallState, attempt: AttemptState, *, accepted: bool, throttled: bool
    ) -> None:
        """Adapt the limiter; resume the other calls if this one was the probe after a pause."""
        took = self._limiter.on_response(
            attempt.slot,
            attempt.status or 0,
            throttled=throttled,
            accepted_since=attempt.began if accepted and not call.limits.export else None,
        )
        if took is not None:
            self._emitter.emit(PauseEnded(call.name, took, call.number))

    def _emit_end(self, call: CallState, attempt: AttemptState, error: str | None) -> None:
        request = call.request
        self._emitter.emit(
            AttemptEnded(
                call.name,
                call.attempts,
                self._emitter.now() - attempt.began,
                attempt.status,
                error,
                attempt.trace.sent,
                request.method,
                None if request.own_path else request.path,
                call.number,
            )
        )


def _was_accepted(error: CakeError) -> bool:
    """Return whether the server handled the request, even if it refused it."""
    overloaded = isinstance(error, RateLimited | Restricted | ServerError)
    return isinstance(error, ApiError) and not overloaded
