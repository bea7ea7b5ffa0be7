# ruff: noqa: ANN001 - the lab comes from a conftest, whose types cannot be imported
"""A write is held back right before its first byte, once its run may be another process's."""

import ssl
from datetime import date

import httpx
import pytest
import trustme

from aiocake import Client, NotSent, OutcomeUnknown, RetryPolicy, Timeouts, bulk
from aiocake._transport.connection import HELD_BACK
from aiocake.bulk import Call

from ..support.scripted import Connection

pytestmark = pytest.mark.anyio

CA = trustme.CA()


class Lease:
    """Passes after so many looks, and keeps of what it was asked."""

    def __init__(self, looks: int = 0) -> None:
        self.looks = looks
        self.asked: list[float] = []

    def has_passed(self, seconds: float) -> bool:
        self.asked.append(seconds)
        return len(self.asked) > self.looks


def client(url: str, **settings: object) -> Client:
    given = {"retry": RetryPolicy(attempts=3), "timeouts": Timeouts(total=7.0)}
    return Client(url, "KEY", **(given | settings))  # type: ignore[arg-type] # they are what they are


def create(cake: Client) -> Call[object]:
    days = {"start_date": date(2030, 1, 1), "end_date": date(2030, 1, 31)}
    return bulk.call(cake.invoices.create, affiliate_id=7, **days)


@pytest.mark.parametrize("secure", [False, True])
async def test_nothing_of_it_leaves(lab, *, secure: bool) -> None:
    context, trusting = None, None
    if secure:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        CA.issue_cert("127.0.0.1").configure_cert(context)
        trusting = ssl.create_default_context()
        CA.configure_trust(trusting)
    server = lab.obedient(context)
    lease = Lease()
    async with client(server.url, ssl_context=trusting) as cake:
        with pytest.raises(NotSent, match=HELD_BACK):
            await create(cake).send(not_after=lease)
        assert lease.asked == [7.0]  # once, for as long as its answer may take: it is not retried
        assert cake.stats().in_flight == 0
        with pytest.raises(OutcomeUnknown):  # the answer is not one of CAKE's: it has left
            await create(cake).send(not_after=Lease(1))
    server.close()
    assert len(server.requests) == 1


async def test_a_further_attempt_is_held_back_and_the_write_may_be_done(lab) -> None:
    def script(connection: Connection) -> None:
        connection.request()  # and no answer

    server = lab.serve(script)
    lease = Lease(1)
    async with client(server.url) as cake:
        update = bulk.call(cake.invoices.update, 4821, memo="x")
        with pytest.raises(OutcomeUnknown) as met:
            await update.send(not_after=lease)
        assert isinstance(met.value.cause, NotSent)
    assert len(lease.asked) == 2
    server.close()
    assert len(server.requests) == 1


async def test_another_transport_is_not_called() -> None:
    async def never(_: httpx.Request) -> httpx.Response:
        raise AssertionError

    async with client("x.example", transport=httpx.MockTransport(never)) as cake:
        with pytest.raises(NotSent, match=HELD_BACK):
            await create(cake).send(not_after=Lease())
