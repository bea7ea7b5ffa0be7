"""How a client is built, viewed, looked at, closed and dropped."""

import copy
import gc
import pickle
import ssl
from collections.abc import Mapping
from datetime import date

import anyio
import httpx
import pytest

from aiocake import (
    ArgumentError,
    Binding,
    CakeError,
    Client,
    ClientStats,
    ConfigurationError,
    DeadlineExceeded,
    OutcomeUnknown,
    Period,
    RateLimited,
    RetryPolicy,
    ServerError,
    Throttle,
    Timeouts,
)
from aiocake.errors import ClosedError, Intent, Outcome
from aiocake.events import AttemptEnded, Event
from aiocake.sandbox import Sandbox

from ..support.clients import in_process
from ..support.clock import SIMULATED
from ..support.loops import anyio_backend  # noqa: F401 - runs on uvloop, too
from ..support.peer import KEY, Held, Peer, done, lost, page, says

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"domain": None}, "domain"),
        ({"domain": "http://x.example"}, "domain"),
        ({"domain": ""}, "domain"),
        ({"api_key": None}, "api_key"),
        ({"api_key": b"key"}, "api_key"),
        ({"api_key": ""}, "api_key"),
        ({"api_key": "x" * 51}, "api_key"),
        ({"api_key": "clé"}, "api_key"),
        ({"timeouts": 5}, "timeouts"),
        ({"retry": 3}, "retry"),
        ({"throttle": 8}, "throttle"),
        ({"binding": "soap13"}, "binding: must be one of get, post, soap11, soap12"),
        ({"binding": None}, "binding"),
        ({"transport": httpx.HTTPTransport()}, "transport"),
        ({"proxy": "ftp://p"}, "proxy"),
        ({"ssl_context": True}, "ssl_context"),
        ({"ledger": object()}, "ledger"),
        ({"grace": -1}, "grace"),
        ({"grace": float("inf")}, "grace"),
        ({"grace": float("nan")}, "grace"),
        ({"grace": True}, "grace"),
        ({"grace": None}, "grace"),
        ({"read_only": "false"}, "read_only"),
        ({"show_sensitive": 0}, "show_sensitive"),
        ({"user_agent": 5}, "user_agent"),
        ({"user_agent": "a\r\nX: y"}, "user_agent"),
        ({"on_event": []}, "on_event"),
        ({"transport": httpx.MockTransport(page(1)), "proxy": "http://p"}, "proxy"),
        (
            {
                "transport": httpx.MockTransport(page(1)),
                "ssl_context": ssl.create_default_context(),
            },
            "ssl_context",
        ),
    ],
)
def test_what_cannot_be_is_refused(settings: Mapping[str, object], named: str) -> None:
    given = {"domain": "x.example", "api_key": KEY} | dict(settings)
    with pytest.raises(ConfigurationError, match=named) as caught:
        Client(**given)  # type: ignore[arg-type] # refused
    assert KEY not in str(caught.value)
    # Nothing was built, so nothing complains of not being closed.
    gc.collect()


def test_all_that_is_wrong_is_named_at_once() -> None:
    with pytest.raises(ConfigurationError) as caught:
        Client("x.example", KEY, timeouts=5, grace=-1, on_event=1)  # type: ignore[arg-type] # refused
    assert str(caught.value) == (
        "timeouts: must be a Timeouts, got int; grace: must be a number of seconds, 0 or more, "
        "got int; on_event: must be a function, got int"
    )


@pytest.mark.parametrize(
    "make",
    [
        *(
            lambda name=name, bad=bad: Timeouts(**{name: bad})
            for name in ("total", "connect", "read", "export_total", "export_read")
            for bad in (0, -1, float("inf"), float("nan"), True, "5", None)
        ),
        *(
            lambda name=name, bad=bad: RetryPolicy(**{name: bad})
            for name in ("attempts", "base", "throttle_base", "cap", "retry_after_cap")
            for bad in (0, -1, True, "5", None)
        ),
        *(
            lambda bad=bad: RetryPolicy(longest_pause=bad)
            for bad in (-1, float("inf"), float("nan"), True, "5", None)
        ),
        lambda: RetryPolicy(attempts=1.5),  # type: ignore[arg-type] # refused
        lambda: RetryPolicy(budget=-1),
        lambda: RetryPolicy(budget=True),
        *(
            lambda name=name, bad=bad: Throttle(**{name: bad})
            for name in ("concurrency", "burst", "rate", "max_waiting")
            for bad in (-1, True, "5")
        ),
        lambda: Throttle(concurrency=0),
        lambda: Throttle(rate=0),
        lambda: Throttle(rate=float("nan")),
    ],
)
def test_settings_that_cannot_be(make: object) -> None:
    assert callable(make)
    with pytest.raises(ConfigurationError, match="must be a"):
        make()


def test_settings_at_their_bounds() -> None:
    assert RetryPolicy(budget=0, attempts=1, longest_pause=0).budget == 0
    assert Throttle(max_waiting=0, rate=0.001, burst=1).max_waiting == 0
    assert Timeouts(total=1) == Timeouts(total=1.0)
    with pytest.raises(AttributeError):
        Timeouts().total = 5  # type: ignore[misc] # frozen


async def test_a_view_changes_what_it_says_and_nothing_else() -> None:
    events: list[Event] = []
    peer = Peer(lost)
    async with peer.client(on_event=events.append) as cake:
        once = cake.with_options(attempts=1)
        for view, sent in ((cake, 3), (once, 1), (once.with_options(attempts=2), 2)):
            with pytest.raises(OutcomeUnknown):
                await view.invoices.update(1, memo="x")
            assert len(peer.requests) == sent
            peer.requests.clear()
        # A view of a view keeps what it does not change.
        with pytest.raises(OutcomeUnknown):
            await once.with_options(total=30, queue=5).invoices.update(1, memo="x")
        assert len(peer.requests) == 1
        assert once.stats() == cake.stats()
    assert [each.number for each in events if isinstance(each, AttemptEnded)] == [
        1,
        2,
        3,
        1,
        1,
        2,
        1,
    ]


async def test_the_binding_of_a_view_and_of_a_view_of_it() -> None:
    sandbox = Sandbox()
    async with in_process(sandbox, binding=Binding.POST) as cake:
        soap = cake.with_options(binding=Binding.SOAP12)
        for view in (cake, soap, soap.with_options(attempts=1), soap.with_options(binding="get")):  # type: ignore[arg-type] # its text
            await view.reference.payment_types()
    forms = [
        (request.method, request.headers.get("content-type", "").partition(";")[0])
        for request in sandbox.state.requests
    ]
    assert forms == [
        ("POST", "application/x-www-form-urlencoded"),
        ("POST", "application/soap+xml"),
        ("POST", "application/soap+xml"),
        ("GET", ""),
    ]


@pytest.mark.parametrize(
    "options",
    [
        {"total": 0},
        {"total": float("inf")},
        {"queue": -1},
        {"attempts": 0},
        {"attempts": 1.5},
        {"binding": "soap13"},
    ],
)
async def test_options_that_cannot_be(options: Mapping[str, object]) -> None:
    async with Peer(page(1)).client() as cake:
        with pytest.raises(ConfigurationError, match=next(iter(options))):
            cake.with_options(**options)  # type: ignore[arg-type] # refused


@SIMULATED
async def test_the_total_of_a_view() -> None:
    peer = Peer(Held(page(1)))
    async with peer.client() as cake:
        with pytest.raises(DeadlineExceeded, match="20 s"):
            await cake.with_options(total=20).invoices.get(1)


async def test_stats_tell_what_goes_on_and_send_nothing() -> None:
    held = Held(page(1))
    peer = Peer(held, says("slow down", 429))
    async with peer.client(throttle=Throttle(concurrency=1)) as cake:
        assert cake.stats() == ClientStats(
            in_flight=0,
            waiting=0,
            paused_until=None,
            budget=500,
            unknowns=0,
            limit=1,
            pace=None,
            quota=None,
        )
        assert peer.requests == []
        async with anyio.create_task_group() as group:
            group.start_soon(cake.invoices.get, 1)
            await held.begun.wait()

            async def refused() -> None:
                with pytest.raises(RateLimited):
                    await cake.with_options(attempts=1).invoices.get(1)

            group.start_soon(refused)
            await anyio.wait_all_tasks_blocked()
            stats = cake.stats()
            assert (stats.in_flight, stats.waiting) == (1, 1)
            held.go_on.set()
        stats = cake.stats()
        assert (stats.in_flight, stats.waiting, stats.unknowns) == (0, 0, 0)


async def test_stats_tell_of_a_pause() -> None:
    peer = Peer(says("slow down", 429, **{"Retry-After": "30"}))
    async with peer.client() as cake:
        with pytest.raises(RateLimited) as caught:
            await cake.with_options(attempts=1).invoices.get(1)
        assert caught.value.retry_after == 30
        left = cake.stats().paused_until
        assert left is not None
        assert 0 < left <= 30


async def test_a_pause_refuses_calls_until_it_is_ended() -> None:
    reported: list[str] = []

    class Book:
        async def before(self, intent: Intent) -> None:
            reported.append(intent.operation)

        async def after(self, intent: Intent, outcome: Outcome) -> None:
            reported.append(f"{intent.operation} {outcome}")

    peer = Peer(says("slow down", 429, **{"Retry-After": "3600"}), page(1))
    async with peer.client(ledger=Book()) as cake:
        view = cake.with_options(attempts=1)
        view.end_pause()  # of which there is none
        with pytest.raises(RateLimited):
            await cake.invoices.get(1)
        for call, outcome in (
            (lambda: view.invoices.get(1), None),
            (lambda: cake.invoices.find().collect(), None),
            (lambda: cake.affiliate_bills.export(period=Period.month(2014, 6)).collect(), None),
            (cake.reference.currencies, None),
            (lambda: cake.invoices.update(1, memo="x"), Outcome.NOT_DONE),
            (lambda: cake.request("POST", "/api/2/x.json", repeatable=False), Outcome.NOT_DONE),
        ):
            with pytest.raises(RateLimited, match="the client is paused for 3600 s more") as caught:
                await call()
            error = caught.value
            assert (error.sent, error.status, error.outcome) == (False, 429, outcome)
            assert error.operation is not None
            assert error.retry_after is not None
            assert 3_590 < error.retry_after <= 3_600
            assert pickle.loads(pickle.dumps(error)).sent is False  # noqa: S301 - ours
        assert len(peer.requests) == 1
        # Of what is not going to be sent no ledger is told.
        assert reported == []
        view.end_pause()
        assert cake.stats().paused_until is None
        assert (await cake.invoices.get(1)).invoice_id == 1


@pytest.mark.parametrize("status", [429, 503])
async def test_a_write_that_may_be_done_stays_unknown_in_a_pause(status: int) -> None:
    """It is tried again after a 500; meanwhile other calls begin a pause."""
    late = says("slow down", status, **{"Retry-After": "3600"})
    peer = Peer(says("no", 500), late, late)
    async with peer.client(retry=RetryPolicy(base=1_000, cap=50, draw=lambda: 1.0)) as cake:
        caught: list[CakeError] = []

        async def update(**options: int) -> None:
            try:
                await cake.with_options(**options).invoices.update(1, memo="x")
            except CakeError as error:
                caught.append(error)

        async with anyio.create_task_group() as group:
            group.start_soon(update)
            await anyio.wait_all_tasks_blocked()
            for _ in range(2):
                with pytest.raises(RateLimited):
                    await cake.invoices.get(1)
    (error,) = caught
    assert isinstance(error, OutcomeUnknown)
    assert isinstance(error.cause, ServerError)
    assert error.intent.attempts == 1


@pytest.mark.parametrize("status", [429, 503])
async def test_a_write_that_was_refused_is_not_done_in_a_pause(status: int) -> None:
    """It is to be tried again after a 429, which says that nothing was done."""
    late = says("slow down", status, **{"Retry-After": "3600"})
    peer = Peer(says("slow down", 429, **{"Retry-After": "50"}), late, late)
    async with peer.client() as cake:
        caught: list[CakeError] = []

        async def update() -> None:
            try:
                await cake.invoices.create(
                    affiliate_id=1, start_date=date(2024, 1, 1), end_date=date(2024, 1, 1)
                )
            except CakeError as error:
                caught.append(error)

        async with anyio.create_task_group() as group:
            group.start_soon(update)
            await anyio.wait_all_tasks_blocked()
            cake.end_pause()  # of the others: it sleeps by itself
            for _ in range(2):
                with pytest.raises(RateLimited):
                    await cake.invoices.get(1)
    (error,) = caught
    assert isinstance(error, RateLimited)
    assert (error.sent, error.status, error.outcome) == (False, status, Outcome.NOT_DONE)


async def test_retries_come_out_of_the_budget() -> None:
    peer = Peer(says("no", 500))
    async with peer.client(retry=RetryPolicy(base=1e-6, budget=14)) as cake:
        with pytest.raises(ServerError):
            await cake.invoices.get(1)
        assert cake.stats().budget == 0
    assert len(peer.requests) == 2


async def test_a_read_only_client_reads() -> None:
    sandbox = Sandbox()
    async with in_process(sandbox, read_only=True) as cake:
        assert (await cake.invoices.get(4821)).invoice_id == 4821
        year = Period.month(2014, 6)
        await cake.affiliate_bills.export(period=year).collect()
        before = len(sandbox.state.requests)
        view = cake.with_options(attempts=1)
        for call in (
            lambda: cake.invoices.update(4821, memo="x"),
            lambda: cake.invoices.create(affiliate_id=1, start_date=year.start, end_date=year.end),
            lambda: view.affiliate_bills.mark_paid(345, payment_date=year.start),
            lambda: view.buyer_bills.mark_sent(5),
        ):
            with pytest.raises(ArgumentError, match="read-only"):
                await call()
    assert len(sandbox.state.requests) == before


async def test_the_user_agent_and_whose_requests_they_are() -> None:
    peer = Peer(page(1))
    async with peer.client() as cake, peer.client(user_agent="billing/2 (finance)") as other:
        await cake.invoices.get(1)
        await other.invoices.get(1)
    first, second = (request.headers["user-agent"] for request in peer.requests)
    assert first.startswith("aiocake/")
    assert second == "billing/2 (finance)"
    assert peer.requests[0].headers["host"] == "x.example"


async def test_events_of_a_listener_that_fails_break_no_call(
    caplog: pytest.LogCaptureFixture,
) -> None:
    heard: list[Event] = []

    def listen(event: Event) -> None:
        heard.append(event)
        raise LookupError("no ear")

    peer = Peer(lost, done())
    async with peer.client(on_event=listen) as cake:
        updated = await cake.invoices.update(1, memo="x")
    assert updated.invoice_id == 1
    names = [type(each).__name__ for each in heard]
    attempt = ["AttemptBegan", "AttemptEnded"]
    assert names == [*attempt, "RetryScheduled", *attempt, "CallEnded"]
    records = [each for each in caplog.records if each.name.startswith("aiocake")]
    assert len(records) == len(heard)
    assert all(each.exc_info and "no ear" in str(each.exc_info[1]) for each in records)


async def test_what_a_client_shows_of_itself() -> None:
    cake = Client("https://x.example:8443", KEY)
    assert repr(cake) == "<Client https://x.example:8443>"
    for copied in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="make one in each process"):
            copied(cake)
    await cake.aclose()
    await cake.aclose()
    assert repr(cake) == "<Client, closed>"
    with pytest.raises(ClosedError):
        await cake.invoices.get(1)


async def test_an_unclosed_client_is_told_of() -> None:
    kept = [Peer(page(1)).client()]
    await kept[0].invoices.get(1)
    with pytest.warns(ResourceWarning, match="unclosed <Client x.example>") as caught:
        kept.clear()
    assert len(caught) == 1
    closed = Peer(page(1)).client()
    await closed.aclose()
    del closed
    gc.collect()


async def test_leaving_by_an_error_closes() -> None:
    kept: list[Client] = []

    async def use() -> None:
        async with Peer(page(1)).client() as cake:
            kept.append(cake)
            raise LookupError

    with pytest.raises(LookupError):
        await use()
    assert repr(kept[0]) == "<Client, closed>"
