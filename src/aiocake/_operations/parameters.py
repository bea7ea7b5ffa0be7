"""The arguments of an operation: their kinds, by which they are checked and written."""

from enum import Enum, StrEnum

import attrs


class ParameterKind(Enum):
    """The kind of an argument, by which it is checked and written."""

    ID = "id"
    """A positive 32-bit integer."""
    ROW = "row"
    """A 32-bit integer of at least ``at_least``."""
    BYTE = "byte"
    """0 to 255; 0 stands for SKIP or ANY on the wire and is refused from a caller."""
    TEXT = "text"
    MONEY = "money"
    DATE = "date"
    MODIFIED_DATE = "modified date"
    """v1's pair of a date and its ``…_modification_type``."""
    MOMENT = "moment"
    """An aware datetime, written in UTC."""
    BOOL = "bool"
    CHOICE = "choice"


@attrs.frozen(kw_only=True)
class Parameter:
    """One argument of an operation.

    Attributes:
        name: CAKE's own name, on the wire and in Python.
        kind: The kind of its values.
        required: True if it must be passed.
        erasable: True if ERASE is allowed (texts and modified dates of v1).
        any_allowed: True if ANY is allowed and sent as 0 (the payment type of a filter).
        at_least: For a row or a row limit, the lowest number.
        limit: For a text, UTF-16 units at most; for a row limit, the highest number.
        choices: For a choice, the enum of its values.
        sensitive: True if it holds names, notes or amounts, which errors and logs hide.
    """

    name: str
    kind: ParameterKind
    required: bool = False
    erasable: bool = False
    any_allowed: bool = False
    at_least: int = 0
    limit: int | None = None
    choices: type[StrEnum] | None = None
    sensitive: bool = False
