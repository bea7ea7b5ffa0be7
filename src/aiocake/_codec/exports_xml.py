"""Exports in XML: each record as soon as it is complete."""

from collections.abc import Callable, Mapping
from typing import Final, TypeVar

from aiocake._codec.converter import count
from aiocake._codec.export_parser import SMALL, ExportCall, ExportReader
from aiocake._codec.leniency import Leniency
from aiocake._codec.snippet import snippet
from aiocake._codec.xml.row_patterns import RowFeed
from aiocake._codec.xml.rows import Rows
from aiocake.errors import CakeError, DecodeError

T = TypeVar("T")

#: Bytes in which one record has to end.
_LARGEST_ROW: Final = 1 << 23


class XmlExport(ExportReader[T]):
    """Reads an export in XML."""

    def __init__(self, context: ExportCall[T]) -> None:
        super().__init__(context)
        operation = context.operation
        context.leniency.spaces = True
        self._rows = Rows(operation.element, operation.row, self._row_reader(), context.leniency)
        self._feed = RowFeed(self._rows, operation.row)
        self.ready = self._rows.ready
        #: The bytes before the list; None since it began.
        self._before: bytearray | None = bytearray()
        #: Bytes since a record ended.
        self._idle = 0

    @property
    def dropped(self) -> int:
        return self._feed.dropped

    def feed(self, piece: bytes) -> None:
        before = self._rows.count
        if self._before is not None:
            self._before += piece
        self._take(self._error_in(lambda: self._feed.feed(piece)))
        self._idle = self._idle + len(piece) if self._rows.count == before else 0
        self._refuse_idling()

    def close(self) -> None:
        # Bytes that waited for more are parsed only now, and may be records.
        self._take(self._error_in(self._feed.close))
        if self._before is not None:
            raise self._context.error_in(self._context.reply(bytes(self._before)))
        self._look_at(self._rows.around, self._context.leniency)
        self._refuse_other_count()

    def _take(self, error: DecodeError | None) -> None:
        """Take account of a step of the parser, which may have ended in an error."""
        self.count = self._rows.count - self.repeated
        if self._before is not None:
            if self._rows.before is not None:
                self._before = None
                try:
                    # Looked at once more in the end, and noted then.
                    self._look_at(self._rows.before, Leniency(spaces=True))
                except CakeError:
                    # A response that is no success gives no records.
                    self.ready.clear()
                    self.count = 0
                    raise
            elif error is not None:
                raise self._context.error_in(self._context.reply(bytes(self._before)))
        if error is not None:
            raise error

    def _look_at(self, fields: Mapping[str, object], leniency: Leniency) -> None:
        """Judge the fields beside the list."""
        self._refuse_no(fields)
        self.row_count = count(fields.get("row_count"), "row_count", leniency)

    def _error_in(self, step: Callable[[], None]) -> DecodeError | None:
        try:
            step()
        except DecodeError as error:
            context = self._context
            if not (error.path or self._rows.ended):
                error.path = f"{context.operation.element}[{self._rows.count}]"
            error.snippet = error.snippet or snippet(
                self._feed.broken, show_sensitive=context.show_sensitive
            )
            error.status = context.status
            return error.with_traceback(None)
        return None

    def _refuse_idling(self) -> None:
        inside = self._before is None and not self._rows.ended
        if self._idle > (_LARGEST_ROW if inside else SMALL):
            what = (
                f"an end of a {self._context.noun}"
                if inside
                else "an end"
                if self._rows.ended
                else "a list"
            )
            raise DecodeError(
                f"{self._idle} bytes without {what}",
                path=self._context.operation.element,
                status=self._context.status,
            )
