"""All public names and signatures are written down, so that a change of one is seen.

``tests/public_api.txt`` has them; ``python tests/test_public_api.py`` writes that file anew. Read
its diff, and list what changed in the changelog.
"""

import ast
import enum
import importlib
import inspect
import pkgutil
import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent
from types import ModuleType, NoneType, UnionType
from typing import (
    Any,
    ForwardRef,
    Literal,
    TypeGuard,
    Union,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

import attrs
from _pytest.fixtures import FixtureFunctionDefinition

import aiocake
import aiocake.endpoints
from aiocake.endpoints.affiliate_bills import AffiliateBills

SNAPSHOT = Path(__file__).with_name("public_api.txt")
SOURCE = Path(__file__).parents[1] / "src" / "aiocake"
#: Methods by which Python itself uses an object that a user has.
SPECIAL = {
    *("__aenter__", "__aexit__", "__aiter__", "__anext__", "__await__", "__call__"),
    *("__enter__", "__exit__", "__next__"),
    *("__contains__", "__getitem__", "__iter__", "__len__"),
}
#: The command is no API.
INTERNAL = {"cli", "endpoints"}


def public_modules() -> list[str]:
    """Return the modules that users import, and those of the groups of a client's methods."""
    found = [
        f"{package.__name__}.{module.name}"
        for package in (aiocake, aiocake.endpoints)
        for module in pkgutil.iter_modules(package.__path__)
        if not module.name.startswith("_") and module.name not in INTERNAL
    ]
    return [*sorted(found), "aiocake"]


def snapshot() -> str:
    """Return the text of all that is public: each thing once, where it is at home."""
    homes: dict[int, str] = {}
    blocks: list[str] = []
    for path in public_modules():
        module = importlib.import_module(path)
        lines = [path]
        for name in sorted(module.__all__):
            thing = getattr(module, name)
            if not is_code(thing):
                lines.append(f"    {name}{constant(thing)}")
            elif homes.setdefault(id(thing), path) != path:
                lines.append(f"    {name}: see {homes[id(thing)]}")
            else:
                lines += indented(name, thing)
        blocks.append("\n".join(lines))
    exported = get_origin(get_type_hints(AffiliateBills.export)["return"])
    blocks.append("\n".join(["(what an export gives)", *indented("ExportedBills", exported)]))
    return "\n\n".join(blocks) + "\n"


def indented(name: str, thing: object) -> Iterator[str]:
    return (f"    {line}" for line in described(name, thing))


def is_code(thing: object) -> TypeGuard[Callable[..., Any]]:
    return inspect.isclass(thing) or inspect.isfunction(thing)


def constant(thing: object) -> str:
    if isinstance(thing, ModuleType):
        return ": module"
    if get_origin(thing) is not None:
        return f" = {shown(thing)}"  # an alias of a type
    if isinstance(thing, FixtureFunctionDefinition):
        return ": fixture"
    return f": {type(thing).__name__}"


def described(name: str, thing: Any) -> Iterator[str]:  # noqa: ANN401 - a class or a function
    if not inspect.isclass(thing):
        yield f"{prefix(thing)}def {name}{signature(thing)}"
        return
    if is_typeddict(thing):  # whose bases Python 3.11 does not know
        yield f"class {name}(TypedDict)"
        yield from (
            f"    {key}: {shown(hint)}" for key, hint in sorted(get_type_hints(thing).items())
        )
        return
    bases = [
        shown(base)
        for base in vars(thing).get("__orig_bases__", thing.__bases__)
        if base is not object
    ]
    yield f"class {name}" + (f"({', '.join(bases)})" if bases else "")
    if issubclass(thing, enum.Enum):
        for each in thing:
            yield f"    {each.name} = {each.value!r}"
    elif attrs.has(thing) or not getattr(thing, "_is_protocol", False):
        yield f"    def __init__{signature(thing.__init__)}"
    for attribute in sorted(instance_attributes(thing)):
        yield f"    {attribute}"
    for member in sorted(dir(thing)):
        owner = next((base for base in thing.__mro__ if member in vars(base)), None)
        if owner is None or not owner.__module__.startswith("aiocake"):
            continue
        if member.startswith("_") and member not in SPECIAL:
            continue
        yield from (f"    {line}" for line in describe_member(member, vars(owner)[member]))


def describe_member(name: str, member: object) -> Iterator[str]:
    if isinstance(member, property):
        yield f"{name}: property -> {shown(inspect.signature(member.fget).return_annotation)}"
    elif isinstance(member, classmethod | staticmethod):
        yield f"@{type(member).__name__}"
        yield f"{prefix(member.__func__)}def {name}{signature(member.__func__)}"
    elif inspect.isfunction(member):
        yield f"{prefix(member)}def {name}{signature(member)}"


def instance_attributes(thing: type) -> set[str]:
    """Return the public attributes that a class declares, or that its making sets."""
    found: set[str] = set()
    for base in thing.__mro__:
        if not base.__module__.startswith("aiocake") or issubclass(base, enum.Enum):
            continue
        found |= set(inspect.get_annotations(base))
        making = vars(base).get("__init__")
        if inspect.isfunction(making) and not attrs.has(base):
            found |= set(re.findall(r"\bself\.(\w+)(?:: [^=\n]+)? =", inspect.getsource(making)))
    return {name for name in found if not name.startswith("_")}


def prefix(function: Callable[..., object]) -> str:
    return "async " if inspect.iscoroutinefunction(function) else ""


def signature(function: Callable[..., object]) -> str:
    found = inspect.signature(function)
    parts: list[str] = []
    kinds = [each.kind for each in found.parameters.values()]
    for index, (name, each) in enumerate(found.parameters.items()):
        if each.kind is each.KEYWORD_ONLY and each.kind not in kinds[:index]:
            parts += [] if each.VAR_POSITIONAL in kinds else ["*"]
        stars = {each.VAR_POSITIONAL: "*", each.VAR_KEYWORD: "**"}.get(each.kind, "")
        text = stars + name
        if each.annotation is not each.empty:
            text += f": {shown(each.annotation)}"
        if each.default is not each.empty:
            text += f" = {default(each.default)}"
        parts.append(text)
        if each.kind is each.POSITIONAL_ONLY and each.kind not in kinds[index + 1 :]:
            parts.append("/")
    end = found.return_annotation
    return f"({', '.join(parts)})" + ("" if end is found.empty else f" -> {shown(end)}")


def default(value: object) -> str:
    if value is attrs.NOTHING:
        return "..."  # made anew for each
    if isinstance(value, enum.Enum):
        return (
            value.name
            if type(value).__name__.startswith("_")
            else f"{type(value).__name__}.{value.name}"
        )
    return getattr(value, "__name__", None) or repr(value)


def shown(annotation: object) -> str:  # noqa: PLR0911 - a table of kinds
    """Return a type as it is written in code, alike on each Python: without modules, which move."""
    if annotation is None or annotation is NoneType:
        return "None"
    if annotation is ...:
        return "..."
    if isinstance(annotation, str):
        return annotation
    if isinstance(annotation, ForwardRef):
        return annotation.__forward_arg__
    if isinstance(annotation, list):
        return f"[{', '.join(map(shown, annotation))}]"
    if isinstance(annotation, enum.Enum):
        return annotation.name
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in {Union, UnionType}:
        return " | ".join(map(shown, arguments))
    if origin is Literal:
        chosen = [each.name if isinstance(each, enum.Enum) else repr(each) for each in arguments]
        return f"Literal[{', '.join(chosen)}]"
    if origin is not None and arguments and origin is not annotation:
        return f"{shown(origin)}[{', '.join(map(shown, arguments))}]"
    name: str = getattr(annotation, "__qualname__", None) or repr(annotation)
    return name.rpartition(".")[2].lstrip("~+-")


def class_names() -> dict[str, list[str]]:
    """Return the modules of the package, the sandbox apart, that define a class of each name."""
    found: dict[str, list[str]] = defaultdict(list)
    for file in sorted(SOURCE.rglob("*.py")):
        place = file.relative_to(SOURCE).as_posix()
        # The sandbox is a second reading of the API; the blocking face mirrors the names.
        if place.startswith(("sandbox/", "blocking")):
            continue
        for node in ast.walk(ast.parse(dedent(file.read_text(encoding="utf-8")))):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                found[node.name].append(place)
    return found


def test_public_names_and_signatures_are_those_written_down() -> None:
    written = SNAPSHOT.read_text(encoding="utf-8")
    assert snapshot() == written, "renew it by `python tests/test_public_api.py`"


def test_no_public_class_name_occurs_twice() -> None:
    found = class_names()
    assert {"Client", "Invoices", "NotSent"} <= set(found)
    assert {name: places for name, places in found.items() if len(places) > 1} == {}


if __name__ == "__main__":
    SNAPSHOT.write_text(snapshot(), encoding="utf-8")
