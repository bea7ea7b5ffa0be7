"""The chain of hashes by which a journal shows that its log is what was written.

Each entry of the log has the SHA-256 of the hash before it and of its own values, as
``json.dumps`` writes them in a list. Whoever changes, swaps, inserts or removes an entry would have
to make all later hashes anew. Somebody who can write the file can do that, or cut off the end of
the log. Only the last hash, kept elsewhere, shows it: that is what a receipt is for.

The calls of the plan are a chain of the same kind. Its last hash is in the log, so that the log
vouches for the plan as well; and each session, approval and outcome is an entry.
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from hashlib import sha256
from json.encoder import encode_basestring_ascii
from typing import Any

import attrs


class LogEvent(StrEnum):
    """Name what the log tells of the run itself; all else in it is the state of a call."""

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
    STOPPED = "stopped"


@attrs.frozen
class LogHead:
    """The end of a log: what identifies all that is in it.

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
    """Which plan a run carries out, and who stands for it.

    Attributes:
        hash: The plan's hash.
        maker: Who made the plan.
        maker_key: The public key by which the maker signed; None if the maker did not.
        approvals: Who approved it.
        required: How many approvals were asked for.
        file: The file of the plan; None if there is none.
        signers: The file of those whose signatures count; None if no approvals were asked for.
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
        """Return what an entry of the log holds."""
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
