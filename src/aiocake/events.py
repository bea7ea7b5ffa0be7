"""What ``Client(on_event=…)`` is told: one small frozen class for each kind of event.

Events hold no key, no URL with a query, no names, notes or amounts. ``on_event`` is called in the
task, and in the context variables, of the call that the event is about, in the order in which
things happen; it must not wait. What it raises is logged and breaks nothing.

A call is told of in this order: of each attempt :class:`Waited` (where it had to wait for its
turn), :class:`AttemptEnded`, and :class:`PauseEnded`, :class:`Paused` and :class:`RetryScheduled`
where they follow from it; in the end :class:`CallEnded`, once, whatever way it ended. A
:class:`PauseEnded` that ``end_pause()`` brings about belongs to no call.

Of a run of creates :class:`PartnerBusy`, :class:`LocksUnavailable` and :class:`DoubleFound` are
told, each between two calls.
"""

from collections.abc import Callable

import attrs

from aiocake.errors import Outcome

__all__ = [
    "AttemptEnded",
    "CallEnded",
    "DoubleFound",
    "Event",
    "ListAnomaly",
    "LocksUnavailable",
    "OnEvent",
    "PartnerBusy",
    "PauseEnded",
    "Paused",
    "ReferencesDropped",
    "RetryScheduled",
    "ValuesNormalized",
    "Waited",
]


@attrs.frozen
class Waited:
    """A call had to wait for its turn in the throttle's queue, or was turned away from it.

    Attributes:
        operation: The operation's name, such as ``"invoices.update"``.
        seconds: How long it waited.
        got_turn: Whether it got its turn in the end. If not, the queue was full, the time that
            it may wait was over, the client was paused, or it was cancelled.
    """

    operation: str
    seconds: float
    got_turn: bool


@attrs.frozen
class AttemptEnded:
    """One attempt is over: of an export, when the list began or the answer proved to be none.

    A list that broke off while it was collected is read anew: such an attempt is over when it is
    whole, or breaks off, too.

    Attributes:
        operation: The operation's name.
        number: Which attempt of its call it was, from 1.
        seconds: How long it took, without its wait for a turn.
        status: The HTTP status; None when no answer came.
        error: The class of the error that it met, such as ``"ServerError"``; ``"Cancelled"`` when
            it was cut by the call's deadline, by the caller or by the end of the client; None
            when it succeeded.
        sent: Whether it may have left this process.
    """

    operation: str
    number: int
    seconds: float
    status: int | None
    error: str | None
    sent: bool


@attrs.frozen
class RetryScheduled:
    """A further attempt will be made.

    Attributes:
        operation: The operation's name.
        number: Which attempt of its call it will be.
        wait: Seconds until then; 0 when the key was refused and another one is at hand.
        error: The class of the error that the attempt before it met.
    """

    operation: str
    number: int
    wait: float
    error: str


@attrs.frozen
class Paused:
    """A throttled answer pauses all calls of the client, once for all that are throttled with it.

    Attributes:
        operation: The operation that was throttled first.
        seconds: For how long.
        refused: Whether calls end in :class:`aiocake.RateLimited` at once until then, since the
            server asks for a longer wait than ``RetryPolicy.retry_after_cap``. If not, they wait.
    """

    operation: str
    seconds: float
    refused: bool = False


@attrs.frozen
class PauseEnded:
    """A pause in which calls were refused is over.

    It is told when the call that went first has its response, or by ``end_pause()``.

    Attributes:
        operation: The operation that went first; None where ``end_pause()`` was called.
        seconds: How long the pause took, with all that it was prolonged by.
    """

    operation: str | None
    seconds: float


@attrs.frozen
class CallEnded:
    """A call is over: also one that was refused before it was sent, cancelled, or an export.

    A page of a list is a call; ``find()`` makes many.

    Attributes:
        operation: The operation's name.
        attempts: How many attempts were begun; 0 when it was refused before.
        seconds: How long it took, waits and retries included; of an export, from the first bill
            that was asked for to the last, and so what was done with each of them.
        outcome: Of a write, what became of it; None of a read.
        error: The class of the error that it ended in; None when it succeeded, or was cancelled
            before it ended in one.
        intent: Of a write, the id that its ledger and its ``OutcomeUnknown`` have; None of a
            read, and of a write that was refused by its arguments.
        cancelled: Whether its caller was cancelled, or left an export before its end.
    """

    operation: str
    attempts: int
    seconds: float
    outcome: Outcome | None
    error: str | None
    intent: str | None = None
    cancelled: bool = False


@attrs.frozen
class ListAnomaly:
    """A list behaved in a way that the documents do not promise, and it was coped with.

    Of an export it is told once, at its end, and only of copies of bills, which are left out.

    Attributes:
        operation: The operation's name.
        what: One of ``"counts from 1"``, ``"fewer rows than asked"``, ``"total changed"``,
            ``"total of the page"``, ``"row repeated"``, ``"row_limit refused"``,
            ``"walked again"``, ``"date outside the filter"``.
        detail: What was seen, in words; may be empty.
    """

    operation: str
    what: str
    detail: str = ""


@attrs.frozen
class ReferencesDropped:
    """Illegal character references (such as ``&#xB;``) were left out of an XML answer.

    Attributes:
        operation: The operation's name.
        count: How many.
    """

    operation: str
    count: int


@attrs.frozen
class ValuesNormalized:
    """Values of a response that only decorate it were not as they should be, and were read anyway.

    An empty text in an optional field is absent (None). Half of a surrogate pair is U+FFFD; two
    halves that stand side by side as references in XML are one character. White space around a
    number, a date or a boolean of XML is nothing. In the response to a write, an optional date or
    text that cannot be read is absent; in a bill it stays in ``extra``.

    Attributes:
        operation: The operation's name.
        fields: The paths of the fields, without the numbers of rows, such as
            ``"invoices.end_date"``; 50 at most.
        count: How many values there were in all.
    """

    operation: str
    fields: tuple[str, ...]
    count: int


@attrs.frozen
class PartnerBusy:
    """A create of a run waits, so that two runs on one host do not create the same.

    Attributes:
        operation: The operation's name.
        partner: The id of the affiliate that the create is for.
        seconds: How long it waits for an earlier create of another run to show up, whose end
            nobody knows; None where it waits for as long as another run creates for the partner.
    """

    operation: str
    partner: int
    seconds: float | None


@attrs.frozen
class LocksUnavailable:
    """A run of creates goes on without the locks that keep other runs of this host apart.

    Attributes:
        operation: The operation's name.
        reason: What is wrong with the state folder.
    """

    operation: str
    reason: str


@attrs.frozen
class DoubleFound:
    """What a run created is there twice: somebody else created it at the same time.

    Attributes:
        operation: The operation's name.
        index: The call's place in the plan, from 0.
        ours: The id of the record that the run made.
        theirs: The ids of the others, not void, whose periods overlap with it.
    """

    operation: str
    index: int
    ours: int
    theirs: tuple[int, ...]


Event = (
    Waited
    | AttemptEnded
    | RetryScheduled
    | Paused
    | PauseEnded
    | CallEnded
    | ListAnomaly
    | ReferencesDropped
    | ValuesNormalized
    | PartnerBusy
    | LocksUnavailable
    | DoubleFound
)
"""Whatever ``on_event`` is told."""

OnEvent = Callable[[Event], None]
"""What ``Client(on_event=…)`` takes."""
