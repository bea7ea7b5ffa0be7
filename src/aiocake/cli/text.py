"""Make texts of others safe for terminals and spreadsheets.

Names and notes are typed by CAKE's users. To a terminal an ESC in them is code, to a spreadsheet
a cell that begins with ``=`` is.
"""

from typing import Final

from aiocake import _display

# OWASP's page "CSV Injection"; the wide forms are what spreadsheets in East Asia fold to these.
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")  # noqa: RUF001


escaped: Final = _display.escaped
money: Final = _display.money


def escaped_json(text: str) -> str:
    """Return JSON in which these characters are JSON's own escapes, so that it means the same.

    Args:
        text: JSON without line ends of its own.
    """
    return _display.rewritten(text, _written_in_json)


def spreadsheet_text(text: str) -> str:
    """Return a text that no spreadsheet takes for a formula: an apostrophe goes before one."""
    return f"'{escaped(text)}" if text.startswith(_FORMULA) else escaped(text)


def _written_in_json(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))
