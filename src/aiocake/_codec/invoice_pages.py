"""Decode pages of invoices with msgspec; unusual ones are left to the exact reader.

msgspec takes what a response must not hold: of a key that is there twice it takes the last one, and
``"1_000"`` for an amount. So what it read counts only if the body holds each key exactly as often
as it was read. There are two ways to know:

- Rows with all the fields of CAKE's sample, and no others. msgspec requires these fields, so a page
  has at least the colons after their names. One that has no more has no key twice, and no other
  key besides. Where texts hold colons, quotes are counted in the same way.
- Any other rows, several times slower. Each key of the model is counted by its name. What is
  unknown is passed over, so only the exact reader sees that an unknown key is there twice.

Rows are read into *buffers*, which are laid out as invoices, are not frozen, and become invoices
once the page is known to be plain. To make invoices of other objects would take twice as long.
"""

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal, DecimalException
from operator import attrgetter
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeAlias

import attrs
import msgspec

from aiocake._codec.leniency import members
from aiocake._codec.numbers import MAX_DIGITS
from aiocake._codec.strict_json import BOM
from aiocake._codec.unfrozen import unfrozen
from aiocake._operations.parameters import MAX_INT
from aiocake.models import Invoice

InvoicePage: TypeAlias = tuple[tuple[Invoice, ...], int | None]

_Id = Annotated[int, msgspec.Meta(ge=1, le=MAX_INT)]
#: msgspec takes -0 for 0, and the exact reader does not: so 0 is left to it.
_RowCount = _Id
#: An empty one is absent: the exact reader notes that.
_Text = Annotated[str, msgspec.Meta(min_length=1)]
#: The text of an amount says how it is written.
_Amount = Annotated[str, msgspec.Meta(max_length=MAX_DIGITS)]
#: What msgspec reads a type of the model from, where it is not that type itself.
_READ_FROM: Final[Mapping[type[Any], Any]] = {int: _Id, str: _Text, Decimal: _Amount}
_FIELDS: Final = members(Invoice)
_TYPES: Final = {each.name: _READ_FROM.get(each.type, each.type) for each in _FIELDS}
_OPTIONAL: Final = tuple(each.name for each in _FIELDS if each.optional)
#: Fields that a row of CAKE's sample has not; it has all others.
_NOT_IN_SAMPLE: Final = (
    "advertiser_id",
    "advertiser_name",
    "currency_symbol",
    "invoice_date",
    "billing_cycle_name",
    "payment_type",
)
_SAMPLE: Final = {name: kind for name, kind in _TYPES.items() if name not in _NOT_IN_SAMPLE}


#: The value of a field that a row has not; null is None.
_ABSENT: Final = msgspec.UNSET


def _buffer(fields: Mapping[str, Any], **body: object) -> Any:  # noqa: ANN401 - a class made here
    """Return a class with the slots of an invoice, of which msgspec reads these fields."""
    read = attrs.fields(attrs.make_class("_Read", dict(fields), kw_only=True))
    # Or it would take the types that an invoice has.
    types = {field.name: field.type for field in read}
    return unfrozen(Invoice, "_InvoiceBuffer", __attrs_attrs__=read, __annotations__=types, **body)


if TYPE_CHECKING:
    _SampleRow: TypeAlias = Invoice
    _AnyRow: TypeAlias = Invoice
else:
    # msgspec takes longer to find that a field is absent than to read one: it knows no others.
    _SampleRow = _buffer({name: attrs.field(type=kind) for name, kind in _SAMPLE.items()})
    _AnyRow = _buffer(
        {
            name: attrs.field(default=None, type=kind | None)
            if name in _OPTIONAL
            else attrs.field(type=kind)
            for name, kind in _TYPES.items()
        },
        # Its generated __init__ takes the row alone, and sets all that may be absent.
        __attrs_pre_init__=attrs.make_class(
            "_Optional", {name: attrs.field(default=_ABSENT) for name in _OPTIONAL}
        ).__init__,
    )


class _SamplePage(msgspec.Struct):
    request_status: str
    invoices: tuple[_SampleRow, ...]
    total_rows: _RowCount


class _Rows(msgspec.Struct):
    invoices: tuple[_AnyRow, ...] | None = None
    total_rows: _RowCount | None = None
    message: object = _ABSENT


class _AnyPage(_Rows):
    request_status: str = ""
    response: _Rows | None = None
    success: object = _ABSENT
    d: object = _ABSENT


#: Keys around the rows of a page as CAKE's sample has it, and the quotes there.
_KEYS_AROUND: Final = 3
_QUOTES_AROUND: Final = '"request_status":"Success","invoices":[],"total_rows":1'.count('"')
#: Two of the name, and two of a text.
_QUOTES_OF_ROW: Final = sum(2 if kind is _Id else 4 for kind in _SAMPLE.values())
_sample_decoder: Final = msgspec.json.Decoder(_SamplePage)
_any_decoder: Final = msgspec.json.Decoder(_AnyPage)
_values_of: Final = attrgetter(*_TYPES)

_AMOUNT: Final = b'"total_amount":'
_OTHER_NAME: Final = b'"total_payout":'
# A number as RFC 8259 has it, without an exponent.
_BARE_AMOUNT: Final = re.compile(
    rb'("total_amount":\s*)(-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?)(?=[\s,}])'
)
_QUOTE: Final = re.compile(rb'\s*"')
# From the last backslash in it: from each of them on, a text of backslashes takes quadratic time.
_ESCAPE_IN_KEY: Final = re.compile(rb'\\[^"\\]*"\s*:')


def decode_invoice_page(body: bytes) -> InvoicePage | None:
    """Return the invoices of a page and how many match in all; None if the body is not plain."""
    body = body.removeprefix(BOM)
    for decode in (_decode_sample, _decode_any):
        try:
            page = decode(body)
        except (msgspec.MsgspecError, ValueError, DecimalException, RecursionError):
            continue
        if page is not None:
            return page
    return None


def _decode_sample(body: bytes) -> InvoicePage | None:
    page = _sample_decoder.decode(body)
    rows: tuple[Any, ...] = page.invoices
    if not _has_sample_keys_only(body, len(rows)) or page.request_status.casefold() != "success":
        return None
    for row, amount in zip(rows, _decimals(rows), strict=True):
        row.total_amount = amount
        # By name: a loop over the names would take longer than all else here.
        row.advertiser_id = row.advertiser_name = row.currency_symbol = None
        row.invoice_date = row.billing_cycle_name = row.payment_type = None
        row.__class__ = Invoice
    return rows, page.total_rows


def _has_sample_keys_only(body: bytes, rows: int) -> bool:
    """Return whether a page, of which msgspec read all keys of the sample, has no other key."""
    if body.count(b":") == _KEYS_AROUND + len(_SAMPLE) * rows:
        return True
    if b"\\" in body:
        body = body.replace(rb"\\", b"").replace(rb"\"", b"")
    return body.count(b'"') == _QUOTES_AROUND + _QUOTES_OF_ROW * rows


def _decimals(rows: Sequence[Any]) -> "map[Decimal]":
    """Return the amounts of rows, which still are texts.

    Raises:
        ValueError: One is not in plain digits.
    """
    texts = [row.total_amount for row in rows]
    together = "".join(texts)
    if not together.isascii() or together.encode().translate(None, b"0123456789.-"):
        raise ValueError
    return map(Decimal, texts)


def _decode_any(body: bytes) -> InvoicePage | None:
    body = _with_plain_amounts(body)
    page = _any_decoder.decode(body)
    around = page if page.response is None else page.response
    if around.invoices is None or not _is_plain(page, body):
        return None
    rows: tuple[Any, ...] = around.invoices
    for name, column in zip(_TYPES, zip(*map(_values_of, rows), strict=True), strict=False):
        absent = column.count(_ABSENT)
        if _times(name, body) != len(rows) - absent:
            return None
        if absent:
            for row, value in zip(rows, column, strict=True):
                if value is _ABSENT:
                    setattr(row, name, None)
    for row, amount in zip(rows, _decimals(rows), strict=True):
        row.total_amount = amount
        row.__class__ = Invoice
    return rows, around.total_rows


def _with_plain_amounts(body: bytes) -> bytes:
    """Return the body with amounts under their usual name, and as texts if the first is none."""
    first = body.find(_AMOUNT)
    if first < 0:
        # With its colon it is a key, wherever it stands.
        body = body.replace(_OTHER_NAME, _AMOUNT)
        first = body.find(_AMOUNT)
    quoted = _QUOTE.match(body, first + len(_AMOUNT))
    return body if quoted else _BARE_AMOUNT.sub(rb'\1"\2"', body)


def _is_plain(page: _AnyPage, body: bytes) -> bool:
    """Return whether the page is a success, and no key around its rows is hidden or there twice."""
    around = page if page.response is None else page.response
    layers = (page,) if around is page else (page, around)
    if not body.isascii():
        body.decode()  # msgspec does not look at what it passes over
    folded = body.lower()  # in whatever case, another name may say otherwise
    return (
        page.request_status.casefold() == "success"
        and page.success is page.d is _ABSENT
        and _times("success", folded) == _times("request_status", folded) == 1
        and _times("message", folded) == sum(each.message in (None, "") for each in layers)
        and not (b'"err' in folded or b'"exception' in folded)
        and _times("request_status", body) == _times("invoices", body) == 1
        and _times("response", body) == (page.response is not None)
        and _times("total_rows", body) == (around.total_rows is not None)
        and _times("total_payout", body) == 0
        and not (b"\\" in body and _ESCAPE_IN_KEY.search(body))
    )


def _times(name: str, body: bytes) -> int:
    """Return how often a body has a key, or a text that is equal to it: never fewer."""
    return body.count(b'"%b"' % name.encode())
