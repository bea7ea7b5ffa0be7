"""A caller that is being cancelled when it makes a call sends nothing."""

import asyncio

import anyio
import pytest

from aiocake import Intent, Outcome

from ..support.peer import Peer, done

pytestmark = pytest.mark.anyio


class Book:
    """A ledger that awaits nothing."""

    def __init__(self) -> None:
        self.reported: list[tuple[str, Outcome | None]] = []

    async def before(self, intent: Intent) -> None:
        self.reported.append((intent.operation, None))

    async def after(self, intent: Intent, outcome: Outcome) -> None:
        self.reported.append((intent.operation, outcome))


async def test_a_write_in_a_cancelled_scope_is_not_sent() -> None:
    peer, book = Peer(done()), Book()
    async with peer.client(ledger=book) as cake:
        with anyio.CancelScope() as scope:
            scope.cancel()
            await cake.invoices.update(1, memo="a note")
        assert scope.cancelled_caught
    assert peer.requests == []
    assert book.reported == [("invoices.update", None), ("invoices.update", Outcome.NOT_DONE)]


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_write_of_a_task_that_is_about_to_be_cancelled_is_not_sent() -> None:
    peer, book = Peer(done()), Book()
    async with peer.client(ledger=book) as cake:

        async def write() -> None:
            task = asyncio.current_task()
            assert task is not None
            task.cancel()
            await cake.invoices.update(1, memo="a note")

        with pytest.raises(asyncio.CancelledError):
            await asyncio.create_task(write())
    assert peer.requests == []
    assert book.reported == [("invoices.update", None), ("invoices.update", Outcome.NOT_DONE)]
