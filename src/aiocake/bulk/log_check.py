"""Check a journal against the chain of its log.

Two questions, answered apart. Integrity: is everything as it was written? Completeness: is all of
it there, and does the state of each call follow from what the log says of it?
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from itertools import combinations
from typing import Any, Final, cast

import attrs

from aiocake.bulk.journal_store import JournalStore, Row
from aiocake.bulk.log_chain import LogEvent, LogHead, link, planned

#: So many findings of a kind are named one by one.
_MOST: Final = 100
#: Among more entries than these that do not fit, none that changed places are looked for.
_MOST_SWAPPED: Final = 50


@attrs.frozen(kw_only=True)
class LogCheck:
    """The result of checking a journal against its log.

    Attributes:
        head: The end of its log; None if the log is no chain.
        unchained: How many entries an aiocake wrote that knew no chain: they are vouched for only
            since a later one took them over.
        integrity: What is not as it was written.
        completeness: What is missing, and what does not follow from the log.
    """

    head: LogHead | None
    unchained: int
    integrity: tuple[str, ...]
    completeness: tuple[str, ...]


def check_log(store: JournalStore) -> LogCheck:
    """Check a journal against its log; see :meth:`aiocake.bulk.Journal.verify_log`."""
    if not store.is_chained:
        ((last,),) = store.read("SELECT coalesce(max(entry), 0) FROM {log} AS log")
        missing = (*_missing_calls(store), *_states(store, last))
        return LogCheck(head=None, unchained=last, integrity=(), completeness=_cut(missing))
    entries = _Entries()
    entries.read(store)
    calls = _Calls(entries.plans)
    calls.read(store)
    integrity = (
        *entries.missing,
        *entries.broken(),
        *calls.broken,
        *_about_the_run(store, entries.events),
    )
    missing = (
        *calls.missing,
        *_states(store, entries.unchained),
        *_looks(store, entries.unchained),
    )
    return LogCheck(
        head=entries.head,
        unchained=entries.unchained,
        integrity=_cut(integrity),
        completeness=_cut(missing),
    )


class _Entries:
    """The log, read once from its beginning."""

    def __init__(self) -> None:
        self.head: LogHead | None = None
        self.missing: list[str] = []
        self.unchained = 0
        #: What it tells of the run: number, run, time, event and detail.
        self.events: list[tuple[int, int, str, str, dict[str, Any]]] = []
        #: The plan at some entries: its hash, by the number of its calls, and the entry.
        self.plans: dict[int, tuple[str, int]] = {}
        #: The entries whose hash is another one, each with the hash before it.
        self._odd: dict[int, tuple[Row, bytes]] = {}

    def read(self, store: JournalStore) -> None:
        """Recompute the chain."""
        number, before = 0, b""
        for row in store.read(
            "SELECT entry, place, run, at, what, intent, detail, hash FROM {log} AS log"
            " ORDER BY entry"
        ):
            found = row[7] if isinstance(row[7], bytes) else b""
            if row[0] != number + 1:
                self.missing.append(_absent("entry", "entries", number + 1, row[0] - 1))
            elif link(before, row[:7]) != found:
                self._odd[row[0]] = (row, before)
            number, before = row[0], found
            if row[1] is None:
                self._take(row)
        if number:
            self.head = LogHead(number, before.hex())

    def _take(self, row: Row) -> None:
        number, _, run, at, what, _, text, _ = row
        try:
            detail = dict(json.loads(text))
            if what == LogEvent.CHAINED:
                self.unchained = int(detail["entries"])
            if "calls_hash" in detail:
                self.plans[int(detail["calls"])] = (str(detail["calls_hash"]), number)
        except (ValueError, LookupError, TypeError):
            return  # then its hash does not fit, either
        self.events.append((number, run, at, what, detail))

    def broken(self) -> Iterator[str]:
        """Yield the entries that were changed or moved."""
        odd = self._odd
        for one, other in list(combinations(odd, 2)) if len(odd) <= _MOST_SWAPPED else []:
            if one in odd and other in odd and self._are_swapped(one, other):
                yield f"entries {one} and {other} of the log have changed places"
                (first, _), (second, _) = odd.pop(one), odd.pop(other)
                # The entries behind these two are in place: their hashes follow from the swap.
                for number, before in ((one + 1, second[7]), (other + 1, first[7])):
                    if number in odd and link(before, odd[number][0][:7]) == odd[number][0][7]:
                        del odd[number]
        for number, (row, _) in odd.items():
            of = "the run" if row[1] is None else f"call {row[1]}"
            yield f"entry {number} of the log ({row[4]} of {of}) is not what was written there"

    def _are_swapped(self, one: int, other: int) -> bool:
        (first, before), (second, before_other) = self._odd[one], self._odd[other]
        if link(before, (one, *second[1:7])) == first[7]:
            return True  # all but their hashes
        if other == one + 1:
            before_other = second[7]
        return bool(link(before_other, (other, *first[1:7])) == first[7])


class _Calls:
    """The plan, read once from its beginning.

    Args:
        known: Its hash after so many calls, and the entry of the log that says so.
    """

    def __init__(self, known: Mapping[int, tuple[str, int]]) -> None:
        self._known = known
        self.broken: list[str] = []
        self.missing: list[str] = []

    def read(self, store: JournalStore) -> None:
        """Recompute the chain of the plan, and compare it with what the log says."""
        place, before = -1, b""
        for index, digest, call, kept in store.read(
            "SELECT place, digest, call, hash FROM {calls} AS calls ORDER BY place"
        ):
            found = kept if isinstance(kept, bytes) else b""
            if index != place + 1:
                self.missing.append(_absent("call", "calls", place + 1, index - 1))
            elif (
                not isinstance(digest, bytes) or link(before, planned(index, digest, call)) != found
            ):
                self.broken.append(f"call {index} is not what was planned there")
            place, before = index, found
            known = self._known.get(index + 1)
            if known is not None and known[0] != before.hex() and not self.broken:
                self.broken.append(
                    f"the first {index + 1} calls are not those of entry {known[1]} of the log"
                )
        most = max(self._known, default=0)
        if most > place + 1:
            self.missing.append(_absent("call", "calls", place + 1, most - 1))


class _Known:
    """The entries of a log about the journal itself and the sessions of its run."""

    def __init__(self) -> None:
        #: A value of the journal by its name, and the entry that says it.
        self.meta: dict[str, tuple[object, int]] = {}
        #: The columns of a session by its number, and the entry.
        self.runs: dict[int, tuple[list[object], int]] = {}

    def take(self, number: int, run: int, at: str, what: str, detail: dict[str, Any]) -> None:
        """Add an entry of the log."""
        if what == LogEvent.CREATED:
            self.meta |= {name: (value, number) for name, value in detail.items()}
        elif what == LogEvent.CHAINED:
            self.meta |= {name: (value, number) for name, value in detail["meta"].items()}
            self.runs |= {row[0]: (row[1:], number) for row in detail["runs"]}
        elif what == LogEvent.BEGAN:
            who = [detail[name] for name in ("user", "host", "pid", "aiocake")]
            self.runs[run] = ([at, None, None, *who], number)
            if detail["unknown_filesystem"] is not None:
                self.meta["unknown_filesystem"] = (detail["unknown_filesystem"], number)
        elif what == LogEvent.WHOLE:
            self.meta.setdefault("whole", (at, number))
        elif what == LogEvent.STOPPED:
            ((began, _, _, *who), _) = self.runs[run]
            self.runs[run] = ([began, at, detail["stopped"], *who], number)


def _about_the_run(
    store: JournalStore, events: Iterable[tuple[int, int, str, str, dict[str, Any]]]
) -> Iterator[str]:
    """Compare the journal's own data and sessions with the log."""
    known = _Known()
    for event in events:
        with suppress(ValueError, LookupError, TypeError, AttributeError):  # its hash does not fit
            known.take(*event)
    meta, runs = known.meta, known.runs
    kept: dict[str, object] = dict(store.read("SELECT name, value FROM {meta} AS meta"))
    for name in sorted(meta.keys() | kept.keys()):
        value, number = meta.get(name, (None, None))
        if kept.get(name) != value:
            by = "nothing in the log" if number is None else f"entry {number} of the log"
            yield f"{name} of the journal is not what {by} says"
    names = ("began", "ended", "reason", "user", "host", "process", "version")
    for run, *columns in store.read(
        'SELECT run, started_at, ended_at, stopped, "user", host, pid, aiocake FROM {runs} AS runs'
        " ORDER BY run"
    ):
        expected, number = runs.pop(run, ([], 0))
        pairs = zip(names, columns, expected, strict=False)
        odd = [name for name, ours, theirs in pairs if ours != theirs]
        if not number:
            yield f"session {run} is not in the log"
        elif odd:
            yield f"{', '.join(odd)} of session {run}: not what entry {number} of the log says"
    for run, (_, number) in runs.items():
        yield f"session {run} is missing: entry {number} of the log names it"


def _missing_calls(store: JournalStore) -> Iterator[str]:
    place = -1
    for (index,) in store.read("SELECT place FROM {calls} AS calls ORDER BY place"):
        if index != place + 1:
            yield _absent("call", "calls", place + 1, index - 1)
        place = index


#: The state of each call, beside the last entry of the log that is about it, and the last one that
#: says that it was about to be sent.
_LAST: Final = """
    WITH ends AS (
        SELECT place, max(entry) AS last, max(CASE what WHEN 'sending' THEN entry END) AS sent
        FROM {log} AS log WHERE place IS NOT NULL AND what != 'looked' GROUP BY place
    )
    SELECT calls.place, calls.state, ended.what, ended.entry FROM {calls} AS calls
    LEFT JOIN ends ON ends.place = calls.place
    LEFT JOIN {log} AS ended ON ended.entry = ends.last
    LEFT JOIN {log} AS began ON began.entry = ends.sent
    WHERE calls.state {is_not} coalesce(ended.what, 'planned')
        OR calls.intent {is_not} began.intent
        OR calls.detail {is_not} CASE ended.what WHEN 'sending' THEN NULL ELSE ended.detail END
        OR (calls.before {is_not} began.detail AND (began.entry IS NULL OR began.entry > ?))
    ORDER BY calls.place
"""


def _states(store: JournalStore, unchained: int) -> Iterator[str]:
    for place, state, what, entry in store.read(_LAST, unchained):
        if entry is None:
            yield f"call {place} is {state}, but the log does not mention it"
        elif state != what:
            yield f"call {place} is {state}, but by entry {entry} of the log it is {what}"
        else:
            yield f"call {place} is {state} in another way than entry {entry} of the log says"
    for place, entry in store.read(
        "SELECT place, min(entry) FROM {log} AS log WHERE place IS NOT NULL"
        " AND place NOT IN (SELECT place FROM {calls} AS calls) GROUP BY place"
    ):
        yield f"call {place} is missing: entry {entry} of the log names it"


def _looks(store: JournalStore, unchained: int) -> Iterator[str]:
    """Compare the doubles in the journal with the log, since it has been a chain."""
    logged = {
        place: (entry, detail)
        for entry, place, detail in store.read(
            "SELECT entry, place, detail FROM {log} AS log WHERE what = 'looked' ORDER BY entry"
        )
    }
    looks = store.read("SELECT place, ours, theirs, run FROM {looks} AS looks ORDER BY place")
    for place, ours, theirs, run in list(looks):
        entry, detail = logged.pop(place, (0, None))
        if detail is None and _was_before(store, run, unchained):
            continue
        if detail != json.dumps({"ours": ours, "theirs": _list(theirs)}):
            yield f"the doubles of call {place} are not those of the log"
    for place, (entry, _) in logged.items():
        yield f"the doubles of call {place} are missing: entry {entry} of the log names them"


def _was_before(store: JournalStore, run: int, unchained: int) -> bool:
    """Return True if a session was before the log was a chain."""
    if not unchained:
        return False
    ((first,),) = store.read("SELECT min(run) FROM {log} AS log WHERE entry > ?", unchained)
    return run < cast("int", first)


def _list(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _absent(one: str, many: str, first: int, last: int) -> str:
    of = " of the log" if one == "entry" else ""
    if first == last:
        return f"{one} {first}{of} is missing"
    return f"{many} {first} to {last}{of} are missing"


def _cut(findings: Iterable[str]) -> tuple[str, ...]:
    found = tuple(findings)
    return (*found[:_MOST], f"and {len(found) - _MOST} more") if len(found) > _MOST else found
