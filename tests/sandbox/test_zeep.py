"""zeep, a SOAP client of its own package, reads the WSDL and makes every call."""

# ruff: noqa: DTZ001 - v1's times have no zone

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest
import zeep
import zeep.exceptions

from aiocake.sandbox import Sandbox, serve

from ..support.clients import KEY

PERIOD = ("all", datetime(2014, 1, 1), datetime(2015, 2, 1))
CHANGED = (datetime(2014, 6, 30), "change")
CALLS: dict[str, tuple[Any, ...]] = {
    "ExportAffiliateBills": (*PERIOD, False, 0),
    "ExportAdvertiserBills": PERIOD,
    "ExportBuyerBills": PERIOD,
    "MarkAffiliateBillAsReceived": (345, "A-1", Decimal("20.01"), *CHANGED, "🍰 & <b>"),
    "MarkAffiliateBillAsPaid": (345, 2, "A-1", "V-1", datetime(2014, 6, 30), None),
    "MarkAdvertiserBillAsSent": (1_000_000, "A-1", *CHANGED, ""),
    "MarkAdvertiserBillAsReceived": (1_000_000, Decimal(5), 2, "A-1", "V-1", *CHANGED, ""),
    "MarkBuyerBillAsSent": (2_000_000, "A-1", *CHANGED, ""),
    "MarkBuyerBillAsReceived": (2_000_000, Decimal(5), 2, "A-1", "V", *CHANGED, True, ""),
    "BillingCycles": (),
    "PaymentTypes": (),
    "PaymentSettings": (),
    "AccountStatuses": (),
    "Currencies": (),
    "ExchangeRates": (datetime(2014, 1, 1), datetime(2014, 3, 1)),
}


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[Sandbox, str]]:
    sandbox = Sandbox()
    state = sandbox.state
    for partners in (state.affiliates, state.advertisers, state.buyers):
        for partner in partners.values():
            # zeep's parser takes no control characters.
            partner.name = partner.name.replace("\x1b", "")
    with serve(sandbox) as url:
        yield sandbox, url


def bound(url: str, protocol: str) -> Iterator[dict[str, Any]]:
    """Every operation that the two pages offer by a protocol."""
    found: dict[str, Any] = {}
    clients = []
    for page in ("accounting", "get"):
        client = zeep.Client(f"{url}/api/1/{page}.asmx?WSDL")
        clients.append(client)
        service = client.bind(page, f"{page}{protocol}")
        found |= dict.fromkeys(service._binding._operations, service)
    yield found
    for client in clients:
        client.transport.session.close()


@pytest.fixture(scope="module", params=["Soap", "Soap12"])
def services(
    request: pytest.FixtureRequest, served: tuple[Sandbox, str]
) -> Iterator[dict[str, Any]]:
    yield from bound(served[1], request.param)


@pytest.fixture(scope="module", params=["HttpGet", "HttpPost"])
def plain_services(
    request: pytest.FixtureRequest, served: tuple[Sandbox, str]
) -> Iterator[dict[str, Any]]:
    yield from bound(served[1], request.param)


@pytest.mark.parametrize("operation", CALLS)
def test_zeep_makes_every_call(
    services: dict[str, Any], served: tuple[Sandbox, str], operation: str
) -> None:
    answer = services[operation][operation](KEY, *CALLS[operation])
    assert answer.success is True
    recorded = served[0].state.requests[-1]
    assert recorded.operation == operation
    assert tuple(recorded.arguments.values()) == CALLS[operation]


def as_text(value: object) -> str:
    """By GET and form, zeep leaves it to its caller how a value is written."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, datetime):
        return value.date().isoformat()
    return "" if value is None else str(value)


@pytest.mark.parametrize("operation", CALLS)
def test_zeep_makes_every_call_by_get_and_form(
    plain_services: dict[str, Any], served: tuple[Sandbox, str], operation: str
) -> None:
    # Neither takes the start of a tag.
    given = [
        value.replace("<b>", "") if isinstance(value, str) else value for value in CALLS[operation]
    ]
    answer = plain_services[operation][operation](KEY, *map(as_text, given))
    assert answer.success is True
    recorded = served[0].state.requests[-1]
    assert recorded.operation == operation
    assert recorded.path.endswith(f"/{operation}")
    # And neither has a null.
    expected = tuple("" if value is None else value for value in given)
    assert tuple(recorded.arguments.values()) == expected


def test_zeep_finds_all_operations_and_no_others(
    services: dict[str, Any], plain_services: dict[str, Any]
) -> None:
    assert set(services) == set(plain_services) == set(CALLS)


def test_zeep_reads_a_bill(services: dict[str, Any], served: tuple[Sandbox, str]) -> None:
    answer = services["ExportAffiliateBills"].ExportAffiliateBills(
        KEY, *CALLS["ExportAffiliateBills"]
    )
    bill = answer.affiliate_bills.affiliate_bill[0]
    stored = served[0].state.affiliate_bills[345]
    assert bill.bill_id == 345
    assert bill.bill_amount.amount == stored.amount
    assert bill.affiliate.affiliate_name == "Acme Media Group"
    assert bill.affiliate.affiliate_billing.contacts.contact[0].contact_type == "Primary"
    assert answer.row_count == len(answer.affiliate_bills.affiliate_bill)


def test_zeep_reads_a_bill_by_get_and_form(
    plain_services: dict[str, Any], served: tuple[Sandbox, str]
) -> None:
    answer = plain_services["ExportAffiliateBills"].ExportAffiliateBills(
        KEY, *map(as_text, CALLS["ExportAffiliateBills"])
    )
    bill = answer.affiliate_bills.affiliate_bill[0]
    assert bill.bill_amount.amount == served[0].state.affiliate_bills[bill.bill_id].amount
    assert bill.affiliate.account_status.account_status_name in {"Active", "Inactive", "Pending"}


def test_zeep_reads_a_refusal_and_a_fault(services: dict[str, Any]) -> None:
    refused = services["ExportBuyerBills"].ExportBuyerBills("wrong", *PERIOD)
    assert (refused.success, refused.message) == (False, "Invalid API key")
    assert refused.buyer_bills is None
    early = datetime(1066, 10, 14)
    with pytest.raises(zeep.exceptions.Fault, match="SqlDateTime overflow"):
        services["ExchangeRates"].ExchangeRates(KEY, early, early)
