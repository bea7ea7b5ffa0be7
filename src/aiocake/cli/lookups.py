"""``aiocake lookups``: what an instance calls its cycles, types and currencies, and their ids."""

from collections.abc import Awaitable, Callable
from datetime import date
from typing import Annotated, Final, TypeVar

import attrs
import typer

from aiocake import (
    AccountStatus,
    BillingCycle,
    Client,
    Currency,
    PaymentMethod,
    PaymentSetting,
    PaymentType,
)
from aiocake.cli import parse
from aiocake.cli.command import command
from aiocake.cli.options import day_option
from aiocake.cli.records import RATE, plain
from aiocake.cli.session import CommandSession

app = typer.Typer(help="Ids and names of an instance: cycles, types, methods, currencies, rates.")

_V2: Final = "API version 2"
_V1: Final = "API version 1"

OnlyOption = Annotated[
    int | None, typer.Option(metavar="ID", help="Only this one.", show_default=False)
]
Model = TypeVar("Model", bound=attrs.AttrsInstance)


@app.command(rich_help_panel=_V2)
@command()
def billing_cycles(session: CommandSession, *, billing_cycle_id: OnlyOption = None) -> None:
    """How often partners can be billed."""
    number = parse.or_skip(billing_cycle_id)
    session.show_all(
        plain(BillingCycle),
        lambda client: client.reference.billing_cycles(billing_cycle_id=number),
    )


@app.command(rich_help_panel=_V2)
@command()
def payment_methods(session: CommandSession, *, payment_method_id: OnlyOption = None) -> None:
    """The ways in which partners can be paid."""
    number = parse.or_skip(payment_method_id)
    session.show_all(
        plain(PaymentMethod),
        lambda client: client.reference.payment_methods(payment_method_id=number),
    )


@app.command(rich_help_panel=_V2)
@command()
def currencies(session: CommandSession) -> None:
    """The currencies of the instance."""
    session.show_all(plain(Currency), lambda client: client.reference.currencies())


@app.command(rich_help_panel=_V1)
@command(v1=True)
def exchange_rates(
    session: CommandSession,
    *,
    start_date: Annotated[date, day_option("From this day on.")],
    end_date: Annotated[date, day_option("Until this day.")],
) -> None:
    """What the currencies of the instance were worth in each other."""
    session.show_all(
        RATE,
        lambda client: client.reference.exchange_rates(start_date=start_date, end_date=end_date),
    )


def _add_v1(
    name: str,
    text: str,
    model: type[Model],
    call: Callable[[Client], Awaitable[tuple[Model, ...]]],
) -> None:
    @app.command(name, help=text, rich_help_panel=_V1)
    @command(v1=True)
    def show(session: CommandSession) -> None:
        session.show_all(plain(model), call)


_add_v1(
    "payment-types",
    "How money is sent: what a payment type's id means.",
    PaymentType,
    lambda client: client.reference.payment_types(),
)
_add_v1(
    "payment-settings",
    "In which currency affiliates can be paid.",
    PaymentSetting,
    lambda client: client.reference.payment_settings(),
)
_add_v1(
    "account-statuses",
    "The statuses that a partner's account can have.",
    AccountStatus,
    lambda client: client.reference.account_statuses(),
)
_add_v1(
    "v1-billing-cycles",
    "How often partners can be billed, as version 1 says it.",
    BillingCycle,
    lambda client: client.reference.v1_billing_cycles(),
)
_add_v1(
    "v1-currencies",
    "The currencies of the instance, as version 1 says it.",
    Currency,
    lambda client: client.reference.v1_currencies(),
)
