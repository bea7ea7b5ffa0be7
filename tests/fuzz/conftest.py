"""What is fuzzed, as modules, and damage that is done to what they are given."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

FUZZ = Path(__file__).parents[2] / "fuzz"


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"fuzz_{name}", FUZZ / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def targets() -> ModuleType:
    """Each takes bytes, and raises nothing."""
    return load("targets")


@pytest.fixture(scope="session")
def seeds() -> ModuleType:
    """What they begin with."""
    return load("seeds")
