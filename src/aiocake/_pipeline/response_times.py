"""How long the server takes to answer writes: so much time an attempt needs to have left.

A write that leaves shortly before its deadline is cut off before its response can be there, and
nobody knows what became of it. So one that has too little time left is not begun at all.
"""

from collections import deque
from typing import Final

_REMEMBERED: Final = 64
#: While fewer are known, a response may take a second at least.
_FEW: Final = 8
_UNTIL_KNOWN: Final = 1.0
#: A response may take longer than all of the last ones: by so much.
_MARGIN: Final = 2
#: Of the time of a call, responses are never given more than this share.
_MOST: Final = 0.5


class ResponseTimes:
    """The times of the last responses to writes of one client, in seconds."""

    __slots__ = ("_last", "_longest")

    def __init__(self) -> None:
        self._last: deque[float] = deque(maxlen=_REMEMBERED)
        self._longest = 0.0

    def add(self, seconds: float) -> None:
        """Add the time that a response took, dialling included."""
        last = self._last
        leaves = last[0] if len(last) == _REMEMBERED else 0.0
        last.append(seconds)
        if seconds >= self._longest:
            self._longest = seconds
        elif leaves == self._longest:
            self._longest = max(last)

    def cut_off(self, seconds: float) -> None:
        """Record that a response did not come in time: it takes longer than this."""
        if seconds > self._longest:
            self.add(seconds)

    def needed(self, total: float) -> float:
        """Return the seconds that an attempt of a call of ``total`` seconds needs to have left."""
        least = 0.0 if len(self._last) >= _FEW else _UNTIL_KNOWN
        return min(_MARGIN * max(least, self._longest), _MOST * total)
