"""Say what is left of a run, who began it and when, before it is resumed."""

import json
import sys
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, Final, cast

import attrs

from aiocake.bulk import Journal
from aiocake.bulk.journal import Entry, EntryState, WorkSession

_ENDED: Final = frozenset({EntryState.DONE, EntryState.SKIPPED})
_LEFT: Final = tuple(state for state in EntryState if state not in _ENDED)
#: Calls that differ in one of these are counted apart: these say what becomes of money.
_APART: Final = ("invoice_status", "apply_credit_to_buyer")
#: So many kinds of calls are said; a plan of more is a strange one.
_MOST_SAID: Final = 10
_UNITS: Final = (("day", 86_400), ("hour", 3_600), ("minute", 60))
_UNKNOWN: Final = "unknown"


@attrs.define
class _Alike:
    """Calls of one operation that are counted together.

    Attributes:
        operation: The operation.
        same: The arguments that all of them have.
        count: How many there are.
    """

    operation: str
    same: dict[str, object]
    count: int = 0

    def add(self, arguments: dict[str, object]) -> None:
        self.count += 1
        for name in [n for n, value in self.same.items() if arguments.get(n, ...) != value]:
            del self.same[name]

    def __str__(self) -> str:
        said = ", ".join(f"{name} {_said(value)}" for name, value in self.same.items())
        return f"{self.count} {_times()} {self.operation}{f' ({said})' if said else ''}"


async def unfinished(opening: Callable[[], Awaitable[Journal]]) -> str | None:
    """Return what is left of a run, and who began it when; None if nothing is left.

    Raises:
        JournalError: It cannot be read.
    """
    alike: dict[tuple[object, ...], _Alike] = {}
    states: Counter[EntryState] = Counter()
    async with await opening() as journal:
        place = -1
        while entries := await journal.entries(*_LEFT, after=place):
            place = entries[-1].index
            for entry in entries:
                states[entry.state] += 1
                _count(entry, alike)
        sessions = await journal.sessions()
    if not alike:
        return None
    said = [str(each) for each in alike.values()]
    if len(said) > _MOST_SAID:
        said[_MOST_SAID:] = ["and others"]
    among = [
        f"{count} {state}" for state, count in states.items() if state is not EntryState.PLANNED
    ]
    if among:
        said.append(f"{' and '.join(among)} among them")
    return f"{', '.join(said)}, begun {_begun(sessions)}"


def _count(entry: Entry, alike: dict[tuple[object, ...], _Alike]) -> None:
    call = cast("dict[str, Any]", json.loads(entry.call))
    arguments = {name: bare(value) for name, value in call["arguments"].items()}
    key = (call["operation"], *(arguments.get(name) for name in _APART))
    alike.setdefault(key, _Alike(call["operation"], dict(arguments))).add(arguments)


def bare(value: object) -> object:
    """Return a value of a call without the tag of its type."""
    tagged = isinstance(value, dict)
    return next(iter(cast("dict[str, object]", value).values())) if tagged else value


def _said(value: object) -> str:
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return f'"{text}"' if not text or " " in text else text


def _begun(sessions: list[WorkSession]) -> str:
    if not sessions:
        return f"at an {_UNKNOWN} time by {_UNKNOWN}"
    first = sessions[0]
    when = datetime.fromisoformat(first.started_at).astimezone(UTC)
    by = f"by {first.user or _UNKNOWN} on {first.host or _UNKNOWN}"
    return f"{_ago(when)} ({when:%Y-%m-%d %H:%M} UTC) {by}"


def _ago(when: datetime) -> str:
    seconds = (datetime.now(UTC) - when).total_seconds()
    for unit, size in _UNITS:
        count = int(seconds // size)
        if count > 0:
            return f"{count} {unit}{'s' if count > 1 else ''} ago"
    return "just now" if seconds > -_UNITS[-1][1] else "by a clock that is ahead of this one"


def _times() -> str:
    try:
        "×".encode(sys.stderr.encoding or "ascii")  # noqa: RUF001 - a sign of multiplication
    except UnicodeEncodeError:
        return "x"
    return "×"  # noqa: RUF001 - the same
