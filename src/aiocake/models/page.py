"""One page of a list."""

from typing import Generic, TypeVar

import attrs

__all__ = ["Page"]

T_co = TypeVar("T_co", covariant=True)


@attrs.frozen(kw_only=True)
class Page(Generic[T_co]):
    """One page of a list, as the server gave it.

    Attributes:
        items: The rows.
        total_rows: How many rows match in all, not on this page; None where the instance does
            not say.
        start_at_row: The offset that was asked for.
    """

    items: tuple[T_co, ...]
    total_rows: int | None
    start_at_row: int
