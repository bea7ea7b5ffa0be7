"""A client for each tenant: opened when needed, closed when idle, and nothing shared but TLS."""

import gc
import logging
import math
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any

import anyio
import anyio.abc
import anyio.to_thread
import httpx
import pytest

import aiocake
from aiocake import (
    ClientPool,
    ClientView,
    ClosedError,
    ConfigurationError,
    NotSent,
    OutcomeUnknown,
    RateLimited,
    RetryPolicy,
    Tenant,
    Throttle,
    WrongLoopError,
)
from aiocake._background import BackgroundTask
from aiocake._transport import tls

from ..support.clock import SIMULATED
from ..support.peer import Held, Peer, Step, done, lost, page, says
from ..support.quota_memory import MemoryQuota

pytestmark = pytest.mark.anyio

ALLOWED = ["*.cake.com", "single.example", "http://127.0.0.1:8080"]


class World:
    """A pool whose tenants have a peer each, and a vault that keeps their keys."""

    def __init__(self, *steps: Step, **settings: Any) -> None:  # noqa: ANN401 - the pool's
        self.steps = steps or (page(1),)
        self.peers: dict[Tenant, list[Peer]] = {}
        self.asked: list[Tenant] = []
        self.keys: dict[str, str] = {}
        given = {"allowed_domains": ALLOWED, "settings_for": self.settings_for}
        self.pool = ClientPool(self.key_of, **(given | settings))

    async def key_of(self, tenant: Tenant) -> str:
        self.asked.append(tenant)
        await anyio.lowlevel.checkpoint()
        return self.keys.get(tenant.name, f"key-of-{tenant.name}")

    def settings_for(self, tenant: Tenant) -> aiocake.client.ClientSettings:
        peer = Peer(*self.steps)
        self.peers.setdefault(tenant, []).append(peer)
        return {"transport": peer, "retry": RetryPolicy(base=1e-6)}

    def opened(self, name: str) -> int:
        return sum(len(peers) for tenant, peers in self.peers.items() if tenant.name == name)

    async def use(self, domain: str, tenant: str | None = None) -> None:
        async with self.pool.client(domain, tenant=tenant) as cake:
            await cake.invoices.get(1)

    def open(self) -> list[str]:
        return [tenant.name for tenant in self.pool.stats().clients]


async def test_each_tenant_has_one_client_however_it_is_spelled() -> None:
    world = World()
    async with world.pool:
        spellings = ("acme.cake.com", "ACME.Cake.com", "acme.cake.com.", "https://acme.cake.com/")
        async with anyio.create_task_group() as group:
            for each in (*spellings, "acme.cake.com:443", "https://acme.cake.com:443"):
                group.start_soon(world.use, each)
        await world.use("other.cake.com")
        acme, other = Tenant("acme.cake.com", "acme.cake.com"), Tenant(*["other.cake.com"] * 2)
        assert world.asked == [acme, other]
        assert {tenant: len(peers) for tenant, peers in world.peers.items()} == {acme: 1, other: 1}
        keys = {each.url.params["api_key"] for each in world.peers[acme][0].requests}
        assert keys == {"key-of-acme.cake.com"}


async def test_tenants_of_one_instance_share_no_key() -> None:
    world = World()
    async with world.pool:
        await world.use("acme.cake.com", "one")
        await world.use("acme.cake.com", "two")
        used = {
            tenant.name: [each.url.params["api_key"] for each in peers[0].requests]
            for tenant, peers in world.peers.items()
        }
    assert used == {"one": ["key-of-one"], "two": ["key-of-two"]}


async def test_tenants_share_no_cookie_no_throttle_and_no_pause() -> None:
    late = says("later", 429, **{"Retry-After": "600", "Set-Cookie": "s=1; Domain=cake.com"})
    world = World(late, page(1), throttle=Throttle(concurrency=1))
    async with world.pool as pool:
        with pytest.raises(RateLimited):
            await world.use("acme.cake.com")
        world.steps = (Held(page(1)),)
        async with pool.client("slow.cake.com") as slow, anyio.create_task_group() as group:
            group.start_soon(slow.invoices.get, 1)
            await world.steps[0].begun.wait()  # type: ignore[attr-defined] # it is held
            held, world.steps = world.steps[0], (page(1),)
            await world.use("other.cake.com")
            paused = {
                tenant.name: found.paused_until for tenant, found in pool.stats().clients.items()
            }
            held.go_on.set()  # type: ignore[attr-defined] # the same
    assert paused.pop("acme.cake.com") is not None
    assert set(paused.values()) == {None}
    sent = world.peers[Tenant(*["other.cake.com"] * 2)][0].requests
    assert [each.headers.get("Cookie") for each in sent] == [None]


async def test_tls_is_one_context_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    real = tls.context_of
    monkeypatch.setattr(tls, "context_of", lambda file: made.append(file) or real(file))
    tls._certifis.cache_clear()

    async def hang_up(stream: anyio.abc.ByteStream) -> None:
        await stream.receive()  # a handshake has begun
        await stream.aclose()

    async with (
        await anyio.create_tcp_listener(local_host="127.0.0.1") as listener,
        anyio.create_task_group() as group,
    ):
        group.start_soon(listener.serve, hang_up)
        domain = f"127.0.0.1:{listener.extra(anyio.abc.SocketAttribute.local_port)}"  # noqa: S610 - anyio's
        world = World(settings_for=None, allowed_domains=[domain], retry=RetryPolicy(attempts=1))
        async with world.pool:
            for tenant in ("a", "b", "c"):
                with pytest.raises(NotSent):
                    await world.use(domain, tenant)
        group.cancel_scope.cancel()
    assert len(made) == 1


@pytest.mark.parametrize(
    "domain",
    [
        "cake.com",
        "evilcake.com",
        "acme.cake.com.evil.example",
        "sub.single.example",
        "acme.cake.com:8443",
        "single.example:444",
        "127.0.0.1:8080",
        "http://127.0.0.1:8081",
        "acme.cake.com@evil.example",
        "acme.cake.com/../evil",
        "http://acme.cake.com",
        "\u0430cme.cake.com",
        "",
    ],
)
async def test_what_is_not_allowed_opens_nothing(domain: str) -> None:
    world = World()
    async with world.pool as pool:
        for use in (world.use, pool.forget):
            with pytest.raises(ConfigurationError, match=r"^domain: "):
                await use(domain)
        assert pool.stats().open == 0
    assert world.peers == {}


async def test_what_is_not_allowed_is_told_unless_it_may_be_a_key() -> None:
    world = World()
    for domain, shown in (("Evil.example", "evil.example"), ("0123456789abcdef", "its host")):
        with pytest.raises(ConfigurationError) as caught:
            await world.use(domain)
        assert str(caught.value) == (
            f"domain: not among allowed_domains, so nothing was opened: add {shown} there "
            "if it is a tenant's"
        )


async def test_what_is_allowed_is_opened() -> None:
    world = World()
    async with world.pool:
        for domain in ("a.cake.com", "a.b.cake.com", "single.example", "http://127.0.0.1:8080"):
            await world.use(domain)
        assert len(world.open()) == 4


async def test_a_new_key_is_asked_for_when_the_old_one_is_refused() -> None:
    world = World(page(1), says({"success": False, "message": "Invalid API key"}), page(1))
    async with world.pool:
        await world.use("acme.cake.com")
        world.keys["acme.cake.com"] = "new"
        await world.use("acme.cake.com")
        (peer,) = world.peers[world.asked[0]]
    keys = [each.url.params["api_key"] for each in peer.requests]
    assert keys == ["key-of-acme.cake.com", "key-of-acme.cake.com", "new"]
    assert len(world.asked) == 2


async def test_a_tenant_is_forgotten_and_who_uses_it_keeps_it() -> None:
    world = World()
    async with world.pool as pool:
        await world.use("acme.cake.com")
        async with pool.client("acme.cake.com") as old:
            await pool.forget("ACME.cake.com")
            world.keys["acme.cake.com"] = "new"
            await world.use("acme.cake.com")
            await old.invoices.get(1)
            assert (pool.stats().open, pool.stats().in_use) == (2, 1)
        assert pool.stats().open == 1
        with pytest.raises(ClosedError):
            await old.invoices.get(1)
        await pool.forget("acme.cake.com")
        await pool.forget("nobody.cake.com")
        assert pool.stats().open == 0
    keys = [
        [each.url.params["api_key"] for each in peer.requests]
        for peer in world.peers[world.asked[0]]
    ]
    assert keys == [["key-of-acme.cake.com"] * 2, ["new"]]


async def test_a_key_function_that_raises_is_asked_again() -> None:
    world = World()

    async def broken(tenant: Tenant) -> str:
        if len(world.asked) == 0:
            world.asked.append(tenant)
            raise LookupError("vault token s3cr3t")
        return "key"

    world.pool._api_key = broken
    async with world.pool as pool:
        with pytest.raises(NotSent, match="raised LookupError") as caught:
            await world.use("acme.cake.com")
        assert "s3cr3t" not in str(caught.value)
        await world.use("acme.cake.com")
        assert pool.stats().open == 1


async def test_a_user_who_is_cancelled_while_the_key_is_asked_for_leaves_nothing() -> None:
    world, asked = World(), anyio.Event()

    async def slow(_: Tenant) -> str:
        asked.set()
        await anyio.sleep_forever()
        return ""

    world.pool._api_key = slow
    async with world.pool as pool:
        async with anyio.create_task_group() as group:
            group.start_soon(world.use, "acme.cake.com")
            await asked.wait()
            group.cancel_scope.cancel()
        assert (pool.stats().open, pool.stats().in_use) == (1, 0)
        await pool.forget("acme.cake.com")
        world.pool._api_key = world.key_of
        await world.use("acme.cake.com")


@SIMULATED
async def test_a_client_is_closed_when_idle_and_never_in_use(tasks: Callable[[], int]) -> None:
    before = tasks()
    world = World(idle_timeout=100.0)
    async with world.pool as pool:
        async with pool.client("busy.cake.com") as busy:
            await world.use("idle.cake.com")
            await anyio.sleep(60)
            await world.use("later.cake.com")
            await anyio.sleep(50)
            assert world.open() == ["busy.cake.com", "later.cake.com"]
            assert tasks() == before + 1
            await anyio.sleep(1000)
            assert world.open() == ["busy.cake.com"]
            assert tasks() == before  # none waits for what is in use
            await busy.invoices.get(1)
        await world.use("busy.cake.com")
        assert world.opened("busy.cake.com") == 1
        await anyio.sleep(99)
        await world.use("busy.cake.com")  # begins anew
        await anyio.sleep(99)
        assert world.open() == ["busy.cake.com"]
        await anyio.sleep(2)
        assert world.open() == []
        assert tasks() == before
        await world.use("idle.cake.com")
    assert tasks() == before  # closing the pool ended it
    assert world.opened("idle.cake.com") == 2


@SIMULATED
async def test_a_paused_client_stays_open_until_its_pause_is_over() -> None:
    late = says("later", 429, **{"Retry-After": "600"})
    world = World(late, page(1), idle_timeout=100.0)
    async with world.pool:
        with pytest.raises(RateLimited):
            await world.use("acme.cake.com")
        await anyio.sleep(500)
        assert world.open() == ["acme.cake.com"]
        with pytest.raises(RateLimited):
            await world.use("acme.cake.com")
        await anyio.sleep(250)
        assert world.open() == []


async def test_the_one_that_was_not_used_for_longest_makes_room() -> None:
    world = World(max_clients=2)
    async with world.pool as pool:
        await world.use("a.cake.com")
        await world.use("b.cake.com")
        await world.use("a.cake.com")
        await world.use("c.cake.com")
        assert world.open() == ["a.cake.com", "c.cake.com"]
        async with pool.client("b.cake.com"):
            assert world.open() == ["c.cake.com", "b.cake.com"]
        async with AsyncExitStack() as stack:
            used: list[ClientView] = [
                await stack.enter_async_context(pool.client(f"{each}.cake.com")) for each in "abcd"
            ]
            assert (pool.stats().open, pool.stats().in_use) == (4, 4)
            for each in used:
                await each.invoices.get(1)
        assert pool.stats().open == 2


async def test_a_pause_is_kept_while_another_can_make_room() -> None:
    late = says("later", 429, **{"Retry-After": "600"})
    world = World(late, max_clients=2)
    async with world.pool:
        with pytest.raises(RateLimited):
            await world.use("paused.cake.com")
        world.steps = (page(1),)
        await world.use("a.cake.com")
        await world.use("b.cake.com")
        assert world.open() == ["paused.cake.com", "b.cake.com"]


async def test_unknowns_are_counted_beyond_the_end_of_a_client() -> None:
    world = World(lost)
    async with world.pool as pool:
        for number in (1, 2):
            async with pool.client("acme.cake.com") as cake:
                with pytest.raises(OutcomeUnknown):
                    await cake.invoices.update(number, memo="x")
            await pool.forget("acme.cake.com")
        assert (pool.stats().unknowns, pool.stats().open) == (2, 0)


async def test_closing_ends_those_in_use_and_gives_writes_their_grace() -> None:
    held = Held(done())
    world = World(held)
    pool, ended = world.pool, []

    async def write() -> None:
        async with pool.client("acme.cake.com") as cake:
            ended.append(await cake.invoices.update(1, memo="x"))
            with pytest.raises(ClosedError):
                await cake.invoices.get(1)

    async with anyio.create_task_group() as group:
        group.start_soon(write)
        await held.begun.wait()
        group.start_soon(pool.aclose)
        await anyio.wait_all_tasks_blocked()
        with pytest.raises(ClosedError, match="the pool is closed"):
            await world.use("acme.cake.com")
        held.go_on.set()
    await pool.aclose()
    assert len(ended) == 1
    assert repr(pool) == "<ClientPool, closed>"
    assert pool.stats().open == 0


async def test_it_belongs_to_one_event_loop() -> None:
    world = World()
    async with world.pool as pool:
        await world.use("acme.cake.com")

        def elsewhere() -> None:
            async def use() -> None:
                for attempt in (world.use, pool.forget):
                    with pytest.raises(WrongLoopError, match="the pool belongs to another"):
                        await attempt("acme.cake.com")
                with pytest.raises(WrongLoopError):
                    await pool.aclose()

            anyio.run(use)

        await anyio.to_thread.run_sync(elsewhere)
        await world.use("acme.cake.com")


async def test_a_transport_that_cannot_be_closed_is_logged_and_stops_nobody(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Stuck(httpx.MockTransport):
        async def aclose(self) -> None:
            raise OSError("api_key=secret")

    world = World()
    stuck = Stuck(lambda _: httpx.Response(500))
    world.pool._settings_for = lambda _: {"transport": stuck}
    with caplog.at_level(logging.WARNING, "aiocake"):
        async with world.pool as pool, pool.client("acme.cake.com"):
            pass
    assert [each.getMessage() for each in caplog.records] == [
        "closing the client of acme.cake.com failed: OSError"
    ]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"api_key": "text"}, "api_key must be an async function of a tenant, got str"),
        ({"allowed_domains": "*.cake.com"}, "allowed_domains: must be a list of domains"),
        ({"allowed_domains": []}, "allowed_domains: name at least one"),
        ({"allowed_domains": ["a.example", "*"]}, "allowed_domains: entry 2: "),
        ({"allowed_domains": ["*.*.cake.com"]}, "allowed_domains: entry 1: "),
        ({"allowed_domains": [None]}, "allowed_domains: entry 1: must be a text"),
        ({"max_clients": 0, "idle_timeout": math.inf}, "max_clients must.*; idle_timeout must"),
        ({"grace": -1, "throttle": 8}, "grace: must be.*|throttle: must be"),
        ({"transport": httpx.MockTransport(lambda _: httpx.Response(200))}, "settings_for"),
        ({"throttle": Throttle(shared=MemoryQuota(lambda: 0.0))}, "settings_for"),
    ],
)
def test_bad_settings_are_named(settings: dict[str, Any], said: str) -> None:
    async def key_of(_: Tenant) -> str:
        return "key"

    given: dict[str, Any] = {"api_key": key_of, "allowed_domains": ALLOWED} | settings
    with pytest.raises(ConfigurationError, match=said):
        ClientPool(given.pop("api_key"), **given)


def test_a_misspelt_setting_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="throtle"):
        World(throtle=Throttle())


async def test_a_tenant_has_a_name_of_its_own_kind() -> None:
    world = World()
    for name in (7, ""):
        with pytest.raises(ConfigurationError, match="tenant: must be a text that is not empty"):
            await world.use("acme.cake.com", name)  # type: ignore[arg-type] # it is refused


@pytest.fixture
def tasks() -> Callable[[], int]:
    """Return a function that counts background tasks which have not ended."""

    def count() -> int:
        gc.collect()
        return sum(type(each) is BackgroundTask and not each.done for each in gc.get_objects())

    return count
