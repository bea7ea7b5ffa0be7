"""``aiocake sandbox`` and ``aiocake demo``."""
# ruff: noqa: ANN001 - fixtures of this folder's conftest, whose types cannot be imported

import re
import signal
import socket
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import pytest

import aiocake.sandbox
from aiocake.sandbox import Sandbox

TOTAL = re.compile(r" +(payout|revenue) +(\w+) +([A-Z]{3}) +([\d,]+) +(-?[\d,.]+) *\n")


@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGTERM], ids=lambda by: by.name)
def test_sandbox_prints_its_url_answers_the_command_and_logs_nothing(
    environment, process, monkeypatch: pytest.MonkeyPatch, interruptible: None, by: int
) -> None:
    del interruptible
    script = str(Path(sys.executable).with_name("aiocake"))  # as it is installed
    words = [script, "sandbox", "--invoices", "7", "--bills", "3", "--seed", "2"]
    with subprocess.Popen(
        words,
        env=dict(environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    ) as child:
        try:
            assert child.stdout is not None
            assert child.stderr is not None
            url = child.stdout.readline().strip()
            assert re.fullmatch(r"http://127\.0\.0\.1:\d+", url)
            said = "".join(iter(child.stderr.readline, "Press Ctrl-C to stop it.\n"))
            (domain, key) = re.findall(r"CAKE_\w+=(\S+)", said)
            assert domain == url
            monkeypatch.setenv("CAKE_DOMAIN", domain)
            monkeypatch.setenv("CAKE_API_KEY", key)
            ran = process("invoices", "list", "-f", "jsonl")
            child.send_signal(by)
            out, err = child.communicate(timeout=60)
        finally:
            child.kill()
    assert ran.code == 0
    assert len(ran.out.splitlines()) == 7
    # Nothing more was written: neither an access log nor a traceback.
    assert (child.returncode, out, err) == (128 + by, "", "")


def test_a_port_that_is_taken_is_said(cake) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ran = cake("sandbox", "--port", port)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == (
        f"aiocake: Invalid value for --port: port {port} cannot be listened on: "
        "Address already in use (see aiocake sandbox --help)\n"
    )


@pytest.mark.parametrize(
    "words",
    [
        ("--port", "70000"),
        ("--invoices", "-1"),
        ("--latency", "-1"),
        ("--latency", "inf"),
        ("--latency", "nan"),
        ("--latency", "x"),
        ("--bills", "x"),
    ],
)
def test_bad_arguments_are_said(cake, words) -> None:
    ran = cake("sandbox", *words)
    assert ran.code == 2
    assert ran.err.startswith(f"aiocake: Invalid value for '{words[0]}'")
    assert ran.err.count("\n") == 1


@pytest.mark.parametrize("words", ["sandbox", "demo", "--version", "--help", ""])
def test_an_output_that_cannot_be_written_is_one_clear_line(process, words: str) -> None:
    with Path("/dev/full").open("w") as full:
        ran = process(*words.split(), stdout=full)
    assert ran.code == 1
    assert ran.err.endswith("No space left on device\n")
    assert ran.err.startswith("aiocake: ")
    assert ran.err.count("\n") == 1
    assert "Errno" not in ran.err


def test_the_demo_can_be_interrupted(terminal) -> None:
    screen = terminal("demo")
    screen.read_until("A fake CAKE is started on this machine, with 20,000 invoices.\n")
    screen.interrupt()
    ran = screen.end()
    assert ran.code == 130
    assert ran.out.endswith("aiocake: interrupted\n")
    assert "Traceback" not in ran.out


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[Sandbox]:
    """The sandboxes that the demo has served."""
    seen: list[Sandbox] = []
    serve = aiocake.sandbox.serve

    @contextmanager
    def watched(sandbox: Sandbox) -> Iterator[str]:
        seen.append(sandbox)
        with serve(sandbox) as url:
            yield url

    monkeypatch.setattr(aiocake.sandbox, "serve", watched)
    return seen


def test_demo_shows_the_right_totals_and_what_is_stored(cake, served) -> None:
    ran = cake("demo")
    assert (ran.code, ran.err) == (0, "")
    assert "20,000 invoices read, page by page, in " in ran.out
    shown = {
        (kind, status, currency): (int(count.replace(",", "")), Decimal(total.replace(",", "")))
        for kind, status, currency, count, total in TOTAL.findall(ran.out)
    }
    # What a sandbox of the same seed holds, added up by itself.
    expected = defaultdict(lambda: (0, Decimal(0)))
    for invoice in Sandbox(invoices=20_000).state.invoices.values():
        kind = "payout" if invoice.affiliate_id else "revenue"
        group = (kind, invoice.invoice_status, invoice.currency)
        count, total = expected[group]
        expected[group] = (count + 1, total + invoice.total_amount)
    assert shown == expected
    assert sum(count for count, _ in shown.values()) == 20_000

    (sandbox,) = served
    number = max(sandbox.state.invoices)
    invoice = sandbox.state.invoices[number]
    assert f"Invoice {number} is created, approved and paid:\n  pending: " in ran.out
    assert (invoice.invoice_status, invoice.paid_at) == ("paid", "2024-02-15T10:00:00Z")
    assert f"  stored: paid, {invoice.total_amount:,} {invoice.currency}, Acme Media" in ran.out
    bill = sandbox.state.affiliate_bills[345]
    assert (bill.invoice_number, bill.notes) == ("A-17", None)
    assert bill.invoiced_amount == Decimal("10037.89")
    assert bill.date_invoice_received == datetime(2014, 7, 10)  # noqa: DTZ001 - v1 has no zones
    assert "  Bill Marked As Received: invoice_number A-17, invoiced_amount 10037.89" in ran.out
    *_, last, further = ran.out.splitlines()
    assert last.endswith("date_invoice_received 2014-07-10, notes none")
    assert further.startswith("Next: aiocake sandbox --period 2024-01")


def test_the_demo_cuts_no_amount_on_a_narrow_terminal(terminal) -> None:
    ran = terminal("demo", columns=40).end()
    assert ran.code == 0
    assert "…" not in ran.out
    assert re.search(
        r"\n  kind: payout\n  status: paid\n  currency: USD\n"
        r"  invoices: 1,623\n  total: 14,906,538\.51\n",
        ran.out,
    )
