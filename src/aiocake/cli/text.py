"""Texts of others, made safe for what shows them.

Names and notes are typed by CAKE's users. To a terminal an ESC in them is code, to a spreadsheet
a cell that begins with ``=`` is.
"""

import re
import unicodedata
from decimal import Decimal
from typing import Final

# Cc: ESC, BEL and the like. Cf: right-to-left overrides and what else is not seen. Zl, Zp: line
# ends that are none to a shell. Cs: half of a pair, which no encoding takes.
_UNSAFE: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
#: What joins letters and emoji: part of how names are written.
_JOINERS: Final = "\u200c\u200d"
_SUSPECT: Final = re.compile(r"[^\x20-\x7e]")

# OWASP's page "CSV Injection"; the wide forms are what spreadsheets in East Asia fold to these.
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")  # noqa: RUF001


def escaped(text: str) -> str:
    r"""Return a text with everything that a terminal might obey escaped: ``\x1b``, ``\n``."""
    if text.isascii() and text.isprintable():
        return text
    return _SUSPECT.sub(lambda match: _written(match[0]), text)


def escaped_json(text: str) -> str:
    """Return JSON in which these characters are JSON's own escapes, so that it means the same.

    Args:
        text: JSON without line ends of its own.
    """
    if text.isascii() and text.isprintable():
        return text
    return _SUSPECT.sub(lambda match: _written_in_json(match[0]), text)


def spreadsheet_text(text: str) -> str:
    """Return a text that no spreadsheet takes for a formula: an apostrophe goes before one."""
    return f"'{escaped(text)}" if text.startswith(_FORMULA) else escaped(text)


def money(amount: Decimal, currency: str | None) -> str:
    """Return an amount for people, with its currency if that is known."""
    return f"{amount:,f} {currency or ''}".rstrip()


def _is_unsafe(character: str) -> bool:
    return unicodedata.category(character) in _UNSAFE and character not in _JOINERS


def _written(character: str) -> str:
    if not _is_unsafe(character):
        return character
    return character.encode("unicode_escape").decode("ascii")


def _written_in_json(character: str) -> str:
    if not _is_unsafe(character):
        return character
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))
