"""What the client does with the traits of an instance; that it refuses what none are."""

import json
from datetime import date

import pytest
from starlette.responses import Response

from aiocake import (
    ArgumentError,
    Binding,
    Client,
    ConfigurationError,
    DecodeError,
    InstanceTraits,
    Outcome,
    Period,
)
from aiocake.sandbox import Dialect, RecordedRequest, Sandbox

from ..support.clients import in_process
from ..support.peer import Peer, says

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("traits", "said"),
    [
        ({"envelope": "round"}, "envelope must be one of 'flat', 'wrapped', 'beside'"),
        ({"first_row": 2}, "first_row must be one of 0, 1"),
        ({"first_row": True}, "first_row must be one of 0, 1"),
        ({"row_cap": 0}, "row_cap must be a whole number of at least 1"),
        ({"row_cap": 7.0}, "row_cap must be a whole number of at least 1"),
        ({"ignored_filters": "affiliate_id"}, "ignored_filters must be some of"),
        ({"ignored_filters": None}, "ignored_filters must be some of"),
        ({"ignored_filters": 7}, "ignored_filters must be some of"),
        ({"honoured_filters": ["memo"]}, "honoured_filters must be some of"),
        ({"bindings": ["soap"]}, "bindings must be some of get, post, soap11, soap12"),
        ({"lookup_success": 1}, "lookup_success must be True or False"),
        ({"error_field": 1}, "error_field must be a text"),
    ],
)
def test_a_trait_that_is_none_is_refused(traits: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        InstanceTraits(**traits)  # type: ignore[arg-type] # they are not


def test_sets_are_exact() -> None:
    traits = InstanceTraits(bindings=["get", "soap12"], ignored_filters=["start_date"])  # type: ignore[arg-type] # any iterable
    assert traits.bindings == frozenset({Binding.GET, Binding.SOAP12})
    assert {type(each) for each in traits.bindings or ()} == {Binding}
    assert traits == InstanceTraits(
        bindings=frozenset(Binding) - {Binding.POST, Binding.SOAP11},
        ignored_filters=frozenset({"start_date"}),
    )


def test_a_client_takes_traits_only() -> None:
    with pytest.raises(ConfigurationError, match="traits: must be an InstanceTraits, got dict"):
        Client("x.example", "key", traits={})  # type: ignore[arg-type] # it is not


# Bindings.

XML = "<r><success>true</success><message>Bill Marked As Received</message></r>"


@pytest.mark.parametrize(
    ("answered", "media_type"),
    [
        (None, "application/soap+xml; charset=utf-8"),
        ({Binding.GET, Binding.SOAP12, Binding.SOAP11}, "application/soap+xml; charset=utf-8"),
        ({Binding.GET, Binding.POST, Binding.SOAP11}, "text/xml; charset=utf-8"),
        ({Binding.GET, Binding.POST}, "application/x-www-form-urlencoded"),
    ],
)
async def test_what_must_not_be_repeated_goes_by_a_binding_that_is_answered(
    answered: set[Binding] | None, media_type: str
) -> None:
    traits = InstanceTraits(bindings=None if answered is None else frozenset(answered))
    peer = Peer(says(XML))
    async with peer.client(traits=traits) as cake:
        await cake.buyer_bills.mark_received(1, payment_amount=1, apply_credit_to_buyer=True)
    assert peer.requests[0].headers["Content-Type"] == media_type


async def test_a_binding_that_is_not_answered_is_refused_before_sending() -> None:
    peer = Peer(says(XML))
    traits = InstanceTraits(bindings=frozenset({Binding.SOAP11, Binding.POST}))
    async with peer.client(traits=traits) as cake:
        with pytest.raises(ArgumentError) as caught:
            await cake.affiliate_bills.mark_received(1, invoiced_amount=1)
        assert str(caught.value) == (
            "binding: this instance does not answer get (by its traits it answers: post, soap11)"
        )
        assert caught.value.outcome is Outcome.NOT_DONE
        with pytest.raises(ArgumentError, match="does not answer get"):
            cake.affiliate_bills.export(period=Period.month(2014, 6))
        assert peer.requests == []
        view = cake.with_options(binding=Binding.POST)
        await view.affiliate_bills.mark_received(1, invoiced_amount=1)
    assert len(peer.requests) == 1


async def test_what_must_not_be_repeated_is_refused_where_get_alone_is_answered() -> None:
    peer = Peer(says(XML))
    async with peer.client(traits=InstanceTraits(bindings=frozenset({Binding.GET}))) as cake:
        with pytest.raises(ArgumentError, match="does not answer soap12"):
            await cake.buyer_bills.mark_received(1, payment_amount=1, apply_credit_to_buyer=True)
    assert peer.requests == []


async def test_version_2_has_no_bindings() -> None:
    async with in_process(Sandbox(), traits=InstanceTraits(bindings=frozenset())) as cake:
        assert await cake.invoices.get(4821)


# Lists.


def count_pages(sandbox: Sandbox) -> None:
    """Have ``total_rows`` count the page."""

    def change(_: RecordedRequest, response: Response) -> Response:
        content = json.loads(bytes(response.body))
        return Response(json.dumps(content | {"total_rows": len(content["invoices"])}))

    sandbox.state.on_response.append(change)


async def test_a_list_that_looks_complete_is_read_on_where_its_pages_are_capped() -> None:
    """Of such a server, the first page says that it is all: 7 rows, and their total is 7."""
    sandbox = Sandbox(invoices=40, dialect=Dialect(row_cap=7))
    count_pages(sandbox)
    async with in_process(sandbox) as cake:
        assert len(await cake.invoices.find().collect()) == 7
    async with in_process(sandbox, traits=InstanceTraits(row_cap=7)) as cake:
        assert len(await cake.invoices.find().collect()) == 40


@pytest.mark.parametrize(
    ("traits", "row_limit", "asked"),
    [
        (InstanceTraits(), None, 101),
        (InstanceTraits(row_cap=50), None, 50),
        (InstanceTraits(row_cap=50), 20, 21),
        (InstanceTraits(row_cap=50), 1000, 50),
        (InstanceTraits(largest_page=999), None, 101),
        (InstanceTraits(largest_page=1000), None, 1001),
        (InstanceTraits(largest_page=1000), 20, 21),
        (InstanceTraits(largest_page=500, row_cap=500), None, 101),
    ],
)
async def test_as_many_rows_are_asked_for_as_a_page_can_have(
    traits: InstanceTraits, row_limit: int | None, asked: int
) -> None:
    sandbox = Sandbox(invoices=10)
    given = {} if row_limit is None else {"row_limit": row_limit}
    async with in_process(sandbox, traits=traits) as cake:
        assert len(await cake.invoices.find(**given).collect()) == 10
    (request,) = sandbox.state.requests
    assert dict(request.query)["row_limit"] == str(asked)


async def test_large_pages_that_are_refused_after_all_become_usual_ones() -> None:
    sandbox = Sandbox(invoices=300)

    def refuse(request: RecordedRequest) -> Response | None:
        if int(dict(request.query)["row_limit"]) <= 101:
            return None
        return Response('{"request_status": "Error", "message": "row_limit"}')

    sandbox.state.on_request.append(refuse)
    async with in_process(sandbox, traits=InstanceTraits(largest_page=10_000)) as cake:
        assert len(await cake.invoices.find().collect()) == 300


async def test_a_filter_that_is_ignored_is_sent_all_the_same() -> None:
    """An instance may have learnt it meanwhile; then it takes fewer requests."""
    traits = InstanceTraits(ignored_filters=frozenset({"affiliate_id", "end_date"}))
    sandbox = Sandbox()
    async with in_process(sandbox, traits=traits) as cake:
        rows = cake.invoices.find(affiliate_id=67_890, period=Period.year(2024))
        found = await rows.collect()
    assert found
    assert {row.affiliate_id for row in found} == {67_890}
    query = dict(sandbox.state.requests[0].query)
    assert (query["affiliate_id"], query["end_date"]) == ("67890", "2024-12-31")


ROW = {"invoice_id": 1, "invoice_status": "paid", "total_amount": "1.00"}


@pytest.mark.parametrize(
    ("filters", "said"),
    [
        ({"affiliate_id": 7}, "invoice 1 names no partner, and this instance does not filter"),
        ({"advertiser_id": 7}, "invoice 1 names no partner"),
        ({"start_date": date(2024, 1, 1)}, "invoice 1 has no start_date, and this instance"),
        ({"end_date": date(2024, 1, 1)}, "invoice 1 has no end_date"),
    ],
)
async def test_a_row_that_does_not_show_whether_it_matches_ends_the_list(
    filters: dict[str, object], said: str
) -> None:
    peer = Peer(says({"request_status": "Success", "invoices": [ROW], "total_rows": 1}))
    traits = InstanceTraits(ignored_filters=frozenset(filters))
    async with peer.client(traits=traits) as cake:
        with pytest.raises(DecodeError, match=said):
            await cake.invoices.find(**filters).collect()  # type: ignore[arg-type] # as they are


async def test_no_affiliate_s_invoices_are_taken_for_another_s_before_a_create() -> None:
    """The look for what is there before a create goes by the same list."""
    from aiocake import bulk  # noqa: PLC0415 - of this test alone

    sandbox = Sandbox(dialect=Dialect.all()["no-affiliate-filter"])
    there = sandbox.state.invoices[4821]
    traits = InstanceTraits(ignored_filters=frozenset({"affiliate_id"}))
    async with in_process(sandbox, traits=traits) as cake:
        calls = [
            bulk.call(
                cake.invoices.create,
                affiliate_id=affiliate,
                start_date=there.start_date,
                end_date=there.end_date,
            )
            for affiliate in (67_890, 67_901)
        ]
        summary = await bulk.each(calls, journal=None)
    assert (summary.skipped, summary.done) == (1, 1)
