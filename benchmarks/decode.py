"""How long it takes to read a page of invoices, in one process, one reading after another.

Every reading is given the same bytes. The rounds are interleaved and the fastest of each counts, so
that a busy machine slows all of them alike. pydantic is not needed by aiocake; without it the row
is left out.

    python benchmarks/decode.py [ROWS]
"""

import importlib.util
import json
import sys
import time
from collections.abc import Callable
from datetime import date
from decimal import Decimal

import httpx

from aiocake._codec import decode, error_of, read_reply
from aiocake._codec.converter import structure
from aiocake._codec.strict_json import parse
from aiocake._messages import Response
from aiocake._operations.operation import Api, Operation, ResponseShape
from aiocake.models import Invoice, InvoiceStatus, Page

ROUNDS = 60
PAGE: Operation[Page[Invoice]] = Operation(
    name="invoices.page",
    api=Api.V2,
    path="/api/2/invoices.json",
    shape=ResponseShape.PAGE,
    element="invoices",
    model=Invoice,
    documented_in="",
)


def page(rows: int) -> bytes:
    """A page as CAKE's sample shows it."""
    invoices = [
        {
            "invoice_id": 4821 + number,
            "affiliate_id": 67890 + number,
            "affiliate_name": f"Acme Media Group {number}",
            "invoice_status": list(InvoiceStatus)[number % 4],
            "start_date": "2024-01-01",
            "end_date": "2024-01-31",
            "total_amount": f"{1250 + number}.50",
            "currency": "USD",
        }
        for number in range(rows)
    ]
    answer = {"request_status": "Success", "invoices": invoices, "total_rows": rows}
    return json.dumps(answer, separators=(",", ":")).encode()


def whole(body: bytes) -> tuple[Invoice, ...]:
    """Look for an error, then decode, as a call does."""
    reply = read_reply(Response(200, {}, body))
    assert error_of(PAGE, reply) is None
    return decode(PAGE, {}, reply).items


def exact(body: bytes) -> tuple[Invoice, ...]:
    """The second reading, of answers that are not of the plain kind: strict JSON, then cattrs."""
    answer = parse(body)
    assert isinstance(answer, dict)
    return tuple(structure(row, Invoice, "") for row in answer["invoices"])


def by_httpx(body: bytes) -> object:
    """What most people write: dicts, amounts as texts, nothing checked."""
    return httpx.Response(200, content=body).json()["invoices"]


def by_pydantic() -> Callable[[bytes], object]:
    """The same fields as a pydantic model."""
    import pydantic  # noqa: PLC0415 - only where it is installed

    optional = {
        "affiliate_id": int,
        "affiliate_name": str,
        "advertiser_id": int,
        "advertiser_name": str,
        "start_date": date,
        "end_date": date,
        "currency": str,
        "currency_symbol": str,
        "invoice_date": date,
        "billing_cycle_name": str,
        "payment_type": str,
    }
    row = pydantic.create_model(
        "Row",
        invoice_id=(int, ...),
        invoice_status=(InvoiceStatus, ...),
        total_amount=(Decimal, ...),
        **{name: (kind | None, None) for name, kind in optional.items()},
    )
    answer = pydantic.create_model(
        "Answer",
        request_status=(str, ...),
        invoices=(tuple[row, ...], ...),
        total_rows=(int | None, None),
    )
    return answer.model_validate_json


def main() -> None:
    """Measure and print."""
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    body = page(rows)
    readings: dict[str, Callable[[bytes], object]] = {
        "aiocake: check and decode": whole,
        "aiocake: the exact reading": exact,
        "httpx .json(): dicts only": by_httpx,
    }
    if importlib.util.find_spec("pydantic") is not None:
        readings["pydantic: model_validate_json"] = by_pydantic()
    assert whole(body) == exact(body)
    times = 1 + 20_000 // max(rows, 1) // 10
    best = dict.fromkeys(readings, float("inf"))
    for _ in range(ROUNDS):
        for name, read in readings.items():
            began = time.perf_counter()
            for _ in range(times):
                read(body)
            best[name] = min(best[name], (time.perf_counter() - began) / times / rows)
    unit = best["aiocake: check and decode"]
    print(f"{rows} invoices of {len(body) // rows} bytes, Python {sys.version.split()[0]}")
    for name, seconds in best.items():
        print(f"{name:32} {seconds * 1e6:6.2f} µs an invoice  {seconds / unit:5.2f} times")


if __name__ == "__main__":
    main()
