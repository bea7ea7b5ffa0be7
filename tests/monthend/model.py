"""A month end as the server and the people of it know it: who approved what, who looked at what."""

import json
from collections import Counter
from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from typing import Any

import attrs
import httpx
from hypothesis import strategies as st
from starlette.responses import Response

from aiocake.sandbox import RecordedRequest

from ..crash.model import READS, Books, Handling, Luck, Somebody

#: Who has a key, each with the name that stands beside it among the signers. Maria makes the plans,
#: and has a second key; Mallory is no signer.
SIGNERS = {
    "maria": "maria@example.com",
    "ben": "ben@example.com",
    "kim": "kim@example.com",
    "maria2": "Maria@Example.com",
}
MAKER = "maria"
PEOPLE = (*SIGNERS, "mallory")
INVOICES = 6

lucks = st.builds(
    Luck,
    # Most are carried out: else a run ends after three of which nothing is known.
    writes=st.lists(st.sampled_from([Handling.FINE] * 3 + list(Handling)), max_size=6),
    reads=st.lists(st.sampled_from(READS), max_size=6),
    somebody=st.lists(st.sampled_from([Somebody.NOTHING] * 3 + list(Somebody)), max_size=8),
)


@attrs.frozen
class Row:
    """A row of a plan: what it sets, and what was true when it was planned."""

    sets: str
    paid_at: str | None
    status: str
    amount: Decimal
    currency: str
    partner: int

    @property
    def planned(self) -> tuple[object, ...]:
        return self.status, self.amount, self.currency, self.partner


def hash_of(data: bytes) -> str | None:
    """The hash that a plan says at its end, if it is that of its lines."""
    *lines, last = data.splitlines(keepends=True)
    found = sha256(b"".join(lines)).hexdigest()
    return found if last == b'{"sha256":"%s"}\n' % found.encode() else None


def hashed_anew(data: bytes) -> bytes:
    """A plan that was edited, with the hash that it has now."""
    lines = b"".join(data.splitlines(keepends=True)[:-1])
    return lines + b'{"sha256":"%s"}\n' % sha256(lines).hexdigest().encode()


def rows_of(data: bytes) -> dict[int, Row]:
    """The rows of a plan by the number of their invoice, in order."""
    rows: dict[int, Row] = {}
    for line in data.splitlines()[2:-1]:
        found = json.loads(line)
        arguments, record = found["arguments"], found["record"]
        rows[arguments["invoice_id"]] = Row(
            arguments["invoice_status"],
            arguments.get("paid_at", {}).get("datetime"),
            record["invoice_status"],
            Decimal(record["amount"]),
            record["currency"],
            record["partner_id"],
        )
    return rows


@attrs.define(eq=False)
class PlanFile:
    """The file of a plan, as people have handled it.

    Attributes:
        path: The file.
        genuine: What was written to it.
        signed: Who has signed what, in the order of the signatures beside it.
        noted: The hash that somebody has noted to approve it by.
    """

    path: Path
    genuine: bytes
    signed: list[tuple[str, bytes]] = attrs.field(factory=list)
    noted: str = "0" * 64

    @property
    def data(self) -> bytes:
        return self.path.read_bytes()

    @property
    def hash(self) -> str | None:
        return hash_of(self.data)

    def doubt(self, needed: int, revoked: Iterable[str]) -> str:
        """Why the plan as it stands is not approved by so many; empty if it is."""
        names = [who for who, _ in self.signed]
        if any(data != self.data for _, data in self.signed):
            return "a signature of something else"
        if not SIGNERS.keys() >= set(names):
            return "a stranger's signature"
        if not set(names).isdisjoint(revoked):
            return "a revoked key"
        if len({SIGNERS[who].casefold() for who in names}) < len(names):
            return "signed twice by one"
        if MAKER not in names:
            return "not signed by its maker"
        return "" if len(names) - 1 >= needed else "too few approvals"


@attrs.frozen
class Sending:
    """What a process applies: a plan as it stood when it was checked.

    Attributes:
        hash: The hash of the plan.
        rows: Its rows.
        doubt: Why nothing of it must be sent; empty if it may be.
    """

    hash: str | None
    rows: dict[int, Row]
    doubt: str


class Month(Books):
    """The server in January: it keeps what is wrong with each update that it carries out."""

    def __init__(self) -> None:
        super().__init__()
        self.sending: Sending | None = None
        #: What was read of each invoice in this life, last.
        self.seen: dict[int, tuple[object, ...]] = {}
        #: How often a row of a plan changed its invoice, and how often it was sent at all.
        self.changed: Counter[tuple[str | None, int]] = Counter()
        self.arrived: Counter[tuple[str | None, int]] = Counter()
        #: Which plan has set an invoice to which status; None for somebody without a plan.
        self.set_by: set[tuple[str | None, int, str]] = set()
        self.wrong: list[str] = []
        self._status = ""
        self.state.on_request.append(self._before)

    def renew(self) -> None:
        super().renew()
        self.state.invoices.clear()
        for place in range(INVOICES):
            affiliate = self.affiliates[place % len(self.affiliates)]
            self.add(affiliate, date(2024, 1, 1), date(2024, 1, 31), "")
        self.updated = list(self.state.invoices)
        for number, invoice in self.state.invoices.items():
            invoice.total_amount = Decimal(100 + number)

    @property
    def undisturbed(self) -> httpx.ASGITransport:
        """The way to the server on which nothing happens."""
        return self._app

    def begin(self, sending: Sending) -> None:
        """A process begins, and has looked at nothing."""
        self.sending, self.seen = sending, {}

    def meanwhile(self, somebody: Somebody, request: httpx.Request) -> None:
        """Somebody voids an invoice, or adds to it: one that nobody has looked at yet."""
        del request
        unseen = [number for number in self.updated if number not in self.seen]
        if not unseen:
            return
        invoice = self.state.invoices[unseen[-1]]
        if somebody is Somebody.VOIDS:
            invoice.invoice_status = "void"
        elif somebody is Somebody.CREATES:
            invoice.total_amount += 1

    def as_it_is(self, number: int) -> tuple[object, ...]:
        """What a plan says of an invoice."""
        found = self.state.invoices[number]
        return found.invoice_status, found.total_amount, found.currency, found.affiliate_id

    def is_set_otherwise(self, plan: str, number: int, status: str) -> bool:
        """Whether somebody has set an invoice to a status, or another plan has."""
        return any((*rest,) == (number, status) and by != plan for by, *rest in self.set_by)

    def _before(self, request: RecordedRequest) -> None:
        if request.operation == "update_invoice":
            self._status = self.state.invoices[_number(request)].invoice_status

    def _note(self, request: RecordedRequest, response: Response) -> None:
        if response.status_code != 200:
            return
        if request.operation == "invoices":
            shown: dict[str, Any] = json.loads(bytes(response.body))
            for each in shown["invoices"]:
                self.seen[each["invoice_id"]] = self.as_it_is(each["invoice_id"])
        if request.operation == "update_invoice":
            number = _number(request)
            self.wrong += [f"invoice {number}: {each}" for each in self._faults(number, request)]
            assert self.sending is not None
            row = self.sending.hash, number
            self.arrived[row] += 1
            status = str(request.arguments["invoice_status"])
            self.changed[row] += self._status != status
            self.set_by.add((*row, status))
            if self.changed[row] > 1:
                self.wrong.append(f"invoice {number}: a row of a plan was carried out twice")
            # Before it is written again, if the answer is lost, it has to be looked at again.
            self.seen.pop(number, None)

    def _faults(self, number: int, request: RecordedRequest) -> Iterable[str]:
        """What is wrong with an update that was carried out."""
        sending = self.sending
        if sending is None or sending.doubt:
            yield f"sent without approval: {sending and sending.doubt}"
            return
        row = sending.rows.get(number)
        sent = {"invoice_id": number} if row is None else _sent(number, row)
        if row is None or sent != dict(request.arguments):
            yield f"sent {dict(request.arguments)}, approved was {row}"
            return
        if self._status == "void":
            yield "was void"
        seen, as_set = self.seen.get(number), (row.sets, *row.planned[1:])
        # What no list shows, such as when it was paid, is set again where an answer was lost.
        again = self.arrived[sending.hash, number] > 0 and row.paid_at is not None
        if seen != row.planned and not (again and seen == as_set):
            yield f"was seen as {seen}, planned was {row.planned}"


def _number(request: RecordedRequest) -> int:
    return int(str(request.arguments["invoice_id"]))


def _sent(number: int, row: Row) -> dict[str, object]:
    paid_at = {} if row.paid_at is None else {"paid_at": row.paid_at.replace("+00:00", "Z")}
    return {"invoice_id": number, "invoice_status": row.sets, **paid_at}
