"""Decode the response to a successful call, by the shape of its operation."""

import re
from collections.abc import Mapping
from contextlib import suppress
from datetime import date, datetime
from decimal import Context, Decimal
from http import HTTPStatus
from typing import Any, Final, TypeVar, cast

import attrs

from aiocake._codec.converter import count_of, read_date, structure
from aiocake._codec.error_messages import is_first
from aiocake._codec.invoice_pages import decode_invoice_page
from aiocake._codec.leniency import SPACE, Leniency, members
from aiocake._codec.refusals import with_context
from aiocake._codec.reply import BOTH, Reply, is_object
from aiocake._codec.xml.tree import XmlElement
from aiocake._operations.operation import CreateLookup, Operation, ResponseShape
from aiocake._operations.parameters import format_value
from aiocake.errors import ConsistencyError, DecodeError, NotFound
from aiocake.models import Invoice, MarkResult, Page
from aiocake.values import Idempotency

T = TypeVar("T")

#: How many rows there are: v1's lists have the one, v2's the other; no page shows a short list of
#: v2 whole.
_COUNTS: Final = ("row_count", "total_rows")
#: What ASP.NET puts around the result of each accounting call. What is around any other is nothing.
_OF_BILLS: Final = re.compile(r"(?:Export|Mark)\w+Bill\w*Response")
#: An instance rounds what it is sent to the places that it stores.
_CENT: Final = Decimal("0.01")
_EXACT: Final = Context(prec=64)


def decode(
    operation: Operation[T],
    arguments: Mapping[str, object],
    reply: Reply,
    *,
    leniency: Leniency | None = None,
    repeated: bool = False,
) -> T:
    """Return the value that a success holds.

    Args:
        operation: The operation that was called.
        arguments: Those of the call.
        reply: A response in which :func:`aiocake._codec.codec.error_of` found no error.
        leniency: Notes what is read leniently.
        repeated: Whether an attempt before may have been carried out, so that "for the first
            time" means nothing.

    Raises:
        DecodeError: The response cannot be read.
        ConsistencyError: It holds something else than was requested.
        NotFound: It is a list, and what was asked for is not in it.
    """
    plain: Operation[Any] = operation
    leniency = Leniency() if leniency is None else leniency
    leniency.unreadable = plain.idempotency is not Idempotency.SAFE
    try:
        value = _DECODERS[plain.shape](plain, arguments, reply, leniency)
    except DecodeError as error:
        raise with_context(error, reply) from None
    if repeated and isinstance(value, MarkResult):
        value = attrs.evolve(value, first=None)
    return cast("T", value)


def _page(
    operation: Operation[object], arguments: Mapping[str, object], reply: Reply, leniency: Leniency
) -> object:
    start = cast("int", arguments.get("start_at_row", 0))
    if operation.model is Invoice and operation.element == "invoices":
        # Knows the model for speed: the converter takes eight times as long for a row.
        invoices = decode_invoice_page(reply.response.body)
        if invoices is not None:
            return Page(items=invoices[0], total_rows=invoices[1], start_at_row=start)
    fields = _success(operation, reply, leniency)[1]
    around, path = _around(operation, fields)
    total = count_of(fields, "total_rows", leniency)
    return Page(
        items=_items(operation, around, path, leniency), total_rows=total, start_at_row=start
    )


def _found(
    operation: Operation[object], arguments: Mapping[str, object], reply: Reply, leniency: Leniency
) -> object:
    page = cast("Page[object]", _page(operation, arguments, reply, leniency))
    name, wanted = operation.echoed[0], arguments[operation.echoed[0]]
    what = f"{name.removesuffix('_id')} {wanted}"
    if not page.items:
        if page.total_rows:
            raise ConsistencyError(f"{page.total_rows} rows match {what}, but none came")
        raise NotFound(f"there is no {what}", status=HTTPStatus.OK)
    came = getattr(page.items[0], name)
    if came != wanted:
        raise ConsistencyError(f"{what} was requested, but {came} came")
    if any(getattr(each, name) == wanted and each != page.items[0] for each in page.items[1:]):
        raise ConsistencyError(f"{what} came twice, and nobody knows which is true")
    return page.items[0]


def _rows(
    operation: Operation[object], arguments: Mapping[str, object], reply: Reply, leniency: Leniency
) -> object:
    fields = _success(operation, reply, leniency)[1]
    around, path = _around(operation, fields)
    items = _items(operation, around, path, leniency)
    for name in _COUNTS:
        total = count_of(fields, name, leniency)
        if total is not None and total > len(items):
            raise DecodeError(
                f"{len(items)} rows where {name} is {total}", path=f"{path}{operation.element}"
            )
    for item in items:
        _refuse_other(operation, arguments, {n: getattr(item, n, None) for n in operation.echoed})
    own_id = f"{operation.element.removesuffix('s')}_id"
    if own_id in arguments and any(item != items[0] for item in items):
        # Rows need not name what they were filtered by.
        raise ConsistencyError(f"{len(items)} rows came for one {own_id}")
    return items


def _one(
    operation: Operation[object], arguments: Mapping[str, object], reply: Reply, leniency: Leniency
) -> object:
    around, path = _around(operation, _success(operation, reply, leniency)[1])
    record = around[operation.element]
    value = structure(record, operation.model, f"{path}{operation.element}", leniency)
    _refuse_other(operation, arguments, {n: getattr(value, n, None) for n in operation.echoed})
    if is_object(record):
        if not record.keys() <= {member.name for member in members(operation.model)}:
            _refuse_other_spelling(operation, arguments, record)
        if operation.create_lookup is not None:
            _refuse_other_period(operation.create_lookup, arguments, record)
    return value


def _mark(
    operation: Operation[object], arguments: Mapping[str, object], reply: Reply, leniency: Leniency
) -> object:
    message, fields = _success(operation, reply, leniency)
    inner = fields.get("response")
    fields = inner if is_object(inner) else fields
    if not message and any(name in fields for name in _COUNTS):
        raise ConsistencyError("the response is one to another call: it counts rows")
    for layer in (fields, *filter(is_object, fields.values())):
        named = {name: leniency.value(layer.get(name), name) for name in operation.echoed}
        _refuse_other(operation, arguments, named)
        _refuse_other_spelling(operation, arguments, layer)
    result: dict[str, object] = {
        "bill_id": arguments["bill_id"],
        "message": message,
        "first": is_first(message),
    }
    for name in ("payment_amount", "bill_amount"):
        amount = fields.get(name)
        # As exports have it, with its currency beside it.
        result[name] = amount.get("amount") if is_object(amount) else amount
    marked = structure(result, operation.model, "", leniency)
    asked = arguments.get("payment_amount")
    if (
        isinstance(marked, MarkResult)
        and marked.payment_amount is not None
        and isinstance(asked, Decimal | int)
        and abs(_EXACT.subtract(marked.payment_amount, Decimal(asked))) >= _CENT
    ):
        # A server of another culture takes 20.01 for 2001, and says that this went well.
        raise ConsistencyError("the response has another payment_amount than was requested")
    return marked


_DECODERS: Final = {
    ResponseShape.PAGE: _page,
    ResponseShape.FOUND: _found,
    ResponseShape.ROWS: _rows,
    ResponseShape.ONE: _one,
    ResponseShape.MARK: _mark,
}


def _success(
    operation: Operation[object], reply: Reply, leniency: Leniency
) -> tuple[str, Mapping[str, object]]:
    """Return the message of a response and its fields, unless it reports a failure."""
    reported = reply.status
    if reported.success is False or reported.is_mixed:
        raise DecodeError(BOTH)
    record = reply.record
    if not isinstance(record, XmlElement):
        return reported.message, record
    if reply.answers != f"{operation.call}Response" and _OF_BILLS.fullmatch(reply.answers):
        raise ConsistencyError(f"the response is one to another call: {reply.answers:.60}")
    leniency.spaces = True
    fields = _fields(record, operation, leniency)
    if not is_object(fields):
        raise DecodeError("a response without any fields")
    return reported.message, fields


def _fields(
    element: XmlElement, operation: Operation[object], leniency: Leniency, path: str = ""
) -> object:
    """Return an element as JSON would have it: an object, a list of rows, a text, or None."""
    if element.nil:
        return None
    if element.repaired:
        leniency.note(path, element.repaired)
    if element.name == operation.element and (
        {child.name for child in element.children} == {operation.row}
        or not (element.children or (element.text or "").strip(SPACE))
    ):
        return [_fields(child, operation, leniency, path) for child in element.children]
    if not element.children:
        return element.text or ""
    fields = {
        child.name: _fields(child, operation, leniency, f"{path}.{child.name}".strip("."))
        for child in element.children
    }
    if len(fields) != len(element.children):
        raise DecodeError("an element twice", path=element.name)
    return fields


def _around(
    operation: Operation[object], fields: Mapping[str, object]
) -> tuple[Mapping[str, object], str]:
    """Return the object that holds the record or list of a response, and its path.

    The newer pages of CAKE put both into ``response``.
    """
    inner = fields.get("response")
    if inner is None and operation.element in fields:
        return fields, ""
    found = [
        (holder, path)
        for holder, path in ((fields, ""), (inner, "response."))
        if is_object(holder) and operation.element in holder
    ]
    if len(found) != 1:
        message = "it occurs twice" if found else "it is missing"
        raise DecodeError(message, path=operation.element)
    return found[0]


def _items(
    operation: Operation[object], around: Mapping[str, object], path: str, leniency: Leniency
) -> tuple[object, ...]:
    rows, path = around[operation.element], f"{path}{operation.element}"
    if not isinstance(rows, list):
        raise DecodeError("it is not a list", path=path)
    return tuple(
        structure(row, operation.model, f"{path}[{number}]", leniency)
        for number, row in enumerate(cast("list[object]", rows))
    )


def _refuse_other(
    operation: Operation[object], arguments: Mapping[str, object], got: Mapping[str, object]
) -> None:
    """Refuse a response that names another record, or another value, than was requested."""
    for name in operation.echoed:
        asked, answered = arguments.get(name), got.get(name)
        if asked is None or answered is None:
            continue
        if isinstance(asked, datetime) and isinstance(answered, datetime):
            # An instance that gives its own time without a zone cannot be compared.
            same = answered.tzinfo is None or answered == asked
        else:
            text = format_value(answered).strip().casefold()
            same = text == format_value(asked).strip().casefold()
        if not same:
            raise ConsistencyError(f"the response has another {name} than was requested")


def _refuse_other_spelling(
    operation: Operation[object], arguments: Mapping[str, object], record: Mapping[str, object]
) -> None:
    """Refuse a response that names something else under a name that is spelt otherwise."""
    for key, value in record.items():
        name = key.casefold().replace("_", "")
        if not isinstance(value, str | int):
            continue
        for asked in operation.echoed:
            if key != asked and name == asked.replace("_", ""):
                _refuse_other(operation, arguments, {asked: value})


def _refuse_other_period(
    lookup: CreateLookup, arguments: Mapping[str, object], record: Mapping[str, object]
) -> None:
    """Refuse a response that shows the record of another period than one was created for.

    An instance may show a period otherwise, a day longer or in another zone: it shares days then.
    """
    start, end = arguments.get(lookup.start), arguments.get(lookup.end)
    with suppress(ValueError):  # without a period that can be read, it says nothing
        first, last = read_date(record.get(lookup.start)), read_date(record.get(lookup.end))
        if isinstance(start, date) and isinstance(end, date) and (first > end or last < start):
            raise ConsistencyError("the response has another period than was requested")
