"""cattrs over orjson, into attrs classes."""

from datetime import date
from decimal import Decimal

import attrs
from cattrs.preconf.orjson import make_converter

from benchmarks.rivals.typed_msgspec import Status

LACKS = "An amount that is sent as a number goes through a float."


@attrs.frozen(kw_only=True)
class Invoice:
    """A row."""

    invoice_id: int
    invoice_status: Status
    total_amount: Decimal
    affiliate_id: int | None = None
    affiliate_name: str | None = None
    advertiser_id: int | None = None
    advertiser_name: str | None = None
    start_date: date | None = None
    end_date: date | None = None
    currency: str | None = None


@attrs.frozen(kw_only=True)
class Page:
    """An answer."""

    request_status: str
    invoices: list[Invoice]
    total_rows: int | None = None


_converter = make_converter(detailed_validation=False)
_converter.register_structure_hook(Decimal, lambda value, _: Decimal(value))


def read(body: bytes) -> list[Invoice]:
    """Decode."""
    return _converter.loads(body, Page).invoices
