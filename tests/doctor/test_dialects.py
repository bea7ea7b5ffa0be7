"""Each dialect of the sandbox is named right, and the SDK works in it with what was found."""

from datetime import date, timedelta

import attrs
import pytest

from aiocake import ArgumentError, Binding, CakeError, InstanceTraits, Invoice, Period
from aiocake.doctor import MOST_REQUESTS, Diagnosis, Level, examine
from aiocake.endpoints.invoices import FIND
from aiocake.sandbox import Dialect, Sandbox

from ..support.clients import in_process

pytestmark = pytest.mark.anyio

DIALECTS = Dialect.all()
#: More than most caps, and for the others: but not than the one of CAKE's own pages.
FEW, MANY = 60, 600
JANUARY = Period.month(2024, 1)
EVERY = frozenset(each.name for each in FIND.parameters)


def invoices_for(dialect: Dialect) -> int:
    return MANY if dialect.row_cap == 500 else FEW


def expected(dialect: Dialect) -> InstanceTraits:
    invoices = invoices_for(dialect)
    capped = dialect.row_cap is not None and dialect.row_cap < invoices
    return InstanceTraits(
        envelope=dialect.envelope,
        invoice_fields=dialect.invoice_fields,
        payment_method_fields=dialect.payment_method_fields,
        status_case=dialect.status_case,
        money=dialect.money,
        total_rows="list" if dialect.total_rows else "absent",
        first_row=dialect.first_row,
        row_zero=dialect.row_zero if dialect.first_row else None,
        row_cap=dialect.row_cap if capped else None,
        largest_page=dialect.row_cap if capped else invoices,
        honoured_filters=EVERY - dialect.ignored_filters,
        ignored_filters=dialect.ignored_filters,
        # Rows without a period do not show how it ends.
        end_date=dialect.end_date if dialect.invoice_fields == "amount" else None,
        error_status=dialect.error_status,
        error_field=dialect.error_field,
        error_request_status=dialect.error_request_status,
        bindings=frozenset(Binding),
        v1_format=dialect.v1_format,
        lookup_success=dialect.lookup_success,
    )


async def examined(sandbox: Sandbox, **settings: object) -> Diagnosis:
    async with in_process(sandbox, **settings) as cake:  # type: ignore[arg-type] # they are what they are
        return await examine(cake)


@pytest.mark.parametrize("name", DIALECTS)
async def test_each_dialect_is_named_right(name: str) -> None:
    dialect = DIALECTS[name]
    sandbox = Sandbox(invoices=invoices_for(dialect), bills=3, dialect=dialect)
    before = sandbox.state.changes.count
    found = await examined(sandbox)
    assert found.traits == expected(dialect)
    assert found.error is None
    assert found.requests == len(sandbox.state.requests) <= 21 < MOST_REQUESTS
    assert sandbox.state.changes.count == before
    assert {each.operation for each in sandbox.state.requests} == {
        *("invoices", "payment_methods", "PaymentTypes", "ExportAffiliateBills")
    }


@pytest.mark.parametrize(
    ("dialect", "topics"),
    [
        ("default", set()),
        ("newer-pages", set()),
        ("first-row-1-cap-7", set()),
        ("end-exclusive", {"end date"}),
    ],
)
async def test_only_what_does_not_work_is_a_problem(dialect: str, topics: set[str]) -> None:
    found = await examined(Sandbox(dialect=DIALECTS[dialect]))
    assert {each.topic for each in found.problems} == topics
    assert all(each.advice for each in found.problems)


async def test_a_filter_that_is_ignored_is_a_warning_since_the_client_filters() -> None:
    found = await examined(Sandbox(dialect=DIALECTS["no-status-filter"]))
    (warning,) = (each for each in found.findings if each.level is Level.WARNING)
    assert warning.topic == "filters"
    assert "invoice_status" in warning.text


async def test_a_server_that_cannot_be_paged_is_found() -> None:
    ignored = frozenset({"start_at_row"})
    found = await examined(Sandbox(dialect=Dialect(ignored_filters=ignored)))
    assert found.traits.ignored_filters == ignored
    assert (found.traits.first_row, found.traits.row_cap) == (None, None)
    assert [each.topic for each in found.problems] == ["first row"]


async def test_a_server_without_a_look_up_by_number_is_found() -> None:
    ignored = frozenset({"invoice_id", "row_limit"})
    found = await examined(Sandbox(dialect=Dialect(ignored_filters=ignored)))
    assert found.traits.ignored_filters == ignored
    assert [each.topic for each in found.problems] == ["filters"]


@pytest.mark.parametrize("invoices", [1, 2, 3, 4])
@pytest.mark.parametrize("name", ["default", "first-row-1", "first-row-1-zero-counts", "cap-7"])
async def test_a_short_list_is_enough_to_tell_its_first_row(name: str, invoices: int) -> None:
    dialect = DIALECTS[name]
    found = await examined(Sandbox(invoices=invoices, dialect=dialect))
    assert found.traits.first_row == dialect.first_row
    assert found.traits.row_zero == expected(dialect).row_zero
    assert found.traits.honoured_filters == EVERY
    assert found.traits.row_cap is None
    assert found.problems == ()


@pytest.mark.parametrize("name", DIALECTS)
async def test_an_empty_instance_says_what_could_not_be_told(name: str) -> None:
    dialect = DIALECTS[name]
    found = await examined(Sandbox(invoices=0, bills=0, dialect=dialect))
    told = attrs.evolve(
        expected(dialect),
        **dict.fromkeys(("invoice_fields", "status_case", "money", "end_date", "first_row")),
        **dict.fromkeys(("row_zero", "row_cap", "largest_page")),
        honoured_filters=frozenset(),
        ignored_filters=frozenset(),
    )
    assert found.traits == told
    untold = [each.topic for each in found.findings if "no invoices" in each.text]
    assert untold == ["fields", "first row", "page size", "filters", "end date"]
    assert found.problems == ()


@pytest.mark.parametrize("name", DIALECTS)
async def test_the_sdk_works_with_what_was_found(name: str) -> None:
    dialect = DIALECTS[name]
    sandbox = Sandbox(invoices=invoices_for(dialect), bills=3, dialect=dialect)
    traits = (await examined(sandbox)).traits
    async with in_process(sandbox, traits=traits) as cake:
        invoices = sandbox.state.invoices
        assert ids(await cake.invoices.find().collect()) == list(invoices)
        found = await cake.invoices.find(affiliate_id=67_890).collect()
        assert ids(found) == [n for n, it in invoices.items() if it.affiliate_id == 67_890]
        found = await cake.invoices.find(invoice_status="approved").collect()
        assert ids(found) == [n for n, it in invoices.items() if it.invoice_status == "approved"]
        january = [
            number
            for number, it in invoices.items()
            if JANUARY.start <= it.start_date and it.end_date <= JANUARY.end
        ]
        assert january
        if traits.end_date == "exclusive":
            with pytest.raises(ArgumentError, match=r"^period: end dates are exclusive"):
                cake.invoices.find(period=JANUARY)
            with pytest.raises(ArgumentError, match=r"^period: end dates are exclusive"):
                await cake.invoices.page(period=JANUARY)
            day_after = JANUARY.end + timedelta(days=1)
            rows = cake.invoices.find(start_date=JANUARY.start, end_date=day_after)
        else:
            rows = cake.invoices.find(period=JANUARY)
        assert ids(await rows.collect()) == january
        assert len(await cake.affiliate_bills.export(period=Period.year(2014)).collect()) == 3
        created = await cake.invoices.create(
            affiliate_id=67_890, start_date=date(2030, 1, 1), end_date=date(2030, 1, 31)
        )
        await cake.invoices.update(created.invoice_id, invoice_status="approved")
        assert (await cake.invoices.get(created.invoice_id)).invoice_status == "approved"


def ids(rows: list[Invoice]) -> list[int]:
    return [row.invoice_id for row in rows]


#: Of each kind that the client uses, one that is true of few dialects.
TRAITS = {
    "cap 2": InstanceTraits(row_cap=2, largest_page=2),
    "cap 1": InstanceTraits(row_cap=1, largest_page=1),
    "cap 50": InstanceTraits(row_cap=50, largest_page=50),
    "large": InstanceTraits(largest_page=10_000),
    "no partners": InstanceTraits(ignored_filters={"affiliate_id", "advertiser_id"}),  # type: ignore[arg-type] # any set
    "no status": InstanceTraits(ignored_filters={"invoice_status"}),  # type: ignore[arg-type] # any set
    "no dates": InstanceTraits(ignored_filters={"start_date", "end_date"}),  # type: ignore[arg-type] # any set
    "counts from 1": InstanceTraits(first_row=1, total_rows="absent", end_date="inclusive"),
}


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("traits", TRAITS)
@pytest.mark.parametrize("name", DIALECTS)
async def test_wrong_traits_lose_no_row(name: str, traits: str) -> None:
    """A list is complete, or it raises, whatever is believed of the instance."""
    sandbox = Sandbox(invoices=60, bills=3, dialect=DIALECTS[name])
    invoices = sandbox.state.invoices
    inside = timedelta(days=DIALECTS[name].end_date == "exclusive")
    chosen = {
        "affiliate_id": 67_890,
        "invoice_status": "paid",
        "period": Period.year(2024),
    }
    async with in_process(sandbox, traits=TRAITS[traits]) as cake:
        assert ids(await cake.invoices.find().collect()) == list(invoices)
        for filter_, value in chosen.items():
            wanted = [
                number
                for number, it in invoices.items()
                if (filter_ == "affiliate_id" and it.affiliate_id == value)
                or (filter_ == "invoice_status" and it.invoice_status == value)
                or (
                    filter_ == "period"
                    and it.start_date.year == 2024
                    and (it.end_date + inside).year == 2024
                )
            ]
            try:
                found = ids(await cake.invoices.find(**{filter_: value}).collect())  # type: ignore[arg-type] # as above
            except CakeError:
                continue
            if filter_ == "period" and "start_date" in DIALECTS[name].ignored_filters:
                # Nobody filters by dates: the rows say so, by an anomaly.
                assert set(wanted) <= set(found)
            else:
                assert found == wanted
