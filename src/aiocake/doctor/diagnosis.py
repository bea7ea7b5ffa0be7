"""The result of an examination, as plain values."""

from datetime import datetime
from enum import StrEnum

import attrs

from aiocake.errors import CakeError
from aiocake.traits import InstanceTraits


class Level(StrEnum):
    """The severity of a finding."""

    OK = "ok"
    """Works as it should, or is handled by the SDK."""
    UNKNOWN = "unknown"
    """Could not be determined."""
    WARNING = "warning"
    """Works, with a limitation or risk to know about."""
    PROBLEM = "problem"
    """Does not work."""


@attrs.frozen
class Finding:
    """The result of one check.

    Attributes:
        topic: What was looked at, such as ``"key"``.
        level: How it is to be taken.
        text: What was found.
        advice: What to do; empty if nothing is to be done.
    """

    topic: str
    level: Level
    text: str
    advice: str = ""


@attrs.frozen(kw_only=True)
class Diagnosis:
    """The result of an examination.

    Attributes:
        domain: The instance.
        at: When the examination began.
        findings: What was found, in the order of the examination.
        traits: What the instance does.
        requests: How many requests were sent.
        seconds: How long it took.
        error: The error that ended the examination before its end; None if nothing did.
    """

    domain: str
    at: datetime
    findings: tuple[Finding, ...]
    traits: InstanceTraits
    requests: int
    seconds: float
    error: CakeError | None = None

    @property
    def problems(self) -> tuple[Finding, ...]:
        """Return the findings of what does not work."""
        return tuple(each for each in self.findings if each.level is Level.PROBLEM)
