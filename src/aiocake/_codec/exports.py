"""Exports, read as they arrive.

An export is one body of 200 MB and more. It is parsed as it comes, and each record is given as soon
as it is whole, so memory stays flat.
"""

from collections import deque
from collections.abc import AsyncIterator, Mapping
from typing import Final, Generic, Self, TypeVar

from aiocake._codec.export_parser import ErrorBody, ExportCall, ExportReader
from aiocake._codec.exports_json import JsonExport
from aiocake._codec.exports_xml import XmlExport
from aiocake._codec.leniency import Leniency, without_surrogates
from aiocake._codec.refusals import OK
from aiocake._codec.reply import BodyFormat, format_of
from aiocake._operations.operation import Operation
from aiocake.errors import CakeError, DeadlineExceeded, DecodeError

T = TypeVar("T")

#: Bytes that show the format of a body, and spaces before them at most.
_ENOUGH: Final = 4
_MOST_SPACES: Final = 1 << 10
#: Bytes that are parsed at once: the event loop waits for no more, and no more bills wait.
_PIECE: Final = 1 << 16


class BillStream(Generic[T]):
    """The records of one response, as they arrive.

    Args:
        operation: The export.
        status: The HTTP status.
        headers: By lower-case name.
        chunks: The body, decompressed. What it raises is passed on; but a body that was cut
            short, or did not come in time, raises an error that says how many records came before.
        show_sensitive: Whether errors may show names, notes and amounts.
    """

    def __init__(
        self,
        operation: Operation[T],
        status: int,
        headers: Mapping[str, str],
        chunks: AsyncIterator[bytes],
        *,
        show_sensitive: bool = False,
    ) -> None:
        self._context = ExportCall(operation, status, headers, show_sensitive)
        self._chunks = chunks
        self._export: ExportReader[T] = ErrorBody(self._context)
        #: Bytes that are not parsed yet, and from where on.
        self._came = b""
        self._at = 0
        self._begun = False
        self._ended = False
        self._error: CakeError | None = None

    @property
    def ready(self) -> deque[T]:
        """Return the records that were read and not yielded yet; taking one yields it."""
        return self._export.ready

    @property
    def success(self) -> bool | None:
        """Return whether the response reports success; None if it does not say, or not yet."""
        return self._export.status.success

    @property
    def message(self) -> str:
        """Return the message beside the records."""
        return without_surrogates(self._export.status.message)

    @property
    def rows_read(self) -> int:
        """Return the number of records that were yielded."""
        return self._export.count - len(self._export.ready)

    @property
    def row_count(self) -> int | None:
        """Return the number of records that the response names; None if none, or not yet."""
        return self._export.row_count

    @property
    def dropped(self) -> int:
        """Return the number of illegal references that were left out so far."""
        return self._export.dropped

    @property
    def lenient(self) -> Leniency:
        """Return the notes of what was read leniently so far."""
        return self._context.leniency

    @property
    def repeated(self) -> tuple[int, int | None]:
        """Return the number of copies of bills left out so far, and the first such bill's id."""
        return self._export.repeated, self._export.first_repeated

    async def head(self) -> CakeError | None:
        """Read up to the first record, or to the end where there is none.

        Returns:
            The error that the response holds; None when records may follow, or there are none.

        Raises:
            CakeError: The body raised it before the first record.
        """
        if not self._begun:
            await self._begin()
            while not (self._export.ready or self._error or self._ended):
                await self._advance()
        return None if self._export.ready else self._error

    async def rest(self) -> list[T]:
        """Return the records that were not given yet.

        Raises:
            CakeError: Reading one of them raised it.
        """
        return [bill async for bill in self]

    def counted(self, error: CakeError) -> CakeError:
        """Return the error that reading ended in, with how many records came before it."""
        if isinstance(error, DeadlineExceeded):
            error.rows_read = self._export.count
        elif isinstance(error, DecodeError) and error.rows_read is None and self._export.count:
            return self._counted(error)
        return error

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        """Return the next record.

        Raises:
            CakeError: The response holds an error, was cut short, cannot be read, or ended with
                another number of records than it said; after the records before that were given.
        """
        ready = self._export.ready
        while not ready:
            if self._error is not None:
                raise self._error
            if self._ended:
                raise StopAsyncIteration
            if self._begun:
                await self._advance()
            else:
                await self.head()
                ready = self._export.ready
        return ready.popleft()

    async def _begin(self) -> None:
        start = b""
        while len(start.strip()) < _ENOUGH and len(start) < _MOST_SPACES:
            chunk = await self._next_chunk()
            if not chunk:
                break
            start += chunk
        self._begun = True
        self._came = start
        form = format_of(start) if self._context.status in OK else BodyFormat.TEXT
        if form is BodyFormat.XML:
            self._export = XmlExport(self._context)
        elif form is BodyFormat.JSON:
            self._export = JsonExport(self._context)

    async def _advance(self) -> None:
        """Parse the next piece, or end."""
        try:
            piece = await self._next_piece()
        except DecodeError as error:
            if not self._export.count:
                raise
            self._error = self._counted(error)
            return
        except DeadlineExceeded as error:
            self.counted(error)
            raise
        try:
            if piece:
                self._export.feed(piece)
            else:
                self._ended = True
                self._export.close()
        except DecodeError as error:
            self._error = self._counted(error)
        except CakeError as error:
            self._error = error

    def _counted(self, error: DecodeError) -> DecodeError:
        """Return the error with how many records came before it."""
        count = self._export.count
        after = f" (after {count} {self._context.noun}{'' if count == 1 else 's'})" if count else ""
        counted = DecodeError(
            f"{error.args[0]}{after}",
            path=error.path,
            snippet=error.snippet,
            status=self._context.status,
        )
        counted.rows_read = count
        return counted

    async def _next_piece(self) -> bytes:
        """Return the next bytes to parse; none at the end."""
        if self._at >= len(self._came):
            self._came, self._at = b"", 0
            self._came = await self._next_chunk()
        piece = self._came[self._at : self._at + _PIECE]
        self._at += _PIECE
        return piece

    async def _next_chunk(self) -> bytes:
        async for chunk in self._chunks:
            if chunk:
                return chunk
        return b""
