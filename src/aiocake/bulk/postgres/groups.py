"""One group of changes as one statement of SQL: fenced, and atomic by itself.

The statement begins with the fence: it renews the lease and counts the group, if this process still
owns the run by the database's clock. Everything else is written only if that succeeds. So a hanging
process leaves no transaction open, and the count shows whether a commit whose response was lost has
arrived.
"""

from collections.abc import Sequence
from typing import Any, Final

import attrs

from aiocake.bulk.journal_store import Change, Changes, Value

#: The states in which the claim of a create is kept.
_KEPT: Final = frozenset({"sending", "unknown"})

_HELD: Final = """\
held AS (
    UPDATE {s}.run SET written = %(written)s,
        lease_until = clock_timestamp() + make_interval(secs => %(lease)s){whole}
    WHERE run = %(run)s AND epoch = %(epoch)s AND written = %(written)s - 1::bigint
        AND lease_until > clock_timestamp()
    RETURNING run
)"""
_WHOLE: Final = ", whole_at = coalesce(whole_at, %(whole)s)"
_PARTS: Final = {
    "began": """\
began AS (
    INSERT INTO {s}.session (run, epoch, started_at, who, host, pid, version)
    SELECT run, %(epoch)s, %(since)s, %(user)s, %(host)s, %(pid)s, %(aiocake)s FROM held
)""",
    "added": """\
added AS (
    INSERT INTO {s}.call (run, place, digest, call, hash, state, intent, before, detail)
    SELECT held.run, x.* FROM held, unnest(%(add_place)s::bigint[], %(add_digest)s::bytea[],
        %(add_call)s::text[], %(add_hash)s::bytea[], %(add_state)s::text[],
        %(add_intent)s::text[], %(add_before)s::text[], %(add_detail)s::text[]) AS x
)""",
    "moved": """\
moved AS (
    UPDATE {s}.call AS c SET state = x.state, detail = x.detail,
        intent = CASE WHEN x.sends THEN x.intent ELSE c.intent END,
        before = CASE WHEN x.sends THEN x.before ELSE c.before END
    FROM held, unnest(%(move_place)s::bigint[], %(move_state)s::text[], %(move_detail)s::text[],
        %(move_sends)s::boolean[], %(move_intent)s::text[], %(move_before)s::text[])
        AS x(place, state, detail, sends, intent, before)
    WHERE c.run = held.run AND c.place = x.place
)""",
    "freed": """\
freed AS (
    DELETE FROM {s}.claim AS q USING held
    WHERE q.run = held.run AND q.place = ANY(%(freed)s::bigint[])
)""",
    "looked": """\
looked AS (
    INSERT INTO {s}.look (run, place, ours, theirs, session, at)
    SELECT held.run, x.* FROM held, unnest(%(look_place)s::bigint[], %(look_ours)s::bigint[],
        %(look_theirs)s::text[], %(look_session)s::bigint[], %(look_at)s::text[]) AS x
    ON CONFLICT (run, place) DO UPDATE SET ours = excluded.ours, theirs = excluded.theirs,
        session = excluded.session, at = excluded.at
)""",
    "ended": """\
ended AS (
    UPDATE {s}.session AS w SET ended_at = %(ended_at)s, stopped = %(stopped)s FROM held
    WHERE w.run = held.run AND w.epoch = %(epoch)s
)""",
    "logged": """\
logged AS (
    INSERT INTO {s}.log (run, entry, place, session, at, what, intent, detail, hash)
    SELECT held.run, x.* FROM held, unnest(%(log_entry)s::bigint[], %(log_place)s::bigint[],
        %(log_session)s::bigint[], %(log_at)s::text[], %(log_what)s::text[],
        %(log_intent)s::text[], %(log_detail)s::text[], %(log_hash)s::bytea[]) AS x
)""",
}
_ADD: Final = ("place", "digest", "call", "hash", "state", "intent", "before", "detail")
_MOVE: Final = ("place", "state", "detail", "sends", "intent", "before")
_LOOK: Final = ("place", "ours", "theirs", "session", "at")
_LOG: Final = ("entry", "place", "session", "at", "what", "intent", "detail", "hash")


@attrs.define
class ChangeGroup:
    """A merged group of changes: each call has its last state."""

    added: dict[int, list[Any]] = attrs.field(factory=dict[int, list[Any]])
    moved: dict[int, list[Any]] = attrs.field(factory=dict[int, list[Any]])
    #: The calls whose claim ends.
    freed: set[int] = attrs.field(factory=set[int])
    looked: dict[int, Sequence[Value]] = attrs.field(factory=dict[int, Sequence[Value]])
    logged: list[Sequence[Value]] = attrs.field(factory=list[Sequence[Value]])
    single: dict[str, object] = attrs.field(factory=dict[str, object])

    @classmethod
    def of(cls, changes: Changes) -> "ChangeGroup":
        """Return the group of some changes, in their order."""
        group = cls()
        for change, values in changes:
            group._add(change, values)
        return group

    def _add(self, change: Change, values: Sequence[Any]) -> None:  # noqa: C901, PLR0912 - a table
        if change is Change.PLANNED:
            self.added[values[0]] = [*values, "planned", None, None, None]
        elif change is Change.SENDING:
            intent, before, place = values
            self.freed.discard(place)
            if place in self.added:
                self.added[place][4:] = ["sending", intent, before, None]
            else:
                self.moved[place] = [place, "sending", None, True, intent, before]
        elif change is Change.ENDED:
            state, detail, place = values
            if state not in _KEPT:
                self.freed.add(place)
            if place in self.added:
                self.added[place][4] = state
                self.added[place][7] = detail
            else:
                row = self.moved.setdefault(place, [place, state, detail, False, None, None])
                row[1:3] = [state, detail]
        elif change in {Change.UNCLAIMED, Change.RELEASED}:
            self.freed.add(values[0])
        elif change is Change.LOOKED:
            self.looked[values[0]] = values
        elif change is Change.WHOLE:
            self.single["whole"] = values[0]
        elif change is Change.STOPPED:
            self.single["ended_at"] = values[0]
            # Half a surrogate pair is escaped by now; a NUL no text of PostgreSQL can hold.
            text = values[1]
            self.single["stopped"] = None if text is None else text.replace("\0", "\\x00")
        else:
            self.logged.append(values)

    def statement(self, schema: str, *, began: bool = False) -> str:
        """Return the one statement that writes it.

        Args:
            schema: The schema, as SQL writes it.
            began: Whether it begins a session, whose columns are among the values then.
        """
        there = {
            "began": began,
            "added": bool(self.added),
            "moved": bool(self.moved),
            "freed": bool(self.freed),
            "looked": bool(self.looked),
            "ended": "ended_at" in self.single,
            "logged": bool(self.logged),
        }
        held = _HELD.replace("{whole}", _WHOLE if "whole" in self.single else "")
        parts = [held, *(_PARTS[name] for name, is_there in there.items() if is_there)]
        text = ",\n".join(parts).replace("{s}", schema)
        return f"WITH {text}\nSELECT run FROM held"

    def values(self) -> dict[str, object]:
        """Return the values of the statement, by name: a list for each column of rows."""
        values = dict(self.single)
        for prefix, names, rows in (
            ("add", _ADD, self.added.values()),
            ("move", _MOVE, self.moved.values()),
            ("look", _LOOK, self.looked.values()),
            ("log", _LOG, self.logged),
        ):
            if rows:
                columns = zip(*rows, strict=True)
                values |= {
                    f"{prefix}_{name}": list(column)
                    for name, column in zip(names, columns, strict=True)
                }
        if self.freed:
            values["freed"] = sorted(self.freed)
        return values
