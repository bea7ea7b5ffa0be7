"""A sandbox in a process of its own, and its books: ``python server.py INVOICES STATUS``.

It has so many payout invoices of January 2024 of that status; what else it has is of other months
or of no payouts. The first line of the output is the URL. Each further line of the input is a
request to somebody who sees all, as JSON, and is answered by a line.
"""

import json
import sys
import threading
from datetime import date
from typing import Any

from starlette.responses import Response

from aiocake.sandbox import RecordedRequest, Sandbox, serve

#: Seconds to wait for something that does not come.
PATIENCE = 600


def january(count: int, status: str) -> Sandbox:
    """A sandbox with so many payout invoices of a status in January."""
    sandbox = Sandbox(invoices=round(count * 1.5), bills=0)
    payouts = [each for each in sandbox.state.invoices.values() if each.affiliate_id is not None]
    assert len(payouts) > count
    for each in payouts[:count]:
        each.invoice_status = status
        each.start_date, each.end_date = date(2024, 1, 1), date(2024, 1, 31)
    for each in payouts[count:]:
        each.invoice_status = "paid"
        each.start_date, each.end_date = date(2023, 12, 1), date(2023, 12, 31)
    return sandbox


class Books:
    """What was carried out."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._state = sandbox.state
        self._requests = 0
        self._before = ""
        #: What each invoice was set to, as often as that changed it.
        self._changes: dict[int, list[str]] = {}
        #: How often an invoice was set to what it was.
        self._repeats = 0
        self._changed = 0
        self._ended = threading.Condition()
        sandbox.state.on_request.append(self._note_before)
        sandbox.state.on_response.append(self._note)

    def _note_before(self, request: RecordedRequest) -> None:
        self._requests += 1
        if request.operation == "update_invoice":
            number = int(str(request.arguments["invoice_id"]))
            self._before = self._state.invoices[number].invoice_status

    def _note(self, request: RecordedRequest, response: Response) -> None:
        if request.operation != "update_invoice" or response.status_code != 200:
            return
        number, status = (request.arguments[each] for each in ("invoice_id", "invoice_status"))
        if status == self._before:
            self._repeats += 1
            return
        with self._ended:
            self._changes.setdefault(int(str(number)), []).append(str(status))
            self._changed += 1
            self._ended.notify_all()

    def wait(self, changed: int) -> int:
        """Wait until so many changes were carried out; return how many were."""
        with self._ended:
            self._ended.wait_for(lambda: self._changed >= changed, PATIENCE)
            return self._changed

    def void(self, numbers: list[int]) -> int:
        """Void invoices, as a colleague does; return how many there are."""
        for number in numbers:
            self._state.invoices[number].invoice_status = "void"
        return len(numbers)

    def show(self) -> dict[str, Any]:
        """Return what there is, and what was carried out."""
        return {
            "requests": self._requests,
            "repeats": self._repeats,
            "changes": list(self._changes.items()),
            "invoices": [
                (each.invoice_id, each.invoice_status, str(each.total_amount), each.currency)
                for each in self._state.invoices.values()
            ],
        }


def main() -> None:
    sandbox = january(int(sys.argv[1]), sys.argv[2])
    books = Books(sandbox)
    asked = {"wait": books.wait, "void": books.void, "show": books.show}
    with serve(sandbox) as url:
        print(url, flush=True)  # noqa: T201 - to whoever asks
        for line in sys.stdin:
            name, *given = json.loads(line)
            print(json.dumps(asked[name](*given)), flush=True)  # noqa: T201 - the same


if __name__ == "__main__":
    main()
