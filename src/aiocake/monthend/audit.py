"""Audit a run: what its journal records, whether that can be trusted, and what CAKE shows."""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final, cast

import attrs

from aiocake import _clock
from aiocake.bulk import Journal, PlanIdentity
from aiocake.bulk.calls import untagged
from aiocake.bulk.execution import instance_of
from aiocake.bulk.journal import Entry, EntryState, WorkSession
from aiocake.bulk.journal_store import JournalPath
from aiocake.client import ClientView
from aiocake.errors import ArgumentError, JournalError, PlanError, Problem
from aiocake.models import InvoiceKind, InvoiceStatus
from aiocake.models.totals import Tally
from aiocake.monthend.audited import Audit, AuditedCall
from aiocake.monthend.comparison import compare
from aiocake.monthend.plan import Plan
from aiocake.monthend.receipt import Receipt
from aiocake.monthend.rows import PlannedRecord, PlanRow
from aiocake.values import Period

_PAYOUTS: Final = ("invoices.create", "affiliate_bills.")
_REVENUES: Final = ("advertiser_bills.", "buyer_bills.")
_AMOUNTS: Final = ("invoiced_amount", "payment_amount")
_STATES: Final = frozenset(state.value for state in EntryState)
_OUTCOMES: Final = _STATES - {EntryState.PLANNED, EntryState.SENDING}
_DOUBTFUL: Final = (EntryState.SENDING, EntryState.UNKNOWN)


async def audit(  # noqa: PLR0913 - all by name
    path: JournalPath,
    cake: ClientView | None = None,
    *,
    plan: Plan | None = None,
    receipts: Sequence[Receipt] = (),
    verify: bool = False,
    period: Period | None = None,
    allow_unknown_filesystem: bool = False,
) -> Audit:
    """Return what a run did, by its journal, and whether the journal can be trusted.

    Two questions are answered apart. Integrity: is the journal as it was written? Its log is a
    chain of hashes, which is recomputed; each receipt is compared with it. Completeness: is all
    there, and does the state of each call follow from the log?

    With ``verify``, every call is compared with what CAKE has now. Invoices are read as one list
    where filters narrow it, else one by one; bills by one export of the period.

    Args:
        path: The journal, a file or a run of a database. It is only read; its run may be alive.
        cake: A client of the instance, or a view of one; needed for ``verify``.
        plan: The plan that was carried out, for what was true when it was made. By default the one
            in the file that it was applied from, if that is still the same. Without it, the journal
            says what each update expected.
        receipts: The receipts of the run that were kept.
        verify: Compare each call with CAKE.
        period: The billing period of the bills that were marked; by default the plan's.
        allow_unknown_filesystem: Accept a journal on any filesystem.

    Returns:
        The findings; nothing of what is wrong with the run raises.

    Raises:
        ArgumentError: An argument is invalid.
        JournalError: The journal cannot be read, or a client of another instance was passed.
        CakeError: CAKE could not be read for ``verify``.
    """
    _check(cake, receipts, verify=verify)
    journal = await Journal.open(path, allow_unknown_filesystem=allow_unknown_filesystem)
    async with journal:
        plan = plan or await _plan_of(journal)
        found = await _read(journal, plan, receipts)
    if not verify or cake is None:
        return found
    ours = instance_of(cake).domain
    if found.domain not in {ours, ""}:
        raise JournalError(
            f"the journal belongs to instance {found.domain}, but this client is for {ours}"
        )
    if period is None and plan is not None:
        period = plan.header.period
    differences, unchecked = await compare(cake, found.entries, period)
    return attrs.evolve(found, verified=True, differences=differences, unchecked=unchecked)


async def _plan_of(journal: Journal) -> Plan | None:
    """Return the plan of a run, if its file is still where it was and what it was."""
    identity = await journal.plan_identity()
    if identity is None or identity.file is None:
        return None
    try:
        plan = Plan.read(identity.file)
    except PlanError:
        return None
    return plan if plan.hash == identity.hash else None


def _check(cake: object, receipts: object, *, verify: object) -> None:
    problems: list[Problem] = []
    if verify and cake is None:
        problems.append(Problem("cake", "must be a client, to verify"))
    kept = cast("Sequence[object]", receipts)
    if not isinstance(receipts, list | tuple) or not all(isinstance(e, Receipt) for e in kept):
        problems.append(Problem("receipts", "must be a list of receipts"))
    if problems:
        raise ArgumentError(*problems)


async def _read(journal: Journal, plan: Plan | None, receipts: Sequence[Receipt]) -> Audit:
    checked = await journal.verify_log()
    identity: PlanIdentity | None = None
    with suppress(JournalError):  # the chain names the entry
        identity = await journal.plan_identity()
    sessions = tuple(await journal.sessions())
    counts = await journal.counts()
    domain = await journal.domain()
    integrity, completeness = list(checked.integrity), list(checked.completeness)
    completeness += _unfinished(counts, whole=await journal.is_complete())
    histories = await _histories(journal)
    rows = _PlanRows(plan, None if identity is None else identity.hash)
    tally, unpriced = Tally(), 0
    entries: list[AuditedCall] = []
    index = -1
    while page := await journal.entries(after=index):
        for entry in page:
            call = _audited(entry, histories.get(entry.index), sessions, rows)
            entries.append(call)
            if call.state is not EntryState.DONE:
                continue
            if call.amount is None:
                unpriced += 1
            else:
                status = None if call.new_status is None else InvoiceStatus(call.new_status)
                tally.add_amount((call.kind, status, call.currency), call.amount)
        index = page[-1].index
    integrity += rows.integrity
    completeness += rows.missing()
    found = Audit(
        domain=domain,
        audited_at=_clock.now().replace(microsecond=0),
        plan=identity,
        sessions=sessions,
        entries=tuple(entries),
        totals=tally.totals(),
        unpriced=unpriced,
        log=checked.head,
        unchained=checked.unchained,
        receipts=len(receipts),
        integrity=(),
        completeness=tuple(completeness),
    )
    for receipt in receipts:
        integrity += await _against(receipt, found, journal)
    return attrs.evolve(found, integrity=tuple(integrity))


def _unfinished(counts: Mapping[EntryState, int], *, whole: bool) -> list[str]:
    found: list[str] = []
    if not whole:
        found.append("the plan was not read to its end")
    if planned := counts.get(EntryState.PLANNED, 0):
        found.append(f"{_calls(planned)} not sent")
    if doubtful := sum(counts.get(state, 0) for state in _DOUBTFUL):
        found.append(f"{_calls(doubtful)} sent, and nothing shows with what outcome")
    return found


def _calls(count: int) -> str:
    return f"{count} call was" if count == 1 else f"{count} calls were"


async def _against(receipt: Receipt, found: Audit, journal: Journal) -> list[str]:
    """Return how a journal differs from a receipt of it."""
    name = f"the receipt of {receipt.made_at:%Y-%m-%d %H:%M:%S}"
    if found.log is None:
        return [f"{name} cannot be compared: the log is no chain"]
    problems: list[str] = []
    last, count = found.log.count, receipt.log.count
    if receipt.domain != found.domain:
        problems.append(f"{name} is for {receipt.domain}, not for {found.domain}")
    if last < count:
        gone = f"entry {count}" if last + 1 == count else f"entries {last + 1} to {count}"
        verb = "is" if last + 1 == count else "are"
        problems.append(f"{gone} of the log {verb} missing: {name} has {count}")
    else:
        head = await journal.log_head(count)
        if head is None or head.hash != receipt.log.hash:
            problems.append(f"entry {count} of the log is not the one of {name}")
    plan = found.plan
    if receipt.plan_hash != (None if plan is None else plan.hash):
        problems.append(f"{name} is of plan {receipt.plan_hash}")
    if last == count and receipt.totals != found.totals:
        problems.append(f"the totals of {name} are not those of the journal")
    return problems


@attrs.define
class _CallHistory:
    """The entries of the log about one call."""

    attempts: int = 0
    sent_at: str | None = None
    answered_at: str | None = None
    session: int | None = None


async def _histories(journal: Journal) -> dict[int, _CallHistory]:
    found: dict[int, _CallHistory] = {}
    number = 0
    while page := await journal.log(after=number):
        for entry in page:
            if entry.index is None or entry.what not in _STATES:
                continue
            history = found.setdefault(entry.index, _CallHistory())
            history.session = entry.session
            if entry.what == EntryState.SENDING:
                history.attempts += 1
                history.sent_at = history.sent_at or entry.at
            history.answered_at = entry.at if entry.what in _OUTCOMES else None
        number = page[-1].number
    return found


class _PlanRows:
    """The rows of a plan, compared with the calls of a journal.

    Args:
        plan: The plan; None if it is not at hand.
        kept: The hash of the plan that the journal is of.
    """

    def __init__(self, plan: Plan | None, kept: str | None) -> None:
        self._rows = None if plan is None else iter(plan.rows)
        self._next: PlanRow | None = None
        self.integrity: list[str] = []
        if plan is not None and plan.hash != kept:
            self.integrity.append(f"the journal is of plan {kept}, not of {plan.hash}")

    def at(
        self,
        index: int,
        operation: str,
        arguments: Mapping[str, object],
        expected: Mapping[str, object],
    ) -> PlannedRecord | None:
        """Return what was true of the record of a call; calls are asked for in order."""
        row = self._peek()
        while row is not None and row.index < index:
            self._next = None
            row = self._peek()
        if row is None or row.index != index:
            return None
        self._next = None
        stated = {} if row.expect is None else row.expect.stated()
        if (row.operation, dict(row.arguments), stated) != (operation, arguments, expected):
            self.integrity.append(f"call {index} is not the one of line {row.line} of the plan")
            return None
        return row.record

    def missing(self) -> list[str]:
        """Return the rows behind the last call."""
        if self._peek() is None:
            return []
        self._next = None
        left = 1 + sum(1 for _ in self._rows or ())
        return [f"{left} of the plan's rows are not in the journal"]

    def _peek(self) -> PlanRow | None:
        if self._next is None and self._rows is not None:
            self._next = next(self._rows, None)
        return self._next


def _audited(
    entry: Entry, history: _CallHistory | None, sessions: Sequence[WorkSession], rows: _PlanRows
) -> AuditedCall:
    operation, arguments, expected = _call(entry.call)
    detail = _detail(entry.detail)
    made: object = detail.get("result")
    result = cast("Mapping[str, Any]", made if isinstance(made, dict) else {})
    record = rows.at(entry.index, operation, arguments, expected)
    known = _known(operation, arguments, expected, record)
    history = history or _CallHistory()
    number = history.session
    session = sessions[number - 1] if number and number <= len(sessions) else None
    creates = operation == "invoices.create"
    record_id = arguments.get("invoice_id", arguments.get("bill_id"))
    if creates and entry.state is EntryState.DONE:
        record_id = result.get("invoice_id") or detail.get("found")
        known["amount"] = _amount(result.get("total_amount"))
        known["currency"] = result.get("currency")
    return AuditedCall(
        index=entry.index,
        operation=operation,
        record_id=None if record_id is None else int(str(record_id)),
        new_status=_text(
            result.get("invoice_status") if creates else arguments.get("invoice_status")
        ),
        state=entry.state,
        attempts=history.attempts,
        sent_at=_time(history.sent_at),
        answered_at=_time(history.answered_at),
        message=_message(entry.state, detail),
        user=None if session is None else session.user,
        host=None if session is None else session.host,
        arguments=arguments,
        **known,
    )


def _call(text: str) -> tuple[str, dict[str, object], dict[str, object]]:
    """Return operation, arguments, and what an update expects, of a call's JSON."""
    try:
        found: dict[str, Any] = json.loads(text)
        operation = str(found["operation"])
        return operation, _untagged(found["arguments"]), _untagged(found.get("expect") or {})
    except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError):
        return "?", {}, {}


def _untagged(values: Mapping[str, object]) -> dict[str, object]:
    return {name: untagged(value) for name, value in values.items()}


def _detail(text: str | None) -> dict[str, Any]:
    with suppress(ValueError, TypeError):
        found = json.loads(text or "{}")
        if isinstance(found, dict):
            return cast("dict[str, Any]", found)
    return {}


def _known(
    operation: str,
    arguments: Mapping[str, Any],
    expected: Mapping[str, Any],
    record: PlannedRecord | None,
) -> dict[str, Any]:
    """Return what is known of the record of a call: by the plan, or else by the call."""
    if record is not None:
        return {
            "kind": record.kind,
            "partner_id": record.partner_id,
            "partner_name": record.partner_name,
            "amount": record.amount,
            "currency": record.currency,
            "start_date": record.start_date,
            "end_date": record.end_date,
            "old_status": record.invoice_status,
        }
    amounts = (arguments[name] for name in _AMOUNTS if name in arguments)
    payee, payer = expected.get("affiliate_id"), expected.get("advertiser_id")
    return {
        "kind": _kind(operation, payee=payee, payer=payer),
        "partner_id": payee or payer or arguments.get("affiliate_id"),
        "partner_name": None,
        "amount": _amount(expected.get("total_amount", next(amounts, None))),
        "currency": expected.get("currency"),
        "start_date": _date(arguments.get("start_date")),
        "end_date": _date(arguments.get("end_date")),
        "old_status": _text(expected.get("invoice_status")),
    }


def _kind(operation: str, *, payee: object, payer: object) -> InvoiceKind | None:
    if payee is not None or operation.startswith(_PAYOUTS):
        return InvoiceKind.PAYOUT
    if payer is not None or operation.startswith(_REVENUES):
        return InvoiceKind.REVENUE
    return None


def _message(state: EntryState, detail: Mapping[str, Any]) -> str:
    """Return how a call ended, in words."""
    if state is EntryState.DONE:
        result = detail.get("result")
        if isinstance(result, dict):
            return str(cast("dict[str, object]", result).get("message") or "answered")
        found = detail.get("found")
        return "found to be so when it was read" if found in {None, True} else f"found as {found}"
    if state is EntryState.FAILED:
        return f"{detail.get('error', '')}: {detail.get('message', '')}".strip(": ")
    if state is EntryState.SKIPPED and detail.get("existing"):
        return f"there is already {', '.join(map(str, detail['existing']))}"
    reason = str(detail.get("reason") or "")
    among = ", ".join(map(str, detail.get("candidates") or ()))
    return f"{reason} (candidates: {among})" if among else reason


def _amount(value: object) -> Decimal | None:
    if isinstance(value, Decimal):
        return value
    try:
        return None if value is None or isinstance(value, bool) else Decimal(str(value))
    except ArithmeticError:
        return None


def _date(value: object) -> date | None:
    return value if isinstance(value, date) else None


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _time(text: str | None) -> datetime | None:
    with suppress(ValueError, TypeError):
        return datetime.fromisoformat(text or "")
    return None
