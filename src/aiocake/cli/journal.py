"""``aiocake journal``: show the state of a run, and export its calls."""

import json
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Any, Final, TypeVar, cast

import attrs
import typer

from aiocake import _clock
from aiocake.bulk import Double, Journal, PlanIdentity
from aiocake.bulk.journal import Entry, EntryState, WorkSession
from aiocake.bulk.journal import WorkSession as Worked
from aiocake.bulk.journal_store import JournalPlace
from aiocake.cli import parse
from aiocake.cli.command import with_output
from aiocake.cli.errors import AllErrors
from aiocake.cli.examples import example_of
from aiocake.cli.formats import Fields, RecordLayout
from aiocake.cli.help import CommandGroup
from aiocake.cli.output import Output
from aiocake.cli.run_outcome import double_text
from aiocake.cli.signals import run
from aiocake.cli.terminal import bar

T = TypeVar("T")

app: typer.Typer = typer.Typer(
    cls=CommandGroup, help="Journals of runs: show, export, resume, release, migrate."
)

File = Annotated[
    JournalPlace,
    typer.Argument(
        parser=parse.journal,
        metavar="RUN.DB",
        help="The journal: its file, or pg:NAME for a run in PostgreSQL.",
        show_default=False,
    ),
]
AllowOption = Annotated[
    bool,
    typer.Option(
        "--allow-unknown-filesystem",
        metavar="",
        help="Accept a journal on a filesystem whose locks and syncing may be unreliable, such "
        "as a network drive. Not needed on the type of filesystem that the run was started on.",
        show_default=False,
        rich_help_panel="Filesystem",
    ),
]

_ONLY_IN_STATE: Final = f"Only calls in this state: {', '.join(EntryState)}."

Opening = Callable[[], Awaitable[Journal]]


@attrs.frozen
class JournalStatus:
    """The state of a run, and its plan."""

    domain: str
    plan_read: bool
    counts: Mapping[EntryState, int]
    doubles: tuple[Double, ...]
    unknown_filesystem: str | None
    sessions: tuple[Worked, ...]
    plan: PlanIdentity | None

    @property
    def running(self) -> Worked | None:
        """Return the session that is working on the run now."""
        return next((each for each in self.sessions if each.running), None)


@app.command(cls=AllErrors, epilog=example_of("journal show"))
@with_output
def show(output: Output, file: File, *, allow_unknown_filesystem: AllowOption = False) -> None:
    """Show the state of a run, who worked on it and when, and if it is running now."""
    output.spare(*file.files())
    opening = partial(Journal.open, file, allow_unknown_filesystem=allow_unknown_filesystem)
    status = run(partial(read_status, opening))
    with output.record(_STATUS) as write:
        write(status)


@app.command(cls=AllErrors, epilog=example_of("journal export"))
@with_output
def export(
    output: Output,
    file: File,
    *,
    state: Annotated[
        EntryState | None,
        typer.Option(
            parser=parse.one_of(EntryState),
            metavar="STATE",
            help=_ONLY_IN_STATE,
            show_default=False,
        ),
    ] = None,
    allow_unknown_filesystem: AllowOption = False,
) -> None:
    """Export every call of a run with its outcome.

    A live run is exported as it is at this moment.
    """
    opening = partial(Journal.open, file, allow_unknown_filesystem=allow_unknown_filesystem)
    output.spare(*file.files())
    hidden = not output.goes_to_a_file
    with output.records(_CALL) as write, bar("calls", hidden=hidden) as advance:
        run(partial(_export, opening, state, write, advance))


async def read_status(opening: Opening) -> JournalStatus:
    """Return the state of a run."""
    async with await opening() as journal:
        return JournalStatus(
            await journal.domain(),
            await journal.is_complete(),
            await journal.counts(),
            tuple(await journal.doubles()),
            await journal.unknown_filesystem(),
            tuple(await journal.sessions()),
            await journal.plan_identity(),
        )


async def _export(
    opening: Opening,
    state: EntryState | None,
    write: Callable[[Entry], object],
    advance: Callable[[int, int | None], None],
) -> None:
    async with await opening() as journal:
        states = () if state is None else (state,)
        total = await journal.size() if state is None else (await journal.counts()).get(state, 0)
        place = -1
        while entries := await journal.entries(*states, after=place):
            place = entries[-1].index
            for entry in entries:
                write(entry)
            advance(len(entries), total)


def in_use(file: JournalPlace, worked: Worked) -> str:
    """Describe the process that is working on a run."""
    who = f"{worked.user} on {worked.host}, process {worked.pid}, since {worked.started_at}"
    return f"{file} is in use by another run: {who}"


def _status_fields(status: JournalStatus) -> Fields:
    counts = {state.value: status.counts.get(state, 0) for state in EntryState}
    return {
        "domain": status.domain,
        "calls": sum(counts.values()),
        "plan_read": status.plan_read,
        **counts,
        "doubles": [attrs.asdict(each) for each in status.doubles],
        "running": status.running is not None,
        "unknown_filesystem": status.unknown_filesystem,
        "sessions": [attrs.asdict(each) for each in status.sessions],
    }


def _status_in_short(status: JournalStatus) -> Fields:
    fields = dict(_status_fields(status))
    del fields["sessions"]
    fields["doubles"] = len(status.doubles)
    for double in status.doubles:
        fields[f"double {double.index}"] = double_text(double)
    if status.unknown_filesystem is None:
        del fields["unknown_filesystem"]
    for at, each in enumerate(status.sessions, 1):
        unfinished = f", not finished ({'still running' if each.running else 'killed'})"
        end = f" to {each.ended_at}" if each.ended_at else unfinished
        why = f": {each.stopped}" if each.stopped else ""
        fields[f"session {at}"] = (
            f"{each.started_at}{end}, {each.user} on {each.host} ({each.pid}){why}"
        )
    return fields


_COUNTED: Final = (
    "domain",
    "calls",
    "plan_read",
    *(state.value for state in EntryState),
    "doubles",
    "running",
    "unknown_filesystem",
    "sessions",
)
_STATUS: Final = RecordLayout(
    json=_status_fields,
    csv=_status_fields,
    csv_columns=_COUNTED,
    to_table=_status_in_short,
    table_columns=_COUNTED,
)


def _entry_fields(entry: Entry) -> Fields:
    call = cast("dict[str, Any]", json.loads(entry.call))
    return {
        "index": entry.index,
        "state": entry.state,
        "operation": call["operation"],
        "arguments": {name: bare(value) for name, value in call["arguments"].items()},
        "intent": entry.intent,
        "there_before": list(entry.before) if entry.before is not None else None,
        "detail": None if entry.detail is None else json.loads(entry.detail),
    }


def _entry_in_columns(entry: Entry) -> Fields:
    fields = _entry_fields(entry)
    return {name: _line(value) if name in _NESTED else value for name, value in fields.items()}


def _line(value: object) -> str | None:
    if isinstance(value, dict):
        items = cast("dict[str, object]", value).items()
        return ", ".join(f"{name} {_line(each)}" for name, each in items if each is not None)
    if isinstance(value, list):
        return " ".join(map(str, cast("list[object]", value)))
    return None if value is None else str(value)


_NESTED: Final = frozenset({"arguments", "there_before", "detail"})
_COLUMNS: Final = (
    "index", "state", "operation", "arguments", "intent", "there_before", "detail",
)  # fmt: skip
_CALL: Final = RecordLayout(
    json=_entry_fields,
    csv=_entry_in_columns,
    csv_columns=_COLUMNS,
    to_table=_entry_in_columns,
    table_columns=("index", "state", "operation", "arguments", "detail"),
    table_spare=("detail", "operation"),
    table_heads={"index": "call"},
)


# What is left of a run, shown before it is resumed.

_ENDED: Final = frozenset({EntryState.DONE, EntryState.SKIPPED})
_LEFT: Final = tuple(state for state in EntryState if state not in _ENDED)
#: Calls that differ in one of these are counted apart: these say what becomes of money.
_APART: Final = ("invoice_status", "apply_credit_to_buyer")
#: How many kinds of calls are listed; few plans have more.
_MOST_KINDS: Final = 10
_UNITS: Final = (("day", 86_400), ("hour", 3_600), ("minute", 60))
_NOBODY: Final = "unknown"


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
        settings = ", ".join(f"{name} {_value_text(value)}" for name, value in self.same.items())
        return f"{self.count} {_times()} {self.operation}{f' ({settings})' if settings else ''}"


async def unfinished(
    opening: Callable[[], Awaitable[Journal]], *, with_plan: bool = True
) -> str | None:
    """Describe what is left of a run, who started it and its plan; None if nothing is left.

    Args:
        opening: Opens the journal.
        with_plan: False to leave out the plan.

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
        plan = await journal.plan_identity()
    if not alike:
        return None
    kinds = [str(each) for each in alike.values()]
    if len(kinds) > _MOST_KINDS:
        kinds[_MOST_KINDS:] = ["and others"]
    among = [
        f"{count} {state}" for state, count in states.items() if state is not EntryState.PLANNED
    ]
    if among:
        kinds.append(f"{' and '.join(among)} among them")
    of = "" if plan is None or not with_plan else f", of {plan_text(plan)}"
    return f"{', '.join(kinds)}, begun {_begun(sessions)}{of}"


def plan_text(plan: PlanIdentity) -> str:
    """Describe the plan, its maker and its approvers."""
    maker = f", made by {plan.maker}" if plan.maker else ""
    approvers = ", ".join(f"{each.principal} ({each.key})" for each in plan.approvals)
    return f"plan {plan.hash}{maker}, {f'approved by {approvers}' if approvers else 'not approved'}"


def _count(entry: Entry, alike: dict[tuple[object, ...], _Alike]) -> None:
    call = cast("dict[str, Any]", json.loads(entry.call))
    arguments = {name: bare(value) for name, value in call["arguments"].items()}
    key = (call["operation"], *(arguments.get(name) for name in _APART))
    alike.setdefault(key, _Alike(call["operation"], dict(arguments))).add(arguments)


def bare(value: object) -> object:
    """Return a value of a call without the tag of its type."""
    tagged = isinstance(value, dict)
    return next(iter(cast("dict[str, object]", value).values())) if tagged else value


def _value_text(value: object) -> str:
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return f'"{text}"' if not text or " " in text else text


def _begun(sessions: list[WorkSession]) -> str:
    if not sessions:
        return f"at an {_NOBODY} time by {_NOBODY}"
    first = sessions[0]
    when = datetime.fromisoformat(first.started_at).astimezone(UTC)
    by = f"by {first.user or _NOBODY} on {first.host or _NOBODY}"
    return f"{_ago(when)} ({when:%Y-%m-%d %H:%M} UTC) {by}"


def _ago(when: datetime) -> str:
    seconds = (_clock.now() - when).total_seconds()
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
