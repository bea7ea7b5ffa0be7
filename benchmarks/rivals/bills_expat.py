"""Lean expat: a handler written by hand that builds the very objects of aiocake, over aiohttp."""

import asyncio
from collections.abc import Callable
from decimal import Decimal
from typing import Any
from xml.parsers import expat

import aiohttp

from aiocake.models import AccountManager, AffiliateBill, BillAmount, Partner
from benchmarks.harness.answers import KEY

LACKS = (
    "No limit for anything a server sends, document types and entities included; does not notice "
    "an export that is cut short or says that it failed; knows no other form of a bill."
)

Fields = dict[str, Any]
Take = Callable[[Any], None]


def bills(url: str, take: Take) -> None:
    """Read an export."""
    asyncio.run(_read(url, take))


async def _read(url: str, take: Take) -> None:
    parser = handler(take)
    path = "/api/1/accounting.asmx/ExportAffiliateBills"
    async with (
        aiohttp.ClientSession(url) as http,
        http.get(path, params={"api_key": KEY}) as response,
    ):
        response.raise_for_status()
        async for chunk in response.content.iter_any():
            parser.Parse(chunk, False)  # noqa: FBT003 - expat takes it by position
    parser.Parse(b"", True)  # noqa: FBT003 - the same


def handler(take: Take) -> expat.XMLParserType:
    """Return a parser that gives each bill as it ends."""
    opened: list[Fields] = []
    fields: Fields = {}
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
        else:
            fields[name] = value

    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = start
    parser.CharacterDataHandler = data
    parser.EndElementHandler = end
    return parser


def bill_of(bill: Fields) -> AffiliateBill:
    """Return the bill of its fields, with no checks."""
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
