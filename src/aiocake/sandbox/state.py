"""The records that a sandbox stores and the requests that it received, open to each test."""

from collections.abc import Awaitable, Callable, Iterator, Mapping, MutableMapping
from datetime import date, datetime
from decimal import Decimal
from typing import Generic, Literal, TypeAlias, TypeVar

import attrs
from starlette.responses import Response

PartnerKind: TypeAlias = Literal["affiliate", "advertiser", "buyer"]
BillingCycle: TypeAlias = Literal["weekly", "bimonthly", "monthly"]

_KEPT_SELECTIONS = 32


@attrs.define
class Changes:
    """Counts the changes of a state, so that what was worked out from it can be kept."""

    count: int = 0


def _note_change(record: "Record", attribute: "attrs.Attribute[object]", value: object) -> object:
    del attribute
    record.changes.count += 1
    record.rendered = None
    return value


@attrs.define(on_setattr=_note_change, eq=False, kw_only=True)
class Record:
    """A record of a table, which counts each change of its fields."""

    changes: Changes = attrs.field(
        factory=Changes, init=False, repr=False, on_setattr=attrs.setters.NO_OP
    )
    rendered: str | None = attrs.field(
        default=None, init=False, repr=False, on_setattr=attrs.setters.NO_OP
    )


@attrs.define(on_setattr=_note_change, eq=False, kw_only=True)
class Partner(Record):
    """An affiliate, an advertiser or a buyer."""

    kind: PartnerKind
    partner_id: int
    name: str
    currency_id: int
    billing_cycle: BillingCycle
    payment_type_id: int
    account_status_id: int = 1
    tipalti: bool = False
    manager: str = "Maria Manager"
    contact_first_name: str = "Carl"
    contact_last_name: str = "Contact"


@attrs.define(on_setattr=_note_change, eq=False, kw_only=True)
class InvoiceRecord(Record):
    """An invoice of v2. The period's last day belongs to it, whatever the dialect shows."""

    invoice_id: int
    affiliate_id: int | None
    advertiser_id: int | None
    partner_name: str
    invoice_status: str
    start_date: date
    end_date: date
    total_amount: Decimal
    currency: str
    billing_cycle: BillingCycle
    memo: str | None = None
    paid_at: str | None = None


@attrs.define(on_setattr=_note_change, eq=False, kw_only=True)
class BillRecord(Record):
    """A bill of v1. ``end_date`` is the day after the last, as v1 shows it.

    A text is None when there is none (left out of a response) and may be empty (sent empty).
    ``marked`` holds the marks that the bill has: ``received``, ``paid``, ``sent``.
    """

    bill_id: int
    partner: Partner
    start_date: date
    end_date: date
    amount: Decimal
    invoice_number: str | None = None
    notes: str | None = None
    verification_code: str | None = None
    payment_type_id: int | None = None
    invoiced_amount: Decimal | None = None
    payment_amount: Decimal | None = None
    date_invoice_received: datetime | None = None
    date_sent_invoice: datetime | None = None
    date_payment_received: datetime | None = None
    payment_date: datetime | None = None
    marked: frozenset[str] = frozenset()


RecordT = TypeVar("RecordT", bound=Record)


class Table(MutableMapping[int, RecordT], Generic[RecordT]):
    """Records by id, in the order in which they came."""

    def __init__(self, changes: Changes) -> None:
        """Start empty.

        Args:
            changes: The counter that every change of the table or of a record in it raises.
        """
        self._changes = changes
        self._records: dict[int, RecordT] = {}
        self._selections: dict[object, list[RecordT]] = {}
        self._selected_at = changes.count

    def __getitem__(self, key: int) -> RecordT:
        return self._records[key]

    def __setitem__(self, key: int, record: RecordT) -> None:
        record.changes = self._changes
        self._records[key] = record
        self._changes.count += 1

    def __delitem__(self, key: int) -> None:
        del self._records[key]
        self._changes.count += 1

    def __iter__(self) -> Iterator[int]:
        return iter(self._records)

    def __len__(self) -> int:
        return len(self._records)

    def next_id(self) -> int:
        """Return the id after the highest one, or 1."""
        return max(self._records, default=0) + 1

    def select(self, key: object, matches: Callable[[RecordT], bool]) -> list[RecordT]:
        """Return the records that match; the list is kept until something changes.

        Args:
            key: Equal for selections of the same records.
            matches: Returns True for a record that belongs to it.

        Returns:
            The records in their order, in a list that must not be changed.
        """
        if self._selected_at != self._changes.count or len(self._selections) > _KEPT_SELECTIONS:
            self._selections.clear()
            self._selected_at = self._changes.count
        found = self._selections.get(key)
        if found is None:
            found = [record for record in self._records.values() if matches(record)]
            self._selections[key] = found
        return found


@attrs.frozen(kw_only=True)
class RecordedRequest:
    """A request as it came.

    Attributes:
        method: GET or POST, mostly.
        path: Without the query.
        query: The parameters of the query, decoded, in their order.
        headers: By lower-case name.
        body: As sent.
        operation: ``MarkAffiliateBillAsPaid``, ``BillingCycles``… for v1; the last part of the
            path without ``.json`` for v2; None when it is no operation.
        arguments: What the server read from it, the key left out: for v1 typed values by name,
            whatever the binding (empty when binding failed); for v2 the query, or the JSON.
        time: ``anyio.current_time()`` at its arrival, in seconds.
    """

    method: str
    path: str
    query: list[tuple[str, str]]
    headers: Mapping[str, str]
    body: bytes
    operation: str | None
    arguments: Mapping[str, object]
    time: float


OnRequest: TypeAlias = Callable[[RecordedRequest], Response | Awaitable[Response | None] | None]
OnResponse: TypeAlias = Callable[
    [RecordedRequest, Response], Response | Awaitable[Response | None] | None
]


@attrs.define(eq=False, kw_only=True)
class State:
    """All that a sandbox stores.

    Attributes:
        changes: Counts the changes of what follows.
        affiliates: Partners that are paid, by id.
        advertisers: Partners that pay, by id.
        buyers: Partners that pay, by id.
        invoices: v2's invoices by id.
        affiliate_bills: v1's bills by id; the other two likewise.
        advertiser_bills: See above.
        buyer_bills: See above.
        credits: The credit of each buyer, by id.
        api_keys: The keys that are valid now.
        requests: The requests as they came, oldest first; the newest ``keep_requests`` of them.
        keep_requests: How many requests are kept.
        on_request: Called in order with each request before it is carried out, and may change
            the state; the first response that is not None is sent instead.
        on_response: Called with each request that was carried out and its response; a response that
            is not None is sent instead.
    """

    changes: Changes
    affiliates: Table[Partner]
    advertisers: Table[Partner]
    buyers: Table[Partner]
    invoices: Table[InvoiceRecord]
    affiliate_bills: Table[BillRecord]
    advertiser_bills: Table[BillRecord]
    buyer_bills: Table[BillRecord]
    api_keys: set[str]
    credits: dict[int, Decimal] = attrs.field(factory=dict[int, Decimal])
    requests: list[RecordedRequest] = attrs.field(factory=list[RecordedRequest])
    keep_requests: int = 20_000
    on_request: list[OnRequest] = attrs.field(factory=list[OnRequest])
    on_response: list[OnResponse] = attrs.field(factory=list[OnResponse])

    @classmethod
    def empty(cls, *, api_key: str) -> "State":
        """Return a state without data.

        Args:
            api_key: The one key that is valid.

        Returns:
            The state; its tables can be filled by hand.
        """
        changes = Changes()
        return cls(
            changes=changes,
            affiliates=Table(changes),
            advertisers=Table(changes),
            buyers=Table(changes),
            invoices=Table(changes),
            affiliate_bills=Table(changes),
            advertiser_bills=Table(changes),
            buyer_bills=Table(changes),
            api_keys={api_key},
        )

    def partners(self, kind: PartnerKind) -> Table[Partner]:
        """Return the partners of a kind.

        Args:
            kind: ``"affiliate"``, ``"advertiser"`` or ``"buyer"``.
        """
        return {
            "affiliate": self.affiliates,
            "advertiser": self.advertisers,
            "buyer": self.buyers,
        }[kind]

    def bills(self, kind: PartnerKind) -> Table[BillRecord]:
        """Return the bills of a kind of partner.

        Args:
            kind: ``"affiliate"``, ``"advertiser"`` or ``"buyer"``.
        """
        return {
            "affiliate": self.affiliate_bills,
            "advertiser": self.advertiser_bills,
            "buyer": self.buyer_bills,
        }[kind]
