"""Decode bills by field name: known fields become typed, the others are kept in ``extra``.

No page of CAKE shows a whole bill, and instances differ. So nothing that is there is lost, and
nothing is guessed: the bill that is marked as paid later is the one that these fields name.
"""

from collections.abc import Callable, Mapping
from datetime import date
from decimal import Decimal
from functools import cache, lru_cache
from operator import attrgetter
from typing import Any, Final, TypeAlias, TypeVar, cast

import attrs

from aiocake._codec.converter import read_date, read_decimal, read_id, read_optional_id
from aiocake._codec.leniency import Leniency, members
from aiocake._codec.numbers import is_plain
from aiocake._codec.snippet import snippet
from aiocake._codec.unfrozen import unfrozen
from aiocake._operations.parameters import MAX_INT
from aiocake.errors import DecodeError
from aiocake.models import (
    AccountManager,
    BillAmount,
    Contact,
    Partner,
)

T = TypeVar("T")
V = TypeVar("V")
Fields = dict[str, object]
Readers: TypeAlias = Mapping[str, Callable[[object], object]]
#: Fields that a bill may lack, by name, and what reads each from a value that is not empty.
Optional: TypeAlias = tuple[tuple[str, Callable[[object], object]], ...]

#: Fields that are not read by their type alone.
_BY_HAND: Final = frozenset({"bill_id", "bill_amount", "sent_payment", "extra"})
#: Source: CAKE's page on ExportAffiliateBills has "yes" and "no".
_WORDS: Final[Mapping[object, bool]] = {"yes": True, "no": False, "true": True, "false": False}
_SENT: Final = {"yes": True, "no": False}
#: How many fields an account's status and an amount have, when all of them are known.
_IN_STATUS: Final = 2
_IN_AMOUNT: Final = 3
#: What is raised by a record that is not as documented.
_UNLIKE: Final = (AttributeError, KeyError, TypeError, ValueError)
#: Digits of four ids, each within its bound.
_SHORT: Final = 4 * len(str(MAX_INT))


def bill_decoder(
    model: type[T], element: str, leniency: Leniency, *, show_sensitive: bool = False
) -> Callable[[object, int], T]:
    """Return a function that makes a bill of its fields and of its number in the list.

    The function takes the fields apart, and raises DecodeError when one is missing, is there twice,
    or cannot be read.

    Args:
        model: The class of the bill.
        element: The name of the list, for the path of an error.
        leniency: How what only decorates is read; notes what was.
        show_sensitive: Whether an error may show a value.
    """
    partner = _partner_of(model)
    make: Callable[..., T] = model
    optional = _optional(model, partner)
    read_plain = _plain_reader(model, element, partner, optional, leniency)
    exact_reader = _Exact(element, partner, optional, leniency)

    def read(fields: object, number: int) -> T:
        try:
            bill = read_plain(fields)
        except (KeyError, TypeError, ValueError):
            bill = None
        if bill is not None:
            return bill
        try:
            return make(**exact_reader.bill(_opened(fields)))
        except _FieldError as error:
            path = f"{element}[{number}].{error.path}".rstrip(".")
            value = "" if error.value is None else str(error.value)
            shown = snippet(value.encode("utf-8", "replace"), show_sensitive=show_sensitive)
            raise DecodeError(error.reason, path=path, snippet=shown) from None

    return read


def fingerprint_of(model: type[T]) -> Callable[[T], int]:
    """Return a function that hashes all that a payment is decided by: equal in copies of a bill.

    What else is in a bill may differ: a query that joins the contacts of a partner gives the bill
    once for each of them.
    """
    paid = ("bill_amount.amount", "bill_amount.currency_id", "sent_payment")
    values_of = attrgetter(f"{_partner_of(model)}.id", *paid)

    def fingerprint(bill: T) -> int:
        whose, amount, currency, sent = values_of(bill)
        # The sign beside it, since -1 and -2 have equal hashes. copy_abs() rounds nothing, whatever
        # decimal context a user sets; a text of all this took five times as long.
        return hash((whose, amount.copy_abs(), amount.is_signed(), currency, sent))

    return fingerprint


def _partner_of(model: type[Any]) -> str:
    """Return the name of the field that says whose a bill is."""
    return next(each.name for each in members(model) if each.type is Partner)


class _FieldError(Exception):
    """A field that cannot be read: where it is in the bill, why, and what it holds."""

    def __init__(self, path: str, reason: str, value: object) -> None:
        super().__init__(path)
        self.path = path
        self.reason = reason
        self.value = value


def _optional(model: type[Any], partner: str) -> Optional:
    return tuple(
        (member.name, _READERS[member.type])
        for member in members(model)
        if member.name not in _BY_HAND and member.name != partner
    )


@cache
def _buffer(model: Any) -> Any:  # noqa: ANN401 - of a class, one made here
    """Return a class that is laid out as a model and not frozen.

    A record that is made by it takes half the time, and is one of the model once its class is set.
    """
    fields = {each.name: attrs.field(default=each.default) for each in attrs.fields(model)}
    plain: Any = attrs.make_class(f"_{model.__name__}", fields, kw_only=True)
    return unfrozen(model, plain.__name__, __init__=plain.__init__)


def _plain_reader(  # noqa: C901 - each function less costs each bill something
    model: type[T], element: str, partner: str, optional: Optional, leniency: Leniency
) -> Callable[[Any], T | None]:
    """Return a function that makes a bill whose known fields are all there, once, and plain.

    The function returns None, or raises KeyError, TypeError or ValueError, when they are not, and
    leaves the fields as they were.
    """
    id_name, name_name = f"{partner}_id", f"{partner}_name"
    billing = f"{partner}_billing"
    readers = dict(optional)
    kind: Any = model
    a_bill, a_partner, an_amount = _buffer(kind), _buffer(Partner), _buffer(BillAmount)
    required = frozenset({"bill_id", partner, "bill_amount", "sent_payment"})

    def read(fields: Any) -> T | None:  # noqa: ANN401 - a TypeError says that it is something else
        about, paid = fields[partner], fields["bill_amount"]
        status, sent = about["account_status"], _SENT[fields["sent_payment"]]
        name, status_name = about[name_name], status["account_status_name"]
        shown = paid["formatted_amount"]
        if not (
            type(name) is type(status_name) is type(shown) is str
            # An empty one is absent, and that is noted.
            and name
            and status_name
            and shown
            and len(status) == _IN_STATUS
            and len(paid) == _IN_AMOUNT
        ):
            return None
        number, partner_id, state, currency = _ids(
            fields["bill_id"], about[id_name], status["account_status_id"], paid["currency_id"]
        )
        exact = paid["amount"]
        amount = an_amount(
            # As most of them are: two functions less.
            amount=Decimal(exact)
            if type(exact) is str and is_plain(exact)
            else read_decimal(exact),
            currency_id=currency,
            formatted_amount=shown,
        )
        amount.__class__ = BillAmount
        known: Fields = {}
        extra: Fields = {}
        empty: list[str] = []
        # What is there takes a third less than what may be there, and leaves nothing to take out.
        for field, value in fields.items():
            if field in readers:
                if value:
                    read_value = readers[field]
                    text = read_value is _some_text and type(value) is str
                    known[field] = value if text else read_value(value)
                elif value == "":
                    empty.append(field)
                elif value is not None:
                    return None
            elif field not in required:
                extra[field] = value
        if "payment_type" in extra:
            return None
        for field in empty:
            leniency.note(f"{element}.{field}")
        del about[id_name], about[name_name], about["account_status"]
        known[partner] = whose = a_partner(
            id=partner_id,
            name=name,
            account_status_id=state,
            account_status_name=status_name,
            **_take_nested(about, billing),
            extra=about,
        )
        whose.__class__ = Partner
        bill = a_bill(bill_id=number, bill_amount=amount, sent_payment=sent, extra=extra, **known)
        bill.__class__ = model
        made: T = bill
        return made

    return read


def _ids(
    bill: Any,  # noqa: ANN401 - most are texts
    whose: Any,  # noqa: ANN401 - the same
    state: Any,  # noqa: ANN401 - the same
    currency: Any,  # noqa: ANN401 - the same
) -> tuple[int, int | None, int | None, int | None]:
    """Return the id of a bill, and three that may be 0 or absent.

    Raises:
        ValueError: One is no id.
    """
    try:
        together = "".join((bill, whose, state, currency))  # noqa: FLY002 - refuses what is no text
    except TypeError:  # one is a number, or nil
        together = ""
    # Looked at together, their digits take a third of the time.
    if together.isascii() and together.isdigit() and len(together) <= _SHORT:
        number, one, two, three = int(bill), int(whose), int(state), int(currency)
        if number and max(number, one, two, three) <= MAX_INT:
            return number, one or None, two or None, three or None
    return (
        read_id(bill),
        read_optional_id(whose),
        read_optional_id(state),
        read_optional_id(currency),
    )


def _take_nested(fields: Fields, billing_name: str) -> dict[str, Any]:
    """Take the nested fields of a partner out of those of a response, and return them.

    A field that is not exactly as documented stays as it came.
    """
    taken: dict[str, Any] = {}
    if managers := _listed(fields, "account_managers", "account_manager", AccountManager):
        taken["account_managers"] = managers
    within = fields.get(billing_name)
    if not isinstance(within, dict):
        return taken
    billing = cast("Fields", within)
    if contacts := _listed(billing, "contacts", "contact", Contact):
        taken["contacts"] = contacts
    found = billing.get("billing_cycle")
    if isinstance(found, dict):
        cycle = cast("Fields", found)
        try:
            taken |= _record_of(dict, tuple(cycle), *cycle.values())
            del billing["billing_cycle"]
        except _UNLIKE:
            pass
    if not billing:
        del fields[billing_name]
    return taken


def _listed(fields: Fields, outer: str, inner: str, make: Callable[..., V]) -> tuple[V, ...]:
    """Take the records of a list out of the fields; return none if it is not as documented."""
    rows = fields.get(outer)
    if not rows:
        return ()
    if isinstance(rows, dict) and len(cast("Fields", rows)) == 1:
        rows = cast("Fields", rows).get(inner)
    each = cast("list[Fields]", rows if isinstance(rows, list) else [rows])
    try:
        read = tuple([_record_of(make, tuple(row), *row.values()) for row in each])
    except _UNLIKE:
        return ()
    del fields[outer]
    return read


# By the types of the values, too: True equals 1, and is no id.
@lru_cache(maxsize=4096, typed=True)
def _record_of(make: Callable[..., V], names: tuple[str, ...], *values: object) -> V:
    # There are few managers and cycles, each in many bills.
    readers = _NESTED[make]
    return make(
        **{
            name: readers[name](None if provided == "" else provided)
            for name, provided in zip(names, values, strict=True)
        }
    )


class _Exact:
    """Reads bills of any form, and says what is wrong in one that cannot be read."""

    def __init__(self, element: str, partner: str, optional: Optional, leniency: Leniency) -> None:
        self._element = element
        self._partner = partner
        self._optional = optional
        self._leniency = leniency

    def bill(self, fields: Fields) -> Fields:
        """Return the fields of the model; what is left of the response's is ``extra``."""
        partner = self._partner
        amount = _opened(fields.pop("bill_amount", None), "bill_amount")
        bill: Fields = {
            "bill_id": self._required(fields, "bill_id", read_id),
            partner: self._whose(_opened(fields.pop(partner, None), partner)),
            "bill_amount": BillAmount(
                amount=self._required(amount, "amount", read_decimal, "bill_amount."),
                currency_id=self._take(amount, "currency_id", read_optional_id, "bill_amount."),
                formatted_amount=self._take(
                    amount, "formatted_amount", _optional_text, "bill_amount."
                ),
            ),
            "sent_payment": self._sent_payment(fields),
        }
        _take_out_payment_type(fields)
        for name, read in self._optional:
            if (value := self._noted(fields, name, read)) is not None:
                bill[name] = value
        bill["extra"] = fields
        if amount:
            fields["bill_amount"] = amount
        return bill

    def _whose(self, fields: Fields) -> Partner:
        kind = self._partner
        status: Fields = {}
        inside = f"{kind}."
        if self._value(fields, "account_status", _opened, inside):
            status = _opened(fields.pop("account_status"), f"{inside}account_status")
        in_status = f"{inside}account_status."
        partner = Partner(
            id=self._take(fields, f"{kind}_id", read_optional_id, inside),
            name=self._take(fields, f"{kind}_name", _optional_text, inside),
            account_status_id=self._take(status, "account_status_id", read_optional_id, in_status),
            account_status_name=self._take(
                status, "account_status_name", _optional_text, in_status
            ),
            **_take_nested(fields, f"{kind}_billing"),
            extra=fields,
        )
        if status:
            fields["account_status"] = status
        return partner

    def _sent_payment(self, fields: Fields) -> bool | None:
        """Return yes or no; any other word stays among the fields."""
        value = self._leniency.stripped(fields.get("sent_payment"), self._path("sent_payment"))
        parsed = value if isinstance(value, bool) else _WORDS.get(str(value).casefold())
        if parsed is not None or value is None:
            fields.pop("sent_payment", None)
        return parsed

    def _noted(self, fields: Fields, name: str, read: Callable[[object], V]) -> V | None:
        """Return a field that Mark calls set; one that cannot be read stays among the fields.

        No page shows what instances call it, or what they send for it.
        """
        provided = fields.get(name)
        holder, field, inside = fields, name, ""
        if read is read_decimal and isinstance(provided, dict) and "amount" in provided:
            # As the amount of the bill itself, with its currency beside it.
            holder, field, inside = cast("Fields", provided), "amount", f"{name}."
        value = self._value(holder, field, read, inside)
        known: V | None = None
        if value is not None:
            try:
                known = read(value)
            except ValueError as error:
                path = f"{inside}{field}"
                if read is read_decimal:
                    raise _FieldError(path, f"a value {error}", value) from None
                self._leniency.note(self._path(path))
                return None
        holder.pop(field, None)
        if not holder:
            fields.pop(name, None)
        return known

    def _take(self, fields: Fields, name: str, read: Callable[[object], V], inside: str = "") -> V:
        """Take a field that may be absent out of the fields, and return it typed."""
        value = self._value(fields, name, read, inside)
        fields.pop(name, None)
        return _typed(value, read, f"{inside}{name}")

    def _required(
        self, fields: Fields, name: str, read: Callable[[object], V], inside: str = ""
    ) -> V:
        """Take a required field out of the fields, and return it typed."""
        path = f"{inside}{name}"
        value = self._leniency.stripped(fields.pop(name, None), self._path(path))
        return _typed(value, read, path)

    def _value(
        self, fields: Fields, name: str, read: Callable[[object], object], inside: str
    ) -> object:
        """Return a field that may be absent: None when it is, or is empty."""
        value, path = fields.get(name), self._path(f"{inside}{name}")
        # White space is a part of a text.
        text = read in {_optional_text, _some_text} and value != ""
        return value if text else self._leniency.value(value, path)

    def _path(self, path: str) -> str:
        return f"{self._element}.{path}"


def _take_out_payment_type(fields: Fields) -> None:
    """Move the id and the name of a payment type out of the element around them."""
    inner = fields.get("payment_type")
    if not isinstance(inner, dict):
        return
    within = cast("Fields", inner)
    for name in ("payment_type_id", "payment_type_name"):
        if name in within and name not in fields:
            fields[name] = within.pop(name)
    if not within:
        del fields["payment_type"]


def _typed(value: object, read: Callable[[object], V], path: str) -> V:
    try:
        return read(value)
    except ValueError as error:
        reason = "a field is missing" if value is None else f"a value {error}"
        raise _FieldError(path, reason, value) from None


def _opened(value: object, path: str = "") -> Fields:
    """Return the fields of an element that must have some."""
    if not isinstance(value, dict):
        raise _FieldError(
            path, "a field is missing" if value is None else "no element with fields", value
        )
    return cast("Fields", value)


def _some_text(value: object) -> str:
    text = _optional_text(value)
    if not text:
        raise ValueError("is empty")
    return text


@lru_cache(maxsize=4096)
def _day_of(text: str) -> date:
    return read_date(text)


def _day(value: object) -> date:
    # An export has few of them, each many times.
    return _day_of(value) if isinstance(value, str) else read_date(value)


def _optional_text(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    message = "is there twice" if isinstance(value, list) else "is not a text"
    raise ValueError(message)


#: By what is made of a record that is nested in a partner.
_NESTED: Final[Mapping[object, Readers]] = {
    dict: {"billing_cycle_id": read_optional_id, "billing_cycle_name": _optional_text},
    AccountManager: {"contact_id": read_optional_id, "contact_name": _optional_text},
    Contact: {
        "contact_id": read_optional_id,
        "contact_type": _optional_text,
        "first_name": _optional_text,
        "last_name": _optional_text,
    },
}
#: By the type of a field that a bill may lack.
_READERS: Final[Mapping[type[object], Callable[[object], object]]] = {
    date: _day,
    str: _some_text,
    int: read_optional_id,
    Decimal: read_decimal,
}
