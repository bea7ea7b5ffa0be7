"""An option or argument of a command as a value, from which Typer's own is made."""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Final

import attrs
import typer

from aiocake.cli import parse

OUTPUT: Final = "Output"
#: The help of ``--json``, for a command that does something and shows one object about it.
AS_JSON: Final = "Print the result as a JSON object. Errors are then JSON, too."
#: The help of ``--yes``.
YES: Final = "Skip the confirmation prompt. Required if the input is not a terminal."
CONNECTION: Final = "Connection"


JsonOption = Annotated[
    bool,
    typer.Option("--json", metavar="", help=AS_JSON, show_default=False, rich_help_panel=OUTPUT),
]
YesOption = Annotated[bool, typer.Option("--yes", "-y", metavar="", help=YES, show_default=False)]
PlanArgument = Annotated[Path, typer.Argument(metavar="PLAN", help="The plan.", show_default=False)]
SettleOption = Annotated[
    float,
    typer.Option(
        parser=parse.seconds,
        metavar="SECONDS",
        help="How long to wait for a create whose response was lost to appear before deciding.",
    ),
]


@attrs.frozen
class Option:
    """An option, an argument, or a flag.

    Attributes:
        name: The name of the function's parameter.
        help: The help.
        read: Reads the text that is typed; None of a flag, which takes none.
        metavar: What stands for that text in the help.
        names: What is typed; by default ``--`` and the name.
        default: The text that counts where nothing is typed.
        required: True if it must be typed.
        positional: True if it is an argument.
        panel: The part of the help that it stands in.
        variable: The environment variable that counts where nothing is typed.
        repeated: True if it may be typed more than once; the value is a list.
    """

    name: str
    help: str
    read: Callable[[str], object] | None = None
    metavar: str = ""
    names: tuple[str, ...] = attrs.field(default=(), kw_only=True)
    default: str | None = attrs.field(default=None, kw_only=True)
    required: bool = attrs.field(default=False, kw_only=True)
    positional: bool = attrs.field(default=False, kw_only=True)
    panel: str | None = attrs.field(default=None, kw_only=True)
    variable: str | None = attrs.field(default=None, kw_only=True)
    repeated: bool = attrs.field(default=False, kw_only=True)

    def parameter(self) -> inspect.Parameter:
        """Return the parameter of a function by which Typer offers the option."""
        settings: dict[str, Any] = {"help": self.help, "rich_help_panel": self.panel}
        settings["show_default"] = self.default is not None
        settings["metavar"] = self.metavar
        kind: object = bool if self.read is None else str | None
        if self.required:  # ids are arguments; the help says so
            kind = int if self.positional else str
        if self.repeated:
            kind = list[str] | None
        if self.read is not None:
            settings["parser"] = self.read
        if self.positional:
            marked = typer.Argument(**settings)
        else:
            names = self.names or (f"--{self.name.replace('_', '-')}",)
            marked = typer.Option(*names, envvar=self.variable, **settings)
        default: object = False if self.read is None else self.default
        return inspect.Parameter(
            self.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=inspect.Parameter.empty if self.required else default,
            annotation=Annotated[kind, marked],
        )
