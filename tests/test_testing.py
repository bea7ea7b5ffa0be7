"""What users get for their own tests, and that the page about it is true."""

import importlib
import inspect
import itertools
import os
import re
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Unpack, get_type_hints

import pytest
from freezegun import freeze_time
from starlette.responses import PlainTextResponse

from aiocake import Client, Period, RateLimited, Restricted, ServerError, _clock
from aiocake.client import ClientSettings
from aiocake.events import Event, RetryScheduled
from aiocake.monthend import Plan
from aiocake.sandbox import FAULTS, Dialect, Sandbox
from aiocake.testing import (  # noqa: F401 - the fixtures
    FROZEN_AT,
    NO_BACKOFF,
    Clients,
    FrozenClock,
    cake_client,
    cake_clock,
    cake_env,
    cake_sandbox,
    frozen_clock,
    make_advertiser_bill,
    make_affiliate_bill,
    make_buyer_bill,
    make_invoice,
)

pytestmark = pytest.mark.anyio

JULY = date(2014, 7, 10)
PAGE = Path(__file__).parents[1] / "docs" / "testing.md"
CONFTEST, FIRST, NETWORK, SECOND, THIRD, SCRIPT = re.findall(
    r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL
)


def run(folder: Path, *command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    # What this run of pytest was told is nothing to one of a user.
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST", "CAKE"))}
    return subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        env=environment | variables,
        capture_output=True,
        text=True,
        check=False,
    )


def run_pytest(folder: Path, *more: str, **variables: str) -> subprocess.CompletedProcess[str]:
    scope = "asyncio_default_fixture_loop_scope=function"  # it warns of an unset one
    options = ("-W", "error", "--strict-markers", "-p", "no:cacheprovider", "-o", scope)
    return run(folder, "-m", "pytest", *options, *more, **variables)


def test_a_user_s_own_tests_run_as_the_page_shows(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(CONFTEST, encoding="utf-8")
    (tmp_path / "test_first.py").write_text(FIRST, encoding="utf-8")
    (tmp_path / "test_second.py").write_text(SECOND, encoding="utf-8")
    (tmp_path / "test_third.py").write_text(THIRD, encoding="utf-8")
    (tmp_path / "test_network.py").write_text(NETWORK, encoding="utf-8")
    result = run_pytest(tmp_path)
    assert f"{10 + len(Dialect.all())} passed" in result.stdout, result.stdout + result.stderr


def test_no_test_is_told_of_the_fixtures_unasked(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text("def test_it(cake_sandbox): pass\n", encoding="utf-8")
    result = run(tmp_path, "-m", "pytest", "-q", "-p", "no:cacheprovider")
    assert "fixture 'cake_sandbox' not found" in result.stdout


GUARDED = """
import httpx, httpx2, pytest
import aiocake
from aiocake import Client, NotSent, RetryPolicy
from aiocake.events import RetryScheduled
from aiocake.testing import KEY

pytestmark = pytest.mark.anyio
REFUSED = r"this test must not connect to {}, .* @pytest.mark.cake_network allows it"
TRANSPORTS = {
    "ours": dict,
    "httpx": lambda: {"transport": httpx.AsyncHTTPTransport()},
    "httpx, again and again": lambda: {"transport": httpx.AsyncHTTPTransport(retries=3)},
}


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("host", ["192.0.2.1", "2001:db8::1", "nowhere.invalid"])
async def test_another_machine_is_refused_and_not_tried_again(host, transport):
    events = []
    domain = f"[{host}]" if ":" in host else host
    async with Client(domain, KEY, on_event=events.append, **TRANSPORTS[transport]()) as cake:
        for call in (
            lambda: cake.invoices.get(1),
            lambda: cake.invoices.update(1, memo="x"),
            lambda: cake.invoices.find().collect(),
        ):
            with pytest.raises(NotSent, match=REFUSED.format(host)):
                await call()
    assert not [each for each in events if isinstance(each, RetryScheduled)]


@pytest.mark.parametrize("client", [httpx.AsyncClient, httpx2.AsyncClient])
async def test_so_is_one_of_the_user_s_own_clients(client):
    async with client() as http:
        with pytest.raises(Exception, match=REFUSED.format("192.0.2.1")):
            await http.get("http://192.0.2.1/")


@pytest.mark.parametrize("options", [
    lambda: {"proxy": "http://192.0.2.9:3128"},
    lambda: {"transport": httpx.AsyncHTTPTransport(proxy="http://192.0.2.9:3128")},
])
async def test_of_a_proxy_its_own_address_counts(options):
    async with Client("192.0.2.1", KEY, **options()) as cake:
        with pytest.raises(NotSent, match=REFUSED.format("192.0.2.9")):
            await cake.invoices.get(1)


async def test_this_machine_is_let_through_by_address_and_by_name(cake_env):
    for url in (cake_env, cake_env.replace("127.0.0.1", "localhost")):
        for transport in TRANSPORTS.values():
            async with Client(url, KEY, **transport()) as cake:
                assert (await cake.invoices.get(4821)).invoice_id == 4821
        async with httpx2.AsyncClient() as http:
            assert (await http.get(url)).status_code < 500


async def test_what_opens_no_connection_is_let_through(cake_client, tmp_path):
    mock = httpx.MockTransport(lambda _: httpx.Response(500, text="mock"))
    async with Client("cake.example", KEY, transport=mock, retry=RetryPolicy(attempts=1)) as cake:
        with pytest.raises(aiocake.ServerError):
            await cake.invoices.get(1)
    async with cake_client() as cake:
        await cake.invoices.get(4821)
    transport = httpx.AsyncHTTPTransport(uds=str(tmp_path / "nothing"))
    async with httpx.AsyncClient(transport=transport) as http:
        with pytest.raises(httpx.ConnectError):
            await http.get("http://192.0.2.1/")


@pytest.mark.cake_network
async def test_a_test_that_is_marked_may():
    # An address that is nobody's.
    async with httpx.AsyncClient(timeout=0.001) as http:
        with pytest.raises(httpx.TransportError) as got:
            await http.get("http://192.0.2.1:1/")
    assert "cake_network" not in str(got.value)
"""


def test_no_test_reaches_another_machine(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(CONFTEST, encoding="utf-8")
    (tmp_path / "test_guarded.py").write_text(GUARDED, encoding="utf-8")
    result = run_pytest(tmp_path)
    # On asyncio and on trio.
    assert "32 passed" in result.stdout, result.stdout + result.stderr
    listed = run(tmp_path, "-m", "pytest", "--markers", "-p", "no:cacheprovider")
    assert "@pytest.mark.cake_network: let the test connect to other machines." in listed.stdout


ALONE = """
import importlib, sys

import pytest
from aiocake import Client, NotSent, ServerError
from aiocake.testing import KEY

http = importlib.import_module("{name}")
pytestmark = pytest.mark.anyio


def test_it_is_alone():
    with pytest.raises(ImportError):
        importlib.import_module("{other}")


async def test_the_fixtures_lead_to_the_sandbox(cake_client, cake_env):
    for made in (
        cake_client(),
        Client.from_env(),
        Client.from_env(transport=http.AsyncHTTPTransport()),
    ):
        async with made as cake:
            assert (await cake.invoices.get(4821)).invoice_id == 4821
            await cake.invoices.update(4821, memo="x")


async def test_mocks_and_their_errors_are_judged():
    def refuse(request):
        raise http.ConnectError("refused", request=request)

    for handler, error in (
        (lambda _: http.Response(500, text="mock"), ServerError),
        (refuse, NotSent),
    ):
        mock = http.MockTransport(handler)
        async with Client("cake.example", KEY, transport=mock) as cake:
            with pytest.raises(error):
                await cake.with_options(attempts=1).invoices.get(1)


async def test_another_machine_is_refused():
    for settings in ({{}}, {{"transport": http.AsyncHTTPTransport()}}):
        async with Client("192.0.2.1", KEY, **settings) as cake:
            with pytest.raises(NotSent, match="cake_network"):
                await cake.invoices.get(1)
    async with http.AsyncClient() as client:
        with pytest.raises(Exception, match="cake_network"):
            await client.get("http://192.0.2.1/")


def test_the_examples_are_imported():
    sys.path.insert(0, {examples!r})
    for name in ("web_backend", "web_tenants"):
        importlib.import_module(name)
"""


def without(folder: Path, *packages: str) -> dict[str, str]:
    """Return variables by which Python finds none of some packages, as if not installed."""
    text = f"import sys; sys.modules.update(dict.fromkeys({packages}))"
    (folder / "sitecustomize.py").write_text(text, encoding="utf-8")
    # A plugin of pytest may import what is not there.
    return {"PYTHONPATH": str(folder), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}


@pytest.mark.parametrize(
    ("name", "other", "core"), [("httpx", "httpx2", "httpcore2"), ("httpx2", "httpx", "httpcore")]
)
def test_one_of_httpx_and_httpx2_is_enough(
    tmp_path: Path, name: str, other: str, core: str
) -> None:
    variables = without(tmp_path, other, core)
    examples = str(Path(__file__).parents[1] / "examples")
    (tmp_path / "conftest.py").write_text(CONFTEST, encoding="utf-8")
    test = ALONE.format(name=name, other=other, examples=examples)
    (tmp_path / "test_alone.py").write_text(test, encoding="utf-8")
    result = run_pytest(
        tmp_path, "-p", "anyio.pytest_plugin", "-p", "pytest_asyncio.plugin", **variables
    )
    assert "8 passed" in result.stdout, result.stdout + result.stderr


def test_without_both_the_client_says_what_to_install(tmp_path: Path) -> None:
    variables = without(tmp_path, "httpx", "httpx2")
    script = (
        "from aiocake.sandbox import Sandbox; from aiocake.testing import Clients; "
        "Clients(Sandbox())()"
    )
    ran = run(tmp_path, "-c", script, **variables)
    wanted = "neither httpx nor httpx2 is installed: pip install httpx"
    assert wanted in ran.stderr.splitlines()[-1]


def test_the_page_s_script_runs(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SCRIPT, encoding="utf-8")
    result = run(tmp_path, "-W", "error", "script.py")
    assert result.returncode == 0, result.stderr


def test_the_page_names_each_fixture() -> None:
    rows = set(re.findall(r"^\| `(\w+)` \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE))
    assert rows == {"cake_sandbox", "cake_client", "cake_env", "cake_clock"} | set(FAULTS)


def test_the_page_s_table_of_faults_is_true(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(PAGE.parent))
    page = PAGE.read_text(encoding="utf-8")
    assert page == importlib.import_module("faults").render(page), "run python docs/faults.py"


def test_its_settings_are_those_of_a_client() -> None:
    ours = inspect.signature(Clients.__call__).parameters
    assert list(ours) == ["self", "api_key", "settings"]
    assert ours["settings"].annotation == Unpack[ClientSettings]
    theirs = inspect.signature(Client).parameters
    wanted = {name: each.annotation for name, each in theirs.items()}
    assert wanted.pop("domain") is str
    assert ours["api_key"].annotation is str
    del wanted["api_key"]
    assert get_type_hints(ClientSettings) == wanted


async def test_no_wait_is_waited_for(cake_sandbox: Sandbox, cake_client: Clients) -> None:  # noqa: F811 - fixtures
    refusals = {
        "oops": (500, {}, ServerError, 3),
        "slow down": (429, {}, RateLimited, 3),
        "later": (429, {"Retry-After": "30"}, RateLimited, 1),
        '{"success": false, "message": "Restricted"}': (200, {}, Restricted, 3),
    }
    for text, (status, headers, kind, sent) in refusals.items():
        cake_sandbox.state.requests.clear()
        cake_sandbox.state.on_request[:] = [
            lambda _, text=text, status=status, headers=headers: PlainTextResponse(  # type: ignore[misc] # bound now
                text, status, headers
            )
        ]
        events: list[Event] = []
        async with cake_client(on_event=events.append) as cake:
            with pytest.raises(kind):
                await cake.invoices.get(4821)
        assert len(cake_sandbox.state.requests) == sent
        waits = [each.wait for each in events if isinstance(each, RetryScheduled)]
        assert len(waits) == sent - 1
        assert all(wait <= 1e-6 for wait in waits)


async def test_without_it_there_are_waits(cake_sandbox: Sandbox, cake_client: Clients) -> None:  # noqa: F811 - fixtures
    cake_sandbox.state.on_request.append(lambda _: PlainTextResponse("oops", 500))
    events: list[Event] = []
    async with cake_client(retry=None, on_event=events.append) as cake:
        with pytest.raises(ServerError):
            await cake.invoices.get(4821)
    waits = [each.wait for each in events if isinstance(each, RetryScheduled)]
    assert max(waits) > 1e-6
    assert NO_BACKOFF.attempts == 3


async def test_nothing_pauses_it(cake_sandbox: Sandbox, cake_client: Clients) -> None:  # noqa: F811 - fixtures
    for status, later in itertools.product((429, 503), ("3600", "30", "0.5")):
        late = PlainTextResponse("later", status, {"Retry-After": later})
        cake_sandbox.state.on_request[:] = [lambda _, late=late: late]  # type: ignore[misc] # bound now
        async with cake_client() as cake:
            for _ in range(4):
                with pytest.raises(RateLimited) as caught:
                    await cake.invoices.get(4821)
                assert caught.value.sent
                assert cake.stats().paused_until is None


MARKED = """
import pytest
pytestmark = pytest.mark.cake_sandbox(invoices=3, first_row=1)

@pytest.mark.cake_sandbox(invoices=5)
def test_the_nearest_mark_counts_most(cake_sandbox):
    assert len(cake_sandbox.state.invoices) == 5
    assert cake_sandbox.dialect.first_row == 1

@pytest.mark.cake_sandbox(frist_row=1)
def test_a_misspelt_option(cake_sandbox): ...

@pytest.mark.cake_sandbox(5)
def test_no_name(cake_sandbox): ...
"""


def test_a_mark_gives_options(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(CONFTEST, encoding="utf-8")
    (tmp_path / "test_marked.py").write_text(MARKED, encoding="utf-8")
    result = run_pytest(tmp_path)
    assert "1 passed, 2 errors" in result.stdout, result.stdout + result.stderr
    assert "cake_sandbox has no option frist_row: did you mean first_row?" in result.stdout
    assert "@pytest.mark.cake_sandbox takes options by name only" in result.stdout


def test_builders_fill_in_what_fits() -> None:
    assert make_invoice() == make_invoice(affiliate_id=67_890, total_amount="1250.00")
    assert make_invoice(advertiser_name="Shop").kind == "revenue"
    assert str(make_invoice(currency="KWD", total_amount="1.5").total_amount) == "1.500"
    assert str(make_invoice(currency="KWD", total_amount="1.23456").total_amount) == "1.23456"
    with pytest.raises(ValueError, match="of an affiliate or of an advertiser, never of both"):
        make_invoice(affiliate_id=1, advertiser_id=2)
    paid = make_affiliate_bill(payment_date=date(2014, 7, 1), date_invoice_received=JULY, amount=7)
    assert (paid.sent_payment, str(paid.invoiced_amount)) == (True, "7.00")
    assert paid.period == Period.month(2014, 6)
    for payers in (make_advertiser_bill, make_buyer_bill):
        assert payers().payment_amount is None
        received = payers(currency="JPY", date_payment_received=JULY)
        assert str(received.payment_amount) == "1250"
        assert received.bill_amount.formatted_amount == "¥1,250"


async def test_what_is_added_is_what_a_client_reads(
    cake_sandbox: Sandbox,  # noqa: F811 - a fixture
    cake_client: Clients,  # noqa: F811 - a fixture
) -> None:
    january = cake_sandbox.add_invoice(affiliate_id=7, total_amount="1.5", currency="KWD")
    revenue = cake_sandbox.add_invoice(advertiser_id=8, invoice_status="paid", period="2024-02")
    bill = cake_sandbox.add_bill("buyer", partner_id=9, amount=20, settled=True)
    async with cake_client() as cake:
        read = await cake.invoices.get(january.invoice_id)
        paid = await cake.invoices.get(revenue.invoice_id)
        (exported,) = [
            each
            for each in await cake.buyer_bills.export(period=Period.month(2014, 6)).collect()
            if each.bill_id == bill.bill_id
        ]
    assert read == make_invoice(
        invoice_id=january.invoice_id,
        affiliate_id=7,
        affiliate_name="Affiliate 7",
        total_amount="1.500",
        currency="KWD",
    )
    assert (paid.kind, paid.invoice_status, paid.end_date) == ("revenue", "paid", date(2024, 2, 29))
    assert (exported.buyer.id, exported.payment_amount) == (9, Decimal(20))
    with pytest.raises(ValueError, match="never of both"):
        cake_sandbox.add_invoice(affiliate_id=1, advertiser_id=2)
    with pytest.raises(ValueError, match="ends on 2024-01-01, before it begins on 2024-01-02"):
        cake_sandbox.add_invoice(period=(date(2024, 1, 2), date(2024, 1, 1)))


def test_freezegun_freezes_it_too() -> None:
    with freeze_time("2030-01-01"):
        assert _clock.now() == datetime(2030, 1, 1, tzinfo=UTC)


async def test_a_frozen_clock_dates_what_is_written_down(
    cake_clock: FrozenClock,  # noqa: F811 - a fixture
    cake_client: Clients,  # noqa: F811 - a fixture
) -> None:
    period = Period.month(2024, 1)
    async with cake_client() as cake:
        plan = await Plan.updates(
            cake, period=period, invoice_status="pending", set={"invoice_status": "approved"}
        )
    assert plan.header.created_at == FROZEN_AT
    assert plan.header.expires_at == FROZEN_AT + timedelta(days=7)
    with pytest.raises(ValueError, match="no time zone"):
        cake_clock.set(datetime(2024, 3, 1))  # noqa: DTZ001 - on purpose
    with frozen_clock(datetime(2030, 1, 1, tzinfo=UTC)) as other:
        assert _clock.now() == other.now == datetime(2030, 1, 1, tzinfo=UTC)
    cake_clock.move(timedelta(days=8))
    assert _clock.now() == FROZEN_AT + timedelta(days=8)


def test_each_test_has_a_sandbox_of_its_own(cake_sandbox: Sandbox) -> None:  # noqa: F811 - a fixture
    assert cake_sandbox.state.requests == []
    assert cake_sandbox.state.invoices[4821].invoice_status == "pending"


async def test_the_environment_leads_to_it(
    cake_env: str,  # noqa: F811 - a fixture
    cake_sandbox: Sandbox,  # noqa: F811 - a fixture
) -> None:
    async with Client.from_env() as cake:
        assert cake_env.removeprefix("http://") in repr(cake)
        await cake.invoices.update(4821, memo="x")
    assert cake_sandbox.state.invoices[4821].memo == "x"
