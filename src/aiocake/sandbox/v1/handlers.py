"""The work of v1's operations, on the values that ASP.NET has read."""

from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Final, TypeAlias

from aiocake.sandbox.data import (
    ACCOUNT_STATUSES,
    CURRENCIES,
    CURRENCY_BY_ID,
    CYCLE_IDS,
    PAYMENT_SETTINGS,
    PAYMENT_TYPES,
    V1_BILLING_CYCLES,
)
from aiocake.sandbox.messages import Json
from aiocake.sandbox.state import BillRecord, Partner, PartnerKind, State
from aiocake.sandbox.v1.operations import Export, LookUp, Mark, Operation, Parameter
from aiocake.sandbox.v1.parameter_types import BYTE, DATETIME, DECIMAL, TEXT, Value
from aiocake.sandbox.v1.schema import Shared

Arguments: TypeAlias = Mapping[str, Value]
Content: TypeAlias = dict[str, Json]
#: The number of rows of an export, and the rows.
Rows: TypeAlias = tuple[int, Iterator[dict[str, Json]]]

_NO_PAYMENT_TYPE: Final = "Payment Type ID does not exist"
_TIPALTI: Final = "Bills processed by Tipalti may not be updated"
_EARLIEST_SQL_DATE: Final = datetime(1753, 1, 1)  # noqa: DTZ001 - v1's times have no zone
# Rates are there for two decades, so that a wide period does not make a huge response.
_FIRST_RATE: Final = date(2010, 1, 1)
_END_OF_RATES: Final = date(2030, 1, 1)
_RATES: Final = {"EUR": Decimal("0.9213"), "GBP": Decimal("0.7871"), "JPY": Decimal("149.52")}


class Threw(Exception):
    """A method of the service ended in an exception."""


class _Refused(Exception):
    """The API refuses the call; the sandbox has not failed."""


def carry_out(state: State, operation: Operation, arguments: Arguments) -> Content:
    """Carry out an operation, or refuse it.

    Args:
        state: The state to read or change.
        operation: The operation.
        arguments: A value for each of its parameters.

    Returns:
        The members of the response's root.

    Raises:
        Threw: The method threw.
    """
    if arguments["api_key"] not in state.api_keys:
        return refusal(operation, "Invalid API key")
    try:
        job = operation.job
        if isinstance(job, Export):
            count, items = _EXPORTS[job.items](state, arguments)
            return _listed(job.items, count, items)
        if isinstance(job, Mark):
            return _mark(state, job, operation.parameters, arguments)
        return _look_up(job, arguments)
    except _Refused as refused:
        return refusal(operation, str(refused))


def refusal(operation: Operation, message: str) -> Content:
    """Return a refusal. It has no list, not even an empty one."""
    content: Content = {"success": False, "message": message}
    return content if isinstance(operation.job, Mark) else content | {"row_count": 0}


def _listed(name: str, count: int, items: Json) -> Content:
    return {"success": True, "row_count": count, name: items}


def _export_bills(kind: PartnerKind, state: State, arguments: Arguments) -> Rows:
    cycle = arguments["billing_cycle"]
    first, end = arguments["billing_period_start_date"], arguments["billing_period_end_date"]
    paid_only = arguments.get("paid_only", False)
    payment_type = arguments.get("payment_type_id", 0)
    if payment_type and payment_type not in PAYMENT_TYPES:
        raise _Refused(_NO_PAYMENT_TYPE)
    first_day, end_day = _day(first), _day(end)

    def matches(bill: BillRecord) -> bool:
        return (
            (cycle in {"all", bill.partner.billing_cycle})
            and bill.start_date >= first_day
            and bill.end_date <= end_day
            and (not paid_only or "paid" in bill.marked)
            and (not payment_type or bill.partner.payment_type_id == payment_type)
        )

    key = (cycle, first_day, end_day, paid_only, payment_type)
    found = state.bills(kind).select(key, matches)
    return len(found), _bills(found)


def _bills(found: list[BillRecord]) -> Iterator[dict[str, Json]]:
    partners: dict[int, Shared] = {}
    for bill in found:
        partner = partners.get(bill.partner.partner_id)
        if partner is None:
            partner = partners[bill.partner.partner_id] = _partner(bill.partner)
        currency = CURRENCY_BY_ID[bill.partner.currency_id]
        shown = f"{currency.symbol}{abs(bill.amount):,.{currency.decimals}f}"
        yield {
            "bill_id": bill.bill_id,
            bill.partner.kind: partner,
            "billing_period_start_date": bill.start_date,
            "billing_period_end_date": bill.end_date,
            "bill_amount": {
                "currency_id": bill.partner.currency_id,
                "amount": bill.amount,
                "formatted_amount": f"({shown})" if bill.amount < 0 else shown,
            },
            "invoice_number": bill.invoice_number,
            "invoiced_amount": bill.invoiced_amount,
            "payment_amount": bill.payment_amount,
            "date_invoice_received": bill.date_invoice_received,
            "date_sent_invoice": bill.date_sent_invoice,
            "date_payment_received": bill.date_payment_received,
            "payment_date": bill.payment_date,
            "payment_type_id": bill.payment_type_id,
            "verification_code": bill.verification_code,
            "notes": bill.notes,
            "sent_payment": "yes" if "paid" in bill.marked else "no",
        }


def _partner(partner: Partner) -> Shared:
    status, cycle = partner.account_status_id, CYCLE_IDS[partner.billing_cycle]
    return Shared(
        {
            f"{partner.kind}_id": partner.partner_id,
            f"{partner.kind}_name": partner.name,
            "account_status": _pair("account_status", status, ACCOUNT_STATUSES),
            "account_managers": [{"contact_id": 11, "contact_name": partner.manager}],
            f"{partner.kind}_billing": {
                "contacts": [
                    {
                        "contact_id": partner.partner_id + 1_000_000,
                        "contact_type": "Primary",
                        "first_name": partner.contact_first_name,
                        "last_name": partner.contact_last_name,
                    }
                ],
                "billing_cycle": _pair("billing_cycle", cycle, V1_BILLING_CYCLES),
            },
        }
    )


def _pair(name: str, number: int, names: Mapping[int, str]) -> dict[str, Json]:
    return {f"{name}_id": number, f"{name}_name": names.get(number, "")}


def _mark(
    state: State, job: Mark, parameters: tuple[Parameter, ...], arguments: Arguments
) -> Content:
    number = arguments["bill_id"]
    bill = state.bills(job.partner).get(number) if isinstance(number, int) else None
    if bill is None:
        raise _Refused(job.unknown)
    if bill.partner.tipalti:
        raise _Refused(_TIPALTI)
    for parameter in parameters:
        _check(parameter, arguments[parameter.name])
    for parameter in parameters:
        _store(bill, parameter, arguments)
    if arguments.get("apply_credit_to_buyer"):
        buyer = bill.partner.partner_id
        state.credits[buyer] = state.credits.get(buyer, Decimal(0)) + _amount(bill)
    message = job.again if job.mark in bill.marked else job.first
    bill.marked |= {job.mark}
    content: Content = {"success": True, "message": message}
    if job.amounts:
        content |= {"payment_amount": bill.payment_amount, "bill_amount": bill.amount}
    return content


def _check(parameter: Parameter, value: Value) -> None:
    if (
        parameter.longest is not None
        and isinstance(value, str)
        and len(value.encode("utf-16-le", "surrogatepass")) // 2 > parameter.longest
    ):
        raise _Refused(parameter.complaint)
    if parameter.kind is BYTE and value not in {0, *PAYMENT_TYPES}:
        raise _Refused(_NO_PAYMENT_TYPE)


def _store(bill: BillRecord, parameter: Parameter, arguments: Arguments) -> None:
    name, value = parameter.name, arguments[parameter.name]
    if name == "api_key":
        return
    if parameter.kind is TEXT:
        # CAKE's pages: "NULL to erase it, empty string to skip it".
        if value != "":
            setattr(bill, name, None if value == "NULL" else value)
    elif parameter.kind is DATETIME:
        modification = arguments.get(f"{name}_modification_type", "change")
        if modification in {"change", "remove"}:
            setattr(bill, name, None if modification == "remove" else value)
    elif parameter.kind is DECIMAL or (parameter.kind is BYTE and value != 0):
        setattr(bill, name, value)


def _amount(bill: BillRecord) -> Decimal:
    return bill.payment_amount or Decimal(0)


def _day(value: Value) -> date:
    return value.date() if isinstance(value, datetime) else date.min


def _look_up(job: LookUp, arguments: Arguments) -> Content:
    items = _LISTS[job.items](arguments)
    return _listed(job.items, len(items), items)


def _pairs(name: str, names: Mapping[int, str]) -> Callable[[Arguments], list[dict[str, Json]]]:
    return lambda _: [_pair(name, number, names) for number in names]


def _currencies(_: Arguments) -> list[dict[str, Json]]:
    return [currency.fields() for currency in CURRENCIES]


def _exchange_rates(arguments: Arguments) -> list[dict[str, Json]]:
    """Return a rate for each currency and each month that begins in the period."""
    for name in ("start_date", "end_date"):
        value = arguments[name]
        if not isinstance(value, datetime) or value < _EARLIEST_SQL_DATE:
            raise Threw(
                "SqlDateTime overflow. Must be between 1/1/1753 12:00:00 AM and "
                "12/31/9999 11:59:59 PM."
            )
    first, end = _day(arguments["start_date"]), _day(arguments["end_date"])
    by_code = {currency.code: currency.fields() for currency in CURRENCIES}
    rates: list[dict[str, Json]] = []
    month = min(max(first, _FIRST_RATE), _END_OF_RATES)
    month = month if month.day == 1 else _next_month(month)
    while month < min(end, _END_OF_RATES):
        for code, rate in _RATES.items():
            shown: dict[str, Json] = {
                "base_currency": by_code["USD"],
                "quote_currency": by_code[code],
                "start_date": month,
                "end_date": _next_month(month),
                "rate": rate + Decimal(month.month).scaleb(-4),
            }
            rates.append(shown)
        month = _next_month(month)
    return rates


def _next_month(day: date) -> date:
    return (day.replace(day=28) + timedelta(days=4)).replace(day=1)


_EXPORTS: Final[Mapping[str, Callable[[State, Arguments], Rows]]] = {
    "affiliate_bills": partial(_export_bills, "affiliate"),
    "advertiser_bills": partial(_export_bills, "advertiser"),
    "buyer_bills": partial(_export_bills, "buyer"),
}
_LISTS: Final[Mapping[str, Callable[[Arguments], list[dict[str, Json]]]]] = {
    "billing_cycles": _pairs("billing_cycle", V1_BILLING_CYCLES),
    "payment_types": _pairs("payment_type", PAYMENT_TYPES),
    "payment_settings": _pairs("payment_setting", PAYMENT_SETTINGS),
    "account_statuses": _pairs("account_status", ACCOUNT_STATUSES),
    "currencies": _currencies,
    "exchange_rates": _exchange_rates,
}
