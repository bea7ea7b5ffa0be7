"""The outcome of a call: of the whole call, not of its last attempt.

The first attempt may have been carried out and its response lost, while the second one is refused
or finds no connection: "not done" would be untrue. So a write ends in a verified response, in an
error that says it was not done, or in OutcomeUnknown; nothing else. The event of a call's end tells
so, once, whatever way the end comes.
"""

from types import TracebackType
from typing import Self

import attrs

from aiocake._codec import codec
from aiocake._listener import EventEmitter
from aiocake._pipeline.call_state import CallState
from aiocake._pipeline.retry import is_refusal
from aiocake.errors import CakeError, Outcome, OutcomeUnknown
from aiocake.events import CallEnded


def verdict(call: CallState, error: CakeError) -> CakeError:
    """Return the error to raise for a call that failed.

    Args:
        call: The call, which has ended.
        error: What the last attempt met: the call's own error, or that of decoding its response.
    """
    intent = call.intent
    if intent is None or not _may_be_done(call, error):
        told = call.told(error)
        told.operation = call.name
        if intent is not None:
            told.outcome = Outcome.NOT_DONE
        return told
    error.operation = call.name
    unknown = OutcomeUnknown(
        f"{call.name} may have been carried out: {error}",
        intent=attrs.evolve(intent, attempts=call.attempts, at=call.left_at or intent.at),
        cause=error,
        applied_likely=call.applied_likely or any(map(codec.applied_likely, call.partial)),
    )
    error.outcome = Outcome.UNKNOWN
    unknown.operation = call.name
    return unknown


def _may_be_done(call: CallState, error: CakeError) -> bool:
    """Return whether a write that failed may have been carried out.

    A look at the record changes nothing: what it meets says nothing of the attempts before it.
    """
    if call.ended_by_look:
        return call.maybe_done or (call.condition is not None and call.condition.in_doubt)
    return call.sent_before or (call.sent and not is_refusal(error))


class CallReport:
    """A context manager around a call that emits its CallEnded.

    It is entered once more by what goes on without its caller; the last one to leave emits.

    Args:
        emitter: Takes the event.
        call: The call.

    Attributes:
        outcome: Of a write, what became of it, as far as it is known.
    """

    __slots__ = ("_began", "_call", "_cancelled", "_emitter", "_entered", "_error", "outcome")

    def __init__(self, emitter: EventEmitter, call: CallState) -> None:
        self._emitter = emitter
        self._call = call
        self._error: str | None = None
        self._cancelled = False
        self._entered = 0
        self.outcome: Outcome | None = Outcome.NOT_DONE if call.writes else None
        # The log does not say how long a call took.
        self._began = emitter.now() if emitter.enabled else 0.0

    def finish(self, failure: CakeError | None) -> None:
        """Record the error that the call ends in, or its success."""
        if failure is not None:
            self._fail(failure)
        elif self.outcome is not None:
            self.outcome = Outcome.DONE

    def __enter__(self) -> Self:
        self._entered += 1
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if isinstance(error, Exception):
            self._fail(error)
        elif error is not None:
            self._cancelled = True
        self._entered -= 1
        if not self._entered and (self._emitter.enabled or self.outcome is Outcome.UNKNOWN):
            self.emit(cancelled=self._cancelled)

    def emit(self, *, cancelled: bool) -> None:
        """Emit the event."""
        call = self._call
        took = self._emitter.now() - self._began if self._emitter.enabled else 0.0
        intent = None if call.intent is None else call.intent.id
        self._emitter.emit(
            CallEnded(
                call.name,
                call.attempts,
                took,
                self.outcome,
                self._error,
                intent,
                cancelled,
                call.number,
            )
        )

    def _fail(self, error: Exception) -> None:
        self._error = type(error).__name__
        if isinstance(error, CakeError) and self.outcome is not None and error.outcome is not None:
            self.outcome = error.outcome
