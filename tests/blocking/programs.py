"""Programs that are interrupted in the middle of a call, or fork; ``test_processes.py`` runs them.

It sends SIGINT for each line "interrupt". The sandbox holds its response back until the call was
cancelled.
"""

import faulthandler
import os
import signal
import threading
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import anyio
import anyio.to_thread
from starlette.responses import Response

from aiocake import Intent, Outcome, Timeouts, UpdatedInvoice, WrongLoopError, bulk
from aiocake.blocking import Client
from aiocake.blocking.waited_call import WaitedCall
from aiocake.sandbox import RecordedRequest, Sandbox, serve

KEY = "SANDBOX-KEY"
UPDATE = "/api/2/update_invoice.json"
cancelled = threading.Event()
never = threading.Event()


class Book:
    """A ledger of plain functions."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def before(self, intent: Intent) -> None:
        self.note(f"before {intent.operation}")

    def after(self, intent: Intent, outcome: Outcome) -> None:
        self.note(f"after {intent.operation} {outcome.name}")

    def note(self, line: str) -> None:
        assert threading.current_thread() is threading.main_thread()
        self.lines.append(line)


def say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - the test reads it


def hold(sandbox: Sandbox, path: str, until: threading.Event, count: int = 1) -> None:
    """Interrupt when so many requests to a path are carried out, and hold that response back."""
    seen: list[str] = []

    async def respond(request: RecordedRequest, response: Response) -> Response:
        if request.path == path:
            seen.append(path)
        if request.path == path and len(seen) == count:
            say("interrupt")
            await anyio.to_thread.run_sync(until.wait, abandon_on_cancel=True)
        return response

    sandbox.state.on_response.append(respond)


def watch_cancel() -> None:
    cancel = WaitedCall.cancel

    def watched(self: WaitedCall[object]) -> None:
        cancel(self)
        cancelled.set()

    WaitedCall.cancel = watched  # type: ignore[method-assign]


def interrupted(work: Callable[[], object]) -> None:
    """Print the last lines of the traceback, as a user sees them."""
    try:
        work()
    except KeyboardInterrupt as error:
        lines = "".join(traceback.format_exception(error)).splitlines()
        last = max(number for number, line in enumerate(lines) if line == "KeyboardInterrupt")
        say("\n".join(lines[last:]))


def pending(sandbox: Sandbox) -> int:
    found = (each for each in sandbox.state.invoices.values())
    return next(each.invoice_id for each in found if each.invoice_status == "pending")


def done(sandbox: Sandbox, url: str) -> None:
    """The response comes within the grace."""
    number, book = pending(sandbox), Book()
    hold(sandbox, UPDATE, cancelled)
    with Client(url, KEY, ledger=book) as cake:
        interrupted(lambda: cake.invoices.update(number, invoice_status="approved"))
        say(f"{book.lines} {cake.stats().in_flight} in flight")
        say(f"then {cake.invoices.get(number).invoice_status}")


def unknown(sandbox: Sandbox, url: str) -> None:
    """No response comes, and there is no grace."""
    number, book = pending(sandbox), Book()
    hold(sandbox, UPDATE, never)
    with Client(url, KEY, ledger=book, grace=0) as cake:
        interrupted(lambda: cake.invoices.update(number, invoice_status="approved"))
        say(f"{book.lines} {cake.stats().unknowns} unknown")


def twice(sandbox: Sandbox, url: str) -> None:
    """The user insists while the grace lasts."""
    number, book = pending(sandbox), Book()
    hold(sandbox, UPDATE, never)
    threading.Thread(target=lambda: (cancelled.wait(), say("interrupt")), daemon=True).start()
    # The write ends as its response is late: closing the client waits for that.
    timeouts = Timeouts(read=5)
    with Client(url, KEY, ledger=book, grace=600, timeouts=timeouts) as cake:
        interrupted(lambda: cake.invoices.update(number, invoice_status="approved"))
        say(str(book.lines))
    say(f"{[each.name for each in threading.enumerate()].count('aiocake')} threads")


def listing(sandbox: Sandbox, url: str) -> None:
    """A read ends at once."""
    hold(sandbox, "/api/2/invoices.json", never)
    with Client(url, KEY) as cake:
        rows = cake.invoices.find()
        interrupted(rows.collect)
        say(f"{cake.stats().in_flight} in flight, then {len(rows.collect())} rows")


def run(sandbox: Sandbox, url: str) -> None:
    """A run is interrupted, and resumed."""
    invoices = sandbox.state.invoices
    numbers = [each for each, row in invoices.items() if row.invoice_status == "pending"]
    hold(sandbox, UPDATE, cancelled, count=5)
    journal = Path("run.db")
    with Client(url, KEY) as cake:

        def plan() -> Iterator[bulk.Call[UpdatedInvoice]]:
            for number in numbers:
                yield cake.bulk.call(cake.invoices.update, number, invoice_status="approved")

        interrupted(lambda: cake.bulk.each(plan(), journal=journal, limit=1))
        say(f"resumed: {cake.bulk.resume(journal, calls=plan()).done == len(numbers)}")
    sent = [each for each in sandbox.state.requests if each.path == UPDATE]
    say(f"each once: {len(sent) == len(numbers)}")


def forked(sandbox: Sandbox, url: str) -> None:
    """A process is forked off, as gunicorn and multiprocessing do."""
    used, unused = Client(url, KEY), Client(url, KEY)
    number = pending(sandbox)
    used.invoices.get(number)
    child = os.fork()
    if child:
        say(f"child ended with {os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])}")
        say(f"parent goes on: {used.invoices.get(number).invoice_id == number}")
        used.close()
        unused.close()
        return
    signal.alarm(30)  # the watchdog has no thread here
    try:
        used.invoices.get(number)
    except WrongLoopError as error:
        say(str(error))
    used.close()  # the parent's is not touched
    with unused:
        say(f"one that was not used yet works: {unused.invoices.get(number).invoice_id == number}")
    os._exit(0)


if __name__ == "__main__":
    faulthandler.dump_traceback_later(60, exit=True)
    watch_cancel()
    for program in (done, unknown, twice, listing, run, forked):
        say(f"# {program.__name__}")
        made = Sandbox(invoices=60)
        cancelled.clear()
        never.clear()
        with serve(made) as address:
            try:
                program(made, address)
            finally:
                never.set()
