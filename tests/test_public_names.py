"""What a public module says it offers is what it offers."""

import importlib
import pkgutil
import re
from collections.abc import Iterator
from functools import partial
from inspect import cleandoc, getdoc, isclass, isfunction, signature
from types import FunctionType, ModuleType
from typing import TypeVar

import pytest

import aiocake

# Machinery: reached through the client and the command, imported by no user.
INTERNAL = {"cli", "endpoints"}
PUBLIC = [
    "aiocake",
    *(
        f"aiocake.{module.name}"
        for module in pkgutil.iter_modules(aiocake.__path__)
        if not module.name.startswith("_") and module.name not in INTERNAL
    ),
]


def defined_in(module: ModuleType) -> set[str]:
    """The public names of what the module, or a module inside it, defines."""
    homes = {name: getattr(thing, "__module__", None) or "" for name, thing in vars(module).items()}
    return {
        name
        for name, home in homes.items()
        if not name.startswith("_")
        and f"{home}.".startswith(f"{module.__name__}.")
        and not isinstance(getattr(module, name), TypeVar)
    }


@pytest.mark.parametrize("name", PUBLIC)
def test_all_says_what_the_module_offers(name: str) -> None:
    module = importlib.import_module(name)
    offered: list[str] = module.__all__
    assert [name for name in offered if not hasattr(module, name)] == []
    assert len(set(offered)) == len(offered)
    assert defined_in(module) - set(offered) == set()
    # An interpreter completes what dir() has, and shows the types by their names.
    assert set(offered) <= set(dir(module))
    for cls in filter(isclass, map(partial(getattr, module), offered)):
        for member in filter(None, (getattr(each, "fget", each) for each in vars(cls).values())):
            if isfunction(member) and not member.__name__.startswith("_"):
                signature(member, eval_str=True)


def functions_of(module: ModuleType) -> Iterator[FunctionType]:
    """Yield the public functions and methods of a module."""
    for thing in (getattr(module, name) for name in module.__all__):
        inside = vars(thing).items() if isclass(thing) else [("", thing)]
        for name, each in inside:
            function = getattr(each, "__func__", each)
            if isfunction(function) and not name.startswith("_"):
                yield function


# `testing` has fixtures, whose parameters are pytest's.
@pytest.mark.parametrize("name", [name for name in PUBLIC if name != "aiocake.testing"])
def test_docstrings_describe_all_arguments(name: str) -> None:
    for function in functions_of(importlib.import_module(name)):
        if not function.__module__.startswith("aiocake"):
            continue
        arguments = {*signature(function).parameters} - {"self", "cls"}
        _, _, rest = (getdoc(function) or "").partition("Args:\n")
        section = cleandoc(rest.partition("\n\n")[0])
        missing = {
            each for each in arguments if not re.search(rf"^\**{each}:", section, re.MULTILINE)
        }
        assert not missing, (function.__qualname__, missing)
