"""Hours in milliseconds: both backends on a clock that jumps."""

import asyncio
import selectors
from typing import Any, Final

import pytest
import trio.testing

__all__ = ["SIMULATED"]


class _Jumping(selectors.DefaultSelector):
    """A selector that does not wait for a time: it makes it so."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        # Without a time, something else is waited for: another thread, at the end of the loop.
        ready = super().select(timeout if timeout is None else 0)
        if not ready and timeout:
            self.now += timeout
        return ready


class _JumpingLoop(asyncio.SelectorEventLoop):
    """asyncio's loop on such a clock."""

    def __init__(self) -> None:
        self._jumping = _Jumping()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now


#: Runs a test on either backend, in simulated time.
SIMULATED: Final = pytest.mark.parametrize(
    "anyio_backend",
    [
        ("asyncio", {"loop_factory": _JumpingLoop}),
        ("trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}),
    ],
    ids=["asyncio", "trio"],
)
