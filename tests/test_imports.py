"""What ``import aiocake`` brings along, and where each library is imported."""

import ast
import os
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from aiocake import bulk

SOURCE = Path(__file__).parents[1] / "src" / "aiocake"

LATE_IMPORTS = (Path(__file__).parent / "support" / "late_imports.py").read_text(encoding="utf-8")

#: Eight threads come to what the first client loads at the same moment, and switch all the time.
FIRST_CLIENTS = """
import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from aiocake import Client
def make(start):
    start.wait()
    client = Client("x.example", "key")
    client._closed = True
    return client
sys.setswitchinterval(1e-5)
with ThreadPoolExecutor(8) as threads:
    print(len({*threads.map(make, [Barrier(8)] * 8)}), end="")
"""
NO_DESCRIPTOR = """
import resource
from aiocake import Client
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
try:
    Client("x.example", "key")
except OSError as error:
    reason = error.strerror
resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
client = Client("x.example", "key")
print(client, "after", reason, end="")
client._closed = True
"""

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
    "psycopg",
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
OWN = {"aiocake.cli", "aiocake.otel", "aiocake.sandbox", "aiocake.testing"}


def modules_after(code: str) -> set[str]:
    """The modules that a fresh Python has loaded after some code."""
    return set(said(f"import sys; {code}; print(*sys.modules, sep='\\n')").split())


def said(code: str, *arguments: str) -> str:
    """What a fresh Python prints that runs some code."""
    # What measures the lines that are covered loads modules of its own.
    env = {name: text for name, text in os.environ.items() if not name.startswith("COV")}
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, env=env).stdout


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
    code = "import sys; sys.modules['httptools'] = None; import aiocake\n"
    code += "aiocake.Client('x.example', 'key')"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ran.returncode == 1
    assert "ImportError: aiocake needs httptools" in ran.stderr
    assert "with a C compiler" in ran.stderr


def test_what_a_program_does_not_use_is_not_loaded() -> None:
    rarely = {"difflib", "sqlite3", "aiocake.bulk.run", "aiocake._pipeline.exports"}
    rarely |= {"aiocake.profiles", "aiocake._codec.soap"}
    of_a_client = {"asyncio", "anyio", "cattrs", "httptools", "msgspec", "tenacity"}
    of_a_client |= {"aiocake.endpoints.invoices", "aiocake.paging", "aiocake._transport"}
    loaded = modules_after("from aiocake import Client, bulk")
    assert loaded & (rarely | of_a_client) == set()
    loaded = modules_after("from aiocake import Client; Client('x.example', 'key')._closed = True")
    assert loaded & (rarely | of_a_client) == of_a_client
    assert {"sqlite3", "aiocake.bulk.run"} <= modules_after("from aiocake import bulk; bulk.each")


def test_a_command_loads_what_another_needs_only_when_that_is_named() -> None:
    heavy = {"aiocake.doctor", "aiocake.monthend", "aiocake.cli.audit", "aiocake.bulk.run"}
    run = "from aiocake.cli.app import run; run(['{}', '--help'])".format
    assert modules_after(run("invoices")) & heavy == set()
    assert modules_after(run("audit")) & heavy == heavy - {"aiocake.doctor"}


def test_threads_can_make_their_first_clients_at_once() -> None:
    assert said(FIRST_CLIENTS) == "8"


def test_a_first_client_that_cannot_be_loaded_can_be_made_later() -> None:
    assert said(NO_DESCRIPTOR) == "<Client x.example> after Too many open files"


@pytest.mark.parametrize("call", ["find", "update", "create", "export", "request", "each"])
def test_nothing_is_loaded_once_a_request_has_left(call: str) -> None:
    assert said(LATE_IMPORTS, call).splitlines()[1:] == ["loaded late: []"]


def test_the_look_at_what_is_loaded_late_sees_it() -> None:
    code = LATE_IMPORTS.replace("left = True", "left = True; import wave")
    assert "loaded late: ['wave'" in said(code, "find")


@pytest.mark.parametrize("name", ["endpoints.invoices.Invoices", "paging.Pager"])
def test_what_the_root_has_is_there_without_a_client(name: str) -> None:
    module = f"aiocake.{name.rpartition('.')[0]}"
    assert module in modules_after(f"import aiocake; aiocake.{name}")


def test_parts_of_bulk_come_when_they_are_asked_for() -> None:
    assert set(bulk.__all__) <= set(dir(bulk))
    namespace: dict[str, object] = {}
    exec("from aiocake.bulk import *", namespace)  # noqa: S102 - a star only stands in a module
    assert namespace.keys() - {"__builtins__"} == set(bulk.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'eech'"):
        bulk.eech  # noqa: B018 - asking for it is the test


def test_type_checkers_see_where_the_parts_of_bulk_are() -> None:
    source = ast.parse((SOURCE / "bulk" / "__init__.py").read_text(encoding="utf-8"))
    seen = {
        alias.name: node.module
        for node in ast.walk(source)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if node.module is not None and node.module.startswith("aiocake.bulk.")
    }
    assert seen.keys() == set(bulk.__all__)
    for name, module in seen.items():
        assert getattr(bulk, name) is getattr(import_module(module), name)


@pytest.mark.parametrize(
    ("package", "use", "said"),
    [
        (
            "psycopg",
            "from aiocake.bulk.postgres import Postgres; Postgres()",
            "aiocake.bulk.postgres: psycopg missing: pip install 'aiocake[postgres]'",
        ),
        (
            "redis",
            "from aiocake.quota import Redis",
            "aiocake.quota.Redis: redis missing: pip install 'aiocake[redis]'",
        ),
    ],
)
def test_who_uses_what_an_extra_brings_without_it_is_told_what_to_install(
    package: str, use: str, said: str
) -> None:
    code = f"import sys; sys.modules[{package!r}] = None; {use}"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ran.returncode == 1
    assert f"\nModuleNotFoundError: {said}\n" in ran.stderr
