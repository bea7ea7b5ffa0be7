"""The confirmation prompt of a write: what is set, and on which record.

One wrong digit in an id goes through unnoticed where the prompt shows the id alone. So the record
is read first. If that fails, the prompt says so, and the write can still be confirmed.
"""

from collections.abc import Awaitable, Callable, Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Final

import attrs

from aiocake import CakeError, Client, Invoice, Period
from aiocake._operations.operation import ResponseShape
from aiocake.bulk import Call
from aiocake.cli.catalogue import WARNING, CommandText
from aiocake.cli.errors import text_of
from aiocake.cli.text import money
from aiocake.models import Bill
from aiocake.values import ERASE

#: Arguments that the question itself names.
_IN_QUESTION: Final = frozenset({"apply_credit_to_buyer", "bill_id", "invoice_id"})
#: So many invoices of the same dates are listed.
_MOST_LISTED: Final = 3


@attrs.frozen
class Prompt:
    """The part of a prompt that is known before anything is read.

    Attributes:
        text: The words of its command.
        period: For a bill, the billing period in which to look it up.
    """

    text: CommandText
    period: Period | None = None


@attrs.frozen
class _Facts:
    """The part of a prompt that was read from the instance.

    Attributes:
        record: About the record.
        notes: About the arguments, by name.
    """

    record: str
    notes: Mapping[str, str] = MappingProxyType({})


async def prompt_of(prompt: Prompt, client: Client, call: Call[Any]) -> str:
    """Return the prompt of a write, without the instance that it goes to."""
    try:
        facts = await _look_up(prompt, client, call)
    except CakeError as error:
        facts = _Facts(f"it could not be read: {text_of(error)}")
    operation = prompt.text.operation
    question = prompt.text.question.format_map(call.arguments)
    if operation.idempotency_of(call.arguments) is not operation.idempotency:
        question += WARNING
    hidden = operation.sensitive
    sets = [
        f"{name.replace('_', ' ')} {_in_words(value, quoted=name in hidden)}"
        + (f" ({facts.notes[name]})" if name in facts.notes else "")
        for name, value in call.arguments.items()
        if name not in _IN_QUESTION
    ]
    return f"{question} ({facts.record}){': ' if sets else ''}{', '.join(sets)}"


async def _look_up(prompt: Prompt, client: Client, call: Call[Any]) -> _Facts:
    operation = prompt.text.operation
    if operation.shape is ResponseShape.MARK:
        return await _look_up_bill(prompt, client, call.arguments)
    return await LOOK_UPS[operation.name](client, call.arguments)


async def _look_up_invoice(client: Client, arguments: Mapping[str, Any]) -> _Facts:
    invoice = await client.invoices.get(arguments["invoice_id"])
    notes = {"invoice_status": f"now {invoice.invoice_status}"}
    return _Facts(f"{_partner(invoice)}, {_amount_and_dates(invoice)}", notes)


async def _look_around(client: Client, arguments: Mapping[str, Any]) -> _Facts:
    """Return the affiliate to be paid, and its invoices of the same dates."""
    affiliate: int = arguments["affiliate_id"]
    same = await client.invoices.page(
        affiliate_id=affiliate,
        start_date=arguments["start_date"],
        end_date=arguments["end_date"],
    )
    known = same.items or (await client.invoices.page(affiliate_id=affiliate, row_limit=1)).items
    name = known[0].affiliate_name if known else "it has no invoice yet"
    notes = {"affiliate_id": name} if name else {}
    there = [
        f"{each.invoice_id}, {each.invoice_status}, {_amount_and_dates(each)}"
        for each in same.items[:_MOST_LISTED]
    ]
    if len(same.items) > _MOST_LISTED:
        there.append("and others")
    return _Facts(f"within these dates already: {'; '.join(there) or 'none'}", notes)


#: How the record of a write that marks no bill is read.
LOOK_UPS: Final[Mapping[str, Callable[[Client, Mapping[str, Any]], Awaitable[_Facts]]]] = {
    "invoices.create": _look_around,
    "invoices.update": _look_up_invoice,
}


async def _look_up_bill(prompt: Prompt, client: Client, arguments: Mapping[str, Any]) -> _Facts:
    if prompt.period is None:
        return _Facts("the bill was not looked up; --period looks it up")
    bill = await _find(prompt, client, arguments["bill_id"])
    if bill is None:
        return _Facts(f"there is no such bill in {_days(prompt.period)}")
    amount = bill.bill_amount
    shown = amount.formatted_amount or money(amount.amount, None)
    notes = {
        name: f"far off: the bill is {shown}"
        for name in ("invoiced_amount", "payment_amount")
        if name in arguments and _is_far_off(Decimal(arguments[name]), amount.amount)
    }
    paid = ", payment recorded already" if bill.sent_payment else ""
    return _Facts(f"{_payee(bill)}, {shown}, {_days(bill.period or prompt.period)}{paid}", notes)


async def _find(prompt: Prompt, client: Client, bill_id: int) -> Bill | None:
    group = getattr(client, prompt.text.name.partition(".")[0])
    async with group.export(period=prompt.period) as bills:
        async for bill in bills:
            if bill.bill_id == bill_id:
                found: Bill = bill
                return found
    return None


def _is_far_off(amount: Decimal, of: Decimal) -> bool:
    """Return True if an amount is above twice another or below half of it, signs considered."""
    low, high = sorted((of / 2, of * 2))
    return not low <= amount <= high


def _partner(invoice: Invoice) -> str:
    payout = invoice.advertiser_id is None
    kind, number, name = (
        ("affiliate", invoice.affiliate_id, invoice.affiliate_name)
        if payout
        else ("advertiser", invoice.advertiser_id, invoice.advertiser_name)
    )
    return f"{name or 'no name'}, {kind} {number}"


def _payee(bill: Bill) -> str:
    kind, partner = next(
        (kind, found)
        for kind in ("affiliate", "advertiser", "buyer")
        if (found := getattr(bill, kind, None)) is not None
    )
    return f"{partner.name or 'no name'}, {kind} {partner.id}"


def _amount_and_dates(invoice: Invoice) -> str:
    amount = money(invoice.total_amount, invoice.currency or invoice.currency_symbol)
    first, last = invoice.start_date or invoice.invoice_date, invoice.end_date
    return f"{amount}, {first or '?'}..{last or '?'}"


def _days(period: Period) -> str:
    return f"{period.start}..{period.end}"


def _in_words(value: object, *, quoted: bool) -> str:
    match value:
        case _ if value is ERASE:
            return "erased"
        case Decimal():
            return format(value, "f")
        case str() if quoted:
            return f'"{value}"'
        case _:
            return str(value)
