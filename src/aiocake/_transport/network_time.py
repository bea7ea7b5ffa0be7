"""A deadline that counts only the time spent waiting for the network.

An export is read as fast as its consumer works through it, which may take far longer than the
network does; the time that the consumer takes is not the server's fault.
"""

from collections.abc import Awaitable
from enum import Enum
from typing import Final, Literal, TypeVar

import anyio

T = TypeVar("T")


class _Mark(Enum):
    OUT_OF_TIME = "out of time"


OUT_OF_TIME: Final = _Mark.OUT_OF_TIME
OutOfTime = Literal[_Mark.OUT_OF_TIME]


class NetworkTimeBudget:
    """Seconds that may be spent waiting."""

    __slots__ = ("_ended", "_left", "_scope")

    def __init__(self, seconds: float) -> None:
        self._left = seconds
        self._ended = False
        self._scope: anyio.CancelScope | None = None

    @property
    def left(self) -> float:
        """Return the seconds that are left."""
        return 0.0 if self._ended else max(0.0, self._left)

    async def wait_for(self, wait: Awaitable[T]) -> T | OutOfTime:
        """Wait for something, as long as the seconds last."""
        began = anyio.current_time()
        scope = anyio.CancelScope(deadline=began if self._ended else began + self.left)
        self._scope = scope
        try:
            with scope:
                return await wait
        finally:
            self._scope = None
            self._left -= anyio.current_time() - began
        return OUT_OF_TIME

    def rest(self) -> "NetworkTimeBudget":
        """Return a new budget with the time that is left, unaffected by :meth:`end` of this one."""
        return NetworkTimeBudget(max(0.0, self._left))

    def end(self) -> None:
        """End the budget: current and later waits time out."""
        self._ended = True
        if self._scope is not None:
            self._scope.cancel()
