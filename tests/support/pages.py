"""README.md and the pages of docs/, and their blocks of code as Sybil finds them."""

from pathlib import Path
from typing import Final

from sybil import Document, Example, Region
from sybil.parsers.markdown.lexers import FencedCodeBlockLexer

ROOT: Final = Path(__file__).parents[2]
DOCS: Final = ROOT / "docs"
#: All pages that users read, by their path in the repository.
PAGES: Final = ("README.md", *(str(page.relative_to(ROOT)) for page in sorted(DOCS.rglob("*.md"))))

_LEXER: Final = FencedCodeBlockLexer(r"\w+", mapping={"language": "language", "source": "source"})


def _regions(document: Document) -> list[Region]:
    regions = list(_LEXER(document))
    for region in regions:
        region.parsed = region.lexemes["source"]
    return regions


def blocks(page: str, *languages: str) -> list[Example]:
    """Return the blocks of a page in these languages, in their order.

    Each knows its line, so that a traceback leads to it.
    """
    document = Document.parse(str(ROOT / page), _regions, encoding="utf-8")
    return [each for each in document.examples() if each.region.lexemes["language"] in languages]


def language(block: Example) -> str:
    """Return the language of a block."""
    return str(block.region.lexemes["language"])


def source(block: Example) -> str:
    """Return the code of a block, below as many empty lines as stand above it in its page."""
    above: int = block.line + block.parsed.line_offset
    return "\n" * above + str(block.parsed)
