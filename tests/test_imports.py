"""What ``import aiocake`` brings along, and where each library is imported."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "aiocake"

#: What an extra brings, what only tests have, and whatever else an import must not wait for.
FOREIGN = {
    "_pytest",
    "click",
    "h11",
    "httpcore",
    "httpcore2",
    "httpx",
    "httpx2",
    "hypothesis",
    "lxml",
    "opentelemetry",
    "pandas",
    "pyarrow",
    "pytest",
    "redis",
    "rich",
    "starlette",
    "trio",
    "typer",
    "uvicorn",
    "xlsxwriter",
    "zeep",
}
OWN = {"aiocake.cli", "aiocake.sandbox", "aiocake.testing"}


def modules_after(code: str) -> set[str]:
    """The modules that a fresh Python has loaded after some code."""
    code = f"import sys; {code}; print(*sys.modules, sep='\\n')"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    return set(result.stdout.split())


@pytest.mark.parametrize(
    "code",
    [
        "import aiocake",
        "import aiocake; aiocake.Client('x.example', 'key')._closed = True",
        "from aiocake import *",
    ],
)
def test_the_core_pulls_in_no_extra(code: str) -> None:
    loaded = modules_after(code)
    assert "aiocake.client" in loaded
    assert {name.partition(".")[0] for name in loaded} & FOREIGN == set()
    assert loaded & OWN == set()


def test_the_look_at_what_is_loaded_sees_it() -> None:
    assert {"starlette", "trio"} <= modules_after("import starlette, trio")


@pytest.mark.parametrize(
    ("library", "places"),
    [
        ("httptools", ["_transport/response_reader.py"]),
        ("tenacity", ["_pipeline/retry.py"]),
        ("httpcore", []),
        ("httpcore2", []),
        ("httpx", []),
        ("httpx2", []),
    ],
)
def test_a_library_is_imported_in_one_place(library: str, places: list[str]) -> None:
    imports = re.compile(rf"^\s*(?:import|from) {library}\b", re.MULTILINE)
    found = [
        file.relative_to(SOURCE).as_posix()
        for file in sorted(SOURCE.rglob("*.py"))
        if imports.search(file.read_text(encoding="utf-8"))
    ]
    core = [name for name in found if not name.startswith(("sandbox/", "testing"))]
    assert core == places


def test_a_platform_without_httptools_is_told_what_to_do() -> None:
    code = "import sys; sys.modules['httptools'] = None; import aiocake"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ran.returncode == 1
    assert "ImportError: aiocake needs httptools" in ran.stderr
    assert "with a C compiler" in ran.stderr
