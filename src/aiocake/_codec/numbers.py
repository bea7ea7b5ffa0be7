"""Parse the numbers of responses: exact, bounded, and in ASCII digits only.

``Decimal()`` takes more than a number of a response may be: ``NaN``, ``1_000``, spaces, the digits
of every script, and an exponent of a million.
"""

import re
from decimal import Decimal
from typing import Final

#: As many digits as .NET's decimal always keeps; of an exponent, as far either way.
MAX_DIGITS: Final = 28
#: What most amounts are: within all bounds, without a further look.
_PLAIN: Final = re.compile(r"-?[0-9]{1,14}(?:\.[0-9]{1,14})?")
#: True of a text of which ``Decimal`` makes just what :func:`parse_decimal` does.
is_plain: Final = _PLAIN.fullmatch
_NUMBER: Final = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,4})?")
_INTEGER: Final = re.compile(r"[+-]?[0-9]+")
#: Leading zeros are no digits of a number; that many are nonsense.
_LONGEST: Final = 3 * MAX_DIGITS


def parse_decimal(text: str) -> Decimal:
    """Return the number that a text is.

    Args:
        text: Digits with a sign, a point and an exponent, where it has them.

    Raises:
        ValueError: It is no number, or has over 28 digits or an exponent beyond 28.
    """
    if is_plain(text):
        return Decimal(text)
    if len(text) > _LONGEST or _NUMBER.fullmatch(text) is None:
        raise ValueError("is not a number of at most 28 digits")
    number = Decimal(text)
    _, digits, exponent = number.as_tuple()
    if not isinstance(exponent, int) or len(digits) > MAX_DIGITS or abs(exponent) > MAX_DIGITS:
        raise ValueError("has over 28 digits or an exponent beyond 28")
    return number


def parse_int(text: str) -> int:
    """Return the integer that a text is.

    Raises:
        ValueError: It is none, or has over 28 digits.
    """
    # Most are short, without a sign, and need no pattern.
    plain = len(text) <= MAX_DIGITS and text.isascii() and text.isdigit()
    if not plain and (len(text.lstrip("+-")) > MAX_DIGITS or _INTEGER.fullmatch(text) is None):
        raise ValueError("is not an integer of at most 28 digits")
    return int(text)
