"""A response is parsed once, whoever asks for what it says, and only where somebody asks."""

import pytest

from aiocake._codec import codec, strict_json
from aiocake._codec import reply as replies
from aiocake._messages import Response
from aiocake.endpoints import affiliate_bills, invoices
from aiocake.models import MarkResult

PAGE = (
    b'{"request_status":"Success","invoices":[{"invoice_id":1,"invoice_status":"paid",'
    b'"total_amount":"1.50"}],"total_rows":1}'
)


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The bodies that were parsed by the exact parsers, each as often as it was."""
    bodies: list[bytes] = []
    parse_json, parse_xml = strict_json.parse, replies.parse_counting

    def counted_json(body: bytes, *, show_sensitive: bool = False) -> object:
        bodies.append(body)
        return parse_json(body, show_sensitive=show_sensitive)

    def counted_xml(body: bytes) -> object:
        bodies.append(body)
        return parse_xml(body)

    monkeypatch.setattr(strict_json, "parse", counted_json)
    monkeypatch.setattr(replies, "parse_counting", counted_xml)
    return bodies


def test_nothing_is_parsed_before_it_is_asked_for(parsed: list[bytes]) -> None:
    assert codec.read_reply(Response(200, {}, b"{")).dropped == 0
    assert parsed == []


def test_a_write_in_json_is_parsed_once(parsed: list[bytes]) -> None:
    body = b'{"request_status":"Success","invoice":{"invoice_id":4821,"memo":"paid"}}'
    reply = codec.read_reply(Response(200, {}, body))
    assert codec.error_of(invoices.UPDATE, reply) is None
    assert codec.decode(invoices.UPDATE, {"invoice_id": 4821}, reply).memo == "paid"
    assert parsed == [body]


def test_a_write_in_xml_is_parsed_once_and_counts_what_was_dropped(parsed: list[bytes]) -> None:
    body = b"<r><success>true</success><message>Bill &#x1;Marked As Received&#2;</message></r>"
    reply = codec.read_reply(Response(200, {}, body))
    assert codec.error_of(affiliate_bills.MARK_RECEIVED, reply) is None
    result = codec.decode(affiliate_bills.MARK_RECEIVED, {"bill_id": 345}, reply)
    assert result == MarkResult(bill_id=345, message="Bill Marked As Received", first=True)
    assert reply.dropped == 2
    assert parsed == [body]


@pytest.mark.parametrize("frame", ["content-length", "transfer-encoding"])
def test_a_plain_page_needs_no_exact_parse(parsed: list[bytes], frame: str) -> None:
    reply = codec.read_reply(Response(200, {frame: "x"}, PAGE))
    assert codec.error_of(invoices.FIND, reply) is None
    assert codec.decode(invoices.FIND, {}, reply).total_rows == 1
    assert parsed == []


def test_a_page_that_may_be_cut_off_is_parsed_before_it_counts_as_one(parsed: list[bytes]) -> None:
    whole, cut = (codec.read_reply(Response(200, {}, body)) for body in (PAGE, PAGE[:-1]))
    assert codec.error_of(invoices.FIND, whole) is None
    assert codec.error_of(invoices.FIND, cut) is not None
    assert parsed == [PAGE, PAGE[:-1]]


def test_a_page_that_the_fast_reader_leaves_is_parsed_once(parsed: list[bytes]) -> None:
    body = PAGE.replace(b'"paid"', b'"paid","affiliate_name":""')
    reply = codec.read_reply(Response(200, {}, body))
    assert codec.error_of(invoices.FIND, reply) is None
    assert codec.decode(invoices.FIND, {}, reply).items[0].affiliate_name is None
    assert parsed == [body]
