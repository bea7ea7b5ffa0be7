"""Who waits for a turn, who is turned away, and what a list does with its turns."""

import anyio
import httpx
import pytest

from aiocake import NotSent, Throttle
from aiocake.events import CallEnded, Event
from aiocake.sandbox import Sandbox
from aiocake.sandbox.state import RecordedRequest

from ..support.clients import in_process
from ..support.peer import Held, Peer, Step, page

pytestmark = pytest.mark.anyio


async def test_who_may_not_wait_is_turned_away() -> None:
    held = Held(page(1))
    peer = Peer(held, page(1))
    async with peer.client(throttle=Throttle(concurrency=1, max_waiting=0)) as cake:
        async with anyio.create_task_group() as group:
            group.start_soon(cake.invoices.get, 1)
            await held.begun.wait()
            with pytest.raises(NotSent):
                await cake.invoices.get(1)
            held.go_on.set()
        await cake.invoices.get(1)
        async with anyio.create_task_group() as group:
            pass
    assert len(peer.requests) == 2


# On trio, chance decides who of those that are ready is the first.
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_the_next_page_is_asked_for_before_the_last_one_is_decoded(
    anyio_backend: str,
) -> None:
    del anyio_backend
    order: list[str] = []

    def answer(*ids: int) -> Step:
        def step(request: httpx.Request) -> httpx.Response:
            order.append("sent")
            response = page(*ids, total=6)(request)
            assert isinstance(response, httpx.Response)
            return response

        return step

    def on_event(event: Event) -> None:
        if isinstance(event, CallEnded):
            order.append("ended")

    second = Held(answer(3, 4, 5))
    peer = Peer(answer(1, 2, 3), second, answer(5, 6))
    async with (
        peer.client(throttle=Throttle(concurrency=1), on_event=on_event) as cake,
        anyio.create_task_group() as group,
    ):
        group.start_soon(cake.invoices.find(row_limit=2).collect)
        await second.begun.wait()
        assert cake.stats().waiting == 0  # a list does not queue behind itself
        second.go_on.set()
    assert order == ["sent", "ended", "sent", "sent", "ended", "ended"]


@pytest.mark.parametrize("change", [False, True], ids=["once", "read again"])
async def test_a_list_that_has_begun_is_not_turned_away_from_a_full_queue(
    change: bool,  # noqa: FBT001 - by pytest
) -> None:
    sandbox = Sandbox(invoices=60)

    def on_request(_: RecordedRequest) -> None:
        if change and len(sandbox.state.requests) == 4:
            del sandbox.state.invoices[max(sandbox.state.invoices)]

    sandbox.state.on_request.append(on_request)
    full = Throttle(concurrency=1, max_waiting=0, rate=1000, burst=1)
    async with in_process(sandbox, throttle=full) as cake:
        found = await cake.invoices.find(row_limit=5).collect()
    assert {row.invoice_id for row in found} >= set(sandbox.state.invoices)
    walks = [each for each in sandbox.state.requests if "start_at_row" not in each.arguments]
    assert (len(walks) > 1) is change
