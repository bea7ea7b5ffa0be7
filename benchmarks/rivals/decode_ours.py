"""aiocake's reading of a page, with all of its guards: the one place that knows its internals."""

from collections.abc import Sequence

from aiocake._codec.codec import decode, error_of, read_reply
from aiocake._messages import Response
from aiocake.endpoints.invoices import FIND
from aiocake.models import Invoice


def read(body: bytes) -> Sequence[Invoice]:
    """Look for an error, then decode, as a call does."""
    # With its length: a body without one is parsed exactly first, for it may have been cut off.
    reply = read_reply(Response(200, {"content-length": str(len(body))}, body))
    if error_of(FIND, reply) is not None:
        raise AssertionError("an error")
    return decode(FIND, {}, reply).items
