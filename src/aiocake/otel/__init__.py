"""Traces and metrics by OpenTelemetry: spans of calls, attempts and runs, and what to alert on.

::

    from aiocake import Client, otel

    async with Client("yourdomain.cake.com", api_key=key, on_event=otel.listener()) as cake:
        ...

It needs the extra ``otel``, which brings OpenTelemetry's API. Your application chooses SDK and
exporters; without an SDK nothing is recorded. Nothing here is global: what has no such listener is
not observed. docs/observability.md lists all spans, metrics and attributes.

While an attempt of a client with this listener is under way, instrumentations of HTTP libraries are
suppressed for it. They would record it a second time, and with the key in the URL.
"""

from importlib.util import find_spec

try:
    from opentelemetry.metrics import MeterProvider, get_meter_provider
    from opentelemetry.trace import TracerProvider, get_tracer_provider
except ModuleNotFoundError as _error:
    raise ModuleNotFoundError(
        "aiocake.otel: opentelemetry-api missing: pip install 'aiocake[otel]'", name=_error.name
    ) from None

from aiocake.errors import ConfigurationError
from aiocake.events import OnEvent, ignore
from aiocake.otel.telemetry import Telemetry as _Telemetry

__all__ = ["listener"]


def listener(
    *,
    tracer_provider: TracerProvider | None = None,
    meter_provider: MeterProvider | None = None,
) -> OnEvent:
    """Return a listener for ``Client(on_event=…)`` that records spans and metrics.

    One listener can serve any number of clients. To have the events yourself as well, combine it
    with another one: :func:`aiocake.events.fan_out`.

    Where there is no SDK, it is :func:`aiocake.events.ignore`, and costs nothing. Set a provider
    that is not of the package ``opentelemetry-sdk`` before you call this, or pass it.

    Args:
        tracer_provider: Makes the spans; by default the global one, whenever that is set.
        meter_provider: Makes the metrics; by default the global one, whenever that is set.

    Returns:
        The listener.

    Raises:
        ConfigurationError: A provider is none of OpenTelemetry.
    """
    passed = (
        ("tracer_provider", tracer_provider, TracerProvider),
        ("meter_provider", meter_provider, MeterProvider),
    )
    wrong = [
        f"{name}: must be a {kind.__name__} of OpenTelemetry"
        for name, value, kind in passed
        if not isinstance(value, kind | None)  # pyright: ignore[reportUnnecessaryIsInstance] - callers err
    ]
    if wrong:
        raise ConfigurationError("; ".join(wrong))
    if tracer_provider is None and meter_provider is None and not _is_recorded():
        return ignore
    return _Telemetry(tracer_provider, meter_provider)


def _is_recorded() -> bool:
    """Return True unless there is nothing but the API, which records nothing."""
    providers = get_tracer_provider(), get_meter_provider()
    own = all(type(each).__module__.startswith("opentelemetry.") for each in providers)
    return not own or find_spec("opentelemetry.sdk") is not None
