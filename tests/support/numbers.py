"""Calls are numbered from 1 again, wherever something has to be the same each time."""

import itertools

from aiocake import _listener


def number_calls_from_1() -> None:
    """Number the calls of clients that are made from now on from 1."""
    _listener._numbers = itertools.count(1)  # type: ignore[misc]
