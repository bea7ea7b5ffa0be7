"""What is given, in any binding, is what the sandbox reads and stores, for all that may be."""

# ruff: noqa: DTZ001 - v1's times have no zone

import importlib
import pkgutil
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import Phase, assume, example, given, settings
from hypothesis import strategies as st

from aiocake import (
    ANY,
    ERASE,
    SKIP,
    ApiError,
    ArgumentError,
    Binding,
    Client,
    ClientView,
    endpoints,
)
from aiocake._operations.operation import Api, Operation, ResponseShape
from aiocake._operations.parameters import (
    Bool,
    Byte,
    Choice,
    Date,
    Id,
    ModifiedDate,
    Money,
    Parameter,
    Text,
)
from aiocake.sandbox import BillRecord, Sandbox
from aiocake.sandbox.data import PAYMENT_TYPES

from ..support.amounts import some

pytestmark = pytest.mark.anyio

Connect = Callable[..., Client]

URL = (Binding.GET, Binding.POST)
SOAP = (Binding.SOAP11, Binding.SOAP12)
#: What a query has room for, by the side of the other parameters of the call.
LONGEST = 2047 - len(
    "api_key=SANDBOX-KEY&bill_id=345&invoice_number=&invoiced_amount=1&date_invoice_received=2000-01-01"
    "&date_invoice_received_modification_type=do_not_change&notes="
)
#: What is not to be sent by GET and form.
MARKUP = re.compile(r"<[A-Za-z!/?]|&#")
MAX_INT = 2**31 - 1
#: The first of each kind of bill.
BILLS = {"affiliate_bills": 345, "advertiser_bills": 1_000_000, "buyer_bills": 2_000_000}
#: What a bill holds before each call.
BEFORE: Mapping[str, object] = {
    "invoice_number": "as it was",
    "notes": "as it was",
    "verification_code": "as it was",
    "payment_type_id": 7,
    "invoiced_amount": Decimal("-1.5"),
    "payment_amount": Decimal("-1.5"),
    "date_invoice_received": datetime(1999, 1, 1),
    "date_sent_invoice": datetime(1999, 1, 1),
    "date_payment_received": datetime(1999, 1, 1),
    "payment_date": datetime(1999, 1, 1),
}


def operations() -> Iterator[Operation[Any]]:
    for each in pkgutil.iter_modules(endpoints.__path__):
        for value in vars(importlib.import_module(f"aiocake.endpoints.{each.name}")).values():
            if isinstance(value, Operation) and value.api is Api.V1:
                yield value


OPERATIONS = {each.name: each for each in operations()}

#: Whatever some layer between could take for something else than a character.
AWKWARD = (
    *"<>&\"'+%=;#/?\\\t\r\n \u00a0\u0085\u2028\u3000\ufeff\ufffd\U0001f370\U0010fffd\u0301\u200f",
    *("]]>", "<![CDATA[", "&#", "&#x", "&amp;", "<b", "</", "<!--", "<?", "%3C", "%00", "%u0041"),
    *("NULL", "null", "Null", "\r\n", "é", "日本", "xsi:nil", "do_not_change", "{", "}"),
)
LEGAL = st.characters(
    exclude_categories=["Cs"],
    exclude_characters=[chr(code) for code in range(32) if chr(code) not in "\t\r\n"]
    + ["\ufffe", "\uffff"],
)


def units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def texts(limit: int) -> st.SearchStrategy[str]:
    pieces = st.lists(st.sampled_from(AWKWARD) | st.text(LEGAL, max_size=8), min_size=1)
    awkward = pieces.map("".join)
    longest = st.sampled_from("x日\U0001f370").map(lambda each: each * (limit // units(each)))
    found = awkward | longest | st.text(LEGAL, min_size=1, max_size=limit)
    return found.filter(lambda text: 0 < units(text) <= limit and text != "NULL")


DAYS = st.dates(date(1753, 1, 1)) | st.sampled_from(
    [date(1753, 1, 1), date(9999, 12, 31), date(2000, 2, 29), date(2024, 2, 29), date(2014, 12, 1)]
)
AMOUNTS = (
    st.integers(-(10**28) + 1, 10**28 - 1)
    | st.decimals(min_value=-(10**12), max_value=10**12, places=4)
    | st.builds(
        lambda sign, digits, places: Decimal(f"{sign}{digits}E{places}"),
        st.sampled_from(["", "-"]),
        st.integers(0, 10**14 - 1),
        st.integers(-13, 13),
    )
    | st.sampled_from([Decimal("1E+3"), Decimal("-0.00"), Decimal("9" * 28), Decimal("1E-27")])
)


def values(parameter: Parameter) -> st.SearchStrategy[Any]:
    """What may be given for a parameter."""
    extra = [ERASE] if parameter.erasable else []
    if isinstance(parameter, Byte):
        extra.append(ANY if parameter.any_allowed else SKIP)
    elif not parameter.required:
        extra.append(SKIP)
    plain: st.SearchStrategy[Any]
    match parameter:
        case Id():
            plain = st.integers(1, MAX_INT)
        case Byte():
            plain = st.sampled_from([*PAYMENT_TYPES]) | st.integers(1, 255)
        case Text():
            plain = texts(parameter.limit or 1)
        case Money():
            plain = AMOUNTS
        case Date():
            plain = DAYS
        case Bool():
            plain = st.booleans()
        case Choice():
            plain = st.sampled_from([each.value for each in parameter.choices])
        case _:
            pytest.fail(f"of no known kind: {parameter}")
    return st.one_of(plain, st.sampled_from(extra)) if extra else plain


def arguments_of(operation: Operation[Any]) -> st.SearchStrategy[dict[str, Any]]:
    each: dict[str, st.SearchStrategy[Any]] = {
        parameter.name: values(parameter) for parameter in operation.parameters
    }
    if "bill_id" in each:
        bill = BILLS[operation.name.partition(".")[0]]
        each["bill_id"] = st.just(bill) | each["bill_id"]
    found = st.fixed_dictionaries(each)
    starts = [name for name in each if name.endswith("start_date")]
    return found.map(lambda given: in_order(given, *starts)) if starts else found


def in_order(given: dict[str, Any], start: str) -> dict[str, Any]:
    end = start.replace("start", "end")
    first, last = sorted((given[start], given[end]))
    return {**given, start: first, end: last}


def midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day)


def read(operation: Operation[Any], given: Mapping[str, Any], binding: Binding) -> dict[str, Any]:
    """What the server has to read."""
    found: dict[str, Any] = {}
    for parameter in operation.parameters:
        name, value = parameter.name, given[parameter.name]
        if isinstance(parameter, ModifiedDate):
            plain = isinstance(value, date)
            found[name] = midnight(value if plain else date(2000, 1, 1))
            how = "change" if plain else "remove" if value is ERASE else "do_not_change"
            found[f"{name}_modification_type"] = how
        elif isinstance(parameter, Text):
            erased = "NULL" if binding in URL else None
            found[name] = "" if value is SKIP else erased if value is ERASE else value
        elif isinstance(parameter, Date):
            found[name] = midnight(value)
        elif isinstance(parameter, Bool):
            found[name] = value is True
        else:
            found[name] = 0 if value in {SKIP, ANY} else value
    return found


def stored(operation: Operation[Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """What the bill has to hold after that, of what it held before."""
    found = dict(BEFORE)
    for parameter in operation.parameters:
        name, value = parameter.name, given[parameter.name]
        if name not in found or value is SKIP:
            continue
        found[name] = None if value is ERASE else value
        if isinstance(value, date):
            found[name] = midnight(value)
    return found


async def sent(
    cake: Client, binding: Binding, call: Callable[[ClientView], Awaitable[object]]
) -> Binding:
    """Make a call by a binding, or by the one that its refusal names; which one it was."""
    try:
        await call(cake)
    except ArgumentError as error:
        refusal = error
    else:
        return binding
    assert binding in URL
    assert "Binding.SOAP12" in str(refusal)
    await call(cake.with_options(binding=Binding.SOAP12))
    return Binding.SOAP12


@pytest.mark.parametrize("binding", Binding)
@pytest.mark.parametrize("name", OPERATIONS)
# What is drawn is short enough as it is, and shrinking it would make calls for minutes.
@settings(max_examples=some(10), phases=[Phase.explicit, Phase.generate])
@given(data=st.data())
async def test_what_is_given_is_what_is_read_and_stored(
    connect: Connect, name: str, binding: Binding, data: st.DataObject
) -> None:
    operation = OPERATIONS[name]
    arguments = data.draw(arguments_of(operation))
    group, _, method = name.partition(".")
    sandbox = Sandbox(invoices=0, bills=1)
    bill: BillRecord | None = None
    if operation.shape is ResponseShape.MARK:
        bill = getattr(sandbox.state, group)[BILLS[group]]
        for field, value in BEFORE.items():
            setattr(bill, field, value)

    async def call(cake: ClientView) -> None:
        answer = getattr(getattr(cake, group), method)(**arguments)
        try:
            await (answer.collect() if operation.shape is ResponseShape.STREAM else answer)
        except ApiError as error:
            refused.append(error.message)

    refused: list[str] = []
    async with connect(sandbox, binding=binding) as cake:
        by = await sent(cake, binding, call)
    if by is Binding.GET and arguments.get("apply_credit_to_buyer"):
        by = Binding.SOAP12
    (request,) = sandbox.state.requests
    assert request.arguments == read(operation, arguments, by)
    # The sandbox has few bills and payment types.
    assert set(refused) <= {
        "Invalid Bill ID",
        "Billing ID does not exist",
        "Payment Type ID does not exist",
    }
    if bill is not None and not refused:
        assert {field: getattr(bill, field) for field in BEFORE} == stored(operation, arguments)


@pytest.mark.parametrize("binding", Binding)
@settings(max_examples=some(20))
@example(notes=" ")
@example(notes="\t\r\n ")
@example(notes=" x ")
@example(notes="\r")
@example(notes="]]>")
@example(notes="+%2B%")
@example(notes="a&b;c=d")
@example(notes="<b>&#60;</b>")
@given(notes=texts(250))
async def test_any_text_is_stored_as_it_was_given(
    connect: Connect, binding: Binding, notes: str
) -> None:
    sandbox = Sandbox(invoices=0, bills=1)

    async def call(cake: ClientView) -> None:
        await cake.affiliate_bills.mark_received(345, invoiced_amount=1, notes=notes)

    async with connect(sandbox, binding=binding) as cake:
        by = await sent(cake, binding, call)
    assert sandbox.state.affiliate_bills[345].notes == notes
    # What a form or a query can carry is not refused.
    too_long = binding is Binding.GET and len(quote(notes, safe="")) > LONGEST
    assert (by is binding) is (binding in SOAP or not (MARKUP.search(notes) or too_long))


@pytest.mark.parametrize("binding", Binding)
@settings(max_examples=some(15))
@example(key="& <>\"'+%=#?/;")
@example(key="]]>")
@given(key=st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=50))
async def test_any_key_arrives_as_it_is(connect: Connect, binding: Binding, key: str) -> None:
    # Nobody's key is blank, or markup to ASP.NET.
    assume(not key.isspace() and (binding in SOAP or not MARKUP.search(key)))
    sandbox = Sandbox(invoices=0, bills=0, api_key=key)
    async with connect(sandbox, binding=binding, api_key=key) as cake:
        assert len(await cake.reference.payment_types()) == len(PAYMENT_TYPES)


@pytest.mark.parametrize("binding", Binding)
async def test_a_day_that_sql_server_does_not_know_is_not_sent(
    connect: Connect, binding: Binding
) -> None:
    sandbox = Sandbox(invoices=0, bills=1)
    async with connect(sandbox, binding=binding) as cake:
        for day in (date(1, 1, 1), date(1752, 12, 31)):
            with pytest.raises(ArgumentError, match="payment_date: must not be before 1753"):
                await cake.affiliate_bills.mark_paid(345, payment_date=day)
            with pytest.raises(ArgumentError, match="start_date"):
                await cake.reference.exchange_rates(start_date=day, end_date=date(2014, 1, 1))
    assert sandbox.state.requests == []
