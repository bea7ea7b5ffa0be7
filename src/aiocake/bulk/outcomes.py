"""How calls end, and the result of a run."""

import json
from collections.abc import Callable, Mapping
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Final, Generic, TypeVar, cast

import attrs

from aiocake import _clock
from aiocake._normalize import guarded, normalized
from aiocake.bulk.calls import Call
from aiocake.errors import ArgumentError, CakeError, Problem, RateLimited
from aiocake.models import Invoice, InvoiceStatus

T = TypeVar("T")


@attrs.frozen
class Done(Generic[T]):
    """A call that was carried out.

    Attributes:
        index: Its place in the plan, from 0.
        call: The call.
        result: The value that the method returns; None if the response was lost and the outcome was
            found out in another way.
        found: If the response was lost, the id of the record by which the outcome was found out.
    """

    index: int
    call: Call[T]
    result: T | None
    found: int | None = None


@attrs.frozen
class Failed(Generic[T]):
    """A call that was not carried out.

    Attributes:
        index: Its place in the plan, from 0.
        call: The call.
        error: The reason.
    """

    index: int
    call: Call[T]
    error: CakeError


@attrs.frozen
class Unknown(Generic[T]):
    """A call that may have been carried out: a person has to check.

    Attributes:
        index: Its place in the plan, from 0.
        call: The call.
        reason: The known facts, and where to look.
        error: The error it met; None for a call of an earlier run.
        candidates: The ids of records that may be what it made.
    """

    index: int
    call: Call[T]
    reason: str
    error: CakeError | None = None
    candidates: tuple[int, ...] = ()


@attrs.frozen
class Skipped(Generic[T]):
    """A call that was not sent: a create whose record exists, or a write that met a conflict.

    Attributes:
        index: Its place in the plan, from 0.
        call: The call.
        existing: Of a create, the ids of the records that are there.
        found: Of a conflict, the invoice as it was read, which is not as expected; None of a
            create and of a bill.
        reason: Why it was not sent, in words.
    """

    index: int
    call: Call[T]
    existing: tuple[int, ...] = ()
    found: Invoice | None = None
    reason: str = ""

    @property
    def conflict(self) -> bool:
        """Return True if its record was not as expected."""
        return not self.existing


Ended = Done[T] | Failed[T] | Unknown[T] | Skipped[T]


@attrs.frozen
class Double:
    """A create that was carried out, and somebody else's record of the same partner and time.

    Attributes:
        index: The call's place in the plan, from 0.
        ours: The id of the record that the run made.
        theirs: The ids of the records, not void, of overlapping periods that were not there when
            the run looked before its create, and that it did not make.
    """

    index: int
    ours: int
    theirs: tuple[int, ...]


def _at_least_one(instance: object, attribute: "attrs.Attribute[int]", value: int) -> None:
    number = guarded(attribute.name, lambda: normalized(value))
    if type(number) is not int or number < 1:
        raise ArgumentError(Problem(attribute.name, "must be a whole number of at least 1"))
    object.__setattr__(instance, attribute.name, number)  # the built-in one, of whatever class


@attrs.frozen(kw_only=True)
class Stop:
    """The limits at which a run stops sending.

    Attributes:
        unknown: After so many calls whose outcome is unknown.
        failed: After so many that failed unexpectedly.

    Raises:
        ArgumentError: One is no whole number of at least 1.
    """

    unknown: int = attrs.field(default=3, validator=_at_least_one)
    failed: int = attrs.field(default=20, validator=_at_least_one)


@attrs.frozen(kw_only=True)
class Progress:
    """The progress of a run. The numbers are of the whole plan, earlier runs of it included.

    Attributes:
        done: Calls that were carried out.
        failed: Calls that were not.
        unknown: Calls whose outcome is unknown.
        skipped: Calls that were not sent, since what they create is there, or their record was not
            as expected.
        total: How many calls the plan has; None while that is not known.
        conflicts: The skipped calls whose record was not as expected.
    """

    done: int
    failed: int
    unknown: int
    skipped: int
    total: int | None
    conflicts: int = 0


@attrs.frozen(kw_only=True)
class Summary:
    """The result of a run. The numbers are of the whole plan, earlier runs of it included.

    Attributes:
        done: Calls that were carried out.
        failed: Calls that were not; :func:`resume` sends them again.
        unknown: Calls whose outcome is unknown.
        skipped: Calls that were not sent, since what they create is there, or their record was not
            as expected.
        unsent: Calls that were read from the plan and not sent.
        plan_read: True if the plan was read to its end.
        stopped: Why sending was stopped; None if it was not.
        problems: The calls that failed, are unknown or were skipped in this run, those that failed
            in an earlier one and were not sent again, and its conflicts, in order: the first 1,000.
        doubles: The creates that somebody else has made, too, in order: one of each has to be
            voided. Empty where ``on_existing`` was ``"create"``.
        unlooked: Creates that were carried out, and not checked for doubles at the end.
        notes: Other remarks: why there was no such check, or that no lock kept other runs on this
            host from creating the same at the same time.
        conflicts: The skipped calls whose record was not as expected.
        oldest_look: The longest time, in seconds, from asking what a record is to sending a write
            to it, in this session: what others did within it was not seen. None where no record
            was looked at.
    """

    done: int
    failed: int
    unknown: int
    skipped: int
    unsent: int
    plan_read: bool
    stopped: str | None
    problems: tuple[Failed[Any] | Unknown[Any] | Skipped[Any], ...] = attrs.field(
        repr=lambda problems: f"<{len(problems)}>"
    )
    doubles: tuple[Double, ...] = ()
    unlooked: int = 0
    notes: tuple[str, ...] = ()
    conflicts: int = 0
    oldest_look: float | None = None

    @property
    def complete(self) -> bool:
        """Return True if nothing is left to do, by :func:`resume` or by a person.

        Each call of the plan was carried out, or is a create whose record was there before; and
        each record that was created exists once.
        """
        left = self.failed or self.unknown or self.unsent or self.unlooked or self.conflicts
        return self.plan_read and not left and not self.doubles


def pause_end(error: RateLimited) -> str:
    """Return the time until which a server asks to wait."""
    # On the clock of the wall: a person reads it, maybe in a journal and days later.
    ends = _clock.now() + timedelta(seconds=error.retry_after or 0.0)
    return f"{ends:%Y-%m-%d %H:%M:%S} UTC"


def detail(ended: Ended[Any], clean: Callable[[str], str]) -> object:
    """Return how a call ended as JSON, for the journal.

    Args:
        ended: The end.
        clean: Takes the key out of a text: a response may repeat it in any of its fields.
    """
    if isinstance(ended, Done):
        if ended.found is not None:
            return {"found": ended.found}
        return {"result": _plain(ended.result, clean)}
    if isinstance(ended, Failed):
        return {"error": type(ended.error).__name__, "message": str(ended.error)}
    if isinstance(ended, Unknown):
        return {"reason": ended.reason, "candidates": ended.candidates}
    if not ended.conflict:
        return {"existing": ended.existing}
    found = None if ended.found is None else _invoice_as_json(ended.found, clean)
    return {"found": found, "reason": clean(ended.reason)}


def conflict_of(reported: str | None) -> tuple[Invoice | None, str] | None:
    """Return the record and the reason of a conflict; None for other ends.

    Args:
        reported: How a call ended: :func:`detail`'s JSON.
    """
    kept: object = json.loads(reported or "null")
    if not isinstance(kept, dict) or "found" not in kept:
        return None
    fields = cast("dict[str, Any]", kept)
    found = fields["found"]
    invoice = None if found is None else _invoice_of_json(cast("dict[str, Any]", found))
    return invoice, str(fields.get("reason", ""))


def _invoice_as_json(invoice: Invoice, clean: Callable[[str], str]) -> dict[str, object]:
    """Return an invoice as JSON, with amounts and dates as texts."""
    fields = attrs.asdict(invoice, recurse=False)
    return {
        name: value if isinstance(value, int) else clean(str(value))
        for name, value in fields.items()
        if value is not None
    }


def _invoice_of_json(fields: Mapping[str, Any]) -> Invoice:
    exact = {name: _READERS.get(name, _as_it_is)(value) for name, value in fields.items()}
    return Invoice(**exact)


def _as_it_is(value: Any) -> Any:  # noqa: ANN401 - a text or a number of JSON
    return value


_READERS: Final[Mapping[str, Callable[[Any], Any]]] = {
    "invoice_status": InvoiceStatus,
    "total_amount": Decimal,
    "start_date": date.fromisoformat,
    "end_date": date.fromisoformat,
    "invoice_date": date.fromisoformat,
}


def _plain(result: object, clean: Callable[[str], str]) -> object:
    if not attrs.has(type(result)):
        return None
    fields = attrs.asdict(cast("attrs.AttrsInstance", result), recurse=False)
    return {name: None if value is None else clean(str(value)) for name, value in fields.items()}
