"""Use the installed package as a stranger does. Run by the ``package`` check, not by pytest.

Its one argument is the extra that was installed beside the core: "", "sandbox", "cli" or "otel".
"""

import importlib
import pkgutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
# What each installation can import beyond the core ("cli" brings "sandbox").
PARTS = {"": set(), "sandbox": {"sandbox"}, "cli": {"cli", "sandbox"}, "otel": {"otel"}}
FOREIGN = {
    "click",
    "httpx",
    "httpx2",
    "hypothesis",
    "opentelemetry",
    "pytest",
    "rich",
    "starlette",
    "trio",
    "typer",
    "uvicorn",
}


def check(holds: object, claim: str) -> None:
    """End with the claim when it does not hold."""
    if not holds:
        sys.exit(f"smoke test: not so: {claim}")


def check_import() -> None:
    """The package is the installed one, has its type marker, and pulls in nothing it need not."""
    before = set(sys.modules)
    aiocake = importlib.import_module("aiocake")
    pulled = {name.partition(".")[0] for name in set(sys.modules) - before}
    check(not pulled & FOREIGN, f"import aiocake pulls in none of {sorted(pulled & FOREIGN)}")
    home = Path(aiocake.__file__).parent
    check(not home.is_relative_to(REPOSITORY), "the package comes from the wheel")
    check((home / "py.typed").is_file(), "the wheel has py.typed")
    check(aiocake.__version__ == metadata.version("aiocake"), "the version is the wheel's")
    missing = [name for name in aiocake.__all__ if not hasattr(aiocake, name)]
    check(not missing, f"aiocake offers {missing}")


def check_modules(extra: str) -> None:
    """Every module that this installation is meant to import can be imported."""
    aiocake = importlib.import_module("aiocake")
    absent = {"cli", "otel", "sandbox", "testing"} - PARTS[extra]
    # Of an extra that is not tried here: its module says what to install.
    without = {"aiocake.quota.redis"}
    count = 0
    for module in pkgutil.walk_packages(aiocake.__path__, "aiocake."):
        parts = module.name.split(".")
        wanted = parts[1] not in absent and module.name not in without
        if wanted and parts[-1] != "__main__":
            importlib.import_module(module.name)
            count += 1
    check(count, "the package has modules")


def check_wsdl() -> None:
    """The sandbox serves the WSDL of both pages, which are data files of the wheel."""
    httpx, sandbox = map(importlib.import_module, ("httpx", "aiocake.sandbox"))
    with sandbox.serve(sandbox.Sandbox(invoices=0, bills=0)) as url:
        for page in ("accounting", "get"):
            address = f"{url}/api/1/{page}.asmx"
            answer = httpx.get(f"{address}?WSDL", trust_env=False)
            check(f'location="{address}"' in answer.text, f"the wheel has the WSDL of {page}.asmx")


def check_command() -> None:
    """The command is on the path of its environment and says what it is."""
    command = Path(sys.executable).with_name("aiocake")
    for option, expected in (("--version", metadata.version("aiocake")), ("--help", "invoices")):
        result = subprocess.run([command, option], capture_output=True, text=True, check=False)
        check(result.returncode == 0, f"aiocake {option} ends well: {result.stderr}")
        check(expected in result.stdout, f"aiocake {option} says {expected!r}")


def check_otel() -> None:
    """The API alone records nothing, so nobody listens."""
    otel, events = map(importlib.import_module, ("aiocake.otel", "aiocake.events"))
    check(otel.listener() is events.ignore, "aiocake.otel costs nothing without an SDK")


def main() -> None:
    """Run what fits the extra."""
    extra = sys.argv[1]
    check_import()
    check_modules(extra)
    if "sandbox" in PARTS[extra]:
        check_wsdl()
    if extra == "cli":
        check_command()
    if extra == "otel":
        check_otel()


if __name__ == "__main__":
    main()
