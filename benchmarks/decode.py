"""How long it takes to read a page of invoices, in one process, beside other ways to read it.

    python benchmarks/decode.py                     # pages of 100 and of 10,000 rows
    python benchmarks/decode.py --rows 100 --rounds 60

Every way is given the same bytes. "aiocake" is all that a call does with them: it looks for an
error, decodes, and checks that each key is there once. "Struct" is msgspec with nothing checked.
The rounds are interleaved, in random order; what is compared is the ratio within a round, so that a
busy machine slows all of them alike. CPU time, median and quartiles. pydantic and orjson are not
needed by aiocake; without them their rows are left out.
"""

import argparse
import importlib.util
import json
import random
import statistics
import sys
import time
from collections.abc import Callable
from datetime import date
from decimal import Decimal

import attrs
import httpx
import msgspec

from aiocake._codec import decode, error_of, read_reply
from aiocake._codec.converter import structure
from aiocake._codec.strict_json import parse
from aiocake._messages import Response
from aiocake._operations.operation import Api, Operation, ResponseShape
from aiocake.models import Invoice, InvoiceStatus, Page

#: What aiocake promises: CPU time at most, in times another way.
MOST = {"Struct": 2.0, "pydantic": 0.8, "cattrs over orjson": 0.45}
PAGE: Operation[Page[Invoice]] = Operation(
    name="invoices.page",
    api=Api.V2,
    path="/api/2/invoices.json",
    shape=ResponseShape.PAGE,
    element="invoices",
    model=Invoice,
    documented_in="",
)


def sample_page(rows: int) -> bytes:
    """Return a page as CAKE's sample shows it."""
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
    return _body({"invoices": invoices, "total_rows": rows})


def newer_page(rows: int) -> bytes:
    """Return a page under the newer names of CAKE's pages, with a null and an unknown field."""
    invoices = [
        {
            "invoice_id": 4821 + number,
            "invoice_date": "2024-01-31",
            "invoice_status": list(InvoiceStatus)[number % 4],
            "advertiser_id": 67890 + number,
            "advertiser_name": f"Acme Media Group {number}",
            "total_payout": number + 0.5,
            "currency_symbol": "$",
            "billing_cycle_name": "Weekly",
            "payment_type": None,
            "memo": "none",
        }
        for number in range(rows)
    ]
    return _body({"response": {"invoices": invoices, "total_rows": rows}})


def _body(content: dict[str, object]) -> bytes:
    return json.dumps({"request_status": "Success", **content}, separators=(",", ":")).encode()


def whole(body: bytes) -> tuple[Invoice, ...]:
    """Look for an error, then decode, as a call does."""
    reply = read_reply(Response(200, {"content-length": str(len(body))}, body))
    assert error_of(PAGE, reply) is None
    return decode(PAGE, {}, reply).items


def exact(body: bytes) -> tuple[Invoice, ...]:
    """Read as what is not plain is read: strict JSON, then cattrs."""
    answer = parse(body)
    assert isinstance(answer, dict)
    rows = answer.get("response", answer)["invoices"]
    return tuple(structure(row, Invoice, "") for row in rows)


def by_httpx(body: bytes) -> object:
    """Read as most people do: dicts, amounts as texts, nothing checked."""
    return httpx.Response(200, content=body).json()


def by_struct() -> Callable[[bytes], object]:
    """Return a decoder for Structs with the fields of the model."""
    row = msgspec.defstruct(
        "Row",
        [
            (each.name, each.type)
            if each.default is attrs.NOTHING
            else (each.name, each.type, None)
            for each in attrs.fields(Invoice)
        ],
        kw_only=True,
    )
    answer = msgspec.defstruct(
        "Answer",
        [("request_status", str), ("invoices", tuple[row, ...]), ("total_rows", int | None, None)],
    )
    return msgspec.json.Decoder(answer).decode


def by_pydantic() -> Callable[[bytes], object]:
    """Return a decoder for pydantic models of the same fields."""
    import pydantic  # noqa: PLC0415 - only where it is installed

    row = pydantic.create_model(
        "Row",
        **{
            each.name: (each.type, ... if each.default is attrs.NOTHING else None)
            for each in attrs.fields(Invoice)
        },
    )
    answer = pydantic.create_model(
        "Answer",
        request_status=(str, ...),
        invoices=(tuple[row, ...], ...),
        total_rows=(int | None, None),
    )
    return answer.model_validate_json


def by_cattrs() -> Callable[[bytes], object]:
    """Return a decoder for the model itself, as cattrs makes one over orjson."""
    from cattrs.preconf.orjson import make_converter  # noqa: PLC0415 - only where it is installed

    @attrs.frozen
    class Answer:
        request_status: str
        invoices: tuple[Invoice, ...]
        total_rows: int | None = None

    made = make_converter()
    made.register_structure_hook(Decimal, lambda value, _: Decimal(value))
    made.register_structure_hook(date, lambda value, _: date.fromisoformat(value))
    made.register_structure_hook(InvoiceStatus, lambda value, _: InvoiceStatus(value))
    return lambda body: made.loads(body, Answer)


def compare(
    body: bytes, rows: int, rounds: int, ways: dict[str, Callable[[bytes], object]]
) -> None:
    """Measure ways to read a body, and print what each costs."""
    assert whole(body) == exact(body)
    times = max(1, 2000 // rows)
    cost: dict[str, list[float]] = {name: [] for name in ways}
    order = list(ways)
    for _ in range(rounds):
        random.shuffle(order)
        for name in order:
            began = time.process_time()
            for _ in range(times):
                ways[name](body)
            cost[name].append((time.process_time() - began) / times / rows)
    print(f"{rows} invoices of {len(body) // rows} bytes, {rounds} rounds")
    for name, seconds in cost.items():
        ratios = [ours / theirs for ours, theirs in zip(cost["aiocake"], seconds, strict=True)]
        low, middle, high = statistics.quantiles(ratios, n=4)
        verdict = ""
        if name in MOST:
            word = "kept" if middle <= MOST[name] else "BROKEN"
            verdict = f", at most {MOST[name]}: {word}"
        print(
            f"    {name:<20}{statistics.median(seconds) * 1e6:8.2f} µs an invoice; aiocake takes"
            f" {middle:.2f} ({low:.2f} to {high:.2f}) times as long{verdict}"
        )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rows", type=int, nargs="+", default=[100, 10_000])
    parser.add_argument("--rounds", type=int, default=21)
    options = parser.parse_args()
    ways: dict[str, Callable[[bytes], object]] = {"aiocake": whole, "Struct": by_struct()}
    if importlib.util.find_spec("pydantic") is not None:
        ways["pydantic"] = by_pydantic()
    if importlib.util.find_spec("orjson") is not None:
        ways["cattrs over orjson"] = by_cattrs()
    ways |= {"httpx .json(): dicts": by_httpx, "the exact reading": exact}
    print(f"Python {sys.version.split()[0]}")
    for rows in options.rows:
        compare(sample_page(rows), rows, options.rounds, ways)
    print("The same under the newer names, which are read in the slower way:")
    newer = {name: ways[name] for name in ("aiocake", "httpx .json(): dicts", "the exact reading")}
    compare(newer_page(100), 100, options.rounds, newer)


if __name__ == "__main__":
    main()
