"""Each mutant that is listed as one that survives is one of the code as it is."""

import ast
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LISTED = tomllib.loads((Path(__file__).parent / "survivors.toml").read_text(encoding="utf-8"))


def functions(node: ast.AST, inside: str = "") -> Iterator[tuple[str, ast.AST]]:
    """The functions and methods of a module, by their names with that of their class."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ClassDef):
            yield from functions(child, f"{inside}{child.name}.")
        elif isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield f"{inside}{child.name}", child


def texts() -> dict[str, list[str]]:
    """The text of each function that is mutated, its lines joined as run.py joins them."""
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    found: dict[str, list[str]] = {}
    for path in pyproject["tool"]["mutmut"]["only_mutate"]:
        source = (ROOT / path).read_text(encoding="utf-8")
        for name, node in functions(ast.parse(source)):
            text = ast.get_source_segment(source, node) or ""
            found.setdefault(name, []).append(" ".join(map(str.strip, text.splitlines())))
    return found


@pytest.mark.parametrize("kind", ["survivor", "endless"])
def test_each_is_of_a_function_that_has_what_it_changes(kind: str) -> None:
    known = texts()
    stale = [
        (each["function"], each["before"])
        for each in LISTED[kind]
        if not any(each["before"] in text for text in known.get(each["function"], []))
    ]
    assert stale == []


@pytest.mark.parametrize("kind", ["survivor", "endless"])
def test_none_is_listed_twice(kind: str) -> None:
    keys = [(each["function"], each["before"], each["after"]) for each in LISTED[kind]]
    assert len(keys) == len(set(keys))
