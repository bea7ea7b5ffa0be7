"""An export as it arrives: complete and exact, or an error that says how far it came."""

import itertools
from collections.abc import Iterable
from decimal import Decimal
from typing import Any, Literal, Self

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiocake._operation import Api, Operation, Shape
from aiocake.codec.stream import BillStream
from aiocake.errors import (
    ApiError,
    AuthenticationError,
    CakeError,
    DeadlineExceeded,
    DecodeError,
    RateLimited,
    RequestRejected,
    Restricted,
    ServerError,
)
from aiocake.models import AdvertiserBill, AffiliateBill, BuyerBill
from aiocake.sandbox import Dialect, Sandbox

pytestmark = pytest.mark.anyio

XSI = 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
KINDS: dict[str, type[Any]] = {
    "affiliate": AffiliateBill,
    "advertiser": AdvertiserBill,
    "buyer": BuyerBill,
}


def export_of(kind: str) -> Operation[Any]:
    return Operation(
        name=f"{kind}_bills.export",
        api=Api.V1,
        path="/api/1/accounting.asmx",
        call=f"Export{kind.title()}Bills",
        shape=Shape.STREAM,
        element=f"{kind}_bills",
        row=f"{kind}_bill",
        model=KINDS[kind],
        page="",
    )


EXPORT: Operation[AffiliateBill] = export_of("affiliate")


def bill(number: int, amount: str = "10.5000", more: str = "") -> str:
    return (
        f"<affiliate_bill><bill_id>{number}</bill_id><affiliate>"
        f'<affiliate_id xmlns="API:id_name_store">7</affiliate_id></affiliate><bill_amount>'
        f"<amount>{amount}</amount></bill_amount>{more}</affiliate_bill>"
    )


def export(*bills: str, before: str = "", after: str = "", row_count: object = None) -> bytes:
    count = len(bills) if row_count is None else row_count
    return (
        '<?xml version="1.0" encoding="utf-8"?>\r\n'
        f'<export_response {XSI} xmlns="http://cakemarketing.com/api/1/">'
        f"{before or '<success>true</success>'}<row_count>{count}</row_count>"
        f"<affiliate_bills>{''.join(bills)}</affiliate_bills>{after}</export_response>"
    ).encode()


class Body:
    """A body that comes in pieces, and may end with an error.

    Attributes:
        taken: How many bytes were asked for.
    """

    def __init__(self, pieces: Iterable[bytes], error: Exception | None = None) -> None:
        self._pieces = iter(pieces)
        self._error = error
        self.taken = 0

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        for piece in self._pieces:
            self.taken += len(piece)
            return piece
        raise self._error or StopAsyncIteration


def stream(
    *pieces: bytes, status: int = 200, error: Exception | None = None, payloads: bool = False
) -> BillStream[AffiliateBill]:
    body = Body(pieces, error)
    return BillStream(EXPORT, status, {}, body, payloads=payloads)


async def collect(bills: BillStream[Any]) -> tuple[list[int], CakeError | None]:
    """The ids that were given, and how it ended."""
    ids: list[int] = []
    try:
        async for each in bills:
            ids.append(each.bill_id)  # noqa: PERF401 - what came before an error counts
    except CakeError as error:
        return ids, error
    return ids, None


async def test_the_head_is_known_before_the_first_bill_is_given() -> None:
    whole = export(bill(1), bill(2), bill(3))
    body = Body([bytes([each]) for each in whole])
    bills = BillStream(EXPORT, 200, {}, body)
    assert bills.row_count is None
    assert await bills.head() is None
    assert await bills.head() is None
    assert bills.row_count == 3
    assert bills.rows == 0
    assert (await anext(bills)).bill_id == 1
    assert bills.rows == 1
    assert await collect(bills) == ([2, 3], None)
    assert bills.rows == 3
    with pytest.raises(StopAsyncIteration):
        await anext(bills)


async def test_no_more_is_read_than_the_first_bill_needs() -> None:
    whole = export(*map(bill, range(1, 10_001)))
    body = Body([whole[at : at + 2048] for at in range(0, len(whole), 2048)])
    bills = BillStream(EXPORT, 200, {}, body)
    await bills.head()
    assert body.taken == 2048
    await anext(bills)
    assert body.taken == 2048


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("<export_{}_bills_accounting_response>", "</export_{}_bills_accounting_response>"),
        (
            '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><R><Result>',
            "</Result></R></s:Body></s:Envelope>",
        ),
        ('<x:a xmlns:x="u">', "</x:a>"),
        ("\ufeff<a>", "</a>\n<!-- done -->"),
    ],
)
async def test_any_root_and_each_kind_of_bill(kind: str, before: str, after: str) -> None:
    body = (
        before.format(kind)
        + f"<p:success>true</p:success><row_count>1</row_count><p:{kind}_bills><p:{kind}_bill>"
        f"<p:bill_id>5</p:bill_id><{kind}><p:{kind}_id>6</p:{kind}_id></{kind}>"
        f"<bill_amount><amount>-1.5000</amount></bill_amount></p:{kind}_bill></p:{kind}_bills>"
        + after.format(kind)
    )
    bills = BillStream(export_of(kind), 200, {}, Body([body.encode()]))
    (read,) = [each async for each in bills]
    assert type(read) is KINDS[kind]
    assert read.bill_id == 5
    assert getattr(read, kind).id == 6
    assert str(read.bill_amount.amount) == "-1.5000"


async def test_absent_empty_nil_and_repeated_elements_are_told_apart() -> None:
    more = '<a /><b xsi:nil="true" /><d>1</d><d /><e><f>2</f></e>'
    (read,) = [each async for each in stream(export(bill(1, more=more)))]
    assert read.extra == {"a": "", "b": None, "d": ["1", ""], "e": {"f": "2"}}


@given(data=st.data())
async def test_pieces_of_any_size_give_the_same_bills(data: Any) -> None:  # noqa: ANN401 - hypothesis
    text = "x&#xB;<![CDATA[&#xB;]]>é🍰<!-- <affiliate_bill> -->y"
    whole = export(bill(1, more=f"<notes>{text}</notes>"), bill(2), bill(3, "-0.0001"))
    cuts = sorted(data.draw(st.sets(st.integers(0, len(whole)), max_size=20)) | {0, len(whole)})
    pieces = [whole[start:end] for start, end in itertools.pairwise(cuts)]
    bills = stream(*pieces)
    read = [each async for each in bills]
    assert read == [each async for each in stream(whole)]
    assert len(read) == 3
    assert read[0].extra == {"notes": "x&#xB;é🍰y"}
    assert bills.dropped == 1


@pytest.mark.parametrize("list_", ["<affiliate_bills />", "<affiliate_bills></affiliate_bills>"])
async def test_an_empty_list_is_a_success(list_: str) -> None:
    bills = stream(f"<r><success>true</success><row_count>0</row_count>{list_}</r>".encode())
    assert await bills.head() is None
    assert await collect(bills) == ([], None)


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ("Invalid API key", AuthenticationError),
        ("Restricted", Restricted),
        ("Something else", ApiError),
        ("", ApiError),
    ],
)
@pytest.mark.parametrize(
    "list_", ["", "<affiliate_bills />", f"<affiliate_bills>{bill(1)}</affiliate_bills>"]
)
async def test_a_refused_export_raises_before_any_bill(
    message: str, kind: type[ApiError], list_: str
) -> None:
    said = f"<success>false</success><message>{message}</message>{list_}"
    bills = stream(f"<r>{said}</r>".encode())
    head = await bills.head()
    assert type(head) is kind
    assert isinstance(head, ApiError)
    assert message in head.message
    assert head.status == 200
    assert await collect(bills) == ([], head)


async def test_a_known_refusal_needs_no_success_element() -> None:
    body = b"<r><message>Invalid API key</message><affiliate_bills /></r>"
    assert type(await stream(body).head()) is AuthenticationError


async def test_a_message_beside_a_success_is_no_refusal() -> None:
    before = "<success>true</success><message>Restricted to 2014</message>"
    assert await collect(stream(export(bill(1), before=before))) == ([1], None)


SOAP12 = "http://www.w3.org/2003/05/soap-envelope"


def fault11(code: str) -> bytes:
    return (
        '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><s:Fault>'
        f"<faultcode>s:{code}</faultcode><faultstring>It &amp; broke</faultstring></s:Fault>"
        "</s:Body></s:Envelope>"
    ).encode()


def fault12(code: str) -> bytes:
    return (
        f'<s:Envelope xmlns:s="{SOAP12}"><s:Body><s:Fault><s:Code><s:Value>s:{code}</s:Value>'
        "</s:Code><s:Reason><s:Text>It &amp; broke</s:Text></s:Reason></s:Fault></s:Body>"
        "</s:Envelope>"
    ).encode()


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (500, b"Missing parameter: billing_cycle.\r\n", RequestRejected),
        (500, b"It failed.", ServerError),
        (500, fault11("Client"), RequestRejected),
        (500, fault11("Server"), ServerError),
        (200, fault12("Sender"), RequestRejected),
        (500, fault12("Receiver"), ServerError),
        (400, b"", RequestRejected),
        (415, b"", RequestRejected),
        (401, b"<html>no</html>", AuthenticationError),
        (404, b"<html>no</html>", DecodeError),
        (429, b"", RateLimited),
        (302, b"", DecodeError),
        (500, export(bill(1)), ServerError),
        (206, export(bill(1)), DecodeError),
        (200, b"", DecodeError),
        (200, b" \r\n", DecodeError),
        (200, b"<html><body>Log in</body></html>", DecodeError),
        (200, b"<!DOCTYPE html><html></html>", DecodeError),
        (200, b"OK", DecodeError),
        (200, b"<r><success>true</success></r>", DecodeError),
        (200, b"<string>Invalid API key</string>", AuthenticationError),
        (200, b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', DecodeError),
        (200, b"[]", DecodeError),
        (200, b'{"request_status": "Error", "message": "Invalid API key"}', AuthenticationError),
        (200, b'{"d": "Restricted"}', Restricted),
    ],
)
async def test_an_answer_without_bills_is_its_error(
    status: int, body: bytes, kind: type[CakeError]
) -> None:
    for pieces in ([body], [body[at : at + 1] for at in range(len(body))]):
        bills = stream(*pieces, status=status)
        head = await bills.head()
        assert type(head) is kind
        assert await collect(bills) == ([], head)


@pytest.mark.parametrize("status", [200, 500])
@pytest.mark.parametrize("start", [b"<html>", b"text", b"<r>", b""])
async def test_an_endless_answer_without_bills_is_read_no_further_than_needed(
    status: int, start: bytes
) -> None:
    body = Body([start, *([b" x " * 1000] * 10_000)])
    head = await BillStream(EXPORT, status, {}, body).head()
    assert isinstance(head, CakeError)
    assert body.taken < 80_000


async def test_an_endless_bill_and_an_endless_end_are_refused() -> None:
    row = b"<a>" + b"x" * 1000 + b"</a>"
    start = export(bill(1)).partition(b"</affiliate_bills>")[0]
    body = Body([start, b"<affiliate_bill>", *([row * 60] * 1000)])
    ids, error = await collect(BillStream(EXPORT, 200, {}, body))
    assert ids == [1]
    assert isinstance(error, DecodeError)
    assert body.taken < 9_000_000
    body = Body([export(bill(1)), *([b" " * 1000] * 1000)])
    ids, error = await collect(BillStream(EXPORT, 200, {}, body))
    assert ids == [1]
    assert isinstance(error, DecodeError)
    assert body.taken < 100_000


async def test_a_body_cut_short_anywhere_gives_what_came_and_raises() -> None:
    whole = export(bill(1), bill(2), bill(3))
    ends = [whole.index(bill(number).encode()) + len(bill(number)) for number in (1, 2, 3)]
    for end in range(len(whole)):
        ids, error = await collect(stream(whole[:end]))
        assert ids == [number for number, at in enumerate(ends, 1) if at <= end]
        assert isinstance(error, DecodeError)
        assert error.status == 200
        if ids:
            assert f"(after {len(ids)} bill" in str(error)


async def test_a_cut_that_the_transport_sees_says_how_many_were_read() -> None:
    start = export(bill(1), bill(2)).partition(b"</affiliate_bills>")[0]
    cut = DecodeError("the body ended before it was whole", status=200)
    bills = stream(start, error=cut)
    ids, error = await collect(bills)
    assert ids == [1, 2]
    assert isinstance(error, DecodeError)
    assert str(error) == "the body ended before it was whole (after 2 bills)"
    assert await collect(bills) == ([], error)


async def test_what_the_transport_raises_before_the_first_bill_is_passed_on() -> None:
    start = export(bill(1)).partition(b"<affiliate_bills>")[0]
    cut = DecodeError("the body ended before it was whole", status=200)
    for body in (start, b"", start + b" " * 2000):
        with pytest.raises(DecodeError) as caught:
            await stream(body, error=cut).head()
        assert caught.value is cut


async def test_running_out_of_time_between_bills_is_passed_on() -> None:
    late = DeadlineExceeded("too late")
    ids, error = await collect(stream(export(bill(1))[:-20], error=late))
    assert ids == [1]
    assert error is late


@pytest.mark.parametrize("row_count", [1, 3, 200_000])
async def test_other_bills_than_row_count_says_are_an_error_after_the_last(row_count: int) -> None:
    bills = stream(export(bill(1), bill(2), row_count=row_count))
    ids, error = await collect(bills)
    assert ids == [1, 2]
    assert isinstance(error, DecodeError)
    assert f"row_count is {row_count}" in str(error)


@pytest.mark.parametrize("row_count", ["x", "-1", "1.0", "", "1</row_count><row_count>1"])
async def test_a_row_count_that_cannot_be_read_is_an_error_at_once(row_count: str) -> None:
    ids, error = await collect(stream(export(bill(1), row_count=row_count)))
    assert ids == []
    assert isinstance(error, DecodeError)
    assert error.path == "row_count"
    assert "after" not in str(error)


async def test_what_is_said_behind_the_bills_counts_too() -> None:
    bare = f"<r><affiliate_bills>{bill(1)}</affiliate_bills>%s</r>"
    assert await collect(stream((bare % "").encode())) == ([1], None)
    ids, error = await collect(stream((bare % "<row_count>2</row_count>").encode()))
    assert (ids, type(error)) == ([1], DecodeError)
    no = "<success>false</success><message>Restricted</message>"
    ids, error = await collect(stream((bare % no).encode()))
    assert (ids, type(error)) == ([1], Restricted)


@pytest.mark.parametrize("size", [1, 100, 10**6])
async def test_a_bill_that_cannot_be_read_raises_after_those_before_it(size: int) -> None:
    whole = export(bill(1), bill(2), bill(3, "1&#xB;2"), bill(4))
    bills = stream(*(whole[at : at + size] for at in range(0, len(whole), size)))
    ids, error = await collect(bills)
    assert ids == [1, 2]
    assert isinstance(error, DecodeError)
    assert error.path == "affiliate_bills[2].bill_amount.amount"
    assert await collect(bills) == ([], error)


@pytest.mark.parametrize(
    ("inside", "path"),
    [
        ("<affiliate_bill />", "affiliate_bills[0]"),
        ('<affiliate_bill xsi:nil="true" />', "affiliate_bills[0]"),
        (f"{bill(1)}<advertiser_bill />", "affiliate_bills[1]"),
        (f"{bill(1)}</affiliate_bills><affiliate_bills>{bill(2)}", "affiliate_bills"),
        (f"{bill(1)}<affiliate_bill>&nbsp;", "affiliate_bills[1]"),
        (f"{bill(1)}</affiliate_bills><x>&nbsp;</x><affiliate_bills>", ""),
    ],
)
async def test_a_list_that_is_none_of_bills_is_refused(inside: str, path: str) -> None:
    ids, error = await collect(stream(export(inside)))
    assert ids == ([1] if bill(1) in inside else [])
    assert isinstance(error, DecodeError)
    assert error.path == path


async def test_an_error_shows_what_the_answer_says_only_when_it_may() -> None:
    for payloads in (False, True):
        for broken in (bill(2, "12 for Jane"), "<affiliate_bill><notes>Jane &nbsp;", "Jane</x>"):
            _, error = await collect(stream(export(bill(1), broken), payloads=payloads))
            assert isinstance(error, DecodeError)
            assert ("Jane" in str(error)) is payloads


@given(st.binary(max_size=100), st.sampled_from([200, 500, 404]))
async def test_bytes_of_any_kind_are_read_or_refused(body: bytes, status: int) -> None:
    whole = export(bill(1), bill(2))
    for pieces in ([body], [whole[:-80], body, whole[-80:]], [whole, body]):
        ids, error = await collect(stream(*pieces, status=status))
        assert error is not None or ids == [1, 2]


async def test_an_answer_in_json_is_read_once_it_is_whole() -> None:
    one = (
        '{"bill_id": 1, "affiliate": {"affiliate_id": 7, "affiliate_name": null},'
        ' "bill_amount": {"amount": 10.1000, "currency_id": "2"}, "notes": [1, {"a": true}]}'
    )
    response = f'{{"row_count": 1, "affiliate_bills": [{one}]}}'
    body = f'{{"request_status": "Success", "response": {response}}}'
    bills = stream(body.encode())
    (read,) = [each async for each in bills]
    assert bills.dropped == 0
    assert read.bill_amount.amount.as_tuple() == Decimal("10.1000").as_tuple()
    assert read.affiliate.id == 7
    assert read.extra == {"notes": [1, {"a": True}]}


@pytest.mark.parametrize(
    ("response", "path"),
    [
        ('"affiliate_bills": [{"bill_id": 1}]', "affiliate_bills[0].bill_amount"),
        ('"affiliate_bills": {}', "affiliate_bills"),
        ('"affiliate_bills": [], "row_count": 1', "affiliate_bills"),
        ('"advertiser_bills": []', "affiliate_bills"),
        ('"affiliate_bills": [], "row_count": "x"', "row_count"),
    ],
)
async def test_json_of_another_kind_is_refused(response: str, path: str) -> None:
    body = f'{{"request_status": "Success", "response": {{{response}}}}}'
    error = await stream(body.encode()).head()
    assert isinstance(error, DecodeError)
    assert error.path == path
    assert error.status == 200


async def test_json_beyond_the_cap_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aiocake.codec._export_json._LARGEST", 10_000)
    body = Body([b'{"a": [', *([b"1," * 1000] * 1000)])
    head = await BillStream(EXPORT, 200, {}, body).head()
    assert isinstance(head, DecodeError)
    assert body.taken < 20_000


@pytest.mark.parametrize("answers", ["xml", "json"])
@pytest.mark.parametrize("kind", KINDS)
async def test_what_the_sandbox_exports_is_what_it_stores(
    kind: str, answers: Literal["xml", "json"]
) -> None:
    sandbox = Sandbox(bills=100, dialect=Dialect(v1_answers=answers))
    query = {
        "api_key": "SANDBOX-KEY",
        "billing_cycle": "all",
        "billing_period_start_date": "2000-01-01",
        "billing_period_end_date": "2100-01-01",
    }
    if kind == "affiliate":
        query |= {"paid_only": "false", "payment_type_id": "0"}
    url = f"http://sandbox/api/1/accounting.asmx/Export{kind.title()}Bills"
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=sandbox.app)) as client:
        response = await client.get(url, params=query)
    bills = BillStream(export_of(kind), 200, {}, Body([response.content]))
    read = {each.bill_id: each async for each in bills}
    stored = getattr(sandbox.state, f"{kind}_bills")
    assert len(read) == len(stored) > 10
    for number, record in stored.items():
        partner = getattr(read[number], kind)
        assert read[number].bill_amount.amount == record.amount
        hidden = "\x1b" if answers == "xml" else ""
        assert partner.name == record.partner.name.replace(hidden or "\0", "")
        assert read[number].extra.get("notes") == record.notes
