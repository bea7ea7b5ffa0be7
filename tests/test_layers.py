"""The contracts between the layers are kept, and each of them catches what it is there for."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LINT_IMPORTS = "from importlinter.cli import lint_imports_command; lint_imports_command()"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def lint_imports(copy: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    # Before any installed aiocake comes the copy; its lines count for nobody's coverage.
    environment = {name: text for name, text in os.environ.items() if "COV" not in name}
    environment |= {"PYTHONPATH": str(copy / "src"), "COLUMNS": "200"}
    return subprocess.run(
        [sys.executable, "-c", LINT_IMPORTS, "--no-logo", "--no-cache", *arguments],
        cwd=copy,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_contracts_are_kept(copy: Path) -> None:
    result = lint_imports(copy)
    assert result.returncode == 0, result.stdout + result.stderr
    assert " 0 broken." in result.stdout


@pytest.mark.parametrize(
    ("contract", "module", "planted"),
    [
        pytest.param("layers", "_codec/planted", "import aiocake._transport", id="sideways"),
        pytest.param("layers", "models/planted", "from aiocake.client import Client", id="up"),
        pytest.param(
            "layers",
            "_transport/planted",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import aiocake._pipeline",
            id="up-for-types-only",
        ),
        pytest.param(
            "layers",
            "bulk/planted",
            "def f():\n    import aiocake._codec",
            id="sideways-late",
        ),
        pytest.param("layers", "paging/planted", "import aiocake.bulk", id="sideways-paging"),
        pytest.param(
            "operations",
            "_operations/parameters",
            "import aiocake._operations.operation",
            id="up-in-operations",
        ),
        pytest.param("layers", "planted", "", id="module-of-no-layer"),
        pytest.param("root", "_transport/planted", "from aiocake import Client", id="root"),
        pytest.param("root", "client", "import aiocake", id="root-from-above"),
        pytest.param("sandbox", "sandbox/planted", "import aiocake.errors", id="sandbox-errors"),
        pytest.param("root", "sandbox/planted", "from aiocake import Client", id="sandbox-root"),
        pytest.param(
            "endpoints-apart", "endpoints/planted", "import aiocake.endpoints.invoices", id="apart"
        ),
        pytest.param(
            "endpoints-apart",
            "endpoints/_bills",
            "import aiocake.endpoints.invoices",
            id="apart-below",
        ),
        pytest.param(
            "endpoints-abstract", "endpoints/planted", "import aiocake._codec", id="format"
        ),
        pytest.param(
            "endpoints-abstract", "endpoints/planted", "import aiocake._transport", id="network"
        ),
        pytest.param("libraries", "_transport/planted", "import tenacity", id="tenacity"),
        pytest.param("libraries", "client", "from httpx import Request", id="httpx"),
        pytest.param("libraries", "_pipeline/retry", "import httptools", id="httptools"),
        pytest.param("libraries", "_pipeline/retry", "import httpcore2", id="httpcore2"),
        pytest.param("extras", "_codec/planted", "from rich.table import Table", id="rich"),
        pytest.param("extras", "client", "import starlette", id="starlette"),
        pytest.param("extras", "tables", "import pyarrow", id="pyarrow"),
    ],
)
def test_a_violation_is_caught(copy: Path, contract: str, module: str, planted: str) -> None:
    file = copy / "src" / "aiocake" / f"{module}.py"
    with file.open("a", encoding="utf-8") as source:
        source.write(f"\n{planted}\n")
    result = lint_imports(copy, "--contract", contract)
    assert result.returncode == 1, result.stdout + result.stderr
    assert "1 broken." in result.stdout
    assert f"aiocake.{module.replace('/', '.')}" in result.stdout
