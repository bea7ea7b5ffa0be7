"""One page of a list."""

from typing import Generic, TypeVar

import attrs

from aiocake.records import Record

__all__ = ["Page"]

T_co = TypeVar("T_co", covariant=True)


@attrs.frozen(kw_only=True)
class Page(Record, Generic[T_co]):
    """One page of a list, as the server gave it.

    Attributes:
        items: The rows.
        total_rows: How many rows match in all, not on this page; None where the instance does
            not say.
        start_at_row: The offset that was asked for.
    """

    # All rows of a page would be megabytes in a log.
    items: tuple[T_co, ...] = attrs.field(repr=lambda items: f"<{len(items)}>")
    total_rows: int | None
    start_at_row: int
