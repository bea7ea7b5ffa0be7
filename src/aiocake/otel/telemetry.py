"""The listener: keeps the calls and runs under way, and turns their events into telemetry.

The first event of a call comes in the context of its caller, so the span that is current then is
its parent, in whichever task the rest happens.
"""

import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, cast

from opentelemetry.context import Context, attach, create_key, get_current
from opentelemetry.metrics import MeterProvider, get_meter
from opentelemetry.trace import TracerProvider, get_tracer

from aiocake._version import version
from aiocake.errors import Outcome
from aiocake.events import (
    AttemptBegan,
    AttemptEnded,
    CallEnded,
    Event,
    Paused,
    RetryScheduled,
    RunBegan,
    RunEnded,
    Waited,
)
from aiocake.otel.metrics import Instruments
from aiocake.otel.spans import (
    Attempt,
    OpenRun,
    begin_run,
    counts_of,
    end_run,
    endpoint,
    error_type,
    record_call,
)

try:
    from opentelemetry.instrumentation.utils import suppress_http_instrumentation
except ImportError:

    @contextmanager
    def suppress_http_instrumentation() -> Generator[None]:
        """Do nothing: without that package, no library is instrumented."""
        yield


if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.util.types import AttributeValue

_NAME: Final = "aiocake"
_OPERATION: Final = "aiocake.operation"
#: Where a context has the run that is under way in it.
_RUN: Final = create_key("aiocake-run")


class OpenCall:
    """A call that has not ended.

    Attributes:
        context: The context of its caller.
        queue_seconds: How long it waited in the throttle's queue.
        attempts: The attempts that have ended.
        began: The attempt under way, or the last one.
        began_at: When it began, in nanoseconds since 1970.
        before: The context around that attempt.
        suppressed: The context of that attempt.
    """

    __slots__ = (
        "attempts",
        "before",
        "began",
        "began_at",
        "context",
        "queue_seconds",
        "suppressed",
    )

    def __init__(self, context: Context) -> None:
        self.context: Context = context
        self.before: Context = context
        self.queue_seconds: float = 0.0
        self.attempts: list[Attempt] = []
        self.began: AttemptBegan | None = None
        self.began_at: int = 0
        self.suppressed: Context | None = None


class Telemetry:
    """Records spans and metrics of the events that it is called with.

    Args:
        tracer_provider: Makes the spans; None for the global one.
        meter_provider: Makes the metrics; None for the global one.
    """

    def __init__(
        self, tracer_provider: TracerProvider | None, meter_provider: MeterProvider | None
    ) -> None:
        self._tracer = get_tracer(_NAME, version(), tracer_provider)
        self._instruments = Instruments(get_meter(_NAME, version(), meter_provider))
        self._calls: dict[int, OpenCall] = {}
        self._handlers: dict[type[object], Callable[[Any], None]] = {
            Waited: self._waited,
            AttemptBegan: self._attempt_began,
            AttemptEnded: self._attempt_ended,
            RetryScheduled: self._retry_scheduled,
            Paused: self._paused,
            CallEnded: self._call_ended,
            RunBegan: self._run_began,
            RunEnded: self._run_ended,
        }

    def __call__(self, event: Event) -> None:
        """Record an event."""
        handler = self._handlers.get(type(event))
        if handler is not None:
            handler(event)

    def _open(self, number: int, context: Context) -> OpenCall:
        call = self._calls.get(number)
        if call is None:
            call = self._calls[number] = OpenCall(context)
        return call

    def _waited(self, event: Waited) -> None:
        self._open(event.call, get_current()).queue_seconds += event.seconds
        self._instruments.throttle_wait.record(event.seconds, {_OPERATION: event.operation})

    def _attempt_began(self, event: AttemptBegan) -> None:
        context = get_current()
        call = self._open(event.call, context)
        call.began, call.began_at, call.before = event, time.time_ns(), context
        # The attempt is made in the task that this is called in, and ends there.
        with suppress_http_instrumentation():
            # A copy: without instrumentations it is still the caller's own.
            call.suppressed = Context(get_current())
        attach(call.suppressed)
        self._instruments.requests_active.add(1, endpoint(event.server))

    def _attempt_ended(self, event: AttemptEnded) -> None:
        call = self._calls[event.call]
        began = cast("AttemptBegan", call.began)
        # A coroutine that is thrown away ends wherever that happens: not in a context of ours.
        if get_current() is call.suppressed:
            attach(call.before)
        call.attempts.append(Attempt(began, call.began_at, event, time.time_ns()))
        server = endpoint(began.server)
        self._instruments.requests_active.add(-1, server)
        attributes = {"http.request.method": began.method, **server}
        if event.status is not None:
            attributes["http.response.status_code"] = event.status
        failure = error_type(event)
        if failure is not None:
            attributes["error.type"] = failure
        self._instruments.request_duration.record(event.seconds, attributes)

    def _retry_scheduled(self, event: RetryScheduled) -> None:
        attributes = {_OPERATION: event.operation, "error.type": event.error}
        self._instruments.retries.add(1, attributes)

    def _paused(self, event: Paused) -> None:
        attributes: dict[str, AttributeValue] = {
            _OPERATION: event.operation,
            "aiocake.throttle.refused": event.refused,
        }
        self._instruments.throttle_pauses.add(1, attributes)

    def _call_ended(self, event: CallEnded) -> None:
        call = self._calls.pop(event.call, None) or OpenCall(get_current())
        attributes: dict[str, AttributeValue] = {_OPERATION: event.operation}
        if event.outcome is Outcome.UNKNOWN:
            self._instruments.writes_unknown.add(1, attributes)
        if event.outcome is not None:
            attributes = {**attributes, "aiocake.outcome": event.outcome.value}
        if event.error is not None:
            attributes["error.type"] = event.error
        if event.cancelled:
            attributes["aiocake.cancelled"] = True
        self._instruments.operation_duration.record(event.seconds, attributes)
        run = cast("OpenRun | None", call.context.get(_RUN))
        record_call(
            self._tracer,
            event,
            call.context,
            run=run,
            attempts=call.attempts,
            queue_seconds=call.queue_seconds,
        )

    def _run_began(self, event: RunBegan) -> None:
        before = get_current()
        run = OpenRun(begin_run(self._tracer, event, before), event, before, before)
        # Of the task that this is called in, and so of those that the run starts.
        run.context = Context({**before, _RUN: run})
        attach(run.context)

    def _run_ended(self, event: RunEnded) -> None:
        context = get_current()
        run = cast("OpenRun | None", context.get(_RUN))
        if run is None:  # the listener was not there when it began
            return
        if context is run.context:
            attach(run.before)
        end_run(run.span, event)
        before = counts_of(run.began)
        for state, count in counts_of(event).items():
            if count > before[state]:
                self._instruments.run_calls.add(count - before[state], {"aiocake.run.state": state})
