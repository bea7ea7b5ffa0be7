"""Records that are made in two steps: filled while they are not frozen, then set to their class."""

from typing import Any, Final

#: Both of them, or CPython looks the method up for each field that is set.
_METHODS: Final = {name: getattr(object, name) for name in ("__setattr__", "__delattr__")}


def unfrozen(model: type[Any], name: str, **body: object) -> Any:  # noqa: ANN401 - a class made here
    """Return a class that is laid out as a model and not frozen.

    Its instances become the model's once their ``__class__`` is set. It is a subclass, so that
    CPython, which compares the layouts each time, finds at once that they are the same.
    """
    return type(name, (model,), {"__slots__": (), **_METHODS, **body})
