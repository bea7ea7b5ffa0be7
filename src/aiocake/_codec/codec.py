"""Between arguments and bytes: prepare a request, find the error in a response, decode a success.

Three pure functions, and one file for each format that they read or write. A response is parsed
once, into the :class:`Reply` that both of the last two take. The parameters of an operation and the
shape of its response stand in its :class:`~aiocake._operations.operation.Operation`; nothing here
knows any endpoint, the key, or the network.
"""

from typing import Final

from aiocake._codec.leniency import Leniency
from aiocake._codec.preparation import prepare
from aiocake._codec.refusals import OK, error_of
from aiocake._codec.reply import BodyFormat, Reply, format_of
from aiocake._codec.results import decode
from aiocake._messages import Response

__all__ = [
    "Leniency",
    "Reply",
    "applied_likely",
    "decode",
    "error_of",
    "prepare",
    "read_reply",
]

#: Makes of a response what :func:`error_of` and :func:`decode` take. Parses nothing yet.
read_reply: Final = Reply


def applied_likely(response: Response) -> bool:
    """Return whether a response that cannot be read is most likely one to a write carried out.

    It is one of a 200, unless it is a page of HTML: login and help pages did nothing.
    """
    return response.status in OK and format_of(response.body) is not BodyFormat.HTML
