"""The options of ``aiocake plan``, and how their texts are read."""

import json
from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Final, cast

import typer

from aiocake import InvoiceKind, InvoiceStatus
from aiocake.cli import parse
from aiocake.cli.catalogue import LONGEST, MATCH, PERIOD_OF_BILLS
from aiocake.cli.options import AS_JSON, OUTPUT, Option
from aiocake.monthend.bank import MATCHES

#: What may be typed in place of a parameter's name.
_CALLED: Final = {"status": "invoice_status"}
#: The kinds of invoices that ``--kind`` stands for.
KINDS: Final[Mapping[str, tuple[InvoiceKind, ...]]] = {
    "payout": (InvoiceKind.PAYOUT,),
    "revenue": (InvoiceKind.REVENUE,),
    "both": tuple(InvoiceKind),
}
_PARTNERS: Final = ("affiliate", "advertiser", "buyer")


def _set(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    name = name.strip().replace("-", "_")
    if not equals or not name:
        raise typer.BadParameter(f"{text!r} is not a name and a value such as status=approved")
    return _CALLED.get(name, name), value


def typed(name: str) -> str:
    """Return the name of a parameter after ``--set``."""
    called = {each: short for short, each in _CALLED.items()}
    return called.get(name, name.replace("_", "-"))


def _total_cap(text: str) -> tuple[str, Decimal]:
    currency, equals, most = text.partition("=")
    if not equals or not currency:
        raise typer.BadParameter(f"{text!r} is not a currency and an amount such as USD=50000")
    return currency, parse.amount(most)


def _receipt(text: str) -> Mapping[str, object]:
    try:
        found: object = json.loads(Path(text).read_bytes())
    except OSError as error:
        raise typer.BadParameter(f"{text} cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise typer.BadParameter(f"{text} is not a receipt: it has no JSON object")
    return cast("dict[str, object]", found)


def _among(*choices: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in choices:
            raise typer.BadParameter(f"{text!r} is not one of {', '.join(map(repr, choices))}")
        return text

    return read


def _matches(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(","))
    if not set(names) <= set(MATCHES):
        raise typer.BadParameter(f"{text!r} is not a list of columns among {', '.join(MATCHES)}")
    return names


_OUT: Final = Option(
    "out",
    "Write the plan to FILE, which must not exist yet. Only you can read it (0600): it holds names "
    "and amounts.",
    parse.output_file,
    "FILE",
    names=("--out", "-o"),
    required=True,
)
_PANEL: Final = "Terms"
_TERMS: Final = (
    Option("as_json", AS_JSON, names=("--json",), panel=OUTPUT),
    Option(
        "max_total",
        "Refuse a plan whose total in this currency is larger. May be repeated; amounts in "
        "other currencies are then refused.",
        _total_cap,
        "USD=AMOUNT",
        panel=_PANEL,
        repeated=True,
    ),
    Option(
        "max_row",
        "Refuse a plan with a row above this amount.",
        parse.amount,
        "AMOUNT",
        panel=_PANEL,
    ),
    Option("max_rows", "Refuse a plan with more rows.", parse.count, "NUMBER", panel=_PANEL),
    Option(
        "history",
        "How many months before the period to read, for the approver to compare with; 0 for none.",
        parse.number,
        "MONTHS",
        default="3",
        panel=_PANEL,
    ),
    Option(
        "after",
        "The receipt of an earlier run, to repeat in the plan for the approver.",
        _receipt,
        "RECEIPT",
        panel=_PANEL,
    ),
    Option(
        "expires",
        "How many days the plan stays valid.",
        parse.days,
        "DAYS",
        default="7",
        panel=_PANEL,
    ),
    Option(
        "maker", "Who makes the plan. Default: user and host.", parse.text, "TEXT", panel=_PANEL
    ),
    Option(
        "sign",
        "Sign the plan with this SSH key, as its maker: the signature goes to PLAN.sig.",
        Path,
        "KEY",
        panel=_PANEL,
    ),
)
_SETTINGS: Final = Option(
    "settings",
    "Set a field on every row, such as status=approved. May be repeated.",
    _set,
    "NAME=VALUE",
    names=("--set",),
    repeated=True,
)
_IGNORE: Final = Option(
    "ignore",
    "A column of the file to ignore. May be repeated.",
    parse.text,
    "COLUMN",
    repeated=True,
)


def _from(what: str, *, required: bool = True) -> Option:
    return Option("source", what, Path, "FILE", names=("--from",), required=required)


def _period(text: str, *, required: bool = True) -> Option:
    return Option("period", text, parse.period, "PERIOD", required=required)


UPDATE: Final = (
    _OUT,
    _period("The billing period, such as 2024-01.", required=False),
    Option(
        "invoice_status",
        "Plan the invoices of this status: pending, approved, paid or void.",
        InvoiceStatus,
        "STATUS",
        names=("--status",),
    ),
    Option("match", MATCH, str, "MATCH", default="ends_in"),
    Option("longest", LONGEST, parse.days, "DAYS"),
    _from(
        "Plan the rows of this CSV or JSONL file, in place of --status. Its columns have the names "
        "of parameters, such as invoice_id; a column `operation` may name the call of each row.",
        required=False,
    ),
    _IGNORE,
    _SETTINGS,
    Option(
        "paid_at",
        "When they were paid, such as 2024-02-15 (12:00 UTC) or 2024-02-15T10:00:00Z; only with "
        "--set status=paid.",
        parse.moment,
        "TIME",
    ),
    Option(
        "kind",
        "The kind of invoices: payout, revenue or both.",
        _among(*KINDS),
        "KIND",
        default="payout",
    ),
    *_TERMS,
)
CREATE: Final = (
    _OUT,
    Option(
        "source",
        "The affiliates to be paid: a CSV or JSONL file with a column affiliate_id, or a list of "
        "ids, one per line.",
        Path,
        "FILE",
        names=("--affiliates",),
        required=True,
    ),
    _period("The period of the invoices, such as 2024-01."),
    _IGNORE,
    _SETTINGS,
    *_TERMS,
)
RECEIVED: Final = (
    _OUT,
    _from("A CSV or JSONL file: bill_id, an amount, and other parameters as columns."),
    _period(PERIOD_OF_BILLS),
    Option(
        "partner",
        "Whose bills they are: affiliate, advertiser or buyer.",
        _among(*_PARTNERS),
        "PARTNER",
        default="affiliate",
    ),
    _IGNORE,
    _SETTINGS,
    *_TERMS,
)
PAID: Final = (
    _OUT,
    _from("The payments of the bank: a CSV or JSONL file with the columns of --match."),
    _period(PERIOD_OF_BILLS),
    Option(
        "match",
        "The columns by which each row is matched with a bill: bill_id, affiliate_id or "
        "invoice_number find it; amount and currency must be the bill's.",
        _matches,
        "COLUMNS",
        default="bill_id,amount",
    ),
    Option("payment_date", "When they were paid, if the file does not say.", parse.day, "DATE"),
    _IGNORE,
    _SETTINGS,
    *_TERMS,
)
