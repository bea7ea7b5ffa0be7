"""The rate at which a server accepts calls, learnt from its refusals.

A server with a rate limit refuses calls above it, without saying what the limit is. Halving the
calls in flight does not find it: if a response takes 20 ms, one call at a time is 50 a second. So
calls are also spaced once a server has refused some:

1. *At first* calls are not spaced, since nothing is known.
2. *An estimate.* After the first refusals, the rate is the number of accepted calls divided by the
   time until one was accepted again. The size of the server's bucket makes this too high or, with
   the pause, too low; so the rate then doubles each second until it is refused.
3. *A search.* A bucket is empty at each refusal. Between two of them a server cannot have let in
   more than its rate allows, so what it did let in is a lower bound (too low, by as much of the
   pause as its bucket did not keep: half of it is left out). And it refused the rate that was
   sent at: an upper one. The rate begins again at the lower bound, passes the geometric mean of
   both after a span of time, flat as a cubic is there, and goes on faster beyond: the curve of
   TCP's CUBIC (RFC 9438). Each refusal makes the span three times as long, from 8 to 72 s, and
   the lower bound less far from the upper one. In the end one call too many
   probes the server every other minute, and it is used to 95 % in between.
4. *Still too high.* A refusal before the span is over means that the rate is too high: a large
   bucket hid it, or the server has become stricter. The rate goes down by 4 %, then 8 %, 16 %... A
   refusal before which nothing was accepted says nothing about the rate: that is an outage.

A limit that is lifted is found in a few minutes, and a rate that is never reached is forgotten.
Calls that start late, on a busy event loop, may catch up, by 10 to 30 ms.
"""

import math
from collections.abc import Mapping
from typing import Final, Self

_NEVER: Final = -math.inf
#: So many calls let in are enough for an estimate; over so many seconds, so few are, too.
_ENOUGH: Final = 10
_LONG_ENOUGH: Final = 5.0
_FEW: Final = 3
#: After so many seconds without a call, those before tell nothing any more.
_GAP: Final = 20.0
#: Calls a second: where an estimate begins at least, and what nobody needs to be held to.
_LEAST: Final = 1.0
_MOST: Final = 10_000.0
#: The longest span is so many seconds, so many calls and so many pauses (up to 10 s), whatever is
#: longest: the refusal that ends it, and the pause that follows, are to cost little of it.
_SPAN: Final = 72.0
_SPAN_CALLS: Final = 200
_SPAN_PAUSES: Final = 40
_LONGEST_PAUSE: Final = 10.0
#: The first span is this share of it, and each refusal multiplies it.
_FIRST_SHARE: Final = 1 / 9
_GROWTH: Final = 3
#: How far the lower bound may be below the upper one, at the longest span.
_DEPTH: Final = 0.06
#: How far it is below at least, and how far after refusals that came early.
_STEP: Final = 0.02
_LARGEST_STEP: Final = 0.5
#: After so many the step is at its largest: a power of two outgrows a float.
_MOST_EARLY: Final = 10
#: More of them in a row tell that what was known is no longer true: it is searched for anew.
_EARLY: Final = 2
#: A call may be late by half of an interval, between these, and the next ones catch up.
_LEAST_LATE: Final = 0.01
_MOST_LATE: Final = 0.03


class AdaptiveRate:
    """The rate of one client."""

    __slots__ = (
        "_admitted",
        "_began",
        "_doubling",
        "_due",
        "_early",
        "_estimating",
        "_low",
        "_middle",
        "_pause",
        "_refused_at",
        "_share",
        "_since",
        "_slack",
        "_span",
    )

    def __init__(self) -> None:
        #: The curve: from the lower bound, at its beginning, to the middle, a span later.
        self._low = self._middle = 0.0
        self._span = _SPAN
        self._began = _NEVER
        self._share = _FIRST_SHARE / _GROWTH
        self._doubling = True
        #: How many calls were let in since a refusal, or since the first call.
        self._admitted = 0
        self._since = _NEVER
        #: How long the pause was that came before them.
        self._pause = 0.0
        self._refused_at = _NEVER
        self._estimating = False
        #: How many refusals in a row came before their span was over.
        self._early = 0
        #: When the next call would begin if all had come at an even pace.
        self._due = _NEVER
        #: How late a call may be and still be counted as in time.
        self._slack = _LEAST_LATE

    def saved(self) -> dict[str, float]:
        """Return the state for :meth:`restored`: plain numbers, times on the same clock."""
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def restored(cls, saved: Mapping[str, float]) -> Self:
        """Return a rate with the state that :meth:`saved` returned."""
        rate = cls()
        for name in cls.__slots__:
            setattr(rate, name, saved[name])
        return rate

    def count(self, admitted: int, since: float) -> None:
        """Set how many calls all processes that share this rate were allowed.

        Args:
            admitted: How many, since what is known was learnt, or else since ``since``.
            since: When the counting began, where nothing is known yet.
        """
        self._admitted = admitted
        if not self._middle:
            self._since = since

    @property
    def admitted(self) -> int:
        """Return how many calls were accepted since the rate was last learnt."""
        return self._admitted

    @property
    def estimating(self) -> bool:
        """Return True if the first call to be let in says how fast calls are let in."""
        return self._estimating

    @property
    def known(self) -> bool:
        """Return True if calls are spaced."""
        return self._middle > 0

    def rate(self, now: float) -> float:
        """Return the calls per second at a time; infinite while the rate is unknown."""
        if not self._middle:
            return math.inf
        elapsed = max(now - self._began, 0.0)
        if self._doubling:
            return self._low * math.exp2(min(elapsed, _GAP))
        curve: float = (elapsed / self._span - 1) ** 3
        return self._middle + (self._middle - self._low) * curve

    def earliest(self) -> float:
        """Return when the next call may begin."""
        return self._due - self._slack

    def begins(self, now: float) -> None:
        """Count a call that begins."""
        if not self._middle:
            return
        rate = self.rate(now)
        if rate > _MOST:
            self.__init__()  # type: ignore[misc] # forgotten, as if nothing had been
        else:
            interval = 1 / rate
            self._slack = min(max(interval / 2, _LEAST_LATE), _MOST_LATE)
            self._due = max(self._due, now - self._slack) + interval

    def go_on(self) -> None:
        """Allow calls at once, after a pause that was ended early."""
        self._due = _NEVER

    def on_accepted(self, since: float) -> bool:
        """Learn from an accepted call, by when it began; return True if calls are spaced."""
        if not self._middle:
            if self._estimating and since >= self._refused_at:
                self._estimate(since)
            elif since - self._since > _GAP and not self._estimating:
                self._since, self._admitted = since, 0
        self._admitted += 1
        return self._middle > 0

    def on_refused(self, since: float, now: float, pause: float) -> None:
        """Learn from a call that the server refused, and from the pause that follows, in seconds.

        What began before the last refusal was known is of the same congestion.
        """
        if since < self._refused_at or since < self._began:
            return
        self._refused_at = now
        if not self._middle:
            self._estimating = True
        elif self._admitted:
            self._learn(self.rate(since), now, pause)
        else:
            self._began = self._due = now + pause

    def _estimate(self, now: float) -> None:
        self._estimating = False
        took = now - self._since
        if self._admitted < (_ENOUGH if took < _LONG_ENOUGH else _FEW):
            return
        self._low = self._middle = max((self._admitted + 1) / max(took, 1.0), _LEAST)
        self._start(now, 0.0)

    def _learn(self, high: float, now: float, pause: float) -> None:
        admitted, took = self._admitted, now - self._since
        if self._doubling and admitted < _ENOUGH and took < _LONG_ENOUGH:
            # What the first refusals left of the bucket is not worth a conclusion.
            self._began = self._due = now + pause
            return
        enough = admitted >= _ENOUGH
        if self._doubling or (enough and took >= self._span):
            self._early = 0
            self._share = min(self._share * _GROWTH, 1.0)
        else:
            self._early += 1
            if self._early > _EARLY:
                self._share = _FIRST_SHARE
        step = min(_STEP * 2 ** min(self._early, _MOST_EARLY), _LARGEST_STEP)
        low = (1 - step) * high
        if enough:
            took = max(took - self._pause / 2, took / 2)
            low = min(low, max(admitted / took, (1 - _DEPTH / self._share) * high))
        self._low, self._middle = low, math.sqrt(low * high)
        cost = _SPAN_PAUSES * min(pause, _LONGEST_PAUSE)
        self._span = self._share * max(_SPAN, _SPAN_CALLS / high, cost)
        self._doubling = False
        self._start(now, pause)

    def _start(self, now: float, pause: float) -> None:
        self._admitted, self._since, self._pause = 0, now, pause
        self._began = self._due = now + pause
