"""Lists that do not behave: each row once and none missing, or an error."""

import json
import math
from collections.abc import Callable, Sequence
from typing import Final
from urllib.parse import parse_qs, urlsplit

import anyio
import httpx
import pytest

from aiocake import Client
from aiocake.errors import CakeError, ConsistencyError, ListChanged
from aiocake.events import Event, ListAnomaly

from ..support.scripted import Connection, Script
from ._cake import AFFILIATE, FIND, obedient
from ._card import Card
from ._simulated import SIMULATED, Answering

pytestmark = pytest.mark.anyio

ROWS: Final = 57
PAGE: Final = 10

#: Gives the rows of a page and how many there are, by what is asked for and the call's number.
List = Callable[[int, int, int], tuple[Sequence[int], int | None]]


def in_order(start: int, limit: int, _: int) -> tuple[Sequence[int], int | None]:
    return range(1, ROWS + 1)[start : start + limit], ROWS


def from_one(start: int, limit: int, _: int) -> tuple[Sequence[int], int | None]:
    first = max(start, 1) - 1
    return range(1, ROWS + 1)[first : first + limit], ROWS


def fewer(start: int, limit: int, _: int) -> tuple[Sequence[int], int | None]:
    return range(1, ROWS + 1)[start : start + min(limit, 7)], ROWS


def fewer_from_one(start: int, limit: int, _: int) -> tuple[Sequence[int], int | None]:
    first = max(start, 1) - 1
    return range(1, ROWS + 1)[first : first + min(limit, 7)], ROWS


def uncounted(start: int, limit: int, _: int) -> tuple[Sequence[int], int | None]:
    return in_order(start, limit, 0)[0], None


def ignoring_start(_: int, limit: int, __: int) -> tuple[Sequence[int], int | None]:
    return range(1, ROWS + 1)[:limit], ROWS


def too_many_counted(start: int, limit: int, _: int) -> tuple[Sequence[int], int | None]:
    return in_order(start, limit, 0)[0], ROWS + 10


def too_few_counted(start: int, limit: int, _: int) -> tuple[Sequence[int], int | None]:
    return in_order(start, limit, 0)[0], ROWS - 10


def shrinking(start: int, limit: int, number: int) -> tuple[Sequence[int], int | None]:
    """Three rows leave the beginning of the list after each page."""
    left = range(1 + 3 * number, ROWS + 1)
    return left[start : start + limit], len(left)


def shrinking_once(start: int, limit: int, number: int) -> tuple[Sequence[int], int | None]:
    left = range(1 + (3 if number > 1 else 0), ROWS + 1)
    return left[start : start + limit], len(left)


def growing(start: int, limit: int, number: int) -> tuple[Sequence[int], int | None]:
    """New rows come in front."""
    rows = [*range(1000 + number, 1000, -1), *range(1, ROWS + 1)]
    return rows[start : start + limit], len(rows)


def turning(start: int, limit: int, number: int) -> tuple[Sequence[int], int | None]:
    """As many leave as come, so that the count stays."""
    rows = range(1 + number, ROWS + 1 + number)
    return rows[start : start + limit], ROWS


def serving(rows_of: List) -> Script:
    calls = [0]

    def script(connection: Connection) -> None:
        while request := connection.request():
            if connection.server.go_on.is_set():
                connection.send(_whole())
                continue
            asked = parse_qs(urlsplit(request.split(b" ")[1].decode()).query)
            start, limit = int(asked.get("start_at_row", "0")[0]), int(asked["row_limit"][0])
            ids, total = rows_of(start, limit, calls[0])
            calls[0] += 1
            connection.answer(_page(ids, total))

    return script


def _page(ids: Sequence[int], total: int | None) -> bytes:
    answer: dict[str, object] = {
        "request_status": "Success",
        "invoices": [
            {
                "invoice_id": each,
                "affiliate_id": AFFILIATE,
                "invoice_status": "pending",
                "total_amount": "1.00",
            }
            for each in ids
        ],
    }
    if total is not None:
        answer["total_rows"] = total
    return json.dumps(answer).encode()


def _whole() -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(FIND.body), FIND.body)


async def read(card: Card, rows_of: List) -> tuple[list[int], CakeError | None, list[Event]]:
    """The ids that a list gives, and the error that it ends in."""
    server = card.serve(serving(rows_of))
    events: list[Event] = []
    got: list[int] = []
    error: CakeError | None = None
    async with card.client(server, on_event=events.append) as cake:
        rows = cake.invoices.find(affiliate_id=AFFILIATE, row_limit=PAGE)
        async with rows:
            try:
                async for row in rows:
                    got.append(row.invoice_id)  # noqa: PERF401 - what came before an error counts
            except CakeError as met:
                error = met
        server.script = obedient
        server.go_on.set()
        await card.works(cake)
    await card.all_is_given_back(cake, None)
    return got, error, events


@pytest.mark.case("J09")
@pytest.mark.parametrize(
    "rows_of",
    [in_order, from_one, fewer, fewer_from_one, uncounted],
    ids=lambda each: each.__name__,
)
async def test_a_list_that_another_server_counts_in_another_way(card: Card, rows_of: List) -> None:
    got, error, events = await read(card, rows_of)
    assert error is None
    assert got == list(range(1, ROWS + 1))
    anomalies = {event.what for event in events if isinstance(event, ListAnomaly)}
    if rows_of in {from_one, fewer_from_one}:
        assert "counts from 1" in anomalies
    if rows_of in {fewer, fewer_from_one}:
        assert "fewer rows than asked" in anomalies


@pytest.mark.case("J09")
@pytest.mark.parametrize(
    "rows_of",
    [
        ignoring_start,
        too_many_counted,
        too_few_counted,
        shrinking,
        growing,
        turning,
        shrinking_once,
    ],
    ids=lambda each: each.__name__,
)
async def test_a_list_that_does_not_hold_still_is_whole_or_an_error(
    card: Card, rows_of: List
) -> None:
    got, error, _ = await read(card, rows_of)
    assert len(got) == len(set(got))
    if error is None:
        # Whole: each row that was there all the time is there once.
        always = {
            in_order: range(1, ROWS + 1),
            growing: range(1, ROWS + 1),
            too_few_counted: range(1, ROWS + 1),
            too_many_counted: range(1, ROWS + 1),
            shrinking_once: range(4, ROWS + 1),
        }[rows_of]
        assert set(always) <= set(got)
        return
    assert isinstance(error, ConsistencyError)
    assert error.operation == FIND.operation
    if isinstance(error, ListChanged):
        assert error.rows_read == len(got)


MONTH_END: Final = 5764
LATENCY: Final = 0.3


@pytest.mark.case("J09")
@SIMULATED
@pytest.mark.parametrize("cap", [1000, 10_000])
@pytest.mark.parametrize("phase", [0.0, 0.25, 0.5, 0.75])
async def test_a_month_end_beside_somebody_who_changes_an_invoice_each_second(
    phase: float, cap: int
) -> None:
    began = anyio.current_time()
    asked: list[int] = []

    def pending() -> list[int]:
        """What is pending by now: each second an invoice is approved, anywhere in the list."""
        approved = math.floor(anyio.current_time() - began + phase)
        gone = {n * 997 % MONTH_END for n in range(approved)}
        return [1 + n for n in range(MONTH_END) if n not in gone]

    async def answer(request: httpx.Request) -> httpx.Response:
        query = request.url.params
        start, limit = int(query.get("start_at_row", 0)), int(query["row_limit"])
        asked.append(limit)
        await anyio.sleep(LATENCY / 2)
        rows = pending()
        page = rows[start : start + min(limit, cap)]
        await anyio.sleep(LATENCY / 2)
        return httpx.Response(200, content=_page(page, len(rows)))

    async with Client("x.example", "K" * 20, transport=Answering(answer)) as cake:
        rows = await cake.invoices.find(invoice_status="pending").collect()
    found = [row.invoice_id for row in rows]
    assert len(found) == len(set(found))
    assert set(pending()) <= set(found)
    assert asked[0] == 101
    assert anyio.current_time() - began < 20
