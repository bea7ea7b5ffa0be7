"""A response whose body is still on its way, whatever carries it."""

from collections.abc import Callable, Coroutine, Iterator, Mapping
from typing import Any, Protocol

from aiocake._transport.failures import TransportFailure

#: The headers of a response without the key.
Clean = Callable[[dict[str, str]], dict[str, str]]


class BodyPieces(Protocol):
    """Where the body of a response comes from."""

    def whole(self) -> bytes | None:
        """Return the whole raw body if it is there; None where it is to be waited for."""
        ...

    async def next(self) -> bytes | TransportFailure | None:
        """Return the next raw piece of the body; None at its end."""
        ...

    async def aclose(self) -> None:
        """Close the response, and the connection if the body was not read completely."""
        ...


class Headers(Mapping[str, str]):
    """Headers by lower-case name, the last of several values, without the key.

    Most calls need none or one of them, so they are made when they are asked for.
    """

    __slots__ = ("_clean", "_made", "_raw")

    def __init__(self, raw: list[tuple[bytes, bytes]], clean: Clean) -> None:
        self._raw = raw
        self._clean = clean
        self._made: dict[str, str] | None = None

    def __getitem__(self, name: str) -> str:
        return self._all()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())

    def __repr__(self) -> str:
        return repr(self._all())

    def __reduce__(self) -> tuple[object, ...]:
        return (dict, (self._all(),))

    def _all(self) -> dict[str, str]:
        made = self._made
        if made is None:
            raw, self._raw = self._raw, []
            made = self._made = self._clean(
                {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in raw}
            )
        return made


class IncomingResponse:
    """A response whose body is still on its way. Ended by :meth:`aclose`, always.

    Args:
        status: The status.
        raw: The headers, as they came.
        encodings: The values of Content-Encoding among them.
        length: What Content-Length says; None where it does not count.
        framed: Whether a length or chunks mark its end, not that of its connection.
        pieces: Where its body comes from.
        clean: Takes the key out of headers.

    Attributes:
        status: The status.
        headers: The headers.
        length: As above.
        framed: As above.
        encoding: All values of Content-Encoding, in lower case, joined by commas.
        whole: Returns the body if it is there as a whole, and not compressed: nothing to wait for.
        aclose: Ends the response. If its body was not read to its end, so is the connection.
    """

    __slots__ = (
        "_pieces",
        "aclose",
        "encoding",
        "framed",
        "headers",
        "length",
        "status",
        "whole",
    )

    def __init__(  # noqa: PLR0913, PLR0917 - what a response is
        self,
        status: int,
        raw: list[tuple[bytes, bytes]],
        encodings: list[bytes],
        length: int | None,
        framed: bool,  # noqa: FBT001 - one of two senders says it
        pieces: BodyPieces,
        clean: Clean,
    ) -> None:
        self.status: int = status
        self.length: int | None = length
        self.framed: bool = framed
        self.headers: Headers = Headers(raw, clean)
        self._pieces = pieces
        self.aclose: Callable[[], Coroutine[Any, Any, None]] = pieces.aclose
        self.encoding: str = (
            ",".join(value.decode("latin-1").strip().lower() for value in encodings)
            if encodings
            else ""
        )
        plain = self.encoding in {"", "identity"}
        self.whole: Callable[[], bytes | None] = pieces.whole if plain else _nothing

    async def next(self) -> bytes | TransportFailure | None:
        """Return the next raw piece of the body; None at its end."""
        return await self._pieces.next()


def _nothing() -> None:
    """Return nothing: the body has to be decompressed."""
