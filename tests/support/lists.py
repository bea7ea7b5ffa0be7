"""A server of one list, with what CAKE's documents disagree on and what may happen meanwhile."""

from collections.abc import Callable, Sequence

import anyio.lowlevel
import attrs

from aiocake.paging import Pager, PageRequest

#: What happens to the rows before an answer.
Change = Callable[[list[int]], None]


@attrs.frozen
class Answer:
    """One page, as a fetch gives it."""

    items: tuple[int, ...]
    total_rows: int | None
    start_at_row: int


@attrs.define(kw_only=True)
class ListServer:
    """A list of row ids.

    ``total`` is "right", "missing", "page" (the count of the page itself) or by how many rows it
    is wrong. ``shorten(start, limit)`` is how many rows a page has, ``fail(start)`` its error.
    ``changes`` are applied one by one, each before the answer of that number (from 0).
    ``delays`` are how many turns of the event loop the answer of a request waits, cyclically.
    """

    rows: list[int]
    first_row: int = 0
    cap: int | None = None
    total: str | int = "right"
    ignores_start: bool = False
    ignores_limit: bool = False
    shorten: Callable[[int, int], int] = lambda _, row_limit: row_limit
    fail: Callable[[int], Exception | None] = lambda _: None
    changes: dict[int, Change] = attrs.field(factory=dict[int, Change])
    delays: Sequence[int] = (0,)
    requests: list[tuple[int, int]] = attrs.field(factory=list[tuple[int, int]])
    answers: list[Answer] = attrs.field(factory=list[Answer])
    active: int = 0
    most_active: int = 0
    anomalies: list[tuple[str, str, str]] = attrs.field(factory=list[tuple[str, str, str]])
    always: set[int] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.always = set(self.rows)

    async def fetch(self, ask: PageRequest) -> Answer:
        number = len(self.requests)
        self.requests.append((ask.start_at_row, ask.row_limit))
        self.active += 1
        self.most_active = max(self.most_active, self.active)
        try:
            for _ in range(self.delays[number % len(self.delays)]):
                await anyio.lowlevel.checkpoint()
            answer = self.answer(ask.start_at_row, ask.row_limit)
        finally:
            self.active -= 1
        await ask.on_response()
        return answer

    def answer(self, start_at_row: int, row_limit: int) -> Answer:
        change = self.changes.get(len(self.answers))
        if change is not None:
            change(self.rows)
            self.always &= set(self.rows)
        error = self.fail(start_at_row)
        if error is not None:
            raise error
        begin = 0 if self.ignores_start else max(start_at_row - self.first_row, 0)
        size = len(self.rows) if self.ignores_limit else self.shorten(start_at_row, row_limit)
        if self.cap is not None:
            size = min(size, self.cap)
        items = tuple(self.rows[begin : begin + size])
        self.answers.append(Answer(items, self._total_rows(items), start_at_row))
        return self.answers[-1]

    def _total_rows(self, items: tuple[int, ...]) -> int | None:
        match self.total:
            case "missing":
                return None
            case "page":
                return len(items)
            case int(wrong):
                return max(len(self.rows) + wrong, 0)
            case _:
                return len(self.rows)

    def pager(  # noqa: PLR0913 - as the Pager
        self,
        *,
        row_limit: int = 9,
        limit: int = 4,
        matches: Callable[[int], str | None] = lambda _: None,
        wrong_date: Callable[[int], str | None] | None = None,
        select: Callable[[int], bool] | None = None,
        adaptive: bool = False,
        fallback: int | None = None,
    ) -> Pager[int]:
        return Pager(
            self.fetch,
            row_id=lambda row: row,
            matches=matches,
            wrong_date=wrong_date,
            select=select,
            row_limit=row_limit,
            adaptive=adaptive,
            fallback=fallback,
            limit=limit,
            operation="invoices.find",
            anomaly=lambda operation, what, detail: self.anomalies.append(
                (operation, what, detail)
            ),
        )

    def reported(self) -> list[str]:
        return [what for _, what, _ in self.anomalies]
