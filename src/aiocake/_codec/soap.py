"""v1 by SOAP 1.1 and 1.2: one envelope, two namespaces and two ways to say what it is.

ASP.NET passes over an element that it does not know, and an element in another namespace is one;
so the operation's element sets CAKE's namespace for all that is in it.
"""

from collections.abc import Mapping
from io import BytesIO
from typing import Final
from xml.sax.saxutils import XMLGenerator, escape
from xml.sax.xmlreader import AttributesImpl

import attrs

from aiocake._codec.requests_v1 import sent_arguments
from aiocake._messages import KeyPlacement, Request
from aiocake._operations.operation import Operation
from aiocake._operations.parameters import ParameterKind

_NONE: "AttributesImpl[str]" = AttributesImpl({})
#: Of a text of nothing but white space, which .NET's XmlSerializer otherwise reads as an empty one:
#: that keeps what is stored. Source: XmlReader's SignificantWhitespace; xml:space in section 2.10
#: of the XML 1.0 recommendation.
_ALL_SPACE: "AttributesImpl[str]" = AttributesImpl({"xml:space": "preserve"})
#: The namespace of CAKE's services, as their WSDLs give it.
_CAKE: Final = "http://cakemarketing.com/api/1/"


@attrs.frozen
class SoapVersion:
    """A version of SOAP: the namespace of its envelope, its media type, and where its action is."""

    namespace: str
    media_type: str
    action_header: bool


SOAP11: Final = SoapVersion(
    "http://schemas.xmlsoap.org/soap/envelope/", "text/xml", action_header=True
)
SOAP12: Final = SoapVersion(
    "http://www.w3.org/2003/05/soap-envelope", "application/soap+xml", action_header=False
)


def request(
    operation: Operation[object], arguments: Mapping[str, object], version: SoapVersion
) -> Request:
    """The request of a v1 call by SOAP.

    Args:
        operation: The operation.
        arguments: Checked.
        version: The version of SOAP.
    """
    headers = [("Content-Type", f"{version.media_type}; charset=utf-8")]
    if version.action_header:
        headers.append(("SOAPAction", f'"{_CAKE}{operation.call}"'))
    body, key_offset = _envelope(operation, arguments, version)
    return Request(
        operation.name,
        "POST",
        operation.path,
        headers=tuple(headers),
        body=body,
        key_placement=KeyPlacement.ENVELOPE,
        key_offset=key_offset,
    )


def _envelope(
    operation: Operation[object], arguments: Mapping[str, object], version: SoapVersion
) -> tuple[bytes, int]:
    out = BytesIO()
    xml = XMLGenerator(out, encoding="utf-8", short_empty_elements=False)
    xml.startDocument()
    xml.startElement("soap:Envelope", AttributesImpl({"xmlns:soap": version.namespace}))
    xml.startElement("soap:Body", _NONE)
    xml.startElement(operation.call, AttributesImpl({"xmlns": _CAKE}))
    xml.startElement("api_key", _NONE)
    key_offset = out.tell()
    xml.endElement("api_key")
    for each in sent_arguments(operation, arguments):
        # Not there is null here, which erases; an empty element keeps what is stored.
        if isinstance(each.text, str):
            text = f"{each.text}T00:00:00" if each.kind is ParameterKind.DATE else each.text
            xml.startElement(each.name, _ALL_SPACE if _is_space(text) else _NONE)
            # Already escaped, a line break of the old kind included: a parser would change it.
            xml.ignorableWhitespace(escape(text, {"\r": "&#13;"}))
            xml.endElement(each.name)
    for name in (operation.call, "soap:Body", "soap:Envelope"):
        xml.endElement(name)
    return out.getvalue(), key_offset


def _is_space(text: str) -> bool:
    return bool(text) and not text.strip(" \t\r\n")
