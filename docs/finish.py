"""Finish the site that Zensical has built: texts for language models, and a look at what it loads.

    python docs/finish.py

writes ``site/llms.txt`` (https://llmstxt.org), a list of the pages with their first sentences;
``site/llms-full.txt``, all pages as one text; and each page as Markdown beside its HTML. Then it
refuses a site that loads anything from another host, and one whose reference lacks a public name.
``nox -s docs`` runs it.
"""

import re
import shutil
import sys
import tomllib
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[1]
DOCS: Final = ROOT / "docs"
#: What a browser loads by itself: not the links that people follow, nor names of XML's.
_LOADED: Final = re.compile(
    r"<(?!a\b)\w+\b[^>]*?\s(?:src|srcset|href|data)=[\"']?(?P<attribute>(?:https?:)?//[^\s\"'>]+)"
    r"|url\(\s*[\"']?(?P<style>(?:https?:)?//[^\s\"')]+)"
    r"|@import\s+[\"'](?P<sheet>(?:https?:)?//[^\"']+)"
)
#: An object of the package, whose docstring a page shows.
_OBJECT: Final = re.compile(r"^::: ([\w.]+)$", re.MULTILINE)
#: A name at the beginning of a module's list in tests/public_api.txt.
_TOP_LEVEL: Final = re.compile(r" {4}(?:class |def |async def )?(\w+)")
_NOT_IN_REFERENCE: Final = re.compile(
    r"^aiocake\.endpoints\.|^aiocake\.blocking\.(?!Client$|Pager|Pages|Exported|Reader|Ledger)"
    r"|\.(?:__version__|pytest_\w+|Any_|FaultName|Erase|Skip|\w+Text|PeriodMatch)$"
)
#: Relations that a browser does not load.
_NAMED_ONLY: Final = re.compile(r"rel=[\"']?(?:canonical|alternate|next|prev|author|license)")


def main() -> None:
    """Finish the site; end with a message if it loads something from another host."""
    project = tomllib.loads((ROOT / "zensical.toml").read_text("utf-8"))["project"]
    site = ROOT / project["site_dir"]
    overview: dict[str, list[str]] = {}
    texts: list[str] = []
    for section, title, page in menu(project["nav"]):
        text = (DOCS / page).read_text("utf-8")
        if names := _OBJECT.findall(text):  # what these are is in the package
            line = f"- [{title}]({page.removesuffix('.md')}/): {', '.join(names)}"
        else:
            line = f"- [{title}]({page}): {first_sentence(text)}"
            texts.append(text)
            shutil.copy(DOCS / page, site / page)
        overview.setdefault(section, []).append(line)
    head = f"# {project['site_name']}\n\n> {project['site_description']}\n"
    parts = [f"## {section}\n\n" + "\n".join(lines) + "\n" for section, lines in overview.items()]
    (site / "llms.txt").write_text("\n".join([head, *parts]), "utf-8")
    (site / "llms-full.txt").write_text("\n\n".join(texts), "utf-8")
    if missing := sorted(public_names() - documented_names(site)):
        sys.exit(f"in no page of docs/reference: {', '.join(missing)}")
    if foreign := [f"{file.relative_to(site)}: {host}" for file, host in loaded(site)]:
        sys.exit("loaded from another host: " + "; ".join(foreign))


def menu(entries: list[dict[str, Any]], section: str = "aiocake") -> Iterator[tuple[str, str, str]]:
    """Yield the section, the title and the file of each page, in the order of the menu."""
    for entry in entries:
        for title, target in entry.items():
            if isinstance(target, str):
                yield section, title, target
            else:
                yield from menu(target, title)


def first_sentence(text: str) -> str:
    """Return the first sentence of a page, without its links."""
    paragraph = " ".join(text.split("\n\n")[1].split())
    sentence = re.split(r"(?<=[.?]) (?=[A-Z`])", paragraph)[0]
    return re.sub(r"\[([^]]+)\]\([^)]*\)", r"\1", sentence)


def public_names() -> set[str]:
    """Return the public names, by the module that users import them from.

    The methods of the endpoints have a page of their own, api.md; types of arguments are shown
    where the arguments are.
    """
    found: set[str] = set()
    module = ""
    for line in (ROOT / "tests" / "public_api.txt").read_text("utf-8").splitlines():
        if not line.startswith(" "):
            module = line if line.startswith("aiocake") else ""
        elif module and (name := _TOP_LEVEL.match(line)):
            found.add(f"{module}.{name[1]}")
    return {each for each in found if not _NOT_IN_REFERENCE.search(each)}


def documented_names(site: Path) -> set[str]:
    """Return the names that the site has an anchor for: the inventory of mkdocstrings."""
    *_, packed = (site / "objects.inv").read_bytes().split(b"\n", 4)
    names = {line.split(" ")[0] for line in zlib.decompress(packed).decode().splitlines()}
    # What is a function has the name of its file besides.
    return names | {re.sub(r"\.(\w+)\.\1$", r".\1", each) for each in names}


def loaded(site: Path) -> Iterator[tuple[Path, str]]:
    """Yield what the files of a site load from other hosts."""
    for file in [*site.rglob("*.html"), *site.rglob("*.css"), *site.rglob("*.svg")]:
        for found in _LOADED.finditer(file.read_text("utf-8")):
            if not _NAMED_ONLY.search(found[0]):
                yield file, found["attribute"] or found["style"] or found["sheet"]


if __name__ == "__main__":
    main()
