"""``aiocake doctor``: check connection and key, and find out which variant of CAKE it is."""

import textwrap
from collections.abc import Iterator, Mapping
from typing import Annotated, Final

import attrs
import typer

from aiocake import ConfigurationError
from aiocake.cli.command import CommandSession, command
from aiocake.cli.errors import print_error, report_error
from aiocake.cli.formats import Fields, OutputFormat, RecordLayout
from aiocake.cli.output import say_out, screen
from aiocake.cli.table import Screen
from aiocake.cli.text import escaped
from aiocake.doctor import Diagnosis, Finding, Level, examine

_COLUMNS: Final = tuple(field.name for field in attrs.fields(Finding))
_PROBLEMS: Final = 1
_ARROW: Final = "→"
_GAP: Final = "  "
#: Columns below which a finding's text stands in lines of its own.
_NARROW: Final = 60


@command()
def doctor(
    session: CommandSession,
    *,
    save: Annotated[
        bool,
        typer.Option(
            "--save",
            metavar="",
            help="Save what was found in the profile, so that the client need not detect it. "
            "Needs --profile or CAKE_PROFILE.",
            show_default=False,
        ),
    ] = False,
) -> None:
    """Examine the instance: connection, certificate, key, clock, and which variant of CAKE it is.

    Reads only, in at most 60 requests and less than a minute. Exit codes: 0 if all works, 1 if
    something does not; 3, 5, 6 or 8 if the key is rejected, the call refused, the instance not
    reached, or its response unusable.
    """
    connection = session.connect()
    if save and connection.profile is None:
        raise ConfigurationError("--save needs a profile: give --profile or set CAKE_PROFILE")
    diagnosis = connection.run(examine)
    _show(session, diagnosis)
    if diagnosis.error is not None:
        raise typer.Exit(report_error(diagnosis.error))
    if save and connection.profile is not None:
        connection.profile.save_traits(diagnosis.traits)
        print_error(f"saved in profile {connection.profile.name} of {connection.profile.file}")
    if diagnosis.problems:
        raise typer.Exit(_PROBLEMS)


def _show(session: CommandSession, diagnosis: Diagnosis) -> None:
    output = session.output
    if output.form is OutputFormat.JSON:
        with output.record(_WHOLE) as write_whole:
            write_whole(diagnosis)
    elif output.form is OutputFormat.TABLE and output.file is None:
        for line in _lines(diagnosis, screen()):
            say_out(line)
    else:
        with output.records(_ONE) as write:
            for finding in diagnosis.findings:
                write(finding)


def _lines(diagnosis: Diagnosis, on: Screen | None) -> Iterator[str]:
    """Return the lines for people: each finding, followed by the advice."""
    count = f"{diagnosis.requests} requests, {diagnosis.seconds:.1f} s"
    yield f"{escaped(diagnosis.domain)} ({count})"
    level = max(map(len, Level))
    topic = max((len(each.topic) for each in diagnosis.findings), default=0)
    arrow = _ARROW if on is None else on.mark(_ARROW, "->")
    narrow = on is not None and on.width < _NARROW
    indent = _GAP if narrow else " " * (level + topic + 2 * len(_GAP))
    for each in diagnosis.findings:
        before = f"{each.level:{level}}{_GAP}{each.topic:{topic}}{_GAP}"
        if narrow:
            yield before.rstrip()
            before = indent
        yield from _wrapped(before, each.text, indent, on)
        if each.advice:
            yield from _wrapped(f"{indent}{arrow} ", each.advice, f"{indent}{_GAP}", on)


def _wrapped(before: str, text: str, indent: str, on: Screen | None) -> list[str]:
    line = before + escaped(text)
    if on is None:
        return [line]
    return textwrap.wrap(on.shown(line), on.width, subsequent_indent=indent)


def _fields(finding: Finding) -> Fields:
    return {name: str(value) for name, value in attrs.asdict(finding).items()}


def _whole(diagnosis: Diagnosis) -> Mapping[str, object]:
    return {
        "domain": diagnosis.domain,
        "at": diagnosis.at.isoformat(),
        "requests": diagnosis.requests,
        "seconds": round(diagnosis.seconds, 3),
        "findings": [_fields(each) for each in diagnosis.findings],
        "traits": diagnosis.traits.plain(),
    }


_ONE: Final = RecordLayout[Finding](
    json=_fields,
    csv=_fields,
    csv_columns=_COLUMNS,
    to_table=_fields,
    table_columns=_COLUMNS,
)
_WHOLE: Final = RecordLayout[Diagnosis](
    json=_whole, csv=_whole, csv_columns=(), to_table=_whole, table_columns=()
)
