"""Pages of invoices read fast: by msgspec, straight into the model.

msgspec builds objects from the bytes in half the time that ``json.loads`` takes for dicts. Two
things keep it from being enough:

- Of each field of an attrs class that is absent it finds out by an exception, one at a time. So it
  builds *buffers*: of a class with the same slots that is not frozen, and begins with None in all
  that may be absent. Once a page is read and found plain, its buffers become invoices, since they
  are laid out as these are.
- It takes what a response must not hold: a key twice, an amount of ``"1_000"``. So its result
  counts only where the body is plain. One that is not is left to the exact reader, which judges.
  Ids, statuses and amounts are counted, and so is what stands around the rows; a name or a date
  that a row has twice is seen by the exact reader alone.

The fields of a buffer are made from those of the model.
"""

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal, DecimalException
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeAlias

import attrs
import msgspec

from aiocake._codec.leniency import FieldInfo, members
from aiocake._codec.numbers import MAX_DIGITS
from aiocake._codec.strict_json import BOM
from aiocake._operations.parameters import MAX_INT
from aiocake.models import Invoice

_Id = Annotated[int, msgspec.Meta(ge=1, le=MAX_INT)]
#: An empty one is absent: the exact reader sees to that.
_Text = Annotated[str, msgspec.Meta(min_length=1)]
_OPTIONAL: Final = tuple(each.name for each in members(Invoice) if each.optional)
#: What msgspec reads a type of the model from, where it is not that type itself.
_READ_FROM: Final[Mapping[type[Any], Any]] = {int: _Id, str: _Text, Decimal: str}
#: Its generated ``__init__`` sets None in all optional fields, faster than a loop.
_ABSENT: Final[Any] = attrs.make_class(
    "_Absent", {name: attrs.field(default=None) for name in _OPTIONAL}
)


def _buffer_field(member: FieldInfo) -> Any:  # noqa: ANN401 - attrs' own name for it is private
    kind: Any = _READ_FROM.get(member.type, member.type)
    return (
        attrs.field(default=None, type=kind | None) if member.optional else attrs.field(type=kind)
    )


if TYPE_CHECKING:
    _InvoiceBuffer: TypeAlias = Invoice
else:
    #: Has the slots of an invoice, but is not frozen, and its amount is still a text.
    _InvoiceBuffer = attrs.make_class(
        "_InvoiceBuffer",
        {each.name: _buffer_field(each) for each in members(Invoice)},
        bases=Invoice.__bases__,
        class_body={"__attrs_pre_init__": _ABSENT.__init__},  # called with the row alone
        kw_only=True,
        slots=True,
        weakref_slot=False,
    )


class _Rows(msgspec.Struct):
    invoices: tuple[_InvoiceBuffer, ...] | None = None
    total_rows: Annotated[int, msgspec.Meta(ge=0)] | None = None


class _Page(_Rows):
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
_decoder: Final = msgspec.json.Decoder(_Page)


def decode_invoice_page(body: bytes) -> tuple[tuple[Invoice, ...], int | None] | None:
    """Return the invoices of a page and how many match in all; None if the body is not plain."""
    body = _with_plain_amounts(body.removeprefix(BOM))
    try:
        page = _decoder.decode(body)
        # msgspec does not look at what it passes over.
        if not body.isascii():
            body.decode()
        around = page if page.response is None else page.response
        rows = around.invoices
        if rows is None or not (_is_plain(page, body, rows) and _rows_are_plain(rows, body)):
            return None
        return _invoices(rows), around.total_rows
    except (msgspec.MsgspecError, ValueError, DecimalException, RecursionError):
        return None


def _with_plain_amounts(body: bytes) -> bytes:
    """Return the body with amounts under their usual name, and as texts if the first is none."""
    first = body.find(_AMOUNT)
    if first < 0:
        # With its colon it is a key, wherever it stands.
        body = body.replace(_OTHER_NAME, _AMOUNT)
        first = body.find(_AMOUNT)
    quoted = _QUOTE.match(body, first + len(_AMOUNT))
    return body if quoted else _BARE_AMOUNT.sub(rb'\1"\2"', body)


def _invoices(rows: tuple[Any, ...]) -> tuple[Invoice, ...]:
    """Turn buffers into the invoices that they are laid out as."""
    for row in rows:
        row.total_amount = Decimal(row.total_amount)
        row.__class__ = Invoice
    return rows


def _is_plain(page: _Page, body: bytes, rows: Sequence[_InvoiceBuffer]) -> bool:
    first, last = body.find(b"["), body.rfind(b"]")
    around = body[:first] + body[last:]
    return (
        page.request_status.casefold() == "success"
        and page.success is None
        and page.d is None
        and (page.response is None or (page.invoices is None and page.total_rows is None))
        and around.count(b'"request_status":') == around.count(b'"invoices":') == 1
        and around.count(b'"total_rows":') <= 1
        # A list of the same name before this one would be the first.
        and (_EMPTY.match(body, first) is None) == bool(rows)
        # No key is hidden by escapes.
        and not (b"\\" in body and _ESCAPE_IN_KEY.search(body))
    )


def _rows_are_plain(rows: Sequence[Any], body: bytes) -> bool:
    return (
        body.count(b'"invoice_status":') == len(rows)
        and body.count(_AMOUNT) == len(rows)
        and _ids_are_named_once(rows, body)
        and _amounts_are_plain([row.total_amount for row in rows])
    )


def _ids_are_named_once(rows: Sequence[Invoice], body: bytes) -> bool:
    # By name: getters would take twice as long.
    affiliates = len(rows) - [row.affiliate_id for row in rows].count(None)
    advertisers = len(rows) - [row.advertiser_id for row in rows].count(None)
    # One look is enough where no other key ends like that.
    if body.count(b'_id":') == len(rows) + affiliates + advertisers:
        return True
    return (
        body.count(b'"invoice_id":') == len(rows)
        and _is_named_once(b'"affiliate_id":', affiliates, body)
        and _is_named_once(b'"advertiser_id":', advertisers, body)
    )


def _is_named_once(key: bytes, known: int, body: bytes) -> bool:
    """Return whether rows name an id that they may lack once, be it by a null."""
    nulls = len(re.findall(key + rb"\s*null", body))
    return body.count(key) == known + nulls and not re.search(key + rb"[^{}]*" + key, body)


def _amounts_are_plain(amounts: Sequence[str]) -> bool:
    together = "".join(amounts)
    return (
        together.isascii()
        and not together.encode().translate(None, b"0123456789.-")
        and max(map(len, amounts), default=0) <= MAX_DIGITS
    )
