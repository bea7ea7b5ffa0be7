"""Bodies that come in pieces, and exports read from them."""

from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Self

import pytest

from aiocake._codec.exports import BillStream
from aiocake._operations.operation import Api, Operation, ResponseShape
from aiocake.errors import CakeError
from aiocake.models import AdvertiserBill, AffiliateBill, BuyerBill

from ..support.loops import one_loop  # noqa: F401 - content knows no event loop

Collected = tuple[list[int], CakeError | None]

KINDS: dict[str, type[Any]] = {
    "affiliate": AffiliateBill,
    "advertiser": AdvertiserBill,
    "buyer": BuyerBill,
}


def export_of(kind: str) -> Operation[Any]:
    """The export of a kind of bill."""
    return Operation(
        name=f"{kind}_bills.export",
        api=Api.V1,
        path="/api/1/accounting.asmx",
        call=f"Export{kind.title()}Bills",
        shape=ResponseShape.STREAM,
        element=f"{kind}_bills",
        row=f"{kind}_bill",
        model=KINDS[kind],
        documented_in="",
    )


class Body:
    """A body that comes in pieces, and may end with an error.

    Attributes:
        taken: How many bytes were asked for.
    """

    def __init__(self, pieces: Iterable[bytes], error: Exception | None = None) -> None:
        self._pieces = iter(pieces)
        self._error = error
        self.taken = 0

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        for piece in self._pieces:
            self.taken += len(piece)
            return piece
        raise self._error or StopAsyncIteration


def open_stream(
    *pieces: bytes,
    body: Body | None = None,
    kind: str = "affiliate",
    status: int = 200,
    error: Exception | None = None,
    show_sensitive: bool = False,
) -> BillStream[Any]:
    """An export that comes in pieces; or as a body of one's own."""
    came = Body(pieces, error) if body is None else body
    return BillStream(export_of(kind), status, {}, came, show_sensitive=show_sensitive)


async def collected(bills: BillStream[Any]) -> Collected:
    """The ids that were given, and how it ended."""
    ids: list[int] = []
    try:
        async for each in bills:
            ids.append(each.bill_id)  # noqa: PERF401 - what came before an error counts
    except CakeError as error:
        return ids, error
    return ids, None


@pytest.fixture(scope="session")
def stream() -> Callable[..., BillStream[Any]]:
    return open_stream


@pytest.fixture(scope="session")
def body() -> type[Body]:
    return Body


@pytest.fixture(scope="session")
def collect() -> Callable[[BillStream[Any]], Awaitable[Collected]]:
    return collected
