"""The traits of one instance, where CAKE's pages contradict each other or say nothing.

``aiocake doctor`` finds it out, ``--save`` keeps it in a profile, and ``Client(traits=…)`` takes
it. The client needs none of it: it reads every variant as it comes. It uses these, and checks what
comes as it does without them, so that traits which are wrong cost requests, or an error, and never
a row:

- ``row_cap`` and ``largest_page``: how many rows to ask for. A first page of as many rows as the
  cap may be cut off, whatever its total says, and the list is read on.
- ``ignored_filters``: a list is filtered by the client where the instance does not.
- ``end_date``: a ``period`` is refused where end dates are exclusive. It would miss what ends on
  its last day.
- ``bindings``: a v1 call is refused before it is sent by a binding that is not answered; one that
  must not be repeated goes by another than SOAP 1.2 where that is not.
"""

from collections.abc import Callable, Iterable
from typing import Any, Final, Literal, cast

import attrs

from aiocake.errors import ConfigurationError
from aiocake.values import Binding

__all__ = ["InstanceTraits"]

_NONE: Final[frozenset[str]] = frozenset()
_Validator = Callable[[object, "attrs.Attribute[Any]", Any], None]

#: Parameters of the list of invoices that an instance can ignore.
_PARAMETERS: Final = frozenset(
    {
        "invoice_id",
        "affiliate_id",
        "advertiser_id",
        "invoice_status",
        "start_date",
        "end_date",
        "start_at_row",
        "row_limit",
    }
)


def _must_be(fits: Callable[[Any], bool], wanted: str) -> _Validator:
    def validate(instance: object, attribute: "attrs.Attribute[Any]", value: object) -> None:
        del instance
        if value is not attribute.default and not fits(value):
            raise ConfigurationError(f"{attribute.name} must be {wanted}")

    return validate


def _one_of(*choices: object) -> _Validator:
    known = [(type(each), each) for each in choices]  # True is no 1
    return _must_be(
        lambda value: (type(value), value) in known, f"one of {', '.join(map(repr, choices))}"
    )


def _set(value: Iterable[str] | None) -> Any:  # noqa: ANN401 - or what the validator refuses
    # A text is made of texts, too.
    if isinstance(value, str) or not isinstance(value, Iterable):
        return value
    try:
        return frozenset[str](value)
    except TypeError:
        return value


def _set_of(known: Iterable[str]) -> _Validator:
    every = frozenset(known)
    return _must_be(
        lambda value: isinstance(value, frozenset) and value <= every,
        f"some of {', '.join(sorted(every))}",
    )


def _bindings(value: Iterable[str] | None) -> frozenset[Binding] | None:
    found: frozenset[str] | None = _set(value)
    if isinstance(found, frozenset) and found <= frozenset(Binding):
        return frozenset(map(Binding, found))
    return cast("frozenset[Binding] | None", found)


_rows = _must_be(lambda value: type(value) is int and value >= 1, "a whole number of at least 1")
_yes_or_no = _must_be(lambda value: type(value) is bool, "True or False")


@attrs.frozen(kw_only=True)
class InstanceTraits:
    """The traits of one instance. None: not known.

    Attributes:
        envelope: Where v2 puts its data: ``"flat"`` beside ``request_status``, ``"wrapped"`` into
            ``response``, ``"beside"`` likewise, with ``total_rows`` outside.
        invoice_fields: The names in a row of the list: ``"amount"`` (``total_amount``,
            ``currency``, ``start_date``, ``end_date``) or ``"payout"`` (``total_payout``,
            ``currency_symbol``, ``invoice_date``).
        payment_method_fields: ``"type"`` or ``"method"``, by which id a payment method has.
        status_case: ``"lower"`` (``pending``) or ``"title"`` (``Pending``).
        money: Amounts are a ``"text"`` or a ``"number"``.
        total_rows: What a list counts by it: the ``"list"``, the ``"page"``, or it is
            ``"absent"``.
        first_row: The number of the first row.
        row_zero: Where rows count from 1, what row 0 is: the ``"first"``; it ``"counts"``, and
            holds nothing; or it is ``"refused"``.
        row_cap: The most rows of one page, whatever is asked for; None if no cap was met, too.
        largest_page: The most rows that a page was seen to have.
        honoured_filters: Parameters of the list of invoices that were seen to work.
        ignored_filters: Those that were seen to be ignored. One in neither set is not known.
        end_date: ``"inclusive"`` if the last day of a period is its end date, ``"exclusive"`` if
            that is the day after.
        error_status: The HTTP status of v2's errors: ``"ok"`` (200) or ``"typed"`` (4xx).
        error_field: The field of their text, such as ``"message"``.
        error_request_status: Their ``request_status``, such as ``"Error"``.
        bindings: By which bindings v1 answers.
        v1_format: What v1's exports are written in: ``"xml"`` or ``"json"``.
        lookup_success: True if the look-ups of v1 have a ``success`` element.

    Raises:
        ConfigurationError: A value is none of these.
    """

    envelope: Literal["flat", "wrapped", "beside"] | None = attrs.field(
        default=None, validator=_one_of("flat", "wrapped", "beside")
    )
    invoice_fields: Literal["amount", "payout"] | None = attrs.field(
        default=None, validator=_one_of("amount", "payout")
    )
    payment_method_fields: Literal["type", "method"] | None = attrs.field(
        default=None, validator=_one_of("type", "method")
    )
    status_case: Literal["lower", "title"] | None = attrs.field(
        default=None, validator=_one_of("lower", "title")
    )
    money: Literal["text", "number"] | None = attrs.field(
        default=None, validator=_one_of("text", "number")
    )
    total_rows: Literal["list", "page", "absent"] | None = attrs.field(
        default=None, validator=_one_of("list", "page", "absent")
    )
    first_row: Literal[0, 1] | None = attrs.field(default=None, validator=_one_of(0, 1))
    row_zero: Literal["first", "counts", "refused"] | None = attrs.field(
        default=None, validator=_one_of("first", "counts", "refused")
    )
    row_cap: int | None = attrs.field(default=None, validator=_rows)
    largest_page: int | None = attrs.field(default=None, validator=_rows)
    honoured_filters: frozenset[str] = attrs.field(
        default=_NONE, converter=_set, validator=_set_of(_PARAMETERS)
    )
    ignored_filters: frozenset[str] = attrs.field(
        default=_NONE, converter=_set, validator=_set_of(_PARAMETERS)
    )
    end_date: Literal["inclusive", "exclusive"] | None = attrs.field(
        default=None, validator=_one_of("inclusive", "exclusive")
    )
    error_status: Literal["ok", "typed"] | None = attrs.field(
        default=None, validator=_one_of("ok", "typed")
    )
    error_field: str | None = attrs.field(
        default=None, validator=_must_be(lambda value: isinstance(value, str), "a text")
    )
    error_request_status: str | None = attrs.field(
        default=None, validator=_must_be(lambda value: isinstance(value, str), "a text")
    )
    bindings: frozenset[Binding] | None = attrs.field(
        default=None, converter=_bindings, validator=_set_of(Binding)
    )
    v1_format: Literal["xml", "json"] | None = attrs.field(
        default=None, validator=_one_of("xml", "json")
    )
    lookup_success: bool | None = attrs.field(default=None, validator=_yes_or_no)

    def plain(self) -> dict[str, object]:
        """Return the traits by name, as JSON and TOML have them: sets as sorted lists of texts."""
        return {
            name: sorted(map(str, cast("frozenset[str]", value)))
            if isinstance(value, frozenset)
            else value
            for name, value in attrs.asdict(self, recurse=False).items()
        }
