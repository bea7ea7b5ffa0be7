"""The arguments of an operation: what each is, and so how it is checked and written."""

from enum import Enum, StrEnum

import attrs


class ParameterKind(Enum):
    """What an argument is, and so how it is checked and written."""

    ID = "id"
    """A positive 32-bit integer."""
    ROW = "row"
    """A 32-bit integer of at least ``least``."""
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
        kind: What it is.
        required: Whether it must be given.
        erasable: Whether ERASE is allowed (texts and modified dates of v1).
        anything: Whether ANY is allowed and sent as 0 (the payment type of a filter).
        least: Of a row or a row limit: the lowest number.
        limit: Of a text: UTF-16 units at most. Of a row limit: the highest number.
        choices: Of a choice: the enum of its values.
        sensitive: Whether it holds names, notes or amounts, which errors and logs hide.
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
