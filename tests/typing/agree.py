"""Check tests/typing with ty and pyrefly: each finds an error where one is marked, and no other.

    python tests/typing/agree.py

mypy and pyright have their own comments in these files, and say themselves if one is not needed.
"""

import re
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
FILES = sorted(each for each in HERE.glob("*.py") if each.name != Path(__file__).name)
COMMANDS = {
    "ty": (
        *("ty", "check", "--exit-zero", "--output-format=concise", f"--python={sys.prefix}"),
        *("--config", "analysis.respect-type-ignore-comments=false"),
    ),
    "pyrefly": (
        *("pyrefly", "check", "--output-format=min-text", "--summary=none"),
        *(f"--config={HERE / 'pyrefly.toml'}", f"--python-interpreter-path={sys.executable}"),
    ),
}


def found(command: tuple[str, ...]) -> set[str]:
    """Return the lines in which a checker finds an error, as ``file:line``."""
    arguments = [*command, *map(str, FILES)]
    ran = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, check=False)
    lines = re.findall(r"(\w+\.py:\d+):\d+.*error|ERROR \S*?(\w+\.py:\d+):", ran.stdout)
    if not lines:
        sys.exit(f"{command[0]} ended with {ran.returncode}:\n{ran.stdout}{ran.stderr}")
    return {first or second for first, second in lines}


if __name__ == "__main__":
    marked = {
        f"{file.name}:{number}"
        for file in FILES
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1)
        if "# type: ignore[" in line
    }
    problems = [
        f"{name}: {what} in {', '.join(sorted(lines))}"
        for name, command in COMMANDS.items()
        for seen in [found(command)]
        for what, lines in (("no error", marked - seen), ("an error", seen - marked))
        if lines
    ]
    sys.exit("\n".join(problems) or 0)
