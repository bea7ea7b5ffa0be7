"""Write src/aiocake/blocking/views.py from the signatures of the asynchronous client.

    python tools/blocking.py

Each public method of a client, of its groups and of ``aiocake.bulk`` gets a blocking one of the
same signature and docstring, which hands its arguments on: there is no logic in it. A test compares
the file with what this would write. ruff formats it.
"""

import ast
import inspect
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from textwrap import indent
from types import ModuleType
from typing import Any, Final, cast, get_args, get_origin

import aiocake.bulk
import aiocake.client
from aiocake._operations.operation import Endpoints

Function = ast.FunctionDef | ast.AsyncFunctionDef

FILE: Final = Path(__file__).parents[1] / "src" / "aiocake" / "blocking" / "views.py"
#: What a method returns that is read step by step, and has a blocking reader.
READERS: Final = ("Pager", "ExportedBills")
#: What the docstrings of asynchronous methods say, and blocking ones do not.
PHRASES: Final = {
    "``async with``": "``with``",
    "``async for``": "``for``",
    ", also an asynchronous one": "",
    "; may be asynchronous": "",
    "; it may be asynchronous": "",
}
HEAD: Final = '''"""The blocking client's methods, written by ``python tools/blocking.py``.

They are those of the asynchronous client: change those, then run it again.
"""
'''
#: What is there whatever the signatures are: by module, the names.
ALWAYS: Final = {
    "aiocake": ("bulk",),
    "aiocake.blocking.readers": READERS,
    "aiocake.blocking.runs": ("Group", "asked", "made", "method_of", "read", "notifier"),
    "aiocake.blocking.thread": ("ClientThread",),
    "collections.abc": ("Awaitable", "Callable", "Iterable"),
    "typing": ("Any", "Concatenate", "Final", "ParamSpec", "TypeVar", "TypedDict"),
    "aiocake.bulk": ("Call", "Ended", "Progress"),
}
RUN: Final = '''
def run(self, function: Callable[Concatenate[AsyncClientView, P], Awaitable[T]], /,
        *args: P.args, **kwargs: P.kwargs) -> T:
    """Call an asynchronous function on the client's thread, for what has no blocking form.

    ::

        plan = cake.run(Plan.updates, period=january, invoice_status="pending", set=approved)
        found = cake.run(doctor.examine)

    Args:
        function: The function. It is called with the asynchronous client first, and what it is
            given runs on the client's thread as well.
        *args: As it takes them after the client.
        **kwargs: As it takes them.

    Returns:
        What it returns.

    Raises:
        BaseException: What it raises.
    """
    return self._thread.run(function, self._cake, *args, **kwargs)
'''


class Source:
    """A module, its syntax, and where its names come from."""

    def __init__(self, module: ModuleType) -> None:
        self.module = module
        self.tree = ast.parse(inspect.getsource(module))
        self.imported = {
            alias.asname or alias.name: each.module or ""
            for each in ast.walk(self.tree)
            if isinstance(each, ast.ImportFrom)
            for alias in each.names
        }
        self.modules = {
            alias.name
            for each in self.tree.body
            if isinstance(each, ast.Import)
            for alias in each.names
        }

    def class_of(self, name: str) -> ast.ClassDef:
        """Return the definition of a class."""
        return next(
            each for each in self.tree.body if isinstance(each, ast.ClassDef) and each.name == name
        )

    def assigned(self, name: str) -> ast.stmt | None:
        """Return the statement that a constant of the module is made by."""
        for each in self.tree.body:
            if isinstance(each, ast.AnnAssign | ast.Assign):
                targets = [each.target] if isinstance(each, ast.AnnAssign) else each.targets
                if name in [target.id for target in targets if isinstance(target, ast.Name)]:
                    return each
        return None


class Writer:
    """Collects the text of the file, and what it imports."""

    def __init__(self) -> None:
        self.imports: dict[str, set[str]] = defaultdict(set)
        self.modules: set[str] = set()
        self.constants: dict[str, str] = {}
        self.classes: list[str] = []
        for module, names in ALWAYS.items():
            self.imports[module].update(names)

    def need(self, node: ast.AST, source: Source) -> None:
        """Import what a part of a signature names."""
        known = {name for names in self.imports.values() for name in names} | self.modules
        named = {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}
        for name in sorted(named - known - self.constants.keys()):
            if name in vars(aiocake.bulk).get("__all__", ()):
                self.imports["aiocake.bulk"].add(name)
            elif name in source.modules:
                self.modules.add(name)
            elif name in source.imported:
                self.imports[source.imported[name]].add(name)
            elif name.startswith("_") and (made := source.assigned(name)) is not None:
                self.constants[name] = ast.unparse(made)
                self.need(made, source)
            elif name in vars(source.module) and name not in {"P", "T"}:
                self.imports[source.module.__name__].add(name)

    def method(self, node: Function, source: Source, call: str) -> str:
        """Return a method of this signature and docstring, whose body is one expression."""
        self.need(node.args, source)
        if node.returns is not None:
            self.need(node.returns, source)
        text = re.sub(r"\s*->", " ->", f"def {node.name}({ast.unparse(node.args)})")
        returns = "" if node.returns is None else f" -> {ast.unparse(node.returns)}"
        doc = documented(ast.get_docstring(node) or "")
        result = "" if returns == " -> None" else "return "
        return f"{text}{returns}:\n{doc}    {result}{call}\n"

    def group(self, cls: type[Endpoints]) -> None:
        """Add the class of a group of endpoints."""
        source = Source(sys.modules[cls.__module__])
        doc = (ast.get_docstring(source.class_of(cls.__name__)) or "").replace("client.", "cake.")
        methods = list(self._methods(cls))
        for each in arguments_of(cls).values():
            self.need(expression(each), source)
        self.imports[cls.__module__].add(f"{cls.__name__} as Async{cls.__name__}")
        self._class(f"{cls.__name__}(Group[Async{cls.__name__}])", doc, methods)

    def _methods(self, cls: type[Endpoints]) -> Iterator[str]:
        found: dict[str, tuple[Function, Source]] = {}
        for base in reversed(cls.__mro__):
            if not issubclass(base, Endpoints) or base is Endpoints:
                continue
            source = Source(sys.modules[base.__module__])
            for node in source.class_of(base.__name__).body:
                if isinstance(node, Function) and not (node.name.startswith("_")):
                    found[node.name] = Filled(arguments_of(cls)).visit(node), source
        for node, source in found.values():
            called = f"self._group.{node.name}"
            if isinstance(node, ast.AsyncFunctionDef):
                yield self.method(node, source, f"self._thread.run({called}{passed(node)})")
                continue
            assert isinstance(node.returns, ast.Subscript)  # noqa: S101 - else it has no reader
            reader = ast.unparse(node.returns.value)
            assert reader in READERS, reader  # noqa: S101 - the same
            inner = f"{called}({passed(node).removeprefix(', ')})"
            yield self.method(node, source, f"{reader}(self._thread, {inner})")

    def runs(self) -> None:
        """Add the class of the functions of ``aiocake.bulk``."""
        init = (
            "def __init__(self, thread: ClientThread, cake: AsyncClientView) -> None:\n"
            "    self._thread = thread\n    self._cake = cake\n"
        )
        methods = [init]
        for name in aiocake.bulk.__all__:
            function = getattr(aiocake.bulk, name)
            if not inspect.isfunction(function):
                continue
            source = Source(sys.modules[function.__module__])
            node = next(
                each
                for each in source.tree.body
                if isinstance(each, Function) and each.name == function.__name__
            )
            arguments = passed(node, wrapped=True)
            node = Blocking().visit(node)
            node.args.args = [
                ast.arg("self"),
                *(each for each in node.args.args if each.arg != "cake"),
            ]
            if isinstance(node, ast.AsyncFunctionDef):
                call = f"self._thread.run(bulk.{name}{arguments})"
            else:
                call = f"bulk.{name}(method_of(self._thread, method), *args, **kwargs)"
            methods.append(self.method(node, source, call))
        doc = "``cake.bulk``: long runs of writes that survive a crash, see :mod:`aiocake.bulk`."
        self._class("Bulk", doc, methods)

    def view(self, groups: dict[str, type[Endpoints]]) -> None:
        """Add the settings of a client, and the class that has all of its methods."""
        source = Source(aiocake.client)
        settings = source.class_of("ClientSettings")
        fields = [each for each in settings.body if isinstance(each, ast.AnnAssign)]
        self.imports["aiocake.blocking.ledger"].add("Ledger")
        for each in fields:
            self.need(each.annotation, source)
        doc = "The settings of :class:`Client`, by name."
        self._class("ClientSettings(TypedDict, total=False)", doc, [*map(ast.unparse, fields)])

        view = source.class_of("ClientView")
        doc = ast.get_docstring(view) or ""
        init = "def __init__(self, thread: ClientThread, cake: AsyncClientView) -> None:\n"
        init += "    self._thread = thread\n    self._cake = cake\n"
        for name, group in groups.items():
            kind = group.__name__
            init += f"    self.{name}: {kind} = {kind}(thread, cake.{name})\n"
        init += "    self.bulk: Bulk = Bulk(thread, cake)\n"
        doc = f"{doc}\n    bulk: Runs of writes."
        methods = [init]
        for node in view.body:
            if not isinstance(node, Function):
                continue
            called = f"self._cake.{node.name}"
            if isinstance(node, ast.AsyncFunctionDef):
                call = f"self._thread.run({called}{passed(node)})"
            elif node.name == "with_options":
                inner = f"{called}({passed(node).removeprefix(', ')})"
                call = f"ClientView(self._thread, {inner})"
            elif node.name.startswith("_"):
                continue
            else:
                call = f"self._thread.call({called})"
            methods.append(self.method(node, source, call))
        methods.append(RUN)
        self.imports["aiocake.client"].discard("ClientView")
        self.imports["aiocake.client"].add("ClientView as AsyncClientView")
        self._class("ClientView", doc, methods)

    def client(self) -> None:
        """Add the class of what a client is made with."""
        source = Source(aiocake.client)
        (init,) = (
            each
            for each in source.class_of("Client").body
            if isinstance(each, ast.FunctionDef) and each.name == "__init__"
        )
        self.need(init.args, source)
        self.imports["aiocake.blocking.ledger"].add("counted")
        self.imports["aiocake.client"].add("Client as AsyncClient")
        arguments = passed(init).removeprefix(", ").replace("=ledger", "=counted(ledger)")
        made = f"def __init__({ast.unparse(init.args)}) -> None:\n"
        made += f"    self._begin(AsyncClient({arguments}))\n"
        begin = "def _begin(self, client: AsyncClient) -> None:\n"
        begin += "    super().__init__(ClientThread(client), client)\n"
        doc = "A client, as it is made: :class:`aiocake.blocking.Client` without its end."
        self._class("BaseClient(ClientView)", doc, [made, begin])

    def _class(self, head: str, doc: str, members: list[str]) -> None:
        body = indent("\n".join(members), "    ")
        self.classes.append(f"class {head}:\n{documented(doc)}\n{body}\n")

    def text(self) -> str:
        """Return the file."""
        imports = "".join(f"import {each}\n" for each in sorted(self.modules))
        imports += "".join(
            f"from {module} import {', '.join(sorted(names))}\n"
            for module, names in sorted(self.imports.items())
            if names
        )
        variables = 'P = ParamSpec("P")\nT = TypeVar("T")\n'
        constants = "".join(f"{each}\n" for each in self.constants.values())
        return "\n".join([HEAD, imports, variables, constants, *self.classes])


class Filled(ast.NodeTransformer):
    """Puts the arguments of a generic class in the place of its type variables."""

    def __init__(self, arguments: dict[str, str]) -> None:
        self._arguments = arguments

    def visit_Name(self, node: ast.Name) -> ast.Name:
        """Return the argument of a type variable."""
        return ast.Name(self._arguments.get(node.id, node.id), node.ctx)


class Blocking(ast.NodeTransformer):
    """Turns what an asynchronous function takes into what a blocking one does."""

    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        """Return the blocking form of a generic type."""
        name, inner = ast.unparse(node.value), ast.unparse(node.slice)
        if name == "Calls":
            return expression(f"Iterable[Call[{inner}]]")
        if name == "OnOutcome":
            return expression(f"Callable[[Ended[{inner}]], object]")
        if name == "Callable" and inner.endswith("Awaitable[T])"):
            return expression("Callable[P, T]")
        node.slice = self.visit(node.slice)
        return node

    def visit_Name(self, node: ast.Name) -> ast.expr:
        """Return the blocking form of a type."""
        return expression("Callable[[Progress], object]") if node.id == "OnProgress" else node

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        """Return a union without what has to be awaited."""
        if isinstance(node.right, ast.Subscript) and ast.unparse(node.right.value) == "Awaitable":
            return cast("ast.expr", self.visit(node.left))
        self.generic_visit(node)
        return node


def documented(doc: str) -> str:
    """Return the docstring of a method, indented, as what a blocking one does."""
    doc = re.sub(r"^    cake: .*\n(?: {8,}.*\n)*", "", doc, flags=re.MULTILINE)
    doc = re.sub(r"(?:await )?\bbulk\.(\w+)\((.*?), cake, ", r"bulk.\1(\2, ", doc)
    doc = re.sub(r"(?<!\w\.)\bbulk\.(\w+)\(", r"cake.bulk.\1(", doc)
    for phrase, other in PHRASES.items():
        doc = doc.replace(phrase, other)
    if "\\" in doc or '"""' in doc:
        raise ValueError(f"a docstring that cannot be copied as it is: {doc}")
    end = "\n" if "\n" in doc else ""
    return indent(f'"""{doc}{end}"""', "    ") + "\n"


def expression(text: str) -> ast.expr:
    """Return an expression."""
    return ast.parse(text, mode="eval").body


def arguments_of(cls: type) -> dict[str, str]:
    """Return the names of the classes that a group of endpoints fills type variables with."""
    found: dict[str, str] = {}
    for base in getattr(cls, "__orig_bases__", ()):
        origin: Any = get_origin(base)
        if origin is not None:
            names = (each.__name__ for each in origin.__parameters__)
            found |= dict(zip(names, (each.__name__ for each in get_args(base)), strict=True))
    return found


def passed(node: Function, *, wrapped: bool = False) -> str:
    """Return how the arguments of a function are handed on, with a comma before each."""

    def value(each: ast.arg) -> str:
        hint = "" if each.annotation is None else ast.unparse(each.annotation)
        if each.arg == "cake":
            return "self._cake"
        if not wrapped:
            return each.arg
        for part, function in (
            ("Callable[[], Calls", "made"),
            ("Calls[", "read"),
            ("OnOutcome", "asked"),
            ("OnProgress", "notifier"),
        ):
            if part in hint:
                text = f"{function}({each.arg})"
                return f"None if {each.arg} is None else {text}" if "None" in hint else text
        return each.arg

    plain = [value(each) for each in node.args.args if each.arg != "self"]
    named = [f"{each.arg}={value(each)}" for each in node.args.kwonlyargs]
    return "".join(f", {each}" for each in [*plain, *named])


def groups() -> dict[str, type[Endpoints]]:
    """Return the groups of a client, by their names on it."""
    source = Source(aiocake.client)
    (init,) = (
        each
        for each in source.class_of("ClientView").body
        if isinstance(each, ast.FunctionDef) and each.name == "__init__"
    )
    found: dict[str, type[Endpoints]] = {}
    for each in init.body:
        if isinstance(each, ast.AnnAssign):
            assert isinstance(each.target, ast.Attribute)  # noqa: S101 - it is of self
            name = ast.unparse(each.annotation)
            found[each.target.attr] = getattr(import_module(source.imported[name]), name)
    return found


def render() -> str:
    """Return the text of the file, before it is formatted."""
    writer = Writer()
    every = groups()
    for group in every.values():
        writer.group(group)
    writer.runs()
    writer.view(every)
    writer.client()
    return writer.text()


def meaning(text: str) -> tuple[set[str], list[str]]:
    """Return what a file imports, and its other statements, however they are formatted."""
    imports: set[str] = set()
    others: list[str] = []
    tree = ast.parse(text)
    for each in ast.walk(tree):
        # ruff formats the code in a docstring as well.
        if isinstance(each, ast.Constant) and isinstance(each.value, str):
            each.value = re.sub(r"[\s,]", "", each.value)
    for each in tree.body:
        if isinstance(each, ast.ImportFrom | ast.Import):
            module = each.module if isinstance(each, ast.ImportFrom) else ""
            imports |= {f"{module} {alias.name} {alias.asname}" for alias in each.names}
        else:
            others.append(ast.unparse(each))
    return imports, others


if __name__ == "__main__":
    FILE.write_text(render(), encoding="utf-8")
    for arguments in (["check", "--quiet", "--fix", "--select=F401,I"], ["format", "--quiet"]):
        # That of this environment, which need not be activated.
        subprocess.run([sys.executable, "-m", "ruff", *arguments, str(FILE)], check=True)  # noqa: S603 - our tools
