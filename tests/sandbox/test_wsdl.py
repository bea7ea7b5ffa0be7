"""The WSDL files say what the tables of v1's operations say."""

from collections.abc import Iterator
from typing import Final
from xml.etree import ElementTree as ET

import pytest

from aiocake.sandbox.v1.operations import OPERATIONS, Operation, Service
from aiocake.sandbox.v1.schema import CAKE, STORE, Leaf, ListOf, Shape, Struct
from aiocake.sandbox.v1.service import wsdl

WSDL: Final = "{http://schemas.xmlsoap.org/wsdl/}"
XSD: Final = "{http://www.w3.org/2001/XMLSchema}"
SERVICES: Final[tuple[Service, ...]] = ("accounting", "get")
URL: Final = 'http://a&b"<:8/api/1/x.asmx'

NET_TYPES: Final = {
    "System.String": "s:string",
    "System.Int32": "s:int",
    "System.Byte": "s:unsignedByte",
    "System.Decimal": "s:decimal",
    "System.Boolean": "s:boolean",
    "System.DateTime": "s:dateTime",
}
LEAF_TYPES: Final = {
    "text": "s:string",
    "int": "s:int",
    "byte": "s:unsignedByte",
    "bool": "s:boolean",
    "moment": "s:dateTime",
    "money": "s:decimal",
    "rate": "s:decimal",
}

Lines = list[str]


def root(service: Service) -> ET.Element:
    return ET.fromstring(bytes(wsdl(service, URL).body))  # noqa: S314 - our own file


def operations(service: Service) -> list[Operation]:
    return [each for each in OPERATIONS.values() if each.service == service]


def schema(service: Service, namespace: str) -> ET.Element:
    (found,) = (
        each
        for each in root(service).iter(f"{XSD}schema")
        if each.get("targetNamespace") == namespace
    )
    return found


def fields(element: ET.Element) -> list[ET.Element]:
    """Return what is in the sequence of an element's type."""
    return element.findall(f"{XSD}complexType/{XSD}sequence/{XSD}element")


def written(element: ET.Element, depth: int = 0) -> Iterator[str]:
    """Describe an element of the schema and all that is in it, one line each."""
    name = element.get("ref") or element.get("name")
    most, nillable = element.get("maxOccurs"), element.get("nillable", "false")
    yield f"{'  ' * depth}{name} {element.get('type')} {most} {nillable}"
    for field in fields(element):
        yield from written(field, depth + 1)


def expected(shape: Shape, depth: int = 0, most: str = "1") -> Iterator[str]:
    """Describe a shape of the table as :func:`written` describes an element."""
    name, kind, nillable = shape.name, None, "false"
    if isinstance(shape, Leaf):
        if shape.stored:
            name = f"store:{name}"
        else:
            kind = LEAF_TYPES[shape.kind]
            nillable = "false" if shape.kind == "text" else "true"
    yield f"{'  ' * depth}{name} {kind} {most} {nillable}"
    if isinstance(shape, Struct):
        for member in shape.members:
            yield from expected(member, depth + 1)
    elif isinstance(shape, ListOf):
        yield from expected(shape.item, depth + 1, "unbounded")


def stored(shapes: tuple[Shape, ...]) -> Iterator[Leaf]:
    for shape in shapes:
        if isinstance(shape, Leaf):
            if shape.stored:
                yield shape
        else:
            yield from stored(shape.members if isinstance(shape, Struct) else (shape.item,))


def xsd_type(net: str) -> str:
    return NET_TYPES.get(net) or f"tns:{net.removeprefix('API_1.')}"


@pytest.mark.parametrize("service", SERVICES)
def test_the_port_types_and_bindings_name_each_operation_of_the_table(service: Service) -> None:
    names = [operation.name for operation in operations(service)]
    sections = [
        section
        for tag in ("portType", "binding")
        for section in root(service).findall(f"{WSDL}{tag}")
    ]
    assert [section.get("name") for section in sections] == [
        f"{service}{protocol}"
        for protocol in ("Soap", "HttpGet", "HttpPost", "Soap", "Soap12", "HttpGet", "HttpPost")
    ]
    for section in sections:
        listed = section.findall(f"{WSDL}operation")
        assert [operation.get("name") for operation in listed] == names


@pytest.mark.parametrize("service", SERVICES)
def test_the_messages_name_each_parameter_and_root_of_the_table(service: Service) -> None:
    messages = {
        str(message.get("name")): [dict(part.attrib) for part in message]
        for message in root(service).findall(f"{WSDL}message")
    }
    wanted: dict[str, list[dict[str, str]]] = {}
    for operation in operations(service):
        name = operation.name
        wanted[f"{name}SoapIn"] = [{"name": "parameters", "element": f"tns:{name}"}]
        wanted[f"{name}SoapOut"] = [{"name": "parameters", "element": f"tns:{name}Response"}]
        for protocol in ("HttpGet", "HttpPost"):
            # By GET and form every parameter is a text.
            wanted[f"{name}{protocol}In"] = [
                {"name": parameter.name, "type": "s:string"} for parameter in operation.parameters
            ]
            wanted[f"{name}{protocol}Out"] = [{"name": "Body", "element": f"tns:{operation.root}"}]
    assert messages == wanted


@pytest.mark.parametrize("service", SERVICES)
def test_the_schema_has_the_elements_of_the_table_and_no_others(service: Service) -> None:
    listed = [each.get("name") for each in schema(service, CAKE).findall(f"{XSD}element")]
    assert listed == [
        name
        for operation in operations(service)
        for name in (operation.name, f"{operation.name}Response", operation.root)
    ]


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=list(OPERATIONS))
def test_the_schema_has_the_parameters_of_an_operation_with_their_types(
    operation: Operation,
) -> None:
    (element,) = schema(operation.service, CAKE).findall(f"{XSD}element[@name='{operation.name}']")
    listed = [
        (field.get("name"), field.get("type"), field.get("minOccurs")) for field in fields(element)
    ]
    assert listed == [
        (
            parameter.name,
            xsd_type(parameter.kind.net),
            "1" if parameter.kind.missing is not None else "0",
        )
        for parameter in operation.parameters
    ]


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=list(OPERATIONS))
def test_the_schema_has_the_response_of_an_operation_by_soap_and_by_url(
    operation: Operation,
) -> None:
    elements = schema(operation.service, CAKE)
    (by_soap,) = elements.findall(f"{XSD}element[@name='{operation.name}Response']")
    (result,) = fields(by_soap)
    assert list(written(result)) == list(
        expected(Struct(f"{operation.name}Result", operation.members))
    )
    (by_url,) = elements.findall(f"{XSD}element[@name='{operation.root}']")
    described = [line for field in fields(by_url) for line in written(field)]
    assert described == [line for shape in operation.members for line in expected(shape)]


@pytest.mark.parametrize("service", SERVICES)
def test_the_schema_has_the_ids_and_names_of_the_table(service: Service) -> None:
    listed = [
        (each.get("name"), each.get("type"), each.get("nillable"))
        for each in schema(service, STORE).findall(f"{XSD}element")
    ]
    leaves = {leaf.name: leaf for each in operations(service) for leaf in stored(each.members)}
    assert listed == [
        (leaf.name, LEAF_TYPES[leaf.kind], None if leaf.kind == "text" else "true")
        for leaf in leaves.values()
    ]


@pytest.mark.parametrize("service", SERVICES)
def test_the_schema_has_the_members_of_each_enum_in_the_order_of_their_numbers(
    service: Service,
) -> None:
    kinds = {
        parameter.kind.net: parameter.kind
        for operation in operations(service)
        for parameter in operation.parameters
        if parameter.kind.net not in NET_TYPES
    }
    listed = {
        f"API_1.{each.get('name')}": [
            str(item.get("value")) for item in each.iter(f"{XSD}enumeration")
        ]
        for each in schema(service, CAKE).findall(f"{XSD}simpleType")
    }
    assert listed.keys() == kinds.keys()
    for name, members in listed.items():
        numbered = [kinds[name].from_url(str(number)) for number in range(len(members) + 1)]
        assert numbered == [*members, str(len(members))]


@pytest.mark.parametrize("service", SERVICES)
def test_each_port_has_the_address_that_is_served(service: Service) -> None:
    ports = root(service).findall(f"{WSDL}service/{WSDL}port")
    assert [address.get("location") for port in ports for address in port] == [URL] * 4
