"""Tries a call on a server that fails, and sees that nothing was lost or told by it."""

import asyncio
import gc
import sys
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import attrs
import trio

from aiocake import Client, Throttle, Timeouts
from aiocake.client import ClientView
from aiocake.errors import ApiError, CakeError, NotSent, Outcome, OutcomeUnknown
from aiocake.events import AttemptEnded, Event, RetryScheduled
from aiocake.models import MarkResult

from ..support.clients import NO_BACKOFF
from ..support.scripted import Script, Server
from ._cake import EXPORT, GET, Call, obedient
from ._canary import KEY, Everything, reported, shown

__all__ = ["Card", "Met", "census"]

#: Seconds after which a test is taken to hang; nothing is timed by it.
_WATCHDOG = 30
_TICKS = 100

#: How a further attempt is told that follows one over a connection which had been closed.
_FREE = (0.0, "DecodeError")


@attrs.define
class Met:
    """What a call met."""

    call: Call
    value: object | None
    error: CakeError | None
    events: list[Event]
    #: The whole requests that had arrived when the call ended.
    requests: list[bytes]

    @property
    def attempts(self) -> int:
        """How many attempts were made."""
        return len(self._sent())

    def _sent(self) -> list[bool]:
        """Of each attempt whether it may have left.

        One that met a connection which the server had closed without a word is none: it is made
        again at once, and costs nothing. Whether it happens is a race.
        """
        sent: list[bool] = []
        for event in self.events:
            if isinstance(event, AttemptEnded) and event.operation == self.call.operation:
                sent.append(event.sent)
            elif isinstance(event, RetryScheduled) and (event.wait, event.error) == _FREE:
                sent.pop()
        return sent

    def succeeds(self, attempts: int | range = 1) -> None:
        """It ends in what the server gave, and in nothing that is not known."""
        assert self.error is None, reported(self.error)
        assert self.call.is_right(self.value), self.value
        assert self.attempts in (attempts if isinstance(attempts, range) else {attempts})
        sent = self._sent()
        if isinstance(self.value, MarkResult):
            assert self.value.first is (None if any(sent[:-1]) else True)

    def not_sent(self, attempts: int) -> None:
        """No byte left."""
        assert type(self.error) is NotSent, self.error
        assert self.attempts == attempts
        assert self.requests == []
        self._is_told(Outcome.NOT_DONE)

    def refused(self, kind: type[CakeError] = ApiError, attempts: int = 1) -> None:
        """The server said no, and no attempt may have been carried out."""
        assert isinstance(self.error, kind), self.error
        assert self.attempts == attempts
        self._is_told(Outcome.NOT_DONE)

    def unknown(
        self,
        cause: type[CakeError] | tuple[type[CakeError], ...],
        attempts: int,
        *,
        likely: bool | None = None,
    ) -> None:
        """A write may have been carried out, and the application can find out whether it was."""
        error = self.error
        assert isinstance(error, OutcomeUnknown), error
        assert isinstance(error.cause, cause), error.cause
        assert likely is None or error.applied_likely is likely
        assert self.attempts == error.intent.attempts == attempts
        self._is_told(Outcome.UNKNOWN)
        intent = error.intent
        assert uuid.UUID(intent.id).version == 4
        assert intent.operation == error.operation == self.call.operation
        assert intent.arguments == self.call.arguments
        assert intent.at is not None
        assert timedelta(0) <= datetime.now(UTC) - intent.at < timedelta(seconds=_WATCHDOG)

    def ends(
        self,
        cause: type[CakeError],
        *,
        attempts: int = 3,
        once: int = 1,
        likely: bool | None = None,
    ) -> None:
        """A read ends in an error after so many attempts, and a write is unknown.

        Args:
            cause: The error.
            attempts: How many were made of what may be repeated,
            once: and of what must not be.
            likely: Whether the answer began like that to a write that was carried out.
        """
        made = once if self.call.once else attempts
        if self.call.reads:
            assert isinstance(self.error, cause), self.error
            assert self.attempts == made
            self._is_told(None)
        else:
            self.unknown(cause, made, likely=likely)
        if self.call.once:
            assert len(self.requests) <= 1

    def _is_told(self, outcome: Outcome | None) -> None:
        assert self.error is not None
        assert self.error.outcome is (None if self.call.reads else outcome)
        assert self.error.operation == self.call.operation


class Card:
    """All that a test of a case needs. Made by the fixture."""

    def __init__(self, everything: Everything, *, full: bool) -> None:
        self.everything = everything
        #: Whether each case is to be tried in full.
        self.full = full
        self.servers: list[Server] = []
        #: The longest that a call over sockets took.
        self.slowest = 0.0

    def serve(self, script: Script, **settings: Any) -> Server:  # noqa: ANN401 - the server's own
        """Start a server that ends with the test."""
        self.servers.append(Server(script, **settings))
        return self.servers[-1]

    def client(self, to: Server | str, **settings: Any) -> Client:  # noqa: ANN401 - the client's own
        """Make a client of one connection that does not wait between attempts."""
        given: dict[str, Any] = {
            "retry": NO_BACKOFF,
            "throttle": Throttle(concurrency=1),
            "timeouts": Timeouts(total=20, connect=10, read=10),
        }
        return Client(to if isinstance(to, str) else to.url, KEY, **(given | settings))

    async def play(  # noqa: PLR0913 - what a case may need
        self,
        call: Call,
        fault: Script | Server,
        *,
        passing: bool = False,
        to: Server | str | None = None,
        heal: Callable[[], None] | None = None,
        again: Call = GET,
        **settings: Any,  # noqa: ANN401 - the client's own
    ) -> Met:
        """Make a call while something is wrong, and another when it is put right.

        Args:
            call: The call.
            fault: What is wrong: the script of a server, or a server.
            passing: Whether it is put right before the first retry.
            to: The address of the client; that of the server, by default.
            heal: What puts it right; by default the server goes on in good order.
            again: The call that is made when it is put right.
            settings: Of the client.

        Returns:
            What the call met.
        """
        server = fault if isinstance(fault, Server) else self.serve(fault)
        record = to if isinstance(to, Server) else server
        events: list[Event] = []

        def put_right() -> None:
            server.script = obedient
            server.go_on.set()
            if heal is not None:
                heal()

        def on_event(event: Event) -> None:
            events.append(event)
            if passing and isinstance(event, RetryScheduled):
                put_right()

        before = await census()
        async with self.client(to or server, on_event=on_event, **settings) as cake:
            met = await self.meet(call, cake, events, record)
            put_right()
            await self.works(cake, again)
            if call is not EXPORT:  # which has a connection of its own
                await anyio.to_thread.run_sync(self.at_most_one_is_open, record)
        await self.all_is_given_back(cake, before)
        return met

    async def meet(self, call: Call, cake: ClientView, events: list[Event], server: Server) -> Met:
        """Make a call, and look through what it gives for the key and the note."""
        value: object | None = None
        error: CakeError | None = None
        began = anyio.current_time()
        with anyio.fail_after(_WATCHDOG):
            try:
                value = await call.make(cake)
            except CakeError as met:
                error = met
        self.slowest = max(self.slowest, anyio.current_time() - began)
        met = Met(call, value, error, list(events), list(server.requests))
        self.looks_clean(met)
        return met

    def looks_clean(self, met: Met) -> None:
        """See that a key is nowhere, and a payload in nothing that is printed or stored."""
        seen = [repr(event) for event in met.events]
        if met.error is not None:
            self.everything.no_key_in(reported(met.error))
            seen.append(shown(met.error))
        self.everything.no_key_in(repr(met.value))
        self.everything.no_key_in("\n".join(seen))
        self.everything.no_payload_in("\n".join(seen))

    async def works(self, cake: ClientView, call: Call = GET) -> None:
        """See that the next call works, on the one connection that there is."""
        with anyio.fail_after(_WATCHDOG):
            # However slow the machine is: a time limit of the case may be a short one.
            value = await call.make(cake.with_options(total=_WATCHDOG, attempts=100))
        assert call.is_right(value)
        stats = cake.stats()
        assert (stats.in_flight, stats.waiting) == (0, 0)

    @staticmethod
    def at_most_one_is_open(server: Server) -> None:
        """See that the client has closed all connections but the one that it may go on using."""
        answered = [each.number for each in server.connections if each.requests]
        for number in range(len(server.connections)):
            if number != max(answered, default=-1):
                server.join(number)

    async def all_is_given_back(self, cake: Client, before: "tuple[int, int] | None") -> None:
        """See that no connection, file descriptor or task is left; the client is closed."""
        self.everything.no_key_in(repr(cake) + repr(cake.stats()))
        for server in self.servers:
            await anyio.to_thread.run_sync(self._all_are_closed, server)
            server.close()
        self.servers.clear()
        if before is not None:
            for _ in range(_TICKS):
                if await census() <= before:
                    break
            now = await census()
            assert now <= before, f"descriptors and tasks: {now} after {before} before"

    @staticmethod
    def _all_are_closed(server: Server) -> None:
        server.go_on.set()
        for number in range(len(server.connections)):
            server.join(number)

    def finish(self) -> None:
        """End what a test has left."""
        for server in self.servers:
            server.close()
        gc.collect()  # what was not closed would be an error here


async def census() -> tuple[int, int]:
    """How many file descriptors are open, and how many tasks there are."""
    await anyio.lowlevel.checkpoint()
    if "trio" in sys.modules and trio.lowlevel.in_trio_task():
        tasks = trio.lowlevel.current_statistics().tasks_living
    else:
        tasks = len(asyncio.all_tasks())
    return _descriptors(), tasks


def _descriptors() -> int:
    return sum(1 for _ in Path("/dev/fd").iterdir())
