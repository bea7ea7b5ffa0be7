"""Connections on trio, and on event loops that watch no sockets: read when they are asked."""

import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import anyio
import anyio.lowlevel
import attrs

from aiocake._transport.connection import HttpConnection

Wait = Callable[[socket.socket], Awaitable[None]]


@attrs.frozen(eq=False)
class Waits:
    """The functions that wait on one kind of event loop."""

    readable: Wait
    writable: Wait
    closing: Callable[[socket.socket], None]
    checkpoint: Callable[[], Awaitable[None]]
    #: Makes a scope of a ``deadline``.
    scope: Callable[..., Any]
    closed: type[Exception]


def waits_of_anyio() -> Waits:
    """Return how to wait on any loop."""
    return Waits(
        anyio.wait_readable,
        anyio.wait_writable,
        anyio.notify_closing,
        anyio.lowlevel.checkpoint_if_cancelled,
        anyio.CancelScope,
        anyio.ClosedResourceError,
    )


def waits_of_trio() -> Waits:
    """Return how to wait on trio, without looking each time for the loop that runs."""
    import trio  # noqa: PLC0415 - only there when it is in use

    return Waits(
        trio.lowlevel.wait_readable,
        trio.lowlevel.wait_writable,
        trio.lowlevel.notify_closing,
        trio.lowlevel.checkpoint_if_cancelled,
        trio.CancelScope,
        trio.ClosedResourceError,
    )


class PullingConnection(HttpConnection):
    """A connection whose socket is read while somebody waits for it."""

    __slots__ = ("_waits",)

    def __init__(
        self, connected: socket.socket, host: str, clock: Callable[[], float], waits: Waits
    ) -> None:
        super().__init__(connected, host, clock)
        self._waits = waits

    async def _checkpoint(self) -> None:
        await self._waits.checkpoint()

    async def _wait(self, *, writing: bool = False) -> None:
        if self.closed:
            return
        self._until = min(self._clock() + self._read, self._total)
        try:
            with self._waits.scope(deadline=self._until) as scope, suppress(self._waits.closed):
                if writing:
                    await self._either()
                else:
                    await self._waits.readable(self._socket)
            self._late = scope.cancelled_caught
            self._receive()
        except Exception as error:  # noqa: BLE001 - the loop cannot watch the socket
            self._lost(error)

    async def _either(self) -> None:
        """Wait until something has come, or something can be written."""

        async def watch(wait: Wait) -> None:
            with suppress(self._waits.closed):
                await wait(self._socket)
            group.cancel_scope.cancel()

        async with anyio.create_task_group() as group:
            group.start_soon(watch, self._waits.writable)
            if not self._is_full():
                group.start_soon(watch, self._waits.readable)

    def _forget(self) -> None:
        with suppress(RuntimeError):  # no loop runs any more: nobody waits for the socket
            self._waits.closing(self._socket)
