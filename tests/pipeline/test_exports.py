"""Exports: bills as they arrive, and whatever is left of one when it ends early or badly."""

import gc
from collections.abc import AsyncIterator
from datetime import date

import anyio
import anyio.lowlevel
import httpx
import pytest

from aiocake import (
    AffiliateBill,
    ApiError,
    AuthenticationError,
    Client,
    ClientView,
    DecodeError,
    NotSent,
    Period,
)
from aiocake._operations.operation import Stream
from aiocake.errors import ClosedError
from aiocake.events import Event, ReferencesDropped
from aiocake.sandbox import Sandbox

from ..support.peer import KEY, Held, Peer, lost, says, unreached

pytestmark = pytest.mark.anyio

JUNE = Period.month(2014, 6)


def bill(number: int, name: str = "Acme") -> str:
    return (
        f"<affiliate_bill><bill_id>{number}</bill_id><affiliate><affiliate_id>7</affiliate_id>"
        f"<affiliate_name>{name}</affiliate_name></affiliate><bill_amount><currency_id>1"
        "</currency_id><amount>1.00</amount></bill_amount></affiliate_bill>"
    )


def body(*bills: str, count: int | None = None, end: str = "</affiliate_bills></r>") -> str:
    rows = len(bills) if count is None else count
    head = f"<r><success>true</success><row_count>{rows}</row_count><affiliate_bills>"
    return head + "".join(bills) + end


class Slow(httpx.AsyncByteStream):
    """A body whose second half comes when it is told to."""

    def __init__(self, first: str, second: str) -> None:
        self._first, self._second = first, second
        self.go_on = anyio.Event()
        self.closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._first.encode()
        await self.go_on.wait()
        yield self._second.encode()

    async def aclose(self) -> None:
        self.closed = True


def export(cake: ClientView) -> Stream[AffiliateBill]:
    return cake.affiliate_bills.export(period=JUNE)


async def test_bills_come_before_the_body_is_whole() -> None:
    slow = Slow(body(bill(1), bill(2), end="", count=3), bill(3) + "</affiliate_bills></r>")
    peer = Peer(lambda _: httpx.Response(200, stream=slow))
    numbers = []
    async with peer.client() as cake, export(cake) as bills:
        assert (bills.success, bills.row_count, bills.rows_read) == (True, 3, 0)
        async for each in bills:
            numbers.append(each.bill_id)
            assert bills.rows_read == len(numbers)
            if each.bill_id == 2:
                assert not slow.go_on.is_set()
                # The export has a slot of its own: the loop can make other calls.
                assert cake.stats().in_flight == 1
                slow.go_on.set()
    assert numbers == [1, 2, 3]
    assert slow.closed


async def test_an_export_that_is_left_early_leaves_nothing() -> None:
    slow = Slow(body(bill(1), end=""), "")
    peer = Peer(lambda _: httpx.Response(200, stream=slow))
    async with peer.client() as cake:
        bills = export(cake)
        async with bills:
            async for _ in bills:
                break
        assert slow.closed
        assert cake.stats().in_flight == 0
        await bills.aclose()
        with pytest.raises(ClosedError, match="before its end") as caught:
            await anext(bills)
        assert caught.value.operation == "affiliate_bills.export"
        with pytest.raises(ClosedError):
            await bills.collect()


async def test_an_export_that_is_dropped_leaves_nothing() -> None:
    slow = Slow(body(bill(1), end=""), "")
    peer = Peer(lambda _: httpx.Response(200, stream=slow), says(body(bill(9))))
    async with peer.client() as cake:
        bills = export(cake)
        async for _ in bills:
            break
        del bills
        gc.collect()
        # Exports go one at a time: the next one waits until that slot is free.
        (last,) = await export(cake.with_options(queue=20)).collect()
        assert last.bill_id == 9
        assert slow.closed
        assert cake.stats().in_flight == 0


async def test_one_that_was_never_begun_sends_nothing() -> None:
    peer = Peer(says(body()))
    async with peer.client() as cake:
        bills = export(cake)
        await bills.aclose()
        with pytest.raises(ClosedError):
            await bills.collect()
        with pytest.raises(ClosedError):
            async with bills:
                pass
        del bills
        gc.collect()
        assert cake.stats().in_flight == 0
    assert peer.requests == []


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_one_whose_event_loop_is_gone_is_dropped_quietly(backend: str) -> None:
    kept = []

    async def main() -> None:
        slow = Slow(body(bill(1), end=""), "")
        cake = Peer(lambda _: httpx.Response(200, stream=slow)).client()
        bills = export(cake)
        await anext(bills)
        kept.append(bills)
        cake._closed = True  # no warning: this is of the export

    anyio.run(main, backend=backend)
    kept.clear()
    gc.collect()


async def test_an_export_is_read_once() -> None:
    peer = Peer(says(body(bill(1), bill(2))))
    async with peer.client() as cake:
        bills = export(cake)
        assert [each.bill_id async for each in bills] == [1, 2]
        assert [each async for each in bills] == []
        # A list of none could be taken for all there is.
        with pytest.raises(ClosedError, match="read or closed"):
            await bills.collect()
        half = export(cake)
        assert (await anext(half)).bill_id == 1
        with pytest.raises(ClosedError):
            await half.collect()
        assert (await anext(half)).bill_id == 2
        await half.aclose()
        # Entering reads the head, and gives nothing yet.
        async with export(cake) as whole:
            assert len(await whole.collect()) == 2
    assert len(peer.requests) == 3


async def test_two_tasks_do_not_read_one_export() -> None:
    held = Held(says(body(bill(1))))
    peer = Peer(held)
    numbers = []
    async with peer.client() as cake:
        bills = export(cake)

        async def first() -> None:
            numbers.append((await anext(bills)).bill_id)

        async with anyio.create_task_group() as group:
            group.start_soon(first)
            await held.begun.wait()
            with pytest.raises(RuntimeError, match="another task"):
                await anext(bills)
            held.go_on.set()
        await bills.aclose()
    assert numbers == [1]
    assert len(peer.requests) == 1


@pytest.mark.parametrize(
    ("text", "kind", "came"),
    [
        ("<r><success>false</success><message>Invalid API key</message></r>", "auth", []),
        ("<r><success>false</success><message>No, {KEY}</message></r>", "no", []),
        ("<!doctype html><html>{KEY}</html>", "decode", []),
        (body(bill(1), bill(2), count=3, end=""), "decode", [1, 2]),
        (body(bill(1), bill(2), count=3), "decode", [1, 2]),
        (body(bill(1), "<affiliate_bill><bill_id>{KEY}</bill_id></affiliate_bill>"), "decode", [1]),
        (body(bill(1)) + "more", "decode", [1]),
    ],
)
async def test_an_export_is_complete_or_raises(text: str, kind: str, came: list[int]) -> None:
    kinds = {"auth": AuthenticationError, "no": ApiError, "decode": DecodeError}
    peer = Peer(says(text.replace("{KEY}", KEY)))
    numbers = []
    async with peer.client() as cake:
        bills = export(cake)

        async def read() -> None:
            async for each in bills:
                numbers.append(each.bill_id)  # noqa: PERF401 - it keeps what came before an error

        with pytest.raises(kinds[kind]) as caught:
            await read()
        assert cake.stats().in_flight == 0
        with pytest.raises(ClosedError):
            await anext(bills)
        assert cake.stats().in_flight == 0
    assert numbers == came
    error = caught.value
    assert type(error) is kinds[kind]
    assert error.operation == "affiliate_bills.export"
    assert error.outcome is None
    assert KEY not in str(error) + repr(vars(error))
    if came:
        assert f"after {len(came)} bill" in str(error)


async def test_it_is_tried_again_before_the_first_bill_only() -> None:
    peer = Peer(lost, unreached, says(body(bill(1))))
    async with peer.client() as cake:
        assert len(await export(cake).collect()) == 1
        assert len(peer.requests) == 3
        peer = Peer(unreached)
        async with peer.client() as other:
            with pytest.raises(NotSent):
                await export(other).collect()
        assert len(peer.requests) == 3


async def test_a_cancelled_reader_leaves_nothing() -> None:
    slow = Slow(body(bill(1), end=""), "")
    peer = Peer(lambda _: httpx.Response(200, stream=slow))
    async with peer.client() as cake:
        bills = export(cake)
        await anext(bills)
        with anyio.CancelScope() as scope:
            scope.cancel()
            await anext(bills)
        assert scope.cancelled_caught
        assert cake.stats().in_flight == 0
        with pytest.raises(ClosedError):
            await anext(bills)


class Cut(httpx.AsyncByteStream):
    """A body that breaks off."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield body(bill(1), end="", count=2).encode()
        raise httpx.ReadError("reset")


@pytest.mark.parametrize("closes", ["export", "client"])
@pytest.mark.parametrize(("how", "before"), [("anext", 0), ("collect", 0), ("collect", 1)])
@pytest.mark.parametrize("where", ["head", "body"])
async def test_closing_ends_a_read_in_another_task(
    closes: str, how: str, before: int, where: str
) -> None:
    """Whether it is the first response that is waited for or, of a list, another."""
    slow = Slow(body(end="", count=2), bill(1) + bill(2) + "</affiliate_bills></r>")
    held = Held(lambda _: httpx.Response(200, stream=slow))
    cut = [lambda _: httpx.Response(200, stream=Cut())] * before
    peer = Peer(*cut, held)
    raised: list[ClosedError] = []
    async with peer.client() as cake:
        bills = export(cake)

        async def read() -> None:
            with pytest.raises(ClosedError) as caught:
                await (bills.collect() if how == "collect" else anext(bills))
            raised.append(caught.value)

        async with anyio.create_task_group() as group:
            group.start_soon(read)
            await held.begun.wait()
            if where == "body":
                held.go_on.set()
            await anyio.wait_all_tasks_blocked()
            await (bills if closes == "export" else cake).aclose()
        assert cake.stats().in_flight == cake.stats().waiting == 0
    assert raised[0].operation == "affiliate_bills.export"
    assert len(peer.requests) == before + 1
    gc.collect()


@pytest.mark.parametrize("ticks", range(12))
async def test_closing_at_any_step_leaves_nothing(ticks: int) -> None:
    peer = Peer(lambda _: httpx.Response(200, stream=Cut()), says(body(bill(1), bill(2))))
    async with peer.client() as cake:
        bills = export(cake)
        ends: list[object] = []

        async def read() -> None:
            try:
                ends.append(len(await bills.collect()))
            except ClosedError as error:
                ends.append(error)

        async with anyio.create_task_group() as group:
            group.start_soon(read)
            for _ in range(ticks):
                await anyio.lowlevel.checkpoint()
            await bills.aclose()
        assert ends[0] == 2 or isinstance(ends[0], ClosedError)
        assert cake.stats().in_flight == cake.stats().waiting == 0


async def test_dropped_references_are_told() -> None:
    events: list[Event] = []
    peer = Peer(says(body(bill(1, "A&#xB;B&#x16;"))))
    async with peer.client(on_event=events.append) as cake:
        (only,) = await export(cake).collect()
    assert only.affiliate.name == "AB"
    reported = [each for each in events if isinstance(each, ReferencesDropped)]
    assert reported == [ReferencesDropped("affiliate_bills.export", 2, call=1)]


async def test_a_view_bounds_an_export() -> None:
    sandbox = Sandbox(bills=3)
    transport = httpx.ASGITransport(app=sandbox.app)
    async with Client("x.example", "SANDBOX-KEY", transport=transport) as cake:
        view = cake.with_options(binding="soap12", total=60)  # type: ignore[arg-type] # its text
        year = Period(date(2013, 1, 1), date(2015, 12, 31))
        assert len(await view.affiliate_bills.export(period=year).collect()) == 3
    (request,) = sandbox.state.requests
    assert request.headers["content-type"].startswith("application/soap+xml")
