"""Values of odd classes: taken for the built-in values that they are, or refused by name.

What leaves a call is an ArgumentError and nothing else, and then nothing is sent.
"""

import inspect
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from decimal import Decimal
from enum import IntEnum, StrEnum
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import pendulum
import pytest
from freezegun import freeze_time
from hypothesis import given, settings
from hypothesis import strategies as st
from markupsafe import Markup

from aiocake import SKIP, ArgumentError, CakeError, Client, JournalError, Outcome, Period, bulk
from aiocake.values import PeriodMatch

from ..support.amounts import some
from ..support.peer import Peer, done, lost, says
from ..test_operations import CALLS, METHODS

pytestmark = pytest.mark.anyio


class Text(str):
    __slots__ = ()


class Status(StrEnum):
    PAID = "paid"


class Number(IntEnum):
    FIVE = 5


class Amount(Decimal):
    pass


class Day(date):
    pass


class Moment(datetime):
    pass


class Index:
    def __index__(self) -> int:
        return 5


class NotATime(datetime):
    """As pandas' NaT: a datetime by its class, and nothing by what it says."""

    year = month = day = float("nan")  # type: ignore[assignment]

    def __new__(cls) -> Self:
        return super().__new__(cls, 1, 1, 1, tzinfo=UTC)


class NoZone(tzinfo):
    def utcoffset(self, _: object, /) -> timedelta:
        raise LookupError


def refuse(*_: object, **__: object) -> Any:  # noqa: ANN401 - it returns nothing
    raise KeyError


class Hostile:
    """Raises whatever is asked of it."""

    __slots__ = ()
    __str__ = __repr__ = __eq__ = __hash__ = __index__ = __bool__ = __format__ = refuse
    __iter__ = __len__ = __lt__ = __gt__ = __le__ = __ge__ = __call__ = __getattribute__ = refuse


#: pytest itself asks too much of one.
HOSTILE = "a hostile value"

#: By kind of value: what is taken, and what it is.
TAKEN: list[tuple[str, object, object]] = [
    ("invoice_id", np.int64(5), 5),
    ("invoice_id", np.uint8(5), 5),
    ("invoice_id", np.array(5), 5),
    ("invoice_id", Number.FIVE, 5),
    ("invoice_id", Index(), 5),
    ("memo", Text("Tom & Jerry"), "Tom & Jerry"),
    ("memo", Markup("Tom &amp; Jerry"), "Tom &amp; Jerry"),
    ("memo", np.str_("Tom"), "Tom"),
    ("invoice_status", Text("paid"), "paid"),
    ("invoice_status", np.str_("paid"), "paid"),
    ("invoice_status", Status.PAID, "paid"),
    ("paid_at", pendulum.datetime(2024, 2, 15, 10), datetime(2024, 2, 15, 10, tzinfo=UTC)),
    ("paid_at", Moment(2024, 2, 15, 10, tzinfo=UTC), datetime(2024, 2, 15, 10, tzinfo=UTC)),
    (
        "paid_at",
        datetime(2024, 2, 15, 12, tzinfo=timezone(timedelta(hours=2))),
        datetime(2024, 2, 15, 10, tzinfo=UTC),
    ),
]


@pytest.mark.parametrize(("name", "given_", "exact"), TAKEN)
async def test_an_odd_value_is_sent_and_kept_as_what_it_is(
    name: str, given_: object, exact: object
) -> None:
    peer = Peer(lost)
    kept = []
    async with peer.client() as cake:
        for value in (given_, exact):
            arguments = {"invoice_id": 5, "memo": "x", "invoice_status": "paid", name: value}
            with pytest.raises(CakeError) as caught:
                await cake.invoices.update(**arguments)  # type: ignore[arg-type]
            call = bulk.call(cake.invoices.update, **arguments)  # type: ignore[arg-type]
            for found in (call.arguments, caught.value.intent.arguments):  # type: ignore[attr-defined]
                assert (type(found[name]), found[name]) == (type(exact), exact)
            kept.append((call, call.digest(), call.to_json(), call.describe(show_sensitive=True)))
    assert kept[0] == kept[1]
    assert len({request.content for request in peer.requests}) == 1


@pytest.mark.parametrize(
    ("given_", "exact"),
    [
        (Amount("20.10"), Decimal("20.10")),
        (np.int64(20), 20),
        (Number.FIVE, 5),
    ],
)
async def test_an_amount_is_sent_and_kept_as_what_it_is(
    given_: Any,  # noqa: ANN401 - of some class
    exact: Any,  # noqa: ANN401 - the same
) -> None:
    async with Peer(done()).client() as cake:
        day = Day(2014, 6, 1)
        call = bulk.call(
            cake.affiliate_bills.mark_received,
            np.int64(345),
            invoiced_amount=given_,
            date_invoice_received=day,
        )
        same = bulk.call(
            cake.affiliate_bills.mark_received,
            345,
            invoiced_amount=exact,
            date_invoice_received=date(2014, 6, 1),
        )
    assert (call, call.to_json(), call.digest()) == (same, same.to_json(), same.digest())
    assert [type(value) for value in call.arguments.values()] == [int, type(exact), date]
    json.loads(call.to_json())


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("invoice_id", True, "must be an int, got bool"),
        ("invoice_id", np.bool_(True), "must be an int, got bool"),  # noqa: FBT003 - a value
        ("invoice_id", np.float64(5), "must be an int, got float64"),
        ("invoice_id", 5.0, "must be an int, got float"),
        ("invoice_id", "5", "must be an int, got str"),
        ("invoice_id", np.array([5, 6]), "must be an int, got ndarray"),
        ("invoice_id", Decimal(5), "must be an int, got Decimal"),
        ("memo", 5, "must be a str, got int"),
        ("memo", Status.PAID, "must be a str, got Status"),
        ("invoice_status", HOSTILE, "cannot be read: it raised KeyError"),
        ("paid_at", NotATime(), "cannot be read: it raised "),
        ("paid_at", datetime(2024, 1, 1, tzinfo=NoZone()), "cannot be read: it raised LookupError"),
        ("paid_at", date(2024, 1, 1), "must be a datetime with a time zone, got date"),
        ("paid_at", datetime(2024, 1, 1), "must be a datetime with a time zone, got one without"),  # noqa: DTZ001 - refused
    ],
)
async def test_what_is_refused_is_named_with_its_class(
    name: str, value: object, reason: str
) -> None:
    value = Hostile() if value is HOSTILE else value
    peer = Peer(done())
    async with peer.client() as cake:
        arguments = {"invoice_id": 5, "memo": "x", "invoice_status": "paid", name: value}
        for make in (
            lambda: cake.invoices.update(**arguments),  # type: ignore[arg-type]
            lambda: bulk.call(cake.invoices.update, **arguments).send(),  # type: ignore[arg-type]
        ):
            with pytest.raises(ArgumentError) as caught:
                await make()
            (problem,) = caught.value.problems
            assert problem.name == name
            assert reason in problem.reason
            assert caught.value.outcome is Outcome.NOT_DONE
    assert peer.requests == []


async def test_a_list_is_compared_with_what_was_asked_for() -> None:
    row = {"invoice_id": 1, "affiliate_id": 7, "invoice_status": "paid", "total_amount": "1.00"}
    peer = Peer(says({"request_status": "Success", "invoices": [row], "total_rows": 1}))
    async with peer.client() as cake:
        invoices = await cake.invoices.find(
            affiliate_id=np.int64(7),  # type: ignore[arg-type]
            invoice_status=Text("paid"),  # type: ignore[arg-type]
            row_limit=np.int64(50),  # type: ignore[arg-type]
            start_date=pendulum.date(2024, 1, 1),
        ).collect()
    assert [invoice.invoice_id for invoice in invoices] == [1]
    assert peer.queries[0]["row_limit"] == "51"


def days() -> Iterator[tuple[Any, Any]]:
    yield date(2024, 1, 1), date(2024, 1, 31)
    yield Day(2024, 1, 1), Day(2024, 1, 31)
    yield pendulum.date(2024, 1, 1), pendulum.date(2024, 1, 31)
    with freeze_time("2024-02-15"):
        yield sys.modules["datetime"].date(2024, 1, 1), sys.modules["datetime"].date(2024, 1, 31)


@pytest.mark.parametrize("frozen", [False, True])
def test_a_period_is_of_any_dates(frozen: bool) -> None:  # noqa: FBT001 - what is tried
    for start, end in list(days()):
        if frozen:
            with freeze_time("2024-02-15"):
                periods = [Period(start, end), Period.month(2024, 1)]
                weeks = [Period.week(start)]
        else:
            periods = [Period(start, end), Period.month(np.int64(2024), np.int64(1))]  # type: ignore[arg-type]
            weeks = [Period.week(start)]
        assert periods == [Period(date(2024, 1, 1), date(2024, 1, 31))] * 2
        assert weeks == [Period(date(2024, 1, 1), date(2024, 1, 7))]
        for period in (*periods, *weeks):
            assert {type(period.start), type(period.end)} == {date}


#: What takes one odd value and makes a period.
PERIODS: list[Callable[[Any], Period]] = [
    lambda odd: Period(odd, date(2024, 1, 1)),
    lambda odd: Period(date(2024, 1, 1), odd),
    lambda odd: Period.month(odd, 1),
    lambda odd: Period.month(2024, odd),
    lambda odd: Period.half_month(odd, 1, 1),
    lambda odd: Period.half_month(2024, odd, 2),
    lambda odd: Period.half_month(2024, 1, odd),
    Period.year,
    lambda odd: Period.quarter(odd, 1),
    lambda odd: Period.quarter(2024, odd),
    Period.week,
    Period.parse,
]


@pytest.mark.parametrize("make", PERIODS)
@pytest.mark.parametrize(
    "odd",
    [HOSTILE, NotATime(), None, "1", 1.0, np.array([1, 2]), True, np.bool_(True), np.float64(1)],  # noqa: FBT003 - values
)
def test_an_odd_period_is_refused(make: Callable[[object], Period], odd: object) -> None:
    with pytest.raises(ArgumentError):
        make(Hostile() if odd is HOSTILE else odd)


# A class of a built-in base whose own methods raise, or of none.
BASES: dict[type, tuple[object, ...]] = {
    object: (),
    str: ("paid",),
    int: (5,),
    float: (5.0,),
    Decimal: ("5",),
    date: (2024, 1, 1),
    datetime: (2024, 1, 1, 0, 0, 0, 0, UTC),
    timedelta: (7,),
    dict: (),
    list: (),
}
SPECIAL = [
    "__str__",
    "__repr__",
    "__eq__",
    "__ne__",
    "__hash__",
    "__index__",
    "__int__",
    "__bool__",
    "__format__",
    "__iter__",
    "__len__",
    "__lt__",
    "__le__",
    "__gt__",
    "__ge__",
    "__contains__",
    "__getattribute__",
    "__class__",
    "year",
    "month",
    "day",
    "hour",
    "tzinfo",
    "fold",
    "utcoffset",
    "isoformat",
    "astimezone",
    "replace",
    "days",
    "seconds",
    "partition",
    "startswith",
    "__fspath__",
    "__aiter__",
    "__float__",
    "encode",
    "casefold",
    "upper",
    "as_tuple",
    "is_finite",
    "adjusted",
    "items",
    "keys",
    "value",
    "name",
]


@st.composite
def odd_values(draw: st.DrawFn) -> object:
    base = draw(st.sampled_from(list(BASES)))
    raised = draw(st.sampled_from([TypeError, ValueError, KeyError, RecursionError, OSError]))

    def method(*_: object, **__: object) -> None:
        raise raised

    body: dict[str, object] = {}
    for name in draw(st.sets(st.sampled_from(SPECIAL), min_size=1)):
        dunder = name.startswith("__") and name != "__class__"
        body[name] = method if dunder else property(method)
    return type("Odd", (base,), body)(*BASES[base])


@settings(max_examples=some(100))
@given(which=st.sampled_from(PERIODS), odd=odd_values())
def test_nothing_but_an_argument_error_comes_of_an_odd_period(
    which: Callable[[object], Period], odd: object
) -> None:
    with suppress(ArgumentError):
        assert type(which(odd)) is Period


def parameters() -> list[tuple[str, str]]:
    return [
        (name, parameter)
        for name, method in METHODS.items()
        for parameter in inspect.signature(method).parameters
        if parameter != "self"
    ]


PARAMETERS = parameters()


async def outcome(cake: Client, name: str, arguments: Mapping[str, object], *, run: bool) -> None:
    group, _, method = name.partition(".")
    function = getattr(getattr(cake, group), method)
    if run:
        bulk.call(function, **arguments)
        return
    result = function(**arguments)
    await (result if inspect.isawaitable(result) else result.collect())


@pytest.mark.parametrize(
    "longest", [np.timedelta64(7, "D"), 7, timedelta(hours=23), HOSTILE, None, True]
)
@pytest.mark.parametrize("match", ["inside", "overlaps"])
async def test_an_odd_length_is_refused(match: PeriodMatch, longest: Any) -> None:  # noqa: ANN401 - odd
    odd = Hostile() if longest is HOSTILE else longest
    async with Peer(done()).client() as cake:
        with pytest.raises(ArgumentError, match="longest"):
            cake.invoices.find(period=Period.month(2024, 1), match=match, longest=odd)


@pytest.mark.parametrize("match", [np.array(["inside", "overlaps"]), HOSTILE, None, b"inside"])
async def test_an_odd_match_is_refused(match: Any) -> None:  # noqa: ANN401 - odd
    odd = Hostile() if match is HOSTILE else match
    async with Peer(done()).client() as cake:
        with pytest.raises(ArgumentError, match="match"):
            cake.invoices.find(period=Period.month(2024, 1), match=odd)


class Match(str):
    """Says that it is another text."""

    __slots__ = ()
    __eq__ = __ne__ = __hash__ = refuse


class Length(timedelta):
    __eq__ = __lt__ = __le__ = __gt__ = __ge__ = __sub__ = __rsub__ = refuse
    __hash__ = timedelta.__hash__


@pytest.mark.parametrize("match", ["inside", "overlaps", "ends_in"])
async def test_how_a_period_matches_is_an_exact_text(match: str) -> None:
    row = {"invoice_id": 1, "affiliate_id": 7, "invoice_status": "paid", "total_amount": "1.00"}
    row |= {"start_date": "2024-02-01", "end_date": "2024-02-04"}
    peer = Peer(says({"request_status": "Success", "invoices": [row], "total_rows": 1}))
    longest: dict[str, Any] = {} if match == "inside" else {"longest": Length(7)}
    asked = []
    async with peer.client() as cake:
        for odd in (Match(match), match):
            found = cake.invoices.find(period=Period.month(2024, 2), match=odd, **longest)  # type: ignore[arg-type]
            asked.append(len(await found.collect()))
    assert asked == [1, 1]
    assert peer.queries[0] == peer.queries[-1]


@settings(max_examples=some(100))
@given(which=st.sampled_from(PARAMETERS), odd=odd_values(), run=st.booleans())
async def test_nothing_but_an_argument_error_comes_of_an_odd_value(
    which: tuple[str, str],
    odd: object,
    run: bool,  # noqa: FBT001 - drawn
) -> None:
    name, parameter = which
    by_place, by_name = CALLS[name]
    names = [each for each in inspect.signature(METHODS[name]).parameters if each != "self"]
    arguments = {**dict(zip(names, by_place, strict=False)), **by_name, parameter: odd}
    peer = Peer(says("nothing that can be read", 400))
    async with peer.client() as cake:
        try:
            await outcome(cake, name, arguments, run=run)
        except ArgumentError:
            sent = 0
        except CakeError:  # the peer's refusal of what was sent
            sent = 1
        else:
            sent = 0 if run else 1
    assert len(peer.requests) == sent


class Duplicates(dict[str, object]):
    def items(self) -> Any:  # noqa: ANN401 - as the mappings of web frameworks have it
        return [("a", 1), ("a", 2)]


class TestRequests:
    GET: ClassVar = {"method": "GET", "path": "/api/2/x.json", "repeatable": True}

    async def test_odd_values_are_sent_as_what_they_are(self) -> None:
        peer = Peer(says("[]"))
        odd = {
            Text("text"): Markup("a&b"),
            "id": np.int64(5),
            "amount": Amount("20.10"),
            "day": pendulum.date(2024, 1, 1),
            "at": Moment(2024, 2, 15, 10, tzinfo=UTC),
            "left": SKIP,
        }
        exact = {
            "text": "a&b",
            "id": 5,
            "amount": Decimal("20.10"),
            "day": date(2024, 1, 1),
            "at": datetime(2024, 2, 15, 10, tzinfo=UTC),
        }
        async with peer.client() as cake:
            for values in (odd, exact):
                await cake.request(
                    Text("GET"),
                    Text("/api/2/x.json"),
                    params=values,
                    json={"rows": [values]},
                    repeatable=True,
                )
        first, second = peer.requests
        assert first.url == second.url
        assert first.content == second.content
        assert json.loads(first.content)["rows"][0]["at"] == "2024-02-15T10:00:00Z"

    async def test_an_intent_holds_what_was_sent(self) -> None:
        async with Peer(lost).client() as cake:
            with pytest.raises(CakeError) as caught:
                await cake.request(
                    "POST",
                    "/api/2/x.json",
                    json={"a": [np.int64(5)], "b": SKIP},
                    repeatable=False,
                )
        assert caught.value.intent.arguments["json"] == {"a": [5]}  # type: ignore[attr-defined]

    @pytest.mark.parametrize(
        ("wrong", "named"),
        [
            (lambda: {"method": Hostile()}, "method"),
            (lambda: {"path": Hostile()}, "path"),
            (lambda: {"repeatable": Hostile()}, "repeatable"),
            (lambda: {"repeatable": "no"}, "repeatable"),
            (lambda: {"repeatable": None}, "repeatable"),
            (lambda: {"writes": Hostile()}, "writes"),
            (lambda: {"writes": 0}, "writes"),
            (lambda: {"params": Hostile()}, "params"),
            (lambda: {"params": {"a": Hostile()}}, "a"),
            (lambda: {"params": {"a": {"b": 1}}}, "a"),
            (lambda: {"params": {"a": [1]}}, "a"),
            (lambda: {"params": Duplicates(a=1)}, "a"),
            (lambda: {"json": Hostile()}, "json"),
            (lambda: {"json": {"a": [Hostile()]}}, "json.a[0]"),
            (lambda: {"json": {"a": NotATime()}}, "json.a"),
            (lambda: {"json": {"a": np.float64(1)}}, "json.a"),
            (lambda: {"json": {"a": np.array([1])}}, "json.a"),
        ],
    )
    async def test_what_cannot_be_sent_is_named(
        self, wrong: Callable[[], dict[str, Any]], named: str
    ) -> None:
        peer = Peer(says("[]"))
        async with peer.client() as cake:
            with pytest.raises(ArgumentError) as caught:
                await cake.request(**(self.GET | wrong()))
        assert named in {problem.name for problem in caught.value.problems}
        assert peer.requests == []


async def _no_calls() -> Any:  # noqa: ANN401 - none of them
    for call in ():
        yield call


#: Arguments of a run, and what must not be: what is right for one parameter is wrong for another.
ODD_PATHS = [5, 5.0, True, b"run.db", "run\0.db", "run\ud800.db", ("run.db",), HOSTILE]
ODD_RUNS: list[tuple[str, object]] = [
    *(("journal", odd) for odd in ODD_PATHS),
    *(("calls", odd) for odd in (5, None, HOSTILE, [None], [HOSTILE], ["call"])),
    *(("limit", odd) for odd in (0, True, np.bool_(True), 1.0, "1", np.array([1, 2]), HOSTILE)),  # noqa: FBT003 - a value
    *(("settle", odd) for odd in (True, "1", np.array([1, 2]), 10**400, Decimal("NaN"), HOSTILE)),
    *(("on_existing", odd) for odd in (5, np.array(["skip", "raise"]), ["skip"], HOSTILE)),
    *(("stop_after", odd) for odd in (5, np.array([1, 2]), HOSTILE)),
    *(("expected", odd) for odd in (5, (HOSTILE,), [CakeError], HOSTILE)),
    *(("on_outcome", odd) for odd in (5, np.array([1, 2]))),
    *(("on_progress", odd) for odd in (5, np.array([1, 2]))),
    *(("allow_repeats", odd) for odd in ("no", None, np.array([1, 2]), HOSTILE)),
    *(("allow_unknown_filesystem", odd) for odd in ("no", None, np.array([1, 2]), HOSTILE)),
]


def made(odd: object) -> Any:  # noqa: ANN401 - whatever it is
    if isinstance(odd, list | tuple):
        return type(odd)(map(made, odd))
    return Hostile() if odd is HOSTILE else odd


class TestRuns:
    @pytest.mark.parametrize(("name", "odd"), ODD_RUNS)
    async def test_an_odd_argument_of_a_run_is_named(
        self, name: str, odd: object, tmp_path: Path
    ) -> None:
        arguments: dict[str, Any] = {"calls": [], "journal": tmp_path / "run.db"}
        with pytest.raises(ArgumentError, match=name):
            await bulk.each(**(arguments | {name: made(odd)}))
        assert os.listdir(tmp_path) == []  # noqa: PTH208 - or it would have to be awaited
        if name == "calls" and odd is None:
            return  # of a run that is gone on with, none need be given
        await bulk.each(**arguments)
        arguments = {"path": arguments["journal"]}
        name = "path" if name == "journal" else name
        async with Peer(done()).client() as cake:
            wrong = JournalError if isinstance(odd, list) and name == "calls" else ArgumentError
            with pytest.raises(wrong, match="more calls" if wrong is JournalError else name):
                await bulk.resume(**({"cake": cake} | arguments | {name: made(odd)}))

    @pytest.mark.parametrize("odd", [None, 5, "x.example", HOSTILE])
    async def test_what_is_no_client_goes_on_with_no_run(self, odd: object, tmp_path: Path) -> None:
        with pytest.raises(ArgumentError, match="cake"):
            await bulk.resume(tmp_path / "run.db", made(odd))

    @pytest.mark.parametrize("odd", ODD_PATHS)
    async def test_an_odd_path_of_a_journal_is_named(self, odd: object) -> None:
        for opening in (bulk.Journal.open, bulk.Journal.create):
            with pytest.raises(ArgumentError, match="path"):
                await opening(made(odd), "x.example")

    async def test_values_of_other_classes_are_taken(self, tmp_path: Path) -> None:
        odd: dict[str, Any] = {
            "limit": np.int64(3),
            "settle": np.float32(0.5),
            "on_existing": Text("create"),
            "stop_after": bulk.Stop(unknown=np.int64(3), failed=Number.FIVE),  # type: ignore[arg-type]
        }
        path = Text(tmp_path / "run.db")
        assert (await bulk.each(_no_calls(), journal=path, **odd)).complete
        async with Peer(done()).client() as cake:
            assert (await bulk.resume(path, cake, **odd)).complete

    @pytest.mark.parametrize("odd", [0, True, "1", 1.0, None, np.array([1, 2]), HOSTILE])
    @pytest.mark.parametrize("name", ["unknown", "failed"])
    def test_an_odd_count_is_refused(self, name: str, odd: object) -> None:
        with pytest.raises(ArgumentError, match=name):
            bulk.Stop(**{name: made(odd)})

    @settings(max_examples=some(100))
    @given(
        which=st.sampled_from(sorted({name for name, _ in ODD_RUNS} | {"cake"})), odd=odd_values()
    )
    async def test_nothing_but_an_argument_error_comes_of_an_odd_argument(
        self, which: str, odd: object
    ) -> None:
        with suppress(ArgumentError):
            if which == "cake":
                await bulk.resume("/", odd)  # type: ignore[arg-type]
            elif which == "journal":
                await bulk.resume(odd, None)  # type: ignore[arg-type]
            else:
                await bulk.each(**{"calls": [], "journal": None, which: odd})  # type: ignore[arg-type]
