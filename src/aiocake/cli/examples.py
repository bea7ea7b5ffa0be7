"""An example of each command, which its help ends with."""

from typing import Final

_EXAMPLES: Final = {
    "invoices list": "--status pending --period 2024-01 --match ends_in",
    "invoices get": "4821 --json",
    "invoices create": "--affiliate-id 67890 --start-date 2024-01-01 --end-date 2024-01-31",
    "invoices update": "4821 --status paid --paid-at 2024-02-15",
    "bills export": "--period 2014-06 --billing-cycle monthly --out june.csv",
    "bills mark-received": "345 --invoiced-amount 20.01 --date-invoice-received 2014-07-10",
    "bills mark-paid": "345 --payment-date 2014-07-31 --period 2014-06",
    "bills affiliate export": "--period 2014-06 --paid-only",
    "bills affiliate mark-received": "345 --invoiced-amount 20.01 --invoice-number A-17",
    "bills affiliate mark-paid": "345 --payment-date 2014-07-31 --payment-type-id 2",
    "bills advertiser export": "--period 2014-05-01..2014-06-30",
    "bills advertiser mark-sent": "1000000 --date-sent-invoice 2014-07-02 --invoice-number A-17",
    "bills advertiser mark-received": "1000000 --payment-amount 20.01 --period 2014-06",
    "bills buyer export": "--period 2014-06 --binding soap12 --out bills.json",
    "bills buyer mark-sent": "2000000 --date-sent-invoice 2014-07-02",
    "bills buyer mark-received": "2000000 --payment-amount 20.01",
    "lookups billing-cycles": "",
    "lookups payment-methods": "",
    "lookups currencies": "",
    "lookups exchange-rates": "--start-date 2024-01-01 --end-date 2024-03-01 --format csv",
    "lookups payment-types": "--json",
    "lookups payment-settings": "",
    "lookups account-statuses": "",
    "lookups v1-billing-cycles": "",
    "lookups v1-currencies": "",
    "plan update": "--period 2024-01 --status pending --set status=approved --out january.plan",
    "plan create": "--affiliates ids.csv --period 2024-01 --out create.plan",
    "plan mark-received": "--from received.csv --period 2014-06 --out received.plan",
    "plan mark-paid": "--from bank.csv --period 2014-06 --payment-date 2014-07-31 --out paid.plan",
    "plan show": "january.plan --format csv",
    "plan diff": "january.plan corrected.plan",
    "approve": "january.plan --signers signers --key ~/.ssh/id_ed25519",
    "apply": "january.plan --journal january.db --approvals 1 --signers signers",
    "run": "calls.csv --journal run.db --operation invoices.update",
    "resume": "run.db",
    "audit": "january.db --plan january.plan --verify",
    "journal show": "run.db",
    "journal export": "run.db --state unknown --json",
    "journal resume": "run.db",
    "journal release": "pg:payouts-2024-01",
    "journal migrate": "--role payouts",
    "doctor": "--profile live",
    "demo": "",
}  # fmt: skip


def example_of(path: str) -> str:
    """Return the line with which the help of a command ends."""
    return f"Example: aiocake {path} {_EXAMPLES[path]}".rstrip()
