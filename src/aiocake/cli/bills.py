"""``aiocake bills``: those of affiliates, advertisers and buyers.

Each kind is a group of its own, since each has other options: what a kind does not have is an
error of the command line. Affiliates' commands go without the kind as well.
"""

from typing import Final

import typer

from aiocake.cli import affiliate_bills, payer_bills
from aiocake.cli.errors import USAGE

app = typer.Typer(
    help="Bills of affiliates, advertisers and buyers: export and mark them (API version 1)."
)

_IN_SHORT: Final = "Affiliates' bills, in short"

for _name, _function in affiliate_bills.COMMANDS.items():
    app.command(_name, rich_help_panel=_IN_SHORT)(_function)
app.add_typer(affiliate_bills.app, name="affiliate")
app.add_typer(payer_bills.advertiser, name="advertiser")
app.add_typer(payer_bills.buyer, name="buyer")


@app.command(
    hidden=True, context_settings={"allow_extra_args": True, "ignore_unknown_options": True}
)
def mark_sent() -> None:
    """Say whose bills are sent: an affiliate's is received, then paid."""
    typer.echo(
        "aiocake: whose bill was sent? bills advertiser mark-sent, or bills buyer mark-sent",
        err=True,
    )
    raise typer.Exit(USAGE)
