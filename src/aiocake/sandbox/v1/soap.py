"""v1 by SOAP 1.1 and 1.2: how XmlSerializer binds a call, and how a Fault says no.

What the serializer does not know it passes over, and what is not there gets its type's default:
a misspelt amount is 0, a misspelt date 0001-01-01, and the call goes on.
"""

import re
from collections.abc import Mapping
from typing import Final
from xml.sax.saxutils import escape

import attrs
from starlette.responses import Response

from aiocake.sandbox.v1.operations import Operation
from aiocake.sandbox.v1.parameter_types import Value
from aiocake.sandbox.v1.responses import PROLOGUE, Envelope
from aiocake.sandbox.v1.schema import CAKE
from aiocake.sandbox.v1.url_binding import CannotBind
from aiocake.sandbox.xml_reader import Element

_SPACE: Final = "http://www.w3.org/XML/1998/namespace space"
_PARAMETER = re.compile(r';\s*(charset|action)\s*=\s*(?:"([^"]*)"|([^;\s]*))', re.IGNORECASE)


@attrs.frozen
class Version:
    """A version of SOAP.

    Attributes:
        namespace: Of its envelope.
        media_type: Of its messages.
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
