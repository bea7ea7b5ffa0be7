"""Servers that are no dialect of CAKE, or none of CAKE at all; and those that refuse."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import attrs
import httpx
import pytest
from starlette.responses import Response

from aiocake import (
    AuthenticationError,
    Binding,
    CakeError,
    Client,
    ClosedError,
    ConfigurationError,
    DecodeError,
    InstanceTraits,
    NotSent,
    RateLimited,
    Restricted,
)
from aiocake.doctor import MOST_REQUESTS, Diagnosis, Finding, Level, examine
from aiocake.sandbox import RecordedRequest, Sandbox

from ..support.clients import in_process
from ..support.clock import SIMULATED
from ..support.peer import KEY, Peer, lost, says, unreached

pytestmark = pytest.mark.anyio

Answer = Callable[[httpx.Request], httpx.Response]


class Odd(Peer):
    """Answers each request by one function."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer)


async def examined(peer: Peer) -> Diagnosis:
    async with peer.client() as cake:
        return await examine(cake)


def of(found: Diagnosis, topic: str) -> Finding:
    (finding,) = (each for each in found.findings if each.topic == topic)
    return finding


PAGE = "<!DOCTYPE html><html><head><title>Welcome</title></head><body>Hello</body></html>"


async def test_a_web_page_is_no_cake() -> None:
    found = await examined(Odd(says(PAGE, 200)))
    assert isinstance(found.error, DecodeError)
    assert of(found, "version 2").advice.endswith("is it CAKE at all?")
    assert of(found, "bindings").level is Level.PROBLEM
    assert found.traits == InstanceTraits(bindings=frozenset())


async def test_a_redirect_names_where_to() -> None:
    to = f"https://login.example/signin?api_key={KEY}"
    found = await examined(Odd(says("", 302, Location=to)))
    assert of(found, "version 2").text == "a redirect to login.example"
    assert KEY not in repr(found)
    assert found.error is not None


async def test_json_of_something_else_is_no_cake() -> None:
    found = await examined(Odd(says({"request_status": "Success", "data": {"rows": []}})))
    assert of(found, "version 2").text == "a response without a list of invoices"
    assert isinstance(found.error, CakeError)
    assert found.requests == 1 + len(Binding)


async def test_a_list_whose_rows_are_no_objects() -> None:
    found = await examined(Odd(says({"request_status": "Success", "invoices": [1, 2]})))
    assert "rows are not objects" in of(found, "version 2").text


async def test_rows_without_an_amount_cannot_be_read() -> None:
    rows = [{"invoice_id": 1, "invoice_status": "PENDING", "net": "1.00"}]
    found = await examined(Odd(says({"request_status": "Success", "invoices": rows})))
    assert of(found, "fields").level is Level.PROBLEM
    assert found.traits.invoice_fields is None


async def test_a_list_that_never_holds_still() -> None:
    count = iter(range(1000))

    def answer(request: httpx.Request) -> httpx.Response:
        del request
        first = next(count) * 7
        rows = [
            {"invoice_id": first + n, "invoice_status": "paid", "total_amount": "1.00"}
            for n in range(3)
        ]
        content = {"request_status": "Success", "invoices": rows, "total_rows": 3}
        return httpx.Response(200, json=content)

    found = await examined(Odd(answer))
    assert found.traits.first_row is None
    assert "first row" in {each.topic for each in found.findings if each.level is Level.UNKNOWN}


async def test_a_status_that_must_be_written_with_a_capital_is_found() -> None:
    """A filter that finds nothing is worse than one that is ignored: no row shows it."""
    sandbox = Sandbox()

    def refuse(request: RecordedRequest) -> Response | None:
        if "invoice_status" not in dict(request.query):
            return None
        content = {"request_status": "Success", "invoices": [], "total_rows": 0}
        return Response(json.dumps(content))

    sandbox.state.on_request.append(refuse)
    async with in_process(sandbox) as cake:
        found = await examine(cake)
    (problem,) = found.problems
    assert problem.text.startswith("invoice_status=")
    assert "invoice_status" not in found.traits.honoured_filters | found.traits.ignored_filters


async def test_a_total_of_the_page_is_found() -> None:
    sandbox = Sandbox()

    def count_page(request: RecordedRequest, response: Response) -> Response | None:
        if request.operation != "invoices":
            return None
        content = json.loads(bytes(response.body))
        if "invoices" not in content:
            return None
        return Response(json.dumps(content | {"total_rows": len(content["invoices"])}))

    sandbox.state.on_response.append(count_page)
    async with in_process(sandbox) as cake:
        found = await examine(cake)
    assert found.traits.total_rows == "page"
    assert found.problems == ()


async def test_an_end_date_that_is_exclusive_in_the_filter_alone_is_found() -> None:
    """Rows show the last day of a period, and ``end_date`` finds what ends before it."""
    sandbox = Sandbox()

    def leave_out(request: RecordedRequest, response: Response) -> Response | None:
        end = dict(request.query).get("end_date")
        content = json.loads(bytes(response.body)) if request.operation == "invoices" else {}
        if end is None or "invoices" not in content:
            return None
        rows = [row for row in content["invoices"] if row["end_date"] < end]
        return Response(json.dumps(content | {"invoices": rows, "total_rows": len(rows)}))

    sandbox.state.on_response.append(leave_out)
    async with in_process(sandbox) as cake:
        found = await examine(cake)
    assert found.traits.end_date == "exclusive"
    assert "rows show the last" in of(found, "end date").text


async def test_pages_that_are_too_large_can_be_refused() -> None:
    sandbox = Sandbox(invoices=300)

    def refuse(request: RecordedRequest) -> Response | None:
        if int(dict(request.query).get("row_limit", 0)) <= 100:
            return None
        return Response('{"request_status": "Error", "message": "row_limit"}', 400)

    sandbox.state.on_request.append(refuse)
    async with in_process(sandbox) as cake:
        found = await examine(cake)
    assert (found.traits.row_cap, found.traits.largest_page) == (100, 100)
    async with in_process(sandbox, traits=found.traits) as cake:
        assert len(await cake.invoices.find(row_limit=1000).collect()) == 300


async def test_large_pages_are_asked_for_once_and_found() -> None:
    sandbox = Sandbox(invoices=1_200)
    async with in_process(sandbox) as cake:
        found = await examine(cake)
    assert (found.traits.row_cap, found.traits.largest_page) == (None, 1_200)
    before = len(sandbox.state.requests)
    async with in_process(sandbox) as cake:
        assert len(await cake.invoices.find().collect()) == 1_200
    usual = len(sandbox.state.requests) - before
    async with in_process(sandbox, traits=found.traits) as cake:
        assert len(await cake.invoices.find().collect()) == 1_200
    assert (usual, len(sandbox.state.requests) - before - usual) == (12, 2)


# Bindings.

WORDS = {
    Binding.GET: ("GET", ""),
    Binding.POST: ("POST", "application/x-www-form-urlencoded"),
    Binding.SOAP11: ("POST", "text/xml"),
    Binding.SOAP12: ("POST", "application/soap+xml"),
}


def without(*bindings: Binding) -> Sandbox:
    """An instance whose configuration takes bindings away, as ASP.NET's does by default."""
    sandbox = Sandbox()

    def refuse(request: RecordedRequest) -> Response | None:
        media_type = request.headers.get("content-type", "").partition(";")[0]
        if request.path.startswith("/api/2/"):
            return None
        if (request.method, media_type) not in {WORDS[each] for each in bindings}:
            return None
        return Response(f"Request format is invalid: {media_type}.\r\n", 500)

    sandbox.state.on_request.append(refuse)
    return sandbox


@pytest.mark.parametrize(
    ("missing", "level"),
    [
        ((Binding.POST,), Level.OK),
        ((Binding.SOAP12,), Level.OK),
        ((Binding.SOAP11, Binding.SOAP12), Level.OK),
        ((Binding.GET, Binding.POST), Level.WARNING),
        (tuple(Binding), Level.PROBLEM),
    ],
)
async def test_the_bindings_that_are_answered_are_found(
    missing: tuple[Binding, ...], level: Level
) -> None:
    async with in_process(without(*missing)) as cake:
        found = await examine(cake)
    assert found.traits.bindings == frozenset(Binding) - set(missing)
    assert of(found, "bindings").level is level
    assert found.error is None  # version 2 works


async def test_a_version_1_that_is_down_says_nothing_of_its_bindings() -> None:
    sandbox = Sandbox()
    sandbox.state.on_request.append(
        lambda request: Response("", 502) if request.path.startswith("/api/1/") else None
    )
    async with in_process(sandbox) as cake:
        found = await examine(cake)
    assert found.traits.bindings is None
    assert of(found, "bindings").level is Level.UNKNOWN


async def test_a_key_that_version_1_refuses_is_found() -> None:
    sandbox = Sandbox()
    no = "<r><success>false</success><message>Invalid API key</message></r>"
    sandbox.state.on_request.append(
        lambda request: Response(no) if request.path.startswith("/api/1/") else None
    )
    async with in_process(sandbox) as cake:
        found = await examine(cake)
    assert [each.topic for each in found.problems] == ["version 1"]
    assert found.error is None


# Refusals, each of which ends the examination.


@pytest.mark.parametrize(
    ("answer", "kind", "topic", "requests"),
    [
        (
            says({"request_status": "Error", "message": "Invalid API key"}),
            AuthenticationError,
            "key",
            1,
        ),
        (says({"message": "Invalid API key"}, 401), AuthenticationError, "key", 1),
        (says({"success": False, "message": "Restricted"}), Restricted, "allow list", 1),
        (says("", 429, **{"Retry-After": "120"}), RateLimited, "throttling", 1),
        (lost, DecodeError, "response", 1),
        (unreached, NotSent, "response", 1),
    ],
)
async def test_a_refusal_ends_it_with_what_to_do(
    answer: Answer, kind: type[CakeError], topic: str, requests: int
) -> None:
    found = await examined(Odd(answer))
    assert isinstance(found.error, kind)
    assert (found.findings[-1].topic, found.findings[-1].level) == (topic, Level.PROBLEM)
    assert found.findings[-1].advice
    assert found.requests == requests
    assert found.traits == InstanceTraits()
    assert KEY not in repr(found)


async def test_what_repeats_the_key_is_scrubbed() -> None:
    text = f"no such page: /api/2/invoices.json?api_key={KEY}"
    found = await examined(Odd(says({"request_status": KEY, "message": text}, 400)))
    assert KEY not in repr(found)


async def test_a_server_that_takes_no_more_calls_is_left_alone() -> None:
    sandbox = Sandbox(rate_limit=(9, 3600.0))
    async with in_process(sandbox) as cake:
        found = await examine(cake)
    assert found.requests == len(sandbox.state.requests) == 10
    assert isinstance(found.error, RateLimited)
    assert of(found, "examination").level is Level.WARNING
    assert found.traits.envelope == "flat"
    assert found.traits.bindings is None


async def test_a_function_that_gives_no_key_is_a_finding() -> None:
    async def no_key() -> str:
        raise ConfigurationError("the vault is closed")

    peer = Odd(says(PAGE))
    async with peer.client(api_key=no_key) as cake:
        found = await examine(cake)
    assert (of(found, "key").text, peer.requests) == ("the vault is closed", [])
    assert isinstance(found.error, ConfigurationError)


async def test_a_key_that_was_replaced_meanwhile_is_asked_for() -> None:
    sandbox = Sandbox()
    keys = ["OLD-KEY", "SANDBOX-KEY"]

    async def next_key() -> str:
        return keys.pop(0)

    async with Client(
        "x.example", next_key, transport=httpx.ASGITransport(app=sandbox.app)
    ) as cake:
        found = await examine(cake)
    assert (found.error, found.problems, keys) == (None, (), [])
    assert found.requests == len(sandbox.state.requests)


async def test_a_closed_client_cannot_be_examined() -> None:
    cake = Odd(says(PAGE)).client()
    await cake.aclose()
    with pytest.raises(ClosedError):
        await examine(cake)


# The clock, time, and what the client itself is set to.


@pytest.mark.parametrize(
    ("behind", "level", "said"),
    [(5, Level.OK, "within 30 s"), (90, Level.WARNING, "ahead of"), (-90, Level.WARNING, "behind")],
)
async def test_the_clock_is_compared(behind: int, level: Level, said: str) -> None:
    sandbox = Sandbox()

    def date_it(request: RecordedRequest, response: Response) -> None:
        del request
        theirs = datetime.now(UTC) - timedelta(seconds=behind)
        response.headers["Date"] = format_datetime(theirs, usegmt=True)

    sandbox.state.on_response.append(date_it)
    async with in_process(sandbox) as cake:
        found = await examine(cake)
    assert of(found, "clock").level is level
    assert said in of(found, "clock").text


@SIMULATED
async def test_a_slow_instance_is_left_within_a_minute() -> None:
    sandbox = Sandbox(latency=8.0)
    async with in_process(sandbox) as cake:
        found = await examine(cake)
    assert found.error is None
    assert found.seconds < 60
    assert found.findings[-1].topic == "examination"
    assert found.traits.envelope == "flat"


async def test_the_most_requests_are_not_exceeded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aiocake.doctor.probe.MOST_REQUESTS", 12)
    sandbox = Sandbox()
    async with in_process(sandbox) as cake:
        found = await examine(cake)
    assert found.requests == len(sandbox.state.requests) == 10
    assert found.findings[-1].topic == "examination"
    assert found.requests < MOST_REQUESTS


async def test_neither_traits_nor_ledger_of_the_client_take_part() -> None:
    class Fails:
        async def before(self, intent: object) -> None:
            raise AssertionError(intent)

        async def after(self, intent: object, outcome: object) -> None:
            raise AssertionError(intent, outcome)

    wrong = InstanceTraits(bindings=frozenset(), row_cap=1, end_date="exclusive")
    async with in_process(Sandbox(), traits=wrong, ledger=Fails()) as cake:
        found = await examine(cake)
        assert found.traits.bindings == frozenset(Binding)
        assert (found.traits.row_cap, found.traits.end_date) == (None, "inclusive")
        # And the client is as it was.
        with pytest.raises(CakeError, match="does not answer get"):
            await cake.reference.payment_types()


async def test_a_diagnosis_is_made_of_plain_values() -> None:
    async with in_process(Sandbox()) as cake:
        found = await examine(cake)
    assert attrs.asdict(found, recurse=False)["domain"] == "x.example"
    assert found.at.tzinfo is UTC
    assert {type(each) for each in found.findings} == {Finding}


async def test_no_write_can_be_sent_by_it() -> None:
    from aiocake.doctor.probe import Probe  # noqa: PLC0415 - from below the surface

    sandbox = Sandbox()
    async with in_process(sandbox) as cake:
        with pytest.raises(CakeError, match="read-only"):
            await Probe(cake).by(Binding.GET).invoices.update(4821, memo="x")
    assert sandbox.state.requests == []
