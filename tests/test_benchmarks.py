"""The benchmarks and fuzzers import what there is: their own sessions run seldom."""

import ast
import importlib
import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = sorted(
    str(path.relative_to(ROOT))
    for folder in ("benchmarks", "fuzz")
    for path in (ROOT / folder).rglob("*.py")
)


def test_they_are_found() -> None:
    assert "benchmarks/rivals/ours.py" in FILES


@pytest.mark.parametrize("file", FILES)
def test_what_they_import_of_aiocake_is_there(file: str) -> None:
    for node in ast.walk(ast.parse((ROOT / file).read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "aiocake":
            module = importlib.import_module(node.module or "")
            missing = [
                each.name
                for each in node.names
                if not hasattr(module, each.name) and not _is_module(f"{node.module}.{each.name}")
            ]
            assert not missing, f"{node.module} has no {', '.join(missing)}"


def _is_module(name: str) -> bool:
    return importlib.util.find_spec(name) is not None
