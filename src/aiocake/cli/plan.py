"""``aiocake plan``: record planned writes with the current state of their records; send nothing."""

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import Any, Final, cast

import typer

from aiocake import ArgumentError, Client, PlanError
from aiocake._display import money
from aiocake._operations.operation import Api
from aiocake._operations.parameters import InvalidArgument
from aiocake.cli import plan_options, plan_view
from aiocake.cli.command import with_connection
from aiocake.cli.connection import Connection
from aiocake.cli.errors import AllErrors, Check, print_error
from aiocake.cli.examples import example_of
from aiocake.cli.help import CommandGroup
from aiocake.cli.options import Option
from aiocake.cli.signals import run
from aiocake.errors import Problem
from aiocake.monthend import (
    BankFile,
    CallFile,
    Caps,
    Mismatch,
    Plan,
    PlanTerms,
)
from aiocake.monthend.rows import OPERATIONS
from aiocake.monthend.signatures import public_key
from aiocake.monthend.signatures import sign as signed
from aiocake.monthend.sources import OPERATION, RowFile, arguments_of
from aiocake.values import SKIP, Period

_UPDATE: Final = "invoices.update"
_CREATE: Final = "invoices.create"
_PAID: Final = "affiliate_bills.mark_paid"
_RECEIVED: Final = "bills.mark_received"

Connect = Callable[[], Connection]
Make = Callable[[Client, PlanTerms], Awaitable[tuple[Plan, list[str]]]]


class _PlanGroup(CommandGroup):
    """The group ``plan``: without the name of a command, it is ``update``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401 - Typer's, under changing names
        """Read the words."""
        if args and args[0].startswith("-") and args[0] not in {"-h", "--help"}:
            args = ["update", *args]
        return super().parse_args(ctx, args)


app: typer.Typer = typer.Typer(
    cls=_PlanGroup,
    help="Plan writes, for a second person to approve. Sends nothing. "
    "`aiocake plan --period …` is short for `aiocake plan update --period …`.",
)

# The commands.


def update(connect: Connect, **values: Any) -> None:  # noqa: ANN401 - of many types
    """Plan to update invoices: all of a period and status, or those of a file."""
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
        return plan, list(plan_view.left_out(plan, values["period"], values["match"]))

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
    """Plan to mark the bills of a file as received."""
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
        note = f"{values['source']} has {plan_view.counted(bank.rows, 'row')} and the same totals"
        return plan, [note]

    _plan(connect, values, make)


def _refuse_mismatches(source: Path, bank: BankFile) -> None:
    """Report the rows that match no bill, with amounts, which errors do not contain.

    Raises:
        PlanError: There are some.
    """
    if not bank.mismatches:
        return
    for each in bank.mismatches:
        print_error(_mismatch(each))
    raise PlanError(
        f"{source} does not agree with CAKE in {plan_view.counted(len(bank.mismatches), 'row')} of "
        f"{bank.rows}: no plan was made"
    )


def _mismatch(each: Mismatch) -> str:
    text = f"line {each.line}: {each.reason}"
    if each.amount is None:
        return text
    of_bill = f", {money(each.bill_amount, each.currency)} in CAKE" if each.bill_amount else ""
    return f"{text}: {money(each.amount, None)} in the file{of_bill}"


# Making a plan, and showing it.


def _plan(connect: Connect, values: Mapping[str, Any], make: Make) -> None:
    """Make a plan, write it, and show its totals."""
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
    show = plan_view.show_outcome if values["as_json"] else plan_view.show_made
    show(plan, file, notes, signed=signature is not None)


def _terms(values: Mapping[str, Any]) -> PlanTerms:
    terms: PlanTerms = {
        "expires_in": values["expires"],
        "history_months": values["history"],
        "after": values["after"],
        "maker": values["maker"],
        "caps": Caps(
            max_total=dict(cast("Iterable[tuple[str, Any]]", values["max_total"] or ())),
            max_row=values["max_row"],
            max_rows=values["max_rows"],
        ),
    }
    if "kind" in values:
        terms["kinds"] = plan_options.KINDS[values["kind"]]
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
    """Return the arguments that the options set on each row.

    Raises:
        ArgumentError: It cannot be read.
    """
    passed: list[tuple[str, str]] = values["settings"] or []
    found: dict[str, object] = dict(passed)
    problems = [
        Problem("set", f"names {name} twice")
        for name in found
        if sum(name == each for each, _ in passed) > 1
    ]
    if operation is None and (passed or values.get("paid_at")):
        problems.append(Problem("set", f"does not go with a column {OPERATION}"))
    elif operation is not None:
        known = [each.name for each in OPERATIONS[operation].parameters]
        unknown = [name for name in found if name not in known]
        problems += [Problem("set", _no_parameter(name, operation, known)) for name in unknown]
        try:
            found = arguments_of(
                operation, {name: found[name] for name in found if name not in unknown}
            )
        except ArgumentError as error:
            problems += [Problem("set", str(each)) for each in error.problems]
        else:
            problems += _problems_of_values(operation, found)
    for name in ("paid_at", "payment_date"):
        if values.get(name) is not None:
            if name in found:
                problems.append(Problem(name, "is given by --set as well"))
            found[name] = values[name]
    if problems:
        raise ArgumentError(*problems)
    return found


def _problems_of_values(operation: str, values: Mapping[str, object]) -> Iterator[Problem]:
    """Yield the values that cannot be sent; by ``--set``, since ``--status`` chooses invoices."""
    table = OPERATIONS[operation]
    for each in table.parameters:
        if each.name in values:
            checked = each.check(values[each.name], v1=table.api is Api.V1)
            for problem in checked.problems if isinstance(checked, InvalidArgument) else ():
                yield Problem("set", f"{plan_options.typed(each.name)}: {problem.reason}")


def _no_parameter(name: str, operation: str, known: list[str]) -> str:
    settable = [plan_options.typed(each) for each in known if each != OPERATIONS[operation].record]
    close = get_close_matches(name.replace("_", "-"), settable, 1)
    hint = f"did you mean {close[0]}?" if close else f"it has {', '.join(settable)}"
    return f"{operation} has no {name}: {hint}"


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
        try:
            _settings(_UPDATE, values)
        except ArgumentError as error:
            yield from error.problems
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
    app.command(name, cls=AllErrors, epilog=example_of(f"plan {name}"))(made)


_add(update, plan_options.UPDATE, "update")
_add(create, plan_options.CREATE, "create")
_add(mark_received, plan_options.RECEIVED, "mark-received")
_add(mark_paid, plan_options.PAID, "mark-paid")
app.command(cls=AllErrors, epilog=example_of("plan show"))(plan_view.show)
app.command(cls=AllErrors, epilog=example_of("plan diff"))(plan_view.diff)
