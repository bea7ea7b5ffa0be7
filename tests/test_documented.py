"""README.md, CONTRIBUTING.md and docs/ are true: links and files exist, tables are whole.

The code in them is run by test_code_blocks.py.
"""

import importlib.util
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from aiocake import errors

from .support.pages import DOCS, PAGES, ROOT

ARCHITECTURE = DOCS / "architecture.md"
GUIDE = ROOT / "CONTRIBUTING.md"


def test_the_readme_leads_to_each_page() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for page in DOCS.glob("*.md"):
        assert f"(docs/{page.name})" in readme, page.name


def in_menu(entries: list[dict[str, object]]) -> Iterator[str]:
    for entry in entries:
        for target in entry.values():
            if isinstance(target, list):
                yield from in_menu(target)
            else:
                yield str(target)


def test_the_menu_of_the_site_has_each_page_once() -> None:
    site = tomllib.loads((ROOT / "zensical.toml").read_text(encoding="utf-8"))["project"]
    pages = [str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md")]
    assert sorted(in_menu(site["nav"])) == sorted(pages)


def test_each_error_has_its_row() -> None:
    text = (DOCS / "errors.md").read_text(encoding="utf-8")
    _, _, section = text.partition("## Every error")
    rows = re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)
    exported = (getattr(errors, name) for name in errors.__all__)
    classes = {each for each in exported if isinstance(each, type) and issubclass(each, Exception)}
    assert sorted(rows) == sorted(each.__name__ for each in classes - {errors.CakeError})


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
    for page in PAGES:
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
