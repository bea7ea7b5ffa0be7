"""A key that an async function gives: asked for once, and again when it was refused."""

from collections.abc import Awaitable, Callable
from datetime import date

import anyio
import httpx
import pytest

from aiocake import (
    AuthenticationError,
    CakeError,
    Client,
    ConfigurationError,
    NotSent,
    Outcome,
)

from ..support.clock import SIMULATED
from ..support.loops import anyio_backend  # noqa: F401 - runs on uvloop, too
from ..support.peer import Held, Peer, Step, done, lost, page, says

pytestmark = pytest.mark.anyio

REFUSED = says({"success": False, "message": "Invalid API key"})


class Vault:
    """Gives one key after the other, the last again and again."""

    def __init__(self, *keys: object) -> None:
        self._keys = list(keys)
        self.asked = 0

    async def __call__(self) -> str:
        self.asked += 1
        await anyio.lowlevel.checkpoint()
        key = self._keys.pop(0) if len(self._keys) > 1 else self._keys[0]
        if isinstance(key, Exception):
            raise key
        return key  # type: ignore[return-value] # mostly one


def keys_of(peer: Peer) -> list[str]:
    return [request.url.params["api_key"] for request in peer.requests]


async def test_it_is_asked_once() -> None:
    vault, peer = Vault("first"), Peer(page(1))
    async with peer.client(api_key=vault) as cake:
        assert vault.asked == 0
        async with anyio.create_task_group() as group:
            for _ in range(10):
                group.start_soon(cake.invoices.get, 1)
        await cake.with_options(attempts=1).invoices.get(1)
    assert vault.asked == 1
    assert set(keys_of(peer)) == {"first"}
    assert len(peer.requests) == 11


def create(cake: Client) -> Awaitable[object]:
    day = date(2024, 1, 1)
    return cake.invoices.create(affiliate_id=7, start_date=day, end_date=day)


CALLS: list[Callable[[Client], Awaitable[object]]] = [
    create,
    lambda cake: cake.invoices.update(1, memo="x"),
    lambda cake: cake.request("POST", "/api/2/x.json", repeatable=False),
]


@pytest.mark.parametrize("call", CALLS)
async def test_it_is_asked_again_after_a_refused_key(
    call: Callable[[Client], Awaitable[object]],
) -> None:
    vault, peer = Vault("old", "new"), Peer(REFUSED, done())
    async with peer.client(api_key=vault) as cake:
        assert await call(cake)
        await call(cake)
    assert keys_of(peer) == ["old", "new", "new"]
    assert vault.asked == 2


async def test_an_export_asks_again_too() -> None:
    xml = "<r><success>false</success><message>Invalid API key</message></r>"
    good = "<r><success>true</success><row_count>0</row_count><affiliate_bills/></r>"
    vault, peer = Vault("old", "new"), Peer(says(xml), says(good))
    async with peer.client(api_key=vault) as cake:
        day = date(2014, 6, 1)
        bills = cake.affiliate_bills.export(
            billing_period_start_date=day, billing_period_end_date=day
        )
        assert await bills.collect() == []
    assert keys_of(peer) == ["old", "new"]


async def test_it_is_asked_once_a_call() -> None:
    vault, peer = Vault("one", "two", "three"), Peer(REFUSED)
    async with peer.client(api_key=vault) as cake:
        with pytest.raises(AuthenticationError) as caught:
            await cake.invoices.update(1, memo="x")
        assert keys_of(peer) == ["one", "two"]
        with pytest.raises(AuthenticationError):
            await cake.invoices.update(1, memo="x")
    assert caught.value.outcome is Outcome.NOT_DONE
    assert keys_of(peer) == ["one", "two", "two", "three"]


async def test_the_same_key_is_not_tried_twice() -> None:
    vault, peer = Vault("same"), Peer(REFUSED)
    async with peer.client(api_key=vault) as cake:
        with pytest.raises(AuthenticationError):
            await cake.invoices.get(1)
    assert (vault.asked, keys_of(peer)) == (2, ["same"])


async def test_one_answer_is_good_for_all_who_were_refused() -> None:
    refused = [Held(REFUSED) for _ in range(5)]
    vault, peer = Vault("old", "new", "newer"), Peer(*refused, page(1))
    async with peer.client(api_key=vault) as cake, anyio.create_task_group() as group:
        for held in refused:
            group.start_soon(cake.invoices.get, 1)
            await held.begun.wait()
        for held in refused:
            held.go_on.set()
    assert vault.asked == 2
    assert keys_of(peer) == ["old"] * 5 + ["new"] * 5


async def test_a_text_is_not_asked_again() -> None:
    peer = Peer(REFUSED)
    async with peer.client() as cake:
        with pytest.raises(AuthenticationError):
            await cake.invoices.get(1)
    assert len(peer.requests) == 1


@pytest.mark.parametrize(
    ("given", "kind", "text"),
    [
        (OSError("the vault canary is shut"), NotSent, "OSError"),
        ("", ConfigurationError, "empty"),
        ("x" * 51, ConfigurationError, "at most 50"),
        ("can\nary", ConfigurationError, "printable"),
        (None, ConfigurationError, "must be a text"),
        (b"canary", ConfigurationError, "must be a text"),
    ],
)
async def test_a_function_that_gives_no_key(
    given: object, kind: type[CakeError], text: str
) -> None:
    vault, peer = Vault(given, "good"), Peer(done())
    async with peer.client(api_key=vault) as cake:
        with pytest.raises(kind, match=text) as caught:
            await create(cake)
        assert "canary" not in str(caught.value) + repr(vars(caught.value))
        assert (caught.value.__cause__, caught.value.__context__) == (None, None)
        assert caught.value.outcome is Outcome.NOT_DONE
        assert peer.requests == []
        # The next call asks anew.
        assert await create(cake)
    assert keys_of(peer) == ["good"]


async def test_a_function_that_fails_after_a_refused_key_leaves_the_refusal() -> None:
    vault, peer = Vault("old", OSError("shut"), "new"), Peer(REFUSED, REFUSED, page(1))
    async with peer.client(api_key=vault) as cake:
        with pytest.raises(AuthenticationError):
            await cake.invoices.get(1)
        await cake.invoices.get(1)
    assert keys_of(peer) == ["old", "old", "new"]


@SIMULATED
async def test_asking_counts_against_the_deadline() -> None:
    async def never() -> str:
        await anyio.sleep_forever()
        return "late"

    peer = Peer(page(1))
    async with peer.client(api_key=never) as cake:
        with pytest.raises(NotSent):
            await cake.with_options(total=20).invoices.get(1)
    assert peer.requests == []


@SIMULATED
@pytest.mark.parametrize("before", [[], [REFUSED]], ids=["first", "renewed"])
async def test_an_export_does_not_wait_for_ever_for_a_key(before: list[Step]) -> None:
    """Its deadline counts what it waits for, and no scope is around that."""

    async def vault() -> str:
        if peer.requests or not before:
            await anyio.sleep_forever()
        return "old"

    peer = Peer(*before, page(1))
    day = date(2014, 6, 1)
    async with peer.client(api_key=vault) as cake:
        bills = cake.with_options(total=20).affiliate_bills.export(
            billing_period_start_date=day, billing_period_end_date=day
        )
        with anyio.fail_after(30), pytest.raises(CakeError, match="gives the key took too long"):
            await bills.collect()
    assert len(peer.requests) == len(before)


async def test_a_new_key_does_not_make_a_lost_write_a_done_one() -> None:
    vault = Vault("old", "new")
    peer = Peer(lost, REFUSED, says({"success": False, "message": "not found"}, 404))
    async with peer.client(api_key=vault) as cake:
        with pytest.raises(CakeError) as caught:
            await cake.invoices.update(1, memo="x")
    assert caught.value.outcome is Outcome.UNKNOWN
    assert keys_of(peer) == ["old", "old", "new"]


async def test_both_keys_are_scrubbed() -> None:
    vault = Vault("canary-old", "canary-new")

    def repeat(_: httpx.Request) -> httpx.Response:
        text = {"success": False, "message": "Invalid API key, as canary-old, canary-new"}
        return httpx.Response(200, json=text)

    async with Peer(repeat).client(api_key=vault) as cake:
        with pytest.raises(AuthenticationError) as caught:
            await cake.invoices.get(1)
    assert "canary" not in str(caught.value)
    assert str(caught.value).count("<key>") == 2
