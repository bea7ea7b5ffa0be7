"""Settings of a client: frozen classes that check their values when they are made."""

import math
import random
from collections.abc import Callable
from typing import Any, Protocol

import attrs

from aiocake._normalize import FUNCTION, SECONDS, YES_OR_NO, Wanted, a_number, misfit, real
from aiocake.errors import ConfigurationError, Intent, Outcome
from aiocake.quota import QuotaStore
from aiocake.values import Binding

__all__ = ["CallOptions", "Ledger", "RetryPolicy", "Throttle", "Timeouts"]


def _must_be(
    wanted: Wanted, exact: Callable[[Any], Any] | None = None
) -> "Callable[[object, attrs.Attribute[Any], Any], None]":
    """Return a validator, which also puts in place of a value what ``exact`` makes of it."""

    def validate(instance: object, attribute: "attrs.Attribute[Any]", value: object) -> None:
        if reason := misfit(value, wanted):
            raise ConfigurationError(f"{attribute.name} {reason}")
        if exact is not None:
            object.__setattr__(instance, attribute.name, exact(value))

    return validate


#: More than 0: the smallest float is.
_positive = _must_be(a_number("a positive number", least=math.ulp(0.0)), real)
_seconds = _must_be(SECONDS, real)
_whole = _must_be(a_number("a whole number of at least 1", least=1, whole=True), real)
_STORE: Wanted = (
    lambda value: value is None or callable(getattr(value, "ask", None)),
    "a store of aiocake.quota, such as aiocake.quota.Redis(url, name=…)",
)
_not_negative = _must_be(a_number("a whole number of at least 0", least=0, whole=True), real)


@attrs.frozen(kw_only=True)
class Timeouts:
    """The time limits of calls, in seconds, each more than 0.

    Attributes:
        total: One call, with its retries and its wait for a slot.
        connect: Opening a connection, TLS included.
        read: The wait for the next bytes of a response.
        export_total: One export of v1; counts only the time spent waiting for the network.
        export_read: The wait for the next bytes of an export (instances may take minutes).

    Raises:
        ConfigurationError: A value is no positive number.
    """

    total: float = attrs.field(default=60.0, validator=_positive)
    connect: float = attrs.field(default=5.0, validator=_positive)
    read: float = attrs.field(default=30.0, validator=_positive)
    export_total: float = attrs.field(default=600.0, validator=_positive)
    export_read: float = attrs.field(default=300.0, validator=_positive)


@attrs.frozen(kw_only=True)
class RetryPolicy:
    """When and how often a call is retried.

    The wait is drawn from 0 to ``min(base * 2**i, cap)`` seconds (full jitter). A bucket of
    ``budget`` tokens for each client keeps the load of an outage down: a retry takes 14 of
    them (5 after a throttled response), and success gives back what its retry took, else 1.

    Attributes:
        attempts: How many attempts a call makes at most, the first one included.
        base: The first wait after a failure, in seconds.
        throttle_base: The first wait after a throttled response, in seconds.
        cap: The longest wait that the client chooses itself, in seconds.
        retry_after_cap: The longest wait that a server may ask for, in seconds. Above it, or past
            the call's deadline, the call ends in :class:`aiocake.RateLimited` at once, and the
            client is paused for as long as was asked: until then no call is sent. (By a 503 it is
            paused only after a second one in a row.)
        longest_pause: The longest pause, in seconds, whatever a server asks for. After it, one
            call goes first, and the others wait for its response. 0 for none: then the server
            itself refuses each call.
        budget: The size of the bucket, in tokens; 0 turns retries off.
        draw: A function that returns random numbers from 0 to 1, for all jitter; one with a seed
            makes a run on a simulated clock the same each time.

    Raises:
        ConfigurationError: A value is out of range.
    """

    attempts: int = attrs.field(default=3, validator=_whole)
    base: float = attrs.field(default=0.05, validator=_positive)
    throttle_base: float = attrs.field(default=1.0, validator=_positive)
    cap: float = attrs.field(default=20.0, validator=_positive)
    retry_after_cap: float = attrs.field(default=60.0, validator=_positive)
    longest_pause: float = attrs.field(default=3600.0, validator=_seconds)
    budget: int = attrs.field(default=500, validator=_not_negative)
    draw: Callable[[], float] = attrs.field(
        default=random.random, validator=_must_be(FUNCTION), eq=False, repr=False
    )


@attrs.frozen(kw_only=True)
class Throttle:
    """The limits of calls in flight and of their rate: first come, first served.

    Attributes:
        concurrency: Calls in flight at once, and so connections.
        rate: Calls a second; None for no limit.
        burst: How many calls may go at once after a quiet time, when there is a rate.
        adaptive: True to have fewer calls in flight after throttled responses and timeouts, and to
            send no more calls a second than the server was found to accept.
        max_waiting: How many calls may wait; one more ends in ``NotSent`` at once. None for
            any number. Work that has begun is not turned away: later attempts, the later pages of
            a list, and all calls of a bulk run. With ``shared``, as many as could be in flight
            besides may wait in any case: for the store.
        shared: A store of :mod:`aiocake.quota`. ``rate`` and ``burst``, pauses and what refusals
            have taught then hold for all processes that use it together. None for a throttle of
            this client's own.

    Raises:
        ConfigurationError: A value is out of range.
    """

    concurrency: int = attrs.field(default=8, validator=_whole)
    rate: float | None = attrs.field(default=None, validator=attrs.validators.optional(_positive))
    burst: int = attrs.field(default=2, validator=_whole)
    adaptive: bool = attrs.field(default=True, validator=_must_be(YES_OR_NO))
    max_waiting: int | None = attrs.field(
        default=None, validator=attrs.validators.optional(_not_negative)
    )
    shared: QuotaStore | None = attrs.field(default=None, validator=_must_be(_STORE))


@attrs.frozen(kw_only=True)
class CallOptions:
    """The options of ``with_options``; None leaves the client's own setting.

    Attributes:
        total: Seconds for one call, as ``Timeouts.total`` (for exports, too).
        queue: Seconds that a call may wait for its turn before it ends in ``NotSent``.
        attempts: How many attempts a call makes at most, as ``RetryPolicy.attempts``.
        binding: The form of v1 calls.
    """

    total: float | None = attrs.field(default=None, validator=attrs.validators.optional(_positive))
    queue: float | None = attrs.field(default=None, validator=attrs.validators.optional(_positive))
    attempts: int | None = attrs.field(default=None, validator=attrs.validators.optional(_whole))
    binding: Binding | None = None


class Ledger(Protocol):
    """Records each write before it is sent and after it ended, for example in your own database."""

    async def before(self, intent: Intent) -> None:
        """Record a write that is about to be sent.

        If this raises, nothing is sent, and the call ends in ``NotSent``.

        Args:
            intent: The write: its id, operation and arguments.
        """
        ...

    async def after(self, intent: Intent, outcome: Outcome) -> None:
        """Record how a write ended. No cancellation of the caller interrupts this.

        An exception that this raises is logged; the outcome of the call stays as it is.

        Args:
            intent: The write that :meth:`before` recorded, with the same id.
            outcome: Done, not done or unknown.
        """
        ...
