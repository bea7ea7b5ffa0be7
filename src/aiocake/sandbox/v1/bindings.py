"""How v1 binds the parameters of a call, and how it refuses them: by GET, by form and by SOAP.

By GET and form, System.Web.Services needs each parameter and reads its text. By SOAP 1.1 and 1.2,
XmlSerializer ignores what it does not know, and what is missing gets its type's default: a misspelt
amount is 0, a misspelt date 0001-01-01, and the call goes on.
"""

import html
import re
from collections.abc import Mapping, Sequence
from typing import Final
from xml.parsers import expat
from xml.sax.saxutils import escape

import attrs
from starlette.responses import Response

from aiocake.sandbox.v1.handlers import Arguments
from aiocake.sandbox.v1.operations import Operation, Parameter
from aiocake.sandbox.v1.parameter_types import Value
from aiocake.sandbox.v1.responses import PROLOGUE, Envelope
from aiocake.sandbox.v1.schema import CAKE

# XML of a caller is not trusted: no document type, a bounded depth.

_DEPTH: Final = 64


class NotXml(Exception):
    """The body is no XML, or XML that is refused."""


@attrs.define(eq=False)
class Element:
    """An element: its namespace, its local name, and what is in it."""

    namespace: str
    name: str
    attributes: dict[str, str]
    line: int
    column: int
    children: "list[Element]" = attrs.field(factory=list["Element"])
    texts: list[str] = attrs.field(factory=list[str])

    @property
    def text(self) -> str:
        """Return the element's own text."""
        return "".join(self.texts)

    def child(self, namespace: str, name: str) -> "Element | None":
        """Return the first child of a name, or None."""
        for child in self.children:
            if (child.namespace, child.name) == (namespace, name):
                return child
        return None


class _Builder:
    def __init__(self, charset: str | None) -> None:
        self.parser = expat.ParserCreate(charset, namespace_separator=" ")
        self.document = Element("", "", {}, 0, 0)
        self.open = [self.document]
        self.parser.buffer_text = True
        self.parser.StartDoctypeDeclHandler = self.doctype
        self.parser.StartElementHandler = self.start
        self.parser.EndElementHandler = self.end
        self.parser.CharacterDataHandler = self.text

    def doctype(self, name: str, *_: object) -> None:
        raise NotXml(f"a document type is not accepted: {name}")

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if len(self.open) > _DEPTH:
            raise NotXml("too deep")
        namespace, _, local = name.rpartition(" ")
        line, column = self.parser.CurrentLineNumber, self.parser.CurrentColumnNumber + 1
        element = Element(namespace, local, attributes, line, column)
        self.open[-1].children.append(element)
        self.open.append(element)

    def end(self, _: str) -> None:
        self.open.pop()

    def text(self, text: str) -> None:
        self.open[-1].texts.append(text)


def parse(body: bytes, charset: str | None = None) -> Element:
    """Read a document.

    Args:
        body: The document.
        charset: Its encoding, where the content type names one.

    Returns:
        The root.

    Raises:
        NotXml: It is not well formed, has a document type, is too deep, or its encoding is
            unknown.
    """
    try:
        builder = _Builder(charset)
        builder.parser.Parse(body, True)  # noqa: FBT003 - expat takes it by position
    except (expat.ExpatError, ValueError, LookupError) as error:
        raise NotXml(str(error)) from error
    return builder.document.children[0]


# By GET and by form.

# ASP.NET's request validation: the start of a tag, or of a character reference.
_DANGEROUS = re.compile(r"<[a-zA-Z!/?]|&#")
_SHOWN: Final = 20


class CannotBind(Exception):
    """The request lacks a parameter of the method, or has one that cannot be read."""


def bind_pairs(operation: Operation, sent: Sequence[tuple[str, str]], collection: str) -> Arguments:
    """Read the parameters of an operation from a query or a form.

    Args:
        operation: The operation.
        sent: Names and values as sent. What the operation does not know is ignored; a name
            that occurs twice has both values, joined by a comma.
        collection: ``QueryString`` or ``Form``, for error texts.

    Returns:
        A value for each parameter.

    Raises:
        CannotBind: A parameter is missing or cannot be read, or a value looks like markup.
    """
    texts: dict[str, str] = {}
    for name, text in sent:
        if _DANGEROUS.search(text):
            raise CannotBind(
                f"A potentially dangerous Request.{collection} value was detected from the "
                f'client ({name}="{text[:_SHOWN]}").'
            )
        texts[name] = f"{texts[name]},{text}" if name in texts else text
    return {parameter.name: _read(parameter, texts) for parameter in operation.parameters}


def _read(parameter: Parameter, texts: dict[str, str]) -> Value:
    text = texts.get(parameter.name)
    if text is None:
        raise CannotBind(f"Missing parameter: {parameter.name}.")
    try:
        return parameter.kind.from_url(text)
    except ValueError as error:
        raise CannotBind(
            f"Cannot convert {text} to {parameter.kind.net}.\r\nParameter name: type ---> {error}"
        ) from None


def plain_failure(message: str) -> Response:
    """Return a failure of ASP.NET itself: 500, and the text escaped for HTML in plain text."""
    text = html.escape(message, quote=False).replace('"', "&quot;").replace("'", "&#39;")
    return Response(
        f"{text}\r\n".encode("utf-8", "replace"), 500, media_type="text/plain; charset=utf-8"
    )


# By SOAP 1.1 and 1.2.

_SPACE: Final = "http://www.w3.org/XML/1998/namespace space"
_PARAMETER = re.compile(r';\s*(charset|action)\s*=\s*(?:"([^"]*)"|([^;\s]*))', re.IGNORECASE)


@attrs.frozen
class Version:
    """A version of SOAP.

    Attributes:
        namespace: The namespace of its envelope.
        media_type: The content type of its messages.
        client: The code of a fault that is the caller's.
        server: The code of a fault that is the server's.
    """

    namespace: str
    media_type: str
    client: str
    server: str

    def envelope(self, operation: Operation) -> Envelope:
        """Return the envelope around the content of a response."""
        name = operation.name
        return Envelope(
            f'{self._open()}<{name}Response xmlns="{CAKE}"><{name}Result>',
            f"</{name}Result></{name}Response></soap:Body></soap:Envelope>",
            f"{self.media_type}; charset=utf-8",
        )

    def caller_fault(self, text: str) -> Response:
        """Return a fault that is the caller's, which a retry does not mend."""
        return self._fault(self.client, text)

    def server_fault(self, text: str) -> Response:
        """Return the fault of a method that threw."""
        return self._fault(self.server, f"Server was unable to process request. ---> {text}")

    def _open(self) -> str:
        return (
            f'{PROLOGUE}<soap:Envelope xmlns:soap="{self.namespace}" '
            'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
            'xmlns:xsd="http://www.w3.org/2001/XMLSchema"><soap:Body>'
        )

    def _fault(self, code: str, text: str) -> Response:
        if self is SOAP12:
            inner = (
                f"<soap:Code><soap:Value>soap:{code}</soap:Value></soap:Code><soap:Reason>"
                f'<soap:Text xml:lang="en">{escape(text)}</soap:Text></soap:Reason><soap:Detail />'
            )
        else:
            inner = (
                f"<faultcode>soap:{code}</faultcode><faultstring>{escape(text)}</faultstring>"
                "<detail />"
            )
        body = f"{self._open()}<soap:Fault>{inner}</soap:Fault></soap:Body></soap:Envelope>"
        return Response(
            body.encode("utf-8", "replace"), 500, media_type=f"{self.media_type}; charset=utf-8"
        )


SOAP11: Final = Version("http://schemas.xmlsoap.org/soap/envelope/", "text/xml", "Client", "Server")
SOAP12: Final = Version(
    "http://www.w3.org/2003/05/soap-envelope", "application/soap+xml", "Sender", "Receiver"
)


def version_of(media_type: str) -> Version | None:
    """Return the version of SOAP of a content type, or None."""
    return {version.media_type: version for version in (SOAP11, SOAP12)}.get(media_type)


def content_type_parameters(headers: Mapping[str, str]) -> dict[str, str]:
    """Return ``charset`` and ``action`` of a content type, where it has them."""
    found = _PARAMETER.findall(headers.get("content-type", ""))
    return {name.lower(): quoted or bare for name, quoted, bare in found}


def called(version: Version, envelope: Element, headers: Mapping[str, str]) -> tuple[str, Element]:
    """Find the operation that is called, and the element that holds its parameters.

    Args:
        version: The version of the message.
        envelope: Its root.
        headers: The headers of the request.

    Returns:
        The operation that the action names, and the body's first element.

    Raises:
        CannotBind: There is no action, or no body.
    """
    body = envelope.child(version.namespace, "Body")
    if body is None or not body.children:
        raise CannotBind(
            "Unable to handle request without a valid action parameter. "
            "Please supply a valid soap action."
        )
    first = body.children[0]
    action = headers.get("soapaction")
    if version is SOAP12:
        action = content_type_parameters(headers).get("action")
        if not action:
            action = f"{first.namespace}{first.name}"
    if action is None:
        raise CannotBind(
            "Unable to handle request without a valid action parameter. "
            "Please supply a valid soap action."
        )
    action = action.strip().strip('"')
    if not action.startswith(CAKE):
        raise _unknown_action(action)
    return action.removeprefix(CAKE), first


def unrecognized(operation: str) -> CannotBind:
    """Return the error about an action that the service does not have."""
    return _unknown_action(f"{CAKE}{operation}")


def _unknown_action(action: str) -> CannotBind:
    return CannotBind(f"Server did not recognize the value of HTTP Header SOAPAction: {action}.")


def bind_element(operation: Operation, element: Element) -> dict[str, Value]:
    """Read the parameters of an operation from an element.

    Args:
        operation: The operation.
        element: The parent of its parameters. Elements of another name or namespace are passed
            over.

    Returns:
        A value for each parameter; the default of its type where there is no element.

    Raises:
        CannotBind: A value cannot be read, or the element is not the operation's.
    """
    if (element.namespace, element.name) != (CAKE, operation.name):
        raise _unreadable(
            element, f"<{element.name} xmlns='{element.namespace}'> was not expected."
        )
    values: dict[str, Value] = {}
    for parameter in operation.parameters:
        found = element.child(CAKE, parameter.name)
        if found is None:
            values[parameter.name] = parameter.kind.missing
            continue
        if found.children:
            raise _unreadable(found.children[0], "Unexpected node type Element.")
        try:
            values[parameter.name] = parameter.kind.from_soap(_text(found))
        except ValueError as error:
            raise _unreadable(found, str(error)) from None
    return values


def _text(element: Element) -> str:
    """Return the text as XmlSerializer reads it: none for white space that is not preserved."""
    text = element.text
    return text if text.strip(" \t\r\n") or element.attributes.get(_SPACE) == "preserve" else ""


def _unreadable(element: Element, reason: str) -> CannotBind:
    return CannotBind(
        "Server was unable to read request. ---> There is an error in XML document "
        f"({element.line}, {element.column}). ---> {reason}"
    )
