"""v1 by GET: parameters in the query."""

from collections.abc import Mapping
from typing import Final

from aiocake._codec.requests_v1 import refuse_markup, sent_arguments
from aiocake._codec.requests_v2 import KEY, query
from aiocake._messages import KeyPlacement, Request
from aiocake._operations.operation import Operation
from aiocake.values import ERASE, Idempotency

#: IIS refuses longer ones: ``maxQueryString`` of its request filtering is 2048 by default.
QUERY_LIMIT: Final = 2048
#: By GET and form nothing can be null; CAKE's pages give this text as the one that erases.
_ERASES: Final = "NULL"


def request(operation: Operation[object], arguments: Mapping[str, object]) -> Request:
    """The request of a v1 call by GET; a call that writes asks caches to keep out of it."""
    reads = operation.idempotency_of(arguments) is Idempotency.SAFE
    return Request(
        operation.name,
        "GET",
        f"{operation.path}/{operation.call}",
        query=KEY + pairs(operation, arguments),
        headers=() if reads else (("Cache-Control", "no-store"),),
        key_placement=KeyPlacement.QUERY,
        key_offset=len(KEY),
        query_limit=QUERY_LIMIT,
    )


def pairs(operation: Operation[object], arguments: Mapping[str, object]) -> str:
    """All parameters, percent-encoded, as query and form have them behind the key.

    Raises:
        ArgumentError: A text cannot be sent in this way.
    """
    refuse_markup(operation, arguments)
    return query(
        {
            each.name: _ERASES if each.text is ERASE else each.text
            for each in sent_arguments(operation, arguments)
        }
    )
