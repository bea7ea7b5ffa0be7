"""Calls without an operation, over the loop of the executor: responses are judged by a function."""

from collections.abc import Awaitable, Callable, Coroutine
from datetime import UTC, datetime

import attrs

from aiocake._codec.reply import Reply
from aiocake._httpx import AsyncBaseTransport
from aiocake._listener import EventEmitter
from aiocake._messages import Request, Response, StreamedResponse
from aiocake._pipeline.call_codec import CallCodec
from aiocake._pipeline.call_state import CallLimits, CallState
from aiocake._pipeline.executor import CallExecutor
from aiocake._pipeline.exports import ReadHead, StreamedCall
from aiocake._pipeline.outcome import CallReport
from aiocake._pipeline.settings import ClientStats, PipelineSettings
from aiocake._transport import NetworkTimeBudget, Transport, parse_address
from aiocake.config import RetryPolicy, Throttle, Timeouts
from aiocake.errors import CakeError, Intent
from aiocake.events import OnEvent
from aiocake.values import Binding, Secret

#: The error that a response of any status holds, or None when it is a success.
Check = Callable[[Response], CakeError | None]


@attrs.frozen(eq=False)
class CallResult:
    """What became of a whole call."""

    response: Response | None
    error: CakeError | None
    attempts: int
    sent: bool
    sent_before: bool
    left_at: datetime | None
    partial: tuple[Response, ...]


def result(call: CallState) -> CallResult:
    """What became of a call."""
    return CallResult(
        None if call.reply is None else call.reply.response,
        call.error,
        call.attempts,
        sent=call.sent,
        sent_before=call.sent_before,
        left_at=call.left_at,
        partial=call.partial,
    )


class _Checked(CallState):
    """A call whose responses are judged by a function."""

    __slots__ = ("check",)

    def __init__(self, request: Request, limits: CallLimits, check: Check) -> None:
        super().__init__(request, limits)
        self.check = check


class _Checks(CallCodec):
    """Judges responses by the function of their call."""

    def error_in(self, call: CallState, reply: Reply) -> CakeError | None:
        assert isinstance(call, _Checked)
        return call.check(reply.response)


class _Settled:
    """Is told what became of a write whose caller was cancelled."""

    def __init__(
        self, call: CallState, settled: Callable[[CallResult], Coroutine[object, None, None]]
    ) -> None:
        self._call = call
        self._settled = settled

    async def before(self, intent: Intent) -> None:
        """Nothing."""

    def after(self, value: object, error: CakeError | None) -> Coroutine[object, None, None]:
        """The end of the write."""
        del value, error
        return self._settled(result(self._call))


class Opened:
    """The stream of a call, or why there is none."""

    def __init__(self, call: StreamedCall, error: CakeError | None) -> None:
        self._call = call
        self.error = error
        self.attempts = call.call.attempts
        opened = call.stream if error is None else None
        self.stream: StreamedResponse | None = None if opened is None else opened.response

    async def aclose(self) -> None:
        """Give slot and connection back."""
        await self._call.aclose()


class Exchanges:
    """A client that has no endpoints: its transport, its loop, and calls of whatever request."""

    def __init__(  # noqa: PLR0913 - each is a setting of the client
        self,
        domain: str,
        *,
        key: Secret | Callable[[], Awaitable[str]],
        timeouts: Timeouts,
        retry: RetryPolicy,
        throttle: Throttle,
        http: AsyncBaseTransport | None,
        proxy: str | None,
        ssl_context: object,
        user_agent: str,
        grace: float,
        on_event: OnEvent | None,
        draw: Callable[[], float],
    ) -> None:
        emitter = EventEmitter(on_event)
        self.transport = Transport(
            address=parse_address(domain),
            key=key,
            timeouts=timeouts,
            throttle=throttle,
            http=http,
            proxy=proxy,
            ssl_context=ssl_context,  # type: ignore[arg-type] # what a test gives
            user_agent=user_agent,
            draw=draw,
        )
        settings = PipelineSettings(
            domain=domain,
            timeouts=timeouts,
            retry=attrs.evolve(retry, draw=draw),
            throttle=throttle,
            binding=Binding.GET,
            read_only=False,
            show_sensitive=False,
            ledger=None,
            grace=grace,
            for_tests=True,
        )
        self.executor = CallExecutor(self.transport, settings, emitter)
        self.executor._codec = _Checks(settings, self.transport, emitter)
        self.emitter = emitter

    async def exchange(
        self,
        request: Request,
        check: Check,
        limits: CallLimits,
        *,
        settled: Callable[[CallResult], Coroutine[object, None, None]] | None = None,
    ) -> CallResult:
        """Make a call. Errors are in what comes back; they are not raised."""
        executor = self.executor
        self.transport.lifecycle.check_usable()
        call = _Checked(request, limits, check)
        if not call.writes:
            await executor.run_attempts(call, executor._read)
            return result(call)
        call.intent = Intent("id", request.operation, {}, datetime.now(UTC), 0, frozenset())
        call.observer = None if settled is None else _Settled(call, settled)
        call.recorded = True
        report = CallReport(self.emitter, call).__enter__()  # never left: it emits nothing
        await executor._attempts_of_write(call, report)
        return result(call)

    async def open(self, request: Request, head: ReadHead, limits: CallLimits) -> Opened:
        """Make a call whose response is read as it comes."""
        state = CallState(request, limits, network_time=NetworkTimeBudget(limits.total))
        call = StreamedCall(state, self.executor.run_attempts, self.transport)
        return Opened(call, await call.open(head))

    def stats(self) -> ClientStats:
        """What is going on."""
        return self.executor.stats()

    def end_pause(self) -> None:
        """End all pauses."""
        self.executor.end_pause()

    def scrub(self, text: str) -> str:
        """A text without the key."""
        return self.transport.scrub(text)

    async def aclose(self) -> None:
        """Close all connections."""
        await self.transport.aclose()
