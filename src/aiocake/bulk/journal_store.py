"""The interface between a journal and its database: an SQLite file, or PostgreSQL.

:class:`~aiocake.bulk.Journal` says *what* is written down, as a :class:`Change`; a
:class:`JournalStore` says it to its database, in its own statements, all of one group in one
transaction. What is read is one text for both, with the names of the tables in braces; see
:data:`TABLES`.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from datetime import date
from enum import Enum
from os import PathLike
from pathlib import Path
from typing import Any, Final, Protocol, TypeAlias

import attrs

from aiocake._messages import SendDeadline
from aiocake._operations.operation import Executor
from aiocake.bulk.log_chain import Chain, PlanIdentity
from aiocake.bulk.ownership import Owner
from aiocake.errors import JournalError

Value: TypeAlias = str | int | bytes | None
Row = tuple[Any, ...]

#: What stands in braces in a query: the tables of one journal, and how two values that may be NULL
#: are told apart.
TABLES: Final = ("meta", "runs", "calls", "log", "looks", "is_not")


class NotBegun(JournalError):
    """There is no journal at a place, or an incomplete one: nothing was sent."""


class Change(Enum):
    """A change of a journal, with its values in order."""

    PLANNED = "a call: place, digest, JSON and hash"
    WHOLE = "the plan has no more calls: when"
    SENDING = "a call is about to be sent: intent, ids before, place"
    ENDED = "a call has ended, or was put back: state, detail, place"
    UNCLAIMED = "a create was not sent after all: place"
    RELEASED = "a create may be made by others although its outcome is unknown: place"
    LOOKED = "a create was checked for doubles: place, ours, theirs, session, when"
    STOPPED = "the session has ended: when, why, session"
    LOGGED = "an entry of the log: its columns, in order, and its hash"


Changes = Sequence[tuple[Change, Sequence[Value]]]


@attrs.frozen
class Claimed:
    """The claim of a create, during which no other run creates for its partner and days.

    Attributes:
        number: Moves with each claim for the partner: what was listed at another one may be out of
            date.
        alone: True if no other run has a claim for the partner, of whatever days: then what is
            listed now stays right for as long as the number does not move otherwise.
    """

    number: int
    alone: bool


@attrs.frozen
class ClaimedElsewhere:
    """A create that another run has claimed, or left in doubt.

    Attributes:
        run: That run, as a message names it.
        in_doubt: True if the outcome of its create is unknown, and nobody is about to find it out;
            False while it is on its way.
    """

    run: str
    in_doubt: bool


class Claims(Protocol):
    """The claims by which runs that share a database keep their creates apart."""

    def take(self, place: int, partner: int, first: date, last: date) -> Claimed | ClaimedElsewhere:
        """Claim a create before its partner's records are looked at.

        Raises:
            JournalError: The run is not this process's any more, or the database fails.
        """
        ...

    def numbers(self) -> dict[int, int]:
        """Return the number of each partner; -1 where another run has a claim."""
        ...


class JournalStore(Protocol):
    """The open journal of one run. Its methods block, and one thread at a time calls them."""

    @property
    def run(self) -> int:
        """Return the number of this session; 0 for a reader."""
        ...

    @property
    def log(self) -> Chain:
        """Return the chain of the log; empty for a reader."""
        ...

    @property
    def plan(self) -> Chain:
        """Return the chain of the calls; empty for a reader."""
        ...

    @property
    def owners(self) -> frozenset[Owner]:
        """Return who worked on it when it was opened."""
        ...

    @property
    def is_chained(self) -> bool:
        """Return True if its log is a chain."""
        ...

    @property
    def has_looks(self) -> bool:
        """Return True if it records which creates were checked for doubles."""
        ...

    @property
    def failures(self) -> tuple[type[Exception], ...]:
        """Return the errors of its database, from which :meth:`unusable` makes one to raise."""
        ...

    @property
    def deadline(self) -> SendDeadline | None:
        """Return the moment after which no byte of a write may leave; None if there is none."""
        ...

    @property
    def claims(self) -> Claims | None:
        """Return the claims that keep the creates of all runs apart; None if there are none."""
        ...

    @property
    def notes(self) -> tuple[str, ...]:
        """Return remarks for the summary of the run."""
        ...

    def write(self, changes: Changes) -> None:
        """Write changes in one transaction; when this returns, they are on the disk."""
        ...

    def read(self, query: str, *values: Value) -> Iterator[Row]:
        """Yield the rows of a query; only one is open at a time."""
        ...

    def seconds_to_judge(self) -> float:
        """Return the seconds in which a create of an earlier session may still arrive."""
        ...

    def unusable(self, error: Exception) -> JournalError:
        """Convert an error of the database to the one to raise."""
        ...

    def close(self) -> None:
        """Close it, and let others have it."""
        ...


@attrs.frozen(kw_only=True)
class Opening:
    """The process that opens a journal, and for what.

    Attributes:
        executor: Sends its calls; None for an empty plan.
        for_tests: Accept a filesystem in memory.
        allow_unknown: Accept any filesystem.
    """

    executor: Executor | None = None
    for_tests: bool = False
    allow_unknown: bool = False


class JournalPlace(ABC):
    """Where the journal of one run is. Its text names it in messages, and holds no secret.

    Made by :meth:`aiocake.bulk.postgres.Postgres.run`; a path is one by itself.
    """

    def files(self) -> tuple[Path, ...]:
        """Return its file and those that may be beside it, which nothing must write over."""
        return ()

    def exists(self) -> bool:
        """Return False if there is surely no journal. Asks no server."""
        return True

    @abstractmethod
    def create(self, domain: str, plan: PlanIdentity | None, opening: Opening) -> JournalStore:
        """Make a new journal, owned by this process. It waits.

        Raises:
            JournalError: There is one already, or it cannot be made.
        """

    @abstractmethod
    def take(self, domain: str, plan: PlanIdentity | None, opening: Opening) -> JournalStore:
        """Open a journal to continue its run. It waits.

        Raises:
            JournalError: It cannot be continued. It is left as it is.
        """

    @abstractmethod
    def view(self, opening: Opening) -> JournalStore:
        """Open a journal to read it as it is at this moment. It waits.

        Raises:
            JournalError: It cannot be read.
        """


#: What ``journal=`` takes.
JournalPath: TypeAlias = str | PathLike[str] | JournalPlace


def exists_already(place: object) -> JournalError:
    """Return the error to raise for a place where a new run finds an older one."""
    return JournalError(
        f"{place} exists already: go on with its run by bulk.resume (or the command aiocake "
        "resume), or choose another name for a new one"
    )


def refuse_other(kept: str, place: object, domain: str) -> None:
    """Refuse a journal of another instance."""
    if kept not in {domain, ""}:
        raise JournalError(f"{place} belongs to instance {kept}, but this client is for {domain}")


def refuse_other_plan(kept: PlanIdentity | None, place: object, plan: PlanIdentity) -> None:
    """Refuse a journal of another plan."""
    if kept is None:
        raise JournalError(f"{place} is not of plan {plan.hash}: its run carries out no plan")
    if kept.hash != plan.hash:
        raise JournalError(f"{place} belongs to plan {kept.hash}, not to {plan.hash}")
