"""The WSDL of a page, and the page that people read: both made from the table of operations."""

from collections.abc import Iterable, Iterator
from html import escape
from typing import Final
from xml.etree import ElementTree as ET

from starlette.responses import HTMLResponse, Response

from aiocake.sandbox.v1.operations import OPERATIONS, Operation, Service
from aiocake.sandbox.v1.parameter_types import TEXT
from aiocake.sandbox.v1.responses import PROLOGUE
from aiocake.sandbox.v1.schema import CAKE, STORE, Leaf, ListOf, Shape, Struct

_XSD: Final = {
    "text": "s:string",
    "int": "s:int",
    "byte": "s:unsignedByte",
    "bool": "s:boolean",
    "moment": "s:dateTime",
    "money": "s:decimal",
    "rate": "s:decimal",
}
_NAMESPACES: Final = {
    "xmlns:wsdl": "http://schemas.xmlsoap.org/wsdl/",
    "xmlns:soap": "http://schemas.xmlsoap.org/wsdl/soap/",
    "xmlns:soap12": "http://schemas.xmlsoap.org/wsdl/soap12/",
    "xmlns:http": "http://schemas.xmlsoap.org/wsdl/http/",
    "xmlns:mime": "http://schemas.xmlsoap.org/wsdl/mime/",
    "xmlns:s": "http://www.w3.org/2001/XMLSchema",
    "xmlns:tns": CAKE,
    "xmlns:store": STORE,
    "targetNamespace": CAKE,
}
#: The protocols without an envelope: how an operation's parameters go in each.
_PLAIN: Final = {
    "GET": ("http:urlEncoded", dict[str, str]()),
    "POST": ("mime:content", {"type": "application/x-www-form-urlencoded"}),
}
_TRANSPORT: Final = "http://schemas.xmlsoap.org/soap/http"


def wsdl(service: Service, url: str) -> Response:
    """The WSDL of a page: document/literal by SOAP 1.1 and 1.2, and texts by GET and form.

    Args:
        service: Which page.
        url: Where it is.

    Returns:
        The answer to ``?WSDL``.
    """
    operations = _operations(service)
    root = ET.Element("wsdl:definitions", _NAMESPACES)
    types = ET.SubElement(root, "wsdl:types")
    _store_schema(types, operations)
    _cake_schema(types, operations)
    for operation in operations:
        for suffix, element in (("In", operation.name), ("Out", f"{operation.name}Response")):
            message = ET.SubElement(root, "wsdl:message", {"name": f"{operation.name}Soap{suffix}"})
            part = {"name": "parameters", "element": f"tns:{element}"}
            ET.SubElement(message, "wsdl:part", part)
    _port_type(root, f"{service}Soap", operations, "Soap")
    for prefix in ("soap", "soap12"):
        _binding(root, service, operations, prefix)
    for verb in _PLAIN:
        _plain_messages(root, operations, verb)
        _port_type(root, f"{service}Http{verb.title()}", operations, f"Http{verb.title()}")
        _plain_binding(root, service, operations, verb)
    page = ET.SubElement(root, "wsdl:service", {"name": service})
    for prefix in ("soap", "soap12"):
        name = f"{service}{prefix.title()}"
        at = ET.SubElement(page, "wsdl:port", {"name": name, "binding": f"tns:{name}"})
        ET.SubElement(at, f"{prefix}:address", {"location": url})
    for verb in _PLAIN:
        name = f"{service}Http{verb.title()}"
        at = ET.SubElement(page, "wsdl:port", {"name": name, "binding": f"tns:{name}"})
        ET.SubElement(at, "http:address", {"location": url})
    text = PROLOGUE + ET.tostring(root, encoding="unicode")
    return Response(text.encode(), media_type="text/xml; charset=utf-8")


def help_page(service: Service, operation: str) -> Response:
    """What a browser shows: 200, HTML, and nothing is done.

    Args:
        service: Which page.
        operation: What ``?op=`` asks for, or an empty text.

    Returns:
        The answer.
    """
    asked = OPERATIONS.get(operation)
    title = f"{service} Web Service"
    if asked is not None and asked.service == service:
        title = operation
        items = (f"{parameter.name}: {parameter.kind.net}" for parameter in asked.parameters)
    else:
        items = (found.name for found in _operations(service))
    listed = "".join(f"<li>{escape(item)}</li>" for item in items)
    return HTMLResponse(
        f"<html><head><title>{escape(title)}</title></head><body><h1>{escape(title)}</h1>"
        f"<ul>{listed}</ul></body></html>"
    )


def _operations(service: Service) -> list[Operation]:
    return [operation for operation in OPERATIONS.values() if operation.service == service]


def _port_type(root: ET.Element, name: str, operations: Iterable[Operation], suffix: str) -> None:
    port_type = ET.SubElement(root, "wsdl:portType", {"name": name})
    for operation in operations:
        port = ET.SubElement(port_type, "wsdl:operation", {"name": operation.name})
        for way, direction in (("input", "In"), ("output", "Out")):
            message = {"message": f"tns:{operation.name}{suffix}{direction}"}
            ET.SubElement(port, f"wsdl:{way}", message)


def _plain_messages(root: ET.Element, operations: Iterable[Operation], verb: str) -> None:
    """By GET and form every parameter is a text, and the answer has a root of its own."""
    for operation in operations:
        name = f"{operation.name}Http{verb.title()}"
        asked = ET.SubElement(root, "wsdl:message", {"name": f"{name}In"})
        for parameter in operation.parameters:
            ET.SubElement(asked, "wsdl:part", {"name": parameter.name, "type": "s:string"})
        answered = ET.SubElement(root, "wsdl:message", {"name": f"{name}Out"})
        part = {"name": "Body", "element": f"tns:{operation.root}"}
        ET.SubElement(answered, "wsdl:part", part)


def _plain_binding(
    root: ET.Element, service: Service, operations: Iterable[Operation], verb: str
) -> None:
    name = f"{service}Http{verb.title()}"
    binding = ET.SubElement(root, "wsdl:binding", {"name": name, "type": f"tns:{name}"})
    ET.SubElement(binding, "http:binding", {"verb": verb})
    how, attributes = _PLAIN[verb]
    for operation in operations:
        bound = ET.SubElement(binding, "wsdl:operation", {"name": operation.name})
        ET.SubElement(bound, "http:operation", {"location": f"/{operation.name}"})
        ET.SubElement(ET.SubElement(bound, "wsdl:input"), how, attributes)
        ET.SubElement(ET.SubElement(bound, "wsdl:output"), "mime:mimeXml", {"part": "Body"})


def _binding(
    root: ET.Element, service: Service, operations: Iterable[Operation], prefix: str
) -> None:
    named = {"name": f"{service}{prefix.title()}", "type": f"tns:{service}Soap"}
    binding = ET.SubElement(root, "wsdl:binding", named)
    ET.SubElement(binding, f"{prefix}:binding", {"transport": _TRANSPORT})
    for operation in operations:
        bound = ET.SubElement(binding, "wsdl:operation", {"name": operation.name})
        action = {"soapAction": f"{CAKE}{operation.name}", "style": "document"}
        ET.SubElement(bound, f"{prefix}:operation", action)
        for way in ("input", "output"):
            body = ET.SubElement(bound, f"wsdl:{way}")
            ET.SubElement(body, f"{prefix}:body", {"use": "literal"})


def _store_schema(types: ET.Element, operations: Iterable[Operation]) -> None:
    """The id and name leaves, which are in a namespace of their own."""
    schema = _schema(types, STORE)
    seen: set[str] = set()
    for operation in operations:
        for leaf in _stored(operation.members):
            if leaf.name not in seen:
                seen.add(leaf.name)
                attributes = {"name": leaf.name, "type": _XSD[leaf.kind]}
                if leaf.kind != "text":
                    attributes["nillable"] = "true"
                ET.SubElement(schema, "s:element", attributes)


def _stored(shapes: Iterable[Shape]) -> Iterator[Leaf]:
    for shape in shapes:
        if isinstance(shape, Struct):
            yield from _stored(shape.members)
        elif isinstance(shape, ListOf):
            yield from _stored(shape.item.members)
        elif shape.stored:
            yield shape


def _cake_schema(types: ET.Element, operations: Iterable[Operation]) -> None:
    schema = _schema(types, CAKE)
    ET.SubElement(schema, "s:import", {"namespace": STORE})
    enums: dict[str, tuple[str, ...]] = {}
    for operation in operations:
        asked = _sequence(ET.SubElement(schema, "s:element", {"name": operation.name}))
        for parameter in operation.parameters:
            least = "0" if parameter.kind is TEXT else "1"
            attributes = {"minOccurs": least, "name": parameter.name, "type": parameter.kind.xsd}
            ET.SubElement(asked, "s:element", attributes)
            if parameter.kind.members:
                enums[parameter.kind.xsd.removeprefix("tns:")] = parameter.kind.members
        element = ET.SubElement(schema, "s:element", {"name": f"{operation.name}Response"})
        _shape(_sequence(element), Struct(f"{operation.name}Result", operation.members))
        # The answer to GET and form.
        plain = _sequence(ET.SubElement(schema, "s:element", {"name": operation.root}))
        for shape in operation.members:
            _shape(plain, shape)
    for name, members in enums.items():
        simple = ET.SubElement(schema, "s:simpleType", {"name": name})
        restriction = ET.SubElement(simple, "s:restriction", {"base": "s:string"})
        for member in members:
            ET.SubElement(restriction, "s:enumeration", {"value": member})


def _schema(types: ET.Element, namespace: str) -> ET.Element:
    attributes = {"elementFormDefault": "qualified", "targetNamespace": namespace}
    return ET.SubElement(types, "s:schema", attributes)


def _sequence(element: ET.Element) -> ET.Element:
    return ET.SubElement(ET.SubElement(element, "s:complexType"), "s:sequence")


def _shape(sequence: ET.Element, shape: Shape, *, repeated: bool = False) -> None:
    attributes = {"minOccurs": "0", "maxOccurs": "unbounded" if repeated else "1"}
    if isinstance(shape, Leaf):
        if shape.stored:
            attributes["ref"] = f"store:{shape.name}"
        else:
            attributes |= {"name": shape.name, "type": _XSD[shape.kind]}
            if shape.kind != "text":
                attributes["nillable"] = "true"
        ET.SubElement(sequence, "s:element", attributes)
        return
    inner = _sequence(ET.SubElement(sequence, "s:element", attributes | {"name": shape.name}))
    if isinstance(shape, ListOf):
        _shape(inner, shape.item, repeated=True)
    else:
        for member in shape.members:
            _shape(inner, member)
