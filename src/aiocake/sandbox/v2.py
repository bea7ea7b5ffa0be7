"""v2: JSON, after CAKE's page "How to Manage Invoices via the CAKE API"."""

import json
import re
from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from http import HTTPStatus
from typing import Final, TypeAlias, cast

import attrs
from starlette.responses import Response

from aiocake.sandbox.data import (
    CURRENCIES,
    CURRENCY_BY_ID,
    V2_BILLING_CYCLES,
    V2_PAYMENT_METHODS,
    currency_of,
    period_total,
    written,
)
from aiocake.sandbox.dialect import Dialect
from aiocake.sandbox.messages import (
    Call,
    Incoming,
    Json,
    RawJson,
    Scalar,
    dump,
    dump_plain,
    json_response,
    pairs,
)
from aiocake.sandbox.state import InvoiceRecord, RecordT, State

STATUSES: Final = ("pending", "approved", "paid", "void")
_INTEGER = re.compile(r"-?[0-9]{1,10}", re.ASCII)
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_MOMENT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,7})?"
    r"(Z|[+-][0-9]{2}:[0-9]{2})?",
    re.ASCII,
)
_MAX_INT: Final = 2**31 - 1

Arguments: TypeAlias = Mapping[str, object]


class Refused(Exception):
    """The API refuses the call; the sandbox has not failed."""

    def __init__(self, status: HTTPStatus, message: str) -> None:
        """Store the status of a typed error, and the text."""
        super().__init__(message)
        self.status = status
        self.message = message


def read_object(body: bytes) -> Arguments | None:
    """Return the JSON object of a body, or None when it holds none."""
    try:
        read: object = json.loads(body, parse_float=Decimal, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return None
    if not isinstance(read, dict):
        return None
    return cast("dict[str, object]", read)


def _no_constant(name: str) -> None:
    raise ValueError(name)


def _invalid(name: str) -> Refused:
    return Refused(HTTPStatus.BAD_REQUEST, f"Invalid {name}")


def integer(
    sent: Arguments, name: str, default: int | None = None, *, least: int = -_MAX_INT
) -> int | None:
    """Read an integer of a query, or return its default."""
    value = sent.get(name)
    if value is None or value == "":
        return default
    if not isinstance(value, str) or _INTEGER.fullmatch(value) is None:
        raise _invalid(name)
    if not least <= int(value) <= _MAX_INT:
        raise _invalid(name)
    return int(value)


def number(sent: Arguments, name: str) -> int:
    """Read an integer of a JSON object; a text is refused."""
    value = sent[name]
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _MAX_INT:
        raise _invalid(name)
    return value


def optional_text(sent: Arguments, name: str) -> str | None:
    """Read a text, or return None."""
    value = sent.get(name)
    if value is None or isinstance(value, str):
        return value
    raise _invalid(name)


def optional_status(sent: Arguments, name: str) -> str | None:
    """Read a status in any case, and return it in lower case, or None."""
    value = optional_text(sent, name)
    if value is not None and value.lower() not in STATUSES:
        raise _invalid(name)
    return None if value is None else value.lower()


def optional_day(sent: Arguments, name: str) -> date | None:
    """Read a date as YYYY-MM-DD, or return None."""
    value = optional_text(sent, name)
    if value is None:
        return None
    if _DATE.fullmatch(value) is None:
        raise _invalid(name)
    try:
        return date.fromisoformat(value)
    except ValueError:
        raise _invalid(name) from None


def moment(sent: Arguments, name: str) -> str | None:
    """Check a time of ISO 8601, and return it as it was sent, or None."""
    value = optional_text(sent, name)
    if value is None:
        return None
    if _MOMENT.fullmatch(value) is None:
        raise _invalid(name)
    try:
        datetime.fromisoformat(value)
    except ValueError:
        raise _invalid(name) from None
    return value


DEFAULT_ROWS: Final = 100
_DAY: Final = timedelta(days=1)
_NO_SUCH_INVOICE: Final = "Invoice not found"

_Filter: TypeAlias = Callable[[InvoiceRecord], bool]


@attrs.frozen
class V2:
    """Version 2 of the API.

    Attributes:
        state: The state to read or change.
        dialect: The reading of CAKE's pages.
        seed: Chooses the totals of created invoices.
    """

    state: State
    dialect: Dialect
    seed: int

    def resolve(self, incoming: Incoming) -> Call:
        """Understand a request below ``/api/2/``.

        Args:
            incoming: The request.

        Returns:
            The call, which may be a refusal.
        """
        name = incoming.path.removeprefix("/api/2/").removesuffix(".json")
        found = OPERATIONS.get(name) if incoming.path.endswith(".json") else None
        if found is None:
            return self._no_operation(HTTPStatus.NOT_FOUND)
        method, work = found
        if incoming.method != method:
            return self._no_operation(HTTPStatus.METHOD_NOT_ALLOWED)
        query = dict(reversed(pairs(incoming.query)))
        key = query.pop("api_key", "")
        sent: Arguments | None = query if method == "GET" else read_object(incoming.body)

        def run() -> Response:
            if key not in self.state.api_keys:
                return self._error(HTTPStatus.UNAUTHORIZED, "Invalid API key")
            if sent is None:
                return self._error(HTTPStatus.BAD_REQUEST, "Invalid JSON")
            try:
                return self._success(work(self, sent))
            except Refused as refused:
                return self._error(refused.status, refused.message)

        return Call(
            operation=name,
            arguments=sent or {},
            run=run,
            refuse=self._error,
        )

    def _no_operation(self, status: HTTPStatus) -> Call:
        def run() -> Response:
            return json_response({"message": status.phrase}, status)

        return Call(operation=None, arguments={}, run=run, refuse=lambda _status, _text: run())

    def _success(self, content: dict[str, Json]) -> Response:
        if self.dialect.envelope == "beside":
            beside = {name: content.pop(name) for name in ("total_rows",) if name in content}
            content = {"response": content, **beside}
        elif self.dialect.envelope == "wrapped":
            content = {"response": content}
        return json_response({"request_status": "Success", **content})

    def _error(self, status: HTTPStatus, message: str) -> Response:
        field = self.dialect.error_field
        reported: Json = [message] if field == "errors" else message
        shown = status if self.dialect.error_status == "typed" or status == 429 else HTTPStatus.OK  # noqa: PLR2004
        return json_response(
            {"request_status": self.dialect.error_request_status, field: reported}, shown
        )

    def find(self, sent: Arguments) -> dict[str, Json]:
        """Return a page of invoices."""
        return self.page(sent, "invoices", self._select_invoices, self._row)

    def _select_invoices(self, sent: Arguments) -> list[InvoiceRecord]:
        filters = (
            integer(sent, "invoice_id"),
            integer(sent, "affiliate_id"),
            integer(sent, "advertiser_id"),
            optional_status(sent, "invoice_status"),
            optional_day(sent, "start_date"),
            self._last_day(sent),
        )
        return self.state.invoices.select(filters, _matching(*filters))

    def page(
        self,
        sent: Arguments,
        name: str,
        select: Callable[[Arguments], list[RecordT]],
        write: Callable[[RecordT], str],
    ) -> dict[str, Json]:
        """Return the page of a list that ``start_at_row`` and ``row_limit`` ask for.

        Args:
            sent: The parameters of the query.
            name: The name of the list in the response.
            select: Returns the records that match the filters of this dialect.
            write: Writes a record as JSON.
        """
        sent = {
            parameter: value
            for parameter, value in sent.items()
            if parameter not in self.dialect.ignored_filters and value != ""
        }
        dialect = self.dialect
        least = dialect.first_row if dialect.row_zero == "refused" else 0
        start_at_row = integer(sent, "start_at_row", dialect.first_row, least=least) or 0
        row_limit = integer(sent, "row_limit", DEFAULT_ROWS, least=0) or 0
        found = select(sent)
        if dialect.row_zero != "counts":
            start_at_row = max(start_at_row, dialect.first_row)
        first = start_at_row - dialect.first_row
        count = row_limit or len(found)
        if dialect.row_cap is not None:
            count = min(count, dialect.row_cap)
        rows = found[max(first, 0) : first + count]
        content: dict[str, Json] = {name: RawJson("[" + ",".join(map(write, rows)) + "]")}
        if dialect.total_rows:
            content["total_rows"] = len(found)
        return content

    def create(self, sent: Arguments) -> dict[str, Json]:
        """Create an invoice, each time a new one."""
        for name in ("affiliate_id", "start_date", "end_date"):
            if sent.get(name) is None:
                raise Refused(HTTPStatus.BAD_REQUEST, f"{name} is required")
        affiliate = self.state.affiliates.get(number(sent, "affiliate_id"))
        start, end = optional_day(sent, "start_date"), self._last_day(sent)
        memo = optional_text(sent, "memo")
        if start is None or end is None or start > end:
            raise Refused(HTTPStatus.BAD_REQUEST, "Invalid date range")
        if affiliate is None:
            raise Refused(HTTPStatus.NOT_FOUND, "Affiliate not found")
        record = InvoiceRecord(
            invoice_id=self.state.invoices.next_id(),
            affiliate_id=affiliate.partner_id,
            advertiser_id=None,
            partner_name=affiliate.name,
            invoice_status="pending",
            start_date=start,
            end_date=end,
            total_amount=period_total(self.seed, affiliate, start, end),
            currency=CURRENCY_BY_ID[affiliate.currency_id].code,
            billing_cycle=affiliate.billing_cycle,
            memo=memo,
        )
        self.state.invoices[record.invoice_id] = record
        shown = {
            "invoice_id": record.invoice_id,
            "affiliate_id": record.affiliate_id,
            "invoice_status": self._shown_status(record),
            **self._amount(record),
        }
        return {"invoice": shown}

    def update(self, sent: Arguments) -> dict[str, Json]:
        """Change the status, memo or payment date of an invoice."""
        if sent.get("invoice_id") is None:
            raise Refused(HTTPStatus.BAD_REQUEST, "invoice_id is required")
        record = self.state.invoices.get(number(sent, "invoice_id"))
        status, memo = optional_status(sent, "invoice_status"), optional_text(sent, "memo")
        paid_at = moment(sent, "paid_at")
        if record is None:
            raise Refused(HTTPStatus.NOT_FOUND, _NO_SUCH_INVOICE)
        record.invoice_status = status or record.invoice_status
        shown: dict[str, Json] = {
            "invoice_id": record.invoice_id,
            "invoice_status": self._shown_status(record),
        }
        if "memo" in sent:
            shown["memo"] = record.memo = memo
        if paid_at is not None:
            shown["paid_at"] = record.paid_at = paid_at
        return {"invoice": shown}

    def billing_cycles(self, sent: Arguments) -> dict[str, Json]:
        """Return the billing cycles, or one of them."""
        return _named(sent, "billing_cycle", V2_BILLING_CYCLES)

    def payment_methods(self, sent: Arguments) -> dict[str, Json]:
        """Return the payment methods, or one of them."""
        wanted = integer(sent, "payment_method_id")
        found = [(i, n) for i, n in V2_PAYMENT_METHODS.items() if wanted in {None, i}]
        if self.dialect.payment_method_fields == "type":
            items: list[dict[str, Json]] = [
                {"payment_type_id": i, "payment_type_name": n} for i, n in found
            ]
        else:
            items = [
                {"payment_method_id": i, "payment_method_name": n, "payment_type_id": i}
                for i, n in found
            ]
        return {"payment_methods": items}

    def currencies(self, sent: Arguments) -> dict[str, Json]:
        """Return the currencies. No page shows their shape; it is v1's here."""
        del sent
        return {"currencies": [currency.fields() for currency in CURRENCIES]}

    def _last_day(self, sent: Arguments) -> date | None:
        end = optional_day(sent, "end_date")
        if end is None or self.dialect.end_date == "inclusive":
            return end
        return end - _DAY

    def _row(self, record: InvoiceRecord) -> str:
        if record.rendered is None:
            write = dump_plain if self.dialect.money == "text" else dump
            record.rendered = write(self._fields(record))
        return record.rendered

    def _fields(self, record: InvoiceRecord) -> dict[str, Scalar]:
        shown: dict[str, Scalar] = {"invoice_id": record.invoice_id}
        if record.affiliate_id is not None:
            shown |= {"affiliate_id": record.affiliate_id, "affiliate_name": record.partner_name}
        else:
            shown |= {"advertiser_id": record.advertiser_id, "advertiser_name": record.partner_name}
        shown["invoice_status"] = self._shown_status(record)
        end = record.end_date if self.dialect.end_date == "inclusive" else record.end_date + _DAY
        if self.dialect.invoice_fields == "amount":
            shown |= {"start_date": record.start_date.isoformat(), "end_date": end.isoformat()}
        else:
            shown |= {
                "invoice_date": end.isoformat(),
                "billing_cycle_name": record.billing_cycle.title(),
                "payment_type": "Wire Transfer",
            }
        return shown | self._amount(record)

    def _amount(self, record: InvoiceRecord) -> dict[str, Scalar]:
        amount: Scalar = record.total_amount
        if self.dialect.money == "text":
            amount = written(record.total_amount, currency_of(record.currency))
        if self.dialect.invoice_fields == "amount":
            return {"total_amount": amount, "currency": record.currency}
        return {"total_payout": amount, "currency_symbol": currency_of(record.currency).symbol}

    def _shown_status(self, record: InvoiceRecord) -> str:
        status = record.invoice_status
        return status.title() if self.dialect.status_case == "title" else status


#: Each operation, by the last part of its path: its method, and what carries it out.
OPERATIONS: Final[Mapping[str, tuple[str, Callable[[V2, Arguments], dict[str, Json]]]]] = {
    "invoices": ("GET", V2.find),
    "invoice": ("POST", V2.create),
    "update_invoice": ("POST", V2.update),
    "billing_cycles": ("GET", V2.billing_cycles),
    "payment_methods": ("GET", V2.payment_methods),
    "currencies": ("GET", V2.currencies),
}


def _matching(  # noqa: PLR0913, PLR0917 - one for each filter of the page
    invoice_id: int | None,
    affiliate_id: int | None,
    advertiser_id: int | None,
    status: str | None,
    start: date | None,
    end: date | None,
) -> _Filter:
    def matches(record: InvoiceRecord) -> bool:
        return (
            (invoice_id is None or record.invoice_id == invoice_id)
            and (affiliate_id is None or record.affiliate_id == affiliate_id)
            and (advertiser_id is None or record.advertiser_id == advertiser_id)
            and (status is None or record.invoice_status == status)
            and (start is None or record.start_date >= start)
            and (end is None or record.end_date <= end)
        )

    return matches


def _named(sent: Arguments, name: str, items: Mapping[int, str]) -> dict[str, Json]:
    wanted = integer(sent, f"{name}_id")
    return {
        f"{name}s": [
            {f"{name}_id": number, f"{name}_name": text}
            for number, text in items.items()
            if wanted in {None, number}
        ]
    }
