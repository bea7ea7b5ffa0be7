"""v1's answers on their way out: XML in one body whose length is known, or JSON."""

from collections.abc import Iterable, Iterator

import attrs
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from aiocake.sandbox.json_writer import Json, json_response
from aiocake.sandbox.v1.handlers import Answer
from aiocake.sandbox.v1.operations import SUCCESS, Operation
from aiocake.sandbox.v1.schema import CAKE, Struct

PROLOGUE = '<?xml version="1.0" encoding="utf-8"?>'
_CHUNK = 1 << 18


@attrs.frozen
class Envelope:
    """What is around the content of an answer.

    Attributes:
        before: All up to the content.
        after: All behind it.
        media_type: The content type.
    """

    before: str
    after: str
    media_type: str


def plain_envelope(operation: Operation) -> Envelope:
    """The answer to a GET or a form: a root of the operation's own."""
    root = operation.root
    return Envelope(
        f'{PROLOGUE}\r\n<{root} xmlns:xsd="http://www.w3.org/2001/XMLSchema" '
        f'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns="{CAKE}">',
        f"</{root}>",
        "text/xml; charset=utf-8",
    )


class InPieces(Response):
    """A long body of known length, sent piece by piece."""

    def __init__(self, chunks: list[bytes], media_type: str) -> None:
        """Take the whole body, in pieces."""
        super().__init__(None, 200, {"content-length": str(sum(map(len, chunks)))}, media_type)
        self.chunks = chunks

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        del scope, receive
        start = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
        await send(start)
        for chunk in self.chunks:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def in_chunks(operation: Operation, answer: Answer, envelope: Envelope) -> list[bytes]:
    """The body of an answer, in pieces of a few hundred kilobytes."""
    return list(_chunks(_texts(operation, answer, envelope)))


def as_xml(chunks: list[bytes], envelope: Envelope) -> Response:
    """An answer whose body was made already."""
    if len(chunks) == 1:
        return Response(chunks[0], media_type=envelope.media_type)
    return InPieces(chunks, envelope.media_type)


def as_json(answer: Answer) -> Response:
    """An answer as CAKE's newer pages show it for v1's accounting calls."""
    status = "Success" if answer["success"] else "Error"
    content: Json = {name: value for name, value in answer.items() if name != "success"}
    return json_response({"request_status": status, "response": content})


def _texts(operation: Operation, answer: Answer, envelope: Envelope) -> Iterator[str]:
    yield envelope.before
    # A bool is never null in .NET: without it, the class of the answer has none.
    members = tuple(
        each for each in operation.members if each.name in answer or each is not SUCCESS
    )
    yield from Struct(operation.root, members).pieces(answer)
    yield envelope.after


def _chunks(texts: Iterable[str]) -> Iterator[bytes]:
    held: list[str] = []
    size = 0
    for text in texts:
        held.append(text)
        size += len(text)
        if size >= _CHUNK:
            yield "".join(held).encode("utf-8", "replace")
            held, size = [], 0
    if held:
        yield "".join(held).encode("utf-8", "replace")
