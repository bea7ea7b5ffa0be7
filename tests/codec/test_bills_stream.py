"""An export as it arrives: complete and exact, or an error that says how far it came."""

import itertools
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiocake._codec.exports import BillStream
from aiocake.errors import (
    ApiError,
    CakeError,
    DeadlineExceeded,
    DecodeError,
    Restricted,
)
from aiocake.models import AdvertiserBill, AffiliateBill, BuyerBill

pytestmark = pytest.mark.anyio

Stream = Callable[..., BillStream[Any]]
MakeBody = Callable[..., Any]
Collect = Callable[[BillStream[Any]], Awaitable[tuple[list[int], CakeError | None]]]
XSI = 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
KINDS: dict[str, type[Any]] = {
    "affiliate": AffiliateBill,
    "advertiser": AdvertiserBill,
    "buyer": BuyerBill,
}


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


async def test_the_head_is_known_before_the_first_bill_is_given(
    stream: Stream, body: MakeBody, collect: Collect
) -> None:
    whole = export(bill(1), bill(2), bill(3))
    came = body([bytes([each]) for each in whole])
    bills = stream(body=came)
    assert (bills.success, bills.message, bills.row_count) == (None, "", None)
    assert await bills.head() is None
    assert await bills.head() is None
    assert (bills.success, bills.message, bills.row_count) == (True, "", 3)
    assert bills.rows_read == 0
    assert (await anext(bills)).bill_id == 1
    assert bills.rows_read == 1
    assert await collect(bills) == ([2, 3], None)
    assert bills.rows_read == 3
    with pytest.raises(StopAsyncIteration):
        await anext(bills)


async def test_no_more_is_read_than_the_first_bill_needs(stream: Stream, body: MakeBody) -> None:
    whole = export(*map(bill, range(1, 10_001)))
    came = body([whole[at : at + 2048] for at in range(0, len(whole), 2048)])
    bills = stream(body=came)
    await bills.head()
    assert came.taken == 2048
    await anext(bills)
    assert came.taken == 2048


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
async def test_any_root_and_each_kind_of_bill(
    kind: str, before: str, after: str, stream: Stream
) -> None:
    body = (
        before.format(kind)
        + f"<p:success>true</p:success><row_count>1</row_count><p:{kind}_bills><p:{kind}_bill>"
        f"<p:bill_id>5</p:bill_id><{kind}><p:{kind}_id>6</p:{kind}_id></{kind}>"
        f"<bill_amount><amount>-1.5000</amount></bill_amount></p:{kind}_bill></p:{kind}_bills>"
        + after.format(kind)
    )
    bills = stream(body.encode(), kind=kind)
    (read,) = [each async for each in bills]
    assert type(read) is KINDS[kind]
    assert read.bill_id == 5
    assert getattr(read, kind).id == 6
    assert str(read.bill_amount.amount) == "-1.5000"


async def test_absent_empty_nil_and_repeated_elements_are_told_apart(stream: Stream) -> None:
    more = '<a /><b xsi:nil="true" /><d>1</d><d /><e><f>2</f></e>'
    (read,) = [each async for each in stream(export(bill(1, more=more)))]
    assert read.extra == {"a": "", "b": None, "d": ["1", ""], "e": {"f": "2"}}


@given(data=st.data())
async def test_pieces_of_any_size_give_the_same_bills(data: Any, stream: Stream) -> None:  # noqa: ANN401 - hypothesis
    text = "x&#xB;<![CDATA[&#xB;]]>é🍰&#55357;&#xDE00;<!-- <affiliate_bill> -->&#xD83D;y"
    whole = export(bill(1, more=f"<notes>{text}</notes>"), bill(2), bill(3, "-0.0001"))
    cuts = sorted(data.draw(st.sets(st.integers(0, len(whole)), max_size=20)) | {0, len(whole)})
    pieces = [whole[start:end] for start, end in itertools.pairwise(cuts)]
    bills = stream(*pieces)
    read = [each async for each in bills]
    assert read == [each async for each in stream(whole)]
    assert len(read) == 3
    assert read[0].notes == "x&#xB;é🍰😀\ufffdy"
    assert bills.dropped == 1
    assert (bills.lenient.fields, bills.lenient.count) == (("affiliate_bills.notes",), 2)


async def test_bills_that_are_read_only_at_the_end_count_too(
    stream: Stream, collect: Collect
) -> None:
    long = f"<!-- {'x' * 5000} -->"
    whole = export(bill(1), bill(2)).replace(
        b"<affiliate_bills>", b"<affiliate_bills>" + long.encode()
    )
    # A comment that is unfinished waits until as much has come as it would have to read again.
    cut = whole.index(b" -->")
    assert await collect(stream(whole[:cut], whole[cut:])) == ([1, 2], None)


@pytest.mark.parametrize("list_", ["<affiliate_bills />", "<affiliate_bills></affiliate_bills>"])
async def test_an_empty_list_is_a_success(list_: str, stream: Stream, collect: Collect) -> None:
    bills = stream(f"<r><success>true</success><row_count>0</row_count>{list_}</r>".encode())
    assert await bills.head() is None
    assert await collect(bills) == ([], None)


async def test_a_list_that_is_nil_is_no_empty_list(stream: Stream) -> None:
    body = f'<r {XSI}><success>true</success><affiliate_bills xsi:nil="true" /></r>'
    error = await stream(body.encode()).head()
    assert isinstance(error, DecodeError)
    assert error.path == "affiliate_bills"


@pytest.mark.parametrize("start", ["\ufeff", "   \r\n ", ""])
async def test_a_mark_or_spaces_before_the_answer_may_come_byte_by_byte(
    start: str, stream: Stream, collect: Collect
) -> None:
    xml = f"{start}<r><affiliate_bills>{bill(1)}</affiliate_bills></r>".encode()
    json = f'{start}{{"request_status": "Success", "affiliate_bills": []}}'.encode()
    assert await collect(stream(*(bytes([each]) for each in xml))) == ([1], None)
    assert await collect(stream(*(bytes([each]) for each in json))) == ([], None)


async def test_the_head_waits_for_the_first_bill(stream: Stream) -> None:
    whole = export(bill(1), bill(2))
    cut = stream(whole[: whole.index(b"<bill_amount>")])
    assert isinstance(await cut.head(), DecodeError)
    assert cut.row_count == 2
    late = stream(whole[:-10], b"", whole[-10:])
    assert await late.head() is None


async def test_a_body_cut_short_anywhere_gives_what_came_and_raises(
    stream: Stream, collect: Collect
) -> None:
    whole = export(bill(1), bill(2), bill(3))
    ends = [whole.index(bill(number).encode()) + len(bill(number)) for number in (1, 2, 3)]
    for end in range(len(whole)):
        ids, error = await collect(stream(whole[:end]))
        assert ids == [number for number, at in enumerate(ends, 1) if at <= end]
        assert isinstance(error, DecodeError)
        assert error.status == 200
        assert error.rows_read == len(ids)
        if ids:
            assert f"(after {len(ids)} bill" in str(error)


async def test_a_cut_that_the_transport_sees_says_how_many_were_read(
    stream: Stream, collect: Collect
) -> None:
    start = export(bill(1), bill(2)).partition(b"</affiliate_bills>")[0]
    cut = DecodeError("the body ended before it was complete", status=200)
    bills = stream(start, error=cut)
    ids, error = await collect(bills)
    assert ids == [1, 2]
    assert isinstance(error, DecodeError)
    assert str(error) == "the body ended before it was complete (after 2 bills)"
    assert await collect(bills) == ([], error)


async def test_what_the_transport_raises_before_the_first_bill_is_passed_on(stream: Stream) -> None:
    start = export(bill(1)).partition(b"<affiliate_bills>")[0]
    cut = DecodeError("the body ended before it was complete", status=200)
    for body in (start, b"", start + b" " * 2000):
        with pytest.raises(DecodeError) as caught:
            await stream(body, error=cut).head()
        assert caught.value is cut


async def test_running_out_of_time_between_bills_is_passed_on(
    stream: Stream, collect: Collect
) -> None:
    late = DeadlineExceeded("too late")
    ids, error = await collect(stream(export(bill(1))[:-20], error=late))
    assert ids == [1]
    assert error is late
    assert late.rows_read == 1


@pytest.mark.parametrize("row_count", [1, 3, 200_000])
async def test_other_bills_than_row_count_says_are_an_error_after_the_last(
    row_count: int, stream: Stream, collect: Collect
) -> None:
    bills = stream(export(bill(1), bill(2), row_count=row_count))
    ids, error = await collect(bills)
    assert ids == [1, 2]
    assert isinstance(error, DecodeError)
    assert f"row_count is {row_count}" in str(error)


@pytest.mark.parametrize("row_count", ["x", "-1", "1.0", "1</row_count><row_count>1"])
async def test_a_row_count_that_cannot_be_read_is_an_error_at_once(
    row_count: str, stream: Stream, collect: Collect
) -> None:
    ids, error = await collect(stream(export(bill(1), row_count=row_count)))
    assert ids == []
    assert isinstance(error, DecodeError)
    assert error.path == "row_count"
    assert "after" not in str(error)


@pytest.mark.parametrize("row_count", ["", " "])
async def test_an_empty_row_count_is_absent(
    row_count: str, stream: Stream, collect: Collect
) -> None:
    bills = stream(export(bill(1), row_count=row_count))
    assert await collect(bills) == ([1], None)
    assert bills.row_count is None
    assert (bills.lenient.fields, bills.lenient.count) == (("row_count",), 1)


@pytest.mark.parametrize(
    "error", ["<error>Timeout expired</error>", "<message>Restricted</message>"]
)
@pytest.mark.parametrize("said", ["<success>true</success>", ""])
async def test_an_error_beside_the_bills_counts_too(
    error: str, said: str, stream: Stream, collect: Collect
) -> None:
    for whole in (export(before=said + error), export(before=said, after=error)):
        _, raised = await collect(stream(whole))
        assert isinstance(raised, ApiError | DecodeError)


async def test_what_is_said_behind_the_bills_counts_too(stream: Stream, collect: Collect) -> None:
    bare = f"<r><affiliate_bills>{bill(1)}</affiliate_bills>%s</r>"
    assert await collect(stream((bare % "").encode())) == ([1], None)
    ids, error = await collect(stream((bare % "<row_count>2</row_count>").encode()))
    assert (ids, type(error)) == ([1], DecodeError)
    no = "<success>false</success><message>Restricted</message>"
    ids, error = await collect(stream((bare % no).encode()))
    assert (ids, type(error)) == ([1], Restricted)


@pytest.mark.parametrize("size", [1, 100, 10**6])
async def test_a_bill_that_cannot_be_read_raises_after_those_before_it(
    size: int, stream: Stream, collect: Collect
) -> None:
    whole = export(bill(1), bill(2), bill(3, "1&#xB;2"), bill(4))
    bills = stream(*(whole[at : at + size] for at in range(0, len(whole), size)))
    ids, error = await collect(bills)
    assert ids == [1, 2]
    assert isinstance(error, DecodeError)
    assert error.path == "affiliate_bills[2].bill_amount.amount"
    assert await collect(bills) == ([], error)


@pytest.mark.parametrize("size", [1, 100, 10**6])
async def test_what_comes_before_a_nul_byte_is_given(
    size: int, stream: Stream, collect: Collect
) -> None:
    whole = export(bill(1), bill(2)).replace(b"</affiliate_bills>", b"\0</affiliate_bills>")
    bills = stream(*(whole[at : at + size] for at in range(0, len(whole), size)))
    ids, error = await collect(bills)
    assert ids == [1, 2]
    assert isinstance(error, DecodeError)
    assert "NUL" in str(error)
    assert bills.row_count == 2


@pytest.mark.parametrize(
    ("inside", "path"),
    [
        ("<affiliate_bill />", "affiliate_bills[0]"),
        ('<affiliate_bill xsi:nil="true" />', "affiliate_bills[0]"),
        (
            bill(1) + bill(2).replace("affiliate_bill>", "advertiser_bill>"),
            "affiliate_bills[1]",
        ),
        (f"{bill(1)}</affiliate_bills><affiliate_bills>{bill(2)}", "affiliate_bills"),
        (f"{bill(1)}<affiliate_bill>&nbsp;", "affiliate_bills[1]"),
        (f"{bill(1)}</affiliate_bills><x>&nbsp;</x><affiliate_bills>", ""),
    ],
)
async def test_a_list_that_is_none_of_bills_is_refused(
    inside: str, path: str, stream: Stream, collect: Collect
) -> None:
    ids, error = await collect(stream(export(inside)))
    assert ids == ([1] if bill(1) in inside else [])
    assert isinstance(error, DecodeError)
    assert error.path == path


async def test_a_message_beside_a_success_is_no_refusal(stream: Stream, collect: Collect) -> None:
    before = "<success>true</success><message>Restricted to 2014</message>"
    assert await collect(stream(export(bill(1), before=before))) == ([1], None)


async def test_an_error_shows_what_the_answer_says_only_when_it_may(
    stream: Stream, collect: Collect
) -> None:
    for show_sensitive in (False, True):
        for broken in (bill(2, "12 for Jane"), "<affiliate_bill><notes>Jane &nbsp;", "Jane</x>"):
            _, error = await collect(stream(export(bill(1), broken), show_sensitive=show_sensitive))
            assert isinstance(error, DecodeError)
            assert ("Jane" in str(error)) is show_sensitive
