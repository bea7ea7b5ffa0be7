"""A receipt: the totals of a run and the end of its log, to be stored apart from its journal.

Whoever can write a journal can cut off the end of its log, or write all of it anew, and its chain
of hashes still holds. A receipt that somebody else has kept shows it.
"""

import json
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Self

import attrs
import msgspec

from aiocake import _clock
from aiocake._normalize import path_of
from aiocake.bulk.log_chain import Approval, LogHead
from aiocake.errors import JournalError
from aiocake.models import Total
from aiocake.records import to_dict

_NAME: Final = "aiocake_receipt"
_VERSION: Final = 1


@attrs.frozen(kw_only=True)
class Receipt:
    """The totals of a run, and the end of its log.

    Attributes:
        domain: The instance that the run is for.
        made_at: When the receipt was made, in UTC.
        log: The end of the journal's log.
        totals: The totals of what was done, by kind, status and currency.
        plan_hash: The hash of the plan that was carried out; None of a run without one.
        approvals: Who approved the plan.
    """

    domain: str
    made_at: datetime = attrs.field(factory=lambda: _clock.now().replace(microsecond=0))
    log: LogHead
    totals: tuple[Total, ...] = ()
    plan_hash: str | None = None
    approvals: tuple[Approval, ...] = ()

    def to_dict(self) -> dict[str, object]:
        """Return it as plain values, as a plan's header repeats it."""
        return {_NAME: _VERSION, **to_dict(self)}

    def to_json(self) -> str:
        """Return it as JSON, on one line."""
        return json.dumps(self.to_dict(), sort_keys=True, separators=(",", ":"), ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Return the receipt that :meth:`to_json` wrote.

        Args:
            text: The JSON.

        Raises:
            JournalError: The text is no receipt, or one of a newer version.
        """
        try:
            found: dict[str, Any] = json.loads(text)
            version = found.pop(_NAME)
            receipt = msgspec.convert(found, cls) if version == _VERSION else None
        except (ValueError, LookupError, TypeError, AttributeError):
            raise JournalError("not a receipt of aiocake") from None
        if receipt is None:
            raise JournalError(
                f"a receipt of version {version}, but this version of aiocake reads version "
                f"{_VERSION} only"
            )
        return receipt

    @classmethod
    def read(cls, path: str | Path) -> Self:
        """Return the receipt of a file.

        Args:
            path: The file.

        Raises:
            ArgumentError: The path is none.
            JournalError: The file cannot be read, or holds no receipt.
        """
        file = path_of("path", path)
        try:
            return cls.from_json(file.read_text(encoding="utf-8"))
        except OSError as error:
            raise JournalError(f"{file} cannot be read: {error.strerror}") from None
        except UnicodeDecodeError:
            raise JournalError(f"{file} is not a receipt of aiocake") from None
        except JournalError as error:
            raise JournalError(f"{file} is {error}") from None
