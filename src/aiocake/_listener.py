"""Pass events to ``on_event``, and log the few that people should see.

The log is for what somebody may have to act on or will ask about; what every call does is for
``on_event``. docs/observability.md lists both.
"""

import itertools
import logging
from typing import TYPE_CHECKING, Final

from aiocake._background import clock
from aiocake._normalize import is_plain_function
from aiocake.errors import ConfigurationError, Outcome
from aiocake.events import (
    AttemptBegan,
    AttemptEnded,
    CallEnded,
    DoubleFound,
    Event,
    ListAnomaly,
    LocksUnavailable,
    Looked,
    OnEvent,
    PartnerBusy,
    Paused,
    PauseEnded,
    ReferencesDropped,
    RetryScheduled,
    RunBegan,
    RunEnded,
    ValuesNormalized,
    Waited,
    ignore,
)

if TYPE_CHECKING:
    from collections.abc import Callable


_log: Final = logging.getLogger("aiocake")
#: Never logged. Looking these up would take 2 % of the time of a call.
_UNLOGGED: Final = frozenset({Waited, Looked, AttemptBegan, AttemptEnded, RunBegan, RunEnded})
#: Of all clients: a listener of several clients can tell their calls apart.
_numbers: Final = itertools.count(1)
# A library does not decide where its log goes: without this, warnings would end up on stderr.
_log.addHandler(logging.NullHandler())


class EventEmitter:
    """Passes the events of one client on.

    Args:
        on_event: The listener. An exception that it raises is logged and breaks nothing.

    Attributes:
        enabled: True if there is a listener: if not, events that are not logged need not be made.
        next_call: Returns a number for a call, which no other call in the process has.

    Raises:
        ConfigurationError: The listener is no plain function.
    """

    __slots__ = ("_clock", "_on_event", "enabled", "next_call")

    def __init__(self, on_event: OnEvent | None) -> None:
        if not (on_event is None or is_plain_function(on_event)):
            raise ConfigurationError("on_event: must be a plain function, not a coroutine function")
        self._on_event = None if on_event is ignore else on_event
        self.enabled: bool = self._on_event is not None
        self.next_call: Callable[[], int] = _numbers.__next__
        self._clock: Callable[[], float] | None = None

    def now(self) -> float:
        """Return the time on the clock of the first event loop that asks: a client has one."""
        if self._clock is None:
            self._clock = clock()
        return self._clock()

    def emit(self, event: Event) -> None:
        """Log an event if its kind is logged, and pass it on."""
        if type(event) not in _UNLOGGED:
            _write(event)
        if self._on_event is None:
            return
        try:
            self._on_event(event)
        except Exception:  # noqa: BLE001 - it is the user's function
            _log.exception("on_event raised an exception; the call continues")


def _write(event: Event) -> None:  # noqa: C901, PLR0912 - a table of events
    match event:
        case CallEnded(outcome=Outcome.UNKNOWN):
            _log.warning(
                "%s: outcome unknown: the write may have been carried out "
                "(intent %s, attempts: %d, %s)",
                event.operation,
                event.intent,
                event.attempts,
                event.error or "its caller was cancelled",
            )
        case RetryScheduled():
            _log.info(
                "%s: attempt %d in %.3g s, after %s",
                event.operation,
                event.number,
                event.wait,
                event.error,
            )
        case Paused(refused=True):
            _log.warning(
                "%s: throttled; no call is sent for %.0f s: all end in RateLimited",
                event.operation,
                event.seconds,
            )
        case PauseEnded():
            how = f"{event.operation} was accepted" if event.operation else "by end_pause()"
            _log.info("the pause is over after %.3g s: %s", event.seconds, how)
        case Paused():
            _log.warning(
                "%s: throttled; all calls pause for %.3g s", event.operation, event.seconds
            )
        case ListAnomaly():
            _log.info("%s: list anomaly: %s (%s)", event.operation, event.what, event.detail)
        case ReferencesDropped():
            _log.info(
                "%s: references to characters that XML cannot hold were left out: %d",
                event.operation,
                event.count,
            )
        case ValuesNormalized():
            _log.info(
                "%s: values normalized: %d (%s)",
                event.operation,
                event.count,
                ", ".join(event.fields),
            )
        case PartnerBusy(seconds=None):
            _log.info(
                "%s: waiting for %s, which creates for partner %d",
                event.operation,
                event.run or "another run on this host",
                event.partner,
            )
        case PartnerBusy():
            _log.info(
                "%s: waiting %.3g s for what another run may have created for partner %d",
                event.operation,
                event.seconds,
                event.partner,
            )
        case LocksUnavailable():
            _log.warning(
                "%s: without locks, other runs on this host may create the same: %s",
                event.operation,
                event.reason,
            )
        case DoubleFound():
            _log.warning(
                "%s: call %d was created twice: record %d was created, and there is %s",
                event.operation,
                event.index,
                event.ours,
                ", ".join(map(str, event.theirs)),
            )
        case _:  # a call whose outcome is known
            pass
