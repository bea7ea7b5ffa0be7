"""The command line that ``python -m aiocake.sandbox`` and ``aiocake sandbox`` share."""

import argparse
import os
import shlex
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from socket import gaierror
from typing import Any, Final, NoReturn

from starlette.responses import Response

from aiocake.sandbox.app import Sandbox
from aiocake.sandbox.data import month_of
from aiocake.sandbox.dialect import Dialect
from aiocake.sandbox.server import serve
from aiocake.sandbox.state import RecordedRequest

_ABOUT: Final = "Serve a fake CAKE with generated data on this machine, until Ctrl-C."
_MOST: Final = sys.float_info.max


class UsageError(Exception):
    """The command line cannot be used."""


def run(words: Sequence[str], prog: str) -> None:
    """Serve a sandbox until a signal raises KeyboardInterrupt.

    The URL is the one line on the standard output.

    Args:
        words: The words of the command line.
        prog: The name of the command.

    Raises:
        UsageError: The command line cannot be used, or the port cannot be listened on.
    """
    chosen = _parse(words, prog)
    host, port, key, limit, log = (
        chosen.pop(name) for name in ("host", "port", "key", "rate_limit", "log")
    )
    limit = None if limit is None else (int(limit[0]), limit[1])
    sandbox = Sandbox(**chosen, api_key=key, rate_limit=limit)
    if log:
        sandbox.state.on_response.append(_log)
    with ExitStack() as stack:
        try:
            url = stack.enter_context(serve(sandbox, host, port))
        except gaierror as error:
            raise UsageError(f"Invalid value for --host: {host!r}: {error.strerror}") from None
        except OSError as error:
            # Python adds the address to the system's words.
            reason = os.strerror(error.errno) if error.errno else error
            raise UsageError(
                f"Invalid value for --port: port {port} cannot be listened on: {reason}"
            ) from None
        print(url, flush=True)  # noqa: T201 - this line is what the command is for
        print(  # noqa: T201 - for people; the URL alone is for programs
            f"A fake CAKE with {chosen['invoices']} invoices. In another terminal:\n\n"
            f"  export CAKE_DOMAIN={url} CAKE_API_KEY={shlex.quote(key)}\n"
            "  aiocake invoices list --status pending\n\n"
            "Press Ctrl-C to stop it.",
            file=sys.stderr,
            flush=True,
        )
        while True:  # a signal that comes right before a wait, or to another thread, ends none
            time.sleep(0.5)


def _log(request: RecordedRequest, response: Response) -> None:
    """Write a request on one line of the standard error."""
    said = [f"{name}={str(value)!r}" for name, value in request.arguments.items()]
    line = " ".join([str(response.status_code), request.method, request.path, *said])
    print(line, file=sys.stderr, flush=True)  # noqa: T201 - it was asked for


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(message)


def _parse(words: Sequence[str], prog: str) -> dict[str, Any]:
    """Read the command line; all values that cannot be used are reported at once."""
    problems: list[str] = []
    chosen = vars(parser_of(prog, problems).parse_args(words))
    passed = Counter(word.partition("=")[0] for word in words if word.startswith("--"))
    problems += [f"{name}: may be given once only" for name in passed if passed[name] > 1]
    if problems:
        raise UsageError("; ".join(problems))
    return chosen


def parser_of(prog: str, problems: list[str] | None = None) -> argparse.ArgumentParser:
    """Return what reads the command line.

    Args:
        prog: The name of the command.
        problems: Gets what is wrong with each value that cannot be used.
    """
    example = f"Example: {prog} --period 2024-01 --invoices 400 --port 8765 --log"
    parser = _Parser(prog, description=_ABOUT, epilog=example, allow_abbrev=False)
    found = [] if problems is None else problems

    def option(name: str, read: Callable[[str], object], about: str, **more: Any) -> None:  # noqa: ANN401 - argparse's own
        def collect(text: str) -> object:
            try:
                return read(text)
            except ValueError as error:
                found.append(f"Invalid value for '{name}': {error}")
                return None

        if "default" in more:
            about += f" (default: {more['default']})"
        parser.add_argument(name, type=collect, help=about, **more)

    count = _within(int, 0, _MOST, "a whole number of at least 0")
    port = _within(int, 0, 65_535, "a whole number from 0 to 65535")
    seed = _within(int, -_MOST, _MOST, "a whole number")
    seconds = _within(float, 0, _MOST, "a time in seconds such as 0.5")
    share = _within(float, 0, 1, "a share from 0 to 1")
    limit = _within(float, 0, _MOST, "a number of at least 0")
    option("--host", str, "the address to listen on", default="127.0.0.1")
    option("--port", port, "the port to listen on; 0 for any free port", default=0)
    option("--invoices", count, "number of invoices", default=200)
    option("--bills", count, "number of affiliate bills", default=50)
    option("--seed", seed, "random seed for the generated data", default=1)
    option(
        "--period",
        _month,
        "a month such as 2024-01 for a month end: a quarter of the invoices are of it, pending; "
        "the others are of the three months before, paid; all bills are of it",
    )
    option("--key", str, "the valid API key", default="SANDBOX-KEY")
    option("--latency", seconds, "seconds that a response takes", default=0.0)
    option("--jitter", share, "the share of the latency that varies, from 0 to 1", default=0.0)
    limits = {"nargs": 2, "metavar": ("CALLS", "SECONDS")}
    option("--rate-limit", limit, "refuse calls above this number in any such time", **limits)
    option("--dialect", _dialect, "the variant of CAKE's API to serve", default="default")
    parser.add_argument(
        "--log", action="store_true", help="write each request, without the key, and its status"
    )
    return parser


def _within(
    kind: type[int | float], least: float, most: float, what: str
) -> Callable[[str], object]:
    def read(text: str) -> object:
        try:
            value = kind(text)
        except ValueError:
            value = None
        if value is None or not least <= value <= most:
            raise ValueError(f"{text!r} is not {what}")
        return value

    return read


def _month(text: str) -> str:
    month_of(text)
    return text


def _dialect(name: str) -> Dialect:
    dialects = Dialect.all()
    if name not in dialects:
        raise ValueError(f"{name!r} is none of {', '.join(dialects)}")
    return dialects[name]
