"""The small lists that both APIs look up: one instance's currencies, cycles and ways to pay."""

import attrs


@attrs.frozen
class Currency:
    """A currency as both APIs show it."""

    currency_id: int
    symbol: str
    name: str
    code: str


CURRENCIES = (
    Currency(1, "$", "US Dollar", "USD"),
    Currency(2, "€", "Euro", "EUR"),
    Currency(3, "£", "Pound Sterling", "GBP"),
    Currency(4, "¥", "Japanese Yen", "JPY"),
)
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
