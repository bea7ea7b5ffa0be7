"""The CPU of the way of a call, without a network, beside another copy of the package.

    python benchmarks/call_path.py --before /path/to/other/src
    python benchmarks/call_path.py --before /path/to/other/src --functions

Both copies run in one process, in turns of some hundred calls, against a transport that answers at
once; a round is a turn of each, in random order, and what counts is the median of the ratios of
the rounds. ``--functions`` counts how many functions and modules of the package one call passes.
"""

import argparse
import asyncio
import gc
import importlib
import random
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any, Final

import httpx

SOURCE: Final = Path(__file__).parents[1] / "src"
ROW: Final = (
    b'{"invoice_id":%d,"affiliate_id":2,"affiliate_name":"Acme","invoice_status":"pending",'
    b'"total_amount":"1250.00","currency":"USD","start_date":"2024-01-01","end_date":"2024-01-31"}'
)
PAGE: Final = b'{"request_status":"Success","total_rows":%d,"invoices":[%b]}'
ONE: Final = PAGE % (1, ROW % 1)
UPDATED: Final = (
    b'{"request_status":"Success","invoice":{"invoice_id":1,"invoice_status":"approved"}}'
)
#: How many rows a list of two pages has.
ROWS: Final = 150

Call = Callable[[], Awaitable[object]]


class AtOnce(httpx.AsyncBaseTransport):
    """A transport that answers at once."""

    def __init__(self, page: Callable[[httpx.Request], bytes] = lambda _: ONE) -> None:
        self._page = page

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer."""
        body = self._page(request) if request.method == "GET" else UPDATED
        return httpx.Response(200, content=body)


def page_of(request: httpx.Request) -> bytes:
    """The page of a list that a request asks for."""
    start, count = (
        int(request.url.params.get(name, "1")) for name in ("start_at_row", "row_limit")
    )
    rows = range(ROWS)[start - 1 : start - 1 + count]
    return PAGE % (ROWS, b",".join(ROW % (ROWS - row) for row in rows))


def is_ours(name: str) -> bool:
    """Whether a module is of the package."""
    return name.partition(".")[0] == "aiocake"


def package(source: Path) -> ModuleType:
    """A copy of the package, apart from all others."""
    for name in filter(is_ours, list(sys.modules)):
        del sys.modules[name]
    sys.path.insert(0, str(source))
    try:
        whole = importlib.import_module("aiocake")
        # What a call loads late it would load from the copy that is there by then.
        for path in sorted((source / "aiocake").rglob("*.py")):
            parts = path.relative_to(source).with_suffix("").parts
            if not {"cli", "sandbox", "testing", "__main__", "__init__"} & set(parts):
                importlib.import_module(".".join(parts))
        return whole
    finally:
        sys.path.remove(str(source))


def client(module: ModuleType) -> Any:  # noqa: ANN401 - of one copy or another
    """A client that answers at once."""
    return module.Client("127.0.0.1", "BENCHMARK", transport=AtOnce())


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


async def compare(name: str, ways: Mapping[str, Call], rounds: int, calls: int) -> None:
    """Measure in turns and print, beside the first."""
    first, *_ = ways
    taken: dict[str, list[float]] = {way: [] for way in ways}
    for call in ways.values():
        await seconds(call, calls)
    for _ in range(rounds):
        for way in random.sample(list(ways), len(ways)):
            taken[way].append(await seconds(ways[way], calls))
    for way, times in taken.items():
        ratios = [mine / base for mine, base in zip(times, taken[first], strict=True)]
        typical = statistics.median(times) * 1e6
        print(f"{name:<18}{way:<10}{typical:9.1f} us   {statistics.median(ratios):6.3f}")


async def passed(call: Call) -> tuple[int, int]:
    """How many functions and modules of the package a call passes."""
    await call()
    functions: set[tuple[str, int]] = set()

    def note(frame: FrameType, event: str, _: object) -> None:
        if event == "call" and is_ours(frame.f_globals.get("__name__", "")):
            functions.add((frame.f_globals["__name__"], frame.f_code.co_firstlineno))

    sys.setprofile(note)
    try:
        await call()
    finally:
        sys.setprofile(None)
    return len(functions), len({module for module, _ in functions})


async def main(before: Path | None, rounds: int, calls: int, *, functions: bool) -> None:
    """Measure and print."""
    copies = {} if before is None else {"before": package(before)}
    copies["now"] = package(SOURCE)
    clients = {name: client(module) for name, module in copies.items()}
    if functions:
        for name, module in copies.items():
            cake = clients[name]
            paged = module.Client("127.0.0.1", "BENCHMARK", transport=AtOnce(page_of))
            ways: dict[str, Call] = {
                "update": lambda cake=cake: cake.invoices.update(1, invoice_status="approved"),
                "page": cake.invoices.page,
                "find, two pages": lambda paged=paged: paged.invoices.find().collect(),
            }
            for what, call in ways.items():
                count, modules = await passed(call)
                print(f"{what:<18}{name:<10}{count:4} functions in {modules} modules")
            await paged.aclose()
    else:
        updates: dict[str, Call] = {
            name: lambda cake=cake: cake.invoices.update(1, invoice_status="approved")
            for name, cake in clients.items()
        }
        await compare("update", updates, rounds, calls)
        pages: dict[str, Call] = {name: cake.invoices.page for name, cake in clients.items()}
        await compare("page of one row", pages, rounds, calls)
    for cake in clients.values():
        await cake.aclose()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--before", type=Path)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--calls", type=int, default=100)
    parser.add_argument("--functions", action="store_true")
    given = parser.parse_args()
    asyncio.run(main(given.before, given.rounds, given.calls, functions=given.functions))
