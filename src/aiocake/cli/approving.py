"""Show what the approver of a plan should see, and sign the plan."""

import os
from contextlib import suppress
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Final

import typer

from aiocake import ArgumentError, PlanError
from aiocake.cli.destination import destination
from aiocake.cli.formats import Fields
from aiocake.cli.output import say_lines, say_object, say_out, screen, wrapped
from aiocake.cli.signals import run
from aiocake.cli.table import Screen, Table
from aiocake.cli.terminal import confirm
from aiocake.cli.text import escaped, money
from aiocake.errors import Problem
from aiocake.monthend import Approvals, Differences, Plan, read_signatures
from aiocake.monthend.approvals import (
    approvals_of,
    approver_of,
    maker_fingerprint,
    sign,
    signature_file,
)
from aiocake.monthend.report_html import approval_page
from aiocake.monthend.signatures import Signature, blocks_of, examine
from aiocake.monthend.summary import (
    Facts,
    Section,
    facts_of,
    not_found,
    sections_of,
    signers_of,
)

_GAP: Final = "  "
_UNSIGNED: Final = "nothing was signed"


def run_approve(  # noqa: PLR0913 - one for each option
    plan_file: Path,
    *,
    key: Path | None,
    signers: Path | None,
    revoked: Path | None,
    html: Path | None,
    confirmed: bool,
    as_json: bool,
) -> None:
    """Show the differences of a plan; with a key, ask for confirmation and sign it.

    Args:
        plan_file: The plan's file.
        key: The file of the approver's key; None to show the plan only.
        signers: The file of signers.
        revoked: The keys that count no more.
        html: Where to write the page.
        confirmed: True to sign without asking.
        as_json: True to show it as one object.

    Raises:
        PlanError: The plan, or a signature, must not be used.
        ArgumentError: The options do not fit together.
    """
    _check(plan_file, key, signers, revoked, html)
    if as_json and key is not None and not confirmed:
        reason = "needs --yes with --key: an object is no question that somebody could answer"
        raise ArgumentError(Problem("json", reason))
    plan = Plan.read(plan_file)
    found = Differences.of(plan)
    signatures = read_signatures(plan_file)
    signed, problems, approvals = run(partial(_signed, plan, signatures, signers, revoked))
    facts = (*facts_of(plan), *signed)
    if not as_json:
        _show(facts, found)
    if html is not None:
        write_page(html, approval_page(plan, found, approvals))
    if problems:
        raise PlanError("the signatures do not count together", *problems)
    if key is None:
        if as_json:
            say_object(_outcome(plan_file, plan, facts, found, None))
        return
    fingerprint = run(partial(approver_of, plan, plan_file, key))
    if not confirmed:
        say_lines(["", f"To approve: {_described(plan, plan_file, found)}"], screen())
        confirm(f"Approve with {fingerprint}", _UNSIGNED)
    run(partial(sign, plan, plan_file, key, signers=signers, revoked=revoked))
    count = len(blocks_of(read_signatures(plan_file)))
    if as_json:
        say_object(_outcome(plan_file, plan, facts, found, fingerprint))
    else:
        text = f"Signed: {signature_file(plan_file)} has {count} signature{_s(count)} now."
        say_out(escaped(text))
    if html is not None:
        _, _, approvals = run(partial(_signed, plan, read_signatures(plan_file), signers, revoked))
        write_page(html, approval_page(plan, found, approvals))


def _check(
    plan_file: Path, key: Path | None, signers: Path | None, revoked: Path | None, html: Path | None
) -> None:
    """Refuse options that do not fit together.

    Raises:
        ArgumentError: They do not.
    """
    if revoked is not None and signers is None:
        raise ArgumentError(Problem("revoked", "needs --signers"))
    if html is None:
        return
    for needed in (plan_file, signature_file(plan_file), key, signers, revoked):
        if needed is not None and os.path.realpath(html) == os.path.realpath(needed):
            raise ArgumentError(Problem("html", f"{html} is {needed}, which the command needs"))


async def _signed(
    plan: Plan, text: str, signers: Path | None, revoked: Path | None
) -> tuple[Facts, list[Problem], Approvals | None]:
    """Return who has signed, the problems of that, and the approvals if they were checked."""
    if signers is None:
        return _unchecked(plan, text), [], None
    checked = await examine(plan.pieces(), text, signers=signers, revoked=revoked)
    problems = [each for each in checked if isinstance(each, Problem)]
    good = [each for each in checked if isinstance(each, Signature)]
    approvals = None
    try:
        approvals = approvals_of(plan, good)
    except PlanError as error:
        problems += error.problems
    people = () if approvals is None else signers_of(approvals)
    bad = tuple((each.name, each.reason) for each in problems)
    return (*people, *bad), problems, None if problems else approvals


def _unchecked(plan: Plan, text: str) -> Facts:
    """Return the names of the signers, which were not checked."""
    maker = maker_fingerprint(plan)
    names = [
        f"{each.name} {each.reason}"
        if isinstance(each, Problem)
        else f"{each.key.fingerprint}{' (the maker)' if each.key.fingerprint == maker else ''}"
        for each in blocks_of(text)
    ]
    return (("signatures", f"not checked (--signers): {', '.join(names) or 'none'}"),)


def _outcome(
    plan_file: Path, plan: Plan, facts: Facts, found: Differences, signed_by: str | None
) -> Fields:
    """Return what there is to see of a plan, and by which key it was signed, if by any."""
    return {
        "plan": str(plan_file),
        "hash": plan.hash,
        "rows": plan.header.rows,
        "facts": dict(facts),
        "found": [
            {
                "title": section.title,
                "rows": [
                    dict(zip(section.columns, map(_plain, row), strict=True))
                    for row in section.rows
                ],
                "notes": list(section.notes),
            }
            for section in sections_of(found)
        ],
        "signed_by": signed_by,
        "signatures": len(blocks_of(read_signatures(plan_file))),
    }


def _plain(value: object) -> object:
    if isinstance(value, Decimal):
        return format(value, "f")
    return value if value is None or isinstance(value, bool | int) else str(value)


def _described(plan: Plan, plan_file: Path, found: Differences) -> str:
    """Describe on one line what will be approved."""
    sums = [
        f"{each.kind} {money(each.amount, each.currency)}" for each in found.totals if each.count
    ]
    rows = plan.header.rows
    return f"{plan_file.name}: {', '.join([f'{rows:,} row{_s(rows)}', *sums])}"


def _s(count: int) -> str:
    return "" if count == 1 else "s"


def _show(facts: Facts, found: Differences) -> None:
    on = screen()
    label = max(len(name) for name, _ in facts)
    for name, text in facts:
        first, *others = wrapped(text, None if on is None else on.width - label - len(_GAP), on)
        say_out(f"{name:{label}}{_GAP}{first}")
        for line in others:
            say_out(f"{'':{label}}{_GAP}{line}")
    for section in sections_of(found):
        _show_section(section, on)
    none = not_found(found)
    if none is not None:
        say_lines(["", none], on)


def _show_section(section: Section, on: Screen | None) -> None:
    say_lines(["", f"{section.title}:"], on)
    if section.rows:
        table = Table(section.columns, on)
        lines = "".join([*map(table.row, section.rows), table.end()])
        for line in lines.splitlines():
            say_out(line)
    say_lines(section.notes, on)


def write_page(file: Path, text: str) -> None:
    """Write a page; a new file can be read by its owner alone."""
    try:
        with suppress(FileExistsError):
            os.close(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        with destination(file) as place:
            place.stream.write(text.encode())
            place.finish()
    except OSError as error:
        raise typer.BadParameter(
            f"{file} cannot be written: {error.strerror}", param_hint="--html"
        ) from None
