"""Exports as a user meets them: what is known before the first bill, and how each way ends."""

import json
from collections.abc import AsyncIterator, Callable
from typing import Any, Literal

import anyio
import anyio.to_thread
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
    RateLimited,
    RetryPolicy,
    Throttle,
)
from aiocake.errors import ClosedError
from aiocake.events import (
    AttemptEnded,
    CallEnded,
    Event,
    ListAnomaly,
    ReferencesDropped,
    RetryScheduled,
)
from aiocake.sandbox import Dialect, RecordedRequest, Sandbox

from ..support.clock import SIMULATED
from ..support.loops import both_loops  # noqa: F401 - what waits, and ends early

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


async def test_one_that_another_thread_lets_go_gives_its_slot_back(connect: Connect) -> None:
    bodies = Pieces(head(2), bill(1), anyio.Event()), Pieces(head(1), bill(1), TAIL)
    async with connect(transport=scripted(*bodies)) as cake:
        held = [export(cake)]
        await anext(held[0])
        await anyio.to_thread.run_sync(held.clear)
        with anyio.fail_after(30):
            # Exports go one at a time.
            assert len(await export(cake).collect()) == 1


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
    sandbox = Sandbox(dialect=Dialect(v1_format=answers))
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
        (Pieces(head(3), bill(1), bill(2)), "ends before it is complete"),
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
        ReferencesDropped("affiliate_bills.export", 3, call=1),
        ReferencesDropped("affiliate_bills.export", 1, call=2),
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
    sandbox = Sandbox(dialect=Dialect(v1_format="json"))
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

    sandbox.state.on_response.append(lose)
    async with connect(sandbox) as cake:
        assert len(await export(cake).collect()) == 50
    assert len(lost) == 2


# A list that breaks off


def broken(*numbers: int) -> Pieces:
    """A body that breaks off in the bill after these."""
    return Pieces(head(3), *map(bill, numbers), "<affiliate_bill>", httpx.ReadError("reset"))


def whole(*numbers: int) -> Pieces:
    return Pieces(head(len(numbers)), *map(bill, numbers), TAIL)


@pytest.mark.parametrize("entered", [False, True])
async def test_a_list_of_bills_that_breaks_off_is_asked_for_again(
    connect: Connect, *, entered: bool
) -> None:
    events: list[Event] = []
    transport = scripted(broken(1, 2), broken(1), whole(1, 2, 3))
    async with connect(transport=transport, on_event=events.append) as cake:
        bills = export(cake)
        if entered:
            async with bills:
                read = await bills.collect()
        else:
            read = await bills.collect()
        assert [each.bill_id for each in read] == [1, 2, 3]
        assert (bills.success, bills.row_count, bills.rows_read) == (True, 3, 3)
        assert cake.stats().in_flight == 0
        with pytest.raises(ClosedError):
            await bills.collect()
    (ended,) = [each for each in events if isinstance(each, CallEnded)]
    assert (ended.attempts, ended.error, ended.cancelled) == (3, None, False)
    attempts = [each for each in events if isinstance(each, AttemptEnded)]
    assert [(each.number, each.error) for each in attempts] == [
        (1, None),
        (2, "DecodeError"),
        (3, None),
    ]
    retries = [each for each in events if isinstance(each, RetryScheduled)]
    assert [(each.number, each.error) for each in retries] == [
        (2, "DecodeError"),
        (3, "DecodeError"),
    ]


async def test_it_is_asked_for_as_often_as_the_policy_says(connect: Connect) -> None:
    events: list[Event] = []
    transport = scripted(broken(1), broken(1, 2), broken(1, 2), whole(1))
    async with connect(transport=transport, on_event=events.append) as cake:
        with pytest.raises(DecodeError, match="after 2 bills") as caught:
            await export(cake).collect()
        assert caught.value.rows_read == 2
        assert caught.value.operation == "affiliate_bills.export"
        assert cake.stats().in_flight == 0
        assert [each.bill_id for each in await export(cake).collect()] == [1]
    ended = [each for each in events if isinstance(each, CallEnded)]
    assert [(each.attempts, each.error) for each in ended] == [(3, "DecodeError"), (1, None)]
    async with connect(transport=scripted(broken(1), whole(1))) as cake:
        with pytest.raises(DecodeError, match="after 1 bill"):
            await export(cake.with_options(attempts=1)).collect()  # type: ignore[arg-type] # a view


async def test_the_budget_bounds_it(connect: Connect) -> None:
    policy = RetryPolicy(base=1e-6, cap=1e-6, budget=20)
    transport = scripted(broken(1), broken(1), whole(1))
    async with connect(transport=transport, retry=policy) as cake:
        with pytest.raises(DecodeError):
            await export(cake).collect()
        assert cake.stats().budget == 6  # what a retry takes is given back once the list is whole
    transport = scripted(broken(1), whole(1))
    async with connect(transport=transport, retry=policy) as cake:
        await export(cake).collect()
        assert cake.stats().budget == 20


async def test_bills_that_were_given_are_not_asked_for_again(connect: Connect) -> None:
    async with connect(transport=scripted(broken(1, 2), whole(1, 2, 3))) as cake:
        bills = export(cake)
        assert [(await anext(bills)).bill_id for _ in range(2)] == [1, 2]
        with pytest.raises(DecodeError, match="after 2 bills"):
            await anext(bills)


async def test_what_cannot_be_read_is_not_asked_for_again(connect: Connect) -> None:
    two = "<r><affiliate_bills><affiliate_bill><bill_id>x</bill_id></affiliate_bill>"
    body = (two + TAIL).replace("<affiliate_bills>", "<affiliate_bills>" + bill(1)).encode()
    answers = [httpx.Response(200, content=body), httpx.Response(200, content=b"")]
    async with connect(transport=httpx.MockTransport(lambda _: answers.pop(0))) as cake:
        with pytest.raises(DecodeError, match=r"affiliate_bills\[1\]"):
            await export(cake).collect()
    assert len(answers) == 1


async def test_a_refusal_after_a_list_that_broke_off_is_the_end(connect: Connect) -> None:
    answers = [
        httpx.Response(200, stream=broken(1)),
        httpx.Response(429, headers={"Retry-After": "7200"}),
    ]
    async with connect(transport=httpx.MockTransport(lambda _: answers.pop(0))) as cake:
        with pytest.raises(RateLimited):
            await export(cake).collect()


@pytest.mark.parametrize("where", ["first", "again"])
async def test_a_cancelled_collect_leaves_nothing(connect: Connect, where: str) -> None:
    begun = anyio.Event()

    class Stuck(httpx.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            yield (head(2) + bill(1)).encode()
            begun.set()
            await anyio.sleep_forever()

    bodies = [Stuck()] if where == "first" else [broken(1), Stuck()]
    transport = httpx.MockTransport(lambda _: httpx.Response(200, stream=bodies.pop(0)))
    events: list[Event] = []
    async with connect(transport=transport, on_event=events.append) as cake:
        async with anyio.create_task_group() as group:
            group.start_soon(export(cake).collect)
            with anyio.fail_after(30):
                await begun.wait()
            group.cancel_scope.cancel()
        assert cake.stats().in_flight == 0
    (ended,) = [each for each in events if isinstance(each, CallEnded)]
    assert ended.cancelled


@SIMULATED
async def test_what_was_waited_for_counts_for_all_attempts() -> None:
    class Dripping(httpx.AsyncByteStream):
        """A bill every 20 seconds; then the connection is lost."""

        def __init__(self, bills: int, error: Exception | None) -> None:
            self.bills, self.error = bills, error

        async def __aiter__(self) -> AsyncIterator[bytes]:
            yield head(3).encode()
            for number in range(1, self.bills + 1):
                await anyio.sleep(20)
                yield bill(number).encode()
            if self.error is not None:
                raise self.error
            yield TAIL.encode()

    began = anyio.current_time()
    bodies = [Dripping(2, httpx.ReadError("reset")), Dripping(3, None)] * 2
    transport = httpx.MockTransport(lambda _: httpx.Response(200, stream=bodies.pop(0)))
    policy = RetryPolicy(draw=lambda: 0.0)
    async with Client("x.example", "SANDBOX-KEY", transport=transport, retry=policy) as cake:
        assert len(await export(cake.with_options(total=101)).collect()) == 3  # type: ignore[arg-type] # a view
        assert anyio.current_time() - began == pytest.approx(100)
        with pytest.raises(DeadlineExceeded) as caught:  # 40 for the first, 35 for the second
            await export(cake.with_options(total=75)).collect()  # type: ignore[arg-type] # a view
    assert caught.value.rows_read == 1
    assert anyio.current_time() - began == pytest.approx(175)


# Bills that are there twice


def joined(number: int, amount: str = "10.5000", contact: str = "Jane") -> str:
    """A bill as a query gives it that joins contacts."""
    return bill(number, contact).replace("10.5000", amount)


@pytest.mark.parametrize("row_count", [5, 3])
@pytest.mark.parametrize("answers", ["xml", "json"])
async def test_a_bill_that_is_there_twice_is_given_once_and_told(
    connect: Connect, row_count: int, answers: str
) -> None:
    rows = [joined(7), joined(8), joined(7, contact="Joe"), joined(9), joined(8, "10.50")]
    body = head(row_count) + "".join(rows) + TAIL
    if answers == "json":
        listed = [
            {
                "bill_id": number,
                "affiliate": {"affiliate_id": 7},
                "bill_amount": {"amount": amount},
            }
            for number, amount in ((7, "1"), (8, "2"), (7, "1"), (9, "1"), (8, "2.0"))
        ]
        body = json.dumps({"success": True, "row_count": row_count, "affiliate_bills": listed})
    events: list[Event] = []
    transport = httpx.MockTransport(lambda _: httpx.Response(200, text=body))
    async with connect(transport=transport, on_event=events.append) as cake:
        bills = export(cake)
        assert [each.bill_id async for each in bills] == [7, 8, 9]
        assert (bills.rows_read, bills.row_count) == (3, row_count)
        assert [each.bill_id for each in await export(cake).collect()] == [7, 8, 9]
    reported = [each for each in events if isinstance(each, ListAnomaly)]
    detail = "2 left out, of bill 7 and others"
    assert reported == [
        ListAnomaly("affiliate_bills.export", "row repeated", detail, call=n) for n in (1, 2)
    ]


@pytest.mark.parametrize(
    "other",
    [
        joined(7, "10.5001"),
        joined(7, "-10.5000"),
        joined(7).replace("<affiliate_id>7<", "<affiliate_id>8<"),
        joined(7).replace("</amount>", "</amount><currency_id>2</currency_id>"),
        joined(7).replace("<notes>", "<sent_payment>yes</sent_payment><notes>"),
    ],
)
async def test_copies_of_a_bill_that_differ_are_an_error(connect: Connect, other: str) -> None:
    body = head(3) + joined(7) + joined(8) + other + TAIL
    transport = httpx.MockTransport(lambda _: httpx.Response(200, text=body))
    async with connect(transport=transport) as cake:
        bills = export(cake)
        assert [(await anext(bills)).bill_id for _ in range(2)] == [7, 8]
        with pytest.raises(
            DecodeError, match="bill 7 occurs twice, with different contents"
        ) as caught:
            await anext(bills)
    assert caught.value.path == "affiliate_bills[2]"
    assert caught.value.rows_read == 2


@pytest.mark.parametrize("row_count", [1, 4])
async def test_other_rows_than_are_counted_are_an_error_with_copies_too(
    connect: Connect, row_count: int
) -> None:
    body = head(row_count) + joined(7) + joined(8) + joined(7) + TAIL
    transport = httpx.MockTransport(lambda _: httpx.Response(200, text=body))
    async with connect(transport=transport) as cake:
        with pytest.raises(DecodeError, match=f"3 bills where row_count is {row_count}"):
            await export(cake).collect()
