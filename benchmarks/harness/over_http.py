"""Compare the CPU that ways to make a call spend, against one server."""

import contextlib
from collections.abc import Collection, Mapping
from functools import partial
from pathlib import Path
from typing import Final

from benchmarks.harness.processes import Failed, Worker, certificates, server
from benchmarks.harness.rounds import Cases, interleaved

#: Calls of a round, by how many go at once.
CALLS: Final = {8: 200, 100: 400, 500: 500}
#: With so many at once, a slow way makes no more calls than that in a round: a pool of httpx looks
#: at each idle connection for each call, which at 500 at once takes milliseconds. So its client
#: stays open, with all of its connections; as each way's does over TLS, for handshakes take longer
#: than the calls. The slow ways then are measured at the same time, each in its own process.
MANY: Final = 100


def compare(  # noqa: PLR0913 - what differs between the benchmarks of calls
    ways: Mapping[str, str],
    rounds: int,
    expected: object,
    *,
    calls: Mapping[int, int] = CALLS,
    slow: Collection[str] = (),
    loop: str = "asyncio",
    tls: bool = False,
    sources: Mapping[str, Path] | None = None,
) -> Cases:
    """Return the µs a call of each way (``module:function``), by how many go at once.

    Args:
        ways: By name, what opens a client.
        rounds: How many rounds.
        expected: What each way has to answer.
        calls: How many go at once, and how many calls of them are a round.
        slow: The ways that are slow with many calls at once.
        loop: The event loop: asyncio, uvloop or trio.
        tls: Whether to speak TLS.
        sources: By way, a folder with another copy of aiocake.

    Raises:
        Failed: A way failed, or answered with something else.
    """
    with contextlib.ExitStack() as stack:
        signed = stack.enter_context(certificates()) if tls else None
        url = stack.enter_context(server(tls=signed))
        authority = str(signed.authority) if signed else None

        def started(function: str, way: str) -> Worker:
            worker = Worker(
                f"benchmarks.harness.calls:{function}",
                (sources or {}).get(way),
                opens=ways[way],
                url=url,
                loop=loop,
                authority=authority,
            )
            return stack.enter_context(worker)

        for way in ways:
            answer = started("answer", way).ask()
            if answer != expected:
                raise Failed(f"{way} answered {answer!r:.200}, not {expected!r:.200}")
        workers = {way: started("cpu", way) for way in ways}
        return {
            f"{at_once} at once": interleaved(
                {
                    way: (
                        partial(worker.ask, at_once=at_once, calls=at_once, keep=True)
                        if way in slow and at_once >= MANY
                        else partial(
                            worker.ask,
                            at_once=at_once,
                            calls=count,
                            keep=tls and at_once >= MANY,
                        )
                    )
                    for way, worker in workers.items()
                },
                rounds,
                together=slow if at_once >= MANY else (),
            )
            for at_once, count in calls.items()
        }
