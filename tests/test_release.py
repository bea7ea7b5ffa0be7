"""What keeps a commit from being released is seen: see ``nox -s release-check``."""

import importlib.util
import zipfile
from pathlib import Path
from types import ModuleType

import pytest

PATH = Path(__file__).parent / "smoke" / "release.py"
PROJECT = {
    "name": "aiocake",
    "version": "0.2.0",
    "requires-python": ">=3.11",
    "license": "MIT",
    "optional-dependencies": {"otel": ["opentelemetry-api>=1.30"]},
}
METADATA = """\
Version: 0.2.0
Requires-Python: >=3.11
License-Expression: MIT
Description-Content-Type: text/markdown
Provides-Extra: otel
Requires-Dist: anyio
Requires-Dist: opentelemetry-api>=1.30; extra == 'otel'

# aiocake
"""
READY = """\
# Changelog

## [Unreleased]

## [0.2.0] - 2027-01-31

- News.

## [0.1.0] - 2027-01-01
"""


@pytest.fixture(scope="module")
def release() -> ModuleType:
    spec = importlib.util.spec_from_file_location("release", PATH)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("text", "tag", "wrong"),
    [
        (READY, "v0.2.0", ""),
        (READY, None, ""),
        (READY, "v0.3.0", "tag v0.3.0: the version of pyproject.toml is 0.2.0"),
        (READY.replace("0.2.0", "0.1.9"), None, "newest version is 0.1.9, not 0.2.0"),
        (READY.replace("-31", "-??"), None, "write the heading as ## [0.2.0] - YYYY-MM-DD"),
        (READY.replace("[Unr", "[unr"), None, "begin it with a section ## [Unreleased]"),
        (READY.replace("sed]\n", "sed]\n\n- More.\n"), None, ""),
        (READY.replace("sed]\n", "sed]\n\n- More.\n"), "v0.2.0", "Unreleased has entries"),
        ("## [Unreleased]\n\n- All.\n", None, ""),
        ("## [Unreleased]\n", "v0.2.0", "rename Unreleased to ## [0.2.0]"),
    ],
)
def test_version_changelog_and_tag(
    release: ModuleType, text: str, tag: str | None, wrong: str
) -> None:
    found = list(release.problems_of_changelog(text, "0.2.0", tag))
    assert len(found) == bool(wrong)
    assert wrong in "".join(found)


@pytest.mark.parametrize(
    ("old", "new", "wrong"),
    [
        ("", "", ""),
        ("Version: 0.2.0", "Version: 0.2.1", "Version is 0.2.1, not 0.2.0"),
        ("MIT", "GPL", "License-Expression is GPL, not MIT"),
        ("Extra: otel", "Extra: hotel", "extras are not those"),
        ("extra == 'otel'", "extra == 'cli'", "otel does not require opentelemetry-api"),
    ],
)
def test_metadata_of_the_wheel(
    release: ModuleType, tmp_path: Path, old: str, new: str, wrong: str
) -> None:
    wheel = _wheel(tmp_path, METADATA.replace(old, new))
    found = list(release.problems_of_wheel(wheel, PROJECT))
    assert len(found) == bool(wrong)
    assert wrong in "".join(found)


def test_files_of_the_wheel(release: ModuleType, tmp_path: Path) -> None:
    wheel = _wheel(tmp_path, METADATA, "tests/x.py")
    found = list(release.problems_of_wheel(wheel, {**PROJECT, "version": "0.2.0"}))
    assert [each.partition(": ")[2] for each in found] == [
        "py.typed is missing",
        "it has more than the package: aiocake-0.2.0.dist-info, tests",
    ]


def _wheel(folder: Path, metadata: str, *files: str) -> Path:
    wheel = folder / "aiocake-0.2.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("aiocake-0.2.0.dist-info/METADATA", metadata)
        for name in files or ("aiocake/py.typed",):
            archive.writestr(name, "")
    return wheel
