"""A plan: calls to be sent, each with the state of its record, under one hash."""

import io
import os
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, Self, TypedDict, Unpack, cast, final, overload

from aiocake._normalize import class_name, path_of
from aiocake.client import ClientView
from aiocake.errors import ArgumentError, PlanError, Problem
from aiocake.models import InvoiceStatus, InvoiceStatusText, Total
from aiocake.monthend import approvals, plan_file
from aiocake.monthend.approvals import Approvals
from aiocake.monthend.header import PlanHeader
from aiocake.monthend.plan_file import A_PIECE, PlanText
from aiocake.monthend.planning import (
    Calls,
    LeftOut,
    PlanTerms,
    Terms,
    plan_of_calls,
    plan_of_updates,
)
from aiocake.monthend.rows import PlanRow
from aiocake.values import SKIP, Period, PeriodMatch, Skip

_CREATE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
_PRIVATE: Final = 0o600


class InvoiceSettings(TypedDict, total=False):
    """The arguments of ``cake.invoices.update`` that :meth:`Plan.updates` sets."""

    invoice_status: InvoiceStatus | InvoiceStatusText
    memo: str
    paid_at: datetime


class _LazyRows(Sequence[PlanRow]):
    """The rows of a plan, each parsed from its line on access."""

    def __init__(self, pieces: tuple[bytes, ...], size: int) -> None:
        self._pieces = pieces
        self._size = size

    def __len__(self) -> int:
        return self._size

    @overload
    def __getitem__(self, at: int) -> PlanRow: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[PlanRow]: ...
    def __getitem__(self, at: int | slice) -> PlanRow | Sequence[PlanRow]:
        places = range(self._size)[at]
        if isinstance(places, range):
            return tuple(self[place] for place in places)
        piece, within = divmod(places, A_PIECE)
        return plan_file.read_row(plan_file.rows_of(self._pieces[piece])[within], places)

    def __iter__(self) -> Iterator[PlanRow]:
        index = 0
        for piece in self._pieces:
            for line in plan_file.rows_of(piece):
                yield plan_file.read_row(line, index)
                index += 1


@final
class Plan:
    """Planned calls, each with the state of its record: immutable, under one hash.

    Two plans are equal if their hashes are, which is so if their files are equal to the byte.
    """

    __slots__ = ("_left_out", "_text")

    def __init__(self, text: PlanText, left_out: LeftOut | None = None) -> None:
        self._text = text
        self._left_out = left_out

    @classmethod
    async def of(
        cls,
        calls: Calls,
        cake: ClientView,
        *,
        period: Period | None = None,
        **terms: Unpack[PlanTerms],
    ) -> Self:
        """Plan some calls: read the current state of each record, and store both.

        Nothing is written to the instance. What is read is complete, or this raises.

        Args:
            calls: Updates and creates of invoices, and marks of bills, made by ``bulk.call``; or
                the rows of a :class:`CallFile`. At most 250,000.
            cake: The client to read by. Its instance is the plan's.
            period: The billing period. Marks of bills need it, and so does the history.
            **terms: The maker, caps and so on: see :class:`PlanTerms`.

        Returns:
            The plan.

        Raises:
            ArgumentError: An argument is not what it has to be.
            PlanError: Some calls cannot be planned: there twice, of a record that is not there or
                has the status already, or above the caps. ``problems`` has all of them.
            CakeError: CAKE refused a call, or no readable response came.
        """
        return cls(await plan_of_calls(calls, cake, Terms.of(cake, period, **terms)))

    @classmethod
    async def updates(  # noqa: PLR0913 - by name
        cls,
        cake: ClientView,
        *,
        period: Period,
        invoice_status: InvoiceStatus | InvoiceStatusText,
        set: InvoiceSettings,  # noqa: A002 - as in UPDATE … SET
        match: PeriodMatch = "ends_in",
        longest: timedelta | Skip = SKIP,
        **terms: Unpack[PlanTerms],
    ) -> Self:
        """Plan to set all invoices of a period and a status.

        ::

            plan = await Plan.updates(
                cake,
                period=Period.month(2024, 1),
                invoice_status="pending",
                set={"invoice_status": "approved"},
            )

        Args:
            cake: As in :meth:`of`.
            period: The billing period.
            invoice_status: The status that the invoices have now.
            set: What to set on each of them, as ``cake.invoices.update`` takes it.
            match: How an invoice's period has to match. By ``"ends_in"`` each invoice is in
                exactly one month.
            longest: As in ``cake.invoices.find``.
            **terms: As in :meth:`of`.

        Returns:
            The plan. Its :attr:`left_out` says what overlaps the period and is not in it.

        Raises:
            ArgumentError: An argument cannot be sent.
            PlanError: No invoice matches, or some cannot be planned; with all of them.
            CakeError: CAKE refused a call, or no readable response came.
        """
        text, left_out = await plan_of_updates(
            cake,
            Terms.of(cake, period, **terms),
            invoice_status=invoice_status,
            match=match,
            longest=longest,
            settings=cast("Mapping[str, object]", set),
        )
        return cls(text, left_out)

    @property
    def left_out(self) -> LeftOut | None:
        """Return what :meth:`updates` has read and left out; None of every other plan.

        It is not in the file.
        """
        return self._left_out

    @property
    def header(self) -> PlanHeader:
        """Return the header."""
        return self._text.header

    @property
    def rows(self) -> Sequence[PlanRow]:
        """Return the rows, each read from its line when it is asked for."""
        return _LazyRows(self._text.pieces, self.header.rows)

    @property
    def totals(self) -> tuple[Total, ...]:
        """Return the control totals, by kind, status and currency."""
        return self.header.totals

    @property
    def hash(self) -> str:
        """Return the SHA-256 of all lines but the last, which says it: 64 hexadecimal digits."""
        return self._text.hash

    def to_bytes(self) -> bytes:
        """Return the whole file: what is signed."""
        return b"".join(self.pieces())

    def pieces(self) -> Iterator[bytes]:
        """Yield the whole file, piece by piece: a long plan is not held twice."""
        return plan_file.bytes_of(self._text)

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Return the plan of a whole file.

        Args:
            data: The file's bytes.

        Raises:
            ArgumentError: They are no bytes.
            PlanError: It is no plan, or not as it was written; with the lines.
        """
        if type(data) is not bytes:
            raise ArgumentError(Problem("data", f"must be bytes, got {class_name(data)}"))
        return cls(plan_file.read(io.BytesIO(data)))

    @classmethod
    def read(cls, path: str | Path) -> Self:
        """Return the plan of a file. A plan is read strictly: any byte that differs is refused.

        Args:
            path: The file.

        Raises:
            PlanError: It is missing, no plan, or not as it was written; with the lines.
        """
        file = path_of("path", path)
        try:
            with file.open("rb") as stream:
                return cls(plan_file.read(stream))
        except FileNotFoundError:
            raise PlanError(f"no such file: {file}") from None
        except OSError as error:
            raise PlanError(f"{file} cannot be read: {error.strerror}") from None
        except PlanError as error:
            raise PlanError(f"{file} is {error.args[0]}", *error.problems) from None

    def write(self, path: str | Path) -> None:
        """Write the plan to a new file that its owner alone can read: it has names and amounts.

        Args:
            path: The file. It appears when all of it is there.

        Raises:
            PlanError: There is a file already, or it cannot be written.
        """
        file = path_of("path", path)
        try:
            _write_new(file, plan_file.bytes_of(self._text))
        except FileExistsError:
            raise PlanError(f"{file} exists already: choose another name") from None
        except OSError as error:
            raise PlanError(f"{file} cannot be written: {error.strerror}") from None

    async def sign(self, path: str | Path, key: str | Path) -> None:
        """Sign the plan, as its maker or to approve it, beside its file: in ``PATH.sig``.

        Args:
            path: The plan's file.
            key: The file of a private SSH key, or of a public one whose private half an agent
                holds.

        Raises:
            PlanError: The plan has expired, or the key has signed it already.
            ConfigurationError: The key cannot sign, or ssh-keygen is missing.
        """
        await approvals.sign(self, path, key)

    async def approvals(
        self, path: str | Path, *, signers: str | Path, revoked: str | Path | None = None
    ) -> Approvals:
        """Return who made the plan and who approved it, by the signatures beside its file.

        Args:
            path: The plan's file.
            signers: The file of signers, in the form of ``allowed_signers`` of ssh-keygen(1).
            revoked: A KRL, or a list of public keys: those that count no more.

        Raises:
            PlanError: A signature does not count, or a name or a key occurs twice.
            SignerToolMissing: ssh-keygen is missing, or too old.
        """
        return await approvals.found(self, path, signers=signers, revoked=revoked)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Plan) and self.hash == other.hash

    def __hash__(self) -> int:
        return hash(self.hash)

    def __repr__(self) -> str:
        header = self.header
        return f"<Plan {header.action}, {header.rows} rows, for {header.domain}, {self.hash[:12]}>"

    def __reduce__(self) -> tuple[object, ...]:
        return Plan.from_bytes, (self.to_bytes(),)


def _write_new(file: Path, data: Iterable[bytes]) -> None:
    """Write a file that must not be there yet; it is never there in part.

    Raises:
        OSError: It is there, or cannot be written.
    """
    os.close(os.open(file, _CREATE, _PRIVATE))  # from now on nobody else makes one of this name
    aside = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
    try:
        with os.fdopen(os.open(aside, _CREATE, _PRIVATE), "wb") as stream:
            stream.writelines(data)
            stream.flush()
            os.fsync(stream.fileno())
        aside.replace(file)
    except BaseException:
        for each in (aside, file):
            with suppress(OSError):
                each.unlink(missing_ok=True)
        raise
