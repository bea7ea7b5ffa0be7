"""How much is tried of what could be tried without an end."""

import os
from typing import Final

#: On a Python that is not the newest one: what is tried there shows that it runs there, too.
FEW: Final = os.environ.get("AIOCAKE_EXAMPLES") == "few"


def some(number: int) -> int:
    """Return the number, or a fifth of it where few are wanted."""
    return max(1, number // 5) if FEW else number
