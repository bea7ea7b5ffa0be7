"""Examples for the helps of the commands that are not in the catalogue."""

from typing import Final

_EXAMPLES: Final = {
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
    """Return the example of a command."""
    return example_line(path, _EXAMPLES[path])


def example_line(path: str, options: str) -> str:
    """Return the last line of a command's help."""
    return f"Example: aiocake {path} {options}".rstrip()
