"""Load parts of a package when one of their names is first used (PEP 562)."""

import sys
from collections.abc import Callable, Collection, Mapping
from importlib import import_module


def lazily(
    package: str, parts: Mapping[str, Collection[str]]
) -> tuple[Callable[[str], object], Callable[[], list[str]]]:
    """Return a package's ``__getattr__`` and its ``__dir__``.

    Type checkers must not see them, or any name would do: they read imports that never run.

    Args:
        package: The package's full name.
        parts: The names that each module of it provides, by the module's name within it.
    """
    namespace = vars(sys.modules[package])
    homes = {name: f"{package}.{part}" for part, names in parts.items() for name in names}

    def load(name: str) -> object:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = namespace[name] = getattr(import_module(homes[name]), name)
        return value

    return load, lambda: sorted({*namespace, *homes})
