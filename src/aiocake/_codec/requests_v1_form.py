"""v1 by form: the parameters of a GET, in the body of a POST."""

from collections.abc import Mapping

from aiocake._codec.requests_v1_get import pairs
from aiocake._codec.requests_v2 import KEY
from aiocake._messages import KeyPlacement, Request
from aiocake._operations.operation import Operation


def request(operation: Operation[object], arguments: Mapping[str, object]) -> Request:
    """The request of a v1 call by POST of a form."""
    return Request(
        operation.name,
        "POST",
        f"{operation.path}/{operation.call}",
        headers=(("Content-Type", "application/x-www-form-urlencoded"),),
        body=(KEY + pairs(operation, arguments)).encode("ascii"),
        key_placement=KeyPlacement.FORM,
        key_offset=len(KEY),
    )
