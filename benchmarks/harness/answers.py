"""What the server answers with: pages of invoices, an update, an export of bills."""

import json
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

KEY: Final = "BENCHMARK"
#: Rows of a page, where nothing else is said.
ROWS: Final = 100
UPDATED: Final = (
    b'{"request_status":"Success","invoice":{"invoice_id":4821,"invoice_status":"approved"}}'
)
_STATUSES: Final = ("pending", "approved", "paid", "void")
_CAKE: Final = "http://cakemarketing.com/api/1/"
_STORE: Final = "API:id_name_store"
_BEFORE: Final = (
    '<?xml version="1.0" encoding="utf-8"?>'
    '<soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/" '
    'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">'
    f'<soap:Body><ExportAffiliateBillsResponse xmlns="{_CAKE}"><ExportAffiliateBillsResult>'
    "<success>true</success><row_count>{rows}</row_count><affiliate_bills>"
)
_AFTER: Final = (
    "</affiliate_bills></ExportAffiliateBillsResult></ExportAffiliateBillsResponse>"
    "</soap:Body></soap:Envelope>"
)
_BILL: Final = (
    "<affiliate_bill><bill_id>{id}</bill_id><affiliate>"
    f'<affiliate_id xmlns="{_STORE}">{{partner}}</affiliate_id>'
    f'<affiliate_name xmlns="{_STORE}">Müller &amp; Söhne {{partner}}</affiliate_name>'
    f'<account_status><account_status_id xmlns="{_STORE}">1</account_status_id>'
    f'<account_status_name xmlns="{_STORE}">Active</account_status_name></account_status>'
    "<account_managers><account_manager><contact_id>7</contact_id>"
    "<contact_name>Ann Example</contact_name></account_manager></account_managers>"
    "<affiliate_billing><billing_cycle>"
    f'<billing_cycle_id xmlns="{_STORE}">3</billing_cycle_id>'
    f'<billing_cycle_name xmlns="{_STORE}">Monthly</billing_cycle_name>'
    "</billing_cycle></affiliate_billing></affiliate>"
    "<bill_amount><currency_id>1</currency_id><amount>{amount}</amount>"
    "<formatted_amount>${amount}</formatted_amount></bill_amount>"
    "<invoice_number>A-{id}</invoice_number>"
    '<invoiced_amount xsi:nil="true" /><verification_code /><notes>paid in two parts</notes>'
    "<sent_payment>{sent}</sent_payment></affiliate_bill>"
)


def invoice(number: int) -> dict[str, object]:
    """Return an invoice as the page "How to Manage Invoices via the CAKE API" shows them."""
    return {
        "invoice_id": 4821 + number,
        "affiliate_id": number % 1000 + 1,
        "affiliate_name": f"Acme Media Group {number % 1000 + 1}",
        "invoice_status": _STATUSES[number % 4],
        "start_date": "2024-01-01",
        "end_date": "2024-01-31",
        "total_amount": f"{1250 + number}.50",
        "currency": "USD",
    }


@lru_cache(maxsize=2048)
def page(start: int, limit: int, total: int) -> bytes:
    """Return one page of a list of so many invoices."""
    rows = [invoice(number) for number in range(start, min(start + limit, total))]
    answer = {"request_status": "Success", "invoices": rows, "total_rows": total}
    return json.dumps(answer, separators=(",", ":")).encode()


def bills(rows: int) -> Iterator[bytes]:
    """Yield an export of so many bills, piece by piece, in the envelope of SOAP 1.1."""
    yield _BEFORE.format(rows=rows).encode()
    for start in range(0, rows, 1000):
        yield "".join(
            _BILL.format(
                id=number + 1,
                partner=number % 997 + 1,
                amount=f"{number * 7 % 90_000 - 500}.{number % 100:02}00",
                sent="yes" if number % 3 else "no",
            )
            for number in range(start, min(start + 1000, rows))
        ).encode()
    yield _AFTER.encode()
