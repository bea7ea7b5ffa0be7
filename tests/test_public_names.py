"""What a public module says it offers is what it offers."""

import importlib
import pkgutil
from functools import partial
from inspect import isclass, isfunction, signature
from types import ModuleType
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
