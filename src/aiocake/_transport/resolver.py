"""Looking up the addresses of a host: in threads of our own, for a look-up cannot be cancelled.

A look-up that hangs leaves its thread behind. So there are few of them at most, whoever comes later
waits for one of those under way, and none of them knows anything of the call.
"""

import contextvars
import ipaddress
import socket
import threading
from collections.abc import Callable
from functools import partial
from typing import Any, Final

import anyio

from aiocake._background import soon

#: Threads of one client at once.
_MOST: Final = 4

#: A family and what ``connect`` takes.
Found = tuple[int, Any]


class _LookUp:
    """One look-up: what it has found, or why nothing."""

    def __init__(self) -> None:
        self.done = anyio.Event()
        self.found: list[Found] = []
        self.error: Exception | None = None


class Resolver:
    """Looks up the addresses of one host."""

    __slots__ = ("_host", "_port", "_under_way")

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self._under_way: list[_LookUp] = []

    async def look_up(self) -> list[Found]:
        """Return the addresses, in the order in which they are to be tried.

        Raises:
            OSError: There are none, or they cannot be looked up.
        """
        if (literal := _literal(self._host, self._port)) is not None:
            return [literal]
        if len(self._under_way) < _MOST:
            self._start()
        look_up = self._under_way[-1]
        await look_up.done.wait()
        if look_up.error is not None:
            raise look_up.error
        return look_up.found

    def _start(self) -> None:
        look_up = _LookUp()
        end = partial(soon(), partial(self._end, look_up))
        thread = threading.Thread(
            target=_run, args=(look_up, self._host, self._port, end), name="aiocake", daemon=True
        )
        # A thread may take the context of the call along.
        contextvars.Context().run(thread.start)
        self._under_way.append(look_up)

    def _end(self, look_up: _LookUp) -> None:
        self._under_way.remove(look_up)
        look_up.done.set()


def _run(look_up: _LookUp, host: str, port: int, end: Callable[[], None]) -> None:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        look_up.found = _interleaved([(family, address) for family, _, _, _, address in found])
    except Exception as error:  # noqa: BLE001 - for whoever waits
        look_up.error = error.with_traceback(None)
    end()


def _interleaved(found: list[Found]) -> list[Found]:
    """Return one address of each family in turn, that of the first one first (RFC 8305)."""
    families: dict[int, list[Found]] = {}
    for each in dict.fromkeys(found):
        families.setdefault(each[0], []).append(each)
    longest = max(map(len, families.values()), default=0)
    return [each[at] for at in range(longest) for each in families.values() if at < len(each)]


def _literal(host: str, port: int) -> Found | None:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    if address.version == 4:  # noqa: PLR2004 - its name
        return socket.AF_INET, (host, port)
    if address.scope_id is not None:
        return None  # the system knows the number of that network interface
    return socket.AF_INET6, (host, port, 0, 0)
