"""Readers for the response to an export, fed piece by piece.

Three of them share one interface: for records in XML, which are ready as each of them ends; for
records in JSON, which are ready at the end of the body; and for a body without any, which is small
and judged like any other response.

**A bill that is there twice** (a server's query may join a second contact) is given once: whoever
adds up or pays what an export gives must not count it twice. Its copies have to agree in whose it
is, in amount and currency, and in whether it is paid; else nobody knows which one is right. Records
of other models are read by the converter, and are all given: whether they may be alike is known to
their endpoint alone.
"""

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Final, Generic, TypeVar, cast

import attrs

from aiocake._codec.bills import bill_decoder, fingerprint_of
from aiocake._codec.converter import structure
from aiocake._codec.error_messages import error_class_of, error_from_message
from aiocake._codec.fingerprints import Fingerprints
from aiocake._codec.leniency import Leniency
from aiocake._codec.refusals import error_of, with_context
from aiocake._codec.reply import BOTH, Record, Reply, ReplyStatus, read_status
from aiocake._messages import Response
from aiocake._operations.operation import Operation
from aiocake.errors import ApiError, CakeError, DecodeError
from aiocake.models import Bill

T = TypeVar("T")

#: Bytes of a response without a list, and of what is around a list: none of it is long.
SMALL: Final = 1 << 16


@attrs.frozen(eq=False)
class ExportCall(Generic[T]):
    """The call of an export, and the head of its response.

    Attributes:
        operation: The export.
        status: The HTTP status.
        headers: By lower-case name.
        show_sensitive: Whether errors may show values.
        leniency: How what only decorates is read; notes what was.
    """

    operation: Operation[T]
    status: int
    headers: Mapping[str, str]
    show_sensitive: bool
    leniency: Leniency = attrs.field(factory=Leniency)

    @property
    def model(self) -> type[T]:
        """Return the class of a record."""
        return cast("type[T]", self.operation.model)

    @property
    def of_bills(self) -> bool:
        """Return whether the records are bills."""
        return issubclass(self.operation.model, Bill)

    @property
    def noun(self) -> str:
        """Return the word for a record in messages."""
        return "bill" if self.of_bills else "row"

    def reply(self, body: bytes) -> Reply:
        """Return the response with a body, or with as much of it as is known."""
        response = Response(self.status, self.headers, body)
        return Reply(response, show_sensitive=self.show_sensitive)

    def error_in(self, reply: Reply) -> CakeError:
        """Return the error of a response that holds no list."""
        error = error_of(self.operation, reply)
        if error is None:
            missing = DecodeError("a success without its list", path=self.operation.element)
            error = with_context(missing, reply)
        return error


class ExportReader(ABC, Generic[T]):
    """Reads a response; its records become ready while it is fed.

    Attributes:
        ready: The records that were read and not taken yet.
        status: How it says that the call went, as far as it is known.
        row_count: How many records it says that it holds; None when it does not say, or not yet.
        count: How many records were read, without copies.
        repeated: How many copies of a bill that is there already were left out.
        first_repeated: The id of the first of them; None when there is none.
    """

    def __init__(self, context: ExportCall[T]) -> None:
        self._context = context
        self.ready: deque[T] = deque()
        self.status = ReplyStatus()
        self.row_count: int | None = None
        self.count = 0
        self.repeated = 0
        self.first_repeated: int | None = None

    @property
    def dropped(self) -> int:
        """Return the number of illegal references that were left out."""
        return 0

    @abstractmethod
    def feed(self, piece: bytes) -> None:
        """Read on.

        Raises:
            CakeError: The response is one, or cannot be read. The records before that are ready.
        """

    @abstractmethod
    def close(self) -> None:
        """End the body.

        Raises:
            CakeError: The response is one, ends too early, or holds another number of records
                than it says.
        """

    def _refuse_no(self, record: Record) -> None:
        """Raise the error that the fields beside the list are, if they are one."""
        reported = self.status = read_status(record)
        if reported.success is False or (
            reported.success is None and error_class_of(reported.message) is not ApiError
        ):
            raise error_from_message(reported.message, self._context.status)
        if reported.is_mixed or reported.has_error:
            raise DecodeError(BOTH, status=self._context.status)

    def _row_reader(self) -> Callable[[object, int], T | None]:
        """Return a function that makes a record of a row's fields and number; None of a copy.

        The function raises DecodeError when a row cannot be read, or is a bill that differs from
        one of the same id.
        """
        context, element = self._context, self._context.operation.element
        if not context.of_bills:
            return lambda fields, number: structure(
                fields, context.model, f"{element}[{number}]", context.leniency
            )
        read = bill_decoder(
            context.model, element, context.leniency, show_sensitive=context.show_sensitive
        )
        fingerprint = fingerprint_of(context.model)
        seen = Fingerprints()

        def read_new(fields: object, number: int) -> T | None:
            bill: Any = read(fields, number)
            bill_id: int = bill.bill_id
            same = seen.add(bill_id, fingerprint(bill))
            if same is None:
                new: T = bill
                return new
            if not same:
                raise DecodeError(
                    f"bill {bill_id} occurs twice, with different contents",
                    path=f"{element}[{number}]",
                )
            self.repeated += 1
            if self.first_repeated is None:
                self.first_repeated = bill_id
            return None

        return read_new

    def _refuse_other_count(self) -> None:
        # The number is of all that match, and an export has no pages. A server counts either the
        # rows that it gives or the bills that they are of.
        rows = self.count + self.repeated
        if self.row_count is not None and self.row_count not in {rows, self.count}:
            raise DecodeError(
                f"{rows} {self._context.noun}s where row_count is {self.row_count}",
                path=self._context.operation.element,
            )


class ErrorBody(ExportReader[T]):
    """Reads a response that holds no records: it is an error."""

    def __init__(self, context: ExportCall[T]) -> None:
        super().__init__(context)
        self._body = bytearray()

    def feed(self, piece: bytes) -> None:
        self._body += piece
        if len(self._body) > SMALL:
            self.close()

    def close(self) -> None:
        raise self._context.error_in(self._context.reply(bytes(self._body[:SMALL])))
