"""Requests of an examination: reads, counted, each with a share of the time that is left."""

from collections.abc import Mapping
from typing import Any, Final, cast

import attrs

from aiocake._background import clock
from aiocake._codec.raw import error_of_raw
from aiocake._codec.raw_response import RawResponse
from aiocake._codec.reply import Reply, is_object
from aiocake._messages import Response
from aiocake._operations.operation import executor_of
from aiocake._pipeline.examiner import Examiner
from aiocake._pipeline.executor import CallExecutor  # noqa: TC001 - imported like the others
from aiocake._transport import Transport
from aiocake.client import ClientView
from aiocake.config import CallOptions
from aiocake.errors import (
    AuthenticationError,
    CakeError,
    DecodeError,
    RateLimited,
    Restricted,
)
from aiocake.values import Binding

MOST_REQUESTS: Final = 60
"""How many requests an examination sends at most."""
#: A call can take one more, where the connection was closed meanwhile, and one for another key.
_MOST_OF_A_CALL: Final = 3
#: Seconds of the whole examination, and of one call.
_SECONDS: Final = 50.0
_CALL_SECONDS: Final = 10.0

Row = Mapping[str, Any]


class CutShort(Exception):
    """The examination ends here.

    Args:
        error: Why, where an error is the reason; None where its time or its requests are used up.
    """

    def __init__(self, error: CakeError | None = None) -> None:
        super().__init__()
        self.error = error


@attrs.frozen
class InvoicePage:
    """A page of the list of invoices, as the instance sends it.

    Attributes:
        rows: The rows.
        total: ``total_rows``; None where it is not there.
        envelope: Where they are, as :class:`aiocake.traits.InstanceTraits` has it.
    """

    rows: tuple[Row, ...] = attrs.field(repr=False)
    total: int | None
    envelope: str

    @property
    def ids(self) -> list[str]:
        """Return the numbers of the invoices, as texts."""
        return [str(row.get("invoice_id")) for row in self.rows]


class Probe:
    """Sends the requests of one examination.

    Args:
        cake: The client, whose connections and key are used.
    """

    def __init__(self, cake: ClientView) -> None:
        # The client's groups have no other.
        self._executor = cast("CallExecutor", executor_of(cake.invoices))
        self._examiner = Examiner(self._executor, self._count)
        self._now = clock()
        self._began = self._now()
        self.requests: int = 0

    @property
    def seconds(self) -> float:
        """Return the seconds since the beginning."""
        return self._now() - self._began

    @property
    def domain(self) -> str:
        """Return the instance."""
        return self._executor.domain

    @property
    def transport(self) -> Transport:
        """Return the client's transport."""
        return self._executor.transport

    async def get(self, path: str, **params: str | int) -> RawResponse:
        """Read a path; return the response as it came, whatever it says.

        Raises:
            CakeError: There is no whole response.
            CutShort: Time or requests are used up.
        """
        return await self._limited().raw(
            method="GET", path=path, params=params, repeatable=True, writes=False
        )

    async def renew_key(self) -> bool:
        """Ask for another key, as a call does that is refused; return True if there is one."""
        keys = self.transport.keys
        return keys.current is not None and await keys.renew(keys.current, keys.asked) is True

    def by(self, binding: Binding) -> ClientView:
        """Return the endpoints, by a binding.

        Raises:
            CutShort: Time or requests are used up.
        """
        return ClientView(self._limited(binding))

    async def page(self, **params: str | int) -> InvoicePage:
        """Read a page of invoices.

        Raises:
            CakeError: There is no such page in the response, or no response.
            CutShort: The instance takes no more calls, or time or requests are used up.
        """
        response = await self.get("/api/2/invoices.json", **params)
        if (error := self.refusal_of(response)) is not None:
            if isinstance(error, AuthenticationError | RateLimited | Restricted):
                raise CutShort(error)
            raise error
        return page_in(response)

    def refusal_of(self, response: RawResponse) -> CakeError | None:
        """Return the error that a response is, as any other call raises it; None of a success."""
        error = error_of_raw(Reply(Response(response.status, response.headers, response.body)))
        if error is not None:
            error.scrub(self.transport.scrub)
        return error

    def _limited(self, binding: Binding | None = None) -> Examiner:
        left = _SECONDS - self.seconds
        if left <= 0 or self.requests + _MOST_OF_A_CALL > MOST_REQUESTS:
            raise CutShort
        options = CallOptions(total=min(left, _CALL_SECONDS), binding=binding)
        return self._examiner.with_options(options)

    def _count(self) -> None:
        self.requests += 1


def page_in(response: RawResponse) -> InvoicePage:
    """Return the page of invoices in a response.

    Raises:
        DecodeError: There is none.
    """
    outer = response.json()
    layers = [each for each in (outer, _inner(outer)) if is_object(each)]
    content = next((each for each in layers if isinstance(each.get("invoices"), list)), None)
    if content is None:
        raise DecodeError("a response without a list of invoices", status=response.status)
    rows = cast("list[object]", content["invoices"])
    if not all(map(is_object, rows)):
        raise DecodeError("a list of invoices whose rows are not objects", status=response.status)
    total = next((each["total_rows"] for each in layers if "total_rows" in each), None)
    if isinstance(total, str) and total.isdecimal():
        total = int(total)
    envelope = "flat" if content is outer else "wrapped"
    if content is not outer and "total_rows" in layers[0]:
        envelope = "beside"
    return InvoicePage(
        tuple(cast("list[Row]", rows)), total if type(total) is int else None, envelope
    )


def item_in(response: RawResponse, name: str) -> Row | None:
    """Return the first item of a list in a response; None if there is none."""
    outer = response.json()
    for layer in (outer, _inner(outer)):
        items = layer.get(name) if is_object(layer) else None
        first = next(iter(cast("list[object]", items)), None) if isinstance(items, list) else None
        if is_object(first):
            return first
    return None


def fields_of(response: RawResponse) -> Row:
    """Return the fields of a response, with those in its ``response``; none if it is no object."""
    outer = response.json()
    inner = _inner(outer)
    return {**(inner if is_object(inner) else {}), **(outer if is_object(outer) else {})}


def _inner(content: object) -> object:
    return content.get("response") if is_object(content) else None
