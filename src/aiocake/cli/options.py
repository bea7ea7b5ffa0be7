"""Options that several commands have, each written once."""

from datetime import date
from decimal import Decimal
from typing import Annotated

import attrs
import typer
from typer.models import OptionInfo

from aiocake import ERASE, Erase, Period, Skip
from aiocake.cli import parse
from aiocake.errors import Problem


@attrs.frozen
class Erasable:
    """Marks an option beside which there is another, that erases what is stored.

    Attributes:
        kind: What the option takes.
        option: The option.
        what: What is erased, in words.
    """

    kind: type
    option: OptionInfo
    what: str

    @staticmethod
    def chosen(provided: object, *, erase: bool) -> object:
        """What is to become of what is stored: another value, none (ERASE), or what it is (SKIP).

        Args:
            provided: The option's value; None when it was not given.
            erase: Whether the other was given.
        """
        return ERASE if erase else parse.or_skip(provided)

    @staticmethod
    def clash(name: str) -> Problem:
        """What is wrong where both were given, of the parameter of this name."""
        return Problem(name, f"does not go together with --erase-{name.replace('_', '-')}")


def flag(text: str, *names: str, panel: str | None = None) -> OptionInfo:
    """An option without a value.

    Args:
        text: What its help says.
        names: Its names.
        panel: The part of the help that it stands in.
    """
    option: OptionInfo = typer.Option(
        *names, metavar="", help=text, show_default=False, rich_help_panel=panel
    )
    return option


def day_option(text: str) -> OptionInfo:
    """An option that takes a date.

    Args:
        text: What its help says.
    """
    option: OptionInfo = typer.Option(
        parser=parse.day, metavar="DATE", help=text, show_default=False
    )
    return option


def amount_option(text: str) -> OptionInfo:
    """An option that takes an amount.

    Args:
        text: What its help says.
    """
    option: OptionInfo = typer.Option(
        parser=parse.amount, metavar="AMOUNT", help=f"{text}, as in 1250.00.", show_default=False
    )
    return option


def period_option(month: str, what: str = "The billing period") -> OptionInfo:
    """An option that takes a period.

    Args:
        month: An example.
        what: What its help begins with.
    """
    year = month.partition("-")[0]
    option: OptionInfo = typer.Option(
        parser=parse.period,
        metavar="PERIOD",
        help=f"{what}: {year}, {year}-Q1, {month}, or {month}-01..{month}-15 (inclusive).",
        show_default=False,
    )
    return option


def text_option(text: str) -> OptionInfo:
    """An option that takes a text to be stored.

    Args:
        text: What its help says.
    """
    option: OptionInfo = typer.Option(
        parser=parse.text, metavar="TEXT", help=text, show_default=False
    )
    return option


BillId = Annotated[int, typer.Argument(help="The bill.", show_default=False)]
PeriodOf2014 = Annotated[Period, period_option("2014-06")]
Cycle = Annotated[str, typer.Option(metavar="CYCLE", help="weekly, bimonthly, monthly or all")]
PaymentAmount = Annotated[Decimal, amount_option("The amount that came")]
PaymentType = Annotated[
    int | None,
    typer.Option(
        metavar="ID", help="How it was paid: `lookups payment-types`.", show_default=False
    ),
]
InvoiceNumber = Annotated[
    str | Skip | Erase,
    Erasable(str, text_option("The number of the invoice."), "the stored number"),
]
VerificationCode = Annotated[
    str | Skip | Erase,
    Erasable(str, text_option("The code of the payment."), "the stored code"),
]
Notes = Annotated[str | Skip | Erase, Erasable(str, text_option("A note."), "the stored note")]
InvoiceReceived = Annotated[
    date | Skip | Erase, Erasable(date, day_option("When the invoice came."), "the stored date")
]
InvoiceSent = Annotated[
    date | Skip | Erase, Erasable(date, day_option("When it was sent."), "the stored date")
]
PaymentReceived = Annotated[
    date | Skip | Erase, Erasable(date, day_option("When it came."), "the stored date")
]
