"""The chain of hashes by which a journal proves that its log was not changed.

Each entry of the log has the SHA-256 of the hash before it and of its own values, as
``json.dumps`` writes them in a list. Whoever changes, swaps, inserts or removes an entry would have
to make all later hashes anew. Somebody who can write the file can do that, or cut off the end of
the log. Only the last hash, kept elsewhere, shows it: that is what a receipt is for.

The calls of the plan are a chain of the same kind. Its last hash is in the log, so that the log
vouches for the plan as well; and each session, approval and outcome is an entry.
"""

import json
from collections.abc import Iterable, Mapping
from enum import StrEnum
from hashlib import sha256
from json.encoder import encode_basestring_ascii
from typing import Any, Final

import attrs

from aiocake.errors import JournalError

#: Asks for the last entry of the log that names the plan.
PLAN_ENTRY: Final = (
    "SELECT entry, detail FROM {log} AS log WHERE what = 'plan' ORDER BY entry DESC LIMIT 1"
)


class LogEvent(StrEnum):
    """Names an entry of the log about the run itself; all other entries are states of calls."""

    #: The journal was made, for an instance.
    CREATED = "created"
    #: An aiocake that knows chains took over a log that an older one had begun.
    CHAINED = "chained"
    BEGAN = "began"
    #: Which plan is carried out, and who approved it.
    PLAN = "plan"
    #: The plan was read to its end.
    WHOLE = "whole"
    #: A create was checked for doubles.
    LOOKED = "looked"
    #: Somebody let others create although the outcome of a create is unknown.
    RELEASED = "released"
    STOPPED = "stopped"


@attrs.frozen
class LogHead:
    """The end of a log, whose hash identifies everything in it.

    Attributes:
        count: The number of its last entry.
        hash: The hash of that entry, in hexadecimal.
    """

    count: int
    hash: str


@attrs.frozen(kw_only=True)
class Approval:
    """The signature by which somebody approved a plan.

    Attributes:
        principal: Who signed.
        key: The public key, or its fingerprint.
    """

    principal: str
    key: str


@attrs.frozen(kw_only=True)
class PlanIdentity:
    """The plan that a run carries out, and who approved it.

    Attributes:
        hash: The plan's hash.
        maker: Who made the plan.
        maker_key: The public key by which the maker signed; None if the maker did not.
        approvals: Who approved it.
        required: How many approvals were asked for.
        file: The file of the plan; None if there is none.
        signers: The file of those whose signatures count; None if no approvals were required.
        revoked: The file of the keys that count no more; None if there is none.
    """

    hash: str
    maker: str | None = None
    maker_key: str | None = None
    approvals: tuple[Approval, ...] = ()
    required: int = 0
    file: str | None = None
    signers: str | None = None
    revoked: str | None = None

    def to_detail(self) -> dict[str, object]:
        """Return it as an entry of the log holds it."""
        return attrs.asdict(self)

    @classmethod
    def of_detail(cls, detail: Mapping[str, Any]) -> "PlanIdentity":
        """Return what an entry of the log holds.

        Args:
            detail: What :meth:`to_detail` returned.
        """
        known: dict[str, Any] = dict(detail)
        known["approvals"] = tuple(Approval(**each) for each in detail["approvals"])
        return cls(**known)


class Chain:
    """The end of a chain, to which entries are added.

    Args:
        count: How many it has.
        last: The hash of the last one.
    """

    __slots__ = ("count", "last")

    def __init__(self, count: int = 0, last: bytes = b"") -> None:
        self.count: int = count
        self.last: bytes = last

    def add(self, *values: object) -> bytes:
        """Add an entry of these values; return its hash."""
        self.count += 1
        self.last = link(self.last, values)
        return self.last

    @property
    def head(self) -> dict[str, object]:
        """Return the end of the plan, as an entry of the log holds it."""
        return {"calls": self.count, "calls_hash": self.last.hex()}


def link(before: bytes, values: Iterable[object]) -> bytes:
    """Return the hash of an entry.

    Args:
        before: The hash of the entry before it; empty for the first.
        values: Its values.
    """
    # json.dumps(values), in half of its time: this is done twice for each call.
    texts = [
        encode_basestring_ascii(value)
        if isinstance(value, str)
        else "null"
        if value is None
        else str(value)
        for value in values
    ]
    return sha256(before + f"[{', '.join(texts)}]".encode()).digest()


def planned(place: int, digest: bytes, call: str) -> tuple[int, str, str]:
    """Return the values of a call in the chain of the plan."""
    return place, digest.hex(), call


def log_entry(  # noqa: PLR0913 - the columns, by name
    log: Chain,
    run: int,
    what: str,
    detail: str | None = None,
    *,
    at: str,
    place: int | None = None,
    intent: str | None = None,
) -> tuple[int, int | None, int, str, str, str | None, str | None, bytes]:
    """Add an entry to the chain of a log; return its columns, with its hash.

    The entry has to be written before any that is added later.

    Args:
        log: The chain.
        run: The number of the session.
        what: The event, or the state that a call is in now.
        detail: More about it, as JSON.
        at: When it was.
        place: The call; None for the run itself.
        intent: The intent of the call.
    """
    entry = (log.count + 1, place, run, at, what, intent, detail)
    return (*entry, log.add(*entry))


def identity_of(entry: int, detail: str) -> PlanIdentity:
    """Return the plan that an entry of the log names.

    Raises:
        JournalError: The entry cannot be read.
    """
    try:
        return PlanIdentity.of_detail(json.loads(detail))
    except (ValueError, LookupError, TypeError):
        raise JournalError(
            f"the journal is damaged: entry {entry} of its log does not name its plan"
        ) from None
