"""The options of ``aiocake approve``. The rest is loaded only when the command runs."""

from pathlib import Path
from typing import Annotated

import typer

from aiocake.cli import parse
from aiocake.cli.options import JsonOption, PlanArgument, YesOption

KeyOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Approve the plan with this SSH key: a private key, or a public one whose private "
        "half is in the agent. Without it the plan is only shown.",
        show_default=False,
    ),
]
SignersOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="The people who may sign: an allowed_signers file of ssh-keygen. Existing "
        "signatures are checked, and yours must count as well.",
        show_default=False,
    ),
]
RevokedOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="With --signers: keys that no longer count, as a KRL or a list of public keys.",
        show_default=False,
    ),
]
HtmlOption = Annotated[
    Path | None,
    typer.Option(
        parser=parse.output_file,
        metavar="FILE",
        help="Also write it, with all rows, as an HTML page. It contains names and amounts.",
        show_default=False,
    ),
]


def approve(  # noqa: PLR0913 - one for each option
    plan_file: PlanArgument,
    *,
    key: KeyOption = None,
    signers: SignersOption = None,
    revoked: RevokedOption = None,
    html: HtmlOption = None,
    yes: YesOption = False,
    as_json: JsonOption = False,
) -> None:
    """Show what differs in a plan from the months before, and approve it with --key.

    The signature goes to PLAN.sig, beside those of others.
    """
    from aiocake.cli import approving  # noqa: PLC0415 - no other command waits for it

    approving.run_approve(
        plan_file,
        key=key,
        signers=signers,
        revoked=revoked,
        html=html,
        confirmed=yes,
        as_json=as_json,
    )
