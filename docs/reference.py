"""Write the tables of docs/api.md from the operations and methods, of docs/data.md from records.

    python docs/reference.py

replaces what is between the markers of the pages. A test compares the pages with what this would
write, so an endpoint, a parameter, a docstring or a column that changed cannot be forgotten there.
"""

import importlib
import inspect
import pkgutil
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import UnionType
from typing import Any, Final, Literal, TypeGuard, Union, get_args, get_origin, get_type_hints

from aiocake import (
    COLUMNS,
    AdvertiserBill,
    AffiliateBill,
    BuyerBill,
    ExchangeRate,
    Invoice,
    endpoints,
)
from aiocake._operations.operation import Operation
from aiocake.values import SKIP, Idempotency

PAGE: Final = Path(__file__).with_name("api.md")
DATA: Final = Path(__file__).with_name("data.md")
#: The records that are long enough to be data.
RECORDS: Final = (Invoice, AffiliateBill, AdvertiserBill, BuyerBill, ExchangeRate)
#: The groups in the order of the page: version 2, version 1, look-ups.
GROUPS: Final = ("invoices", "affiliate_bills", "advertiser_bills", "buyer_bills", "reference")
#: A method without an operation of its own name, and the operation that it uses.
SHARED: Final = {"invoices.page": "invoices.find"}
REPEATING: Final = {
    Idempotency.SAFE: "safe",
    Idempotency.IDEMPOTENT: "idempotent",
    Idempotency.NON_IDEMPOTENT: "**not idempotent**",
}
_ARGUMENT: Final = re.compile(r"^    (?:\*\*)?(\w+): (.+(?:\n {8,}.+)*)$", re.MULTILINE)


class Method:
    """A method of a group of endpoints, with the operation that it carries out."""

    def __init__(
        self, name: str, function: Callable[..., object], operation: Operation[Any]
    ) -> None:
        self.name = name
        self.operation = operation
        self.signature = inspect.signature(function)
        self.hints = get_type_hints(function)
        returned = self.hints["return"]
        # A method that groups share returns the model of the group's operation.
        if getattr(returned, "__parameters__", ()):
            self.hints["return"] = returned[operation.model]
        self.doc = inspect.getdoc(function) or ""

    @property
    def parameters(self) -> list[inspect.Parameter]:
        """Return the parameters that a caller can set."""
        return [each for each in self.signature.parameters.values() if each.name != "self"]

    @property
    def request(self) -> str:
        """Return what is sent: the HTTP method and path of v2, the operation's name of v1."""
        operation = self.operation
        return f"`{operation.call}`" if operation.call else f"{operation.method} `{operation.path}`"

    @property
    def repeating(self) -> str:
        """Return what sending the call again does."""
        usual = REPEATING[self.operation.idempotency]
        switches = [
            each.name
            for each in self.parameters
            if self.hints[each.name] is bool
            and self.operation.idempotency_of({each.name: True}) is not self.operation.idempotency
        ]
        return ", ".join([usual, *(f"**not** with `{each}=True`" for each in switches)])

    def description(self, argument: str) -> str:
        """Return what the docstring says about an argument, on one line."""
        _, _, section = self.doc.partition("\nArgs:\n")
        section, _, _ = section.partition("\n\n")
        return markdown(dict(_ARGUMENT.findall(section))[argument])


def markdown(text: str) -> str:
    """Return reStructuredText of a docstring as Markdown, on one line."""
    line = " ".join(text.split())
    return re.sub(r":\w+:`[~.]?([^`]+)`", r"`\1`", line).replace("``", "`")


def is_operation(value: object) -> TypeGuard[Operation[Any]]:
    """Return whether a value of a module is an operation."""
    return isinstance(value, Operation)


def methods() -> dict[str, Method]:
    """Return every public method of every group, by the name that a caller uses."""
    groups: dict[str, type[object]] = {}
    operations: dict[str, Operation[Any]] = {}
    for found in pkgutil.iter_modules(endpoints.__path__):
        module = importlib.import_module(f"{endpoints.__name__}.{found.name}")
        operations |= {each.name: each for each in vars(module).values() if is_operation(each)}
        if not found.name.startswith("_"):
            (group,) = module.__all__
            groups[found.name] = getattr(module, group)
    ordered = sorted(groups, key=lambda name: (*GROUPS, name).index(name))
    return {
        f"{group}.{name}": Method(
            f"{group}.{name}",
            function,
            operations[SHARED.get(f"{group}.{name}", f"{group}.{name}")],
        )
        for group in ordered
        for name, function in functions(groups[group]).items()
        if not name.startswith("_")
    }


def functions(group: type[object]) -> dict[str, Callable[..., object]]:
    """Return the functions of a class in the order of their definition, inherited ones first."""
    return {
        name: value
        for each in reversed(group.__mro__)
        for name, value in vars(each).items()
        if inspect.isfunction(value)
    }


def shown(hint: object) -> str:
    """Return an annotation as Markdown: each of its alternatives as code."""
    if get_origin(hint) in {Union, UnionType}:
        return " or ".join(shown(each) for each in get_args(hint) if each != Literal[SKIP])
    if get_origin(hint) is Literal:
        return " or ".join(f"`{literal(each)}`" for each in get_args(hint))
    return f"`{plain(hint)}`"


def literal(value: object) -> str:
    """Return a value as it is written in Python, with the quotation marks of this project."""
    return f'"{value}"' if type(value) is str else repr(value)


def plain(hint: object) -> str:
    """Return the name of a class, with those of its arguments."""
    names = ", ".join("..." if each is ... else plain(each) for each in get_args(hint))
    name: str = getattr(get_origin(hint) or hint, "__name__", str(hint))
    return f"{name}[{names}]" if names else name


def default(method: Method, parameter: inspect.Parameter) -> str:
    """Return what a parameter is when a caller leaves it out."""
    if parameter.default is inspect.Parameter.empty:
        return "**required**"
    if parameter.default is SKIP:
        wanted = {each.name for each in method.operation.parameters if each.required}
        return "**required**, or `period`" if parameter.name in wanted else "left out"
    return f"`{literal(parameter.default)}`"


def overview(every: dict[str, Method]) -> Iterator[str]:
    """Yield the lines of the table of all calls."""
    yield "| call | CAKE's operation | sending it again | returns |"
    yield "|---|---|---|---|"
    for method in every.values():
        link = f"[`{method.name}`](#{method.name.replace('.', '')})"
        returns = shown(method.hints["return"])
        yield f"| {link} | {method.request} | {method.repeating} | {returns} |"


def details(every: dict[str, Method]) -> Iterator[str]:
    """Yield the lines of a section for each call."""
    for method in every.values():
        operation = method.operation
        yield f"### `{method.name}`"
        yield ""
        yield markdown(method.doc.partition("\n\n")[0])
        yield ""
        where = f" of `{operation.path}`" if operation.call else ""
        yield f"- Sends {method.request}{where}: {method.repeating}"
        yield f"- Returns {shown(method.hints['return'])}"
        yield f'- Documented by CAKE in "{operation.documented_in}"'
        yield ""
        if not method.parameters:
            continue
        yield "| parameter | type | default | |"
        yield "|---|---|---|---|"
        for parameter in method.parameters:
            text = method.description(parameter.name)
            if alike := re.fullmatch(r"As in `(\w+)`\.", text):
                group = method.name.partition(".")[0]
                text = every[f"{group}.{alike[1]}"].description(parameter.name)
            kind = shown(method.hints[parameter.name])
            yield f"| `{parameter.name}` | {kind} | {default(method, parameter)} | {text} |"
        yield ""


def filled(page: str, parts: Mapping[str, Iterator[str]]) -> str:
    """Return a page with these lines between the markers of each of its generated parts."""
    for part, lines in parts.items():
        text = "\n".join(lines).strip()
        begin, end = f"<!-- begin: {part} -->\n", f"\n<!-- end: {part} -->"
        before, found, rest = page.partition(begin)
        _, closed, after = rest.partition(end)
        if not found or not closed:
            raise ValueError(f"no markers of {part!r} in the page")
        page = f"{before}{begin}{text}{end}{after}"
    return page


def render(page: str) -> str:
    """Return the page with its generated parts as they should be."""
    every = methods()
    return filled(page, {"calls": overview(every), "parameters": details(every)})


def columns() -> Iterator[str]:
    """Yield the lines of a table for each class of records."""
    for model in RECORDS:
        yield from (f"### `{model.__name__}`", "", "| column | type |", "|---|---|")
        yield from (f"| `{name}` | `{kind}` |" for name, kind in COLUMNS[model].items())
        yield ""


def render_data(page: str) -> str:
    """Return the page of data with its generated part as it should be."""
    return filled(page, {"columns": columns()})


if __name__ == "__main__":
    PAGE.write_text(render(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    DATA.write_text(render_data(DATA.read_text(encoding="utf-8")), encoding="utf-8")
