"""v1 by SOAP 1.1 and 1.2: one envelope, two namespaces and two ways to say what it is.

ASP.NET passes over an element that it does not know, and an element in another namespace is one;
so the operation's element sets CAKE's namespace for all that is in it. A parameter that is not
there becomes null, 0 or the year 1 without a word.
"""

from collections.abc import Mapping
from html import escape
from typing import Final

import attrs

from aiocake._codec.requests_v2 import Encode
from aiocake._messages import KeyPlacement, Request
from aiocake._operations.operation import Operation
from aiocake.values import SKIP

#: Of a text of nothing but white space, which .NET's XmlSerializer otherwise reads as an empty one:
#: that keeps what is stored. Source: XmlReader's SignificantWhitespace; xml:space in section 2.10
#: of the XML 1.0 recommendation.
_ALL_SPACE: Final = ' xml:space="preserve"'
#: The namespace of CAKE's services, as their WSDLs give it.
_CAKE: Final = "http://cakemarketing.com/api/1/"


@attrs.frozen(eq=False)
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


def encoder(operation: Operation[object], version: SoapVersion) -> Encode:
    """Return the function that makes an operation's requests by SOAP, of arguments checked."""
    name, path, parameters = operation.name, operation.path, operation.parameters
    headers = [("Content-Type", f"{version.media_type}; charset=utf-8")]
    if version.action_header:
        headers.append(("SOAPAction", f'"{_CAKE}{operation.call}"'))
    pairs = tuple(headers)
    begin = (
        '<?xml version="1.0" encoding="utf-8"?>\n'
        f'<soap:Envelope xmlns:soap="{version.namespace}"><soap:Body>'
        f'<{operation.call} xmlns="{_CAKE}"><api_key>'
    )
    end = f"</{operation.call}></soap:Body></soap:Envelope>"

    def encode(arguments: Mapping[str, object]) -> Request:
        parts = [begin, "</api_key>"]
        for parameter in parameters:
            value = arguments.get(parameter.name, SKIP)
            for element, text in parameter.v1_texts(value, midnight="T00:00:00"):
                # Not there is null here, which erases; an empty element keeps what is stored.
                if text is not None:
                    space = _ALL_SPACE if text and not text.strip(" \t\r\n") else ""
                    parts.append(f"<{element}{space}>{_escaped(text)}</{element}>")
        parts.append(end)
        body = "".join(parts).encode()
        return Request(name, "POST", path, "", pairs, body, KeyPlacement.ENVELOPE, len(begin))

    return encode


def _escaped(text: str) -> str:
    # A line break of the old kind is escaped as well: a parser would change it.
    return escape(text, quote=False).replace("\r", "&#13;")
