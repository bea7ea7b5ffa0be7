"""Who may send, and when: slots and a rate, first come, first served.

A call waits in one queue until it is the first, a slot is free and the rate allows it. Only then
does it get its slot, and it sends at once. So no waiting or sleeping call ever holds a slot. The
rate is a GCRA (the virtual scheduling of ITU-T I.371): in any window of ``W`` seconds at most
``rate * W + burst`` calls begin. Exports have a queue with a slot of their own, so that a loop over
a running export can make other calls; rate and pause count for both queues together.

When a server refuses calls as too many, or calls time out, the limiter halves the number of
concurrent calls, at most once per round trip. It adds one whenever as many calls in a row were
accepted (additive increase, multiplicative decrease). It also learns the rate from refusals:
:mod:`aiocake._transport.adaptive_rate`. When the server asks to wait, all calls of the client wait,
or are refused: :mod:`aiocake._transport.pause`.

No task keeps the time: the first call of each queue watches the clock for all.

If other processes share the quota, its store grants the turns instead of the rate:
:mod:`aiocake._transport.shared_turns`.
"""

import math
from collections import deque
from collections.abc import Callable
from typing import Final, Literal

import anyio

from aiocake._transport.adaptive_rate import AdaptiveRate
from aiocake._transport.pause import Pause, Refusal
from aiocake._transport.shared_turns import SharedTurns
from aiocake.config import Throttle
from aiocake.errors import NotSent
from aiocake.quota import QuotaReply

_NEVER: Final = -math.inf
#: After a pause the slots are filled again over this many seconds at most, not in one tick.
_RAMP: Final = 1.0


class _Waiter:
    __slots__ = ("awake", "event", "held", "refusal", "slot", "ticket")

    def __init__(self, ticket: int, held: int | None = None) -> None:
        self.ticket = ticket
        #: The slot that it has already, and waits with for a further turn.
        self.held = held
        self.event = anyio.Event()
        self.slot: int | None = None
        #: Why it gets none: a long pause has begun, or the shared quota was never reached.
        self.refusal: Refusal | NotSent | None = None
        #: Whether it looks at the clock by itself, so that nobody has to wake it.
        self.awake = True

    @property
    def waits(self) -> bool:
        """Return True if it has neither a slot nor a refusal."""
        return self.slot is None and self.refusal is None


class _Queue:
    __slots__ = ("_changed", "_in_a_row", "busy", "free", "limit", "most", "waiters")

    def __init__(self, slots: range) -> None:
        #: How many of the slots may be in use at once: now, and at most.
        self.limit = self.most = len(slots)
        self._changed = _NEVER
        self._in_a_row = 0
        self.busy = 0
        #: The slot used last is given first: its connection is the warmest.
        self.free = list(reversed(slots))
        self.waiters: deque[_Waiter] = deque()

    @property
    def has_room(self) -> bool:
        return self.busy < self.limit

    def take(self, waiter: _Waiter) -> int:
        if waiter.held is not None:
            return waiter.held
        self.busy += 1
        return self.free.pop()

    def widen(self, since: float) -> bool:
        """Count an accepted call; return True if there is room for one more now."""
        if since < self._changed:
            return False
        self._in_a_row += 1
        if self._in_a_row < self.limit:
            return False
        self._in_a_row = 0
        self.limit += 1
        return True

    def halve(self, since: float) -> None:
        """Halve the limit, unless the call that was too much began before the last time."""
        if since >= self._changed:
            self._changed = anyio.current_time()
            self._in_a_row = 0
            self.limit = max(self.limit // 2, 1)


class RequestLimiter:
    """The throttle of one client.

    Attributes:
        refusal: Returns why no call is sent now, where a long pause goes on; None where calls are.
    """

    def __init__(self, settings: Throttle, draw: Callable[[], float]) -> None:
        count = settings.concurrency
        self._calls = _Queue(range(count))
        self._exports = _Queue(range(count, count + 1))
        #: Calls that have a slot and wait for a further turn, ahead of all others.
        self._again = _Queue(range(0))
        self._again.limit = 1
        self._queues = (self._again, self._calls, self._exports)
        self._export_slot = count
        self._max_waiting = settings.max_waiting
        shared, rate = settings.shared, settings.rate
        self._interval = 0.0 if rate is None or shared is not None else 1.0 / rate
        self._slack = (settings.burst - 1) * self._interval
        self._draw = draw
        self._adaptive = settings.adaptive
        self._pace = AdaptiveRate() if settings.adaptive and shared is None else None
        self._shared: SharedTurns | None = None
        if shared is not None:
            self._shared = SharedTurns(
                shared,
                rate=rate,
                burst=settings.burst,
                adaptive=settings.adaptive,
                on_reply=self._on_reply,
                on_unreached=self._turn_away,
            )
        self._tickets = 0
        #: When the next call would begin if all had come at the even pace of the rate.
        self._due = _NEVER
        self._pause = Pause()
        self.refusal: Callable[[], Refusal | None] = self._pause.refusal
        #: How many pauses others have begun, as the store of a shared quota counts them.
        self._pauses = 0
        self._ramp_left = 0
        self._ramp_step = 0.0
        self._ramp_at = _NEVER
        #: Whether the clock has to be asked at all.
        self._timed = self._always_timed = rate is not None or shared is not None

    @property
    def slots(self) -> int:
        """Return the number of slots, that of the exports (the last one) included."""
        return self._export_slot + 1

    @property
    def in_flight(self) -> int:
        """Return the number of slots in use."""
        return self._calls.busy + self._exports.busy

    @property
    def waiting(self) -> int:
        """Return the number of calls that wait for their turn."""
        return len(self._calls.waiters) + len(self._exports.waiters)

    @property
    def limit(self) -> int:
        """Return the number of calls that may be in flight at once now, exports apart."""
        return self._calls.limit

    def paused_for(self) -> float | None:
        """Return the seconds until a pause ends; None without a pause, or an event loop to ask."""
        if self._pause.until == _NEVER or (now := _now()) is None:
            return None
        left = self._pause.until - now
        return left if left > 0 else None

    def pace(self) -> float | None:
        """Return the calls a second that refusals hold calls to; None when to none, or as above."""
        if (now := _now()) is None:
            return None
        if self._shared is not None:
            return self._shared.pace(now)
        return self._pace.rate(now) if self._pace is not None and self._pace.known else None

    @property
    def quota(self) -> Literal["shared", "alone"] | None:
        """Return how a shared quota is kept; None where there is none."""
        if self._shared is None:
            return None
        return "alone" if self._shared.alone else "shared"

    def acquire_nowait(self, *, export: bool = False) -> int | None:
        """Return a slot, where a call may be sent at once; None where it has to wait.

        Why there is none during a long pause, :attr:`refusal` tells.
        """
        queue = self._exports if export else self._calls
        waits = self._calls.waiters or self._exports.waiters or self._again.waiters
        if waits and self._next_queue() is not None:
            return None
        if queue.busy >= queue.limit or (self._timed and not self._may_pass()):
            return None
        queue.busy += 1
        slot = queue.free.pop()
        if self._timed:  # as during each pause
            self._pause.probes(slot)
        return slot

    async def acquire(
        self, *, export: bool = False, within: float | None = None, again: bool = False
    ) -> int | Refusal | NotSent | None:
        """Wait for a turn.

        Args:
            export: Whether it is for the slot of the exports.
            within: How many seconds to wait at most.
            again: Whether the call had a turn before: it is not turned away from a full queue.

        Returns:
            A slot, to be handed to :meth:`release`; or why there is none: a long pause, an error
            where a shared quota was never reached, or None when the queue is full, or the time was
            not enough.
        """
        queue = self._exports if export else self._calls
        if (refusal := self._pause.refusal()) is not None:
            return refusal
        if (slot := self.acquire_nowait(export=export)) is not None:
            return slot
        if not again and self._is_full(queue):
            return None
        self._tickets += 1
        waiter = _Waiter(self._tickets)
        queue.waiters.append(waiter)
        try:
            with anyio.move_on_after(within):
                await self._wait(queue, waiter)
        except BaseException:
            self._leave(queue, waiter)
            raise
        # It may have begun after this one got its slot, and before it could run.
        reason = waiter.refusal or self._pause.refusal()
        if waiter.slot is None or reason is not None:
            self._leave(queue, waiter)
            return reason
        return waiter.slot

    def _is_full(self, queue: _Queue) -> bool:
        """Return True if nobody more may wait in a queue."""
        if self._max_waiting is None:
            return False
        # Calls that wait only for the store of a shared quota are not counted as queued.
        room = 0 if self._shared is None else queue.limit - queue.busy
        return len(queue.waiters) >= max(self._max_waiting, room)

    def follow_nowait(self, slot: int) -> bool:
        """Return True if a further request may be sent at once with a slot that a call has."""
        if self._timed and (self._again.waiters or not self._may_pass()):
            return False
        self._pause.probes(slot)
        return True

    async def follow(self, slot: int, *, within: float) -> Refusal | None:
        """Wait for a further turn with a slot that a call has, ahead of all who wait for a slot.

        Args:
            slot: The slot. It stays with the call, whatever comes of this.
            within: How many seconds to wait for the rate at most. What is sent earlier than the
                rate lets it go is made up for: those behind it wait for so much longer. A pause is
                waited for as long as it takes.

        Returns:
            Why nothing may be sent: a long pause; None where the turn has come.
        """
        if (refusal := self._pause.refusal()) is not None:
            return refusal
        waiter, waiters = _Waiter(0, slot), self._again.waiters
        waiters.append(waiter)
        try:
            with anyio.move_on_after(within):
                await self._wait(self._again, waiter)
            if waiter.waits and self._holds_back:
                await self._wait(self._again, waiter)
        finally:
            if waiter in waiters:
                waiters.remove(waiter)
                self._grant()
        if waiter.waits:
            self._count(anyio.current_time())
            if self._shared is not None:
                self._shared.use_ahead(anyio.current_time())
        # A call with a slot has had a turn, so the store of a shared quota was reached before.
        refusal = waiter.refusal if isinstance(waiter.refusal, Refusal) else None
        return refusal or self._pause.refusal()

    def release(self, slot: int) -> None:
        """Release a slot to the first waiting call."""
        queue = self._exports if slot == self._export_slot else self._calls
        queue.busy -= 1
        queue.free.append(slot)
        if self._pause.probe == slot:  # whatever became of the call that went first
            self._pause.probe = None
        if self._calls.waiters or self._exports.waiters or self._again.waiters:
            self._grant()

    def pause(self, seconds: float, *, since: float, asked: bool) -> bool:
        """Pause all calls after a throttled response.

        Args:
            seconds: For how long.
            since: When the throttled request was sent. If a pause has begun since, this response
                tells of the same congestion, and does not begin another.
            asked: Whether the server named the time, which may make a pause longer.

        Returns:
            Whether a pause has begun.
        """
        self._refused(since, anyio.current_time(), seconds)
        begins = self._pause.extend(seconds, since=since, asked=asked)
        if self._shared is not None and (begins or asked):
            self._shared.on_pause(seconds)
        self._timed = True
        if begins:
            self._ramp(seconds)
        return begins

    @property
    def paused(self) -> bool:
        """Return True during a pause, or right after it."""
        return self._pause.is_long or self._pause.until > _NEVER

    @property
    def _holds_back(self) -> bool:
        """Return True during a pause, and while the call that goes first after it is out."""
        return self._pause.is_long or self._pause.until > anyio.current_time()

    def may_refuse(self, status: int) -> bool:
        """Return True if the last response, of a status, may begin a long pause."""
        return self._pause.may_refuse(status)

    def refuse(self, seconds: float, longest: float, *, since: float, status: int) -> bool:
        """Refuse all calls, after a throttled response that asks for a long wait.

        Args:
            seconds: For how long.
            longest: How long a pause may last, in seconds, whatever is asked.
            since: When the throttled request was sent.
            status: The status of the response.

        Returns:
            Whether a pause has begun; if not, it is one that goes on.
        """
        # How long a quota is used up tells nothing of the rate at which it may be used.
        self.on_timeout(since)
        begins = self._pause.refuse(seconds, longest, since=since, status=status)
        self._timed = True
        if (refusal := self._pause.refusal()) is not None:
            self._turn_away(refusal)
            if self._shared is not None:
                self._shared.on_refuse(refusal.seconds, status)
        if begins:
            self._ramp(seconds)
        return begins

    def on_response(
        self, slot: int, status: int, *, throttled: bool, accepted_since: float | None = None
    ) -> float | None:
        """Record a response, and resume the calls that waited for it.

        Args:
            slot: That of the call.
            status: The HTTP status.
            throttled: Whether it asks for fewer calls.
            accepted_since: When a call (no export) was sent that was neither refused nor timed out.

        Returns:
            How many seconds a long pause took that ends with this response; None when none does.
        """
        if accepted_since is not None:
            if self._shared is not None:
                self._shared.on_accepted(accepted_since)
            if self._pace is not None:
                self._timed = self._pace.on_accepted(accepted_since) or self._timed
            calls = self._calls
            if calls.limit < calls.most and calls.widen(accepted_since):
                self._grant()
        took = self._pause.on_response(slot, status, throttled=throttled)
        if took is not None:
            self._grant()
        return took

    def end_pause(self) -> float | None:
        """End all pauses at once; return when a long one began, None where there is none.

        It asks no clock, so that it can be called from anywhere in the thread of the event loop.
        """
        was_long = self._pause.is_long
        began = self._pause.end()
        self._ramp_left, self._ramp_at = 0, _NEVER
        if self._pace is not None:
            self._pace.go_on()
        if self._shared is not None:
            self._shared.end_pause()
        for queue in self._queues:
            if queue.waiters:  # which gives the others their slots
                queue.waiters[0].event.set()
        return began if was_long else None

    async def sleep(self, seconds: float) -> None:
        """Sleep before a retry, or until a long pause begins."""
        await self._pause.sleep(seconds)

    def on_timeout(self, since: float) -> None:
        """Record a call (not an export) that timed out, by when it was sent."""
        if self._adaptive:
            self._calls.halve(since)

    async def aclose(self) -> None:
        """Stop using the store of a shared quota."""
        if self._shared is not None:
            await self._shared.aclose()

    def _ramp(self, seconds: float) -> None:
        # The first one goes when the pause ends; the others follow, on average, within the ramp.
        self._ramp_left = self._calls.limit - 1
        self._ramp_step = 2 * min(seconds, _RAMP) / self._calls.limit
        self._ramp_at = _NEVER

    def _take(self, queue: _Queue, waiter: _Waiter) -> int:
        slot = queue.take(waiter)
        self._pause.probes(slot)
        return slot

    def _leave(self, queue: _Queue, waiter: _Waiter) -> None:
        """Remove a waiting call; if it had a slot already, pass that on."""
        if waiter.slot is not None:
            self.release(waiter.slot)
            return
        if waiter.refusal is None:
            queue.waiters.remove(waiter)
        self._grant()

    def _refused(self, since: float, now: float, pause: float) -> None:
        if self._adaptive:
            self._calls.halve(since)
        if self._pace is not None:
            self._pace.on_refused(since, now, pause)
        if self._shared is not None:
            self._shared.on_refused(since, now, pause)

    def _turn_away(self, reason: Refusal | NotSent) -> None:
        for queue in self._queues:
            for waiter in queue.waiters:
                waiter.refusal = reason
                waiter.event.set()
            queue.waiters.clear()

    def _on_reply(self, reply: QuotaReply | None) -> None:
        """Apply a reply of the store of a shared quota; None means that it cannot be reached."""
        if reply is not None and reply.pauses != self._pauses:
            # A store that has forgotten pauses does not end them.
            forgets, self._pauses = reply.pauses < self._pauses, reply.pauses
            now = anyio.current_time()
            if forgets and self._shared is not None:
                self._tell_again(self._shared, now)
            if reply.refuse:
                self._pause.refuse(reply.refuse, math.inf, since=now, status=reply.status)
            elif reply.pause:
                self._pause.extend(reply.pause, since=now, asked=True)
            elif self.paused and not forgets:
                self._pause.end()
            if (refusal := self._pause.refusal()) is not None:
                self._turn_away(refusal)
        self._grant()

    def _tell_again(self, shared: SharedTurns, now: float) -> None:
        """Report the current pause again to a store that has lost it."""
        if (refusal := self._pause.refusal()) is not None:
            shared.on_refuse(refusal.seconds, refusal.status)
        elif self._pause.until > now:
            shared.on_pause(self._pause.until - now)

    def _open(self) -> int:
        """Return how many calls could be sent now if each of them had a turn."""
        queues = self._queues
        return sum(min(len(queue.waiters), queue.limit - queue.busy) for queue in queues) or 1

    async def _wait(self, queue: _Queue, waiter: _Waiter) -> None:
        self._grant()
        while waiter.waits:
            waiter.event = anyio.Event()
            at = math.inf
            if queue.waiters[0] is waiter and queue.has_room:
                at = self._earliest()
            waiter.awake = at < math.inf
            with anyio.CancelScope(deadline=at):
                await waiter.event.wait()
            waiter.awake = True
            if waiter.waits:
                self._grant()

    def _grant(self) -> None:
        """Grant slots to the calls that may start now, and set the timer for the next one."""
        while (queue := self._next_queue()) is not None:
            waiter = queue.waiters[0]
            if not self._may_pass():
                if not waiter.awake:
                    waiter.event.set()
                return
            queue.waiters.popleft()
            waiter.slot = self._take(queue, waiter)
            waiter.event.set()

    def _next_queue(self) -> _Queue | None:
        """Return the queue with room whose first waiter came before that of the other.

        After a long pause that of the calls, so that no export goes first while one of them waits.
        """
        open_queues = [queue for queue in self._queues if queue.waiters and queue.has_room]
        if self._pause.is_long:
            return next(iter(open_queues), None)
        return min(open_queues, key=lambda queue: queue.waiters[0].ticket, default=None)

    def _earliest(self) -> float:
        """Return when the next call may begin; infinite if that does not depend on time."""
        if self._shared is not None:
            return max(self._held_until(), self._shared.earliest())
        paced = _NEVER if self._pace is None else self._pace.earliest()
        return max(self._held_until(), self._due - self._slack, paced)

    def _held_until(self) -> float:
        """Return when the pause allows the next call; infinite while a probe is under way."""
        probe = self._pause.probe
        # An export may take minutes to begin its response: a call goes first beside it.
        if probe is not None and probe != self._export_slot:
            return math.inf
        return max(self._pause.until, self._ramp_at)

    def _may_pass(self) -> bool:
        """Return True if a call may begin now; then it counts."""
        if not self._timed:
            return True
        now = anyio.current_time()
        if self._shared is not None:
            held = now < self._held_until()
            if held or not self._shared.take(now, wanted=self._open()):
                return False
        elif now < self._earliest():
            return False
        else:
            self._count(now)
        if self._ramp_left:
            self._ramp_left -= 1
            self._ramp_at = now + self._draw() * self._ramp_step
        else:
            self._timed = (
                self._always_timed
                or self._pause.is_long
                or (self._pace is not None and self._pace.known)
            )
        return True

    def _count(self, now: float) -> None:
        """Count a call that begins, for the rate."""
        if self._interval:
            self._due = max(self._due, now) + self._interval
        if self._pace is not None:
            self._pace.begins(now)


def _now() -> float | None:
    """Return the event loop's time; None outside of any loop."""
    try:
        return anyio.current_time()
    except RuntimeError:
        return None
