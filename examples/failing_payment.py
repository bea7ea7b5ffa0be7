"""The spans of a payment that fails, as text.

    python examples/failing_payment.py      # pip install 'aiocake[otel]' opentelemetry-sdk

An invoice is set to paid. CAKE is overloaded; then, twice, the connection breaks before the answer
comes. So the payment may have been recorded, and somebody has to look. docs/observability.md shows
what this prints.
"""

import asyncio
from collections.abc import Iterator, Sequence

import httpx
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from aiocake import Client, OutcomeUnknown, RetryPolicy, otel


async def pay(provider: TracerProvider) -> None:
    """Set an invoice to paid, where CAKE fails three times."""
    failures: Iterator[httpx.Response | Exception] = iter(
        (httpx.Response(503), httpx.ReadError("reset"), httpx.ReadError("reset"))
    )

    def answer(_: httpx.Request) -> httpx.Response:
        failure = next(failures)
        if isinstance(failure, Exception):
            raise failure
        return failure

    async with Client(
        "yourdomain.cake.com",
        "SOME-KEY",
        transport=httpx.MockTransport(answer),
        # Without jitter, the same is printed each time.
        retry=RetryPolicy(base=0.01, throttle_base=0.01, draw=lambda: 0.5),
        on_event=otel.listener(tracer_provider=provider),
    ) as cake:
        with provider.get_tracer("billing").start_as_current_span("pay invoices of June"):
            try:
                await cake.invoices.update(4821, invoice_status="paid")
            except OutcomeUnknown as error:
                print(error, end="\n\n")


def lines(
    spans: Sequence[ReadableSpan], parent: int | None = None, depth: int = 0
) -> Iterator[str]:
    """Return the spans below a parent, in the order in which they began."""
    below = [span for span in spans if (span.parent.span_id if span.parent else None) == parent]
    for span in sorted(below, key=lambda span: span.start_time or 0):
        indent = "    " * depth
        yield f"{indent}{span.name}  [{span.kind.name}, {span.status.status_code.name}]"
        for name, value in sorted((span.attributes or {}).items()):
            yield f"{indent}  {name} = {value!s}"
        yield from lines(spans, span.context.span_id if span.context else None, depth + 1)


def main() -> None:
    """Pay, and print the spans."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    asyncio.run(pay(provider))
    print("\n".join(lines(exporter.get_finished_spans())))


if __name__ == "__main__":
    main()
