"""Settings of a client that its calls need, and counts of what it is doing."""

from typing import Literal

import attrs

from aiocake.config import Ledger, RetryPolicy, Throttle, Timeouts
from aiocake.traits import InstanceTraits
from aiocake.values import Binding


@attrs.frozen(kw_only=True, eq=False)
class PipelineSettings:
    """The settings of a client that its calls need.

    Attributes:
        grace: Seconds that a write which has left is given when its caller is cancelled.
    """

    domain: str
    timeouts: Timeouts
    retry: RetryPolicy
    throttle: Throttle
    binding: Binding
    read_only: bool
    show_sensitive: bool
    ledger: Ledger | None
    grace: float
    for_tests: bool
    traits: InstanceTraits = attrs.field(factory=InstanceTraits)


@attrs.frozen
class ClientStats:
    """Counts of what a client is doing.

    Attributes:
        in_flight: Calls that are being sent or answered.
        waiting: Calls that wait for their turn.
        paused_until: Seconds until a pause ends; None when there is none.
        budget: Tokens that are left for retries.
        unknowns: Writes so far whose outcome is unknown.
        limit: How many calls may be in flight at once now, exports apart: the throttle's
            concurrency, or fewer after throttled responses and time-outs.
        pace: To how many calls a second the server's refusals hold them; None when to none. With a
            shared quota, those of all processes together.
        quota: ``"shared"`` while a quota is shared with other processes, ``"alone"`` while its
            store is away; None for a client with a throttle of its own.
    """

    in_flight: int
    waiting: int
    paused_until: float | None
    budget: int
    unknowns: int
    limit: int
    pace: float | None
    quota: Literal["shared", "alone"] | None
