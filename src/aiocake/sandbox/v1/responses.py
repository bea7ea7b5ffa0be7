"""v1's responses: XML in one body whose length is known, or JSON."""

from collections.abc import Iterable, Iterator

import attrs
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from aiocake.sandbox.messages import Json, json_response
from aiocake.sandbox.v1.handlers import Content
from aiocake.sandbox.v1.operations import SUCCESS, Operation
from aiocake.sandbox.v1.schema import CAKE, Struct

PROLOGUE = '<?xml version="1.0" encoding="utf-8"?>'
_CHUNK = 1 << 18


@attrs.frozen
class Envelope:
    """The XML around the content of a response.

    Attributes:
        before: The XML before the content.
        after: The XML after the content.
        media_type: The content type.
    """

    before: str
    after: str
    media_type: str


def plain_envelope(operation: Operation) -> Envelope:
    """Return the root of the response to a GET or a form, which each operation names itself."""
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
        """Store the whole body, in pieces."""
        super().__init__(None, 200, {"content-length": str(sum(map(len, chunks)))}, media_type)
        self.chunks = chunks

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the response."""
        del scope, receive
        start = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
        await send(start)
        for chunk in self.chunks:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def in_chunks(operation: Operation, content: Content, envelope: Envelope) -> list[bytes]:
    """Write the body of a response, in pieces of a few hundred kilobytes."""
    return list(_chunks(_texts(operation, content, envelope)))


def as_xml(chunks: list[bytes], envelope: Envelope) -> Response:
    """Return a response whose body is written already."""
    if len(chunks) == 1:
        return Response(chunks[0], media_type=envelope.media_type)
    return InPieces(chunks, envelope.media_type)


def as_json(content: Content) -> Response:
    """Return a response as CAKE's newer pages show it for v1's accounting calls."""
    status = "Success" if content["success"] else "Error"
    response: Json = {name: value for name, value in content.items() if name != "success"}
    return json_response({"request_status": status, "response": response})


def _texts(operation: Operation, content: Content, envelope: Envelope) -> Iterator[str]:
    yield envelope.before
    # A bool is never null in .NET: where it is missing, the class of the response has none.
    members = tuple(
        each for each in operation.members if each.name in content or each is not SUCCESS
    )
    yield from Struct(operation.root, members).pieces(content)
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
