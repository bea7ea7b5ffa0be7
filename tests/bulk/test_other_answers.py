# ruff: noqa: ANN001 - the fixtures come from a conftest, whose types cannot be imported
"""A response that is of another create, and an invoice that is voided before it is looked for."""

from datetime import date
from pathlib import Path

import pytest
from starlette.responses import JSONResponse, Response

from aiocake import bulk, to_dict
from aiocake.bulk import Unknown

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_a_response_to_another_create_is_not_taken_for_ours(ledgers, january) -> None:
    """A proxy gives the second create the response to the first, and does not pass it on."""
    books = ledgers()
    (number,) = books.affiliates(1)
    kept: list[bytes] = []

    def keep(request, response: Response) -> None:
        if request.operation == "invoice":
            kept.append(bytes(response.body))

    def replay(request) -> Response | None:
        if request.operation == "invoice" and len(kept) == 1:
            return Response(kept.append(b"") or kept[0], 200)
        return None

    books.state.on_response.append(keep)
    books.state.on_request.append(replay)
    async with books.client() as cake:
        february = bulk.call(
            cake.invoices.create,
            affiliate_id=number,
            start_date=date(2030, 2, 1),
            end_date=date(2030, 2, 28),
        )
        ended: list[object] = []
        plan = [january(cake, number), february]
        summary = await bulk.each(plan, journal=None, settle=0, limit=1, on_outcome=ended.append)
    assert [type(each).__name__ for each in ended] == ["Done", "Unknown", "Done"]
    assert summary.complete
    assert [each[1] for each in books.periods()] == ["2030-01-01", "2030-02-01"]


async def test_a_response_to_somebody_elses_create_is_seen_in_the_end(
    ledgers, january, tmp_path: Path
) -> None:
    """The invoice that it names is of another period; resumed, the run makes its own."""
    books = ledgers()
    (number,) = books.affiliates(1)
    february = {"affiliate_id": number, "start_date": date(2030, 2, 1)}
    async with books.client() as cake, books.client() as somebody:

        async def answer(request) -> Response | None:
            if request.operation != "invoice":
                return None
            books.state.on_request.remove(answer)
            theirs = await somebody.invoices.create(**february, end_date=date(2030, 2, 28))
            kept = {**to_dict(theirs), "total_amount": str(theirs.total_amount)}
            return JSONResponse({"request_status": "Success", "invoice": kept})

        books.state.on_request.append(answer)
        journal = tmp_path / "run.db"
        summary = await bulk.each([january(cake, number)], journal=journal, settle=0)
        assert (summary.done, summary.unknown, summary.complete) == (0, 1, False)
        summary = await bulk.resume(journal, cake, settle=0)
    assert summary.complete
    assert [each[1] for each in books.periods()] == ["2030-01-01", "2030-02-01"]


async def test_a_create_whose_invoice_was_voided_is_not_sent_again(ledgers, january) -> None:
    """Somebody voids an invoice of which the run has not heard yet: they do not want it."""
    books = ledgers()
    (number,) = books.affiliates(1)

    async with books.client() as cake:
        await january(cake, number).send()
        (old,) = books.state.invoices.values()
        old.invoice_status = "void"  # this one was there before

        def void(*_: object) -> None:
            for each in books.state.invoices.values():
                each.invoice_status = "void"

        books.state.on_response.insert(0, void)
        books.lose(lambda request: request.operation == "invoice", done=True)
        summary = await bulk.each([january(cake, number)], journal=None, settle=0)
    (problem,) = summary.problems
    assert isinstance(problem, Unknown)
    assert problem.candidates == (max(books.state.invoices),)
    assert len(books.writes) == 2
