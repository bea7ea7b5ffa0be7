"""Apply a plan: the one place where it is checked before anything of it is sent.

A plan is refused whole if it was changed, has expired, is for another instance, goes beyond its
caps, is not approved by as many people as is asked for, or was applied with another journal. What
nobody can promise in advance is that its records stay as they were. So each invoice is looked at
right before it is written to, and a row that is not as planned is skipped: the rest goes on.

Bills cannot be looked at one by one. One export before the first of them is sent shows which are
as planned.
"""

import os
from contextlib import suppress
from os import PathLike
from pathlib import Path
from typing import Final, cast

import attrs

from aiocake._normalize import class_name, path_of
from aiocake._operations.operation import executor_of
from aiocake.bulk import Approval, Journal, PlanIdentity, Stop, Summary, carry
from aiocake.bulk.journal_file import FilePlace, place_of, refuse_place
from aiocake.bulk.journal_store import (
    JournalPath,
    JournalPlace,
    NotBegun,
    refuse_other,
    refuse_other_plan,
)
from aiocake.bulk.options import OnConflict, OnOutcome, OnProgress
from aiocake.client import ClientView
from aiocake.errors import ArgumentError, JournalError, PlanError, Problem
from aiocake.models import Total
from aiocake.monthend import single_use
from aiocake.monthend.approvals import (
    Approvals,
    read_signatures,
    refuse_expired,
    refuse_other_domain,
    refuse_other_hash,
    require,
)
from aiocake.monthend.audit import audit
from aiocake.monthend.audited import Audit
from aiocake.monthend.comparison import compare
from aiocake.monthend.plan import Plan
from aiocake.monthend.receipt import Receipt
from aiocake.monthend.stale import StaleRow, look_at_bills, stale_rows

_STOP: Final = Stop()


@attrs.frozen(kw_only=True)
class Applied:
    """The result of applying a plan.

    Attributes:
        summary: How many of its calls ended how, and the problems.
        planned: The control totals of the plan.
        audit: The journal of the run, each row with its outcome.
    """

    summary: Summary
    planned: tuple[Total, ...]
    audit: Audit

    @property
    def done(self) -> tuple[Total, ...]:
        """Return the control totals of what was done, by kind, new status and currency."""
        return self.audit.totals

    @property
    def receipt(self) -> Receipt:
        """Return what to keep away from the journal, so that a log that is cut off later shows."""
        return self.audit.receipt()


@attrs.frozen(kw_only=True)
class ApprovedPlan:
    """A plan that may be applied to an instance.

    Attributes:
        plan: The plan.
        approvals: Who stands behind it; nobody if no approvals were required.
    """

    plan: Plan
    approvals: Approvals


async def approved(  # noqa: PLR0913 - by name
    plan: Plan | str | PathLike[str],
    domain: str,
    *,
    approvals: int,
    signatures: str | None = None,
    signers: str | PathLike[str] | None = None,
    revoked: str | PathLike[str] | None = None,
    hash: str | None = None,  # noqa: A002 - what it is called everywhere
) -> ApprovedPlan:
    """Return a plan that may be applied now, and who stands behind it. Sends nothing.

    Args:
        plan: As :func:`apply` takes it, like all that follows.
        domain: The instance.
        approvals: How many people must have approved it.
        signatures: Its signatures.
        signers: The file of signers.
        revoked: The keys that count no more.
        hash: The hash that the plan must have.

    Raises:
        PlanError: It must not be applied.
        ConfigurationError: ssh-keygen is missing, or the file of signers.
        ArgumentError: An argument is invalid.
    """
    found, text = _read(plan, signatures)
    if hash is not None:
        refuse_other_hash(found, hash)
    refuse_other_domain(found, domain)
    refuse_expired(found)
    problems = found.header.caps.check(found.rows)
    if problems:
        raise PlanError("the plan goes beyond its caps", *problems)
    people = await require(
        found,
        text,
        approvals=approvals,
        signers=None if signers is None else path_of("signers", signers),
        revoked=None if revoked is None else path_of("revoked", revoked),
    )
    return ApprovedPlan(plan=found, approvals=people)


async def apply(  # noqa: PLR0913 - by name
    plan: Plan | str | PathLike[str],
    cake: ClientView,
    *,
    journal: JournalPath,
    approvals: int,
    signatures: str | None = None,
    signers: str | PathLike[str] | None = None,
    revoked: str | PathLike[str] | None = None,
    hash: str | None = None,  # noqa: A002 - what it is called everywhere
    strict: bool = False,
    on_conflict: OnConflict = "skip",
    limit: int | None = None,
    on_outcome: OnOutcome[object] | None = None,
    on_progress: OnProgress | None = None,
    stop_after: Stop | None = _STOP,
    settle: float = 60.0,
    allow_unknown_filesystem: bool = False,
) -> Applied:
    """Carry out a plan, row by row; skip records that are no longer as planned.

    The same line begins it, continues it after a crash, and finds it done: as
    :func:`aiocake.bulk.carry` does. Each time the plan is checked anew, its signatures included.
    A plan is single-use: with another journal it is refused on the same host.

    Args:
        plan: The plan, or its file.
        cake: A client of the instance, or a view of one.
        journal: The journal of the run: a new file, or the one that it was begun with; or a run of
            a database, by which the plan is single-use on all hosts.
        approvals: How many people must have approved the plan, beside its maker, who has to sign it
            then, too. 0 asks for none. What a run was begun with can only be raised.
        signatures: The signatures of the plan, as text; by default those of the file beside it.
        signers: The file of signers, in the form of ``allowed_signers`` of ssh-keygen(1).
        revoked: A KRL, or a list of public keys: those that count no more.
        hash: The hash that was approved, all of its 64 digits: the small form, without keys.
        strict: Refuse the plan whole if any record is not as planned when the run begins.
        on_conflict: The treatment of a row whose invoice is not as planned, as in
            :func:`aiocake.bulk.each`.
        limit: Calls in flight at once, as in :func:`aiocake.bulk.each`.
        on_outcome: Called with the end of each call, as there.
        on_progress: Called with the run's progress, as there.
        stop_after: When to stop sending, as there.
        settle: Seconds that a lost create gets to show up, as there.
        allow_unknown_filesystem: Accept a journal on any filesystem, as there.

    Returns:
        What became of it, and a receipt.

    Raises:
        PlanError: It must not be applied: nothing was sent.
        JournalError: The journal cannot be used, or is of another plan; nothing was sent.
        ConfigurationError: ssh-keygen is missing, or the file of signers; nothing was sent.
        ArgumentError: An argument is invalid; nothing was sent.
        Conflict: As ``on_conflict`` says.
        CakeError: Records could not be read.
    """
    domain, file = executor_of(cake.invoices).domain, place_of("journal", journal)
    plan_file = None if isinstance(plan, Plan) else path_of("plan", plan)
    kept = await _kept(file, allow_unknown=allow_unknown_filesystem)
    needed = approvals if kept is None else max(approvals, kept.required)
    checked = await approved(
        plan,
        domain,
        approvals=needed,
        signatures=signatures,
        signers=signers,
        revoked=revoked,
        hash=hash,
    )
    found = checked.plan
    identity = _identity(checked, plan_file, signers, revoked, needed)
    begun = await _has_begun(file, domain, identity, allow_unknown=allow_unknown_filesystem)
    single_use.refuse_other_journal(found.hash, file)
    if strict and not begun:
        stale = await stale_rows(found, cake)
        if stale:
            raise PlanError(
                "nothing was sent: some records are not as planned", *map(_problem_of, stale)
            )
    bills = await look_at_bills(found, cake)
    known = {row.index: row.reason for row in bills.stale if on_conflict != "overwrite"}
    if not begun and isinstance(file, FilePlace):
        # Otherwise the plan would be bound to a journal that cannot be made.
        for_tests = executor_of(cake.invoices).for_tests
        refuse_place(file.path, for_tests=for_tests, allow_unknown=allow_unknown_filesystem)
    if begun or isinstance(file, FilePlace):
        # A database has each plan once, and says so before anything is sent: a note that is made
        # before that would be of a journal which it then refuses.
        single_use.claim(found.hash, file)
    summary = await carry(
        file,
        cake,
        calls=lambda: [row.call(cake) for row in found.rows],
        identity=identity,
        known_conflicts=known,
        known_done=bills.applied,
        on_conflict=on_conflict,
        limit=limit,
        on_outcome=on_outcome,
        on_progress=on_progress,
        stop_after=stop_after,
        settle=settle,
        allow_unknown_filesystem=allow_unknown_filesystem,
    )
    audited = await audit(file, plan=found, allow_unknown_filesystem=allow_unknown_filesystem)
    marks = [each for each in audited.entries if "_bills.mark_" in each.operation]
    if marks:  # one export before, and one after
        differences, unchecked = await compare(cake, marks, found.header.period)
        audited = attrs.evolve(audited, differences=differences, unchecked=unchecked)
    return Applied(
        summary=summary,
        planned=found.totals,
        audit=audited,
    )


async def resume_plan(  # noqa: PLR0913 - by name
    journal: JournalPath,
    cake: ClientView,
    *,
    approvals: int = 0,
    on_outcome: OnOutcome[object] | None = None,
    on_progress: OnProgress | None = None,
    settle: float = 60.0,
    allow_unknown_filesystem: bool = False,
) -> Applied:
    """Resume a plan from its journal, which stores where the plan and the signers are.

    Args:
        journal: The journal that :func:`apply` wrote.
        cake: A client of the instance, or a view of one.
        approvals: How many people must have approved the plan at least; never fewer than were
            asked for when it was begun.
        on_outcome: As in :func:`apply`.
        on_progress: As in :func:`apply`.
        settle: As in :func:`apply`.
        allow_unknown_filesystem: As in :func:`apply`.

    Returns:
        What became of it, and a receipt.

    Raises:
        JournalError: The journal is of no plan, or does not say where its file is.
        CakeError: As :func:`apply` raises.
    """
    file = place_of("journal", journal)
    opening = Journal.open(file, allow_unknown_filesystem=allow_unknown_filesystem)
    async with await opening as book:
        identity = await book.plan_identity()
    if identity is None or identity.file is None:
        raise JournalError(f"{file} does not say which file its plan is in: apply the plan again")
    return await apply(
        identity.file,
        cake,
        journal=file,
        approvals=max(approvals, identity.required),
        signers=identity.signers,
        revoked=identity.revoked,
        hash=identity.hash,
        on_outcome=on_outcome,
        on_progress=on_progress,
        settle=settle,
        allow_unknown_filesystem=allow_unknown_filesystem,
    )


def _read(plan: object, signatures: str | None) -> tuple[Plan, str]:
    """Return a plan and its signatures."""
    if isinstance(plan, Plan):
        return plan, signatures or ""
    if not isinstance(plan, str | os.PathLike):
        raise ArgumentError(Problem("plan", f"must be a plan or its file, got {class_name(plan)}"))
    file = path_of("plan", cast("str | PathLike[str]", plan))
    return Plan.read(file), read_signatures(file) if signatures is None else signatures


async def _kept(journal: JournalPlace, *, allow_unknown: bool) -> PlanIdentity | None:
    """Return the plan that a journal is of; None if there is no journal, or it is of none."""
    with suppress(NotBegun):
        async with await Journal.open(journal, allow_unknown_filesystem=allow_unknown) as book:
            return await book.plan_identity()
    return None


async def _has_begun(
    journal: JournalPlace, domain: str, identity: PlanIdentity, *, allow_unknown: bool
) -> bool:
    """Return True if the plan was begun with a journal.

    Raises:
        JournalError: It is of another instance or plan, or cannot be used.
    """
    with suppress(NotBegun):
        async with await Journal.open(journal, allow_unknown_filesystem=allow_unknown) as book:
            refuse_other(await book.domain(), journal, domain)
            refuse_other_plan(await book.plan_identity(), journal, identity)
            return True
    return False


def _problem_of(row: StaleRow) -> Problem:
    return Problem(f"line {row.line}", row.reason)


def _identity(
    checked: ApprovedPlan,
    plan_file: Path | None,
    signers: str | PathLike[str] | None,
    revoked: str | PathLike[str] | None,
    required: int,
) -> PlanIdentity:
    people = checked.approvals
    header = checked.plan.header
    return PlanIdentity(
        hash=checked.plan.hash,
        maker=header.maker if people.maker is None else people.maker.principal,
        maker_key=None if people.maker is None else people.maker.key,
        approvals=tuple(
            Approval(principal=each.principal, key=each.key) for each in people.approvers
        ),
        required=required,
        file=_absolute(plan_file),
        signers=_absolute(signers),
        revoked=_absolute(revoked),
    )


def _absolute(path: str | PathLike[str] | None) -> str | None:
    return None if path is None else str(Path(path).absolute())
