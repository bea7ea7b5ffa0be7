"""However a list is left, nothing of it is left running, and its end is never mistaken."""

import asyncio
import gc
from collections.abc import Callable
from typing import Any

import anyio
import pytest
import trio

from aiocake.errors import ClosedError, ServerError
from aiocake.paging import Pager, PageRequest

pytestmark = pytest.mark.anyio

MakeServer = Callable[..., Any]


class Slow:
    """A list whose first page comes at once and whose others never do."""

    def __init__(self, total: int = 10_000) -> None:
        self.total = total
        self.asked = 0
        self.active = 0
        self.busy = anyio.Event()
        self.idle = anyio.Event()

    async def fetch(self, ask: PageRequest):  # noqa: ANN201 - a page
        self.asked += 1
        if self.asked > 1:
            self.active += 1
            self.busy.set()
            try:
                await anyio.sleep_forever()
            finally:
                self.active -= 1
                if not self.active:
                    self.idle.set()
        items = tuple(range(ask.start_at_row + 1, ask.start_at_row + ask.row_limit + 1))
        return Page(items, self.total, ask.start_at_row)

    def pager(self) -> Pager[int]:
        return Pager(
            self.fetch,
            row_id=lambda row: row,
            matches=lambda _: None,
            row_limit=9,
            limit=4,
            operation="invoices.find",
            anomaly=lambda *_: None,
        )


class Page:
    def __init__(self, items: tuple[int, ...], total_rows: int, start_at_row: int) -> None:
        self.items = items
        self.total_rows = total_rows
        self.start_at_row = start_at_row


async def test_break_in_async_with() -> None:
    slow = Slow()
    async with slow.pager() as rows:
        async for _ in rows:
            await slow.busy.wait()
            assert slow.active == 4
            break
        assert slow.active == 4
    assert slow.active == 0


async def test_break_while_pages_wait_to_be_decoded() -> None:
    waiting = 0
    all_wait = anyio.Event()

    async def fetch(ask: PageRequest) -> Page:
        nonlocal waiting
        if ask.begun:
            waiting += 1
            if waiting == 8:
                all_wait.set()
            try:
                await ask.on_response()
                await anyio.sleep_forever()
            finally:
                waiting -= 1
        return Page(tuple(range(ask.start_at_row, ask.start_at_row + 10)), 10_000, 0)

    slow = Slow()
    slow.fetch = fetch  # type: ignore[method-assign]
    async with slow.pager() as rows:
        async for _ in rows:
            await all_wait.wait()
            break
    assert waiting == 0


async def test_an_error_in_the_body_comes_out_as_it_is() -> None:
    slow = Slow()
    mine = ValueError("mine")

    async def read() -> None:
        async with slow.pager() as rows:
            async for _ in rows:
                await slow.busy.wait()
                raise mine

    with pytest.raises(ValueError, match="mine") as caught:
        await read()
    assert caught.value is mine
    assert slow.active == 0


@pytest.mark.parametrize("kept", [0, 1])
async def test_break_in_a_bare_loop(kept: int) -> None:
    slow = Slow()
    pager = slow.pager()
    pagers = [pager] * kept
    async for _ in pager:
        del pager
        await slow.busy.wait()
        break
    # Dropped by counting references, not by a later sweep: nothing refers back to the reader.
    await slow.idle.wait()
    assert slow.active == 0
    assert len(pagers) == kept


async def test_a_reader_that_is_dropped_needs_no_sweep() -> None:
    slow = Slow()
    gc.disable()
    try:
        rows = aiter(slow.pager())
        await anext(rows)
        await slow.busy.wait()
        del rows
        await slow.idle.wait()
    finally:
        gc.enable()


async def test_a_reader_that_is_dropped_in_another_thread() -> None:
    slow = Slow()
    held = [aiter(slow.pager())]
    await anext(held[0])
    await slow.busy.wait()
    await anyio.to_thread.run_sync(held.clear)
    await slow.idle.wait()
    assert slow.active == 0


@pytest.mark.parametrize("how", ["async with", "async for"])
async def test_cancelled_by_a_scope_while_it_waits(how: str) -> None:
    slow = Slow()
    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as group:

            async def stop() -> None:
                await slow.busy.wait()
                scope.cancel()

            group.start_soon(stop)
            if how == "async with":
                async with slow.pager() as rows:
                    async for _ in rows:
                        pass
            else:
                async for _ in slow.pager():
                    pass
    assert scope.cancelled_caught
    if how == "async for":
        await slow.idle.wait()
    assert slow.active == 0


async def test_cancelled_by_a_scope_in_the_body() -> None:
    slow = Slow()
    with anyio.CancelScope() as scope:
        async with slow.pager() as rows:
            async for _ in rows:
                await slow.busy.wait()
                scope.cancel()
                await anyio.lowlevel.checkpoint()
    assert scope.cancelled_caught
    assert slow.active == 0


async def test_after_a_cancellation_it_is_closed_and_not_at_its_end() -> None:
    slow = Slow()
    rows = aiter(slow.pager())
    for _ in range(10):
        await anext(rows)
    with anyio.CancelScope() as scope:
        scope.cancel()
        await anext(rows)
    with pytest.raises(ClosedError):
        await anext(rows)
    await rows.aclose()
    assert slow.active == 0


async def test_closed_by_another_task_while_it_waits() -> None:
    slow = Slow()
    pager = slow.pager()

    async def close() -> None:
        await slow.busy.wait()
        await pager.aclose()

    async with anyio.create_task_group() as group:
        group.start_soon(close)
        with pytest.raises(ClosedError, match="while it was read") as caught:
            async for _ in pager:
                pass
    assert caught.value.operation == "invoices.find"
    assert slow.active == 0


async def test_closing_twice_and_after_the_end(make_server: MakeServer) -> None:
    pager = make_server(3).pager()
    rows = aiter(pager)
    assert await rows.collect() == [1, 2, 3]
    await rows.aclose()
    await rows.aclose()
    await pager.aclose()
    pages = pager.pages()
    await pages.aclose()
    with pytest.raises(ClosedError):
        await anext(pages)


async def test_rows_that_were_read_already_are_not_given_after_closing(
    make_server: MakeServer,
) -> None:
    async with make_server(30).pager() as rows:
        await anext(rows)
        await rows.aclose()
        with pytest.raises(ClosedError):
            await anext(rows)


async def test_pages_are_closed_by_their_own_async_with() -> None:
    slow = Slow()
    async with slow.pager().pages() as pages:
        async for _ in pages:
            await slow.busy.wait()
            break
    assert slow.active == 0


async def test_collect_leaves_nothing_running_when_it_fails() -> None:
    slow = Slow(total=40)  # so that no page has to wait for another

    async def fetch(ask: PageRequest):  # noqa: ANN202 - a page
        if ask.start_at_row == 9:
            await slow.busy.wait()
            raise ServerError("down", status=503)
        return await slow.fetch(ask)

    pager = Pager(
        fetch,
        row_id=lambda row: row,
        matches=lambda _: None,
        row_limit=9,
        limit=4,
        operation="invoices.find",
        anomaly=lambda *_: None,
    )
    with pytest.raises(ServerError):
        await pager.collect()
    assert slow.active == 0


def test_native_cancellation() -> None:
    slow = Slow()

    async def reader() -> None:
        async with slow.pager() as rows:
            async for _ in rows:
                pass

    async def main() -> None:
        task = asyncio.create_task(reader())
        await slow.busy.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert slow.active == 0
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(main())


def test_native_cancellation_of_a_bare_loop() -> None:
    slow = Slow()

    async def reader() -> None:
        async for _ in slow.pager():
            pass

    async def main() -> None:
        task = asyncio.create_task(reader())
        await slow.busy.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await slow.idle.wait()
        assert slow.active == 0

    asyncio.run(main())


def test_asyncio_timeout() -> None:
    slow = Slow()

    async def read() -> None:
        async with asyncio.timeout(None) as timeout, slow.pager() as rows:
            async for row in rows:
                if row == 10:
                    await slow.busy.wait()
                    timeout.reschedule(0)

    async def main() -> None:
        with pytest.raises(TimeoutError):
            await read()
        assert slow.active == 0
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(main())


def test_no_task_of_trio_is_left() -> None:
    slow = Slow()

    async def main() -> None:
        before = trio.lowlevel.current_statistics().tasks_living
        async with slow.pager() as rows:
            async for _ in rows:
                await slow.busy.wait()
                break
        await trio.testing.wait_all_tasks_blocked()
        assert trio.lowlevel.current_statistics().tasks_living == before

    trio.run(main)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_reader_that_outlives_its_loop_can_be_dropped(backend: str) -> None:
    held = []

    async def main() -> None:
        slow = Slow()
        rows = aiter(slow.pager())
        await anext(rows)
        await slow.busy.wait()
        held.append(rows)

    anyio.run(main, backend=backend)
    held.clear()
    gc.collect()


async def test_a_page_that_is_not_here_is_not_waited_for(make_server: MakeServer) -> None:
    slow = Slow()
    async with slow.pager().pages() as pages:
        await anext(pages)
        await slow.busy.wait()
        assert await pages.next_ready() is None
        assert not pages.over
    pages = make_server(3).pager().pages()
    assert await pages.next_ready() is None  # nothing is sent for it
    assert len((await anext(pages)).items) == 3
    assert pages.over
    assert await pages.next_ready() is None
    assert await anext(pages, None) is None
    pages = make_server(3).pager().pages()
    await anext(pages)
    await pages.aclose()
    assert not pages.over


@pytest.mark.parametrize("step", ["__anext__", "next_ready"])
async def test_closed_by_another_task_while_its_page_is_here(
    step: str, make_server: MakeServer
) -> None:
    async with make_server(50).pager(row_limit=9).pages() as pages:
        await anext(pages)
        await anyio.wait_all_tasks_blocked()

        async def read() -> None:
            with pytest.raises(ClosedError):
                await getattr(pages, step)()

        async with anyio.create_task_group() as group:
            group.start_soon(read)
            await anyio.lowlevel.checkpoint()
            await pages.aclose()


async def test_closed_by_two_tasks_at_once() -> None:
    slow = Slow()
    pages = slow.pager().pages()
    await anext(pages)
    await slow.busy.wait()
    async with anyio.create_task_group() as group:
        group.start_soon(pages.aclose)
        group.start_soon(pages.aclose)
    assert not slow.active
