"""``aiocake plan``: write down what is to be sent, with what is true now; nothing is sent."""

import json
import shlex
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Final, cast

import typer
from typer.core import TyperGroup

from aiocake import ArgumentError, Client, InvoiceKind, InvoiceStatus, PlanError
from aiocake._display import money
from aiocake.cli import parse
from aiocake.cli.catalogue import LONGEST, MATCH, PERIOD_OF_BILLS
from aiocake.cli.command import with_connection, with_output
from aiocake.cli.connection import Connection
from aiocake.cli.errors import AllErrors, Check, print_error
from aiocake.cli.formats import Fields, RecordLayout
from aiocake.cli.options import Option
from aiocake.cli.output import Output, say_lines, say_out, screen
from aiocake.cli.signals import run
from aiocake.cli.table import Table
from aiocake.errors import Problem
from aiocake.models import Total
from aiocake.monthend import (
    BankFile,
    CallFile,
    Caps,
    Mismatch,
    Plan,
    PlanDiff,
    PlanHeader,
    PlanRow,
    PlanTerms,
)
from aiocake.monthend.bank import MATCHES
from aiocake.monthend.rows import OPERATIONS
from aiocake.monthend.signatures import public_key
from aiocake.monthend.signatures import sign as signed
from aiocake.monthend.sources import OPERATION, RowFile, arguments_of
from aiocake.values import SKIP, Period

_UPDATE: Final = "invoices.update"
_CREATE: Final = "invoices.create"
_PAID: Final = "affiliate_bills.mark_paid"
_RECEIVED: Final = "bills.mark_received"
#: What may be typed in place of a parameter's name.
_CALLED: Final = {"status": "invoice_status"}
_KINDS: Final[Mapping[str, tuple[InvoiceKind, ...]]] = {
    "payout": (InvoiceKind.PAYOUT,),
    "revenue": (InvoiceKind.REVENUE,),
    "both": tuple(InvoiceKind),
}
_PARTNERS: Final = ("affiliate", "advertiser", "buyer")

Connect = Callable[[], Connection]
Make = Callable[[Client, PlanTerms], Awaitable[tuple[Plan, list[str]]]]


class _PlanGroup(TyperGroup):
    """The group ``plan``: without the name of a command, it is ``update``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401 - Typer's, under changing names
        """Read the words."""
        if args and args[0].startswith("-") and args[0] not in {"-h", "--help"}:
            args = ["update", *args]
        return super().parse_args(ctx, args)


app: typer.Typer = typer.Typer(
    cls=_PlanGroup,
    help="Plan what is to be sent, for a second person to approve: nothing is sent. "
    "`aiocake plan --period …` is short for `aiocake plan update --period …`.",
)


# The options.


def _set(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    name = name.strip().replace("-", "_")
    if not equals or not name:
        raise typer.BadParameter(f"{text!r} is not a name and a value such as status=approved")
    return _CALLED.get(name, name), value


def _total_cap(text: str) -> tuple[str, Decimal]:
    currency, equals, most = text.partition("=")
    if not equals or not currency:
        raise typer.BadParameter(f"{text!r} is not a currency and an amount such as USD=50000")
    return currency, parse.amount(most)


def _receipt(text: str) -> Mapping[str, object]:
    try:
        found: object = json.loads(Path(text).read_bytes())
    except OSError as error:
        raise typer.BadParameter(f"{text} cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise typer.BadParameter(f"{text} is not a receipt: it has no JSON object")
    return cast("dict[str, object]", found)


def _among(*choices: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in choices:
            raise typer.BadParameter(f"{text!r} is not one of {', '.join(map(repr, choices))}")
        return text

    return read


def _matches(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(","))
    if not set(names) <= set(MATCHES):
        raise typer.BadParameter(f"{text!r} is not a list of columns among {', '.join(MATCHES)}")
    return names


_OUT: Final = Option(
    "out",
    "Write the plan to FILE, which must not exist yet. Only you can read it (0600): it holds names "
    "and amounts.",
    Path,
    "FILE",
    names=("--out", "-o"),
    required=True,
)
_PANEL: Final = "Terms"
_TERMS: Final = (
    Option(
        "max_total",
        "Refuse a plan whose total in this currency is larger. May be repeated; amounts in "
        "currencies that are not named are refused then.",
        _total_cap,
        "USD=AMOUNT",
        panel=_PANEL,
        repeated=True,
    ),
    Option("max_row", "Refuse a row of a larger amount.", parse.amount, "AMOUNT", panel=_PANEL),
    Option("max_rows", "Refuse a plan of more rows.", parse.count, "NUMBER", panel=_PANEL),
    Option(
        "history",
        "How many months before the period to read, for the approver to compare with; 0 for none.",
        parse.number,
        "MONTHS",
        default="3",
        panel=_PANEL,
    ),
    Option(
        "after",
        "The receipt of what was done before, which the plan repeats.",
        _receipt,
        "RECEIPT",
        panel=_PANEL,
    ),
    Option(
        "expires", "How many days it may be applied.", parse.days, "DAYS", default="7", panel=_PANEL
    ),
    Option(
        "maker", "Who makes the plan. Default: user and host.", parse.text, "TEXT", panel=_PANEL
    ),
    Option(
        "sign",
        "Sign the plan with this SSH key, as its maker: the signature goes to PLAN.sig.",
        Path,
        "KEY",
        panel=_PANEL,
    ),
)
_SETTINGS: Final = Option(
    "settings",
    "Set a field on every row, such as status=approved. May be repeated.",
    _set,
    "NAME=VALUE",
    names=("--set",),
    repeated=True,
)
_IGNORE: Final = Option(
    "ignore",
    "A column of the file that is not read. May be repeated.",
    parse.text,
    "COLUMN",
    repeated=True,
)


def _from(what: str, *, required: bool = True) -> Option:
    return Option("source", what, Path, "FILE", names=("--from",), required=required)


def _period(text: str, *, required: bool = True) -> Option:
    return Option("period", text, parse.period, "PERIOD", required=required)


_UPDATE_OPTIONS: Final = (
    _OUT,
    _period("The billing period, such as 2024-01.", required=False),
    Option(
        "invoice_status",
        "Plan the invoices of this status: pending, approved, paid or void.",
        InvoiceStatus,
        "STATUS",
        names=("--status",),
    ),
    Option("match", MATCH, str, "MATCH", default="ends_in"),
    Option("longest", LONGEST, parse.days, "DAYS"),
    _from(
        "Plan the rows of this CSV or JSONL file, in place of --status. Its columns have the names "
        "of parameters, such as invoice_id; a column `operation` may name the call of each row.",
        required=False,
    ),
    _IGNORE,
    _SETTINGS,
    Option(
        "paid_at",
        "When they were paid, such as 2024-02-15T10:00:00Z; only with --set status=paid.",
        parse.moment,
        "TIME",
    ),
    Option(
        "kind",
        "The kind of invoices: payout, revenue or both.",
        _among(*_KINDS),
        "KIND",
        default="payout",
    ),
    *_TERMS,
)
_CREATE_OPTIONS: Final = (
    _OUT,
    Option(
        "source",
        "The affiliates to be paid: a CSV or JSONL file with a column affiliate_id, or a list of "
        "ids, one a line.",
        Path,
        "FILE",
        names=("--affiliates",),
        required=True,
    ),
    _period("The period of the invoices, such as 2024-01."),
    _IGNORE,
    _SETTINGS,
    *_TERMS,
)
_RECEIVED_OPTIONS: Final = (
    _OUT,
    _from("A CSV or JSONL file: bill_id, an amount, and other parameters as columns."),
    _period(PERIOD_OF_BILLS),
    Option(
        "partner",
        "Whose bills they are: affiliate, advertiser or buyer.",
        _among(*_PARTNERS),
        "PARTNER",
        default="affiliate",
    ),
    _IGNORE,
    _SETTINGS,
    *_TERMS,
)
_PAID_OPTIONS: Final = (
    _OUT,
    _from("What the bank has paid: a CSV or JSONL file with the columns of --match."),
    _period(PERIOD_OF_BILLS),
    Option(
        "match",
        "The columns by which each row is matched with a bill: bill_id, affiliate_id or "
        "invoice_number find it; amount and currency must be the bill's.",
        _matches,
        "COLUMNS",
        default="bill_id,amount",
    ),
    Option("payment_date", "When they were paid, if the file does not say.", parse.day, "DATE"),
    _IGNORE,
    _SETTINGS,
    *_TERMS,
)


# The commands.


def update(connect: Connect, **values: Any) -> None:  # noqa: ANN401 - of many types
    """Plan to set invoices: all of a period and status, or those of a file."""
    settings = _settings(_operation(values), values)

    async def make(client: Client, terms: PlanTerms) -> tuple[Plan, list[str]]:
        if values["source"] is not None:
            calls = CallFile(
                values["source"],
                client,
                operation=_operation(values),
                arguments=settings,
                ignore=values["ignore"] or (),
            )
            return await Plan.of(calls, client, period=values["period"], **terms), []
        plan = await Plan.updates(
            client,
            period=values["period"],
            invoice_status=values["invoice_status"],
            match=values["match"],
            longest=values["longest"] or SKIP,
            set=cast("Any", settings),
            **terms,
        )
        return plan, list(_left_out(plan, values["period"], values["match"]))

    _plan(connect, values, make)


def create(connect: Connect, **values: Any) -> None:  # noqa: ANN401 - of many types
    """Plan to create invoices: one for each affiliate of a file."""
    period: Period = values["period"]
    settings = {
        "start_date": period.start,
        "end_date": period.end,
        **_settings(_CREATE, values),
    }

    async def make(client: Client, terms: PlanTerms) -> tuple[Plan, list[str]]:
        calls = CallFile(
            values["source"],
            client,
            operation=_CREATE,
            arguments=settings,
            ignore=values["ignore"] or (),
            bare="affiliate_id",
        )
        plan = await Plan.of(calls, client, period=period, **terms)
        return plan, ["CAKE computes their totals when they are created: none is known yet"]

    _plan(connect, values, make)


def mark_received(connect: Connect, **values: Any) -> None:  # noqa: ANN401 - of many types
    """Plan to mark bills as received: those of a file."""
    operation = f"{values['partner']}_{_RECEIVED}"
    settings = _settings(operation, values)

    async def make(client: Client, terms: PlanTerms) -> tuple[Plan, list[str]]:
        calls = CallFile(
            values["source"],
            client,
            operation=operation,
            arguments=settings,
            ignore=values["ignore"] or (),
        )
        return await Plan.of(calls, client, period=values["period"], **terms), []

    _plan(connect, values, make)


def mark_paid(connect: Connect, **values: Any) -> None:  # noqa: ANN401 - of many types
    """Plan to mark affiliates' bills as paid: those that a bank has paid.

    Each row of the bank's file is compared with an export of the period. Rows of another amount,
    of no bill, or of a bill that is paid already are listed, and no plan is made.
    """
    settings = _settings(_PAID, values)

    async def make(client: Client, terms: PlanTerms) -> tuple[Plan, list[str]]:
        bank = await BankFile.match(
            values["source"],
            client,
            period=values["period"],
            match=values["match"],
            arguments=settings,
            ignore=values["ignore"] or (),
        )
        _refuse_mismatches(values["source"], bank)
        plan = await Plan.of(bank, client, period=values["period"], **terms)
        if plan.totals != bank.totals:
            raise PlanError("the bills have changed while they were read: the totals differ")
        said = f"{values['source']} has {_count(bank.rows, 'row')} and the same totals"
        return plan, [said]

    _plan(connect, values, make)


def _refuse_mismatches(source: Path, bank: BankFile) -> None:
    """List the rows that pay no bill as it is, with amounts, which no error has.

    Raises:
        PlanError: There are some.
    """
    if not bank.mismatches:
        return
    for each in bank.mismatches:
        print_error(_mismatch(each))
    raise PlanError(
        f"{source} does not agree with CAKE in {_count(len(bank.mismatches), 'row')} of "
        f"{bank.rows}: no plan was made"
    )


def _mismatch(each: Mismatch) -> str:
    said = f"line {each.line}: {each.reason}"
    if each.amount is None:
        return said
    of_bill = f", {money(each.bill_amount, each.currency)} in CAKE" if each.bill_amount else ""
    return f"{said}: {money(each.amount, None)} in the file{of_bill}"


# Making a plan, and showing it.


def _plan(connect: Connect, values: Mapping[str, Any], make: Make) -> None:
    """Make a plan, write it, and show what it comes to."""
    file: Path = values["out"]
    sign: Path | None = values["sign"]
    terms = _terms(values)
    if sign is not None:
        terms["maker_key"] = run(partial(public_key, sign))
    plan, notes = connect().run(lambda client: make(client, terms))
    # First the signature: a plan that was to be signed is not there without.
    signature = None if sign is None else run(partial(signed, plan.pieces(), sign))
    plan.write(file)
    if signature is not None:
        _beside(file).write_text(signature, encoding="ascii")
    _show(plan, file, notes, signed=signature is not None)


def _terms(values: Mapping[str, Any]) -> PlanTerms:
    terms: PlanTerms = {
        "expires_in": values["expires"],
        "history_months": values["history"],
        "after": values["after"],
        "maker": values["maker"],
        "caps": Caps(
            max_total=cast("dict[str, Decimal]", dict(values["max_total"] or ())),
            max_row=values["max_row"],
            max_rows=values["max_rows"],
        ),
    }
    if "kind" in values:
        terms["kinds"] = _KINDS[values["kind"]]
    return terms


def _beside(file: Path) -> Path:
    return file.with_name(f"{file.name}.sig")


def _operation(values: Mapping[str, Any]) -> str | None:
    """Return the operation of all rows of a file; None if a column says it for each."""
    source: Path | None = values["source"]
    if source is not None:
        file = RowFile(source)
        first = next(iter(file), None)
        names = file.header[1] if file.header else list(first.cells if first else ())
        if OPERATION in names:
            return None
    return _UPDATE


def _settings(operation: str | None, values: Mapping[str, Any]) -> dict[str, object]:
    """Return what the options set on each row.

    Raises:
        ArgumentError: It cannot be read.
    """
    given: list[tuple[str, str]] = values["settings"] or []
    found: dict[str, object] = dict(given)
    problems = [
        Problem("set", f"names {name} twice")
        for name in found
        if sum(name == each for each, _ in given) > 1
    ]
    if operation is None and (given or values.get("paid_at")):
        problems.append(Problem("set", f"does not go with a column {OPERATION}"))
    elif operation is not None:
        try:
            found = arguments_of(operation, found)
        except ArgumentError as error:
            problems += [Problem("set", str(each)) for each in error.problems]
    for name in ("paid_at", "payment_date"):
        if values.get(name) is not None:
            if name in found:
                problems.append(Problem(name, "is given by --set as well"))
            found[name] = values[name]
    if problems:
        raise ArgumentError(*problems)
    return found


def _show(plan: Plan, file: Path, notes: Iterable[str], *, signed: bool) -> None:
    header, on = plan.header, screen()
    say_lines([f"{_count(header.rows, 'row')} for {header.domain}: {header.action}"], on)
    if plan.totals:
        say_out(_table(plan.totals))
    say_lines([*notes, *_lines(plan, file, signed=signed)], on)


def _lines(plan: Plan, file: Path, *, signed: bool) -> Iterator[str]:
    header = plan.header
    if header.history_months:
        months = ", ".join(header.history_months)
        yield f"history: {months}, {_count(len(header.history), 'partner')}"
    yield f"caps: {_caps(header)}"
    yield f"made by {header.maker}, expires {header.expires_at:%Y-%m-%d %H:%M} UTC"
    yield f"hash: {plan.hash}"
    yield f"written to {file}: it holds names and amounts, and only you can read it (0600)"
    if signed:
        yield f"signed by its maker: {file}.sig"
    yield f"next, a second person: aiocake approve {shlex.quote(str(file))}"
    if not signed:
        yield "or without keys: aiocake apply PLAN --journal RUN.DB --hash HASH"


def _table(totals: Iterable[Total]) -> str:
    table = Table(("kind", "status", "count", "amount", "currency"), screen())
    rows = [
        table.row((each.kind, each.invoice_status, each.count, each.amount, each.currency))
        for each in totals
    ]
    return ("".join(rows) + table.end()).rstrip("\n")


def _left_out(plan: Plan, period: Period, match: str) -> Iterator[str]:
    """Yield what was read and is not in the plan."""
    left = plan.left_out
    if left is None:
        return
    how = {"ends_in": "ending in it", "inside": "lying within it"}.get(match, "")
    for each in left.overlapping:
        why = f"overlapping {period} without {how}; --match overlaps plans them as well"
        yield f"left out: {_total(each)} ({why})"
    for each in left.other_kinds:
        yield f"left out: {_total(each)} (--kind {each.kind} plans them)"


def _total(each: Total) -> str:
    kind = f"{each.invoice_status} {each.kind} invoice"
    return f"{_count(each.count, kind)}, {money(each.amount, each.currency)}"


def _caps(header: PlanHeader) -> str:
    caps = header.caps
    said = [f"{money(most, currency)} in total" for currency, most in caps.max_total.items()]
    if caps.max_row is not None:
        said.append(f"{money(caps.max_row, None)} a row")
    if caps.max_rows is not None:
        said.append(f"{caps.max_rows} rows")
    return f"at most {', '.join(said)}" if said else "none"


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


# What goes together.


def _check_of(options: Iterable[Option]) -> Check:
    names = {option.name for option in options}

    def check(values: Mapping[str, Any], unread: frozenset[str]) -> list[Problem]:
        problems: list[Problem] = []
        file: Path | None = values.get("out")
        if file is not None:
            problems += [
                Problem("out", f"{each} exists already: choose another name")
                for each in (file, *([_beside(file)] if values.get("sign") else []))
                if each.exists()
            ]
        if "invoice_status" in names and unread.isdisjoint({"source", "period", "invoice_status"}):
            problems += _problems_of_update(values)
        return problems

    return check


def _problems_of_update(values: Mapping[str, Any]) -> Iterator[Problem]:
    if values["source"] is None:
        missing = [name for name in ("period", "invoice_status") if values[name] is None]
        if missing:
            yield Problem(", ".join(missing), "needed, or --from with a file")
        if not (values["settings"] or values["paid_at"]):
            yield Problem("set", "needed: what is to be set, such as status=approved")
        return
    if values["invoice_status"] is not None:
        yield Problem("invoice_status", "cannot be combined with --from")
    if values["longest"] is not None:
        yield Problem("longest", "cannot be combined with --from")


def _add(function: Callable[..., None], options: Iterable[Option], name: str) -> None:
    offered = sorted(options, key=lambda option: not option.required)
    made = with_connection(
        function, [option.parameter() for option in offered], check=_check_of(offered)
    )
    app.command(name, cls=AllErrors)(made)


_add(update, _UPDATE_OPTIONS, "update")
_add(create, _CREATE_OPTIONS, "create")
_add(mark_received, _RECEIVED_OPTIONS, "mark-received")
_add(mark_paid, _PAID_OPTIONS, "mark-paid")


# Looking at plans.


def _row_fields(row: PlanRow) -> dict[str, object]:
    record = row.record
    number = OPERATIONS[row.operation].record
    values = {name: _cell(value) for name, value in row.arguments.items() if name != number}
    return {
        "line": row.line,
        "operation": row.operation,
        "record_id": row.arguments.get(number) if number else None,
        "arguments": values,
        "kind": record and record.kind.value,
        "invoice_status": record and record.invoice_status and record.invoice_status.value,
        "partner_id": record.partner_id if record else row.arguments.get("affiliate_id"),
        "partner_name": record and record.partner_name,
        "start_date": record and record.start_date,
        "end_date": record and record.end_date,
        "amount": record and record.amount,
        "currency": record and record.currency,
    }


def _cell(value: object) -> object:
    return value if isinstance(value, bool | int) else str(value)


def _as_json(fields: Fields) -> Fields:
    plain: dict[str, object] = {}
    for name, value in fields.items():
        is_plain = value is None or isinstance(value, bool | int | dict)
        plain[name] = value if is_plain else format(cast("Any", value), _FORMS.get(name, ""))
    return plain


_FORMS: Final = {"amount": "f", "amount_before": "f"}


def _in_line(fields: Fields) -> Fields:
    arguments = cast("Mapping[str, object]", fields["arguments"])
    return {**fields, "arguments": " ".join(f"{name}={each}" for name, each in arguments.items())}


_ROW: Final = RecordLayout[PlanRow](
    json=lambda row: _as_json(_row_fields(row)),
    csv=lambda row: _in_line(_row_fields(row)),
    csv_columns=(
        "line", "operation", "record_id", "arguments", "kind", "invoice_status", "partner_id",
        "partner_name", "start_date", "end_date", "amount", "currency",
    ),
    to_table=lambda row: _in_line(_row_fields(row)),
    table_columns=(
        "line", "record_id", "arguments", "kind", "invoice_status", "partner_id", "partner_name",
        "amount", "currency",
    ),
)  # fmt: skip

PlanFile = Annotated[Path, typer.Argument(metavar="PLAN", help="The plan.", show_default=False)]


@app.command(cls=AllErrors)
@with_output
def show(output: Output, plan: PlanFile) -> None:
    """Show every row of a plan. `aiocake approve` shows what a second person has to see."""
    output.spare(plan)
    found = Plan.read(plan)
    with output.records(_ROW) as write:
        for row in found.rows:
            write(row)


def _diff_fields(change: tuple[str, PlanRow | None, PlanRow | None]) -> dict[str, object]:
    what, before, after = change
    row = after or before
    if row is None:
        return {**dict.fromkeys(_DIFF_COLUMNS), "change": "header", "changed": what}
    fields = _row_fields(row)
    old = _row_fields(before) if before is not None and after is not None else fields
    changed = [name for name in _COMPARED if fields[name] != old[name]]
    return {
        "change": what,
        "operation": fields["operation"],
        "record_id": fields["record_id"],
        "kind": fields["kind"],
        "partner_id": fields["partner_id"],
        "partner_name": fields["partner_name"],
        "amount_before": old["amount"] if before is not None else None,
        "amount": fields["amount"] if after is not None else None,
        "currency": fields["currency"],
        "changed": " ".join(changed) or None,
    }


_COMPARED: Final = (
    "arguments", "kind", "invoice_status", "partner_id", "partner_name", "start_date", "end_date",
    "amount", "currency",
)  # fmt: skip
_DIFF_COLUMNS: Final = (
    "change", "operation", "record_id", "kind", "partner_id", "partner_name", "amount_before",
    "amount", "currency", "changed",
)  # fmt: skip
_DIFF: Final = RecordLayout[tuple[str, PlanRow | None, PlanRow | None]](
    json=lambda change: _as_json(_diff_fields(change)),
    csv=_diff_fields,
    csv_columns=_DIFF_COLUMNS,
    to_table=_diff_fields,
    table_columns=tuple(name for name in _DIFF_COLUMNS if name != "operation"),
)


@app.command(cls=AllErrors)
@with_output
def diff(
    output: Output,
    first: Annotated[Path, typer.Argument(metavar="A", help="A plan.", show_default=False)],
    second: Annotated[
        Path, typer.Argument(metavar="B", help="The plan to compare it with.", show_default=False)
    ],
) -> None:
    """Show how two plans differ: rows that are removed, added or changed, and the header.

    Exit codes: 0 if they do not differ, 1 if they do.
    """
    output.spare(first, second)
    found = PlanDiff.between(Plan.read(first), Plan.read(second))
    with output.records(_DIFF) as write:
        for name in found.header:
            write((name, None, None))
        for row in found.removed:
            write(("removed", row, None))
        for row in found.added:
            write(("added", None, row))
        for before, after in found.changed:
            write(("changed", before, after))
    if found:
        raise typer.Exit(1)
