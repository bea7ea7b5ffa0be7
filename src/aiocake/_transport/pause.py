"""The pause of one client after a throttled response, and the call that probes the server after it.

A short pause makes calls wait. A long one (such as a daily quota) refuses them, since nobody would
wait that long: until it ends, all calls fail at once, also those in the queue and those that sleep
before a retry. After it, one call goes first as a probe, and the others wait for its response. If
it is throttled as well, the pause continues. If it gets no response (it was cancelled, or could not
connect), the next call becomes the probe.
"""

import math
from http import HTTPStatus
from typing import Final

import anyio
import attrs

from aiocake.errors import RateLimited

_NEVER: Final = -math.inf
#: A 503 may come from a proxy that restarts: a long pause takes so many of them in a row.
_UNAVAILABLE_IN_A_ROW: Final = 2


@attrs.frozen(eq=False)
class Refusal:
    """Why a call is not sent.

    Attributes:
        status: The HTTP status of the response that began the pause.
        seconds: How long the pause goes on.
    """

    status: int
    seconds: float

    def error(self) -> RateLimited:
        """Return the error that the call ends in."""
        text = f"nothing was sent: the client is paused for {math.ceil(self.seconds)} s more"
        return RateLimited(text, status=self.status, retry_after=self.seconds, sent=False)


class Pause:
    """The short and long pauses of one client."""

    __slots__ = (
        "_at",
        "_began",
        "_begins",
        "_refuses_until",
        "_status",
        "_unavailable",
        "probe",
        "until",
    )

    def __init__(self) -> None:
        #: When the last pause began: a throttled request that was sent before tells of the same.
        self._at = _NEVER
        #: When calls may begin again.
        self.until = _NEVER
        #: The status of the response that began a long pause; None while there is none.
        self._status: int | None = None
        self._began = _NEVER
        self._refuses_until = _NEVER
        #: The slot of the call that goes first after a long pause; None while none has it.
        self.probe: int | None = None
        #: How many of the last responses in a row were 503.
        self._unavailable = 0
        #: Wakes who sleeps before a retry when a long pause begins.
        self._begins: anyio.Event | None = None

    @property
    def is_long(self) -> bool:
        """Return True during a long pause, and while the response of its probe is waited for."""
        return self._status is not None

    def refusal(self) -> Refusal | None:
        """Return why a call is not sent now; None when it may be, in its turn."""
        if self._status is None:
            return None
        now = anyio.current_time()
        if now >= self._refuses_until:
            return None
        # What a float has lost must not read as less than the server asked for.
        return Refusal(self._status, max(round(self.until - now, 6), 1e-6))

    def extend(self, seconds: float, *, since: float, asked: bool) -> bool:
        """Make calls wait, after a throttled response.

        Args:
            seconds: For how long.
            since: When the throttled request was sent.
            asked: Whether the server named the time, which may make a pause longer.

        Returns:
            Whether a pause has begun.
        """
        now = anyio.current_time()
        begins = self._is_new(since)
        if begins:
            self._at = now
        if begins or asked:
            self.until = max(self.until, now + seconds)
        return begins

    def may_refuse(self, status: int) -> bool:
        """Return True if the last response, of a status, may begin a long pause."""
        return (
            status != HTTPStatus.SERVICE_UNAVAILABLE
            or self.is_long
            or self._unavailable >= _UNAVAILABLE_IN_A_ROW
        )

    def refuse(self, seconds: float, longest: float, *, since: float, status: int) -> bool:
        """Refuse calls, after a throttled response that asks for a long wait.

        Args:
            seconds: For how long.
            longest: How long a pause may last, in seconds, whatever is asked.
            since: When the throttled request was sent.
            status: The status of the response.

        Returns:
            Whether a pause has begun. If one has begun since, this response tells of the same
            congestion, and may only make it longer.
        """
        now = anyio.current_time()
        begins = not self.is_long or self._is_new(since)
        if begins:
            self._began = self._began if self.is_long else now
            self._status = status
            self._at = now
        ends = min(now + seconds, self._at + longest)
        self._refuses_until = max(self._refuses_until, ends)
        self.until = max(self.until, ends)
        if self._begins is not None:
            self._begins.set()
            self._begins = None
        return begins

    def probes(self, slot: int) -> None:
        """Record that a call begins, by its slot."""
        if self._status is not None:
            self.probe = slot

    def on_response(self, slot: int, status: int, *, throttled: bool) -> float | None:
        """Record a response.

        Args:
            slot: That of the call.
            status: The HTTP status.
            throttled: Whether it asks for fewer calls.

        Returns:
            How many seconds a long pause took that ends with this response; None when none does.
        """
        unavailable = status == HTTPStatus.SERVICE_UNAVAILABLE
        self._unavailable = self._unavailable + 1 if unavailable else 0
        if throttled or self.probe != slot or self._status is None:
            return None
        return anyio.current_time() - self.end()

    def end(self) -> float:
        """End all pauses at once; return when the long one began."""
        self.until = self._refuses_until = _NEVER
        self._status = self.probe = None
        return self._began

    def _is_new(self, since: float) -> bool:
        # From the moment a long pause begins, nothing is sent.
        return since > self._at if self.is_long else since >= self._at

    async def sleep(self, seconds: float) -> None:
        """Sleep, or return early when a long pause begins."""
        if self.refusal() is not None:
            return
        if self._begins is None:
            self._begins = anyio.Event()
        with anyio.move_on_after(seconds):
            await self._begins.wait()
