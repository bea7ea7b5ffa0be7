"""The error messages of CAKE, ASP.NET and SOAP, and the error class of each.

CAKE reports one in the body of a 200, by a text; the texts are those of its pages, compared without
case. ASP.NET answers with a 500 of its own when it cannot bind a request to a method, and so does
a method that threw: only the text tells the two apart.
"""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Final, cast

from aiocake._codec.leniency import without_surrogates
from aiocake._operations.operation import Operation
from aiocake._operations.parameters import Money, Text, format_value
from aiocake.errors import (
    ApiError,
    AuthenticationError,
    NotFound,
    RequestRejected,
    Restricted,
    ServerError,
    TipaltiError,
)

#: Where a response of JSON may have its text, in whatever case; no page shows an error of v2.
TEXTS: Final = ("message", "error", "error_message", "errors", "reason", "error_description")
#: Names, without case and "_", of what a response has only because of an error.
_ERRORS: Final = frozenset({
    "error", "errors", "errormessage", "errormessages", "errordescription", "errortext",
    "exception", "exceptionmessage",
})  # fmt: skip
#: What may stand there all the same.
_NO_ERROR: Final = frozenset({"", "-", "0", "false", "n/a", "no", "none", "null", "ok", "success"})
_LONGEST: Final = 300
#: Shorter beginnings of an argument are found in any text by accident.
_SHORTEST_ECHO: Final = 8
_HIDDEN: Final = "<hidden>"
_SPACES: Final = re.compile(r"[\s\x00-\x1f\x7f-\x9f]+")

_BY_TEXT: Final[tuple[tuple[re.Pattern[str], type[ApiError]], ...]] = tuple(
    (re.compile(pattern, re.IGNORECASE), kind)
    for pattern, kind in (
        # .NET's words of a method that gave up half-way: a refusal comes before it begins.
        (r"timeout (period elapsed|expired)|operation (has )?timed out", ServerError),
        (r"transport-level error|object reference not set|network-related or inst", ServerError),
        (
            (
                r"^\W*(internal server error|an? (\w+ )?(error|exception) (has )?occurr?ed)\W*"
                r"($|while processing|please|(try|contact)\b)"
            ),
            ServerError,
        ),
        (r"invalid api key", AuthenticationError),
        (r"\btipalti\b", TipaltiError),
        (r"^\s*restricted\b", Restricted),
        (r"invalid bill id|billing id does not exist|\bnot found\b", NotFound),
    )
)
#: What a method could not find, reach or do while it carried a call out is said in such words, too,
#: of a mail or payment service, say. So where nothing else says no, they count only as the whole of
#: a text.
_WHOLE: Final = re.compile(
    r"(?:server was unable to process request\.)?"  # ASMX says so before what a method threw
    r"\W*(?:invalid bill id|(?:billing|payment type) id does not exist|restricted"
    r"|invalid (?:invoice number|notes)"
    # Not of a template or a file.
    r"|(?:(?:the )?(?:bill|billing|invoice|affiliate|advertiser|buyer)(?: id)?(?: #?[0-9]+)? )?"
    r"(?:was )?not found"
    r"|(?:error\W+)?invalid api key(?: (?:provided|supplied|specified|given))?"
    r"|bills processed by tipalti may not be updated)\W*",
    re.IGNORECASE,
)
# System.Web.Services reads the parameters before it calls the method; so does request validation.
# "Request format…" is what it says of a binding that the instance does not take (by default, a form
# from elsewhere), and so before it looks for a method.
_BINDERS: Final = re.compile(
    r"Missing parameter: \w+\."
    r"|Request format is (?:unrecognized|invalid)\b"
    r"|Cannot convert .{0,1000}? to [\w.]{1,200}\.\s+Parameter name: "
    r"|A potentially dangerous Request\.",
    re.DOTALL,
)
#: Messages that say that a bill was marked, and whether for the first time. They are known here,
#: not to the endpoints, since no response with one of them is an error. Source: CAKE's pages.
_MARKED: Final[Mapping[str, bool]] = {
    "bill marked as received": True,
    "bill marked as invoice sent": True,
    "affiliate payment added": True,
    "bill successfully updated": False,
    "affiliate payment updated": False,
}
_DONE: Final = re.compile(
    r"(?<!not )(?<!be )(?<!n't )\bsuccessfully\b"
    r"|(?<!not )\b(?:created|updated|saved|marked|added)\b\W{1,2}but\b",
    re.IGNORECASE,
)
_FAILED: Final = re.compile(
    r"^\W*(?:error|fail|unable|cannot|could not|invalid|exception)"
    r"|\b(?:could not|cannot|can't|couldn't|unable to|failed to|has failed)\b",
    re.IGNORECASE,
)
_NOT_DONE: Final = re.compile(
    r"(?:\bnot|n't) (?:be(?:en)? )?(?:created|updated|saved|changed|marked|added)\b"
    r"(?: successfully\b)?",
    re.IGNORECASE,
)
_CALLERS_CODES: Final = ("Client", "Sender", "VersionMismatch", "MustUnderstand")


def error_class_of(message: str) -> type[ApiError]:
    """Return the class of error of a message; :class:`ApiError` itself if it is not a known one."""
    return next((kind for pattern, kind in _BY_TEXT if pattern.search(message)), ApiError)


def error_class_alone(message: str) -> type[ApiError]:
    """Return the class of a message that nothing else marks as a refusal; it may quote one."""
    kind = error_class_of(message)
    return kind if kind is ServerError or _WHOLE.fullmatch(message) else ApiError


def is_known_refusal(message: str) -> bool:
    """Return whether a message is one of CAKE's refusals, and nothing else."""
    return _WHOLE.fullmatch(message) is not None


def says_done(message: str) -> bool:
    """Return whether the text of a refusal says that something was done before it was refused."""
    return _DONE.search(_NOT_DONE.sub("", message)) is not None


def says_failed(message: str) -> bool:
    """Return whether the text of a success says that it is none."""
    return not is_yes(message) and (
        _FAILED.search(message) is not None
        or _NOT_DONE.search(message) is not None
        or error_class_alone(message) is not ApiError
    )


def names_error(fields: Mapping[str, object]) -> bool:
    """Return whether a field that has the name of an error holds one."""
    return any(
        _is_error(value)
        for name, value in fields.items()
        if name.casefold().replace("_", "") in _ERRORS
    )


def _is_error(value: object) -> bool:
    if not isinstance(value, str | dict | list):
        return bool(value)
    text = message_text(cast("object", value)).strip(" \t\r\n.").casefold()
    return text not in _NO_ERROR and not text.startswith("no error")


def is_yes(message: str) -> bool:
    """Return whether a message says that a bill was marked."""
    return message.strip().casefold() in _MARKED


def is_first(message: str) -> bool | None:
    """Return whether a message says that a bill was first marked; None if it is no such message."""
    return _MARKED.get(message.strip().casefold())


def error_from_message(message: str, status: int) -> ApiError:
    """Return the error that a message of CAKE's with an HTTP status is."""
    text = short(message) or "CAKE refused the call without a reason"
    return error_class_of(message)(text, status=status)


def is_binding_error(text: str, *, anywhere: bool) -> bool:
    """Return whether a text is ASP.NET's own, about a request that it could not bind to a method.

    Args:
        text: The text, unescaped.
        anywhere: Whether other text may come before it, as in a page of HTML.
    """
    return (_BINDERS.search(text) if anywhere else _BINDERS.match(text.lstrip())) is not None


def soap_kind(code: str) -> type[ApiError]:
    """Return the class of error of a SOAP fault code: the caller's fault or the server's."""
    name = code.rpartition(":")[2].strip().partition(".")[0]
    return RequestRejected if name in _CALLERS_CODES else ServerError


def message_text(value: object) -> str:
    """Return the message in a value of JSON: a text, a list of them, or an object."""
    if not value:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        provided = cast("dict[str, object]", value)
        fields = {str(name).casefold(): each for name, each in provided.items()}
        named = [fields[name] for name in TEXTS if fields.get(name)]
        return message_text(named[0]) if named else message_text(list(fields.values()))
    if isinstance(value, list):
        return "; ".join(filter(None, map(message_text, cast("list[object]", value))))
    return ""


def redact(message: str, operation: Operation[object], arguments: Mapping[str, object]) -> str:
    """Return a message without what it repeats of the caller's own names, notes and amounts.

    ASP.NET repeats the beginning of a text, so beginnings are hidden, too.
    """
    for parameter in operation.parameters:
        value = arguments.get(parameter.name)
        if isinstance(parameter, Money) and isinstance(value, int | Decimal):
            message = _without_word(message, format_value(value))
        elif isinstance(parameter, Text) and isinstance(value, str) and value:
            message = _without_beginning(message, value)
    return message


def _without_beginning(message: str, value: str) -> str:
    # A note can have megabytes; a message has hardly more than its first words.
    longest = min(len(value), len(message))
    if longest == len(value):
        message = _without_word(message, value)
    for length in range(longest, _SHORTEST_ECHO - 1, -1):
        message = message.replace(value[:length], _HIDDEN)
    return message


def _without_word(message: str, value: str) -> str:
    return re.sub(rf"(?<!\w){re.escape(value)}(?!\w)", _HIDDEN, message)


def short(message: str) -> str:
    """Return a text in one line of at most 300 characters."""
    text = without_surrogates(_SPACES.sub(" ", message).strip())
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
