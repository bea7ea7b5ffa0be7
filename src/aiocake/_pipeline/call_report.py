"""The end of one call, told once, whatever way it comes."""

from types import TracebackType
from typing import Self

from aiocake._listener import EventEmitter
from aiocake.errors import CakeError, Outcome
from aiocake.events import CallEnded


class CallReport:
    """What is known of the end of a call; a context around the call, which tells it.

    Args:
        emitter: Is told.
        operation: The operation's name.
        intent: Of a write, the id of its intent; None of a read.

    Attributes:
        outcome: Of a write, what became of it, as far as it is known.
    """

    __slots__ = ("_attempts", "_began", "_emitter", "_error", "_intent", "_operation", "outcome")

    def __init__(self, emitter: EventEmitter, operation: str, intent: str | None) -> None:
        self._emitter = emitter
        self._operation = operation
        self._intent = intent
        self._error: str | None = None
        self._attempts = 0
        self.outcome: Outcome | None = None if intent is None else Outcome.NOT_DONE
        # The log does not say how long a call took.
        self._began = emitter.now() if emitter.enabled else 0.0

    def count(self, attempts: int) -> None:
        """So many attempts were begun."""
        self._attempts = attempts

    def finish(self, failure: CakeError | None) -> None:
        """What became of it: the error that it ends in, or None."""
        self._fail(failure)
        if failure is None and self._intent is not None:
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
        """Tell it."""
        took = self._emitter.now() - self._began if self._emitter.enabled else 0.0
        self._emitter.emit(
            CallEnded(
                self._operation,
                self._attempts,
                took,
                self.outcome,
                self._error,
                self._intent,
                cancelled,
            )
        )

    def _fail(self, error: Exception | None) -> None:
        if error is None:
            return
        self._error = type(error).__name__
        if isinstance(error, CakeError) and self._intent is not None and error.outcome is not None:
            self.outcome = error.outcome
