"""The instruments, by the names and units of docs/observability.md.

``http.client.request.duration`` and its buckets are of OpenTelemetry's semantic conventions for
HTTP (https://opentelemetry.io/docs/specs/semconv/http/http-metrics/); the others are our own.
"""

from typing import Final

from opentelemetry.metrics import Counter, Histogram, Meter, UpDownCounter

#: Seconds: the boundaries that the conventions recommend.
_SHORT: Final = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
#: Seconds: a call has its retries and its wait in the queue in it, and may be an export.
_LONG: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)


class Instruments:
    """The instruments of one listener.

    Args:
        meter: Makes them.
    """

    def __init__(self, meter: Meter) -> None:
        self.writes_unknown: Counter = meter.create_counter(
            "aiocake.writes.unknown",
            unit="{write}",
            description="Writes that may have been carried out: somebody has to look.",
        )
        self.operation_duration: Histogram = meter.create_histogram(
            "aiocake.operation.duration",
            unit="s",
            description="Duration of calls, with their waits and retries.",
            explicit_bucket_boundaries_advisory=_LONG,
        )
        self.request_duration: Histogram = meter.create_histogram(
            "http.client.request.duration",
            unit="s",
            description="Duration of HTTP client requests.",
            explicit_bucket_boundaries_advisory=_SHORT,
        )
        self.requests_active: UpDownCounter = meter.create_up_down_counter(
            "aiocake.requests.active",
            unit="{request}",
            description="HTTP requests under way.",
        )
        self.retries: Counter = meter.create_counter(
            "aiocake.retries", unit="{retry}", description="Attempts after the first of a call."
        )
        self.throttle_wait: Histogram = meter.create_histogram(
            "aiocake.throttle.wait",
            unit="s",
            description="Time for which calls waited in the throttle's queue, of those that did.",
            explicit_bucket_boundaries_advisory=_SHORT,
        )
        self.throttle_pauses: Counter = meter.create_counter(
            "aiocake.throttle.pauses",
            unit="{pause}",
            description="Pauses of a client after a throttled response.",
        )
        self.run_calls: Counter = meter.create_counter(
            "aiocake.run.calls", unit="{call}", description="Calls of bulk runs, by how they ended."
        )
