"""Events: one small frozen class for each kind that ``Client(on_event=…)`` gets.

Events hold no key, no URL with a query, no names, notes or amounts. ``on_event`` is called in the
task, and in the context variables, of the call that the event is about, in the order in which
things happen; it must not wait. An exception that it raises is logged and breaks nothing.
:func:`fan_out` makes one listener of several.

The events of a call come in this order: for each attempt :class:`Waited` (where it had to wait for
its turn), :class:`Looked` (of a write with a condition), :class:`AttemptBegan`,
:class:`AttemptEnded`, and :class:`PauseEnded`, :class:`Paused` and :class:`RetryScheduled` where
they follow from it; in the end :class:`CallEnded`, once, however the call ended. All of them have
the same ``call``: a number that no other call in the process has, so that one listener can serve
several clients. A look at the record of a write is a call of its own.

A bulk run emits :class:`RunBegan` before its first write and :class:`RunEnded` in the end; one of
creates emits :class:`PartnerBusy`, :class:`LocksUnavailable` and :class:`DoubleFound` in between.
"""

from collections.abc import Callable

import attrs

from aiocake._by_fields import by_fields
from aiocake._normalize import is_plain_function
from aiocake.errors import ConfigurationError, Outcome

__all__ = [
    "AttemptBegan",
    "AttemptEnded",
    "CallEnded",
    "DoubleFound",
    "Event",
    "ListAnomaly",
    "LocksUnavailable",
    "Looked",
    "OnEvent",
    "PartnerBusy",
    "PauseEnded",
    "Paused",
    "ReferencesDropped",
    "RetryScheduled",
    "RunBegan",
    "RunEnded",
    "ValuesNormalized",
    "Waited",
    "fan_out",
    "ignore",
]


@by_fields
@attrs.frozen(eq=False, repr=False)
class Waited:
    """A call waited in the throttle's queue, or was refused because the queue was full.

    Attributes:
        operation: The operation's name, such as ``"invoices.update"``.
        seconds: How long it waited.
        got_turn: True if it got its turn in the end. If not, the queue was full, the time that it
            may wait was over, the client was paused, or the call was cancelled.
        call: The number of the call.
    """

    operation: str
    seconds: float
    got_turn: bool
    call: int = 0


@by_fields
@attrs.frozen(eq=False, repr=False)
class Looked:
    """A write is about to be sent, since its record was read and is as expected.

    The look was a call of its own, with events of its own. One page of a list may serve many
    writes.

    Attributes:
        operation: The operation's name.
        seconds: How long ago the look was asked for: what changed meanwhile was not seen.
        call: The number of the call.
    """

    operation: str
    seconds: float
    call: int = 0


@by_fields
@attrs.frozen(eq=False, repr=False)
class AttemptBegan:
    """An attempt is about to be sent. Its :class:`AttemptEnded` follows, in the same task.

    Attributes:
        operation: The operation's name.
        number: The number of the attempt within its call, from 1.
        method: The HTTP method.
        server: Scheme, host and port of the instance, such as ``"https://yourdomain.cake.com"``;
            the usual port is left out.
        path: The path as CAKE documents it, as in :class:`AttemptEnded`.
        call: The number of the call.
    """

    operation: str
    number: int
    method: str = ""
    server: str = ""
    path: str | None = None
    call: int = 0


@by_fields
@attrs.frozen(eq=False, repr=False)
class AttemptEnded:
    """An attempt has ended; that of an export ends when its list begins or the response has none.

    An export that broke off while it was collected is read again: such an attempt is over when it
    is complete, or breaks off, too.

    Attributes:
        operation: The operation's name.
        number: The number of the attempt within its call, from 1.
        seconds: How long it took, without its wait for a turn.
        status: The HTTP status; None when no response came.
        error: The class of the error that it met, such as ``"ServerError"``; ``"Cancelled"`` when
            it was cut off by the call's deadline, by the caller or by closing the client; None
            when it succeeded.
        sent: True if it may have left this process.
        method: The HTTP method.
        path: The path as CAKE documents it, such as ``"/api/2/invoices.json"``: no query, and a
            name in braces in place of an id. None for ``Client.request()``, whose path is yours.
        call: The number of the call.
    """

    operation: str
    number: int
    seconds: float
    status: int | None
    error: str | None
    sent: bool
    method: str = ""
    path: str | None = None
    call: int = 0


@by_fields
@attrs.frozen(eq=False, repr=False)
class RetryScheduled:
    """Another attempt is scheduled.

    Attributes:
        operation: The operation's name.
        number: The number of that attempt within its call.
        wait: Seconds until then; 0 when the key was refused and another one is at hand.
        error: The class of the error that the attempt before it met.
        call: The number of the call.
    """

    operation: str
    number: int
    wait: float
    error: str
    call: int = 0


@by_fields
@attrs.frozen(eq=False, repr=False)
class Paused:
    """A throttled response pauses all calls of the client, once for all that were throttled alike.

    Attributes:
        operation: The operation that was throttled first.
        seconds: How long the pause is.
        refused: True if calls end in :class:`aiocake.RateLimited` at once until then, since the
            server asks for a longer wait than ``RetryPolicy.retry_after_cap``. If False, they wait.
        call: The number of the call that was throttled first.
    """

    operation: str
    seconds: float
    refused: bool = False
    call: int = 0


@by_fields
@attrs.frozen(eq=False, repr=False)
class PauseEnded:
    """A pause in which calls were refused has ended.

    It ends when the call that went first has its response, or by ``end_pause()``.

    Attributes:
        operation: The operation that went first; None where ``end_pause()`` was called.
        seconds: How long the pause took, with every prolongation.
        call: The number of the call that went first; None where ``end_pause()`` was called.
    """

    operation: str | None
    seconds: float
    call: int | None = None


@by_fields
@attrs.frozen(eq=False, repr=False)
class CallEnded:
    """A call has ended, including refused and cancelled ones, and exports.

    Each page of a list is a call; ``find()`` makes many.

    Attributes:
        operation: The operation's name.
        attempts: How many attempts were begun; 0 when the call was refused before that.
        seconds: How long it took, waits and retries included; for an export, from the request for
            the first bill to that for the last, and so including your own work on each bill.
        outcome: For a write, whether it was carried out; None for a read.
        error: The class of the error that the call ended in; None when it succeeded, or was
            cancelled before it ended in one.
        intent: For a write, the id that its ledger and its ``OutcomeUnknown`` have; None for a
            read, and for a write that was refused because of its arguments.
        cancelled: True if the caller was cancelled, or left an export before its end.
        call: The number of the call.
    """

    operation: str
    attempts: int
    seconds: float
    outcome: Outcome | None
    error: str | None
    intent: str | None = None
    cancelled: bool = False
    call: int = 0


@by_fields
@attrs.frozen(eq=False, repr=False)
class ListAnomaly:
    """A list behaved in a way that CAKE's pages do not describe, and was read anyway.

    An export emits it once, at its end, and only for copies of bills, which are left out.

    Attributes:
        operation: The operation's name.
        what: One of ``"counts from 1"``, ``"fewer rows than asked"``, ``"total changed"``,
            ``"total of the page"``, ``"row repeated"``, ``"row_limit refused"``,
            ``"read again"``, ``"date outside the filter"``.
        detail: Details, in words; may be empty.
        call: The number of the call of an export; None for a list of pages, each of them a call.
    """

    operation: str
    what: str
    detail: str = ""
    call: int | None = None


@by_fields
@attrs.frozen(eq=False, repr=False)
class ReferencesDropped:
    """Illegal character references (such as ``&#xB;``) were left out of an XML response.

    Attributes:
        operation: The operation's name.
        count: How many.
        call: The number of the call.
    """

    operation: str
    count: int
    call: int = 0


@by_fields
@attrs.frozen(eq=False, repr=False)
class ValuesNormalized:
    """Some values that only decorate a response were malformed, and were read anyway.

    An empty text in an optional field is absent (None). Half of a surrogate pair is U+FFFD; two
    halves that stand side by side as references in XML are one character. White space around a
    number, a date or a boolean of XML is nothing. In the response to a write, an optional date or
    text that cannot be read is absent; in a bill it stays in ``extra``.

    Attributes:
        operation: The operation's name.
        fields: The paths of the fields, without the numbers of rows, such as
            ``"invoices.end_date"``; 50 at most.
        count: How many values there were in all.
        call: The number of the call.
    """

    operation: str
    fields: tuple[str, ...]
    count: int
    call: int = 0


@by_fields
@attrs.frozen(eq=False, repr=False)
class RunBegan:
    """A bulk run begins; none of its writes was sent yet.

    A plan without calls has no client to report to, and emits neither this nor :class:`RunEnded`.

    Attributes:
        total: How many calls the plan has; None while that is not known.
        resumed: True if an earlier run of the plan is resumed.
        done: Calls that an earlier run has carried out.
        failed: Calls of an earlier run that were not.
        unknown: Calls of an earlier run that may have been carried out.
        skipped: Calls that an earlier run did not send.
    """

    total: int | None
    resumed: bool
    done: int = 0
    failed: int = 0
    unknown: int = 0
    skipped: int = 0


@by_fields
@attrs.frozen(eq=False, repr=False)
class RunEnded:
    """A bulk run has ended. The counts are those of the whole plan, earlier runs included.

    Attributes:
        seconds: How long it took.
        done: Calls that were carried out.
        failed: Calls that were not.
        unknown: Calls that may have been carried out.
        skipped: Calls that were not sent, since what they create exists, or their record was not as
            expected.
        stopped: True if it stopped before the end of the plan.
        error: The class of the error that ``each()`` or ``resume()`` raises; None when it returns
            a summary, or was cancelled.
        cancelled: True if it was cancelled.
        conflicts: The skipped calls whose record was not as expected.
    """

    seconds: float
    done: int
    failed: int
    unknown: int
    skipped: int
    stopped: bool
    error: str | None = None
    cancelled: bool = False
    conflicts: int = 0


@by_fields
@attrs.frozen(eq=False, repr=False)
class PartnerBusy:
    """A create of a run waits, so that two runs do not create the same.

    The other one is on this host, or shares a database with it.

    Attributes:
        operation: The operation's name.
        partner: The id of the affiliate that the create is for.
        seconds: How long it waits for an earlier create of another run to show up whose outcome is
            unknown; None where it waits for as long as another run creates for the partner.
        run: The other run as ``journal=`` names it, on whatever host it is carried out; None for
            one on this host, whose name is not known.
    """

    operation: str
    partner: int
    seconds: float | None
    run: str | None = None


@by_fields
@attrs.frozen(eq=False, repr=False)
class LocksUnavailable:
    """A run of creates continues without the locks that keep other runs on this host apart.

    Attributes:
        operation: The operation's name.
        reason: The problem with the state folder.
    """

    operation: str
    reason: str


@by_fields
@attrs.frozen(eq=False, repr=False)
class DoubleFound:
    """A record that a run created exists twice: somebody else created it at the same time.

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
    | Looked
    | AttemptBegan
    | AttemptEnded
    | RetryScheduled
    | Paused
    | PauseEnded
    | CallEnded
    | ListAnomaly
    | ReferencesDropped
    | ValuesNormalized
    | RunBegan
    | RunEnded
    | PartnerBusy
    | LocksUnavailable
    | DoubleFound
)
"""Every kind of event."""

OnEvent = Callable[[Event], None]
"""A listener, as ``Client(on_event=…)`` takes it: a plain function of one event."""


def ignore(event: Event) -> None:
    """Ignore an event. A client with this listener makes none, as if it had no listener.

    Args:
        event: Any event.
    """
    del event


def fan_out(*listeners: OnEvent) -> OnEvent:
    """Return a listener that passes each event to several listeners, in their order.

    A listener that raises an exception does not keep the others from being called. The exception
    is raised afterwards, for the client to log; several are raised as an ``ExceptionGroup``.

    Args:
        *listeners: Plain functions that take one event, as ``Client(on_event=…)`` does.

    Returns:
        A listener for ``Client(on_event=…)``; :func:`ignore` where there is no other.

    Raises:
        ConfigurationError: A listener is no plain function.
    """
    if not all(map(is_plain_function, listeners)):
        raise ConfigurationError(
            "fan_out: each listener must be a plain function, not a coroutine function"
        )
    heard = [listener for listener in listeners if listener is not ignore]
    if not heard:
        return ignore

    def emit(event: Event) -> None:
        errors: list[Exception] = []
        for listener in heard:
            try:
                listener(event)
            except Exception as error:  # noqa: BLE001 - it is the user's function
                errors.append(error)
        if len(errors) == 1:
            raise errors.pop()
        if errors:
            raise ExceptionGroup("several listeners raised an exception", errors)

    return emit
