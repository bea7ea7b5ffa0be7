"""The spans of a call and of a run.

A call's span and those of its attempts are made when the call has ended, with the times that were
taken: nothing of them is ever the current span of the caller. HTTP attributes are those of
OpenTelemetry's stable conventions for HTTP clients: one CLIENT span for each attempt, with
``http.request.resend_count`` from the second on
(https://opentelemetry.io/docs/specs/semconv/http/http-spans/).
"""

import time
from collections.abc import Mapping
from functools import lru_cache
from typing import Final
from urllib.parse import urlsplit

import attrs
from opentelemetry.context import Context
from opentelemetry.trace import (
    INVALID_SPAN,
    Link,
    Span,
    SpanKind,
    StatusCode,
    Tracer,
    set_span_in_context,
)
from opentelemetry.util.types import AttributeValue

from aiocake.errors import Outcome
from aiocake.events import AttemptBegan, AttemptEnded, CallEnded, RunBegan, RunEnded

#: The first status that is an error to a client.
_FAILED: Final = 400
_NANOSECONDS: Final = 1_000_000_000

Attributes = Mapping[str, AttributeValue]


@attrs.frozen
class Attempt:
    """The recorded facts of one attempt.

    Attributes:
        began: Its beginning.
        began_at: When that was, in nanoseconds since 1970.
        ended: Its end.
        ended_at: When that was.
    """

    began: AttemptBegan
    began_at: int
    ended: AttemptEnded
    ended_at: int


@attrs.define
class OpenRun:
    """A bulk run that has not ended.

    Attributes:
        span: Its span.
        began: What it began with.
        before: The context around it.
        context: The context of what it does.
    """

    span: Span
    began: RunBegan
    before: Context
    context: Context


@lru_cache(maxsize=1024)
def endpoint(server: str) -> Attributes:
    """Return the attributes of a server, of its URL without a path."""
    parts = urlsplit(server)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return {"server.address": parts.hostname or "", "server.port": port}


def error_type(ended: AttemptEnded) -> str | None:
    """Return the ``error.type`` of an attempt: the status where that says so, or the error."""
    if ended.status is not None and ended.status >= _FAILED:
        return str(ended.status)
    return ended.error


def record_call(  # noqa: PLR0913 - what is known of a call
    tracer: Tracer,
    ended: CallEnded,
    context: Context,
    *,
    run: OpenRun | None,
    attempts: list[Attempt],
    queue_seconds: float,
) -> None:
    """Make the span of a call, and those of its attempts.

    Args:
        tracer: Makes them.
        ended: The end of the call.
        context: That of the caller, whose current span is the parent.
        run: The run that the call belongs to. Its span is linked then, and the call has a trace of
            its own: one of 10,000 calls would help nobody.
        attempts: The attempts.
        queue_seconds: How long the call waited in the throttle's queue.
    """
    at = time.time_ns()
    links: list[Link] | None = None
    if run is not None:
        context = set_span_in_context(INVALID_SPAN, context)
        links = [Link(run.span.get_span_context())]
    began = at - int(ended.seconds * _NANOSECONDS)
    if attempts:  # whatever came in between on this machine, no attempt began before its call
        began = min(began, attempts[0].began_at)
    span = tracer.start_span(
        ended.operation,
        context,
        SpanKind.INTERNAL,
        _of_call(ended, queue_seconds),
        links,
        began,
    )
    if not span.is_recording():
        return
    unknown = ended.outcome is Outcome.UNKNOWN
    if unknown or ended.error is not None:
        span.set_status(StatusCode.ERROR, ended.error or "the outcome is unknown")
    under = set_span_in_context(span, context)
    for each in attempts:
        _record_attempt(tracer, each, under)
    span.end(at)


def _of_call(ended: CallEnded, queue_seconds: float) -> Attributes:
    attributes: dict[str, AttributeValue] = {
        "aiocake.attempts": ended.attempts,
        "aiocake.queue.seconds": queue_seconds,
    }
    if ended.outcome is not None:
        attributes["aiocake.outcome"] = ended.outcome.value
    if ended.intent is not None:
        attributes["aiocake.intent.id"] = ended.intent
    if ended.error is not None:
        attributes["error.type"] = ended.error
    if ended.cancelled:
        attributes["aiocake.cancelled"] = True
    return attributes


def _record_attempt(tracer: Tracer, attempt: Attempt, context: Context) -> None:
    began, ended = attempt.began, attempt.ended
    attributes: dict[str, AttributeValue] = {
        "http.request.method": began.method,
        **endpoint(began.server),
        "url.full": began.server + (began.path or ""),
    }
    name = began.method
    if began.path is not None:
        attributes["url.template"] = began.path
        name += f" {began.path}"
    if began.number > 1:
        attributes["http.request.resend_count"] = began.number - 1
    if ended.status is not None:
        attributes["http.response.status_code"] = ended.status
    failure = error_type(ended)
    if failure is not None:
        attributes["error.type"] = failure
    span = tracer.start_span(name, context, SpanKind.CLIENT, attributes, None, attempt.began_at)
    if failure is not None:
        span.set_status(StatusCode.ERROR, ended.error)
    span.end(attempt.ended_at)


def begin_run(tracer: Tracer, began: RunBegan, context: Context) -> Span:
    """Begin the span of a run."""
    attributes: dict[str, AttributeValue] = {"aiocake.run.resumed": began.resumed}
    if began.total is not None:
        attributes["aiocake.run.total"] = began.total
    return tracer.start_span("bulk.run", context, SpanKind.INTERNAL, attributes)


def end_run(span: Span, ended: RunEnded) -> None:
    """End the span of a run."""
    if span.is_recording():
        counts = {"conflicts": ended.conflicts, **counts_of(ended)}
        span.set_attributes({f"aiocake.run.{name}": count for name, count in counts.items()})
        span.set_attribute("aiocake.run.stopped", ended.stopped)
        if ended.cancelled:
            span.set_attribute("aiocake.cancelled", value=True)
        if ended.error is not None:
            span.set_attribute("error.type", ended.error)
            span.set_status(StatusCode.ERROR, ended.error)
    span.end()


def counts_of(event: RunBegan | RunEnded) -> dict[str, int]:
    """Return how many calls of a run have ended in which state."""
    return {
        "done": event.done,
        "failed": event.failed,
        "unknown": event.unknown,
        "skipped": event.skipped,
    }
