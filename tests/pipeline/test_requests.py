"""Calls that have no method: sent with the key, judged like all others, given as they came."""

import pickle
from collections.abc import Mapping
from datetime import date
from decimal import Decimal

import pytest

from aiocake import (
    SKIP,
    ArgumentError,
    AuthenticationError,
    DecodeError,
    NotSent,
    Outcome,
    OutcomeUnknown,
    RawResponse,
)

from ..support.peer import KEY, Peer, Step, lost, says, unreached

pytestmark = pytest.mark.anyio

LOGS = "/api/2/api_logs.json"


async def test_an_answer_as_it_came() -> None:
    peer = Peer(says('{"rows": [1.10]}', **{"X-Rate": "5"}))
    async with peer.client() as cake:
        answer = await cake.request(
            "GET", LOGS, params={"day": date(2024, 1, 1), "left_out": SKIP}, repeatable=True
        )
    assert isinstance(answer, RawResponse)
    assert (answer.status, answer.headers["x-rate"]) == (200, "5")
    assert answer.body == b'{"rows": [1.10]}'
    assert answer.json() == {"rows": [Decimal("1.10")]}
    (request,) = peer.requests
    assert (request.method, request.url.path) == ("GET", LOGS)
    assert request.url.params["api_key"] == KEY
    assert peer.queries == [{"day": "2024-01-01"}]
    assert request.content == b""


async def test_a_body_is_sent() -> None:
    peer = Peer(says({"request_status": "Success"}))
    async with peer.client() as cake:
        await cake.request("POST", "/api/2/x.json", json={"amount": Decimal(5)}, repeatable=False)
    assert peer.bodies == [{"amount": "5"}]
    assert KEY not in peer.requests[0].content.decode()


async def test_xml_can_be_read() -> None:
    async with Peer(says("<r><a>1</a></r>")).client() as cake:
        answer = await cake.request("GET", "/api/1/get.asmx/X", repeatable=True, writes=False)
    found = answer.xml().find("a")
    assert found is not None
    assert found.text == "1"


async def test_what_is_no_success_raises() -> None:
    peer = Peer(says({"success": False, "message": "Invalid API key"}))
    async with peer.client() as cake:
        with pytest.raises(AuthenticationError) as caught:
            await cake.request("GET", LOGS, repeatable=True)
    assert caught.value.operation == "request"
    assert caught.value.outcome is None


async def test_a_read_is_repeated() -> None:
    peer = Peer(lost, says("[]"))
    async with peer.client() as cake:
        assert (await cake.request("GET", LOGS, repeatable=True)).json() == []
    assert len(peer.requests) == 2


@pytest.mark.parametrize(
    ("method", "path", "repeatable", "writes", "sent"),
    [
        ("POST", "/api/2/x.json", False, None, 1),
        ("POST", "/api/2/x.json", True, None, 3),
        ("GET", "/api/1/accounting.asmx/MarkX", True, None, 3),
        ("GET", "/api/1/accounting.asmx/MarkX", False, None, 1),
        ("GET", "/api/2/update_x.json", True, True, 3),
    ],
)
@pytest.mark.parametrize(
    "how",
    [
        lost,
        says("stream timeout", 408),
        says({"success": False, "message": "Invalid API key"}, 499),
        says("<!doctype html><html>no such page</html>", 502),
    ],
    ids=["reset", "408", "499", "502"],
)
async def test_a_lost_write_is_unknown(  # noqa: PLR0913, PLR0917 - a table
    method: str,
    path: str,
    repeatable: bool,  # noqa: FBT001 - what is tried
    writes: bool | None,  # noqa: FBT001 - the same
    sent: int,
    how: Step,
) -> None:
    peer = Peer(how)
    async with peer.client() as cake:
        with pytest.raises(OutcomeUnknown) as caught:
            await cake.request(
                method,
                path,
                params={"memo": "canary note"},
                json={"notes": "canary note"},
                repeatable=repeatable,
                writes=writes,
            )
    assert len(peer.requests) == sent
    intent = caught.value.intent
    # What a person needs to find out what became of it; what it said stays hidden.
    assert intent.arguments == {
        "method": method,
        "path": path,
        "params": {"memo": "canary note"},
        "json": {"notes": "canary note"},
    }
    assert path in repr(intent)
    assert "canary note" not in repr(intent)
    assert b"canary note" not in pickle.dumps(caught.value)


@pytest.mark.parametrize(
    "path", ["/api/2/x.json", "/api/1/accounting.asmx/MarkX"], ids=["v2", "v1"]
)
@pytest.mark.parametrize("body", ["", "not found", "<!doctype html><html>no such page</html>"])
async def test_a_404_of_a_write_that_is_no_json_is_unknown(path: str, body: str) -> None:
    peer = Peer(says(body, 404))
    async with peer.client() as cake:
        with pytest.raises(OutcomeUnknown) as caught:
            await cake.request("POST", path, repeatable=True)
    assert len(peer.requests) == 1
    assert not caught.value.applied_likely


async def test_payloads_are_shown_where_they_may_be() -> None:
    async with Peer(lost).client(show_sensitive=True) as cake:
        with pytest.raises(OutcomeUnknown) as caught:
            await cake.request("POST", "/api/2/x.json", json={"a": "shown"}, repeatable=False)
    assert "shown" in repr(caught.value.intent)
    assert "params" not in caught.value.intent.arguments


async def test_a_write_that_did_not_leave_is_not_done() -> None:
    async with Peer(unreached).client() as cake:
        with pytest.raises(NotSent) as caught:
            await cake.request("POST", "/api/2/x.json", repeatable=False)
    assert caught.value.outcome is Outcome.NOT_DONE


async def test_a_write_is_done_only_where_the_answer_says_so() -> None:
    async with Peer(says("[]")).client() as cake:
        with pytest.raises(OutcomeUnknown) as caught:
            await cake.request("POST", "/api/2/x.json", repeatable=False)
    assert isinstance(caught.value.cause, DecodeError)
    assert caught.value.applied_likely


@pytest.mark.parametrize(
    ("method", "path", "writes"),
    [
        ("POST", "/api/2/x.json", None),
        ("GET", "/api/1/accounting.asmx/MarkX", None),
        ("GET", "/API/2/x.json", None),
        ("GET", "/api/2/x.json", True),
    ],
)
async def test_a_read_only_client_refuses_writes(
    method: str,
    path: str,
    writes: bool | None,  # noqa: FBT001 - what is tried
) -> None:
    peer = Peer(says("[]"))
    async with peer.client(read_only=True) as cake:
        with pytest.raises(ArgumentError, match="read-only") as caught:
            await cake.request(method, path, repeatable=True, writes=writes)
        assert caught.value.outcome is Outcome.NOT_DONE
        assert peer.requests == []
        await cake.request("GET", LOGS, repeatable=True)
        await cake.request("GET", "/api/1/get.asmx/X", repeatable=True, writes=False)
    assert len(peer.requests) == 2


@pytest.mark.parametrize(
    "path",
    [
        "/api/2/../1/accounting.asmx/MarkX",
        "/api/2/%2e%2E/1/accounting.asmx/MarkX",
        "/api/2/.%2e/1/x",
        "/api/2/./x",
        "/api/2/..",
    ],
)
async def test_a_path_that_leads_elsewhere_is_refused(path: str) -> None:
    peer = Peer(says("[]"))
    async with peer.client(read_only=True) as cake:
        with pytest.raises(ArgumentError, match="path"):
            await cake.request("GET", path, repeatable=True)
        await cake.request("GET", "/api/2/a..b/...json", repeatable=True)
    assert len(peer.requests) == 1


NESTED: dict[str, object] = {}
NESTED["a"] = NESTED


@pytest.mark.parametrize(
    "arguments",
    [
        {"method": "get"},
        {"method": ["GET"]},
        {"path": "api"},
        {"path": None},
        {"path": "/api/1/get.asmx/X", "params": {"notes": "x" * 3000}},
        {"params": [("a", "b")]},
        {"params": {"api_key": "x"}},
        {"params": {"API_Key": "x"}},
        {"params": {1: "x"}},
        {"params": {"\ud800": "x"}},
        {"json": "text"},
        {"json": {"api_key": "x"}},
        {"json": {"a": {"\x01": "x"}}},
        {"json": NESTED},
        {"params": {"a": None}},
        {"json": {"a": 1.5}},
    ],
)
async def test_what_cannot_be_sent_is_refused(arguments: Mapping[str, object]) -> None:
    peer = Peer(says("[]"))
    given = {"method": "GET", "path": LOGS, "repeatable": True} | dict(arguments)
    async with peer.client() as cake:
        with pytest.raises(ArgumentError):
            await cake.request(**given)  # type: ignore[arg-type] # refused
    assert peer.requests == []


async def test_an_answer_that_is_read_wrongly_does_not_show_the_key() -> None:
    async with Peer(says(f"<{KEY}><a/></{KEY}>")).client() as cake:
        answer = await cake.request("GET", LOGS, repeatable=True)
    with pytest.raises(DecodeError, match="<key>") as caught:
        answer.json()
    error = caught.value
    assert error.status == 200
    assert KEY not in str(error) + repr(vars(error))
    assert (error.__cause__, error.__context__) == (None, None)
    assert answer.xml().name == KEY
    # The body is what came, in a copy as well.
    copy = pickle.loads(pickle.dumps(answer))  # noqa: S301 - just made
    assert (copy.status, copy.headers, copy.body) == (200, answer.headers, answer.body)
    assert KEY not in repr(answer)
