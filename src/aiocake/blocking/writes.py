"""Count the writes of one call, for the error of an interrupted call."""

from collections import Counter
from collections.abc import Iterator
from typing import Final

from aiocake.errors import Intent, Outcome

_TEXTS: Final = {
    Outcome.DONE: "done",
    Outcome.NOT_DONE: "not done",
    Outcome.UNKNOWN: "outcome unknown: look before you send it again",
}


class WriteTally:
    """The writes of one call: one, or many where it is a run."""

    def __init__(self) -> None:
        self._open: dict[str, Intent] = {}
        self._ended: dict[tuple[str, Outcome], int] = {}
        self._last: Intent | None = None

    def begun(self, intent: Intent) -> None:
        """Count a write that is about to be sent."""
        self._open[intent.id] = self._last = intent

    def ended(self, intent: Intent, outcome: Outcome) -> None:
        """Count how a write ended."""
        self._open.pop(intent.id, None)
        key = intent.operation, outcome
        self._ended[key] = self._ended.get(key, 0) + 1

    def lines(self) -> Iterator[str]:
        """Yield what became of the writes; what has not ended has an unknown outcome."""
        ended = Counter(self._ended)
        for intent in tuple(self._open.values()):
            ended[intent.operation, Outcome.UNKNOWN] += 1
        only = self._last if ended.total() == 1 else None
        for (operation, outcome), count in ended.items():
            if only is None:
                yield f"{operation}: {count} {_TEXTS[outcome]}"
            else:
                shown = ", ".join(f"{name}={value!r}" for name, value in only.shown().items())
                yield f"{operation}({shown}): {_TEXTS[outcome]} (intent {only.id})"
