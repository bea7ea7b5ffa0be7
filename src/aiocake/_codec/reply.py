"""What the body of an answer is, by its bytes: the content type is often wrong, or of HTML.

And what it holds, whatever it is written in: the record that says how the call went, by name.
"""

import re
from collections.abc import Iterator, Mapping
from enum import Enum
from html import unescape
from typing import Final, TypeAlias, TypeGuard

import attrs

from aiocake._codec import strict_json
from aiocake._codec.error_messages import TEXTS, is_yes, message_text
from aiocake._codec.xml.tree import XmlElement, parse
from aiocake.errors import DecodeError

_START: Final = 1024
_READ_AS_TEXT: Final = 1 << 16
_HTML: Final = re.compile(rb"<!doctype\s+html|<html[\s>]", re.IGNORECASE)
_TITLE: Final = re.compile(r"<title>([^<]{1,1000})</title>", re.IGNORECASE)
_SPACE: Final = b" \t\r\n"
#: What an answer of JSON may hold beside what it is about.
_FRAME: Final = frozenset({"request_status", "success", "response"})
#: What only an answer that says no has, beside its text. A "status" may be a record's.
_CODES: Final = frozenset({"error_code", "errorcode"})


class BodyFormat(Enum):
    """What a body is written in."""

    EMPTY = "nothing"
    JSON = "JSON"
    XML = "XML"
    HTML = "a page of HTML"
    TEXT = "plain text"


def format_of(body: bytes) -> BodyFormat:
    """What a body seems to be written in, by how it begins."""
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


@attrs.frozen
class ReplyStatus:
    """What an answer says of the call itself.

    Attributes:
        done: Whether it says that the call was carried out; None when it does not say.
        message: Its text; empty when it has none.
        fault: The code of a SOAP Fault; None when it is none.
    """

    success: bool | None = None
    message: str = ""
    fault: str | None = None


Record: TypeAlias = Mapping[str, object] | XmlElement


def read(body: bytes, *, show_sensitive: bool = False) -> Record:
    """The record that a body holds: an object of JSON, or the element around its fields.

    Args:
        body: The body.
        show_sensitive: Whether an error may show values.

    Raises:
        DecodeError: It holds neither.
    """
    form = format_of(body)
    if form is BodyFormat.XML:
        return _inside(parse(body))
    if form is not BodyFormat.JSON:
        raise DecodeError(f"{form.value} in place of an answer")
    value = strict_json.parse(body, show_sensitive=show_sensitive)
    # ASP.NET's way to answer a call whose request was JSON.
    if is_object(value) and "d" in value:
        value = value["d"]
    if isinstance(value, str):
        return {"message": value}
    if not is_object(value):
        raise DecodeError("JSON that is no object")
    return value


def is_object(value: object) -> TypeGuard[Mapping[str, object]]:
    """Whether a value of JSON is an object."""
    return isinstance(value, Mapping)


def _inside(root: XmlElement) -> XmlElement:
    """Of an envelope what is in its body: a fault, or the result inside of the response."""
    if root.name != "Envelope":
        return root
    body = root.find("Body")
    first = body.children[0] if body is not None and body.children else None
    if first is None:
        raise DecodeError("an envelope without an answer")
    return first.children[0] if first.name != "Fault" and len(first.children) == 1 else first


def read_status(record: Record) -> ReplyStatus:
    """What an answer says of the call itself.

    Raises:
        DecodeError: It says it in a way that is neither yes nor no.
    """
    if isinstance(record, XmlElement):
        return _told_by_xml(record)
    inner = record.get("response")
    layers = [record, inner] if is_object(inner) else [record]
    words = [word for layer in layers for word in _words(layer)]
    texts = [text for layer in layers if (text := message_text(_texts(layer)))]
    text = texts[0] if texts else ""
    no = bool(words) and not all(words)
    if no and (is_yes(text) if text else any(map(_holds_more, layers))):
        # One wrong letter makes a no of "Success". Who says no gives a reason, or nothing else.
        raise DecodeError("an answer that says no, and otherwise is one that says yes")
    return ReplyStatus(not no if words else None, text)


def _texts(layer: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in layer.items() if name.casefold() in TEXTS}


def _holds_more(layer: Mapping[str, object]) -> bool:
    return any(value for name, value in layer.items() if name not in _FRAME | _CODES)


def _words(layer: Mapping[str, object]) -> Iterator[bool]:
    status, success = layer.get("request_status"), layer.get("success")
    if status is not None:
        yield _text(status, "request_status").casefold() == "success"
    if success is not None:
        yield success if isinstance(success, bool) else _yes(_text(success, "success"))


def _text(value: object, path: str) -> str:
    if not isinstance(value, str):
        raise DecodeError("a value is not a text", path=path)
    return value


def _yes(text: str) -> bool:
    try:
        return {"true": True, "1": True, "false": False, "0": False}[text.strip().casefold()]
    except KeyError:
        raise DecodeError("a value is neither true nor false", path="success") from None


def _told_by_xml(element: XmlElement) -> ReplyStatus:
    if element.name == "Fault":
        code, text = element.find("faultcode"), element.find("faultstring")
        if code is None:
            code, text = _below(element, "Code", "Value"), _below(element, "Reason", "Text")
        return ReplyStatus(success=False, message=_text_of(text), fault=_text_of(code))
    if not element.children:
        # Some look-ups say no by a single text.
        return ReplyStatus(message=_text_of(element))
    success = element.find("success")
    done = None if success is None else _yes(_text_of(success))
    return ReplyStatus(done, _text_of(element.find("message")))


def _below(element: XmlElement, outer: str, inner: str) -> XmlElement | None:
    found = element.find(outer)
    return None if found is None else found.find(inner)


def _text_of(element: XmlElement | None) -> str:
    return "" if element is None else element.text or ""


def as_text(body: bytes) -> str:
    """The beginning of a body as text: ASP.NET escapes it for HTML, in plain text as well."""
    return _plain(body[:_READ_AS_TEXT].decode("utf-8", "replace"))


def title_of(body: bytes) -> str:
    """The title of a page of HTML, where ASP.NET and IIS put what went wrong; or nothing."""
    found = _TITLE.search(body[:_READ_AS_TEXT].decode("utf-8", "replace"))
    return "" if found is None else _plain(found[1])


def _plain(text: str) -> str:
    try:
        return unescape(text)
    except ValueError:  # a reference with more digits than Python makes a number of
        return text
