"""``aiocake demo``: read, create, approve, pay and mark, against a sandbox of its own."""

import sys
from collections import Counter, defaultdict
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import partial
from time import perf_counter
from typing import Final

import attrs

from aiocake import ERASE, Client, Invoice, Period, to_dict
from aiocake.cli.output import is_file, say_out, screen
from aiocake.cli.signals import run
from aiocake.cli.table import Table
from aiocake.cli.terminal import bar, is_terminal
from aiocake.cli.text import escaped

_INVOICES: Final = 20_000
#: Seconds that the sandbox takes for a response, about as long as an instance nearby.
_LATENCY: Final = 0.02
_KEY: Final = "SANDBOX-KEY"
_AFFILIATE: Final = 67_890
_BILL: Final = 345
_JUNE: Final = Period.month(2014, 6)
_PAID_AT: Final = datetime(2024, 2, 15, 10, tzinfo=UTC)

_INDENT: Final = "  "

Group = tuple[str, str, str]


def demo() -> None:
    """Run a demo: start a sandbox, read its 20,000 invoices, pay one, and mark a bill."""
    from aiocake.sandbox import Sandbox, serve  # noqa: PLC0415 - no other command waits for it

    show = _Show()
    show.line(f"A fake CAKE is started on this machine, with {_INVOICES:,} invoices.")
    with serve(Sandbox(invoices=_INVOICES, api_key=_KEY, latency=_LATENCY)) as url:
        run(partial(_walk, url, show))
    show.line("Next: aiocake sandbox --period 2024-01, and in another terminal what it prints.")


class _Show:
    """Prints what the demo shows."""

    def line(self, text: str) -> None:
        say_out(escaped(text))

    def fact(self, text: str) -> None:
        self.line(f"{_INDENT}{text}")

    def totals(self, counts: Counter[Group], sums: dict[Group, Decimal]) -> None:
        # Payout is owed, revenue is due: there is no total of both.
        on = screen()
        if on is not None:
            on = attrs.evolve(on, width=on.width - len(_INDENT))
        table = Table(("kind", "status", "currency", "invoices", "total"), on)
        rows = (
            table.row((*group, Decimal(counts[group]), sums[group])) for group in sorted(counts)
        )
        for line in ("".join(rows) + table.end()).splitlines():
            say_out(f"{_INDENT}{line}".rstrip())


async def _walk(url: str, show: _Show) -> None:
    async with Client(url, _KEY) as client:
        await _read_all(client, show)
        await _pay_one(client, show)
        await _mark_one(client, show)


async def _read_all(client: Client, show: _Show) -> None:
    counts: Counter[Group] = Counter()
    sums: dict[Group, Decimal] = defaultdict(Decimal)
    began = perf_counter()
    with bar("invoices", hidden=not (is_terminal(sys.stdout) or is_file(sys.stdout))) as advance:
        async with client.invoices.find().pages() as pages:
            async for page in pages:
                for invoice in page.items:
                    group = _group(invoice)
                    counts[group] += 1
                    sums[group] += invoice.total_amount
                advance(len(page.items), page.total_rows)
    seconds = perf_counter() - began
    show.line(f"{counts.total():,} invoices read, page by page, in {seconds:.1f} s:")
    show.totals(counts, sums)


def _group(invoice: Invoice) -> Group:
    return (invoice.kind or "?", invoice.invoice_status, invoice.currency or "?")


async def _pay_one(client: Client, show: _Show) -> None:
    created = await client.invoices.create(
        affiliate_id=_AFFILIATE,
        start_date=date(2024, 1, 1),
        end_date=date(2024, 1, 31),
        memo="January",
    )
    number = created.invoice_id
    show.line(f"Invoice {number} is created, approved and paid:")
    amount = f"{created.total_amount:,f} {created.currency or ''}"
    show.fact(f"{created.invoice_status}: {amount} for affiliate {created.affiliate_id}")
    approved = await client.invoices.update(number, invoice_status="approved")
    show.fact(f"{approved.invoice_status}")
    paid = await client.invoices.update(number, invoice_status="paid", paid_at=_PAID_AT)
    show.fact(f"{paid.invoice_status}")
    stored = await client.invoices.get(number)
    show.fact(
        f"stored: {stored.invoice_status}, {stored.total_amount:,f} {stored.currency}, "
        f"{stored.affiliate_name}, {stored.start_date} to {stored.end_date}"
    )


async def _mark_one(client: Client, show: _Show) -> None:
    amount = Decimal("10037.89")
    show.line(f"Bill {_BILL} is marked as received, with a note that is erased again:")
    first = await client.affiliate_bills.mark_received(
        _BILL,
        invoiced_amount=amount,
        date_invoice_received=date(2014, 7, 10),
        invoice_number="A-17",
        notes="Checked by phone",
    )
    show.fact(f"{first.message}: {await _stored(client)}")
    second = await client.affiliate_bills.mark_received(_BILL, invoiced_amount=amount, notes=ERASE)
    show.fact(f"{second.message}: {await _stored(client)}")


async def _stored(client: Client) -> str:
    """Return the bill as the instance stores it now."""
    async with client.affiliate_bills.export(billing_cycle="monthly", period=_JUNE) as bills:
        (stored,) = [to_dict(bill) async for bill in bills if bill.bill_id == _BILL]
    names = ("invoice_number", "invoiced_amount", "date_invoice_received", "notes")
    return ", ".join(f"{name} {stored[name] or 'none'}" for name in names)
