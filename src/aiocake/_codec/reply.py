"""One response, parsed once: the format of its body, its fields, and its status.

The content type is often wrong, or that of HTML, so a body is judged by its own bytes. It is parsed
when something first asks for its fields: both the search for an error and the decoder do, and a
page of invoices that the fast reader takes needs neither of them to.
"""

import re
from collections.abc import Iterator, Mapping
from enum import Enum
from html import unescape
from typing import Final, TypeAlias, TypeGuard, cast

import attrs

from aiocake._codec import strict_json
from aiocake._codec.error_messages import (
    TEXTS,
    error_class_alone,
    is_known_refusal,
    is_yes,
    message_text,
    names_error,
)
from aiocake._codec.xml.tree import XmlElement, parse_counting
from aiocake._messages import Response
from aiocake.errors import ApiError, DecodeError, NotFound

_START: Final = 1024
_READ_AS_TEXT: Final = 1 << 16
_HTML: Final = re.compile(rb"<!doctype\s+html|<html[\s>]", re.IGNORECASE)
_TITLE: Final = re.compile(r"<title>([^<]{1,1000})</title>", re.IGNORECASE)
_SPACE: Final = b" \t\r\n"
#: Fields of a JSON response that are not what the call was about.
_FRAME: Final = frozenset({"request_status", "success", "response"})
#: What else may say how a call went, or hold what does.
_OTHER_WORDS: Final = frozenset({"success", "response", *TEXTS})
#: What a server says of a request that it has taken, and has not refused.
_UNFINISHED: Final = frozenset({
    "", "accepted", "deferred", "in progress", "n/a", "none", "null", "pending", "processing",
    "queued", "scheduled", "timeout", "undefined", "unknown",
})  # fmt: skip
#: Other words than CAKE's "Success" that are no "no", either: "OK", "Success with errors", "Request
#: completed". A no has none of them, or it begins otherwise and denies it: "Not saved".
_LIKE_YES: Final = re.compile(
    r"(?:succe|ok\b|okay\b|true\b|yes\b|2[0-9][0-9]\b|partial|warning)"
    r"|(?!.*(?:\b(?:no|not|nothing|never|cannot|unable|invalid)\b|n't\b|fail|error))"
    r".*\b(?:success|done|completed?|finished|created|updated|saved|applied)",
    re.DOTALL,
)
#: Fields that only an error response has, beside its text. A "status" may be a record's.
_CODES: Final = frozenset({"error_code", "errorcode"})


class BodyFormat(Enum):
    """The format of a body."""

    EMPTY = "nothing"
    JSON = "JSON"
    XML = "XML"
    HTML = "a page of HTML"
    TEXT = "plain text"


def format_of(body: bytes) -> BodyFormat:
    """Return the format that a body has by how it begins."""
    start = body[:_START].removeprefix(strict_json.BOM).lstrip(_SPACE)
    if not start:
        return (
            BodyFormat.TEXT
            if body.removeprefix(strict_json.BOM).strip(_SPACE)
            else BodyFormat.EMPTY
        )
    if start[:1] == b"<":
        return BodyFormat.HTML if _HTML.search(start) else BodyFormat.XML
    return BodyFormat.JSON if start[:1] in b'{["' or start[:4] == b"null" else BodyFormat.TEXT


@attrs.frozen(eq=False)
class ReplyStatus:
    """The success, message and fault that a response reports.

    Attributes:
        success: Whether it reports success; None when it does not say.
        message: Its text; empty when it has none.
        fault: The code of a SOAP Fault; None when it is none.
        has_error: Whether it has something under the name of an error.
    """

    success: bool | None = None
    message: str = ""
    fault: str | None = None
    has_error: bool = False

    @property
    def is_mixed(self) -> bool:
        """Return whether it reports success, and an error or nothing but a refusal as its text.

        That something was not found may be all that a list without rows has to say.
        """
        if not self.success or not (self.message or self.has_error):
            return False
        return self.has_error or error_class_alone(self.message) not in {ApiError, NotFound}


_SUCCESS: Final = ReplyStatus(success=True)
#: Why such a response is neither.
BOTH: Final = "a response that reports both success and failure"

Record: TypeAlias = Mapping[str, object] | XmlElement


class Reply:
    """A response whose body is parsed at most once, and not before something asks for its fields.

    Attributes:
        response: The response.
        show_sensitive: Whether errors may show names, notes and amounts.
        dropped: How many illegal character references were left out when its XML was parsed.
        answers: Of a SOAP envelope, the name of the element in its body; empty of all else, and
            before it was parsed.
    """

    __slots__ = ("_record", "_status", "answers", "dropped", "response", "show_sensitive")

    def __init__(self, response: Response, *, show_sensitive: bool = False) -> None:
        self.response: Response = response
        self.show_sensitive: bool = show_sensitive
        self.dropped: int = 0
        self.answers: str = ""
        self._record: Record | None = None
        self._status: ReplyStatus | None = None

    @property
    def format(self) -> BodyFormat:
        """Return the format of the body."""
        return format_of(self.response.body)

    @property
    def record(self) -> Record:
        """Return the record in the body: an object of JSON, or the XML element around its fields.

        Raises:
            DecodeError: The body holds neither.
        """
        if self._record is not None:
            return self._record
        body = self.response.body
        form = format_of(body)
        if form is BodyFormat.XML:
            root, self.dropped = parse_counting(body)
            self._record, self.answers = _without_envelope(root)
            return self._record
        if form is not BodyFormat.JSON:
            raise DecodeError(f"{form.value} in place of a response")
        value = strict_json.parse(body, show_sensitive=self.show_sensitive)
        # ASP.NET wraps its response to a request in JSON like this.
        if isinstance(value, dict) and "d" in value:
            value = cast("Mapping[str, object]", value)["d"]
        if isinstance(value, str):
            value = {"message": value}
        if not isinstance(value, dict):
            raise DecodeError("JSON that is not an object")
        self._record = cast("Mapping[str, object]", value)
        return self._record

    @property
    def status(self) -> ReplyStatus:
        """Return the success, message and fault that the body reports.

        Raises:
            DecodeError: The body cannot be parsed, or says it in a way that is neither yes nor no.
        """
        if self._status is None:
            self._status = read_status(self.record)
        return self._status


def is_object(value: object) -> TypeGuard[Mapping[str, object]]:
    """Return whether a value of JSON is an object."""
    return isinstance(value, dict)


def _without_envelope(root: XmlElement) -> tuple[XmlElement, str]:
    """Return the content of a SOAP envelope, a fault or the result, and what stands around that."""
    if root.name != "Envelope":
        return root, ""
    body = root.find("Body")
    first = body.children[0] if body is not None and body.children else None
    if body is None or first is None:
        raise DecodeError("an envelope without a response")
    if len(body.children) > 1:
        raise DecodeError("an envelope with more than one response")
    within = first.name != "Fault" and len(first.children) == 1
    return first.children[0] if within else first, first.name


def read_status(record: Record) -> ReplyStatus:
    """Return how a record says that the call went.

    Raises:
        DecodeError: It says it in a way that is neither yes nor no.
    """
    if isinstance(record, XmlElement):
        return _status_of_xml(record)
    status = record.get("request_status")
    if isinstance(status, str) and status.casefold() == "success":
        names = list(map(str.casefold, record))
        plain = _OTHER_WORDS.isdisjoint(names) and names.count("request_status") == 1
        # A list of a few names is joined sooner than looked through.
        together = " ".join(names)
        if plain and "error" not in together and "exception" not in together:
            return _SUCCESS  # said once, and nothing else is said: as almost always
    inner = record.get("response")
    layers = [record, inner] if is_object(inner) else [record]
    words = [word for layer in layers for word in _words(layer)]
    texts = [text for layer in layers if (text := message_text(_texts(layer)))]
    text = texts[0] if texts else ""
    no = bool(words) and not all(words)
    if no and any(words) and not is_known_refusal(text):
        raise DecodeError(BOTH)  # a reason that is not CAKE's does not say which of them counts
    if no and (is_yes(text) if text else any(map(_holds_more, layers))):
        # One wrong letter makes a no of "Success". A real no has a reason, or nothing else.
        raise DecodeError(BOTH)
    has_error = any(map(names_error, layers))
    return ReplyStatus(not no if words else None, text, has_error=has_error)


def _texts(layer: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in layer.items() if name.casefold() in TEXTS}


def _holds_more(layer: Mapping[str, object]) -> bool:
    return any(value for name, value in layer.items() if name.casefold() not in _FRAME | _CODES)


def _words(layer: Mapping[str, object]) -> Iterator[bool]:
    for name, value in layer.items():
        word = name.casefold()
        if value is None or value == "":
            continue
        if word == "request_status":
            yield _status(_text(value, name))
        elif word == "success":
            yield value if isinstance(value, bool) else _yes(_text(value, name))


def _status(text: str) -> bool:
    word = text.strip(" \t\r\n.!").casefold()
    if word == "success":
        return True
    if word in _UNFINISHED or _LIKE_YES.match(word):
        raise DecodeError("a status that is neither success nor failure", path="request_status")
    return False


def _text(value: object, path: str) -> str:
    if not isinstance(value, str):
        raise DecodeError("a value is not a text", path=path)
    return value


def _yes(text: str) -> bool:
    try:
        return {"true": True, "1": True, "false": False, "0": False}[text.strip().casefold()]
    except KeyError:
        raise DecodeError("a value is neither true nor false", path="success") from None


def _status_of_xml(element: XmlElement) -> ReplyStatus:
    if element.name == "Fault":
        code, text = element.find("faultcode"), element.find("faultstring")
        if code is None:
            code, text = _below(element, "Code", "Value"), _below(element, "Reason", "Text")
        return ReplyStatus(success=False, message=_text_of(text), fault=_text_of(code))
    if not element.children:
        # Some look-ups report an error by a single text.
        return ReplyStatus(message=_text_of(element))
    said = [_yes(_text_of(each)) for each in element.children if each.name == "success"]
    done = said[0] if said else None
    message = _text_of(element.find("message"))
    if len(said) > 1 or (done is False and is_yes(message)):
        raise DecodeError(BOTH)
    texts = {each.name: each.text for each in element.children}
    return ReplyStatus(done, message, has_error=names_error(texts))


def _below(element: XmlElement, outer: str, inner: str) -> XmlElement | None:
    found = element.find(outer)
    return None if found is None else found.find(inner)


def _text_of(element: XmlElement | None) -> str:
    return "" if element is None else element.text or ""


def as_text(body: bytes) -> str:
    """Return the beginning of a body as text; ASP.NET escapes even plain text for HTML."""
    return _unescaped(body[:_READ_AS_TEXT].decode("utf-8", "replace"))


def title_of(body: bytes) -> str:
    """Return the title of a page of HTML, or "": ASP.NET and IIS put the error there."""
    found = _TITLE.search(body[:_READ_AS_TEXT].decode("utf-8", "replace"))
    return "" if found is None else _unescaped(found[1])


def _unescaped(text: str) -> str:
    try:
        return unescape(text)
    except ValueError:  # a reference with more digits than Python makes a number of
        return text
