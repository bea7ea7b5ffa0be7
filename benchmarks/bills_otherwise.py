"""Other ways to read an export of bills: what :mod:`bills` compares with."""

# ruff: noqa: RUF009 - a dataclass of xsdata says so what each of its fields is

import asyncio
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.parsers import expat

from aiocake.models import AccountManager, AffiliateBill, BillAmount, Partner

CHUNK = 1 << 16
CAKE = "http://cakemarketing.com/api/1/"
STORE = "API:id_name_store"
SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
NIL = "{http://www.w3.org/2001/XMLSchema-instance}nil"

Fields = dict[str, Any]
Take = Callable[[Any], None]


def chunks(file: Path) -> Iterator[bytes]:
    """A file as it would come from the network."""
    with file.open("rb") as opened:
        while chunk := opened.read(CHUNK):
            yield chunk


def bill_of(bill: Fields) -> AffiliateBill:
    """The bill of its fields, with no checks."""
    partner = bill.pop("affiliate")
    status = partner.pop("account_status")
    manager = partner.pop("account_managers")["account_manager"]
    cycle = partner.pop("affiliate_billing")["billing_cycle"]
    amount = bill.pop("bill_amount")
    invoiced = bill.pop("invoiced_amount")
    return AffiliateBill(
        bill_id=int(bill.pop("bill_id")),
        affiliate=Partner(
            id=int(partner.pop("affiliate_id")),
            name=partner.pop("affiliate_name"),
            account_status_id=int(status["account_status_id"]),
            account_status_name=status["account_status_name"],
            account_managers=(
                AccountManager(
                    contact_id=int(manager["contact_id"]), contact_name=manager["contact_name"]
                ),
            ),
            billing_cycle_id=int(cycle["billing_cycle_id"]),
            billing_cycle_name=cycle["billing_cycle_name"],
            extra=partner,
        ),
        bill_amount=BillAmount(
            amount=Decimal(amount["amount"]),
            currency_id=int(amount["currency_id"]),
            formatted_amount=amount["formatted_amount"],
        ),
        invoice_number=bill.pop("invoice_number") or None,
        invoiced_amount=None if invoiced is None else Decimal(invoiced),
        verification_code=bill.pop("verification_code") or None,
        notes=bill.pop("notes") or None,
        sent_payment=bill.pop("sent_payment") == "yes",
        extra=bill,
    )


def put(fields: Fields, name: str, value: object) -> None:
    """A field; what is there twice becomes a list."""
    if name in fields:
        again = fields[name]
        fields[name] = [*again, value] if isinstance(again, list) else [again, value]
    else:
        fields[name] = value


def by_hand(file: Path, take: Take) -> None:
    """A handler for expat that does just this: no bounds, no checks, one document."""
    parser = handler(take)
    for chunk in chunks(file):
        parser.Parse(chunk, False)  # noqa: FBT003 - expat takes it by position
    parser.Parse(b"", True)  # noqa: FBT003 - expat takes it by position


def by_hand_http(url: str, take: Take) -> None:
    """The same behind httpx."""
    import httpx  # noqa: PLC0415 - only this process loads it

    async def read() -> None:
        parser = handler(take)
        path = "/api/1/accounting.asmx/ExportAffiliateBills"
        async with (
            httpx.AsyncClient(base_url=url, timeout=300) as client,
            client.stream("GET", path, params={"api_key": "SANDBOX-KEY"}) as response,
        ):
            async for chunk in response.aiter_bytes():
                parser.Parse(chunk, False)  # noqa: FBT003 - expat takes it by position
        parser.Parse(b"", True)  # noqa: FBT003 - expat takes it by position

    asyncio.run(read())


def handler(take: Take) -> expat.XMLParserType:
    """A parser that gives each bill as it ends."""
    opened: list[dict[str, Any]] = []
    fields: dict[str, Any] = {}
    text = ""
    nil = False

    def start(_: str, attributes: dict[str, str]) -> None:
        nonlocal fields, text, nil
        nil = attributes.get("xsi:nil") == "true"
        opened.append(fields)
        fields = {}
        text = ""

    def data(more: str) -> None:
        nonlocal text
        text += more

    def end(name: str) -> None:
        nonlocal fields, text, nil
        value: Any = fields or (None if nil else text)
        fields = opened.pop()
        text = ""
        nil = False
        if name == "affiliate_bill":
            take(bill_of(value))
        elif name in fields:
            put(fields, name, value)
        else:
            fields[name] = value

    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = start
    parser.CharacterDataHandler = data
    parser.EndElementHandler = end
    return parser


def nothing(file: Path, take: Take) -> None:
    """Expat with handlers that do nothing: what any way to read with it pays."""
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = lambda _, __: None
    parser.CharacterDataHandler = lambda _: None
    parser.EndElementHandler = lambda name: take(1) if name == "affiliate_bill" else None
    for chunk in chunks(file):
        parser.Parse(chunk, False)  # noqa: FBT003 - expat takes it by position
    parser.Parse(b"", True)  # noqa: FBT003 - expat takes it by position


def by_lxml(file: Path, take: Take) -> None:
    """Lxml's iterparse, each bill dropped once it is read."""
    from lxml import etree  # noqa: PLC0415 - only this process loads it

    def value_of(element: Any) -> Any:  # noqa: ANN401 - whatever a document holds
        if len(element):
            fields: Fields = {}
            for child in element:
                put(fields, child.tag.rpartition("}")[2], value_of(child))
            return fields
        return None if element.get(NIL) == "true" else element.text or ""

    with file.open("rb") as opened:
        for _, element in etree.iterparse(opened, tag=f"{{{CAKE}}}affiliate_bill"):
            take(bill_of(value_of(element)))
            element.clear()
            while element.getprevious() is not None:
                del element.getparent()[0]


def element(name: str, namespace: str = CAKE) -> Any:  # noqa: ANN401 - what dataclasses want
    """A field that is an element of that name; an optional one."""
    metadata = {"name": name, "type": "Element", "namespace": namespace, "nillable": True}
    return field(default=None, metadata=metadata)


def elements(name: str) -> Any:  # noqa: ANN401 - what dataclasses want
    """A field that is any number of elements of that name."""
    metadata = {"name": name, "type": "Element", "namespace": CAKE}
    return field(default_factory=list, metadata=metadata)


@dataclass(slots=True)
class AccountStatus:
    """As xsdata's generator writes it, like those that follow."""

    account_status_id: int | None = element("account_status_id", STORE)
    account_status_name: str | None = element("account_status_name", STORE)


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

    billing_cycle_id: int | None = element("billing_cycle_id", STORE)
    billing_cycle_name: str | None = element("billing_cycle_name", STORE)


@dataclass(slots=True)
class Billing:
    """How the affiliate is billed."""

    contacts: Contacts | None = element("contacts")
    billing_cycle: Cycle | None = element("billing_cycle")


@dataclass(slots=True)
class Affiliate:
    """Who is paid."""

    affiliate_id: int | None = element("affiliate_id", STORE)
    affiliate_name: str | None = element("affiliate_name", STORE)
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

    body: Body | None = element("Body", SOAP)


def by_xsdata(file: Path, take: Take) -> None:
    """xsdata: the whole file into dataclasses, as its generator writes them."""
    from xsdata.formats.dataclass.parsers import XmlParser  # noqa: PLC0415 - only this process
    from xsdata.formats.dataclass.parsers.config import ParserConfig  # noqa: PLC0415 - the same

    parser = XmlParser(config=ParserConfig(fail_on_unknown_properties=True))
    envelope: Any = parser.parse(str(file), Envelope)
    for bill in envelope.body.answer.result.affiliate_bills.affiliate_bill:
        take(bill)


def by_zeep(file: Path, take: Take) -> None:
    """zeep: the whole file into its objects, by the WSDL of the sandbox."""
    import zeep  # noqa: PLC0415 - only this process loads it

    from aiocake.sandbox.v1.service import wsdl  # noqa: PLC0415 - the same

    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "accounting.wsdl"
        page.write_bytes(bytes(wsdl("accounting", "http://127.0.0.1/accounting.asmx").body))
        client = zeep.Client(str(page), settings=zeep.Settings(xml_huge_tree=True))
    binding = client.bind("accounting", "accountingSoap")._binding  # noqa: SLF001 - no other way in
    reply = SimpleNamespace(
        status_code=200, headers={}, content=file.read_bytes(), encoding="utf-8"
    )
    answer = binding.process_reply(client, binding.get("ExportAffiliateBills"), reply)
    for bill in answer.affiliate_bills.affiliate_bill:
        assert isinstance(bill.bill_amount.amount, Decimal)
        take(bill)
