# ruff: noqa: ANN001 - the stage comes from a conftest, whose types cannot be imported
# ruff: noqa: SIM117 - the client outlives what is in it: that is another block
"""What is told of exports: an attempt ends where the list begins, the call with the last bill."""

import gc

import anyio
import httpx
import pytest

from aiocake import AuthenticationError, ClosedError, DecodeError
from aiocake.events import AttemptEnded, CallEnded, ReferencesDropped

pytestmark = pytest.mark.anyio

EXPORT = "affiliate_bills.export"
BEGAN = AttemptEnded(EXPORT, 1, 0.0, 200, None, sent=True)


async def test_one_that_is_read_to_its_end(stage) -> None:
    async with stage.client(stage.export(stage.bill(1), stage.bill(2))) as cake:
        bills = stage.june(cake)
        assert stage.reported == []
        assert (await anext(bills)).bill_id == 1
        assert stage.reported == [BEGAN]
        assert [bill.bill_id async for bill in bills] == [2]
        assert await anext(bills, None) is None
        await bills.aclose()
    assert stage.reported == [BEGAN, CallEnded(EXPORT, 1, 0.0, None, None)]


async def test_one_that_is_empty(stage) -> None:
    async with stage.client(stage.export()) as cake:
        assert await stage.june(cake).collect() == []
    assert stage.reported == [BEGAN, CallEnded(EXPORT, 1, 0.0, None, None)]


async def test_one_that_begins_at_the_third_attempt(stage) -> None:
    async with stage.client(500, stage.lost, stage.export(stage.bill(1))) as cake:
        await stage.june(cake).collect()
    assert [event.number for event in stage.reported if isinstance(event, AttemptEnded)] == [
        1,
        2,
        3,
    ]
    assert stage.ends == [CallEnded(EXPORT, 3, 0.0, None, None)]


async def test_one_that_is_refused(stage) -> None:
    no = b"<r><success>false</success><message>Invalid API key</message></r>"
    async with stage.client(no) as cake:
        with pytest.raises(AuthenticationError):
            await stage.june(cake).collect()
    assert stage.reported == [
        AttemptEnded(EXPORT, 1, 0.0, 200, "AuthenticationError", sent=True),
        CallEnded(EXPORT, 1, 0.0, None, "AuthenticationError"),
    ]


async def test_one_that_is_cut_short(stage) -> None:
    async with stage.client(stage.export(stage.bill(1), count=2)) as cake:
        with pytest.raises(DecodeError):
            await stage.june(cake).collect()
    assert stage.reported == [BEGAN, CallEnded(EXPORT, 1, 0.0, None, "DecodeError")]


async def test_one_that_is_left(stage) -> None:
    async with stage.client(stage.export(stage.bill(1), stage.bill(2))) as cake:
        async with stage.june(cake) as bills:
            async for _ in bills:
                break
    assert stage.reported == [BEGAN, CallEnded(EXPORT, 1, 0.0, None, None, cancelled=True)]


async def test_one_that_is_dropped(stage) -> None:
    async with stage.client(stage.export(stage.bill(1), stage.bill(2))) as cake:
        async for _ in stage.june(cake):
            break
        gc.collect()
        await anyio.wait_all_tasks_blocked()
        assert stage.reported == [BEGAN, CallEnded(EXPORT, 1, 0.0, None, None, cancelled=True)]


async def test_one_that_is_never_begun(stage) -> None:
    async with stage.client(stage.export()) as cake:
        await stage.june(cake).aclose()
    assert stage.reported == []


async def test_one_whose_reader_is_cancelled(stage) -> None:
    whole = stage.export(stage.bill(1), stage.bill(2))

    async def answer() -> httpx.Response:
        return httpx.Response(200, content=stage.dripping(whole[:-50]))

    async with stage.client(answer) as cake:
        async with anyio.create_task_group() as group:
            group.start_soon(stage.june(cake).collect)
            await anyio.wait_all_tasks_blocked()
            group.cancel_scope.cancel()
    assert stage.reported == [BEGAN, CallEnded(EXPORT, 1, 0.0, None, None, cancelled=True)]


async def test_one_that_is_cancelled_before_it_began(stage) -> None:
    held = stage.held(b"")
    async with stage.client(held) as cake:
        async with anyio.create_task_group() as group:
            group.start_soon(stage.june(cake).collect)
            await held.asked.wait()
            group.cancel_scope.cancel()
    assert stage.reported == [
        AttemptEnded(EXPORT, 1, 0.0, None, "Cancelled", sent=True),
        CallEnded(EXPORT, 1, 0.0, None, None, cancelled=True),
    ]


@pytest.mark.parametrize("whole", [True, False])
async def test_references_that_were_left_out(stage, whole) -> None:
    body = stage.export(stage.bill(1, "<notes>a&#xB;b&#11;</notes>"), stage.bill(2))
    async with stage.client(body) as cake:
        async with stage.june(cake) as bills:
            async for _ in bills:
                if not whole:
                    break
    assert stage.reported == [
        BEGAN,
        ReferencesDropped(EXPORT, 2),
        CallEnded(EXPORT, 1, 0.0, None, None, cancelled=not whole),
    ]


async def test_one_that_another_task_closes(stage) -> None:
    held = stage.held(stage.export())
    async with stage.client(held) as cake, anyio.create_task_group() as group:
        bills = stage.june(cake)

        async def read() -> None:
            with pytest.raises(ClosedError):
                await bills.collect()

        group.start_soon(read)
        await held.asked.wait()
        await bills.aclose()
    # The attempt ends before its call.
    assert stage.reported == [
        AttemptEnded(EXPORT, 1, 0.0, None, "Cancelled", sent=True),
        CallEnded(EXPORT, 1, 0.0, None, None, cancelled=True),
    ]
