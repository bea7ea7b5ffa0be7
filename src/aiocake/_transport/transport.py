"""The transport of one client: exchange = deadline( retry( throttle( sign -> send ) -> check ) ).

A read runs in its caller's task. A write runs in a task of its own, so that no cancellation of the
caller, of whatever kind and however often, can cut it while the server carries it out: it is given
a grace, and what became of it is told to ``settled`` before the cancellation goes on.
"""

import logging
import random
import ssl
from collections.abc import Awaitable, Callable
from contextlib import suppress
from io import BytesIO

import anyio
import attrs

from aiocake._background import BackgroundTask, BackgroundTaskCancelled, spawn
from aiocake._listener import EventEmitter
from aiocake._messages import Request, Response, StreamedResponse
from aiocake._transport.address import Address
from aiocake._transport.api_key import Keys
from aiocake._transport.attempt import AttemptLoop, Use
from aiocake._transport.body import LARGEST_BODY, LARGEST_STREAM, Body, read_into
from aiocake._transport.call_state import Begun, CallLimits, CallResult, CallState
from aiocake._transport.failures import Route, TransportFailure, clear_tracebacks
from aiocake._transport.httpcore_transport import AsyncBaseTransport, CakeTransport, HttpSender
from aiocake._transport.lifecycle import Lifecycle
from aiocake._transport.limiter import RequestLimiter
from aiocake._transport.network_time import NetworkTimeBudget
from aiocake._transport.proxy import parse_proxy
from aiocake._transport.redaction import Scrubber, watch_logs
from aiocake._transport.retry import Retries
from aiocake._transport.sender import IncomingResponse, RequestSender
from aiocake._transport.streaming import Begin, Chunks, OpenExchange
from aiocake.config import RetryPolicy, Throttle, Timeouts
from aiocake.errors import CakeError, ConfigurationError, DecodeError
from aiocake.events import OnEvent, PauseEnded
from aiocake.values import Idempotency, Secret

#: The error that an answer of any status holds, or None when it is a success.
Check = Callable[[Response], CakeError | None]
#: Is told what became of a write whose caller was cancelled.
OnSettled = Callable[[CallResult], Awaitable[None]]

_log = logging.getLogger("aiocake")


@attrs.frozen
class TransportStats:
    """What a transport is doing.

    Attributes:
        in_flight: Calls that are being sent or answered.
        waiting: Calls that wait for their turn.
        paused_until: Seconds until a pause ends; None when there is none.
        budget: Tokens that are left for retries.
        limit: How many calls may be in flight at once now, exports apart.
        pace: To how many calls a second the server's refusals hold them; None when to none.
    """

    in_flight: int
    waiting: int
    paused_until: float | None
    budget: int
    limit: int
    pace: float | None


class Transport:
    """Carries the requests of one client, on one event loop.

    Args:
        address: Where to.
        key: The key, or an async function that gives it.
        timeouts: How long things may take.
        retry: When a call is sent again.
        throttle: How much is sent at once, and how fast.
        http: What carries the requests; our own over httpcore2 when it is None. It is closed
            along with this.
        proxy: The URL of a proxy; only for our own.
        ssl_context: For https; only for our own.
        user_agent: The User-Agent header.
        grace: Seconds that a write which has left is given when its caller is cancelled.
        on_event: Is told what happens. An exception that it raises is logged and breaks nothing.
        draw: Gives random numbers from 0 to 1.

    Raises:
        ConfigurationError: The key, the proxy, the user agent or on_event cannot be used.

    Attributes:
        emitter: Passes events on to ``on_event``.
    """

    def __init__(  # noqa: PLR0913 - each is a setting of the client
        self,
        *,
        address: Address,
        key: Secret | Callable[[], Awaitable[str]],
        timeouts: Timeouts,
        retry: RetryPolicy,
        throttle: Throttle,
        http: AsyncBaseTransport | None,
        proxy: str | None,
        ssl_context: ssl.SSLContext | None,
        user_agent: str,
        grace: float,
        on_event: OnEvent | None,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self.emitter = EventEmitter(on_event)
        self._scrubber = Scrubber()
        keys = Keys(key, self._scrubber.learn)
        self._limiter = RequestLimiter(throttle, draw)
        if http is None:
            http = self._own_transport(address, proxy, ssl_context)
        elif proxy is not None or ssl_context is not None:
            raise ConfigurationError("proxy and ssl_context: a transport of yours has its own")
        if not (user_agent.isascii() and user_agent.isprintable()):
            raise ConfigurationError("user_agent: must be printable ASCII")
        route = Route(
            address.host,
            address.port,
            timeouts.connect,
            http.proxied_by if isinstance(http, CakeTransport) else None,
        )
        self._sender = RequestSender(
            HttpSender(http, address.base, route), self._scrubber.scrub_headers
        )
        self._retries = Retries(retry, draw)
        self._attempts = AttemptLoop(
            keys=keys,
            limiter=self._limiter,
            wire=self._sender,
            retries=self._retries,
            headers=[
                (b"Host", address.authority.encode("ascii")),
                (b"User-Agent", user_agent.encode("ascii")),
                (b"Accept-Encoding", b"gzip, deflate"),
            ],
            emitter=self.emitter,
        )
        self._grace = grace
        self._lifecycle = Lifecycle()
        self._wire_closed = False
        self._streams: set[OpenExchange] = set()

    def _own_transport(
        self, address: Address, proxy: str | None, ssl_context: ssl.SSLContext | None
    ) -> AsyncBaseTransport:
        through = None if proxy is None else parse_proxy(proxy)
        if through is not None:
            if address.scheme != "https":
                raise ConfigurationError("proxy: for https only, or it would see the key")
            for secret in through.secrets():
                self._scrubber.learn(secret)
        watch_logs(self._scrubber)
        return CakeTransport(slots=self._limiter.slots, proxy=through, ssl_context=ssl_context)

    async def exchange(
        self,
        request: Request,
        check: Check,
        plan: CallLimits,
        *,
        begun: Begun | None = None,
        settled: OnSettled | None = None,
    ) -> CallResult:
        """Make a call.

        Args:
            request: What to send.
            check: Says what is wrong with an answer.
            plan: How to make the call.
            begun: Is told of each attempt that is begun.
            settled: Of a write: is awaited in the end when the caller was cancelled, before the
                cancellation goes on.

        Returns:
            What became of it. Errors are in there; they are not raised.

        Raises:
            ArgumentError: The request with the key in it is too long.
            ClosedError: The client is closed.
            WrongLoopError: The client belongs to another event loop or process.
        """
        self._lifecycle.check_usable()
        call = CallState(request, plan, begun=begun)
        if plan.idempotency is Idempotency.SAFE:
            return await self._run(call, check)
        job = spawn(self._run(call, check))
        try:
            return await job.result()
        except BackgroundTaskCancelled:
            call.cut(closed=True)
            return call.exchange()
        except anyio.get_cancelled_exc_class():
            call.abandoned = True
            # In a task of its own, too: a second cancellation breaks through asyncio's shields.
            last = spawn(self._keep_outcome(call, job, settled))
            with anyio.CancelScope(shield=True):
                await last.result()
            raise

    async def open(
        self, request: Request, begin: Begin, plan: CallLimits, *, begun: Begun | None = None
    ) -> OpenExchange:
        """Make a call whose answer is read as it comes.

        Args:
            request: What to send; it must be a read.
            begin: Reads the answer as far as its head. Attempts are made until it finds no error.
            plan: How to make the call. ``total`` counts the time spent waiting for the network
                only (and, apart from that, for a turn).
            begun: Is told of each attempt that is begun.

        Returns:
            The open answer, to be closed by the caller, or the error of the last attempt.

        Raises:
            ArgumentError: The request with the key in it is too long.
            ClosedError: The client is closed.
            WrongLoopError: The client belongs to another event loop or process.
        """
        self._lifecycle.check_usable()
        return await self._opened(
            CallState(request, plan, begun=begun), NetworkTimeBudget(plan.total), begin, None
        )

    async def _opened(
        self,
        call: CallState,
        network_time: NetworkTimeBudget,
        begin: Begin,
        broken: CakeError | TransportFailure | None,
    ) -> OpenExchange:
        """Make the attempts of a call whose answer is read as it comes.

        Args:
            call: The call.
            network_time: What may be spent waiting for the network.
            begin: Reads the answer as far as its head.
            broken: What the stream of an attempt before broke off in; None of a call that begins.
        """
        call.network_time = network_time
        call.kept = False
        opened: list[OpenExchange] = []

        async def use(answer: IncomingResponse, slot: int) -> CakeError | TransportFailure | None:
            chunks = Chunks(Body(answer, LARGEST_STREAM), network_time)
            stream = StreamedResponse(answer.status, answer.headers, chunks)
            error: CakeError | None
            try:
                error = await begin(stream)
            except CakeError as raised:
                error = raised
                error.__traceback__ = None
            if chunks.fault is not None:
                return chunks.fault
            if error is None:
                call.kept = True
                opened.append(self._keep(call, network_time, stream, chunks, answer, slot))
            return error

        with self._lifecycle.cancellable() as scope:
            await self._carried(call, use, broken)
        if scope.cancelled_caught:
            call.cut(closed=self._lifecycle.closed)
        if opened:
            return opened[0]
        return OpenExchange(None, call.error, call.attempts, _nothing)

    def check_usable(self) -> None:
        """See that a call can be made, here and now.

        Raises:
            ClosedError: The client is closed.
            WrongLoopError: The client belongs to another event loop or process.
        """
        self._lifecycle.check_usable()

    def scrub(self, text: str) -> str:
        """Take the key, and the password of the proxy, out of a text, in whatever disguise."""
        return self._scrubber.scrub(text)

    def stats(self) -> TransportStats:
        """What is going on. Makes no call."""
        return TransportStats(
            in_flight=self._limiter.in_flight,
            waiting=self._limiter.waiting,
            paused_until=self._limiter.paused_for(),
            budget=self._retries.budget,
            limit=self._limiter.limit,
            pace=self._limiter.pace(),
        )

    def refusal(self) -> CakeError | None:
        """Return the error of a call that would not be sent now, since the client is paused."""
        refusal = self._limiter.refusal()
        return None if refusal is None else refusal.error()

    def end_pause(self) -> None:
        """End all pauses at once.

        Raises:
            WrongLoopError: The client belongs to another event loop or process.
        """
        if self._limiter.paused:
            self._lifecycle.check_home()
        began = self._limiter.end_pause()
        if began is not None:
            self.emitter.emit(PauseEnded(None, self.emitter.now() - began))

    async def aclose(self) -> None:
        """End what is on its way, and close all connections. Can be called twice.

        Raises:
            WrongLoopError: The client belongs to another event loop or process.
        """
        self._lifecycle.check_home()
        self._lifecycle.closed = True
        try:
            for opened in tuple(self._streams):
                await opened.aclose()
            await self._lifecycle.end()
        finally:
            if not self._wire_closed:
                self._wire_closed = True
                with anyio.CancelScope(shield=True):
                    await self._sender.aclose()

    async def _run(self, call: CallState, check: Check) -> CallResult:
        if self._lifecycle.closed:  # between the start of a write's task and its first step
            call.cut(closed=True)
            return call.exchange()
        call.deadline = anyio.current_time() + call.plan.total

        async def use(answer: IncomingResponse, _slot: int) -> CakeError | TransportFailure | None:
            whole = await _whole(call, answer)
            if isinstance(whole, TransportFailure):
                return whole
            response = Response(answer.status, answer.headers, whole)
            error = _checked(check, response)
            if error is None:
                call.response = response
            return error

        with self._lifecycle.cancellable(call.deadline) as scope:
            await self._carried(call, use, None)
        if scope.cancelled_caught:
            if call.being_sent and call.trace.sent and not self._lifecycle.closed:
                self._limiter.on_timeout(call.began)
            call.cut(closed=self._lifecycle.closed)
        return call.exchange()

    async def _carried(
        self, call: CallState, use: Use, broken: CakeError | TransportFailure | None
    ) -> None:
        try:
            if broken is None:
                await self._attempts.run(call, use)
            else:
                await self._attempts.run_export(call, use, broken)
        except BaseException as error:
            # A cancellation: the frames below hold the request with the key in it.
            clear_tracebacks(error)
            raise

    async def _keep_outcome(
        self, call: CallState, job: BackgroundTask[CallResult], settled: OnSettled | None
    ) -> None:
        """Give a write that has left its grace, and tell what became of it."""
        try:
            with self._lifecycle.pending():
                if call.being_sent and call.trace.sent and self._grace > 0:
                    with anyio.move_on_after(self._grace), suppress(Exception):
                        await job.result()
                await job.aclose()
                call.abandon()
                if settled is not None:
                    await settled(call.exchange())
        except Exception:  # noqa: BLE001 - it is the ledger's
            _log.exception("telling the outcome of a cancelled write failed")

    def _keep(  # noqa: PLR0913, PLR0917 - all that there is of an open answer
        self,
        call: CallState,
        network_time: NetworkTimeBudget,
        stream: StreamedResponse,
        chunks: Chunks,
        answer: IncomingResponse,
        slot: int,
    ) -> OpenExchange:
        async def end() -> None:
            if opened not in self._streams:
                return
            self._streams.remove(opened)
            chunks.close()
            try:
                await answer.aclose()
            finally:
                self._limiter.release(slot)

        async def again(error: CakeError, begin: Begin) -> OpenExchange:
            self._lifecycle.check_usable()
            # That of the stream has ended with it.
            return await self._opened(call, network_time.rest(), begin, chunks.fault or error)

        opened = OpenExchange(stream, None, call.attempts, end, again)
        self._streams.add(opened)
        chunks.finish = end
        return opened


async def _whole(call: CallState, answer: IncomingResponse) -> bytes | TransportFailure:
    """The body of an answer; how it began is kept when it does not come whole."""
    came = BytesIO()
    fault: TransportFailure | None = None
    try:
        fault = await read_into(came, Body(answer, LARGEST_BODY))
    except BaseException:
        call.broken_off(answer.status, answer.headers, came.getvalue())
        raise
    whole = came.getvalue()  # which copies nothing
    if fault is not None:
        call.broken_off(answer.status, answer.headers, whole)
        return fault
    return whole


def _checked(check: Check, response: Response) -> CakeError | None:
    try:
        return check(response)
    except Exception as error:  # noqa: BLE001 - the answer of a write must never be lost
        return DecodeError(f"the answer broke its reader ({type(error).__name__})")


async def _nothing() -> None:
    """Nothing was opened, so there is nothing to close."""
