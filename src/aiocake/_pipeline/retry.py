"""Retries: which attempts may be repeated, how long to wait, and when to stop.

The first attempt runs without tenacity, which takes over after a failure, so that calls that
succeed do not pay for it. A budget keeps retries from multiplying an outage: each retry takes
tokens from a bucket and each success returns some, like the retry quota of the AWS SDKs.
"""

from collections.abc import Awaitable, Callable
from enum import Enum
from typing import Final, cast

import attrs
import tenacity

from aiocake._transport import TransportFailure
from aiocake.config import RetryPolicy
from aiocake.errors import (
    ApiError,
    CakeError,
    DecodeError,
    RateLimited,
    Restricted,
    ServerError,
)
from aiocake.values import Idempotency

_COST: Final = 14
_COST_THROTTLED: Final = 5
_GAIN: Final = 1
#: CAKE's "Restricted" passes slowly if it passes: wait 3 seconds, then 9.
_RESTRICTED_WAIT: Final = 3.0
_UNAVAILABLE: Final = 503
#: The statuses of responses that are read, and of those that say no or point elsewhere.
_READ: Final = frozenset({200, 201})
_NO: Final = range(300, 600)
#: Beyond it the cap of a wait has long been reached.
_MOST_DOUBLINGS: Final = 32


class RetryDecision(Enum):
    """Whether, and at which pace, to try again."""

    NONE = "no"
    FAILURE = "failure"
    THROTTLED = "throttled"
    RESTRICTED = "restricted"


@attrs.frozen(eq=False)
class AttemptOutcome:
    """The end of an attempt, and what follows from it.

    Attributes:
        error: The error that it met; None when it succeeded.
        decision: Whether another one is worth it.
        wait: How many seconds to wait before that.
        begun: Whether it was begun at all.
    """

    error: CakeError | None
    decision: RetryDecision = RetryDecision.NONE
    wait: float = 0.0
    begun: bool = True


#: The end of an attempt that succeeded.
SUCCEEDED: Final = AttemptOutcome(None)


@attrs.frozen(eq=False)
class RetryLimits:
    """The limits that a call sets to its retries.

    Attributes:
        attempts: How many attempts at most, the first one included.
        left: Gives the seconds that are left of the call; 0 when it is given up.
        scheduled: Is called before the wait for each retry.
        sleep: Sleeps before a retry.
    """

    attempts: int
    left: Callable[[], float]
    scheduled: Callable[[AttemptOutcome], None]
    sleep: Callable[[float], Awaitable[None]]


def classify_retry(
    outcome: CakeError | TransportFailure, idempotency: Idempotency, *, framed: bool = True
) -> RetryDecision:
    """Return whether, and when, a call may be sent again after a failed attempt.

    A response that cannot be read is one at the next try as well, but for two kinds: one of a
    status that no server gives on purpose, and one that ended with its connection, which may
    have been cut anywhere.

    A call that must not be repeated is, only where nothing was sent, or where the response says
    that nothing was done: "too many calls" (429, "Restricted"). A 503 may come from a proxy
    that had passed the request on; so may what a ServerError is made of.
    """
    once = idempotency is Idempotency.NON_IDEMPOTENT
    if isinstance(outcome, TransportFailure):
        return (
            RetryDecision.FAILURE
            if outcome.transient and not (once and outcome.sent)
            else RetryDecision.NONE
        )
    if isinstance(outcome, RateLimited):
        return (
            RetryDecision.NONE
            if once and outcome.status == _UNAVAILABLE
            else RetryDecision.THROTTLED
        )
    if isinstance(outcome, Restricted):
        return RetryDecision.RESTRICTED
    if once:
        return RetryDecision.NONE
    passing = isinstance(outcome, DecodeError) and _is_transient(outcome.status, framed=framed)
    return (
        RetryDecision.FAILURE if passing or isinstance(outcome, ServerError) else RetryDecision.NONE
    )


def _is_transient(status: int | None, *, framed: bool) -> bool:
    if status in _READ:
        return not framed
    return status is not None and status not in _NO


def may_have_been_applied(outcome: CakeError | TransportFailure) -> bool:
    """Return whether a write may have been carried out by an attempt that ended so."""
    return outcome.sent if isinstance(outcome, TransportFailure) else not is_refusal(outcome)


def is_refusal(error: CakeError) -> bool:
    """Return whether a response says that nothing was done. A server that failed does not say."""
    if isinstance(error, RateLimited):
        return not error.sent or error.status != _UNAVAILABLE
    return isinstance(error, ApiError) and not isinstance(error, ServerError)


class Retries:
    """The retries of one client: one policy, one budget."""

    def __init__(self, policy: RetryPolicy, draw: Callable[[], float]) -> None:
        self._policy = policy
        self._draw = draw
        self._tokens = policy.budget

    @property
    def budget(self) -> int:
        """Return the tokens that are left."""
        return self._tokens

    @property
    def longest_asked(self) -> float:
        """Return the longest wait that a server may ask for, in seconds."""
        return self._policy.retry_after_cap

    @property
    def longest_pause(self) -> float:
        """Return the longest pause of the client, in seconds."""
        return self._policy.longest_pause

    def wait(self, again: RetryDecision, retried: int, asked: float | None) -> float:
        """Return the seconds to wait before the next attempt.

        Args:
            again: The pace.
            retried: How many retries the call has had.
            asked: What the server asks for; None when it does not say.
        """
        policy = self._policy
        if again is RetryDecision.RESTRICTED:
            return min(
                _RESTRICTED_WAIT ** (min(retried, _MOST_DOUBLINGS) + 1), policy.retry_after_cap
            )
        if asked is not None:
            return asked
        base = policy.throttle_base if again is RetryDecision.THROTTLED else policy.base
        return self._draw() * min(base * 2.0 ** min(retried, _MOST_DOUBLINGS), policy.cap)

    def refund(self, tokens: int = _GAIN) -> None:
        """Return tokens to the budget: one for a call that succeeded at its first attempt."""
        self._tokens = min(self._policy.budget, self._tokens + tokens)

    async def run(
        self,
        first: AttemptOutcome,
        attempt: Callable[[], Awaitable[AttemptOutcome]],
        terms: RetryLimits,
    ) -> AttemptOutcome:
        """Retry after a failed first attempt, as long as policy, budget and time allow.

        Args:
            first: The end of the first attempt.
            attempt: Makes another one.
            terms: The limits that the call sets.

        Returns:
            The end of the last attempt.
        """
        done: list[AttemptOutcome] = [first]
        took = 0

        async def next_attempt() -> AttemptOutcome:
            return done.pop() if done else await attempt()

        def worth_it(state: tenacity.RetryCallState) -> bool:
            # An outcome that failed is an exception: a cancellation, above all.
            outcome = state.outcome
            return (
                outcome is not None
                and not outcome.failed
                and _result(state).decision is not RetryDecision.NONE
            )

        def enough(state: tenacity.RetryCallState) -> bool:
            nonlocal took
            result = _result(state)
            if state.attempt_number >= terms.attempts or result.wait >= terms.left():
                return True
            if result.decision is RetryDecision.THROTTLED and result.wait > self.longest_asked:
                return True
            took = _COST if result.decision is RetryDecision.FAILURE else _COST_THROTTLED
            return not self._take(took)

        # A controller of its own for each call: one shared by tasks mixes up their outcomes.
        controller = tenacity.AsyncRetrying(
            sleep=terms.sleep,
            retry=worth_it,
            wait=lambda state: _result(state).wait,
            stop=enough,
            before_sleep=lambda state: terms.scheduled(_result(state)),
            retry_error_callback=_result,
        )
        last: AttemptOutcome = await controller(next_attempt)
        if last.error is None or not last.begun:
            self.refund(took)
        return last

    def _take(self, tokens: int) -> bool:
        if self._tokens < tokens:
            return False
        self._tokens -= tokens
        return True


def _result(state: tenacity.RetryCallState) -> AttemptOutcome:
    # tenacity decides only after an attempt.
    result: AttemptOutcome = cast("tenacity.Future", state.outcome).result()
    return result
