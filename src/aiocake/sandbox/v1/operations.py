"""v1's operations as data: the parameters of each, in order, and the shape of its response."""

from typing import Final, Literal, TypeAlias

import attrs

from aiocake.sandbox.state import PartnerKind
from aiocake.sandbox.v1.parameter_types import (
    BOOL,
    BYTE,
    DATETIME,
    DECIMAL,
    INT,
    TEXT,
    Kind,
    enumeration,
)
from aiocake.sandbox.v1.schema import Leaf, ListOf, Shape, Struct

Service: TypeAlias = Literal["accounting", "get"]

CYCLE: Final = enumeration("billing_cycle_type", "weekly", "bimonthly", "monthly", "all")
MODIFICATION: Final = enumeration("modification_type", "do_not_change", "change", "remove")


@attrs.frozen
class Parameter:
    """A parameter of an operation.

    Attributes:
        name: Its name, matched exactly.
        kind: Its .NET type.
        longest: The most UTF-16 units that a text may have.
        complaint: The message when it has more.
    """

    name: str
    kind: Kind
    longest: int | None = None
    complaint: str = ""


@attrs.frozen
class Export:
    """An operation that lists what is stored.

    Attributes:
        items: The name of the list.
    """

    items: str


@attrs.frozen
class Mark:
    """An operation that changes a bill.

    Attributes:
        partner: The kind of partner whose bill it is.
        mark: What the bill is then.
        first: The message when the bill was not marked so before.
        again: The message when it was.
        unknown: The message when there is no such bill.
        amounts: True if payment_amount and bill_amount are in the response.
    """

    partner: PartnerKind
    mark: str
    first: str
    again: str = "Bill Successfully Updated"
    unknown: str = "Invalid Bill ID"
    amounts: bool = False


@attrs.frozen
class LookUp:
    """An operation that returns a small list."""

    items: str


Job: TypeAlias = Export | Mark | LookUp


@attrs.frozen
class Operation:
    """One operation.

    Attributes:
        name: Its name.
        service: The page that has it.
        parameters: Its parameters, in order.
        job: What it does.
        root: The root of its response by GET and form. They are irregular.
        members: The elements in the root.
    """

    name: str
    service: Service
    parameters: tuple[Parameter, ...]
    job: Job
    root: str
    members: tuple[Shape, ...]


_KEY: Final = Parameter("api_key", TEXT)
_BILL: Final = Parameter("bill_id", INT)
_NUMBER: Final = Parameter("invoice_number", TEXT, 50, "Invalid Invoice Number")
_CODE: Final = Parameter("verification_code", TEXT, 50, "Invalid Verification Code")
_NOTES: Final = Parameter("notes", TEXT, 250, "Invalid Notes")
_PAYMENT_TYPE: Final = Parameter("payment_type_id", BYTE)
_PERIOD: Final = (
    Parameter("billing_cycle", CYCLE),
    Parameter("billing_period_start_date", DATETIME),
    Parameter("billing_period_end_date", DATETIME),
)


def _dated(name: str) -> tuple[Parameter, Parameter]:
    return Parameter(name, DATETIME), Parameter(f"{name}_modification_type", MODIFICATION)


_SENT: Final = (_KEY, _BILL, _NUMBER, *_dated("date_sent_invoice"), _NOTES)
_RECEIVED: Final = (
    _KEY,
    _BILL,
    Parameter("payment_amount", DECIMAL),
    _PAYMENT_TYPE,
    _NUMBER,
    _CODE,
    *_dated("date_payment_received"),
)

SUCCESS: Final = Leaf("success", "bool")
_SAID: Final = (SUCCESS, Leaf("message"))


def _pair(name: str, kind: Literal["int", "byte"] = "byte") -> tuple[Leaf, Leaf]:
    return Leaf(f"{name}_id", kind, stored=True), Leaf(f"{name}_name", stored=True)


def _bill(kind: PartnerKind) -> Struct:
    contact = Struct(
        "contact",
        (Leaf("contact_id", "int"), Leaf("contact_type"), Leaf("first_name"), Leaf("last_name")),
    )
    manager = Struct("account_manager", (Leaf("contact_id", "int"), Leaf("contact_name")))
    partner = Struct(
        kind,
        (
            *_pair(kind, "int"),
            Struct("account_status", _pair("account_status")),
            ListOf("account_managers", manager),
            Struct(
                f"{kind}_billing",
                (
                    ListOf("contacts", contact),
                    Struct("billing_cycle", _pair("billing_cycle")),
                ),
            ),
        ),
    )
    amount = Struct(
        "bill_amount",
        (
            Leaf("currency_id", "byte"),
            Leaf("amount", "money"),
            Leaf("formatted_amount"),
        ),
    )
    if kind == "affiliate":
        own = (
            Leaf("invoiced_amount", "money"),
            Leaf("date_invoice_received", "moment"),
            Leaf("payment_date", "moment"),
        )
    else:
        own = (
            Leaf("payment_amount", "money"),
            Leaf("date_sent_invoice", "moment"),
            Leaf("date_payment_received", "moment"),
        )
    return Struct(
        f"{kind}_bill",
        (
            Leaf("bill_id", "int"),
            partner,
            Leaf("billing_period_start_date", "moment"),
            Leaf("billing_period_end_date", "moment"),
            amount,
            Leaf("invoice_number"),
            *own,
            Leaf("payment_type_id", "byte"),
            Leaf("verification_code"),
            Leaf("notes"),
            Leaf("sent_payment"),
        ),
    )


def _export(name: str, items: str, item: Struct, *parameters: Parameter) -> Operation:
    return Operation(
        name,
        "accounting",
        (_KEY, *parameters),
        Export(items),
        f"export_{items}_accounting_response",
        (*_SAID, Leaf("row_count", "int"), ListOf(items, item)),
    )


def _export_bills(kind: PartnerKind, *further: Parameter) -> Operation:
    name = f"Export{kind.title()}Bills"
    return _export(name, f"{kind}_bills", _bill(kind), *_PERIOD, *further)


def _mark(name: str, root: str, job: Mark, *parameters: Parameter) -> Operation:
    members: tuple[Shape, ...] = _SAID
    if job.amounts:
        members += (Leaf("payment_amount", "money"), Leaf("bill_amount", "money"))
    return Operation(name, "accounting", parameters, job, f"{root}_accounting_response", members)


_CURRENCY: Final = (
    Leaf("currency_id", "byte", stored=True),
    Leaf("currency_symbol", stored=True),
    Leaf("currency_name", stored=True),
    Leaf("currency_abbr", stored=True),
)


def _look_up(name: str, items: str, *shapes: Shape, more: tuple[Parameter, ...] = ()) -> Operation:
    item = items.removesuffix("es") if items.endswith("statuses") else items.removesuffix("s")
    item = "currency" if items == "currencies" else item
    members = (*_SAID, Leaf("row_count", "int"), ListOf(items, Struct(item, shapes)))
    return Operation(name, "get", (_KEY, *more), LookUp(items), f"{items}_response", members)


_ALL: Final = (
    _export_bills("affiliate", Parameter("paid_only", BOOL), _PAYMENT_TYPE),
    _export_bills("advertiser"),
    _export_bills("buyer"),
    _mark(
        "MarkAffiliateBillAsReceived",
        "mark_affiliate_bill_as_received",
        Mark("affiliate", "received", "Bill Marked As Received"),
        _KEY,
        _BILL,
        _NUMBER,
        Parameter("invoiced_amount", DECIMAL),
        *_dated("date_invoice_received"),
        _NOTES,
    ),
    _mark(
        "MarkAffiliateBillAsPaid",
        "markaffiliatebillsaspaid",
        Mark(
            "affiliate",
            "paid",
            "Affiliate Payment Added",
            "Affiliate Payment Updated",
            "Billing ID does not exist",
        ),
        _KEY,
        _BILL,
        _PAYMENT_TYPE,
        _NUMBER,
        _CODE,
        Parameter("payment_date", DATETIME),
        _NOTES,
    ),
    _mark(
        "MarkAdvertiserBillAsSent",
        "mark_advertiser_bill_as_sent",
        Mark("advertiser", "sent", "Bill Marked As Invoice Sent"),
        *_SENT,
    ),
    _mark(
        "MarkAdvertiserBillAsReceived",
        "mark_advertiser_bill_as_received",
        Mark("advertiser", "received", "Bill Marked As Received", amounts=True),
        *_RECEIVED,
        _NOTES,
    ),
    _mark(
        "MarkBuyerBillAsSent",
        "mark_buyer_bill_as_sent",
        Mark("buyer", "sent", "Bill Marked As Invoice Sent"),
        *_SENT,
    ),
    _mark(
        "MarkBuyerBillAsReceived",
        "mark_buyer_bill_as_received",
        Mark("buyer", "received", "Bill Marked As Received", amounts=True),
        *_RECEIVED,
        Parameter("apply_credit_to_buyer", BOOL),
        _NOTES,
    ),
    _look_up("BillingCycles", "billing_cycles", *_pair("billing_cycle")),
    _look_up("PaymentTypes", "payment_types", *_pair("payment_type")),
    _look_up("PaymentSettings", "payment_settings", *_pair("payment_setting")),
    _look_up("AccountStatuses", "account_statuses", *_pair("account_status")),
    _look_up("Currencies", "currencies", *_CURRENCY),
    _look_up(
        "ExchangeRates",
        "exchange_rates",
        Struct("base_currency", _CURRENCY),
        Struct("quote_currency", _CURRENCY),
        Leaf("start_date", "moment"),
        Leaf("end_date", "moment"),
        Leaf("rate", "rate"),
        more=(Parameter("start_date", DATETIME), Parameter("end_date", DATETIME)),
    ),
)
OPERATIONS: Final = {operation.name: operation for operation in _ALL}
