"""xsdata: the whole export into dataclasses as its generator writes them, over httpx."""

# ruff: noqa: RUF009 - a dataclass of xsdata says so what each of its fields is

from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import httpx
from xsdata.formats.dataclass.parsers import XmlParser
from xsdata.formats.dataclass.parsers.config import ParserConfig

from benchmarks.harness.answers import KEY

LACKS = "Holds the whole body and all objects at once; is not async; dates stay texts here."

_CAKE = "http://cakemarketing.com/api/1/"
_STORE = "API:id_name_store"
_SOAP = "http://schemas.xmlsoap.org/soap/envelope/"


def bills(url: str, take: Callable[[Any], None]) -> None:
    """Read an export."""
    path = "/api/1/accounting.asmx/ExportAffiliateBills"
    response = httpx.get(url + path, params={"api_key": KEY}, timeout=300, verify=False)  # noqa: S501 - no TLS here
    response.raise_for_status()
    parser = XmlParser(config=ParserConfig(fail_on_unknown_properties=True))
    envelope: Any = parser.from_bytes(response.content, Envelope)
    for bill in envelope.body.answer.result.affiliate_bills.affiliate_bill:
        take(bill)


def element(name: str, namespace: str = _CAKE) -> Any:  # noqa: ANN401 - what dataclasses want
    """A field that is an element of that name; an optional one."""
    metadata = {"name": name, "type": "Element", "namespace": namespace, "nillable": True}
    return field(default=None, metadata=metadata)


def elements(name: str) -> Any:  # noqa: ANN401 - what dataclasses want
    """A field that is any number of elements of that name."""
    metadata = {"name": name, "type": "Element", "namespace": _CAKE}
    return field(default_factory=list, metadata=metadata)


@dataclass(slots=True)
class AccountStatus:
    """As xsdata's generator writes it, like those that follow."""

    account_status_id: int | None = element("account_status_id", _STORE)
    account_status_name: str | None = element("account_status_name", _STORE)


@dataclass(slots=True)
class Contact:
    """An account manager or a contact."""

    contact_id: int | None = element("contact_id")
    contact_name: str | None = element("contact_name")
    contact_type: str | None = element("contact_type")


@dataclass(slots=True)
class Managers:
    """The account managers."""

    account_manager: list[Contact] = elements("account_manager")


@dataclass(slots=True)
class Contacts:
    """The contacts."""

    contact: list[Contact] = elements("contact")


@dataclass(slots=True)
class Cycle:
    """The billing cycle."""

    billing_cycle_id: int | None = element("billing_cycle_id", _STORE)
    billing_cycle_name: str | None = element("billing_cycle_name", _STORE)


@dataclass(slots=True)
class Billing:
    """How the affiliate is billed."""

    contacts: Contacts | None = element("contacts")
    billing_cycle: Cycle | None = element("billing_cycle")


@dataclass(slots=True)
class Affiliate:
    """Who is paid."""

    affiliate_id: int | None = element("affiliate_id", _STORE)
    affiliate_name: str | None = element("affiliate_name", _STORE)
    account_status: AccountStatus | None = element("account_status")
    account_managers: Managers | None = element("account_managers")
    affiliate_billing: Billing | None = element("affiliate_billing")


@dataclass(slots=True)
class Amount:
    """The amount."""

    currency_id: int | None = element("currency_id")
    amount: Decimal | None = element("amount")
    formatted_amount: str | None = element("formatted_amount")


@dataclass(slots=True)
class Bill:
    """A bill; its dates stay texts, which is in favour of xsdata."""

    bill_id: int | None = element("bill_id")
    affiliate: Affiliate | None = element("affiliate")
    billing_period_start_date: str | None = element("billing_period_start_date")
    billing_period_end_date: str | None = element("billing_period_end_date")
    bill_amount: Amount | None = element("bill_amount")
    invoice_number: str | None = element("invoice_number")
    invoiced_amount: Decimal | None = element("invoiced_amount")
    date_invoice_received: str | None = element("date_invoice_received")
    payment_date: str | None = element("payment_date")
    payment_type_id: int | None = element("payment_type_id")
    verification_code: str | None = element("verification_code")
    notes: str | None = element("notes")
    sent_payment: str | None = element("sent_payment")


@dataclass(slots=True)
class Bills:
    """The list."""

    affiliate_bill: list[Bill] = elements("affiliate_bill")


@dataclass(slots=True)
class Result:
    """What is in the answer."""

    success: bool | None = element("success")
    row_count: int | None = element("row_count")
    affiliate_bills: Bills | None = element("affiliate_bills")


@dataclass(slots=True)
class Answer:
    """The answer."""

    result: Result | None = element("ExportAffiliateBillsResult")


@dataclass(slots=True)
class Body:
    """The body of the envelope."""

    answer: Answer | None = element("ExportAffiliateBillsResponse")


@dataclass(slots=True)
class Envelope:
    """The envelope."""

    body: Body | None = element("Body", _SOAP)
