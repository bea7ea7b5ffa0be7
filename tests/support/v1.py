"""Calls of v1: a mark by the SDK, and what a sandbox is sent without it."""

from collections.abc import Awaitable, Mapping
from datetime import date
from typing import Any, Final, Protocol

import httpx

from aiocake import Client, MarkResult, Period

#: A bill of every sandbox, and a period in which all of its bills lie.
BILL: Final = 345
YEAR: Final = Period(date(2013, 12, 1), date(2015, 1, 31))
#: How a bill is marked as received, and with what.
RECEIVED: Final = "MarkAffiliateBillAsReceived"
VALUES: Final[Mapping[str, str | None]] = {
    "bill_id": "345",
    "invoice_number": "A-17",
    "invoiced_amount": "20.01",
    "date_invoice_received": "2014-06-01",
    "date_invoice_received_modification_type": "change",
    "notes": "ok",
}


class CallV1(Protocol):
    """Calls an operation of v1 in a binding: ``get``, ``form``, ``soap11`` or ``soap12``."""

    def __call__(
        self, binding: str, operation: str, values: Mapping[str, str | None]
    ) -> Awaitable[httpx.Response]: ...


async def mark(cake: Client, **arguments: Any) -> MarkResult:  # noqa: ANN401 - each test has its own
    """Mark the bill as received."""
    passed: dict[str, Any] = {"invoiced_amount": 1, **arguments}
    return await cake.affiliate_bills.mark_received(BILL, **passed)


def succeeded(response: httpx.Response) -> bool:
    """Return True if the response reports success in XML."""
    return response.status_code == 200 and "<success>true</success>" in response.text
