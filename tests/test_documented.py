"""README.md, CONTRIBUTING.md and docs/ are true: their code runs, their links and files exist.

Code runs as it stands, against a sandbox; parts of a program run one after the other.
docs/testing.md, docs/observability.md, docs/cli.md and docs/data.md have tests of their own.
"""

import ast
import importlib.util
import inspect
import os
import re
import shutil
import tomllib
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import anyio
import certifi
import pytest

import aiocake
from aiocake import Client, bulk
from aiocake.sandbox import Sandbox, serve

ROOT = Path(__file__).parents[1]
PAGES = (
    "README.md",
    *(
        f"docs/{page}.md"
        for page in ("api", "audit", "bulk", "doctor", "monthend", "scripts", "web")
    ),
)
LINKED = ("README.md", *(f"docs/{page.name}" for page in sorted((ROOT / "docs").glob("*.md"))))
ARCHITECTURE = ROOT / "docs" / "architecture.md"
GUIDE = ROOT / "CONTRIBUTING.md"
KEY = "SANDBOX-KEY"


def examples(page: str) -> list[str]:
    text = (ROOT / page).read_text(encoding="utf-8")
    found: list[str] = re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return found


@pytest.fixture
def sandbox(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):  # noqa: ANN201 - a generator
    """Serve a sandbox that ``Client.from_env()`` finds, in a folder with some authorities."""
    made = Sandbox(invoices=30)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CAKE_API_KEY", KEY)
    shutil.copy(certifi.where(), tmp_path / "company-ca.pem")
    for name in ("API_KEY_FILE", "CA_FILE", "PROFILE", "PROXY", "READ_ONLY"):
        monkeypatch.delenv(f"CAKE_{name}", raising=False)
    with serve(made) as url:
        monkeypatch.setenv("CAKE_DOMAIN", url)
        yield made


async def run(code: str, names: dict[str, Any]) -> None:
    """Run an example; the next one sees what it assigns."""
    compiled = compile(code, "<example>", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    made = eval(compiled, names)  # noqa: S307 - our own pages
    if inspect.iscoroutine(made):
        await made


async def run_all(codes: list[str], url: str, numbers: list[int]) -> None:
    async with Client(url, KEY) as cake:
        names: dict[str, Any] = {
            "aiocake": aiocake,
            "bulk": bulk,
            "Client": Client,
            "cake": cake,
            "numbers": numbers,
            "start": date(2031, 1, 1),
            "end": date(2031, 1, 31),
            "now": datetime(2031, 2, 1, tzinfo=UTC),
        }
        for code in codes:
            await run(code, names)


def test_the_first_example_is_a_program(sandbox: Sandbox) -> None:
    assert sandbox.state.invoices[4821].invoice_status == "pending"
    exec(examples("README.md")[0], {"__name__": "__main__"})  # noqa: S102 - our own page
    assert sandbox.state.invoices[4821].invoice_status == "approved"


@pytest.mark.parametrize("page", PAGES)
def test_its_examples_run(page: str, sandbox: Sandbox) -> None:
    codes = examples(page)[1:] if page == "README.md" else examples(page)
    assert codes
    numbers = list(sandbox.state.invoices)[:3]
    anyio.run(run_all, codes, os.environ["CAKE_DOMAIN"], numbers)
    assert sandbox.state.requests


def test_the_readme_leads_to_each_page() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for page in (ROOT / "docs").glob("*.md"):
        assert f"(docs/{page.name})" in readme, page.name


def test_the_tables_of_the_api_are_those_of_the_operations() -> None:
    spec = importlib.util.spec_from_file_location("reference", ROOT / "docs" / "reference.py")
    assert spec is not None
    assert spec.loader is not None
    reference = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(reference)
    for file, render in (
        (reference.PAGE, reference.render),
        (reference.DATA, reference.render_data),
    ):
        page = file.read_text(encoding="utf-8")
        assert page == render(page), "stale: run python docs/reference.py"


def headings(page: Path) -> set[str]:
    """Return the anchors of a page, as GitHub makes them of its headings."""
    lines = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", line).lower().replace(" ", "-") for line in lines}


def test_the_links_of_the_pages_lead_somewhere() -> None:
    for page in LINKED:
        text = (ROOT / page).read_text(encoding="utf-8")
        text = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)  # code has none
        links = re.findall(r"\]\((?!https?:)([^)#]*)#?([^)]*)\)", text)
        for path, anchor in links:
            target = (ROOT / page).parent / path if path else ROOT / page
            assert target.exists(), (page, path)
            assert not anchor or anchor in headings(target), (page, path, anchor)


def test_the_drawing_of_the_layers_is_that_of_the_contract() -> None:
    drawing = re.findall(
        r"^```text\n(.*?)^```$", ARCHITECTURE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )[0]
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    (contract,) = (
        each for each in pyproject["tool"]["importlinter"]["contracts"] if each["id"] == "layers"
    )
    assert [re.split(r" {2,}", line)[0] for line in drawing.splitlines()] == contract["layers"]


@pytest.mark.parametrize("page", [ARCHITECTURE, GUIDE], ids=lambda page: page.stem)
def test_the_files_that_a_page_names_exist(page: Path) -> None:
    folders = "src/aiocake", "tests", "benchmarks", "docs", "examples", "fuzz", "tools"
    files = [f"/{path.relative_to(ROOT)}" for each in folders for path in (ROOT / each).rglob("*")]
    files += [f"/{path.name}" for path in ROOT.iterdir()]
    text = page.read_text(encoding="utf-8")
    named = re.findall(r"`([\w./]*\w\.(?:py|md|toml)|tests/[\w/]+)`", text)
    assert len(named) > 10
    missing = {name for name in named if not any(file.endswith(f"/{name}") for file in files)}
    assert not missing
