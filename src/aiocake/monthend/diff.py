"""Compare two plans: rows that only one of them has, and rows that differ."""

from collections.abc import Iterator

import attrs

from aiocake.monthend.header import PlanHeader
from aiocake.monthend.plan import Plan
from aiocake.monthend.rows import OPERATIONS, PlanRow, identity_of


@attrs.frozen(kw_only=True)
class PlanDiff:
    """The differences between two plans.

    Attributes:
        header: The names of the fields of the header that differ; the times at which the plans
            were made and expire are not looked at.
        removed: The rows of the first plan that the second has not.
        added: The rows of the second plan that the first has not.
        changed: The rows for a record that both have, of which the call or what was true of the
            record is not the same: of the first plan, and of the second.
    """

    header: tuple[str, ...]
    removed: tuple[PlanRow, ...]
    added: tuple[PlanRow, ...]
    changed: tuple[tuple[PlanRow, PlanRow], ...]

    @classmethod
    def between(cls, first: Plan, second: Plan) -> "PlanDiff":
        """Return how a second plan differs from a first one.

        Args:
            first: The plan to compare with.
            second: The other one.
        """
        places = {_key(row): row.index for row in first.rows}
        added: list[PlanRow] = []
        changed: list[tuple[PlanRow, PlanRow]] = []
        for row in second.rows:
            place = places.pop(_key(row), None)
            if place is None:
                added.append(row)
            elif not _same(before := first.rows[place], row):
                changed.append((before, row))
        return cls(
            header=tuple(_differing(first.header, second.header)),
            removed=tuple(first.rows[place] for place in sorted(places.values())),
            added=tuple(added),
            changed=tuple(changed),
        )

    def __bool__(self) -> bool:
        return bool(self.header or self.removed or self.added or self.changed)


def _key(row: PlanRow) -> tuple[str, object]:
    return row.operation, identity_of(OPERATIONS[row.operation], row.arguments)


def _same(first: PlanRow, second: PlanRow) -> bool:
    return first.arguments == second.arguments and first.record == second.record


def _differing(first: PlanHeader, second: PlanHeader) -> Iterator[str]:
    for field in attrs.fields(PlanHeader):
        if field.name in {"created_at", "expires_at"}:
            continue
        if getattr(first, field.name) != getattr(second, field.name):
            yield field.name
