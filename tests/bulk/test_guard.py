# ruff: noqa: ANN001 - the fixtures come from a conftest, whose types cannot be imported
"""No create for whose partner and time there is an invoice, or may be one."""

import json
from datetime import date, timedelta

import anyio
import attrs
import pytest
from starlette.responses import JSONResponse, Response

from aiocake import Client, ConsistencyError, ListChanged, NotSent, Period, Throttle, bulk
from aiocake.bulk import Call, Failed, Skipped
from aiocake.sandbox import Dialect, Sandbox

pytestmark = pytest.mark.anyio


FEBRUARY = date(2030, 2, 1), date(2030, 2, 28)


def create(cake: Client, affiliate: int, start: date, end: date, memo: str = "x") -> Call[object]:
    return bulk.call(
        cake.invoices.create, affiliate_id=affiliate, start_date=start, end_date=end, memo=memo
    )


@pytest.mark.parametrize(
    ("start", "end", "sent"),
    [
        ((2030, 1, 1), (2030, 1, 31), False),
        ((2030, 1, 31), (2030, 2, 28), False),
        ((2029, 12, 1), (2030, 1, 1), False),
        ((2030, 1, 10), (2030, 1, 10), False),
        ((2029, 1, 1), (2031, 1, 1), False),
        ((2030, 2, 1), (2030, 2, 28), True),
        ((2029, 12, 1), (2029, 12, 31), True),
    ],
)
async def test_an_overlapping_period_keeps_a_create_back(
    ledgers, january, start: tuple[int, int, int], end: tuple[int, int, int], *, sent: bool
) -> None:
    books = ledgers()
    (affiliate,) = books.affiliates(1)
    async with books.client() as cake:
        there = await january(cake, affiliate).send()
        call = create(cake, affiliate, date(*start), date(*end))
        summary = await bulk.each([call], journal=None)
    assert summary.done == sent
    if not sent:
        assert summary.problems == (Skipped(0, call, (there.invoice_id,)),)


async def test_a_void_invoice_and_another_partners_keep_nothing_back(ledgers, january) -> None:
    books = ledgers()
    one, other = books.affiliates(2)
    async with books.client() as cake:
        there = await january(cake, one).send()
        await cake.invoices.update(there.invoice_id, invoice_status="void")
        assert (await bulk.each([january(cake, one)], journal=None)).done == 1
        assert (await bulk.each([january(cake, other)], journal=None)).done == 1


def nobody(_: object, response: Response) -> Response:
    """Rows that do not say whose they are."""
    answer = json.loads(bytes(response.body))
    for row in answer.get("invoices", ()):
        row.pop("affiliate_id", None)
    return JSONResponse(answer)


async def test_an_invoice_that_names_nobody_is_of_the_partner_asked_for(ledgers, january) -> None:
    books = ledgers()
    one, other = books.affiliates(2)
    async with books.client() as cake:
        await january(cake, one).send()
        books.state.on_response.append(nobody)
        calls = [january(cake, one), january(cake, other)]
        summary = await bulk.each(calls, journal=None)
    assert (summary.done, summary.skipped) == (1, 1)
    assert len(books.periods()) == 2


async def test_a_look_up_is_not_turned_away_from_a_full_queue(ledgers, january) -> None:
    books = ledgers()
    full = Throttle(concurrency=2, rate=1000, burst=1, max_waiting=0)
    async with books.client(throttle=full) as cake:
        calls = [january(cake, affiliate) for affiliate in books.affiliates(5)]
        assert (await bulk.each(calls, journal=None)).done == 5


async def test_creates_of_one_run_keep_each_other_back(ledgers, january) -> None:
    books = ledgers()
    (affiliate,) = books.affiliates(1)
    async with books.client() as cake:
        calls = [
            january(cake, affiliate),
            create(cake, affiliate, date(2030, 1, 15), date(2030, 2, 14)),
            create(cake, affiliate, date(2030, 2, 1), date(2030, 2, 28)),
            create(cake, affiliate, date(2030, 2, 1), date(2030, 2, 28), memo="y"),
        ]
        summary = await bulk.each(calls, journal=None)
        assert (summary.done, summary.skipped) == (2, 2)
        assert [each.index for each in summary.problems] == [1, 3]
        assert len(books.periods()) == 2
        # A list of the partner was asked for once; what the run itself made is known. In the end
        # it is asked for once more.
        reads = [each for each in books.state.requests if each.operation == "invoices"]
        asked = [each.arguments.get("affiliate_id") for each in reads]
        assert asked == [None, str(affiliate), str(affiliate)]
        assert not any({"start_date", "end_date"} & set(each.arguments) for each in reads)


async def test_many_partners_are_looked_up_at_once_and_few_by_themselves(ledgers, january) -> None:
    books = ledgers(Sandbox(invoices=301))
    everybody = list(books.state.affiliates)
    assert len(everybody) > 4
    async with books.client() as cake:
        summary = await bulk.each([january(cake, n) for n in everybody], journal=None)
        assert summary.done == len(everybody)
        reads = [each for each in books.state.requests if each.operation == "invoices"]
        # How many there are, all of them, and in the end all of them again. A page of so many rows
        # might be cut off: another one from its last row decides.
        assert [each.arguments.get("affiliate_id") for each in reads] == [None] * 5
        books.state.requests.clear()
        summary = await bulk.each((january(cake, n) for n in everybody), journal=None)
        assert summary.skipped == len(everybody)
        reads = [each for each in books.state.requests if each.operation == "invoices"]
        assert {each.arguments.get("affiliate_id") for each in reads} == set(map(str, everybody))


def counting_the_page(_: object, response: Response) -> Response:
    """A list whose ``total_rows`` counts the rows of the page."""
    answer = json.loads(bytes(response.body))
    if "invoices" in answer:
        answer["total_rows"] = len(answer["invoices"])
    return JSONResponse(answer)


@pytest.mark.parametrize("others", [0, 2])
async def test_an_invoice_behind_a_page_that_is_cut_off_is_found(
    ledgers, january, others: int
) -> None:
    books = ledgers(Sandbox(invoices=0, dialect=Dialect(row_cap=999)))
    books.state.on_response.append(counting_the_page)
    affiliate, *rest = books.affiliates(1 + others)
    days = [date(2020, 1, 1) + timedelta(days=n) for n in range(1200)]
    async with books.client() as cake:
        there = await january(cake, affiliate).send()
        record = books.state.invoices.pop(there.invoice_id)
        for number, day in enumerate(days, 1):
            books.state.invoices[number] = attrs.evolve(
                record, invoice_id=number, start_date=day, end_date=day
            )
        # Behind all of them.
        record.invoice_id = len(days) + 1
        books.state.invoices[record.invoice_id] = record
        call = january(cake, affiliate)
        summary = await bulk.each([call, *(january(cake, n) for n in rest)], journal=None)
        rows = await cake.invoices.find(affiliate_id=affiliate, row_limit=1000).collect()
        month = Period.month(2030, 1)
        found = await cake.invoices.find(
            affiliate_id=affiliate, period=month, match="ends_in"
        ).collect()
    assert summary.done == others
    assert summary.problems == (Skipped(0, call, (record.invoice_id,)),)
    assert len(rows) == 1201
    assert [row.invoice_id for row in found] == [record.invoice_id]


async def test_overlapping_creates_go_one_after_the_other_and_others_side_by_side(
    ledgers, january
) -> None:
    books = ledgers()
    one, other = books.affiliates(2)
    both, most = anyio.Event(), {one: 0, other: 0}
    now = {one: 0, other: 0}

    async def coming(request) -> None:
        if request.operation == "invoice":
            number = int(request.arguments["affiliate_id"])
            now[number] += 1
            most[number] = max(most[number], now[number])
            if all(now.values()):
                both.set()
            await both.wait()

    async def going(request, _: object) -> None:
        if request.operation == "invoice":
            now[int(request.arguments["affiliate_id"])] -= 1

    books.state.on_request.append(coming)
    books.state.on_response.append(going)
    async with books.client() as cake:
        calls = [january(cake, one), january(cake, one), january(cake, other)]
        summary = await bulk.each(calls, journal=None, on_existing="create", allow_repeats=True)
    assert summary.done == 3
    assert most == {one: 1, other: 1}


@pytest.mark.parametrize("name", ["no-affiliate-filter", "newer-pages", "first-row-1-cap-7"])
async def test_the_guard_works_with_each_kind_of_list(ledgers, january, name: str) -> None:
    dialect = Dialect.all()[name]
    books = ledgers(Sandbox(invoices=60, dialect=dialect))
    numbers = books.affiliates(3)
    async with books.client() as cake:
        if dialect.invoice_fields == "payout":
            books.state.invoices.clear()
        assert (await bulk.each((january(cake, n) for n in numbers), journal=None)).done == 3
        summary = await bulk.each((january(cake, n) for n in numbers), journal=None)
    assert summary.done == 0
    assert len(books.periods()) == 3
    if dialect.invoice_fields == "payout":  # it shows no periods, so it cannot be told
        for each in summary.problems:
            assert isinstance(each, Failed)
            assert isinstance(each.error, ConsistencyError)
            assert "on_existing='create'" in str(each.error)
    else:
        assert summary.skipped == 3


async def test_an_invoice_that_names_both_partners_keeps_a_create_back(ledgers, january) -> None:
    """A row of what an affiliate is owed may say for which advertiser's campaign."""
    books = ledgers()
    (affiliate,) = books.affiliates(1)

    def both(_: object, response: Response) -> Response:
        answer = json.loads(bytes(response.body))
        for row in answer.get("invoices", ()):
            row["advertiser_id"] = 9
        return JSONResponse(answer)

    books.state.on_response.append(both)
    async with books.client() as cake:
        await january(cake, affiliate).send()
        assert (await bulk.each([january(cake, affiliate)], journal=None)).skipped == 1
    assert len(books.periods()) == 1


async def test_a_list_that_cannot_be_read_sends_nothing(ledgers, january) -> None:
    books = ledgers()
    (affiliate,) = books.affiliates(1)
    books.lose(lambda request: request.operation == "invoices", done=False)
    books.lose(lambda request: request.operation == "invoices", done=False)
    async with books.client() as cake:
        summary = await bulk.each([january(cake, affiliate)], journal=None)
    assert (summary.failed, summary.done) == (1, 0)
    assert books.writes == []


async def test_nothing_overlapping_is_sent_while_the_fate_of_a_create_is_unknown(
    ledgers, january
) -> None:
    books = ledgers()
    one, other = books.affiliates(2)
    books.lose(lambda request: request.operation == "invoice", done=True)
    async with books.client() as cake:
        calls = [
            january(cake, one),
            create(cake, one, date(2030, 1, 31), date(2030, 2, 10)),
            create(cake, one, date(2030, 3, 1), date(2030, 3, 31)),
            january(cake, other),
        ]
        summary = await bulk.each(calls, journal=None, limit=1, settle=0, on_existing="create")
    # The lost one is found in the end; what was kept back meanwhile is not sent by itself.
    assert (summary.done, summary.failed, summary.unknown) == (3, 1, 0)
    (problem,) = summary.problems
    assert problem.index == 1
    assert isinstance(problem.error, NotSent)
    assert "outcome of an earlier create" in str(problem.error)
    assert len(books.periods()) == 3


async def test_a_list_that_does_not_hold_still_sends_nothing(ledgers, january) -> None:
    books = ledgers(Sandbox(invoices=3000, dialect=Dialect(row_cap=7)))
    (affiliate,) = books.affiliates(1)
    theirs = [n for n, each in books.state.invoices.items() if each.affiliate_id == affiliate]

    def shrink(request, _: object) -> None:
        if request.operation == "invoices" and theirs:
            del books.state.invoices[theirs.pop()]

    books.state.on_response.append(shrink)
    async with books.client() as cake:
        summary = await bulk.each(iter([january(cake, affiliate)]), journal=None)
    assert summary.failed == 1
    assert isinstance(summary.problems[0].error, ListChanged)
    assert books.writes == []


async def test_partners_of_long_ago_are_forgotten_and_looked_up_again(
    ledgers, january, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aiocake.bulk.duplicates._MOST_OWNERS", 1)
    books = ledgers()
    one, other = books.affiliates(2)
    async with books.client() as cake:
        calls = [january(cake, one), january(cake, other), create(cake, one, *FEBRUARY)]
        summary = await bulk.each(iter(calls), journal=None, limit=1)
    assert summary.done == 3
    reads = [each for each in books.state.requests if each.operation == "invoices"]
    asked = [each.arguments["affiliate_id"] for each in reads]
    assert asked[:3] == [str(one), str(other), str(one)]
    assert sorted(asked[3:]) == sorted([str(one), str(other)])  # in the end
