"""``python -m aiocake.sandbox``: serve a sandbox until it is told to end."""

import argparse
import math
from collections.abc import Sequence
from contextlib import suppress

import uvicorn

from aiocake.sandbox.app import Sandbox
from aiocake.sandbox.dialect import Dialect
from aiocake.sandbox.server import listen, server_config, url_of


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the URL on the first line, then serve until SIGINT or SIGTERM.

    Args:
        arguments: The words of the command line; by default those of this process.
    """
    dialects = Dialect.all()
    parser = argparse.ArgumentParser(prog="python -m aiocake.sandbox", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 for any that is free")
    parser.add_argument("--invoices", type=int, default=200)
    parser.add_argument("--bills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--key", default="SANDBOX-KEY")
    parser.add_argument("--latency", type=seconds, default=0.0, help="seconds")
    parser.add_argument("--jitter", type=float, default=0.0, help="share of the latency, 0 to 1")
    parser.add_argument(
        "--rate-limit",
        nargs=2,
        type=float,
        metavar=("CALLS", "SECONDS"),
        help="refuse more than so many calls in any such window",
    )
    parser.add_argument("--dialect", choices=sorted(dialects), default="default")
    chosen = parser.parse_args(arguments)
    limit: list[float] | None = chosen.rate_limit
    sandbox = Sandbox(
        invoices=chosen.invoices,
        bills=chosen.bills,
        seed=chosen.seed,
        api_key=chosen.key,
        dialect=dialects[chosen.dialect],
        latency=chosen.latency,
        jitter=chosen.jitter,
        rate_limit=None if limit is None else (int(limit[0]), limit[1]),
    )
    with listen(chosen.host, chosen.port) as listener:
        print(url_of(listener), flush=True)  # noqa: T201 - this line is what the command is for
        with suppress(KeyboardInterrupt):
            uvicorn.Server(server_config(sandbox)).run(sockets=[listener])


def seconds(text: str) -> float:
    """A time that is neither below zero nor without an end."""
    found = float(text)
    if not 0 <= found < math.inf:
        raise ValueError
    return found


if __name__ == "__main__":
    main()
