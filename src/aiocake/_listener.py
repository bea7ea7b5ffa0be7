"""Who is told of what happens: ``on_event``, and of the little that people should see, the log.

The log is for what somebody may have to act on or will ask about; what every call does is for
``on_event``. docs/observability.md lists both.
"""

import inspect
import logging
from typing import TYPE_CHECKING, Final

from aiocake._background import clock
from aiocake.errors import ConfigurationError, Outcome
from aiocake.events import (
    AttemptEnded,
    CallEnded,
    DoubleFound,
    Event,
    ListAnomaly,
    LocksUnavailable,
    OnEvent,
    PartnerBusy,
    Paused,
    PauseEnded,
    ReferencesDropped,
    RetryScheduled,
    ValuesNormalized,
    Waited,
)

if TYPE_CHECKING:
    from collections.abc import Callable


_log: Final = logging.getLogger("aiocake")
#: What every call does; looking for it among the others would take 2 % of a call.
_UNLOGGED: Final = frozenset({Waited, AttemptEnded})
# A library does not decide where its log goes: without this, warnings would end up on stderr.
_log.addHandler(logging.NullHandler())


class EventEmitter:
    """Is told of each event of one client.

    Args:
        on_event: Is told in turn. An exception that it raises is logged and breaks nothing.

    Attributes:
        listens: Whether there is anybody to tell of what is not logged: if not, the events of
            what every call does need not be made.

    Raises:
        ConfigurationError: It is no plain function.
    """

    __slots__ = ("_clock", "_on_event", "enabled")

    def __init__(self, on_event: OnEvent | None) -> None:
        provided: object = on_event
        if provided is not None and (
            not callable(provided) or inspect.iscoroutinefunction(provided)
        ):
            raise ConfigurationError(
                "on_event: must be a plain function, which is called and not awaited"
            )
        self._on_event = on_event
        self.enabled = on_event is not None
        self._clock: Callable[[], float] | None = None

    def now(self) -> float:
        """The time, on the clock of the first event loop that asks: a client has one."""
        if self._clock is None:
            self._clock = clock()
        return self._clock()

    def emit(self, event: Event) -> None:
        """Log an event, if it is of that kind, and pass it on."""
        if type(event) not in _UNLOGGED:
            _write(event)
        if self._on_event is None:
            return
        try:
            self._on_event(event)
        except Exception:  # noqa: BLE001 - it is the user's function
            _log.exception("on_event raised an exception; the call goes on")


def _write(event: Event) -> None:  # noqa: C901, PLR0912 - a table of events
    match event:
        case CallEnded(outcome=Outcome.UNKNOWN):
            _log.warning(
                "%s: it may have been carried out, nobody knows (intent %s, attempts: %d, %s)",
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
            how = f"{event.operation} was let in" if event.operation else "by end_pause()"
            _log.info("the pause is over after %.3g s: %s", event.seconds, how)
        case Paused():
            _log.warning(
                "%s: throttled; all calls pause for %.3g s", event.operation, event.seconds
            )
        case ListAnomaly():
            _log.info("%s: the list is odd: %s (%s)", event.operation, event.what, event.detail)
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
                "%s: waits until another run on this host is done with partner %d",
                event.operation,
                event.partner,
            )
        case PartnerBusy():
            _log.info(
                "%s: waits %.3g s for what another run may have created for partner %d",
                event.operation,
                event.seconds,
                event.partner,
            )
        case LocksUnavailable():
            _log.warning(
                "%s: other runs on this host may create the same: %s",
                event.operation,
                event.reason,
            )
        case DoubleFound():
            _log.warning(
                "%s: call %d is there twice: record %d was created, and there is %s",
                event.operation,
                event.index,
                event.ours,
                ", ".join(map(str, event.theirs)),
            )
        case _:  # a call that ended as one should
            pass
