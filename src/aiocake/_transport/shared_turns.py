"""Turns from a quota that processes share, reserved in a store for all waiting calls at once.

One task asks the store, one request at a time, in a thread; it ends when there is nothing to ask. A
request reserves as many turns as there are calls that only lack a turn. It also carries this
process's news: a pause, or what a refusal has taught. News of other processes comes back with the
reply, and applies before the next turn is used. A turn more than a second ahead may be stale by
then, so the store is asked again before it is used.

*The learnt rate* (:mod:`aiocake._transport.adaptive_rate`) is that of the instance, not of a
process. The store holds it as a text with a version. A process that was refused updates it, in the
store's time; if several met the same refusal, only the first one does.

*Without the store*, a process uses its share of the quota. See :mod:`aiocake.quota`.
"""

import contextlib
import json
import logging
import math
import uuid
from collections import deque
from collections.abc import Callable
from typing import Final, cast

import anyio
import anyio.to_thread
import attrs

from aiocake._background import BackgroundTask, clock
from aiocake._normalize import class_name
from aiocake._transport.adaptive_rate import AdaptiveRate
from aiocake.errors import NotSent
from aiocake.quota import QuotaReply, QuotaRequest, QuotaStore, QuotaUnavailable

_log: Final = logging.getLogger("aiocake")
_NEVER: Final = -math.inf
#: Seconds that a response of the store may take.
_PATIENCE: Final = 0.4
#: Seconds between two tries to reach a store that is away, at most.
_RETRY: Final = 0.5
#: After so many tries they are that far apart: a power of two outgrows a float.
_TRIES: Final = 4
#: A turn is used at most so many seconds late: who comes later must not send at once with others.
_LATEST: Final = 0.1
#: What the store said counts as true for so many seconds.
_FRESH: Final = 1.0
#: Shares that know nothing of each other fall together at times: this much of a share is used.
_USED: Final = 0.8
#: Who has sent by itself within so many seconds has to return along with the others.
_LATELY: Final = 2.0
#: The pace that nobody needs to be held to, in calls a second.
_MOST: Final = 10_000.0
#: How late a call may be under a learned pace and the next ones catch up, in seconds.
_LEAST_LATE: Final = 0.01
_MOST_LATE: Final = 0.03


async def in_thread(
    ask: Callable[[QuotaRequest], QuotaReply], request: QuotaRequest, one: anyio.CapacityLimiter
) -> QuotaReply:
    """Call a store in a thread, which is abandoned on cancellation."""
    return await anyio.to_thread.run_sync(ask, request, abandon_on_cancel=True, limiter=one)


class _Share:
    """The turns of a process that cannot reach the store."""

    __slots__ = ("_began", "_due", "_interval", "_learnt", "_sent", "last")

    def __init__(self, interval: float, now: float) -> None:
        self._interval = interval
        self._due = now + interval
        self._began, self._sent = now, 0
        #: What is learnt meanwhile, where no rate is known that could be shared out.
        self._learnt = AdaptiveRate()
        self.last = _NEVER

    def earliest(self) -> float:
        return max(self._due, self._learnt.earliest())

    def take(self, now: float) -> bool:
        if now < self.earliest():
            return False
        self.count(now)
        return True

    def count(self, now: float) -> None:
        self.last = now
        self._sent += 1
        self._due = max(self._due, now) + self._interval
        self._learnt.begins(now)

    def lately(self, now: float) -> int:
        """Return about how many calls were sent in the last second."""
        return round(self._sent / max(now - self._began, 1.0))

    def on_accepted(self, since: float) -> None:
        self._learnt.on_accepted(since)

    def on_refused(self, since: float, now: float, pause: float) -> None:
        self._learnt.on_refused(since, now, pause)


@attrs.frozen
class _Refused:
    """A call that the instance refused: when it was sent, and for how long all pause then."""

    since: float
    now: float
    pause: float


@attrs.define
class _News:
    """News that the store does not have yet; for a pause, when it ends."""

    pause: float = _NEVER
    refuse: float = _NEVER
    status: int = 0
    end_pause: bool = False
    refused: int = 0


class SharedTurns:
    """The turns of one client, out of a quota that others share.

    Args:
        store: Keeps the quota.
        rate: Calls a second, of all processes together; None for no limit but what is learnt.
        burst: How many calls may go at once after a quiet time.
        adaptive: Whether refusals teach how many calls a second the instance accepts.
        on_reply: Is called with each response of the store, and with None when it is found to be
            away: turns may have come, and pauses.
        on_unreached: Is called when the store could not be reached for the first time.
    """

    def __init__(  # noqa: PLR0913 - all that the limiter knows
        self,
        store: QuotaStore,
        *,
        rate: float | None,
        burst: int,
        adaptive: bool,
        on_reply: Callable[[QuotaReply | None], None],
        on_unreached: Callable[[NotSent], None],
    ) -> None:
        self._store = store
        self._interval = 0.0 if rate is None else 1.0 / rate
        self._slack = (burst - 1) * self._interval
        self._adaptive = adaptive
        self._on_reply, self._on_unreached = on_reply, on_unreached
        self._member = uuid.uuid4().hex
        self._one = anyio.CapacityLimiter(1)
        self._job: BackgroundTask[None] | None = None
        self._closed = False
        #: When each turn that is at hand begins.
        self._turns: deque[float] = deque()
        #: How many more to ask for, how many are being asked for, and how many were used ahead.
        self._wanted = self._asked = self._owed = 0
        self._news = _News()
        self._lessons: list[_Refused | float] = []
        self._reached = False
        self._heard = _NEVER
        #: The store's clock, less that of the event loop.
        self._ahead = 0.0
        self._members = 1
        self._pauses = 0
        self._pace = AdaptiveRate()
        self._version: int = 0
        #: Whether the store must get what was learnt once more, since it has forgotten it.
        self._forgotten: bool = False
        #: How many turns have been given, and how many when the pace was learnt.
        self._total = self._total_then = 0
        #: How many had been given when the store's span began, and when that was, on its clock.
        self._span = (0, 0.0)
        self._share: _Share | None = None
        #: The share that was used until the store was reached again, and gave no turn so far.
        self._left: _Share | None = None
        self._left_at = _NEVER
        self._retry_at = self._return_at = _NEVER
        #: How often it was tried in vain to reach the store again.
        self._tries = 0

    @property
    def alone(self) -> bool:
        """Return True while the store cannot be reached and this process uses its share."""
        return self._share is not None

    def pace(self, now: float) -> float | None:
        """Return the calls per second that all processes share after refusals, if any."""
        rate = self._pace.rate(now + self._ahead)
        return rate if rate < _MOST else None

    def earliest(self) -> float:
        """Return when the next turn begins; infinite while the store is being asked."""
        if self._share is not None:
            return self._share.earliest()
        asking = self._job is not None and not self._job.done
        if self._turns:
            turn = self._turns[0]
            if not self._is_far(turn):
                return turn
            return math.inf if asking else turn - _PATIENCE
        return math.inf if asking else _NEVER

    def _is_far(self, turn: float) -> bool:
        """Return True if the store has to be asked again before a turn is used."""
        return turn - self._heard > _FRESH

    def take(self, now: float, *, wanted: int) -> bool:
        """Return True if a call may begin now: it has a turn.

        Args:
            now: The event loop's time.
            wanted: How many calls could begin if they had one.
        """
        if self._share is not None and now >= self._return_at > _NEVER:
            self._return(now)
        if self._share is not None:
            if now >= self._retry_at:
                self._ask_soon()
            return self._share.take(now)
        while self._turns and (self._owed or self._turns[0] < now - _LATEST):
            self._turns.popleft()
            self._owed = max(self._owed - 1, 0)
        is_far = bool(self._turns) and self._is_far(self._turns[0])
        if self._turns and self._turns[0] <= now and not is_far:
            self._turns.popleft()
            if self._left is not None:
                self._left = None
                _log.warning("the shared quota can be reached again")
            return True
        # In time, or the turn would have passed when a slow store has answered.
        look_again = is_far and self._turns[0] - _PATIENCE <= now
        self._wanted = max(wanted + self._owed - len(self._turns) - self._asked, 0)
        if self._wanted or look_again:
            self._ask_soon()
        return False

    def use_ahead(self, now: float) -> None:
        """Count a call that begins without a turn; it uses up the next one."""
        if self._share is not None:
            self._share.count(now)
        else:
            self._owed += 1

    def on_pause(self, seconds: float) -> None:
        """Pause the calls of all processes, for a number of seconds."""
        self._news.pause = max(self._news.pause, anyio.current_time() + seconds)
        self._news.end_pause = False
        self._ask_soon()

    def on_refuse(self, seconds: float, status: int) -> None:
        """Make all processes refuse their calls, for a number of seconds."""
        ends = anyio.current_time() + seconds
        self._news.refuse, self._news.status = max(self._news.refuse, ends), status
        self._news.end_pause = False
        self._ask_soon()

    def end_pause(self) -> None:
        """End the pauses of all processes, if the store can be reached."""
        self._news = _News(end_pause=True, refused=self._news.refused)
        if self._reached and not self._closed:
            self._ask_soon()

    def on_refused(self, since: float, now: float, pause: float) -> None:
        """Learn from a call that the instance refused, and from the pause that follows."""
        self._news.refused += 1
        if not self._adaptive:
            return
        if self._share is not None:
            self._share.on_refused(since, now, pause)
        else:
            self._lessons.append(_Refused(since, now, pause))
            self._ask_soon()

    def on_accepted(self, since: float) -> None:
        """Learn from a call that the instance accepted, by when it began."""
        if self._share is not None:
            self._share.on_accepted(since)
        elif self._pace.estimating and not self._lessons:
            self._lessons.append(since)
            self._ask_soon()

    async def aclose(self) -> None:
        """Stop, and close the store's connections; other users of it open new ones."""
        if self._closed:
            return
        self._closed = True
        if self._job is not None:
            await self._job.aclose()
        if self._heard > _NEVER:
            with anyio.move_on_after(_PATIENCE, shield=True):
                await anyio.to_thread.run_sync(self._store.close, abandon_on_cancel=True)

    def _ask_soon(self) -> None:
        if (self._job is None or self._job.done) and not self._closed:
            self._job = BackgroundTask(self._ask_all(clock()))

    async def _ask_all(self, now: Callable[[], float]) -> None:
        try:
            await self._ask_in_turn(now)
        # Calls wait for what this finds: an error must not leave them waiting for ever.
        except Exception as error:  # noqa: BLE001
            self._lost(f"{self._store.where}: {type(error).__name__}", now())

    async def _ask_in_turn(self, now: Callable[[], float]) -> None:
        while True:
            self._asked, self._wanted = self._wanted, 0
            request = self._request(now())
            unsent, self._news = self._news, _News()
            reply = await self._ask(request)
            if isinstance(reply, str):
                self._tell_again(unsent)
                self._lost(reply, now())
                return
            self._hear(request, reply, now())
            if not (self._wanted or self._lessons or self._forgotten or self._news != _News()):
                return

    async def _ask(self, request: QuotaRequest) -> QuotaReply | str:
        """Return the store's reply, or why there is none."""
        with anyio.move_on_after(_PATIENCE):
            try:
                reply = cast("object", await in_thread(self._store.ask, request, self._one))
            except QuotaUnavailable as error:
                return str(error)
            # A store of somebody else's may raise anything: no call may hang by it.
            except Exception as error:  # noqa: BLE001
                return f"{self._store.where}: {type(error).__name__}"
            if isinstance(reply, QuotaReply):
                return reply
            return f"{self._store.where}: it responded with {class_name(reply)}"
        return f"{self._store.where}: no response within {_PATIENCE} s"

    def _request(self, now: float) -> QuotaRequest:
        news, rate = self._news, self._pace.rate(now + self._ahead)
        has_learnt = self._forgotten or (self._lessons and self._heard > _NEVER)
        learned = self._learn() if has_learnt else None
        interval, slack = self._interval, self._slack
        if rate < _MOST and 1 / rate > interval:
            interval = 1 / rate
            slack = min(max(interval / 2, _LEAST_LATE), _MOST_LATE)
        share = self._share
        return QuotaRequest(
            member=self._member,
            turns=0 if share is not None else self._asked,
            interval=interval,
            slack=slack,
            pause=max(news.pause - now, 0.0),
            refuse=max(news.refuse - now, 0.0),
            status=news.status,
            end_pause=news.end_pause,
            learned=learned,
            version=self._version,
            refused=news.refused,
            returning=share is not None and now - share.last < _LATELY,
        )

    def _hear(self, request: QuotaRequest, reply: QuotaReply, now: float) -> None:
        """Apply a reply that has just come."""
        self._asked = 0
        self._ahead = reply.now - now
        self._heard, self._members, self._reached = now, reply.members, True
        if request.learned is not None and reply.learned == request.learned:
            self._lessons.clear()
        # It was flushed, or lost what it had last: what is known here is not less true by that.
        forgets = reply.version < self._version and reply.learned is None
        self._forgotten = forgets and self._pace.known
        if self._forgotten:
            self._total_then += reply.admitted - self._total
            self._version = reply.version
        elif reply.version != self._version:
            self._version = reply.version
            self._read(reply.learned)
        self._total = reply.admitted
        self._span = (reply.span_admitted, reply.now - reply.span)
        if self._share is not None:
            self._return_at = now + reply.away
            self._retry_at = max(self._return_at, now + _RETRY)
            if not reply.away:
                # The others had the store meanwhile: what was sent beside them is made up for.
                self._owed += self._share.lately(now)
                self._return(now)
        else:
            self._turns.extend(now + at for at in reply.turns(request.turns, request.interval))
        if reply.pauses != self._pauses:
            self._pauses = reply.pauses
            # They were given before the pause was known, or for after it ends.
            self._turns.clear()
        self._on_reply(reply)

    def _lost(self, reason: str, now: float) -> None:
        """Switch to this process's share, without the store."""
        self._asked = self._wanted = 0
        # At first at once, then less and less often: it may have been for a moment.
        left = self._left
        before = left if left is not None and now - self._left_at < _LATELY else self._share
        self._tries = 0 if before is None else min(self._tries + 1, _TRIES)
        self._retry_at = now + min(_RETRY * (2**self._tries - 1) / 8, _RETRY)
        if not self._reached:
            text = f"nothing was sent: the shared quota could not be reached: {reason}"
            self._on_unreached(NotSent(text))
            return
        if self._share is None:
            if before is not None:
                self._owed = 0  # of what the share sent, which it goes on with
            self._share, self._left = before, None
            self._return_at = _NEVER
            self._turns.clear()
            self._lessons.clear()
        if self._share is None:
            rate = self._pace.rate(now + self._ahead)
            interval = max(self._interval, 1 / rate if rate < _MOST else 0.0)
            self._share = _Share(interval * self._members / _USED, now)
            _log.warning(
                "the shared quota cannot be reached (%s): using a share, as one of %d processes",
                reason,
                self._members,
            )
        self._on_reply(None)

    def _return(self, now: float) -> None:
        self._left, self._left_at, self._share = self._share, now, None
        self._return_at = _NEVER

    def _tell_again(self, unsent: _News) -> None:
        """Queue news again that the store did not get."""
        news = self._news
        news.refused += unsent.refused
        if not news.end_pause:
            news.pause, news.refuse = max(news.pause, unsent.pause), max(news.refuse, unsent.refuse)
            news.status = news.status or unsent.status

    def _learn(self) -> str:
        """Return the state after learning from the news, in the form that the store keeps."""
        pace = AdaptiveRate.restored(self._pace.saved())
        before, since = self._span
        pace.count(self._total - (self._total_then if pace.known else before), since)
        for lesson in self._lessons:
            if isinstance(lesson, _Refused):
                ahead = self._ahead
                pace.on_refused(lesson.since + ahead, lesson.now + ahead, lesson.pause)
            else:
                pace.on_accepted(lesson + self._ahead)
        return json.dumps({"total": self._total - pace.admitted, "pace": pace.saved()})

    def _read(self, learned: str | None) -> None:
        """Take over the state that another process learnt; ignore it if it cannot be read."""
        self._pace, self._total_then = AdaptiveRate(), 0
        with contextlib.suppress(ValueError, KeyError, TypeError):
            kept = json.loads(learned or "")
            self._total_then = int(kept["total"])
            self._pace = AdaptiveRate.restored(kept["pace"])
