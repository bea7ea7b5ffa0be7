"""The texts of the commands that call one operation: names, helps, examples and questions.

The operation's own table says which options a command has, what they take and what is refused. The
words are here: a new operation needs an entry in :data:`COMMANDS` and a help for each parameter
that no other operation has; a new group needs a line in :data:`GROUPS`.
"""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

import attrs

from aiocake._operations.operation import Operation, ResponseShape
from aiocake.endpoints import advertiser_bills, affiliate_bills, buyer_bills, invoices, reference

_MODULES: Final = (invoices, affiliate_bills, advertiser_bills, buyer_bills, reference)


def _operations() -> Iterator[Operation[Any]]:
    for module in _MODULES:
        for each in vars(module).values():
            if isinstance(each, Operation):
                yield each


OPERATIONS: Final = {each.name: each for each in _operations()}


@attrs.frozen
class CommandText:
    """The words of one command.

    Attributes:
        path: What is typed after ``aiocake``.
        name: The operation's name.
        help: One sentence, or more.
        example: Options for the example at the end of the command's help.
        question: For a write, the question to ask, with its arguments in braces.
        helps: The helps of options that mean something else in other commands.
    """

    path: str
    name: str
    help: str
    example: str = ""
    question: str = ""
    helps: Mapping[str, str] = MappingProxyType({})

    @property
    def operation(self) -> Operation[Any]:
        """Return the operation that the command calls."""
        return OPERATIONS[self.name]

    def paths(self) -> Iterator[tuple[str, str | None]]:
        """Return the paths that can be typed, each with its panel in the group's help."""
        lookup = self.path.startswith("lookups ")
        if self.path.startswith(_LONG):
            yield self.path.replace(_LONG, "bills "), f"Short for {_LONG}".rstrip()
        yield self.path, f"API version {self.operation.api.value}" if lookup else None


_LONG: Final = "bills affiliate "

GROUPS: Final = {
    "invoices": "Invoices: list, get, create, update (API version 2).",
    "bills": "Bills of affiliates, advertisers and buyers: export and mark them (API version 1).",
    "bills affiliate": "Affiliates' bills: export, mark-received, mark-paid.",
    "bills advertiser": "Advertisers' bills: export, mark-sent, mark-received.",
    "bills buyer": "Buyers' bills: export, mark-sent, mark-received.",
    "lookups": "Ids and names of an instance: cycles, types, methods, currencies, rates.",
}

_EXPORT: Final = "Export the bills of a billing period."
_MARK: Final = "Mark {} bill {{bill_id}} as {}".format
#: Of look-ups that are shown best with options.
_EXAMPLES: Final = {
    "exchange_rates": "--start-date 2024-01-01 --end-date 2024-03-01 --format csv",
    "payment_types": "--json",
}

COMMANDS: Final = (
    CommandText(
        "invoices list",
        "invoices.find",
        "List invoices: all that match, or an error.",
        "--status pending --period 2024-01 --match ends_in",
        helps={
            "affiliate_id": "Only invoices of this affiliate.",
            "advertiser_id": "Only invoices of this advertiser.",
            "invoice_status": "Only invoices of this status",
            "start_date": "First day; use with --end-date in place of --period.",
            "end_date": "Last day, inclusive.",
        },
    ),
    CommandText(
        "invoices get",
        "invoices.get",
        "Show one invoice.",
        "4821 --json",
    ),
    CommandText(
        "invoices create",
        "invoices.create",
        "Create an invoice. Not idempotent: running it twice creates two.",
        "--affiliate-id 67890 --start-date 2024-01-01 --end-date 2024-01-31",
        "Create an invoice",
        {
            "affiliate_id": "The affiliate to be paid.",
            "start_date": "First day of the invoice's period.",
            "end_date": "Last day of the invoice's period, inclusive.",
        },
    ),
    CommandText(
        "invoices update",
        "invoices.update",
        "Set an invoice's status, note or time of payment.",
        "4821 --status paid --paid-at 2024-02-15",
        "Update invoice {invoice_id}",
        {"invoice_status": "The new status"},
    ),
    CommandText(
        "bills affiliate export",
        "affiliate_bills.export",
        _EXPORT,
        "--period 2014-06 --paid-only",
        helps={"payment_type_id": "Only bills paid by this type: `lookups payment-types`."},
    ),
    CommandText(
        "bills affiliate mark-received",
        "affiliate_bills.mark_received",
        "Record that an affiliate's own invoice for a bill has arrived.",
        "345 --invoiced-amount 20.01 --invoice-number A-17",
        _MARK("affiliate", "received"),
    ),
    CommandText(
        "bills affiliate mark-paid",
        "affiliate_bills.mark_paid",
        "Record that an affiliate's bill was paid.",
        "345 --payment-date 2014-07-31 --payment-type-id 2",
        _MARK("affiliate", "paid"),
    ),
    CommandText(
        "bills advertiser export",
        "advertiser_bills.export",
        _EXPORT,
        "--period 2014-05-01..2014-06-30",
    ),
    CommandText(
        "bills advertiser mark-sent",
        "advertiser_bills.mark_sent",
        "Record that the invoice for a bill was sent to the advertiser.",
        "1000000 --date-sent-invoice 2014-07-02 --invoice-number A-17",
        _MARK("advertiser", "sent"),
    ),
    CommandText(
        "bills advertiser mark-received",
        "advertiser_bills.mark_received",
        "Record that an advertiser's payment for a bill has arrived.",
        "1000000 --payment-amount 20.01 --period 2014-06",
        _MARK("advertiser", "received"),
    ),
    CommandText(
        "bills buyer export",
        "buyer_bills.export",
        _EXPORT,
        "--period 2014-06 --binding soap12 --out bills.json",
    ),
    CommandText(
        "bills buyer mark-sent",
        "buyer_bills.mark_sent",
        "Record that the invoice for a bill was sent to the buyer.",
        "2000000 --date-sent-invoice 2014-07-02",
        _MARK("buyer", "sent"),
    ),
    CommandText(
        "bills buyer mark-received",
        "buyer_bills.mark_received",
        "Record that a buyer's payment for a bill has arrived.",
        "2000000 --payment-amount 20.01",
        _MARK("buyer", "received"),
    ),
    *(
        CommandText(
            f"lookups {name.replace('_', '-')}", f"reference.{name}", text, _EXAMPLES.get(name, "")
        )
        for name, text in {
            "billing_cycles": "List the billing cycles: how often partners can be billed.",
            "payment_methods": "List the payment methods: how partners can be paid.",
            "currencies": "List the instance's currencies.",
            "exchange_rates": "List the exchange rates between the instance's currencies.",
            "payment_types": "List the payment types: how money is sent.",
            "payment_settings": "List the payment settings: the currencies to pay affiliates in.",
            "account_statuses": "List the statuses that a partner's account can have.",
            "v1_billing_cycles": "List the billing cycles of API version 1.",
            "v1_currencies": "List the currencies of API version 1.",
        }.items()
    ),
)
#: Added to the question where the arguments make a write one that must not be repeated.
WARNING: Final = " AND CREDIT THE AMOUNT TO THE BUYER, which moves money each time"

#: The helps of options; where a list of values follows, without a full stop.
HELPS: Final[Mapping[str, str]] = {
    "invoice_id": "The invoice.",
    "start_date": "First day.",
    "end_date": "Last day.",
    "bill_id": "The bill.",
    "memo": "A note.",
    "paid_at": "When it was paid, such as 2024-02-15 (12:00 UTC) or 2024-02-15T10:00:00Z; only "
    "with --status paid.",
    "row_limit": "Rows per page, up to 10000. Default: 100 or more.",
    "billing_cycle": "Only bills of this cycle",
    "paid_only": "Only bills that are paid.",
    "payment_type_id": "How it was paid: `lookups payment-types`.",
    "invoiced_amount": "The amount on the affiliate's invoice, such as 1250.00.",
    "payment_amount": "The amount that arrived, such as 1250.00.",
    "date_invoice_received": "When the invoice arrived.",
    "date_sent_invoice": "When the invoice was sent.",
    "date_payment_received": "When the payment arrived.",
    "payment_date": "When it was paid.",
    "invoice_number": "The invoice's number.",
    "verification_code": "The payment's code.",
    "notes": "A note.",
    "apply_credit_to_buyer": "Also credit the amount to the buyer's account. That moves money each "
    "time it is sent: it is never repeated automatically, and never sent by GET.",
    "billing_cycle_id": "Only this one.",
    "payment_method_id": "Only this one.",
}

#: What options stand in an error by, where that is not the parameter's name with two dashes.
_CALLED: Final = {
    "invoice_status": "--status",
    "invoice_id": "INVOICE_ID",
    "bill_id": "BILL_ID",
    "form": "--format",
    # Of bulk.resume.
    "limit": "--concurrency",
    # The whole of a call, which is no option.
    "arguments": "arguments",
}
#: Parameters that the client sets by itself, beside the first row of each page of a list.
_SET_BY_CLIENT: Final = {
    "invoices.find": {"invoice_id"},
    "invoices.get": {"row_limit"},
}
#: The first and the last day of what is listed: ``--period`` stands for both.
DATES: Final = frozenset(
    {"start_date", "end_date", "billing_period_start_date", "billing_period_end_date"}
)
#: Options of a default value.
DEFAULTS: Final[Mapping[str, str]] = {"billing_cycle": "all"}

_YEARS: Final = "{0}, {0}-Q1, {0}-{1} or {0}-{1}-01..{0}-{1}-15 (inclusive)."
PERIOD_OF_INVOICES: Final = (
    f"Only invoices whose own period lies entirely within it: {_YEARS.format(2024, '01')}"
)
PERIOD_OF_BILLS: Final = f"The billing period: {_YEARS.format(2014, '06')}"
PERIOD_OF_A_BILL: Final = (
    "The bill's billing period, in which it is looked up for the confirmation prompt: "
    f"{_YEARS.format(2014, '06')}"
)
MATCH: Final = (
    "With --period: inside, overlaps (they share a day), or ends_in (its last day is in the "
    "period). A week that crosses the end of a month is inside neither month; with ends_in each "
    "invoice is in exactly one."
)
TOTALS: Final = (
    "Show totals by kind, status and currency in place of the rows. Amounts of two kinds or "
    "currencies are never added up."
)
LIMIT: Final = "Stop after this many rows."
KIND: Final = "Only invoices of this kind. CAKE does not filter by it: all are read."
CURRENCY: Final = "Only invoices in this currency, such as USD. CAKE does not filter by it either."
LONGEST: Final = (
    "The longest period that an invoice can have: with it, --match overlaps and ends_in read fewer "
    "invoices."
)


def set_by_client(operation: Operation[Any]) -> set[str]:
    """Return the names of the parameters that the client sets, so that they are not options."""
    first_row = {"start_at_row"} if operation.shape is ResponseShape.PAGE else set[str]()
    return first_row | _SET_BY_CLIENT.get(operation.name, set())


def option_of(name: str) -> str:
    """Return the name of a parameter on the command line."""
    return _CALLED.get(name, f"--{name.replace('_', '-')}")
