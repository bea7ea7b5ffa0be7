"""The fast reading of invoices gives what the exact one gives, or gives way to it."""

import json
import weakref
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiocake._codec import results as decoding
from aiocake._codec.codec import decode, read_reply
from aiocake._codec.invoice_pages import decode_invoice_page
from aiocake._codec.leniency import Leniency
from aiocake._messages import Response
from aiocake._operations.operation import Api, Operation, ResponseShape
from aiocake.errors import DecodeError
from aiocake.models import Invoice, InvoiceStatus, Page

from ..support.amounts import some

PAGE: Operation[Page[Invoice]] = Operation(
    name="invoices.page",
    api=Api.V2,
    path="/api/2/invoices.json",
    shape=ResponseShape.PAGE,
    element="invoices",
    model=Invoice,
    documented_in="",
)


def exactly(body: bytes) -> Page[Invoice] | None:
    """What the exact reading makes of it; None when it refuses."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decoding, "decode_invoice_page", lambda _: None)
        try:
            return decode(PAGE, {}, read_reply(Response(200, {}, body)))
        except DecodeError:
            return None


def fast(body: bytes) -> Page[Invoice] | None:
    """What the fast reading makes of it; None when it gives way."""
    found = decode_invoice_page(body)
    return None if found is None else Page(items=found[0], total_rows=found[1], start_at_row=0)


ROW = {
    "invoice_id": 4821,
    "affiliate_id": 67890,
    "affiliate_name": "Acme Media Group",
    "invoice_status": "pending",
    "start_date": "2024-01-01",
    "end_date": "2024-01-31",
    "total_amount": "1250.00",
    "currency": "USD",
}


def body_of(*rows: object, wrapped: bool = False, **around: object) -> bytes:
    content = {"invoices": rows, **around}
    content = {"response": content} if wrapped else content
    return json.dumps({"request_status": "Success", **content}, ensure_ascii=False).encode()


NEWER = {
    "invoice_id": 5,
    "invoice_date": "2024-01-31",
    "invoice_status": "Paid",
    "advertiser_id": 7,
    "advertiser_name": 'a "total_payout" total_payout',
    "total_payout": -12.5,
    "currency_symbol": "€",
    "billing_cycle_name": "Weekly",
    "payment_type": None,
}


@pytest.mark.parametrize(
    "body",
    [
        body_of(),
        body_of(ROW, total_rows=1),
        body_of(ROW, ROW, wrapped=True, total_rows=2),
        body_of(NEWER, NEWER, wrapped=True),
        body_of({**ROW, "total_amount": 1250.5}, {**ROW, "total_amount": -3}),
        body_of({**ROW, "advertiser_id": None, "x_id": 5}),
        body_of({**ROW, "advertiser_id": None}, {**ROW, "affiliate_id": None}),
        body_of({**ROW, "extra": [{"a": {"b": [1]}}]}, total_rows=10),
        body_of({**ROW, "invoice_status": "draft"}),
        body_of({**ROW, "affiliate_name": '"invoice_id", "total_amount" 1'}),
        body_of({**ROW, "affiliate_name": '"invoice_id": 5, "total_amount": 1\\'}, total_rows=1),
        body_of({**ROW, "affiliate_name": 'Acme \\" & \\\\" Söhne \\'}, total_rows=1),
        body_of({**ROW, "affiliate_name": "Acme: 12:30"}, ROW, total_rows=2),
        body_of({**ROW, "affiliate_name": "日本\x00😀"}),
        body_of({**ROW, "total_amount": "5."}, {**ROW, "total_amount": "-.5"}),
        b"\xef\xbb\xbf" + body_of(ROW),
        b" " + json.dumps({"request_status": "success", "invoices": [ROW]}, indent=2).encode(),
        json.dumps({"invoices": [ROW], "request_status": "SUCCESS"}).encode(),
    ],
)
def test_the_plain_kind_is_read_fast(body: bytes) -> None:
    found = fast(body)
    assert found is not None
    assert found == exactly(body)
    assert [type(row) for row in found.items] == [Invoice] * len(found.items)


@pytest.mark.parametrize(
    "odd",
    [
        '"affiliate_name": ""',
        '"advertiser_name": ""',
        '"currency": ""',
        '"currency_symbol": ""',
        '"billing_cycle_name": ""',
        '"payment_type": ""',
        '"advertiser_id": ""',
        '"start_date": ""',
        '"invoice_date": ""',
        r'"payment_type": "\ud83d"',
        r'"payment_type": "\ude00\ud83d"',
    ],
)
def test_what_decorates_a_row_and_is_odd_is_left_to_the_exact_reading(odd: str) -> None:
    name = odd.partition('"')[2].partition('"')[0]
    bare = {key: value for key, value in ROW.items() if key != name}
    body = body_of(bare, ROW).replace(b"{", f"{{{odd}, ".encode(), 2)
    body = body.replace(f"{odd}, ".encode(), b"", 1)
    assert fast(body) is None
    lenient = Leniency()
    page = decode(PAGE, {}, read_reply(Response(200, {}, body)), leniency=lenient)
    assert getattr(page.items[0], name) == (None if odd.endswith('""') else HALVES[odd])
    assert (lenient.fields, lenient.count) == ((f"invoices.{name}",), 1)


HALVES = {
    r'"payment_type": "\ud83d"': "\ufffd",
    r'"payment_type": "\ude00\ud83d"': "\ufffd\ufffd",
}


def test_a_row_that_was_read_fast_is_an_invoice_like_any_other() -> None:
    found = fast(body_of(ROW))
    assert found is not None
    row = found.items[0]
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        row.invoice_id = 5  # type: ignore[misc]  # that it is refused is the point
    assert attrs.evolve(row, currency="EUR").currency == "EUR"
    made = Invoice(
        invoice_id=4821,
        invoice_status=InvoiceStatus.PENDING,
        total_amount=Decimal("1250.00"),
        affiliate_id=67890,
        affiliate_name="Acme Media Group",
        start_date=row.start_date,
        end_date=row.end_date,
        currency="USD",
    )
    assert (row, hash(row), repr(row)) == (made, hash(made), repr(made))
    with pytest.raises(TypeError):
        weakref.ref(row)


def test_all_that_a_row_may_lack_is_none() -> None:
    names = [attribute.name for attribute in attrs.fields(Invoice)]
    optional = {a.name: a.default for a in attrs.fields(Invoice) if a.default is not attrs.NOTHING}
    assert optional == dict.fromkeys(names[3:])
    bare = fast(body_of({"invoice_id": 1, "invoice_status": "paid", "total_amount": "1"}))
    assert bare is not None
    assert attrs.asdict(bare.items[0]) == {
        "invoice_id": 1,
        "invoice_status": "paid",
        "total_amount": Decimal(1),
        **optional,
    }


def twice(key: str, value: str) -> Callable[[bytes], bytes]:
    """Put a key into the first row once more."""
    return lambda body: body.replace(b"[{", f'[{{"{key}": {value}, '.encode(), 1)


def instead(was: str, is_now: str) -> Callable[[bytes], bytes]:
    return lambda body: body.replace(was.encode(), is_now.encode(), 1)


@pytest.mark.parametrize(
    "change",
    [
        twice("invoice_id", "1"),
        twice("affiliate_id", "1"),
        twice("affiliate_id", "null"),
        twice("invoice_status", '"paid"'),
        twice("total_amount", '"0.01"'),
        twice("total_amount", "0.01"),
        twice("affiliate_name", '"Other"'),
        twice("start_date", '"2024-01-01"'),
        twice("end_date", "null"),
        twice("currency", '"EUR"'),
        twice('invoice_status" :"paid", "x', "1"),
        twice(r"invoice_\u0069d", "1"),
        instead('"request_status"', '"request_status": "Error", "request_status"'),
        instead('"total_rows"', '"total_rows": 7, "total_rows"'),
        instead('"invoices"', '"invoices": [], "invoices"'),
        instead('"request_status": "Success"', '"request_status": "Error"'),
        instead('"request_status": "Success"', '"success": false'),
        instead('"total_rows": 2', '"total_rows": -1'),
        instead('"total_rows": 2', '"total_rows": 1.5'),
        *(
            instead('"1250.00"', value)
            for value in (
                '"NaN"',
                '"Infinity"',
                '"1_000"',
                '" 12.5 "',
                '"1,250.00"',
                r'"\u0661\u0662"',
                r'"\uff11\uff12"',
                '""',
                '"-"',
                '"1-2"',
                '"1.2.3"',
                '"--1"',
                f'"{"9" * 29}"',
                f'"{"9" * 5000}"',
                '"1e999999"',
                "1e999999",
                "NaN",
                "01",
                "null",
                "true",
                "9" * 5000,
            )
        ),
        *(instead("4821", value) for value in ("0", "-1", "2147483648", "1.0", "null", "9" * 5000)),
        instead("67890", "-67890"),
        instead("Acme", "Ac\x01me"),
        lambda body: body + b"x",
        lambda body: body[:-1],
        lambda body: body.replace(b"Acme", b"\xff"),
        lambda body: body.replace(b'"currency"', b'"\xff"', 1),
        lambda body: body.decode().encode("utf-16"),
    ],
)
@pytest.mark.parametrize("name", ["Acme Media Group", "Acme: 12:30"])
def test_what_is_not_plain_is_refused_by_both(name: str, change: Callable[[bytes], bytes]) -> None:
    row = {**ROW, "affiliate_name": name}
    plain = body_of(row, row, total_rows=2)
    body = change(plain)
    assert body != plain
    assert fast(plain) is not None
    assert fast(body) is None
    assert exactly(body) is None


@pytest.mark.parametrize(
    "first",
    [
        '"affiliate_id": 1, "affiliate_id": 67890',
        '"affiliate_id": null, "affiliate_id": 67890',
        '"affiliate_id": null, "affiliate_id": null',
        '"affiliate_id": 67890, "advertiser_id": 1, "advertiser_id": 2',
        '"affiliate_id": 1, "between": {"a": 1}, "affiliate_id": 67890',
    ],
)
def test_an_id_twice_is_not_made_up_for_by_a_row_without_one(first: str) -> None:
    revenue = {key: value for key, value in ROW.items() if key != "affiliate_id"}
    rows = [ROW, ROW, {**revenue, "advertiser_id": 5}]
    body = body_of(*rows).replace(b'"affiliate_id": 67890', first.encode(), 1)
    assert fast(body_of(*rows)) is not None
    assert fast(body) is None
    assert exactly(body) is None


@pytest.mark.parametrize(
    "change",
    [
        instead("4821", '"4821"'),
        instead("67890", "0"),
        instead('"total_amount"', '"total_payout": 1, "total_amount"'),
        instead('"1250.00"', '"1.25e3"'),
        instead('"1250.00"', "1.25e3"),
        instead('"1250.00"', '"+1250.00"'),
        instead('"1250.00"', f'"{"0" * 40}1250.00"'),
        instead('"2024-01-01"', '"2024-01-01T00:00:00"'),
        instead('"request_status": "Success"', '"success": "true"'),
    ],
)
def test_what_is_odd_but_clear_is_left_to_the_exact_reading(
    change: Callable[[bytes], bytes],
) -> None:
    body = change(body_of(ROW, ROW, total_rows=2))
    assert fast(body) is None
    found = exactly(body)
    assert found is not None
    assert len(found.items) == 2
    assert decode(PAGE, {}, read_reply(Response(200, {}, body))) == found


NUMBERS = st.one_of(
    st.decimals(allow_nan=True, allow_infinity=True).map(str),
    st.decimals(-(10**6), 10**6, places=2).map(str),
    st.text("0123456789.-+eE_ ,\u0661", max_size=32),
    st.integers(-(10**30), 10**30).map(str),
)
IDS = st.one_of(st.integers(-1, 3), st.integers(2**31 - 1, 2**31), st.none(), st.text(max_size=3))
ROWS = st.fixed_dictionaries(
    {
        "invoice_id": st.integers(1, 2**31 - 1) | IDS,
        "invoice_status": st.sampled_from(["pending", "Paid", "draft", "", None, 1]),
        "total_amount": NUMBERS | st.integers() | st.floats(allow_nan=False),
    },
    optional={
        "affiliate_id": IDS,
        "affiliate_name": st.text() | st.none(),
        "advertiser_id": IDS,
        "start_date": st.dates().map(str) | st.datetimes().map(str) | st.text(max_size=10),
        "currency": st.sampled_from(["USD", "", " ", None, 5, "\ud83d", "\ud83d\ude00"]),
        "end_date": st.sampled_from(["", "2024-01-31", "soon", None]),
        "advertiser_name": st.sampled_from(["", "A", None]),
        "total_payout": NUMBERS,
        "unknown_id": st.integers() | st.lists(st.integers(), max_size=2),
    },
)


@given(
    rows=st.lists(ROWS, max_size=3),
    total=st.none() | st.integers(-1, 10) | st.just("5"),
    wrapped=st.booleans(),
    ascii_only=st.booleans(),
)
def test_both_readings_agree(
    rows: list[dict[str, object]],
    total: object,
    *,
    wrapped: bool,
    ascii_only: bool,
) -> None:
    content = {"invoices": rows, "total_rows": total}
    answer = {"request_status": "Success", **({"response": content} if wrapped else content)}
    body = json.dumps(answer, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    found = fast(body)
    if found is not None:
        assert found == exactly(body)


#: A row of the sample, by keys and values as JSON writes them; and all that may be wrong with one.
SAMPLE = [(key, json.dumps(value)) for key, value in ROW.items()]
KEYS = [*ROW, "total_payout", "advertiser_id", "payment_type", r"invoice_\u0069d", "x"]
KEYS_AROUND = ["request_status", "invoices", "total_rows", "response", "success", "d", "x"]
VALUES = [
    *("null", "1", "0", "-0", "1.5", '"1.5"', '""', '"1_0"', '"2024-01-31"', '"affiliate_id"'),
    *('": 1"', r'"pa\"id"', r'"\\"', r'"\\\""', r'"\u0022x\u0022"', '{"currency": "USD"}'),
]
VALUES_AROUND = ["null", "1", "-0", "[]", "{}", '{"invoices": []}', '"success"', "true", "false"]


def changes(keys: list[str], values: list[str]) -> st.SearchStrategy[list[tuple[object, ...]]]:
    what = st.sampled_from(["leave out", "change", "put in", "put in"])
    change = st.tuples(what, st.integers(0, 9), st.sampled_from(keys), st.sampled_from(values))
    return st.lists(change, max_size=3)


def changed(fields: list[tuple[str, str]], by: list[tuple[Any, ...]], colon: str) -> str:
    """Write an object that has other fields in some places."""
    fields = list(fields)
    for what, at, key, value in by:
        # What is unknown twice is seen by the exact reading alone.
        if what == "put in" and (key != "x" or "x" not in dict(fields)):
            fields.insert(at, (key, value))
        elif at < len(fields):
            fields[at : at + 1] = [(fields[at][0], value)] if what == "change" else []
    return "{" + ", ".join(f'"{name}"{colon}{value}' for name, value in fields) + "}"


@given(
    rows=st.lists(changes(KEYS, VALUES), min_size=1, max_size=3),
    around=changes(KEYS_AROUND, VALUES_AROUND),
    colon=st.sampled_from([":", ": ", " :"]),
    total=st.integers(0, 3),
)
@settings(max_examples=some(1000))
def test_a_page_with_any_keys_is_read_as_exactly_or_left_to_the_exact_reading(
    rows: list[list[tuple[object, ...]]], around: list[tuple[object, ...]], colon: str, total: int
) -> None:
    listed = ", ".join(changed(SAMPLE, by, colon) for by in rows)
    frame = [
        ("request_status", '"Success"'),
        ("invoices", f"[{listed}]"),
        ("total_rows", str(total)),
    ]
    body = changed(frame, around, colon).encode()
    found = fast(body)
    if found is not None:
        assert found == exactly(body)


@given(
    st.integers(1, 2**31 - 1),
    st.decimals(-(10**20), 10**20, places=2),
    st.sampled_from(InvoiceStatus),
    st.dates(),
)
def test_what_servers_send_is_read_fast(
    invoice_id: int, amount: Decimal, status: InvoiceStatus, day: object
) -> None:
    row = {
        **ROW,
        "invoice_id": invoice_id,
        "total_amount": str(amount),
        "invoice_status": status.title(),
        "start_date": str(day),
    }
    found = fast(body_of(row, total_rows=1))
    assert found is not None
    assert found.items[0].total_amount == amount
    assert found.items[0].invoice_status is status
    assert found == exactly(body_of(row, total_rows=1))
