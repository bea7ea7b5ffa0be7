"""What events cost: CPU of a call that nobody listens to, against one that could not be heard.

    python benchmarks/tracing.py
    python benchmarks/tracing.py --rounds 200 --calls 200

A second copy of the package is made from which everything that makes or passes on an event is cut
out (see ``CUTS``; each cut must fit, or this ends). Both run in one process, in turns of some
hundred calls, against a transport that answers at once; a round is a turn of each, in random
order, and what counts is the median of the ratios of the rounds. "Itself" is a third copy, with
nothing cut out: how far two equal things lie apart.

The last table is of our own connections, over sockets that answer at once, which is the least that
a call of real life takes.
"""

import argparse
import asyncio
import gc
import importlib
import random
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import httpx

SOURCE: Final = Path(__file__).parents[1] / "src" / "aiocake"
KEY: Final = "BENCHMARK"
PAGE: Final = (
    b'{"request_status":"Success","total_rows":1,"invoices":[{"invoice_id":1,"affiliate_id":2,'
    b'"affiliate_name":"Acme","invoice_status":"pending","total_amount":"1250.00",'
    b'"currency":"USD","start_date":"2024-01-01","end_date":"2024-01-31"}]}'
)
UPDATED: Final = (
    b'{"request_status":"Success","invoice":{"invoice_id":1,"invoice_status":"approved"}}'
)

#: By file: a piece of its text, what stands there without events, and how often it is there.
CUTS: Final[Mapping[str, Sequence[tuple[str, str, int]]]] = {
    "_pipeline/executor.py": (
        ("with CallReport(self.emitter, call) as report", "if report := None or True", 1),
        ("report.outcome = Outcome.UNKNOWN\n", "\n", 1),
        ("report.finish(failure)\n", "\n", 2),
        ("self._codec.begin(", "self._codec.prepare(", 3),
        ("await (self._watched(call, turn) if self.emitter.enabled else turn)", "await turn", 1),
    ),
    "_pipeline/call_codec.py": (
        ("        if leniency.count:\n", "        if False:\n", 1),
        ("if reply.dropped:", "if False:", 1),
    ),
    "_pipeline/attempt_judge.py": (
        ('        self._emit(call, attempt, "Cancelled")\n', "", 1),
        ("self._emit(call, attempt, None if error is None else type(error).__name__)\n", "\n", 1),
    ),
}
Call = Callable[[], Awaitable[object]]


@contextmanager
def package(
    cuts: Mapping[str, Sequence[tuple[str, str, int]]],
) -> Iterator[Callable[[str], ModuleType]]:
    """A copy of the package, with cuts, apart from all others: gives its modules by name."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "aiocake"
        shutil.copytree(SOURCE, copy, ignore=shutil.ignore_patterns("__pycache__"))
        for name, pieces in cuts.items():
            text = (copy / name).read_text(encoding="utf-8")
            for old, new, count in pieces:
                if text.count(old) != count:
                    raise RuntimeError(f"{name} has changed: {old!r} is not there {count} times")
                text = text.replace(old, new)
            (copy / name).write_text(text, encoding="utf-8")
        kept = {name: sys.modules.pop(name) for name in list(sys.modules) if is_ours(name)}
        sys.path.insert(0, folder)
        try:
            yield importlib.import_module
        finally:
            sys.path.remove(folder)
            for name in filter(is_ours, list(sys.modules)):
                del sys.modules[name]
            sys.modules.update(kept)


def is_ours(name: str) -> bool:
    """Whether a module is of the package."""
    return name.partition(".")[0] == "aiocake"


class AtOnce(httpx.AsyncBaseTransport):
    """A transport that answers at once."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer."""
        return httpx.Response(200, content=PAGE if request.method == "GET" else UPDATED)


class AnsweringSocket:
    """A socket that takes each request, and has the whole answer to it at once."""

    def __init__(self) -> None:
        self._asked = False

    def send(self, data: bytes | memoryview) -> int:
        """Take a request."""
        self._asked = True
        return len(data)

    def recv(self, _: int) -> bytes:
        """The whole answer."""
        if not self._asked:
            raise BlockingIOError
        self._asked = False
        return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(PAGE), PAGE)

    def close(self) -> None:
        """Close it."""


def client(module: ModuleType, **settings: object) -> Any:  # noqa: ANN401 - of one copy or another
    """A client that answers at once."""
    return module.Client("127.0.0.1", KEY, transport=AtOnce(), **settings)


def connects(get: Callable[[str], ModuleType]) -> Callable[[object], Any]:
    """What makes a client of our own connections over such sockets, with an ``on_event``."""
    dial = get("aiocake._transport.dial")
    connection = get("aiocake._transport.connection").HttpConnection

    class AtOnceToo(connection):  # type: ignore[misc, valid-type] # of one copy or another
        async def _wait(self, *, writing: bool = False) -> None:
            del writing
            self._receive()

    async def open_socket(*_: object) -> AnsweringSocket:
        return AnsweringSocket()

    dial.open_socket = open_socket
    dial.connection_over = lambda opened, host: AtOnceToo(opened, host, time.monotonic)
    whole = get("aiocake")
    return lambda on_event: whole.Client("http://127.0.0.1", KEY, on_event=on_event)


async def seconds(call: Call, calls: int) -> float:
    """The CPU that so many calls take, for each of them."""
    gc.collect()
    gc.disable()
    try:
        begin = time.thread_time()
        for _ in range(calls):
            await call()
        return (time.thread_time() - begin) / calls
    finally:
        gc.enable()


async def compare(ways: Mapping[str, Call], rounds: int, calls: int) -> None:
    """Measure in turns and print, beside the first."""
    first, *_ = ways
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for name in ways:
        await seconds(ways[name], calls)
    for _ in range(rounds):
        for name in random.sample(list(ways), len(ways)):
            taken[name].append(await seconds(ways[name], calls))
    for name, times in taken.items():
        ratios = [mine / base for mine, base in zip(times, taken[first], strict=True)]
        ratio = statistics.median(ratios)
        typical = statistics.median(times) * 1e6
        print(f"    {name:<34}{typical:9.1f} us   {ratio:7.3f}   {(ratio - 1) * 100:+6.1f} %")


def ignore(_: object) -> None:
    """Listen to an event, and do nothing."""


async def main(rounds: int, calls: int) -> None:
    """Measure and print."""
    print(f"{sys.version.split()[0]}; medians of {rounds} rounds of {calls} calls each, CPU a call")
    with package(CUTS) as get:
        cut, connected_cut = get("aiocake"), connects(get)
    with package({}) as get:
        same, connected_same = get("aiocake"), connects(get)
    with package({}) as get:
        whole, connected_whole = get("aiocake"), connects(get)
    clients = {
        "without the code of events": client(cut),
        "on_event unused": client(whole),
        "itself, once more": client(same),
        "on_event does nothing": client(whole, on_event=ignore),
    }
    reads: dict[str, Call] = {name: cake.invoices.page for name, cake in clients.items()}
    writes: dict[str, Call] = {
        name: lambda cake=cake: cake.invoices.update(1, invoice_status="approved")
        for name, cake in clients.items()
    }
    print("a read (a page of one invoice)")
    await compare(reads, rounds, calls)
    print("a write (an update)")
    await compare(writes, rounds, calls)
    connected = {
        "without the code of events": connected_cut(None),
        "on_event unused": connected_whole(None),
        "itself, once more": connected_same(None),
        "on_event does nothing": connected_whole(ignore),
    }
    print("a read over our own transport")
    await compare({n: cake.invoices.page for n, cake in connected.items()}, rounds, calls)
    for cake in (*clients.values(), *connected.values()):
        await cake.aclose()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--calls", type=int, default=100)
    given = parser.parse_args()
    asyncio.run(main(given.rounds, given.calls))
