"""The findings of an examination so far."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from aiocake.doctor.diagnosis import Finding, Level
from aiocake.doctor.probe import CutShort
from aiocake.errors import AuthenticationError, CakeError, RateLimited, Restricted
from aiocake.traits import InstanceTraits


class Findings:
    """Collects findings and traits."""

    def __init__(self) -> None:
        self.all: list[Finding] = []
        self._traits: dict[str, Any] = {}
        self._honoured: set[str] = set()
        self._ignored: set[str] = set()

    def add(self, topic: str, level: Level, text: str, advice: str = "") -> None:
        """Add a finding."""
        self.all.append(Finding(topic, level, text, advice))

    def ok(self, topic: str, text: str, **traits: object) -> None:
        """Add a finding of what is as it should be, and the traits that it shows."""
        self.add(topic, Level.OK, text)
        self.know(**traits)

    def unknown(self, topic: str, text: str, advice: str = "") -> None:
        """Add a finding of what could not be determined."""
        self.add(topic, Level.UNKNOWN, text, advice)

    def know(self, **traits: object) -> None:
        """Take traits."""
        self._traits |= traits

    def filtered(self, name: str, *, honoured: bool) -> None:
        """Take note whether a parameter of the list is honoured."""
        (self._honoured if honoured else self._ignored).add(name)

    @property
    def has_problem(self) -> bool:
        """Return True if something was found that does not work."""
        return any(each.level is Level.PROBLEM for each in self.all)

    @property
    def ignored(self) -> frozenset[str]:
        """Return the parameters that were ignored."""
        return frozenset(self._ignored)

    @property
    def honoured(self) -> frozenset[str]:
        """Return the parameters that were honoured."""
        return frozenset(self._honoured)

    @property
    def traits(self) -> InstanceTraits:
        """Return the traits that are known."""
        return InstanceTraits(
            **self._traits, honoured_filters=self._honoured, ignored_filters=self._ignored
        )

    @contextmanager
    def looking_at(self, topic: str) -> Generator[None]:
        """Turn an error within the block into a finding of what could not be determined.

        Raises:
            CutShort: The instance takes no more calls.
        """
        error: CakeError | None = None
        try:
            yield
        except CakeError as met:
            error = met.with_traceback(None)
        if isinstance(error, AuthenticationError | RateLimited | Restricted):
            raise CutShort(error)
        if error is not None:
            self.unknown(topic, f"could not be determined: {error}")
