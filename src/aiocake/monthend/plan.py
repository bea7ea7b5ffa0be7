"""A plan: calls that are to be sent, each with what was true of its record, under one hash."""

import hashlib
import io
import os
import secrets
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, Self, final, overload

from aiocake._normalize import class_name, path_of
from aiocake.errors import ArgumentError, PlanError, Problem
from aiocake.models import Total
from aiocake.monthend import approvals, plan_file
from aiocake.monthend.approvals import Approvals
from aiocake.monthend.header import PlanHeader
from aiocake.monthend.plan_file import A_PIECE, Control, PlanText
from aiocake.monthend.rows import PlanRow

_CREATE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
_PRIVATE: Final = 0o600


class _Rows(Sequence[PlanRow]):
    """The rows of a plan, each read from its line when it is asked for."""

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
    """Calls that are to be sent, each with what was true of its record: immutable, under one hash.

    Two plans are equal if their hashes are, which is so if their files are equal to the byte.
    """

    __slots__ = ("_text",)

    def __init__(self, text: PlanText) -> None:
        self._text = text

    @property
    def header(self) -> PlanHeader:
        """Return the header."""
        return self._text.header

    @property
    def rows(self) -> Sequence[PlanRow]:
        """Return the rows, each read from its line when it is asked for."""
        return _Rows(self._text.pieces, self.header.rows)

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
        return b"".join(plan_file.bytes_of(self._text))

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Return the plan of a whole file.

        Raises:
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


class PlanDraft:
    """Collects the rows of a plan, as lines.

    Args:
        header: The header. What follows from the rows is put into it at the end.
    """

    def __init__(self, header: PlanHeader) -> None:
        self._control = Control(header)
        self._pieces: list[bytes] = []
        self._piece: list[bytes] = []

    def add(self, row: PlanRow) -> str:
        """Add a row; return why it cannot be one of the plan, or an empty text."""
        reason = self._control.add(row)
        self._piece.append(plan_file.row_line(row.operation, row.arguments, row.record))
        if len(self._piece) == A_PIECE:
            self._close_piece()
        return reason

    def plan(self) -> Plan:
        """Return the plan.

        Raises:
            PlanError: It is above its caps.
        """
        above = self._control.above()
        if above:
            raise PlanError("above the caps", *above)
        self._close_piece()
        header = self._control.header()
        head, pieces = plan_file.head_of(header), tuple(self._pieces)
        digest = hashlib.sha256(head)
        for piece in pieces:
            digest.update(piece)
        return Plan(PlanText(header=header, head=head, pieces=pieces, hash=digest.hexdigest()))

    def _close_piece(self) -> None:
        self._pieces.append(b"".join(self._piece))
        self._piece.clear()
