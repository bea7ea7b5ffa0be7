# ruff: noqa: ANN001 - the stage comes from a conftest, whose types cannot be imported
"""aiocake.otel: the spans and metrics of calls and runs, and their names."""

import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import httpx
import pytest
from opentelemetry import context, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, Metric
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.semconv.attributes import (
    error_attributes,
    http_attributes,
    server_attributes,
    url_attributes,
)
from opentelemetry.semconv.metrics import http_metrics
from opentelemetry.trace import SpanKind, StatusCode

from aiocake import (
    ArgumentError,
    CakeError,
    Client,
    ConfigurationError,
    NotSent,
    Outcome,
    OutcomeUnknown,
    Throttle,
    blocking,
    bulk,
    events,
    otel,
)
from aiocake.bulk import Call
from aiocake.events import ignore
from aiocake.sandbox import Sandbox

from ..support.clients import KEY, in_process

pytestmark = pytest.mark.anyio

NAMES = Path(__file__).with_name("telemetry.txt")
UPDATE = "POST /api/2/update_invoice.json"
PAGE = "GET /api/2/invoices.json"


class Recorded:
    """A listener of aiocake.otel, and what it has recorded."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        self.provider = TracerProvider(shutdown_on_exit=False)
        self.provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.reader = InMemoryMetricReader()
        self.meters = MeterProvider([self.reader], shutdown_on_exit=False)
        self.listener = otel.listener(tracer_provider=self.provider, meter_provider=self.meters)
        self.tracer = self.provider.get_tracer("test")

    @property
    def spans(self) -> list[ReadableSpan]:
        """The spans that have ended, by when they began; parents first."""
        spans = self._exporter.get_finished_spans()
        return sorted(spans, key=lambda span: (span.start_time, span.kind is SpanKind.CLIENT))

    def points(self, name: str) -> dict[tuple[tuple[str, object], ...], float]:
        """The points of a metric: what was counted, or how often, by its attributes."""
        return {
            tuple(sorted((point.attributes or {}).items())): getattr(point, "value", None)
            if hasattr(point, "value")
            else point.count
            for metric in self.metrics()
            if metric.name == name
            for point in metric.data.data_points
        }

    def metrics(self) -> Iterator[Metric]:
        """The metrics that have points."""
        data = self.reader.get_metrics_data()
        for resource in [] if data is None else data.resource_metrics:
            for scope in resource.scope_metrics:
                assert scope.scope.name == "aiocake"
                yield from scope.metrics


@pytest.fixture
def recorded() -> Iterator[Recorded]:
    """Record; in the end nothing is kept of any call."""
    recorded = Recorded()
    yield recorded
    assert recorded.listener._calls == {}  # type: ignore[attr-defined]
    recorded.provider.shutdown()
    recorded.meters.shutdown()


def attributes(span: ReadableSpan) -> Mapping[str, object]:
    return dict(span.attributes or {})


def parent(span: ReadableSpan) -> int | None:
    return None if span.parent is None else span.parent.span_id


def number(span: ReadableSpan) -> int:
    assert span.context is not None
    return span.context.span_id


async def test_a_payment_that_needs_three_attempts(stage, recorded) -> None:
    cake = stage.client(503, stage.lost, stage.updated, on_event=recorded.listener)
    async with cake:
        with recorded.tracer.start_as_current_span("payday"):
            await cake.invoices.update(1, invoice_status="approved")
    payday, call, *attempts = recorded.spans
    assert (call.name, call.kind, parent(call)) == (
        "invoices.update",
        SpanKind.INTERNAL,
        number(payday),
    )
    assert call.status.status_code is StatusCode.UNSET
    intent = attributes(call)["aiocake.intent.id"]
    assert attributes(call) == {
        "aiocake.attempts": 3,
        "aiocake.intent.id": intent,
        "aiocake.outcome": "done",
        "aiocake.queue.seconds": 0.0,
    }
    server = {"server.address": "x.example", "server.port": 443}
    always = {
        "http.request.method": "POST",
        **server,
        "url.full": "https://x.example/api/2/update_invoice.json",
        "url.template": "/api/2/update_invoice.json",
    }
    assert [attributes(span) for span in attempts] == [
        {**always, "http.response.status_code": 503, "error.type": "503"},
        {**always, "http.request.resend_count": 1, "error.type": "DecodeError"},
        {**always, "http.request.resend_count": 2, "http.response.status_code": 200},
    ]
    assert [span.status.status_code for span in attempts] == [
        StatusCode.ERROR,
        StatusCode.ERROR,
        StatusCode.UNSET,
    ]
    ends = [call.start_time]
    for span in attempts:
        assert (span.name, span.kind, parent(span)) == (UPDATE, SpanKind.CLIENT, number(call))
        # One after the other, inside of the call.
        assert ends[-1] <= span.start_time <= span.end_time <= call.end_time
        ends.append(span.end_time)
    key = tuple(sorted({"http.request.method": "POST", **server}.items()))
    assert sum(recorded.points("http.client.request.duration").values()) == 3
    assert recorded.points("aiocake.requests.active") == {key[1:]: 0}
    assert sum(recorded.points("aiocake.retries").values()) == 2
    assert recorded.points("aiocake.operation.duration") == {
        (("aiocake.operation", "invoices.update"), ("aiocake.outcome", "done")): 1
    }
    assert recorded.points("aiocake.writes.unknown") == {}


async def test_a_payment_whose_outcome_is_unknown(stage, recorded) -> None:
    async with stage.client(stage.lost, on_event=recorded.listener) as cake:
        with pytest.raises(OutcomeUnknown):
            await cake.invoices.update(1, invoice_status="paid")
        with pytest.raises(OutcomeUnknown):
            await cake.invoices.update(1, invoice_status="paid")
    call = recorded.spans[0]
    assert attributes(call)["aiocake.outcome"] == "unknown"
    assert (call.status.status_code, call.status.description) == (
        StatusCode.ERROR,
        "OutcomeUnknown",
    )
    assert recorded.points("aiocake.writes.unknown") == {
        (("aiocake.operation", "invoices.update"),): 2
    }


async def test_a_write_whose_caller_is_cancelled(stage, recorded) -> None:
    held = stage.held(stage.updated)
    async with (
        stage.client(held, grace=0, on_event=recorded.listener) as cake,
        anyio.create_task_group() as group,
    ):
        group.start_soon(lambda: cake.invoices.update(1, memo="x"))
        await held.asked.wait()
        assert list(recorded.points("aiocake.requests.active").values()) == [1]
        group.cancel_scope.cancel()
    call, attempt = recorded.spans
    assert attributes(call)["aiocake.cancelled"] is True
    assert call.status.status_code is StatusCode.ERROR
    assert attributes(attempt)["error.type"] == "Cancelled"
    assert list(recorded.points("aiocake.requests.active").values()) == [0]


async def test_calls_that_are_not_sent(stage, recorded) -> None:
    held = stage.held(stage.page)
    throttle = Throttle(concurrency=1, max_waiting=0)
    async with stage.client(held, throttle=throttle, on_event=recorded.listener) as cake:
        with pytest.raises(ArgumentError):
            await cake.invoices.update(1)
        async with anyio.create_task_group() as group:
            group.start_soon(cake.invoices.page)
            await held.asked.wait()
            with pytest.raises(NotSent):
                await cake.invoices.update(1, memo="x")
            held.go_on.set()
    spans = [span for span in recorded.spans if span.name == "invoices.update"]
    found = [
        (attributes(span)["error.type"], attributes(span)["aiocake.attempts"]) for span in spans
    ]
    assert found == [("ArgumentError", 0), ("NotSent", 0)]
    assert sum(recorded.points("aiocake.throttle.wait").values()) == 1


async def test_each_call_is_below_the_span_of_its_caller(stage, recorded) -> None:
    """Two clients have one listener, and their calls overlap."""
    first, second = stage.held(stage.updated), stage.held(stage.updated)

    async def handle(name: str, cake: Client) -> None:
        with recorded.tracer.start_as_current_span(name) as span:
            await cake.invoices.update(1, memo="x")
            assert trace.get_current_span() is span

    async with (
        stage.client(first, on_event=recorded.listener) as cake,
        stage.client(second, on_event=recorded.listener) as other,
        anyio.create_task_group() as group,
    ):
        group.start_soon(handle, "first", cake)
        await first.asked.wait()
        group.start_soon(handle, "second", other)
        await second.asked.wait()
        first.go_on.set()
        second.go_on.set()
    named = {span.name: number(span) for span in recorded.spans}
    calls = [span for span in recorded.spans if span.name == "invoices.update"]
    assert [parent(call) for call in calls] == [named["first"], named["second"]]


async def test_an_export_is_below_the_span_that_was_current_when_it_began(stage, recorded) -> None:
    bills = stage.export(stage.bill(1), stage.bill(2))
    async with stage.client(bills, on_event=recorded.listener) as cake:
        with recorded.tracer.start_as_current_span("outside"):
            async with stage.june(cake) as export:
                with recorded.tracer.start_as_current_span("inside"):
                    assert [bill.bill_id async for bill in export] == [1, 2]
    spans = {span.name: span for span in recorded.spans}
    assert parent(spans["affiliate_bills.export"]) == number(spans["outside"])


def test_a_script_is_the_parent_of_its_calls(recorded) -> None:
    transport = httpx.ASGITransport(app=Sandbox().app)
    with (
        blocking.Client("x.example", KEY, transport=transport, on_event=recorded.listener) as cake,
        recorded.tracer.start_as_current_span("script"),
    ):
        cake.invoices.update(4821, invoice_status="approved")
    script, call, _ = recorded.spans
    assert (call.name, parent(call)) == ("invoices.update", number(script))


async def test_a_path_of_your_own_is_not_recorded(stage, recorded) -> None:
    async with stage.client(stage.page, on_event=recorded.listener) as cake:
        with suppress(CakeError):
            await cake.request("PUT", "/api/2/canary/4711.json", repeatable=True)
    _, attempt = recorded.spans
    assert attempt.name == "PUT"
    assert attributes(attempt)["url.full"] == "https://x.example"
    assert "canary" not in "".join(str(span.to_json()) for span in recorded.spans)


async def test_an_unsampled_caller_has_no_spans(stage, recorded) -> None:
    unsampled = trace.NonRecordingSpan(trace.SpanContext(1, 2, is_remote=False))
    async with stage.client(stage.page, on_event=recorded.listener) as cake:
        with trace.use_span(unsampled):
            await cake.invoices.page()
    assert recorded.spans == []
    assert sum(recorded.points("http.client.request.duration").values()) == 1


# Runs


def updates(cake: Client, *ids: int) -> list[Call[object]]:
    return [bulk.call(cake.invoices.update, each, memo="x") for each in ids]


async def test_the_calls_of_a_run_are_linked_to_it(recorded, tmp_path) -> None:
    sandbox = Sandbox(invoices=5)
    known = list(sandbox.state.invoices)[:3]
    async with in_process(sandbox, on_event=recorded.listener) as cake:
        with recorded.tracer.start_as_current_span("month end"):
            around = context.get_current()
            stop = bulk.Stop(failed=1)
            plan = updates(cake, known[0], 1, *known[1:])
            await bulk.each(plan, journal=tmp_path / "run.db", limit=1, stop_after=stop)
            assert context.get_current() is around
            await bulk.resume(tmp_path / "run.db", cake, stop_after=None)
            assert context.get_current() is around
    outer, first, *_ = recorded.spans
    runs = [span for span in recorded.spans if span.name == "bulk.run"]
    assert runs[0] is first
    assert [parent(run) for run in runs] == [number(outer)] * 2
    found = [
        {name.removeprefix("aiocake.run."): each for name, each in attributes(run).items()}
        for run in runs
    ]
    counts = {"total": 4, "unknown": 0, "skipped": 0, "conflicts": 0}
    assert found == [
        {**counts, "resumed": False, "done": 1, "failed": 1, "stopped": True},
        {**counts, "resumed": True, "done": 3, "failed": 1, "stopped": False},
    ]
    calls = [span for span in recorded.spans if span.name == "invoices.update"]
    linked = [[link.context.span_id for link in call.links] for call in calls]
    assert linked == [[number(runs[0])]] * 2 + [[number(runs[1])]] * 3
    # Each call has a trace of its own, and its attempt in it.
    assert [parent(call) for call in calls] == [None] * 5
    assert len({call.context.trace_id for call in calls if call.context}) == 5
    # What an earlier run has done is not counted again.
    assert recorded.points("aiocake.run.calls") == {
        (("aiocake.run.state", "done"),): 3,
        (("aiocake.run.state", "failed"),): 1,
    }


# Names


def test_the_names_are_those_that_are_written_down(recorded) -> None:
    """They are public: ``telemetry.txt`` has them, and a change of one is a change of the API."""
    name, call = "invoices.update", 7
    request = {"method": "POST", "path": "/api/2/update_invoice.json", "call": call}
    for event in (
        events.RunBegan(9, resumed=False),
        events.Waited(name, 1.0, got_turn=True, call=call),
        events.AttemptBegan(name, 1, server="https://x.example", **request),
        events.AttemptEnded(name, 1, 1.0, 503, "RateLimited", sent=True, **request),
        events.Paused(name, 1.0, call=call),
        events.RetryScheduled(name, 2, 1.0, "RateLimited", call),
        events.AttemptBegan(name, 2, server="https://x.example", **request),
        events.AttemptEnded(name, 2, 1.0, None, "Cancelled", sent=True, **request),
        events.CallEnded(name, 2, 9.0, Outcome.UNKNOWN, "OutcomeUnknown", "id", True, call),  # noqa: FBT003
        events.RunEnded(9.0, 1, 1, 1, 1, stopped=True, error="OSError", cancelled=True),
    ):
        recorded.listener(event)
    assert names(recorded) == NAMES.read_text(encoding="utf-8")
    page = (Path(__file__).parents[2] / "docs" / "observability.md").read_text(encoding="utf-8")
    written = re.findall(r"^ *(?:\w+ )?([a-z]\w*(?:\.\w+)+)", names(recorded), re.MULTILINE)
    assert [each for each in written if f"`{each}`" not in page] == []


def test_the_names_of_others_are_those_of_the_conventions() -> None:
    text = NAMES.read_text(encoding="utf-8")
    words = {line.removeprefix("histogram ").split()[0] for line in text.splitlines()}
    theirs = {word for word in words if "." in word and not word.startswith("aiocake")}
    modules = error_attributes, http_attributes, server_attributes, url_attributes, http_metrics
    stable = [value for module in modules for value in vars(module).values()]
    assert {name for name in theirs if name not in stable} == {"url.template"}


def names(recorded: Recorded) -> str:
    """Return the names of all that was recorded, as ``telemetry.txt`` has them."""
    kinds: dict[str, set[str]] = {"bulk.run": set(), "{operation}": set(), "{method} {path}": set()}
    for span in recorded.spans:
        kind = {SpanKind.CLIENT: "{method} {path}"}.get(span.kind, "{operation}")
        kinds["bulk.run" if span.name == "bulk.run" else kind].update(attributes(span))
    lines = []
    for kind, found in kinds.items():
        lines += [f"span {kind}", *(f"    {name}" for name in sorted(found))]
    for metric in sorted(recorded.metrics(), key=lambda metric: metric.name):
        found = {name for point in metric.data.data_points for name in point.attributes or {}}
        form = type(metric.data).__name__.lower()
        lines += [
            f"{form} {metric.name} in {metric.unit}",
            *(f"    {name}" for name in sorted(found)),
        ]
    return "\n".join(lines) + "\n"


# Without an SDK, and without the extra


def test_without_an_sdk_it_costs_nothing(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk", None)
    assert otel.listener() is ignore
    assert otel.listener(tracer_provider=trace.NoOpTracerProvider()) is not ignore

    class Other(trace.NoOpTracerProvider):
        """The provider of another package."""

    monkeypatch.setattr("aiocake.otel.get_tracer_provider", Other)
    assert otel.listener() is not ignore


def test_with_an_sdk_it_listens_whether_or_not_that_is_set_up() -> None:
    assert otel.listener() is not ignore


def test_what_is_no_provider_is_refused() -> None:
    wrong: Any = {"tracer_provider": MeterProvider(), "meter_provider": "global"}
    with pytest.raises(ConfigurationError) as caught:
        otel.listener(**wrong)
    assert str(caught.value) == (
        "tracer_provider: must be a TracerProvider of OpenTelemetry; "
        "meter_provider: must be a MeterProvider of OpenTelemetry"
    )


def test_a_missing_extra_is_told_in_one_line() -> None:
    code = "import sys; sys.modules['opentelemetry'] = None; from aiocake import otel"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    last = ran.stderr.splitlines()[-1]
    assert last == (
        "ModuleNotFoundError: aiocake.otel: opentelemetry-api missing: pip install 'aiocake[otel]'"
    )
