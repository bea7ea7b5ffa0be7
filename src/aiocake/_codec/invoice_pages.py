"""Pages of invoices read fast: by msgspec, straight into the model.

msgspec builds objects from the bytes in half the time that ``json.loads`` takes for dicts. Two
things keep it from being enough:

- Of each field of an attrs class that is absent it finds out by an exception, one at a time. So it
  builds *open rows*: a class of the same slots that is not frozen, which begins with None in all
  that may be absent. Once a page is read and found plain, its rows become what they are laid out
  as: invoices.
- It takes what an answer must not hold: a key twice, an amount of ``"1_000"``. So its result counts
  only where the body is of the plain kind. What is not is left to the exact reading, which judges.
  Ids, statuses and amounts are counted, and so is what stands around the rows; that a row has a
  name or a date twice is what the exact reading alone would see.
"""

import re
from collections.abc import Sequence
from datetime import date
from decimal import Decimal, DecimalException
from typing import Annotated, Final, cast

import attrs
import msgspec

from aiocake._codec.numbers import MAX_DIGITS
from aiocake._codec.scalars import MAX_INT
from aiocake._codec.strict_json import BOM
from aiocake.models import Invoice, InvoiceStatus
from aiocake.records import Record

_Id = Annotated[int, msgspec.Meta(ge=1, le=MAX_INT)]
#: An empty one is absent: the exact reading sees to that.
_Text = Annotated[str, msgspec.Meta(min_length=1)]


@attrs.define(kw_only=True, weakref_slot=False)
class _InvoiceBuffer(Record):
    """The slots of an :class:`Invoice`; the amount is still its text."""

    invoice_id: _Id
    invoice_status: InvoiceStatus
    total_amount: str
    affiliate_id: _Id | None = None
    affiliate_name: _Text | None = None
    advertiser_id: _Id | None = None
    advertiser_name: _Text | None = None
    start_date: date | None = None
    end_date: date | None = None
    currency: _Text | None = None
    currency_symbol: _Text | None = None
    invoice_date: date | None = None
    billing_cycle_name: _Text | None = None
    payment_type: _Text | None = None

    def __attrs_pre_init__(self) -> None:
        self.affiliate_id = None
        self.affiliate_name = None
        self.advertiser_id = None
        self.advertiser_name = None
        self.start_date = None
        self.end_date = None
        self.currency = None
        self.currency_symbol = None
        self.invoice_date = None
        self.billing_cycle_name = None
        self.payment_type = None


class _Rows(msgspec.Struct):
    invoices: tuple[_InvoiceBuffer, ...] | None = None
    total_rows: Annotated[int, msgspec.Meta(ge=0)] | None = None


class _Answer(_Rows):
    request_status: str = ""
    response: _Rows | None = None
    success: object = None
    d: object = None


_AMOUNT: Final = b'"total_amount":'
_OTHER_NAME: Final = b'"total_payout":'
# A number as RFC 8259 has it, without an exponent.
_BARE_AMOUNT: Final = re.compile(
    rb'("total_amount":\s*)(-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?)(?=[\s,}])'
)
_QUOTE: Final = re.compile(rb'\s*"')
_EMPTY: Final = re.compile(rb"\[\s*\]")
# From the last backslash in it: from each of them on, a text of backslashes takes quadratic time.
_ESCAPE_IN_KEY: Final = re.compile(rb'\\[^"\\]*"\s*:')
_decoder: Final = msgspec.json.Decoder(_Answer)


def decode_invoice_page(body: bytes) -> tuple[tuple[Invoice, ...], int | None] | None:
    """The invoices of a page, and how many match in all.

    Args:
        body: The answer.

    Returns:
        None when the body is not of the plain kind.
    """
    body = _with_plain_amounts(body.removeprefix(BOM))
    try:
        answer = _decoder.decode(body)
        # What msgspec passes over, it does not look at.
        if not body.isascii():
            body.decode()
        found = answer if answer.response is None else answer.response
        rows = found.invoices
        if rows is None or not (_is_plain(answer, body, rows) and _rows_are_plain(rows, body)):
            return None
        return _invoices(rows), found.total_rows
    except (msgspec.MsgspecError, ValueError, DecimalException, RecursionError):
        return None


def _with_plain_amounts(body: bytes) -> bytes:
    """The same with amounts under their usual name, and as texts, as the first row has them."""
    first = body.find(_AMOUNT)
    if first < 0:
        # With its colon it is a key, wherever it stands.
        body = body.replace(_OTHER_NAME, _AMOUNT)
        first = body.find(_AMOUNT)
    quoted = _QUOTE.match(body, first + len(_AMOUNT))
    return body if quoted else _BARE_AMOUNT.sub(rb'\1"\2"', body)


def _invoices(rows: tuple[_InvoiceBuffer, ...]) -> tuple[Invoice, ...]:
    for row in rows:
        row.total_amount = Decimal(row.total_amount)  # type: ignore[assignment]  # the last step
        row.__class__ = Invoice  # type: ignore[assignment]  # of the same slots
    return cast("tuple[Invoice, ...]", rows)


def _is_plain(answer: _Answer, body: bytes, rows: Sequence[_InvoiceBuffer]) -> bool:
    first, last = body.find(b"["), body.rfind(b"]")
    around = body[:first] + body[last:]
    return (
        answer.request_status.casefold() == "success"
        and answer.success is None
        and answer.d is None
        and (answer.response is None or (answer.invoices is None and answer.total_rows is None))
        and around.count(b'"request_status":') == around.count(b'"invoices":') == 1
        and around.count(b'"total_rows":') <= 1
        # A list of the same name before this one would be the first.
        and (_EMPTY.match(body, first) is None) == bool(rows)
        # No key is hidden by escapes.
        and not (b"\\" in body and _ESCAPE_IN_KEY.search(body))
    )


def _rows_are_plain(rows: Sequence[_InvoiceBuffer], body: bytes) -> bool:
    return (
        body.count(b'"invoice_status":') == len(rows)
        and body.count(_AMOUNT) == len(rows)
        and _ids_are_said_once(rows, body)
        and _amounts_are_plain([row.total_amount for row in rows])
    )


def _ids_are_said_once(rows: Sequence[_InvoiceBuffer], body: bytes) -> bool:
    affiliates = len(rows) - [row.affiliate_id for row in rows].count(None)
    advertisers = len(rows) - [row.advertiser_id for row in rows].count(None)
    # One look is enough where no other key ends like that.
    if body.count(b'_id":') == len(rows) + affiliates + advertisers:
        return True
    return (
        body.count(b'"invoice_id":') == len(rows)
        and _is_said_once(b'"affiliate_id":', affiliates, body)
        and _is_said_once(b'"advertiser_id":', advertisers, body)
    )


def _is_said_once(key: bytes, provided: int, body: bytes) -> bool:
    """Whether rows name an id that they may lack once, be it by a null."""
    nulls = len(re.findall(key + rb"\s*null", body))
    return body.count(key) == provided + nulls and not re.search(key + rb"[^{}]*" + key, body)


def _amounts_are_plain(amounts: Sequence[str]) -> bool:
    together = "".join(amounts)
    return (
        together.isascii()
        and not together.encode().translate(None, b"0123456789.-")
        and max(map(len, amounts), default=0) <= MAX_DIGITS
    )
