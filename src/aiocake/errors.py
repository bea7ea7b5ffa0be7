"""Every error that aiocake raises, in one tree.

::

    CakeError                             of a write: .outcome is not_done or unknown
    ├── ConfigurationError                a bad setting, option or environment variable
    │   └── SignerToolMissing             ssh-keygen is missing, or too old
    ├── ArgumentError (ValueError)        refused before sending; names every bad argument
    ├── NotSent                           no byte of any attempt left: safe to send again
    ├── OutcomeUnknown                    a write may have been carried out, or not
    ├── ApiError                          CAKE refused the call: .status, .message
    │   ├── AuthenticationError           the key does not exist or is expired
    │   ├── NotFound                      no such record
    │   ├── TipaltiError                  bills paid through Tipalti cannot be changed
    │   ├── RequestRejected               the server could not bind the request, or take it
    │   ├── RateLimited                   .retry_after, in seconds; .sent
    │   ├── Restricted                    too many calls, no permission, or a refused address
    │   └── ServerError                   the server failed, or a gateway before it
    ├── DecodeError                       a response that cannot be read: .path, .snippet
    ├── ConsistencyError                  a response does not match the request
    │   ├── ListChanged                   a list kept changing while it was read
    │   ├── AlreadyExists                 the partner has an invoice of that period
    │   └── Conflict                      the invoice is not as the write expects: .found
    ├── JournalError                      the journal of a run cannot be used
    │   └── JournalLost                   another process may have the run: this one sends no more
    ├── PlanError                         a plan, approval or signature that must not be used
    ├── DeadlineExceeded (TimeoutError)   a read ran out of time
    ├── ClosedError                       the client is closed
    └── WrongLoopError                    the client belongs to another event loop

Where an extra is missing, it is a ``ModuleNotFoundError``, as of any import, whose text has
the command that installs it: ``pip install 'aiocake[postgres]'``.

Errors hold plain values: they can be pickled and logged, and never hold a connection,
a request or the key.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final, Protocol, Self, cast

import attrs

__all__ = [
    "AlreadyExists",
    "ApiError",
    "ArgumentError",
    "AuthenticationError",
    "CakeError",
    "ClosedError",
    "ConfigurationError",
    "Conflict",
    "ConsistencyError",
    "DeadlineExceeded",
    "DecodeError",
    "FoundInvoice",
    "Intent",
    "JournalError",
    "JournalLost",
    "ListChanged",
    "NotFound",
    "NotSent",
    "Outcome",
    "OutcomeUnknown",
    "PlanError",
    "Problem",
    "RateLimited",
    "RequestRejected",
    "Restricted",
    "ServerError",
    "SignerToolMissing",
    "TipaltiError",
    "WrongLoopError",
]

_HIDDEN: Final = "<hidden>"
#: So many problems of a plan stand in the text of an error; all are in ``problems``.
_MOST_PROBLEMS: Final = 10


class Outcome(StrEnum):
    """The outcome of a write: was it carried out?"""

    DONE = "done"
    """The write was carried out."""
    NOT_DONE = "not_done"
    """The write was not carried out: nothing has changed in CAKE."""
    UNKNOWN = "unknown"
    """The write may have been carried out, or not."""


@attrs.frozen
class Problem:
    """One bad argument: its name and what is wrong with it, never its value."""

    name: str
    reason: str

    def __str__(self) -> str:
        return f"{self.name}: {self.reason}"


@attrs.frozen(repr=False)
class Intent:
    """A write that was about to be sent, with all that a person needs to find it in CAKE.

    Attributes:
        id: Unique for each call of a write (a UUID as text).
        operation: The operation's name, such as ``"invoices.create"``.
        arguments: The arguments of the call, as exact built-in values.
        at: When the call began, with its time zone.
        attempts: How many attempts were begun.
        hidden: The names of the arguments, and of what is expected, that hold names, notes or
            amounts. They are left out of ``repr`` and of pickles; empty with
            ``Client(show_sensitive=True)``.
        expect: What the write expects of its record, by field; empty where it expects nothing.
    """

    id: str
    operation: str
    # A mapping has no hash; what was going to be written has one all the same.
    arguments: Mapping[str, object] = attrs.field(factory=dict[str, object], hash=False)
    at: datetime | None = None
    attempts: int = 0
    hidden: frozenset[str] = frozenset()
    expect: Mapping[str, object] = attrs.field(factory=dict[str, object], hash=False)

    def shown(self) -> dict[str, object]:
        """Return the arguments, the hidden ones replaced by ``"<hidden>"``."""
        return self._without_hidden(self.arguments)

    def _without_hidden(self, values: Mapping[str, object]) -> dict[str, object]:
        return {name: _HIDDEN if name in self.hidden else value for name, value in values.items()}

    def _listed(self, values: Mapping[str, object]) -> str:
        return ", ".join(
            f"{name}={_HIDDEN if name in self.hidden else repr(value)}"
            for name, value in values.items()
        )

    def __repr__(self) -> str:
        expected = f" if {self._listed(self.expect)}" if self.expect else ""
        return f"<Intent {self.id} {self.operation}({self._listed(self.arguments)}){expected}>"

    def __copy__(self) -> Self:
        return self  # what a pickle hides is there in a copy

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def __reduce__(self) -> tuple[object, ...]:
        state = (
            self.id,
            self.operation,
            self.shown(),
            self.at,
            self.attempts,
            self.hidden,
            self._without_hidden(self.expect),
        )
        return (type(self), state)


class CakeError(Exception):
    """The base of all errors of aiocake.

    Attributes:
        outcome: For a write, :attr:`Outcome.NOT_DONE` or :attr:`Outcome.UNKNOWN`; None for a read.
        operation: The operation's name, such as ``"invoices.update"``; None outside of a call.
    """

    outcome: Outcome | None = None
    operation: str | None = None

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), self.args, self.__dict__.copy()))

    def scrub(self, clean: Callable[[str], str]) -> None:
        """Replace every text of this error by ``clean`` of it.

        Its cause and context are dropped: a parser's exception holds the whole response.

        Args:
            clean: Returns a text without what must not be shown, such as the key.
        """
        self.__cause__: BaseException | None = None
        self.__context__: BaseException | None = None
        self.__suppress_context__ = False  # which setting the cause turns on
        self.args: tuple[Any, ...] = tuple(
            clean(arg) if isinstance(arg, str) else arg for arg in self.args
        )
        for name, value in self.__dict__.items():
            if isinstance(value, str) and not isinstance(value, StrEnum):
                self.__dict__[name] = clean(value)


def _rebuild(cls: type[CakeError], args: tuple[object, ...], state: dict[str, object]) -> CakeError:
    error = cls.__new__(cls, *args)
    error.__dict__.update(state)
    return error


class ConfigurationError(CakeError):
    """A bad domain, key, setting, option or environment variable."""


class SignerToolMissing(ConfigurationError):
    """Plans cannot be signed or verified: ssh-keygen is missing, or older than OpenSSH 8.1."""


class ArgumentError(CakeError, ValueError):
    """Refused before anything was sent; names every bad argument at once.

    Attributes:
        problems: One :class:`Problem` for each bad argument.
    """

    def __init__(self, *problems: Problem) -> None:
        super().__init__("; ".join(map(str, problems)))
        self.problems = problems


class NotSent(CakeError):
    """Nothing was sent, apart from attempts with an old key, which were refused.

    It is safe to send the call again.
    """


class OutcomeUnknown(CakeError):
    """A write may have left, and whether it was carried out is unknown.

    Attributes:
        intent: The write.
        cause: The error that the last attempt met, with its class and text, as plain values.
        applied_likely: True when the response began like one to a write that was carried out, so
            that it most likely was; False when nothing says so.
    """

    def __init__(
        self, message: str, *, intent: Intent, cause: CakeError, applied_likely: bool = False
    ) -> None:
        super().__init__(message)
        self.intent = intent
        self.cause = cause
        self.applied_likely = applied_likely
        self.outcome: Outcome | None = Outcome.UNKNOWN

    def scrub(self, clean: Callable[[str], str]) -> None:
        """Replace every text of this error and its cause by ``clean`` of it.

        Args:
            clean: As for :meth:`CakeError.scrub`.
        """
        super().scrub(clean)
        self.cause.scrub(clean)


class ApiError(CakeError):
    """CAKE refused the call.

    Attributes:
        status: The HTTP status of the response (200 is common: CAKE refuses in the body).
        message: The server's message, with the key removed.
    """

    def __init__(self, message: str, *, status: int) -> None:
        super().__init__(message)
        self.message = message
        self.status = status

    def __str__(self) -> str:
        return f"{self.message} (HTTP {self.status})"


class AuthenticationError(ApiError):
    """The key does not exist or is expired ("Invalid API key", or status 401)."""


class NotFound(ApiError):
    """CAKE has no such record."""


class TipaltiError(ApiError):
    """Bills of an affiliate paid through Tipalti cannot be changed by API."""


class RequestRejected(ApiError):
    """The server refused the request before it acted on it: final, the caller's side.

    It could not bind it to the operation, or its status says so: 400, 403, 405, 409, 410, 411, 413,
    414, 415, 417, 422 or 431.
    """


class RateLimited(ApiError):
    """Too many calls.

    Where the server asks for a long wait, the client is paused: until the pause ends, all calls end
    in this error and are not sent.

    Attributes:
        status: The HTTP status of the response; for a call that was not sent, that of the
            response that began the pause.
        retry_after: Seconds that the server asks to wait; None when it does not say. For a call
            that was not sent, seconds until the pause ends.
        sent: False where the call was not sent, since the client is paused. Attempts that it made
            before the pause were refused.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int,
        retry_after: float | None = None,
        sent: bool = True,
    ) -> None:
        super().__init__(message, status=status)
        self.retry_after = retry_after
        self.sent = sent


class Restricted(ApiError):
    """CAKE's "Restricted": too many calls, no permission, or a refused address.

    CAKE does not say which.
    """


class ServerError(ApiError):
    """The server failed, or a gateway before it.

    A 5xx, a SOAP Fault of the server's own side, or a 4xx by which no application refuses a request
    (such as 408, 421, 425 and 499): the request may have been passed on and carried out.
    """


class DecodeError(CakeError):
    """A response that cannot be read.

    Attributes:
        path: Where in the response, such as ``"invoices[3].total_amount"``; empty for all of it.
        snippet: A short part of the response, with the key removed; its values are masked
            unless the client was built with ``show_sensitive=True``.
        status: The HTTP status of the response; None when none came.
        rows_read: For an export, how many bills it yielded before; otherwise None.
    """

    rows_read: int | None = None

    def __init__(
        self, message: str, *, path: str = "", snippet: str = "", status: int | None = None
    ) -> None:
        super().__init__(message)
        self.path = path
        self.snippet = snippet
        self.status = status

    def __str__(self) -> str:
        where = f" at {self.path}" if self.path else ""
        what = f": {self.snippet}" if self.snippet else ""
        return f"{super().__str__()}{where}{what}"


class ConsistencyError(CakeError):
    """A response does not match the request."""


class ListChanged(ConsistencyError):
    """A list kept changing while it was read. The message says what helps.

    Attributes:
        rows_read: How many distinct rows were read: those that were yielded, and those that the
            client's own filter left out.
        total_rows: The last total that the server named; None when it named none.
    """

    def __init__(self, message: str, *, rows_read: int, total_rows: int | None) -> None:
        super().__init__(message)
        self.rows_read = rows_read
        self.total_rows = total_rows


class AlreadyExists(ConsistencyError):
    """A create was not sent, since the partner has an invoice of an overlapping period.

    Attributes:
        existing: The ids of such invoices.
    """

    def __init__(self, message: str, *, existing: tuple[int, ...]) -> None:
        super().__init__(message)
        self.existing = existing


class FoundInvoice(Protocol):
    """The invoice that a :class:`Conflict` found: it is an :class:`aiocake.Invoice`.

    This module is below the models, and names of it what a write can expect.
    """

    @property
    def invoice_id(self) -> int:
        """Return the invoice."""
        ...

    @property
    def invoice_status(self) -> str:
        """Return its status."""
        ...

    @property
    def total_amount(self) -> Decimal:
        """Return its amount, in ``currency``."""
        ...

    @property
    def currency(self) -> str | None:
        """Return the currency's code."""
        ...

    @property
    def affiliate_id(self) -> int | None:
        """Return who is paid."""
        ...

    @property
    def advertiser_id(self) -> int | None:
        """Return who pays."""
        ...


class Conflict(ConsistencyError):
    """A write was not sent, since its invoice is not as expected.

    The message names what was expected and what was found, without amounts unless the client was
    built with ``show_sensitive=True``.

    Attributes:
        found: The invoice as it was read, an :class:`aiocake.Invoice`.
    """

    def __init__(self, message: str, *, found: FoundInvoice) -> None:
        super().__init__(message)
        self.found: FoundInvoice = found
        self.outcome: Outcome | None = Outcome.NOT_DONE

    def scrub(self, clean: Callable[[str], str]) -> None:
        """Replace every text of this error and its invoice by ``clean`` of it.

        Args:
            clean: As for :meth:`CakeError.scrub`.
        """
        super().scrub(clean)
        found = cast("Any", self.found)
        model = cast("type[attrs.AttrsInstance]", type(found))
        texts = {
            field.name: type(value)(clean(value))
            for field in attrs.fields(model)
            if isinstance(value := getattr(found, field.name), str)
        }
        self.found = attrs.evolve(found, **texts)


class JournalError(CakeError):
    """The journal of a run cannot be used: nothing more is sent.

    The file is missing, exists already, belongs to another instance or plan, is in use by another
    run, is damaged, is no journal, was written by a newer version, or is on a full disk or a
    filesystem that is not safe for it.
    """


class JournalLost(JournalError):
    """This process no longer owns the run, or may not: it sends nothing more.

    Its lease has ended, since the database was not heard of for too long, or the process stood
    still; or another process has taken the run over by now. Whoever has it goes on with it, and
    finds out what became of the calls that were on their way here.
    """


class PlanError(CakeError):
    """A plan, an approval or a signature that must not be used: nothing is sent.

    Attributes:
        problems: All that is wrong with it, as far as each has a place: each by its line
            (``"line 12"``), or by the name of a setting. They may hold partners' ids, and hold no
            names and no amounts.
    """

    def __init__(self, message: str, *problems: Problem) -> None:
        super().__init__(message)
        self.problems = problems

    def __str__(self) -> str:
        shown = [str(each) for each in self.problems[:_MOST_PROBLEMS]]
        if len(self.problems) > _MOST_PROBLEMS:
            shown.append(f"and {len(self.problems) - _MOST_PROBLEMS} more")
        return ": ".join(filter(None, (super().__str__(), "; ".join(shown))))


class DeadlineExceeded(CakeError, TimeoutError):
    """A read ran out of time.

    Attributes:
        rows_read: For an export, how many bills it yielded before; otherwise None.
    """

    rows_read: int | None = None


class ClosedError(CakeError):
    """The client is closed."""


class WrongLoopError(CakeError):
    """The client is used from another event loop (or process) than the one it belongs to."""
