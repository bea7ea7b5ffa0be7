"""Write the table of docs/testing.md from the faults that the sandbox plays.

    python docs/faults.py

replaces what is between the markers of the page. A test compares the two.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from reference import filled

from aiocake.sandbox import FAULTS

PAGE: Final = Path(__file__).with_name("testing.md")


def table() -> Iterator[str]:
    """Return the table of all faults."""
    yield "| fault | what the server does | a read | an update or mark | a create |"
    yield "|---|---|---|---|---|"
    for name, fault in FAULTS.items():
        ends = " | ".join(
            each if each == "done" else f"`{each}`"
            for each in (fault.read, fault.update, fault.create)
        )
        yield f"| `{name}` | {fault.about} | {ends} |"


def render(page: str) -> str:
    """Return the page with its generated part as it should be."""
    return filled(page, {"faults": table()})


if __name__ == "__main__":
    PAGE.write_text(render(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
