"""Servers of one list."""

from collections.abc import Callable, Iterable
from typing import Any

import pytest

from ..support.lists import ListServer


@pytest.fixture(scope="session")
def make_server() -> Callable[..., ListServer]:
    """Make a server of the rows given, or of so many."""

    def make(rows: int | Iterable[int], **dialect: Any) -> ListServer:  # noqa: ANN401 - its fields
        ids = range(1, rows + 1) if isinstance(rows, int) else rows
        return ListServer(rows=list(ids), **dialect)

    return make
