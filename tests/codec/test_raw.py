"""Calls that have no method yet: what is sent, what is refused, and what comes back."""

from datetime import UTC, date, datetime
from decimal import Decimal

import msgspec
import pytest

from aiocake._codec.codec import read_reply
from aiocake._codec.raw import error_of_raw
from aiocake._codec.raw_response import Json, RawResponse
from aiocake._messages import KeyPlacement, Request, Response
from aiocake.errors import (
    ApiError,
    ArgumentError,
    AuthenticationError,
    DecodeError,
    RequestRejected,
    ServerError,
)
from aiocake.models import InvoiceStatus
from aiocake.values import SKIP, Idempotency

from ..support.requests import encode_raw


def test_parameters_stand_behind_the_key() -> None:
    params = {
        "start_date": date(2024, 1, 1),
        "note": "a&b=c d/é",
        "status": InvoiceStatus.PAID,
        "skipped": SKIP,
        "all": True,
        "amount": Decimal("1E+3"),
        "at": datetime(2024, 2, 15, 10, tzinfo=UTC),
    }
    assert encode_raw("GET", "/api/2/api_logs.json", params) == Request(
        "request",
        "GET",
        "/api/2/api_logs.json",
        query=(
            "api_key=&start_date=2024-01-01&note=a%26b%3Dc%20d%2F%C3%A9&status=paid&all=true"
            "&amount=1000&at=2024-02-15T10%3A00%3A00Z"
        ),
        key_placement=KeyPlacement.QUERY,
        key_offset=len("api_key="),
        own_path=True,
    )


def test_a_body_is_json() -> None:
    body: dict[str, Json] = {
        "id": 5,
        "amount": Decimal("12.50"),
        "on": True,
        "days": [date(2024, 1, 1), SKIP, "x"],
        "in": {"skipped": SKIP, "status": InvoiceStatus.VOID},
    }
    request = encode_raw("POST", "/api/2/x.json", json=body)
    assert request.query == "api_key="
    assert request.headers == (("Content-Type", "application/json"),)
    assert msgspec.json.decode(request.body) == {
        "id": 5,
        "amount": "12.50",
        "on": True,
        "days": ["2024-01-01", "x"],
        "in": {"status": "void"},
    }


def test_everything_that_cannot_be_sent_is_named() -> None:
    with pytest.raises(ArgumentError) as caught:
        encode_raw(
            "get",
            "/api/2/x.json?a=1",
            {"api_key": "K", "a": 1.5, "b": None, "c": "\x00", "d": datetime(2024, 1, 1)},  # type: ignore[dict-item]  # noqa: DTZ001 - refused
            {"rows": [{"x": 1.5}], "y": Decimal("NaN")},  # type: ignore[dict-item]  # refused
        )
    assert {problem.name for problem in caught.value.problems} == {
        "method",
        "path",
        "api_key",
        "a",
        "b",
        "c",
        "d",
        "json.rows[0].x",
        "json.y",
    }


@pytest.mark.parametrize(
    "path",
    ["", "api", "//", "/a b", "/é", "/a?b", "/a#b", "/a\r\nHost: x", "/a%2", "/a%zz", "/a\\b"],
)
def test_a_path_that_is_none_is_refused(path: str) -> None:
    if path == "//":
        assert encode_raw("GET", path).path == path
        return
    with pytest.raises(ArgumentError, match="path"):
        encode_raw("GET", path)


def answer(body: bytes, status: int = 200) -> Response:
    return Response(status, {}, body)


@pytest.mark.parametrize(
    ("body", "of_read", "of_write"),
    [
        (b'{"request_status": "Success"}', None, None),
        (b"<a><success>true</success></a>", None, None),
        (b'{"request_status": "Success", "errors": ["not saved"]}', None, DecodeError),
        (b'{"rows": []}', None, DecodeError),
        (b"<a/>", None, DecodeError),
        (b"[1, 2]", None, DecodeError),
        (b"id;name\r\n1;x", None, DecodeError),
        (b'{"success": false, "message": "no"}', ApiError, ApiError),
        (b'{"message": "Invalid API key"}', AuthenticationError, AuthenticationError),
        (b"<!doctype html><html>", DecodeError, DecodeError),
        (b"", DecodeError, DecodeError),
        (b"{", DecodeError, DecodeError),
    ],
)
def test_an_answer_is_judged(
    body: bytes, of_read: type[Exception] | None, of_write: type[Exception] | None
) -> None:
    read = error_of_raw(read_reply(answer(body)))
    assert (None if read is None else type(read)) is of_read
    for idempotency in (Idempotency.IDEMPOTENT, Idempotency.NON_IDEMPOTENT):
        write = error_of_raw(read_reply(answer(body)), idempotency)
        assert (None if write is None else type(write)) is of_write


def test_a_status_is_judged() -> None:
    assert type(error_of_raw(read_reply(answer(b"x", 400)))) is RequestRejected
    assert type(error_of_raw(read_reply(answer(b"[1]", 500)))) is ServerError
    assert type(error_of_raw(read_reply(answer(b"", 302)))) is DecodeError


def test_an_answer_is_read_exactly() -> None:
    raw = RawResponse(200, {"content-type": "x"}, b'\xef\xbb\xbf{"a": 0.10, "b": [1, "x"]}')
    assert raw.json() == {"a": Decimal("0.10"), "b": [1, "x"]}
    assert repr(raw) == "<RawResponse 200, 29 bytes>"
    root = RawResponse(200, {}, b'<r xmlns="urn:x"><a>1</a><a/></r>').xml()
    assert (root.name, [child.text for child in root.children]) == ("r", ["1", ""])


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b'{"a": 1, "a": 1}',
        b"NaN",
        b"-Infinity",
        b"[1e400]",
        b"9" * 29,
        b"9" * 5000,
        b"[" * 65 + b"]" * 65,
        b"[" * 100_000,
        b'"\xff"',
        '{"a": 1}'.encode("utf-16"),
    ],
    ids=range(12),
)
def test_what_is_no_plain_json_is_refused(body: bytes) -> None:
    with pytest.raises(DecodeError):
        RawResponse(200, {}, body).json()


def test_json_may_be_as_deep_as_the_bound() -> None:
    value = RawResponse(200, {}, b"[" * 64 + b"]" * 64).json()
    for _ in range(63):
        assert isinstance(value, list)
        value = value[0]
    assert value == []


def test_xml_that_is_none_is_refused() -> None:
    with pytest.raises(DecodeError):
        RawResponse(200, {}, b"<!DOCTYPE a><a/>").xml()
