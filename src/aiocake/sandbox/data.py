"""Deterministic data: the same for the same seed and size, on every machine."""

import re
from calendar import monthrange
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import MAXYEAR, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from random import Random
from typing import Final

import attrs

from aiocake.sandbox.messages import Json
from aiocake.sandbox.state import (
    BillingCycle,
    BillRecord,
    InvoiceRecord,
    Partner,
    PartnerKind,
    State,
    Table,
)


@attrs.frozen
class Currency:
    """A currency as both APIs show it, and how many decimals its amounts have (ISO 4217)."""

    currency_id: int
    symbol: str
    name: str
    code: str
    decimals: int = 2

    def fields(self) -> dict[str, Json]:
        """Return the fields of a response; v2's pages show none, so they are v1's."""
        return {
            "currency_id": self.currency_id,
            "currency_symbol": self.symbol,
            "currency_name": self.name,
            "currency_abbr": self.code,
        }


CURRENCIES = (
    Currency(1, "$", "US Dollar", "USD"),
    Currency(2, "€", "Euro", "EUR"),
    Currency(3, "£", "Pound Sterling", "GBP"),
    Currency(4, "¥", "Japanese Yen", "JPY", decimals=0),
)
#: The decimals of currencies that have not two: ISO 4217, list one.
_DECIMALS: Final[Mapping[str, int]] = {
    **dict.fromkeys(
        [
            "BIF",
            "CLP",
            "DJF",
            "GNF",
            "ISK",
            "JPY",
            "KMF",
            "KRW",
            "PYG",
            "RWF",
            "UGX",
            "UYI",
            "VND",
            "VUV",
            "XAF",
            "XOF",
            "XPF",
        ],
        0,
    ),
    **dict.fromkeys(["BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"], 3),
}
_BY_CODE: Final = {currency.code: currency for currency in CURRENCIES}
CURRENCY_BY_ID = {currency.currency_id: currency for currency in CURRENCIES}

V1_BILLING_CYCLES = {1: "Weekly", 2: "Bi-Monthly", 3: "Monthly"}
V2_BILLING_CYCLES = {1: "Weekly", 2: "Bi-Weekly", 3: "Monthly"}
CYCLE_IDS = {"weekly": 1, "bimonthly": 2, "monthly": 3}

PAYMENT_TYPES = {1: "Check", 2: "Wire", 3: "ACH", 4: "PayPal", 5: "Credit Card", 7: "Payoneer"}
V2_PAYMENT_METHODS = {1: "Check", 2: "Wire Transfer", 3: "PayPal"}

PAYMENT_SETTINGS = {
    1: "Pay affiliate in system default currency",
    2: "Pay affiliate in offer's currency",
    3: "Pay affiliate in affiliate's currency",
}
ACCOUNT_STATUSES = {1: "Active", 2: "Inactive", 3: "Pending"}


FIRST_PARTNER: Final[Mapping[PartnerKind, int]] = {
    "affiliate": 67_890,
    "advertiser": 501,
    "buyer": 901,
}
FIRST_BILL: Final[Mapping[PartnerKind, int]] = {
    "affiliate": 345,
    "advertiser": 1_000_000,
    "buyer": 2_000_000,
}
FIRST_INVOICE: Final = 4_821

# Names as CAKE's users could type them; each is code to some program that shows it.
_AWKWARD_NAMES: Final = (
    "Acme Media Group",
    '=HYPERLINK("http://example.com","Invoice")',
    "Bold [/] Media [red]Ltd[/red]",
    "Zażółć Média Ω GmbH",
    "O'Neil & Sons <Ads>",
    "+1 Traffic",
    "@Social, Inc.",
    "-Minus- Marketing",
    "日本アフィリエイト🍰",
    "Escape \x1b[31mRed\x1b[0m Ads",
)
_FIRST_WORDS: Final = ("North", "Blue", "Rapid", "Prime", "Lunar", "Cedar", "Echo", "Delta")
_SECOND_WORDS: Final = ("Reach", "Clicks", "Media", "Leads", "Traffic", "Partners", "Digital")
_CYCLES: Final[Sequence[BillingCycle]] = ("monthly", "monthly", "bimonthly", "weekly")
_STATUSES: Final = ("pending", "pending", "approved", "paid", "paid", "paid", "void")
_NOTES: Final = (None, None, "", "Checked by phone", "Ü & <b> ok")
#: A month end has the month itself and the three before it.
_MONTHS: Final = 4


def fill(
    state: State, *, invoices: int, bills: int, seed: int, period: tuple[int, int] | None = None
) -> None:
    """Fill the tables of an empty state.

    Args:
        state: What to fill.
        invoices: How many invoices there shall be, payout and revenue together.
        bills: How many affiliate bills there shall be; of advertiser and buyer bills a fifth
            as many each, rounded up.
        seed: Chooses the data.
        period: The year and month of a month end: all bills are of this month, and of the
            invoices a quarter, the others of the three months before. None spreads them over years.
    """
    chance = Random(seed)  # noqa: S311 - made-up data, no secret
    partners = min(max(len(_AWKWARD_NAMES) + 2, (invoices + bills) // 50), 400)
    if period is not None:
        partners = max(partners, -(-invoices // _MONTHS))
    for kind in FIRST_PARTNER:
        _add_partners(state, kind, partners, chance)
    if period is None:
        _add_invoices(state, invoices, chance)
    else:
        _add_month_end(state, invoices, period, chance)
    for kind in FIRST_BILL:
        count = bills if kind == "affiliate" else -(-bills // 5)
        of_kind = list(state.partners(kind).values())
        _add_bills(state.bills(kind), of_kind, count, chance, period)


def month_of(text: str) -> tuple[int, int]:
    """Return the year and the month of a text such as ``2024-01``.

    Raises:
        ValueError: It is no month, or one whose earlier months have no dates.
    """
    if re.fullmatch(r"[0-9]{4}-[0-9]{2}", text):
        year, month = int(text[:4]), int(text[5:])
        if 1 < year < MAXYEAR and 1 <= month <= 12:  # noqa: PLR2004 - months of a year
            return year, month
    raise ValueError(f"{text!r} is not a month such as 2024-01")


def period_total(seed: int, affiliate: Partner, start: date, end: date) -> Decimal:
    """Return what an affiliate earned in a period: each time the same amount.

    Args:
        seed: The seed of the data.
        affiliate: The affiliate.
        start: First day.
        end: Last day.

    Returns:
        An amount with the decimals of the affiliate's currency.
    """
    chance = Random(f"{seed}/{affiliate.partner_id}/{start}/{end}")  # noqa: S311 - made-up data
    return _in_currency(chance.randint(5_000, 500_000), affiliate)


def currency_of(code: str) -> Currency:
    """Return a currency by its code, also one that the sandbox's own partners have not."""
    return _BY_CODE.get(code) or Currency(0, f"{code} ", code, code, _DECIMALS.get(code, 2))


def exact(name: str, amount: Decimal | int | str) -> Decimal:
    """Return an amount, digit for digit.

    Raises:
        ValueError: It is none. A float is none either: 1.10 would have 23 further digits.
    """
    if type(amount) in {Decimal, int, str}:
        with suppress(InvalidOperation):
            found = Decimal(amount)
            if found.is_finite():
                return found
    raise ValueError(
        f"{name} must be a Decimal, a whole number or a text such as '99.90', got {amount!r}"
    )


def written(amount: Decimal, currency: Currency) -> str:
    """Return an amount with the decimals of its currency, or more where it has more."""
    exponent = amount.normalize().as_tuple().exponent
    needed = -exponent if isinstance(exponent, int) else 0
    return format(amount, f".{max(currency.decimals, needed)}f")


def _in_currency(minor: int, partner: Partner) -> Decimal:
    """Return an amount in a partner's currency, by the number of its smallest units."""
    return Decimal(minor).scaleb(-CURRENCY_BY_ID[partner.currency_id].decimals)


def days_of(period: str | tuple[date, date]) -> tuple[date, date]:
    """Return the first and the last day of a month such as ``"2024-01"``, or those given.

    Raises:
        ValueError: It is no month, or the last day is before the first.
    """
    if isinstance(period, str):
        year, month = month_of(period)
        return date(year, month, 1), date(year, month, monthrange(year, month)[1])
    if period[0] > period[1]:
        raise ValueError(f"the period ends on {period[1]}, before it begins on {period[0]}")
    return period


def partner_of(state: State, kind: PartnerKind, partner_id: int | None) -> Partner:
    """Return a partner, by default the first; one of an unknown id is added, billed monthly.

    Raises:
        ValueError: There is no such kind.
    """
    if kind not in FIRST_PARTNER:
        raise ValueError(f"{kind!r} is no kind of partner: there are {', '.join(FIRST_PARTNER)}")
    table = state.partners(kind)
    if partner_id is None:
        partner_id = next(iter(table), FIRST_PARTNER[kind])
    if partner_id not in table:
        table[partner_id] = Partner(
            kind=kind,
            partner_id=partner_id,
            name=f"{kind.title()} {partner_id}",
            currency_id=1,
            billing_cycle="monthly",
            payment_type_id=2,
        )
    return table[partner_id]


def settle(bill: BillRecord) -> None:
    """Mark a bill as received and paid, or as sent and received, ten days after its period."""
    later = datetime.combine(bill.end_date, datetime.min.time()) + timedelta(days=10)
    bill.invoice_number = f"A-{bill.bill_id}"
    bill.payment_type_id = bill.partner.payment_type_id
    if bill.partner.kind == "affiliate":
        bill.invoiced_amount = bill.amount
        bill.date_invoice_received = bill.payment_date = later
        bill.marked = frozenset({"received", "paid"})
    else:
        bill.payment_amount = bill.amount
        bill.date_sent_invoice = bill.date_payment_received = later
        bill.marked = frozenset({"sent", "received"})


def _add_partners(state: State, kind: PartnerKind, count: int, chance: Random) -> None:
    table = state.partners(kind)
    for index in range(count):
        partner_id = FIRST_PARTNER[kind] + index
        if index < len(_AWKWARD_NAMES):
            name = _AWKWARD_NAMES[index]
        else:
            first, second = chance.choice(_FIRST_WORDS), chance.choice(_SECOND_WORDS)
            name = f"{first} {second} {partner_id}"
        table[partner_id] = Partner(
            kind=kind,
            partner_id=partner_id,
            name=name,
            currency_id=1 + index % len(CURRENCY_BY_ID),
            billing_cycle=_CYCLES[index % len(_CYCLES)],
            payment_type_id=chance.choice(tuple(PAYMENT_TYPES)),
            account_status_id=chance.choice((1, 1, 1, 2, 3)),
            tipalti=kind == "affiliate" and index % 5 == 1,
            manager=chance.choice(("Maria Manager", "José Núñez", "Ann [bold]Lee")),
            contact_first_name=chance.choice(("Carl", "Zoë", "Li")),
            contact_last_name=chance.choice(("Contact", "O'Hara", "王")),
        )


def _add_invoices(state: State, count: int, chance: Random) -> None:
    affiliates = list(state.affiliates.values())
    advertisers = list(state.advertisers.values())
    for invoice_id in range(FIRST_INVOICE, FIRST_INVOICE + count):
        first = invoice_id == FIRST_INVOICE
        payout = first or chance.random() < 0.75  # noqa: PLR2004 - three in four
        partner = affiliates[0] if first else chance.choice(affiliates if payout else advertisers)
        year, month = (2024, 1) if first else (2023 + chance.randrange(3), chance.randint(1, 12))
        start, end = _period(partner.billing_cycle, year, month, chance)
        status = "pending" if first else chance.choice(_STATUSES)
        state.invoices[invoice_id] = InvoiceRecord(
            invoice_id=invoice_id,
            affiliate_id=partner.partner_id if payout else None,
            advertiser_id=None if payout else partner.partner_id,
            partner_name=partner.name,
            invoice_status=status,
            start_date=start,
            end_date=end - timedelta(days=1),
            total_amount=Decimal("1250.00") if first else _amount(chance, partner),
            currency=CURRENCY_BY_ID[partner.currency_id].code,
            billing_cycle=partner.billing_cycle,
            memo="Made by hand" if chance.random() < 0.1 else None,  # noqa: PLR2004 - one in ten
            paid_at=f"{end}T10:00:00Z" if status == "paid" else None,
        )


def _add_month_end(state: State, count: int, period: tuple[int, int], chance: Random) -> None:
    """Add the invoices of a month, pending, and those of the three months before it, paid.

    Each partner has one in each month, of about the same amount: so what is unusual in the month
    shows. Some things are: a first invoice, a large one, a round one, the same one twice, and
    partners whose invoice is approved already.
    """
    a_month = max(1, -(-count // _MONTHS))
    affiliates, advertisers = list(state.affiliates.values()), list(state.advertisers.values())
    usual = [chance.randint(200, 4_000) for _ in range(a_month)]
    for index in range(count):
        before, place = divmod(index, a_month)
        if before and place % 29 == 20:  # noqa: PLR2004 - who is new has none before
            place -= 1
        if not before and place % 41 == 31:  # noqa: PLR2004 - the same partner again
            place -= 1
        payout = place % 5 != 4  # noqa: PLR2004 - four in five
        partner = (affiliates if payout else advertisers)[place]
        month = period[0] * 12 + period[1] - 1 - before
        start, end = _period(partner.billing_cycle, month // 12, month % 12 + 1, chance)
        cents = usual[place] * chance.randint(80, 120)
        if not before:
            cents = _of_the_month(place, usual[place], cents)
        if not CURRENCY_BY_ID[partner.currency_id].decimals:
            cents = cents // 100 * 100  # yen, in hundreds
        invoice_id = FIRST_INVOICE + index
        status = "pending" if place % 37 != 17 else "approved"  # noqa: PLR2004
        state.invoices[invoice_id] = InvoiceRecord(
            invoice_id=invoice_id,
            affiliate_id=partner.partner_id if payout else None,
            advertiser_id=None if payout else partner.partner_id,
            partner_name=partner.name,
            invoice_status="paid" if before else status,
            start_date=start,
            end_date=end - timedelta(days=1),
            total_amount=_in_currency(cents, partner),
            currency=CURRENCY_BY_ID[partner.currency_id].code,
            billing_cycle=partner.billing_cycle,
            paid_at=f"{end}T10:00:00Z" if before else None,
        )


def _of_the_month(place: int, usual: int, cents: int) -> int:
    """Return an amount of the month itself: the first is known, and some are unusual."""
    if place == 0:
        return 125_000
    if place % 23 == 15:  # noqa: PLR2004 - much more than usual
        return cents * 5
    if place % 31 == 13:  # noqa: PLR2004 - a round sum
        return max(1, usual // 1_000) * 100_000
    if place % 41 == 30:  # noqa: PLR2004 - its invoice is there twice
        return usual * 100
    return cents


def _add_bills(
    table: Table[BillRecord],
    partners: Sequence[Partner],
    count: int,
    chance: Random,
    period: tuple[int, int] | None,
) -> None:
    for index in range(count):
        kind = partners[0].kind
        partner = partners[index % len(partners)]
        year, month = period or (2014, 6 if index == 0 else chance.randint(1, 12))
        start, end = _period(partner.billing_cycle, year, month, chance)
        bill = BillRecord(
            bill_id=FIRST_BILL[kind] + index,
            partner=partner,
            start_date=start,
            end_date=end,
            amount=_amount(chance, partner),
            notes=_NOTES[index % len(_NOTES)],
        )
        if index % 3 == 2:  # noqa: PLR2004 - the first two are left as they were made
            settle(bill)
        table[bill.bill_id] = bill


def _amount(chance: Random, partner: Partner) -> Decimal:
    minor = chance.randint(1, 2_000_000)
    return _in_currency(-minor if chance.random() < 0.06 else minor, partner)  # noqa: PLR2004


def _period(cycle: BillingCycle, year: int, month: int, chance: Random) -> tuple[date, date]:
    """Return a period of a billing cycle: its first day, and the day after its last."""
    first = date(year, month, 1)
    if cycle == "monthly":
        return first, first + timedelta(days=monthrange(year, month)[1])
    if cycle == "bimonthly":
        middle = date(year, month, 16)
        if chance.random() < 0.5:  # noqa: PLR2004 - either half
            return first, middle
        return middle, first + timedelta(days=monthrange(year, month)[1])
    monday = first + timedelta(days=7 * chance.randrange(4) - first.weekday())
    return monday, monday + timedelta(days=7)
