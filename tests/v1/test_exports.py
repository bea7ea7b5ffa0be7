"""Exports as a user meets them: what is known before the first bill, and how each way ends."""

from collections.abc import AsyncIterator, Callable
from typing import Any, Literal

import anyio
import httpx
import pytest
from starlette.responses import Response

from aiocake import (
    AuthenticationError,
    Binding,
    Client,
    DeadlineExceeded,
    DecodeError,
    NotSent,
    Period,
    Throttle,
)
from aiocake.errors import ClosedError
from aiocake.events import Event, ReferencesDropped
from aiocake.sandbox import Dialect, RecordedRequest, Sandbox

pytestmark = pytest.mark.anyio

Connect = Callable[..., Client]

KINDS = ("affiliate", "advertiser", "buyer")
YEARS: dict[str, Any] = {"period": Period(Period.month(2013, 12).start, Period.month(2015, 1).end)}


def export(cake: Client, kind: str = "affiliate") -> Any:  # noqa: ANN401 - bills of any kind
    return getattr(cake, f"{kind}_bills").export(**YEARS)


def bill(number: int, notes: str = "") -> str:
    return (
        f"<affiliate_bill><bill_id>{number}</bill_id><affiliate><affiliate_id>7</affiliate_id>"
        f"</affiliate><bill_amount><amount>10.5000</amount></bill_amount><notes>{notes}</notes>"
        "</affiliate_bill>"
    )


def head(count: int) -> str:
    return (
        "<r><success>true</success><message>For your eyes</message>"
        f"<row_count>{count}</row_count><affiliate_bills>"
    )


TAIL = "</affiliate_bills></r>"


class Pieces(httpx.AsyncByteStream):
    """A body that comes as the test lets it, and may break off."""

    def __init__(self, *pieces: str | anyio.Event | Exception) -> None:
        self._pieces = pieces

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            if isinstance(piece, Exception):
                raise piece
            if isinstance(piece, anyio.Event):
                await piece.wait()
            else:
                yield piece.encode()


def scripted(*bodies: Pieces) -> httpx.MockTransport:
    left = list(bodies)
    return httpx.MockTransport(lambda _: httpx.Response(200, stream=left.pop(0)))


@pytest.mark.parametrize("binding", Binding)
@pytest.mark.parametrize("kind", KINDS)
async def test_the_block_knows_success_message_and_row_count_before_the_first_bill(
    connect: Connect, kind: str, binding: Binding
) -> None:
    sandbox = Sandbox()
    stored = sandbox.state.bills(kind)  # type: ignore[arg-type] # one of the three
    async with connect(sandbox, binding=binding) as cake:
        bills = export(cake, kind)
        assert (bills.success, bills.message, bills.row_count) == (None, "", None)
        assert sandbox.state.requests == []
        async with bills:
            assert (bills.success, bills.message, bills.row_count) == (True, "", len(stored))
            assert bills.rows_read == 0
            read = [each.bill_id async for each in bills]
        assert read == list(stored)
        assert bills.rows_read == len(stored)
    assert len(sandbox.state.requests) == 1


async def test_a_bill_is_given_as_soon_as_it_has_come(connect: Connect) -> None:
    second, end = anyio.Event(), anyio.Event()
    body = Pieces(head(2), bill(1), second, bill(2), end, TAIL)
    with anyio.fail_after(30):
        async with connect(transport=scripted(body)) as cake, export(cake) as bills:
            assert (bills.success, bills.message, bills.row_count) == (True, "For your eyes", 2)
            assert (await anext(bills)).bill_id == 1
            second.set()
            assert (await anext(bills)).bill_id == 2
            end.set()
            with pytest.raises(StopAsyncIteration):
                await anext(bills)


@pytest.mark.parametrize("binding", Binding)
@pytest.mark.parametrize("answers", ["xml", "json"])
async def test_a_refused_export_raises_before_any_bill(
    connect: Connect, answers: Literal["xml", "json"], binding: Binding
) -> None:
    sandbox = Sandbox(dialect=Dialect(v1_answers=answers))
    sandbox.state.api_keys.clear()
    async with connect(sandbox, binding=binding) as cake:
        with pytest.raises(AuthenticationError) as entered:
            async with export(cake):
                pytest.fail("a refused export was entered")
        with pytest.raises(AuthenticationError):
            await export(cake).collect()
        with pytest.raises(AuthenticationError):
            await anext(aiter(export(cake)))
        assert entered.value.operation == "affiliate_bills.export"
        assert cake.stats().in_flight == 0


@pytest.mark.parametrize("read", [0, 1, 2])
async def test_a_body_that_breaks_off_raises_after_what_came_and_says_how_many(
    connect: Connect, read: int
) -> None:
    numbers = range(1, read + 1)
    body = Pieces(head(3), *map(bill, numbers), "<affiliate_bill>", httpx.ReadError("reset"))
    # Before the first bill it is tried again; after it, never.
    bodies = [body, body, body] if read == 0 else [body]
    async with connect(transport=scripted(*bodies)) as cake:
        bills = export(cake)
        assert [(await anext(bills)).bill_id for _ in numbers] == list(numbers)
        with pytest.raises(DecodeError) as caught:
            await anext(bills)
    assert caught.value.rows_read == (read or None)
    assert (f"(after {read} bill" in str(caught.value)) is (read > 0)


async def test_an_end_that_comes_too_early_says_how_many_came(connect: Connect) -> None:
    for body, why in (
        (Pieces(head(3), bill(1), bill(2)), "ends before it is whole"),
        (Pieces(head(3), bill(1), bill(2), TAIL), "2 bills where row_count is 3"),
    ):
        async with connect(transport=scripted(body)) as cake:
            bills = export(cake)
            with pytest.raises(DecodeError, match=why) as caught:
                await bills.collect()
        assert caught.value.rows_read == bills.rows_read == 2


async def test_a_rest_that_does_not_come_says_how_many_came(connect: Connect) -> None:
    body = Pieces(head(3), bill(1), httpx.ReadTimeout("slow"))
    async with connect(transport=scripted(body)) as cake:
        bills = export(cake)
        with pytest.raises(DeadlineExceeded) as caught:
            await bills.collect()
    assert caught.value.rows_read == bills.rows_read == 1


async def test_the_first_bill_may_take_a_second_try(connect: Connect) -> None:
    broken = Pieces(head(1), "<affiliate_bill>", httpx.ReadError("reset"))
    whole = Pieces(head(1), bill(5), TAIL)
    async with connect(transport=scripted(broken, whole)) as cake:
        assert [each.bill_id for each in await export(cake).collect()] == [5]


async def test_what_is_dropped_is_told_also_when_the_loop_is_left(connect: Connect) -> None:
    events: list[Event] = []
    whole = Pieces(head(2), bill(1, "a&#xB;b"), bill(2, "&#22;&#0;"), TAIL)
    left = Pieces(head(2), bill(1, "a&#xB;b"), bill(2), TAIL)
    transport = scripted(whole, left)
    async with connect(transport=transport, on_event=events.append) as cake:
        read = await export(cake).collect()
        async with export(cake) as bills:
            await anext(bills)
            assert bills.dropped == 1
            await bills.aclose()
            await bills.aclose()
    assert [each.notes for each in read] == ["ab", None]
    assert [each for each in events if isinstance(each, ReferencesDropped)] == [
        ReferencesDropped("affiliate_bills.export", 3),
        ReferencesDropped("affiliate_bills.export", 1),
    ]


async def test_an_export_that_was_left_gives_nothing_more(connect: Connect) -> None:
    sandbox = Sandbox()
    async with connect(sandbox) as cake:
        async with export(cake) as bills:
            await anext(bills)
        with pytest.raises(ClosedError):
            await anext(bills)
        with pytest.raises(ClosedError):
            async with bills:
                pytest.fail("it was entered twice")
        assert len(await export(cake).collect()) == 50
    assert len(sandbox.state.requests) == 2


async def test_bills_can_be_marked_inside_of_the_loop(connect: Connect) -> None:
    sandbox = Sandbox()
    with anyio.fail_after(30):
        async with connect(sandbox, throttle=Throttle(concurrency=1)) as cake:
            async for each in export(cake, "buyer"):
                await cake.buyer_bills.mark_sent(each.bill_id, invoice_number="B-1")
    assert {each.invoice_number for each in sandbox.state.buyer_bills.values()} == {"B-1"}


async def test_an_export_without_a_turn_is_not_sent(connect: Connect) -> None:
    sandbox = Sandbox()
    async with connect(sandbox) as cake, export(cake) as bills:
        await anext(bills)
        with pytest.raises(NotSent):
            # One export at a time.
            await export(cake.with_options(queue=0.01)).collect()  # type: ignore[arg-type] # a view
    assert len(sandbox.state.requests) == 1


async def test_an_answer_in_json_is_an_export_too(connect: Connect) -> None:
    sandbox = Sandbox(dialect=Dialect(v1_answers="json"))
    async with connect(sandbox) as cake, export(cake) as bills:
        assert (bills.success, bills.row_count) == (True, 50)
        assert [each.bill_id async for each in bills] == list(sandbox.state.affiliate_bills)


async def test_a_refusal_behind_the_bills_is_no_success(connect: Connect) -> None:
    late = "</affiliate_bills><success>false</success><message>Invalid API key</message></r>"
    body = Pieces("<r><affiliate_bills>", bill(1), late)
    async with connect(transport=scripted(body)) as cake, export(cake) as bills:
        assert bills.success is None
        assert (await anext(bills)).bill_id == 1
        with pytest.raises(AuthenticationError):
            await anext(bills)
        assert (bills.success, bills.message) == (False, "Invalid API key")


async def test_the_sandbox_loses_an_answer_and_the_export_is_asked_for_again(
    connect: Connect,
) -> None:
    sandbox = Sandbox()
    lost: list[RecordedRequest] = []

    def lose(request: RecordedRequest, _: Response) -> Response | None:
        lost.append(request)
        return Response("bad gateway", 502) if len(lost) == 1 else None

    sandbox.state.on_answer.append(lose)
    async with connect(sandbox) as cake:
        assert len(await export(cake).collect()) == 50
    assert len(lost) == 2
