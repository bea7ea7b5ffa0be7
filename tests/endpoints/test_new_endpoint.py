"""A list of v2 that this package does not have is a model, an operation and two short methods.

No page of CAKE's documents one that is missing, so the list of affiliates here is made up. What it
needs stands between the two rules below; codec, pipeline, paging, the command and the pages know
nothing of it.
"""

import importlib
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import assert_type

import attrs
import httpx
import pytest
import typer
from typer.main import get_command

from aiocake import ArgumentError, Client, ConsistencyError, Page, bulk, to_dict
from aiocake._operations.operation import Api, Endpoints, Operation, ResponseShape, executor_of
from aiocake._operations.parameters import Id
from aiocake.cli import catalogue, commands
from aiocake.cli.catalogue import CommandText
from aiocake.endpoints._paging import PAGING, paged
from aiocake.paging import Pager
from aiocake.records import Record
from aiocake.values import SKIP, Skip

from ..support.loops import both_loops  # noqa: F401 - what waits, and ends early

pytestmark = pytest.mark.anyio

# ------------------------------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class Affiliate(Record):
    """A partner who is paid."""

    affiliate_id: int
    affiliate_name: str | None = None
    account_status_id: int | None = None


FIND = Operation[Page[Affiliate]](
    name="affiliates.find",
    api=Api.V2,
    path="/api/2/affiliates.json",
    parameters=(Id("account_status_id"), *PAGING),
    shape=ResponseShape.PAGE,
    element="affiliates",
    model=Affiliate,
    echoed=("account_status_id",),
    documented_in="nowhere",
)


class Affiliates(Endpoints, operations=(FIND,)):
    """``client.affiliates``."""

    __slots__ = ()

    def find(
        self, *, account_status_id: int | Skip = SKIP, row_limit: int | Skip = SKIP
    ) -> Pager[Affiliate]:
        """Return every affiliate that matches.

        Args:
            account_status_id: Only those of this status.
            row_limit: Rows per page.
        """
        filters = {"account_status_id": account_status_id, "row_limit": row_limit}
        return paged(self._executor, FIND, filters, row_id=lambda row: row.affiliate_id)

    async def page(
        self,
        *,
        account_status_id: int | Skip = SKIP,
        start_at_row: int | Skip = SKIP,
        row_limit: int = 100,
    ) -> Page[Affiliate]:
        """Return one page."""
        return await self._call(
            FIND,
            account_status_id=account_status_id,
            start_at_row=start_at_row,
            row_limit=row_limit,
        )


TEXT = CommandText(
    "affiliates list",
    "affiliates.find",
    "List affiliates: all that match, or an error.",
    "--account-status-id 1",
    helps={"account_status_id": "Only affiliates of this status."},
)

# ------------------------------------------------------------------------------------------------

#: Affiliates 1 to 250; every other one is active.
ALL = [
    {"affiliate_id": number, "affiliate_name": f"n{number}", "account_status_id": 1 + number % 2}
    for number in range(1, 251)
]


class Server:
    """Serves the list in pages, and remembers what it was asked."""

    def __init__(self, *, filters: bool = True) -> None:
        self.filters = filters
        self.queries: list[dict[str, str]] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        assert request.method == "GET"
        assert request.url.path == FIND.path
        query = dict(request.url.params)
        assert query.pop("api_key") == "SANDBOX-KEY"
        self.queries.append(query)
        status = query.get("account_status_id")
        found = [
            row
            for row in ALL
            if not self.filters or status in {None, str(row["account_status_id"])}
        ]
        start = int(query.get("start_at_row", 0))
        rows = found[start : start + int(query["row_limit"])]
        body = {"request_status": "Success", "affiliates": rows, "total_rows": len(found)}
        return httpx.Response(200, json=body)

    @asynccontextmanager
    async def group(self) -> AsyncGenerator[Affiliates]:
        """Give the new group of a client of this server."""
        transport = httpx.MockTransport(self)
        async with Client("x.example", "SANDBOX-KEY", transport=transport) as cake:
            yield Affiliates(executor_of(cake.invoices))


async def test_the_list_is_read_whole_and_in_order() -> None:
    server = Server()
    async with server.group() as affiliates:
        found = await affiliates.find().collect()
    assert_type(found, list[Affiliate])
    assert list(map(to_dict, found)) == ALL
    # Neighbouring pages share a row. Those after the first are requested at once, in any order.
    first, *rest = [query.get("start_at_row") for query in server.queries]
    assert (first, sorted(rest)) == (None, ["100", "200"])
    assert {query["row_limit"] for query in server.queries} == {"101"}


async def test_its_filters_are_sent_and_compared() -> None:
    server = Server()
    async with server.group() as affiliates:
        found = await affiliates.find(account_status_id=2, row_limit=200).collect()
    assert [row.affiliate_id for row in found] == list(range(1, 251, 2))
    assert server.queries[0] == {"account_status_id": "2", "row_limit": "201"}
    server.filters = False
    async with server.group() as affiliates:
        with pytest.raises(ConsistencyError, match="account_status_id 2, not 1") as caught:
            await affiliates.find(account_status_id=1).collect()
    assert caught.value.operation == "affiliates.find"


async def test_a_page_is_one_request() -> None:
    server = Server()
    async with server.group() as affiliates:
        page = await affiliates.page(start_at_row=248, row_limit=10)
    assert [row.affiliate_id for row in page.items] == [249, 250]
    assert (page.total_rows, page.start_at_row) == (250, 248)
    assert server.queries == [{"start_at_row": "248", "row_limit": "10"}]


async def test_its_arguments_are_checked_before_anything_is_sent() -> None:
    server = Server()
    async with server.group() as affiliates:
        with pytest.raises(ArgumentError, match=r"account_status_id.*row_limit"):
            affiliates.find(account_status_id=0, row_limit=10_001)
        with pytest.raises(ArgumentError, match="find only reads"):
            bulk.call(affiliates.find)
    assert server.queries == []


def test_its_command_and_its_help_follow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(catalogue.OPERATIONS, FIND.name, FIND)
    monkeypatch.setitem(catalogue.GROUPS, "affiliates", "Affiliates.")
    monkeypatch.setattr(commands, "COMMANDS", (TEXT,))
    app = typer.Typer()
    commands.add_to(app)
    command = vars(vars(get_command(app))["commands"]["affiliates"])["commands"]["list"]
    helps = {each.name: each.help for each in command.params}
    assert helps["account_status_id"] == "Only affiliates of this status."
    # The first row of a page is the client's business, and there are no amounts to add up.
    assert {"row_limit", "limit", "form", "concurrency"} <= set(helps)
    assert {"start_at_row", "totals", "period"}.isdisjoint(helps)
    assert command.epilog == "Example: aiocake affiliates list --account-status-id 1"


def test_its_section_of_the_page_follows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "docs")
    reference = importlib.import_module("reference")
    method = reference.Method(FIND.name, Affiliates.find, FIND)
    lines = list(reference.details({FIND.name: method}))
    assert lines[0] == "### `affiliates.find`"
    assert "- Sends GET `/api/2/affiliates.json`: safe" in lines
    assert "| `account_status_id` | `int` | left out | Only those of this status. |" in lines
