"""Bills from the fields of an answer, by name: what is known becomes typed, the rest is kept.

No page of CAKE shows a whole bill, and instances differ. So nothing that is there is lost, and
nothing is guessed: the bill that is marked as paid later is the one that these fields name.
"""

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Final, TypeVar, cast

from aiocake.codec._number import exact, integer
from aiocake.codec._snippet import snippet
from aiocake.codec._values import MAX_INT
from aiocake.errors import DecodeError
from aiocake.models import AdvertiserBill, AffiliateBill, BillAmount, BuyerBill, Partner

__all__ = ["bill_reader", "fingerprint_of"]

T = TypeVar("T")
V = TypeVar("V")
Fields = dict[str, object]

#: What the partner of each kind of bill is called.
_PARTNERS: Final[Mapping[type[object], str]] = {
    AffiliateBill: "affiliate",
    AdvertiserBill: "advertiser",
    BuyerBill: "buyer",
}
#: Source: CAKE's page on ExportAffiliateBills has "yes" and "no".
_WORDS: Final[Mapping[object, bool]] = {"yes": True, "no": False, "true": True, "false": False}
#: An amount that needs no further look: at most 28 digits and no exponent.
_PLAIN_AMOUNT: Final = re.compile(r"-?[0-9]{1,14}(?:\.[0-9]{1,14})?")
#: Of four ids together.
_MOST_DIGITS: Final = 40
_SENT: Final = {"yes": True, "no": False}
#: How many fields an account's status and an amount have, when all of them are known.
_IN_STATUS: Final = 2
_IN_AMOUNT: Final = 3
_ID_DIGITS: Final = len(str(MAX_INT))


def bill_reader(
    model: type[T], element: str, *, payloads: bool = False
) -> Callable[[object, int], T]:
    """What makes a bill of its fields, which it takes apart, and of its number in the list.

    Args:
        model: The class of the bill.
        element: The name of the list, for the path of an error.
        payloads: Whether an error may show a value.

    Returns:
        A function that raises DecodeError when a field is missing, is there twice, or cannot be
        read.
    """
    partner = _PARTNERS[model]
    make: Callable[..., T] = model
    read_plain = _plain_reader(make, partner)

    def read(fields: object, number: int) -> T:
        try:
            bill = read_plain(cast("Any", fields))
        except (KeyError, TypeError, ValueError):
            bill = None
        if bill is not None:
            return bill
        try:
            return make(**_bill(_opened(fields), partner))
        except _Unfit as error:
            path = f"{element}[{number}].{error.path}".rstrip(".")
            value = "" if error.value is None else str(error.value)
            shown = snippet(value.encode("utf-8", "replace"), payloads=payloads)
            raise DecodeError(error.reason, path=path, snippet=shown) from None

    return read


def fingerprint_of(model: type[T]) -> Callable[[T], int]:
    """Return what makes a hash of all that a payment is decided by: equal in copies of a bill.

    What else is in a bill may differ: a query that joins the contacts of a partner gives the bill
    once for each of them.
    """
    partner = _PARTNERS[model]

    def fingerprint(bill: Any) -> int:  # noqa: ANN401 - one of three classes
        paid = bill.bill_amount
        # Of a text: numbers have equal hashes too easily, such as -1 and -2.
        amount = paid.amount.normalize()
        whose = getattr(bill, partner).id
        return hash(f"{whose} {amount} {paid.currency_id} {bill.sent_payment}")

    return fingerprint


class _Unfit(Exception):
    """A field that cannot be read: where it is in the bill, why, and what it holds."""

    def __init__(self, path: str, reason: str, value: object) -> None:
        super().__init__(path)
        self.path = path
        self.reason = reason
        self.value = value


def _plain_reader(make: Callable[..., T], partner: str) -> Callable[[Any], T | None]:
    """What makes a bill whose known fields are all there, once, and of the plainest form.

    It gives None, or raises KeyError, TypeError or ValueError, when they are not; the fields are
    as they were.
    """
    id_name, name_name = f"{partner}_id", f"{partner}_name"

    def read(fields: Any) -> T | None:  # noqa: ANN401 - a TypeError says that it is something else
        about, paid = fields[partner], fields["bill_amount"]
        status, sent = about["account_status"], _SENT[fields["sent_payment"]]
        name, status_name = about[name_name], status["account_status_name"]
        amount, shown = paid["amount"], paid["formatted_amount"]
        plain = (
            type(name) is type(status_name) is type(shown) is str
            and len(status) == _IN_STATUS
            and len(paid) == _IN_AMOUNT
            and _PLAIN_AMOUNT.fullmatch(amount) is not None
        )
        ids = (fields["bill_id"], about[id_name], status["account_status_id"], paid["currency_id"])
        digits = "".join(ids)
        if not (plain and digits.isdigit() and digits.isascii() and len(digits) <= _MOST_DIGITS):
            return None
        number, whose, state, currency = numbers = tuple(map(int, ids))
        # 0 names nothing, and is read exactly.
        if min(numbers) < 1 or max(numbers) > MAX_INT:
            return None
        del fields["bill_id"], fields[partner], fields["bill_amount"], fields["sent_payment"]
        del about[id_name], about[name_name], about["account_status"]
        known = {
            partner: Partner(
                id=whose,
                name=name,
                account_status_id=state,
                account_status_name=status_name,
                extra=about,
            )
        }
        return make(
            bill_id=number,
            bill_amount=BillAmount(
                amount=Decimal(amount), currency_id=currency, formatted_amount=shown
            ),
            sent_payment=sent,
            extra=fields,
            **known,
        )

    return read


def _bill(fields: Fields, partner: str) -> Fields:
    """The fields of a model; what is left of those of the answer is its ``extra``."""
    amount = _opened(fields.pop("bill_amount", None), "bill_amount")
    bill: Fields = {
        "bill_id": _take(fields, "bill_id", _id),
        partner: _partner(_opened(fields.pop(partner, None), partner), partner),
        "bill_amount": BillAmount(
            amount=_take(amount, "amount", _amount, "bill_amount."),
            currency_id=_take(amount, "currency_id", _optional_id, "bill_amount."),
            formatted_amount=_take(amount, "formatted_amount", _optional_text, "bill_amount."),
        ),
        "sent_payment": _sent_payment(fields),
        "extra": fields,
    }
    if amount:
        fields["bill_amount"] = amount
    return bill


def _partner(fields: Fields, kind: str) -> Partner:
    status: Fields = {}
    inside = f"{kind}."
    if fields.get("account_status"):
        status = _opened(fields.pop("account_status"), f"{inside}account_status")
    partner = Partner(
        id=_take(fields, f"{kind}_id", _optional_id, inside),
        name=_take(fields, f"{kind}_name", _optional_text, inside),
        account_status_id=_take(
            status, "account_status_id", _optional_id, f"{inside}account_status."
        ),
        account_status_name=_take(
            status, "account_status_name", _optional_text, f"{inside}account_status."
        ),
        extra=fields,
    )
    if status:
        fields["account_status"] = status
    return partner


def _sent_payment(fields: Fields) -> bool | None:
    """Yes or no; any other word stays among the fields."""
    value = fields.get("sent_payment")
    said = value if isinstance(value, bool) else _WORDS.get(str(value).casefold())
    if said is not None or value is None:
        fields.pop("sent_payment", None)
    return said


def _opened(value: object, path: str = "") -> Fields:
    """The fields of an element that must have some."""
    if not isinstance(value, dict):
        raise _Unfit(
            path, "a field is missing" if value is None else "no element with fields", value
        )
    return cast("Fields", value)


def _take(fields: Fields, name: str, read: Callable[[object], V], inside: str = "") -> V:
    """A field, typed, out of the fields."""
    value = fields.pop(name, None)
    try:
        return read(value)
    except ValueError as error:
        path = f"{inside}{name}"
        reason = "a field is missing" if value is None else f"a value {error}"
        raise _Unfit(path, reason, value) from None


def _id(value: object) -> int:
    number = _optional_id(value)
    if number is None:
        message = "is no id"
        raise ValueError(message)
    return number


def _optional_id(value: object) -> int | None:
    if value is None:
        return None
    number = value
    if isinstance(value, str):
        plain = len(value) <= _ID_DIGITS and value.isascii() and value.isdigit()
        number = int(value) if plain else integer(value)
    if type(number) is not int or not 0 <= number <= MAX_INT:
        message = "is no id: not positive, or beyond 32 bits"
        raise ValueError(message)
    # .NET writes the number of nothing as 0.
    return number or None


def _optional_text(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    message = "is there twice" if isinstance(value, list) else "is not a text"
    raise ValueError(message)


def _amount(value: object) -> Decimal:
    if isinstance(value, str):
        return Decimal(value) if _PLAIN_AMOUNT.fullmatch(value) else exact(value)
    # JSON can have numbers.
    if isinstance(value, Decimal) or type(value) is int:
        return Decimal(value)
    message = "is not a number"
    raise ValueError(message)
