"""Check that what was built can be released. Run by the ``release-check`` session, not by pytest.

::

    python tests/smoke/release.py DIST [TAG]

``DIST`` has the wheel and the source archive; ``TAG`` is the tag that the commit has, or is to get.
Without one, a tag of HEAD counts. The version has one home, ``pyproject.toml``. Prints one line for
each thing that is wrong, and what to do.
"""

import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Iterator
from email.message import Message
from email.parser import Parser
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[2]
_UNRELEASED: Final = "Unreleased"
#: A heading of the changelog, with its text: "## [0.2.0] - 2027-01-31".
_SECTION: Final = re.compile(r"^## \[([^\]]+)\](.*)\n((?:(?!## ).*\n?)*)", re.MULTILINE)
_DAY: Final = re.compile(r" - \d{4}-\d\d-\d\d")
#: What a source archive must have beside the package.
_IN_SOURCE: Final = ("CHANGELOG.md", "LICENSE", "README.md", "SECURITY.md", "tests/conftest.py")


def problems_of_changelog(text: str, version: str, tag: str | None) -> Iterator[str]:
    """Yield what is wrong with the changelog, or with the tag.

    Args:
        text: The changelog.
        version: The version of the package.
        tag: The tag that the commit has, or is to get; None in between releases.
    """
    sections = [(found[1], found[2], found[3]) for found in _SECTION.finditer(text)]
    if not sections or sections[0][0] != _UNRELEASED:
        yield f"CHANGELOG.md: begin it with a section ## [{_UNRELEASED}]"
        return
    newest = sections[1] if len(sections) > 1 else None
    if newest is not None and newest[0] != version:
        yield f"CHANGELOG.md: its newest version is {newest[0]}, not {version} of pyproject.toml"
    if newest is not None and not _DAY.fullmatch(newest[1]):
        yield f"CHANGELOG.md: write the heading as ## [{newest[0]}] - YYYY-MM-DD"
    if tag is None:
        return
    if tag != f"v{version}":
        yield f"tag {tag}: the version of pyproject.toml is {version}, so it has to be v{version}"
    if newest is None:
        yield f"CHANGELOG.md: rename {_UNRELEASED} to ## [{version}] - YYYY-MM-DD"
    if sections[0][2].strip():
        yield f"CHANGELOG.md: {_UNRELEASED} has entries: move them to the section of {version}"


def problems_of_wheel(wheel: Path, project: dict[str, Any]) -> Iterator[str]:
    """Yield what is wrong with the wheel: its names, its metadata, its extras, its files."""
    version = project["version"]
    if not wheel.name.startswith(f"{project['name']}-{version}-"):
        yield f"{wheel.name}: not of version {version}"
    with zipfile.ZipFile(wheel) as archive:
        files = archive.namelist()
        (path,) = (name for name in files if name.endswith(".dist-info/METADATA"))
        metadata = Parser().parsestr(archive.read(path).decode())
    wanted = {
        "Version": version,
        "Requires-Python": project["requires-python"],
        "License-Expression": project["license"],
        "Description-Content-Type": "text/markdown",
    }
    for name, value in wanted.items():
        if metadata[name] != value:
            yield f"{wheel.name}: {name} is {metadata[name]}, not {value}"
    yield from _problems_of_extras(wheel.name, metadata, project["optional-dependencies"])
    if "aiocake/py.typed" not in files:
        yield f"{wheel.name}: py.typed is missing"
    strange = {name.partition("/")[0] for name in files} - {"aiocake"}
    if any(not name.endswith(".dist-info") for name in strange):
        yield f"{wheel.name}: it has more than the package: {', '.join(sorted(strange))}"


def _problems_of_extras(
    wheel: str, metadata: Message, extras: dict[str, list[str]]
) -> Iterator[str]:
    if set(metadata.get_all("Provides-Extra") or ()) != set(extras):
        yield f"{wheel}: its extras are not those of pyproject.toml"
    required = [str(each) for each in metadata.get_all("Requires-Dist") or ()]
    for extra, wanted in extras.items():
        marked = {
            _name(each) for each in required if re.search(rf"extra == ['\"]{extra}['\"]", each)
        }
        # An extra that names another one, of this package, brings what that brings.
        missing = {_name(each) for each in wanted} - marked - {"aiocake"}
        if missing:
            yield f"{wheel}: extra {extra} does not require {', '.join(sorted(missing))}"


def _name(requirement: str) -> str:
    return re.split(r"[^\w.-]", requirement, maxsplit=1)[0]


def problems_of_source(archive: Path, project: dict[str, Any]) -> Iterator[str]:
    """Yield what is missing in the source archive."""
    folder = f"{project['name']}-{project['version']}"
    with tarfile.open(archive) as opened:
        files = set(opened.getnames())
    for name in (f"{folder}/{each}" for each in _IN_SOURCE):
        if name not in files:
            yield f"{archive.name}: {name} is missing"


def tag_of_head() -> str | None:
    """Return the version tag of the commit; None if it has none, or this is no clone."""
    command = ["git", "-C", str(ROOT), "tag", "--points-at", "HEAD", "v*"]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    return found.stdout.split()[0] if found.stdout.split() else None


def main(dist: Path, tag: str | None) -> int:
    """Print what is wrong; return 1 if anything is."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (wheel,), (source,) = dist.glob("*.whl"), dist.glob("*.tar.gz")
    tag = tag or tag_of_head()
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    wrong = [
        *problems_of_changelog(changelog, project["version"], tag),
        *problems_of_wheel(wheel, project),
        *problems_of_source(source, project),
    ]
    for line in wrong:
        print(f"release-check: {line}", file=sys.stderr)
    if not wrong:
        print(f"release-check: {wheel.name} and {source.name} are as they should be", end=" ")
        print(f"for {tag}" if tag else "(there is no tag: not for a release)")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else None))
