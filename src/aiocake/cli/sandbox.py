"""``aiocake sandbox``: a CAKE on this machine, until Ctrl-C."""

import os
import threading
from contextlib import ExitStack
from typing import Annotated

import typer

from aiocake.cli import parse
from aiocake.cli.output import say_out
from aiocake.cli.signals import Interrupted

_KEY = "SANDBOX-KEY"


def sandbox(
    *,
    port: Annotated[int, typer.Option(help="0 for any that is free.", min=0, max=65535)] = 0,
    invoices: Annotated[int, typer.Option(help="How many there are.", min=0)] = 200,
    bills: Annotated[int, typer.Option(help="How many affiliate bills there are.", min=0)] = 50,
    seed: Annotated[int, typer.Option(help="Chooses the data.")] = 1,
    latency: Annotated[
        float,
        typer.Option(parser=parse.seconds, metavar="SECONDS", help="How long an answer takes."),
    ] = 0.0,
) -> None:
    """Serve a CAKE with made-up data on this machine, until Ctrl-C. Nothing is logged."""
    from aiocake.sandbox import Sandbox, serve  # noqa: PLC0415 - no other command waits for it

    made = Sandbox(invoices=invoices, bills=bills, seed=seed, latency=latency, api_key=_KEY)
    with ExitStack() as stack:
        try:
            url = stack.enter_context(serve(made, port=port))
        except OSError as error:
            # Python adds the address to the system's words.
            reason = os.strerror(error.errno) if error.errno else error
            raise typer.BadParameter(
                f"port {port} cannot be listened on: {reason}", param_hint="--port"
            ) from None
        say_out(url)
        typer.echo(
            f"A CAKE with {invoices} invoices. In another terminal:\n\n"
            f"  export CAKE_DOMAIN={url} CAKE_API_KEY={_KEY}\n"
            "  aiocake invoices list --status pending\n\n"
            "Ctrl-C ends it.",
            err=True,
        )
        try:
            threading.Event().wait()
        except Interrupted as ended:
            raise typer.Exit(ended.code) from None
