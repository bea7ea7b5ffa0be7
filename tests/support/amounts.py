"""How much is tried of what could be tried without an end."""

import os
from typing import Final

#: "few": on a Python that is not the newest one, to show that it runs there, too. "many": in the
#: session that is about nothing else.
AMOUNT: Final = os.environ.get("AIOCAKE_EXAMPLES", "")


def some(number: int) -> int:
    """Return the number, a fifth of it where few are wanted, or ten times of it where many are."""
    if AMOUNT == "few":
        return max(1, number // 5)
    return number * 10 if AMOUNT == "many" else number
