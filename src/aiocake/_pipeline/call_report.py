"""The report of one call's end, made once, whatever way the end comes."""

from types import TracebackType
from typing import Self

from aiocake._listener import EventEmitter
from aiocake._pipeline.call_state import CallState
from aiocake.errors import CakeError, Outcome
from aiocake.events import CallEnded


class CallReport:
    """A context manager around a call that emits its CallEnded.

    Args:
        emitter: Takes the event.
        call: The call.

    Attributes:
        outcome: Of a write, what became of it, as far as it is known.
    """

    __slots__ = ("_began", "_call", "_emitter", "_error", "outcome")

    def __init__(self, emitter: EventEmitter, call: CallState) -> None:
        self._emitter = emitter
        self._call = call
        self._error: str | None = None
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
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if isinstance(error, Exception):
            self._fail(error)
        if self._emitter.enabled or self.outcome is Outcome.UNKNOWN:
            self.emit(cancelled=error is not None and not isinstance(error, Exception))

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
