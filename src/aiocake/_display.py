"""Format values for people: texts without hidden characters, amounts with their currency.

Names and notes are typed by CAKE's users. To a terminal an ESC in them is code, and everywhere a
right-to-left override lets a text read as another one.
"""

import re
import unicodedata
from collections.abc import Callable
from decimal import Decimal
from typing import Final

# Cc: ESC, BEL and the like. Cf: right-to-left overrides and what else is not seen. Zl, Zp: line
# ends that are none to a shell. Cs: half of a pair, which no encoding takes.
_UNSAFE: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
#: What joins letters and emoji: part of how names are written.
_JOINERS: Final = "\u200c\u200d"
_SUSPECT: Final = re.compile(r"[^\x20-\x7e]")


def escaped(text: str) -> str:
    r"""Return a text with everything that a terminal might obey escaped: ``\x1b``, ``\n``."""
    return rewritten(text, _written)


def rewritten(text: str, write: Callable[[str], str]) -> str:
    """Return a text with everything that a terminal might obey written in another way.

    Args:
        text: The text.
        write: Returns what to write for such a character.
    """
    if text.isascii() and text.isprintable():
        return text
    return _SUSPECT.sub(lambda match: write(match[0]) if _is_unsafe(match[0]) else match[0], text)


#: Currencies that are not counted in hundredths (ISO 4217, list one).
_PLACES: Final = {
    **dict.fromkeys(("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF"), 0),
    **dict.fromkeys(("UGX", "UYI", "VND", "VUV", "XAF", "XOF", "XPF"), 0),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
    **dict.fromkeys(("CLF", "UYW"), 4),
}


def places_of(currency: str | None) -> int:
    """Return how many decimal places amounts of a currency have: 2 if it is not known."""
    return _PLACES.get(currency or "", 2)


def money(amount: Decimal, currency: str | None) -> str:
    """Return an amount for people, with its currency if that is known."""
    return f"{amount_text(amount)} {currency or ''}".rstrip()


def amount_text(amount: Decimal) -> str:
    """Format an amount for people: v1 sends four decimal places, but two are mostly enough."""
    whole, _, digits = f"{amount:,f}".partition(".")
    digits = digits[:2] + digits[2:].rstrip("0")
    return f"{whole}{'.' if digits else ''}{digits}"


def _is_unsafe(character: str) -> bool:
    return unicodedata.category(character) in _UNSAFE and character not in _JOINERS


def _written(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
