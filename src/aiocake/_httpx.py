"""The transports of others that a client takes in place of its own: those of httpx, and of httpx2.

The two packages have the same names and different classes. Neither is loaded here: who gives a
transport of one has loaded it.
"""

import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any, Final, Protocol

_PACKAGES: Final = ("httpx", "httpx2")


class AsyncBaseTransport(Protocol):
    """A transport of httpx or httpx2, such as their ``MockTransport`` or ``ASGITransport``."""

    async def handle_async_request(self, request: Any, /) -> Any:  # noqa: ANN401 - of either package
        """Return the response to a request of the same package."""
        ...

    async def aclose(self) -> None:
        """Close what it has opened."""
        ...


def loaded_packages() -> Iterator[ModuleType]:
    """Yield those of the packages that the process has loaded."""
    for name in _PACKAGES:
        package = sys.modules.get(name)
        if package is not None:
            yield package


def package_of(transport: object) -> ModuleType | None:
    """Return the package whose transport something is; None if it is none."""
    for package in loaded_packages():
        if isinstance(transport, package.AsyncBaseTransport):
            return package
    return None
