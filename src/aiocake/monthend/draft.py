"""Build a plan: add rows one by one, and derive the header from them."""

import hashlib
from typing import Final

import attrs

from aiocake.errors import PlanError, Problem
from aiocake.monthend import plan_file
from aiocake.monthend.header import PlanHeader
from aiocake.monthend.history import History
from aiocake.monthend.plan_file import A_PIECE, Control, PlanText
from aiocake.monthend.rows import PlanRow

#: So many bad rows are listed before the rest is left unread.
MOST_PROBLEMS: Final = 10_000


class Problems:
    """Collects the problems of rows, up to a readable number."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._found: list[Problem] = []

    def add(self, place: str, reason: str) -> None:
        """Add a problem.

        Raises:
            PlanError: There are too many by now.
        """
        self._found.append(Problem(place, reason))
        if len(self._found) == MOST_PROBLEMS:
            self._found.append(Problem("and more", "the rest was not looked at"))
            self.refuse()

    def refuse(self) -> None:
        """Raise the problems, if there are any.

        Raises:
            PlanError: There is.
        """
        if self._found:
            raise PlanError(self._what, *self._found)


class PlanDraft:
    """Collects the rows of a plan, as lines.

    Args:
        header: The header, without what follows from the rows.
    """

    def __init__(self, header: PlanHeader) -> None:
        self._control = Control(header)
        self._pieces: list[bytes] = []
        self._piece: list[bytes] = []

    @property
    def rows(self) -> int:
        """Return how many rows there are."""
        return self._control.rows

    def add(self, call: bytes, record: bytes) -> tuple[PlanRow, str]:
        """Add a row, by the two parts of its line.

        Returns:
            The row, and why it cannot be one of the plan, or an empty text.
        """
        line = plan_file.joined_line(call, record)
        row = plan_file.read_row(line, self.rows)
        reason = self._control.add(row)
        self._piece.append(line)
        if len(self._piece) == A_PIECE:
            self._close_piece()
        return row, reason

    def text(self, history: History) -> PlanText:
        """Return the plan.

        Raises:
            PlanError: Its rows are above the caps.
        """
        above = self._control.above()
        if above:
            raise PlanError("above the caps", *above)
        self._close_piece()
        header = attrs.evolve(
            self._control.header(), history_months=history.months, history=history.partners
        )
        head, pieces = plan_file.head_of(header), tuple(self._pieces)
        digest = hashlib.sha256(head)
        for piece in pieces:
            digest.update(piece)
        return PlanText(header=header, head=head, pieces=pieces, hash=digest.hexdigest())

    def _close_piece(self) -> None:
        self._pieces.append(b"".join(self._piece))
        self._piece.clear()
