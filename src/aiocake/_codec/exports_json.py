"""Exports in JSON, as newer pages of CAKE show responses of v1: one object, parsed whole."""

import re
from typing import Final, TypeVar, cast

from aiocake._codec.converter import count_of
from aiocake._codec.export_parser import ExportCall, ExportReader
from aiocake._codec.refusals import with_context
from aiocake._codec.reply import Reply, is_object
from aiocake.errors import DecodeError

T = TypeVar("T")

#: Bytes of which all are held.
_LARGEST: Final = 1 << 26
#: Half of a surrogate pair, or one that is whole: most bodies have neither.
_HALF: Final = re.compile(rb"\\u[dD][89a-fA-F]")


class JsonExport(ExportReader[T]):
    """Reads an export in JSON."""

    def __init__(self, context: ExportCall[T]) -> None:
        super().__init__(context)
        self._body = bytearray()

    def feed(self, piece: bytes) -> None:
        self._body += piece
        if len(self._body) > _LARGEST:
            raise DecodeError(f"JSON of over {_LARGEST} bytes", status=self._context.status)

    def close(self) -> None:
        reply = self._context.reply(bytes(self._body))
        try:
            self._read(reply)
        except DecodeError as error:
            raise with_context(error, reply) from None

    def _read(self, reply: Reply) -> None:
        context, operation = self._context, self._context.operation
        around = reply.record
        self._refuse_no(around)
        fields = dict(around) if is_object(around) else {}
        inner = fields.get("response")
        layers = [each for each in (fields, inner) if is_object(each)]
        found = [each for each in layers if operation.element in each]
        if len(found) != 1:
            raise context.error_in(reply)
        self.row_count = count_of(fields, "row_count", context.leniency)
        rows = found[0][operation.element]
        if not isinstance(rows, list):
            raise DecodeError("it is not a list", path=operation.element)
        read_row = self._row_reader()
        halves = _HALF.search(reply.response.body) is not None
        for number, row in enumerate(cast("list[object]", rows)):
            whole = context.leniency.texts(row, operation.element) if halves else row
            record = read_row(whole, number)
            if record is not None:
                self.ready.append(record)
                self.count += 1
        self._refuse_other_count()
