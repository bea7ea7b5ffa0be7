"""Measure the CPU of calls over HTTP: so many at once, on one kind of event loop."""

import asyncio
import gc
import importlib
import ssl
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import date
from decimal import Decimal
from enum import Enum
from typing import Final

Call = Callable[[], Awaitable[object]]
#: Opens a client for a URL, so many calls at once and a context for TLS; gives what makes a call.
Open = Callable[[str, int, ssl.SSLContext | None], AbstractAsyncContextManager[Call]]

_FIELDS = (
    "invoice_id",
    "affiliate_id",
    "affiliate_name",
    "invoice_status",
    "start_date",
    "end_date",
    "total_amount",
    "currency",
)


def cpu(  # noqa: PLR0913 - what a round is
    opens: str,
    url: str,
    at_once: int,
    calls: int,
    *,
    loop: str = "asyncio",
    authority: str | None = None,
    keep: bool = False,
) -> float:
    """Return the µs of CPU that this process spends on a call.

    Connections are opened, and everything is called a first time, before the clock starts. With
    ``keep``, on asyncio, they stay open for the rounds after this one.
    """
    if keep:
        return _cpu_of_kept(opens, url, at_once, calls, authority)

    async def measured() -> float:
        async with _opened(opens, url, at_once, authority) as call:
            await _calls(call, at_once, max(at_once, 50))
            gc.collect()
            begin = time.process_time()
            await _calls(call, at_once, calls)
            return (time.process_time() - begin) / calls * 1e6

    return _run(measured, loop)


#: So many connections more are opened at a time: all 500 at once take httpx more than a minute.
_STEP: Final = 50
#: Clients that stay open: with all that keeps them so, and what makes a call.
_kept: dict[tuple[str, int], tuple[asyncio.Runner, object, Call]] = {}


def _cpu_of_kept(opens: str, url: str, at_once: int, calls: int, authority: str | None) -> float:
    if (url, at_once) not in _kept:
        runner, opened = asyncio.Runner(), _opened(opens, url, at_once, authority)
        call = runner.run(_entered(opened))
        for count in range(_STEP, at_once + 1, _STEP):
            runner.run(_calls(call, count, count))
        _kept[url, at_once] = runner, opened, call
    runner, _, call = _kept[url, at_once]
    gc.collect()
    begin = time.process_time()
    runner.run(_calls(call, at_once, calls))
    return (time.process_time() - begin) / calls * 1e6


async def _entered(opened: AbstractAsyncContextManager[Call]) -> Call:
    return await opened.__aenter__()


def answer(opens: str, url: str, *, loop: str = "asyncio", authority: str | None = None) -> object:
    """Return what a call answers, in a form that can be compared."""

    async def asked() -> object:
        async with _opened(opens, url, 1, authority) as call:
            return facts(await call())

    return _run(asked, loop)


def facts(result: object) -> object:
    """Return the fields of an invoice, or of each invoice of a page, with values of plain types."""
    if isinstance(result, Sequence):
        return [facts(row) for row in result]
    fields = result if isinstance(result, dict) else None
    found = {
        name: fields.get(name) if fields is not None else getattr(result, name, None)
        for name in _FIELDS
    }
    return {name: _plain(value) for name, value in found.items() if value is not None}


def _plain(value: object) -> object:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Decimal):
        return f"Decimal {value}"
    return value.isoformat() if isinstance(value, date) else value


def _opened(
    opens: str, url: str, at_once: int, authority: str | None
) -> AbstractAsyncContextManager[Call]:
    module, _, name = opens.partition(":")
    open_client: Open = getattr(importlib.import_module(module), name)
    context = ssl.create_default_context(cafile=authority) if authority else None
    return open_client(url, at_once, context)


async def _calls(call: Call, at_once: int, count: int) -> None:
    """Make so many calls."""
    numbers = iter(range(count))
    if "trio" in sys.modules and _in_trio():
        import trio  # noqa: PLC0415 - only where it is measured

        async with trio.open_nursery() as nursery:
            for _ in range(at_once):
                nursery.start_soon(_work, call, numbers)
        return
    async with asyncio.TaskGroup() as group:
        for _ in range(at_once):
            group.create_task(_work(call, numbers))


async def _work(call: Call, numbers: Iterator[int]) -> None:
    for _ in numbers:
        if not await call():
            raise AssertionError("an empty answer")


def _in_trio() -> bool:
    import trio  # noqa: PLC0415 - the same

    return trio.lowlevel.in_trio_run()


def _run(main: Callable[[], Awaitable[object]], loop: str) -> object:
    if loop == "trio":
        import trio  # noqa: PLC0415 - the same

        return trio.run(main)
    factory = None
    if loop == "uvloop":
        import uvloop  # noqa: PLC0415 - only where it is measured

        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        return runner.run(main())
