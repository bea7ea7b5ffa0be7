"""A list of v2 and an export of v1 that the sandbox does not have need only what is theirs."""

from collections.abc import Callable
from xml.etree import ElementTree as ET

import httpx
import pytest

from aiocake.sandbox import Dialect, Partner, Sandbox, State, v2
from aiocake.sandbox.messages import Json, dump
from aiocake.sandbox.v1 import handlers
from aiocake.sandbox.v1 import operations as v1
from aiocake.sandbox.v1.parameter_types import INT
from aiocake.sandbox.v1.schema import CAKE, Leaf, Struct
from aiocake.sandbox.v2 import Arguments, integer

pytestmark = pytest.mark.anyio

Connect = Callable[[Sandbox], httpx.AsyncClient]
FIRST = 67_890


def affiliates(self: v2.V2, sent: Arguments) -> dict[str, Json]:
    """Return a page of affiliates."""

    def select(known: Arguments) -> list[Partner]:
        wanted = integer(known, "affiliate_id")
        return self.state.affiliates.select(
            wanted, lambda affiliate: wanted in {None, affiliate.partner_id}
        )

    def write(affiliate: Partner) -> str:
        return dump({"affiliate_id": affiliate.partner_id, "affiliate_name": affiliate.name})

    return self.page(sent, "affiliates", select, write)


async def test_a_list_of_v2_needs_its_filters_and_its_fields(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(v2.OPERATIONS, "affiliates", ("GET", affiliates))  # type: ignore[arg-type] # a dict
    sandbox = Sandbox(dialect=Dialect(first_row=1, row_cap=3))
    names = {each.partner_id: each.name for each in sandbox.state.affiliates.values()}
    expected = [{"affiliate_id": number, "affiliate_name": names[number]} for number in names]
    async with connect(sandbox) as client:
        path, query = "/api/2/affiliates.json", dict(client.params)
        page = await client.get(path, params=query | {"start_at_row": 2, "row_limit": 9})
        one = await client.get(path, params=query | {"affiliate_id": FIRST + 1})
        bad = await client.get(path, params=query | {"affiliate_id": "x"})
    assert page.json() == {
        "request_status": "Success",
        "affiliates": expected[1:4],
        "total_rows": len(names),
    }
    assert one.json()["affiliates"] == expected[1:2]
    assert bad.json() == {"request_status": "Error", "message": "Invalid affiliate_id"}


def export_affiliates(state: State, arguments: handlers.Arguments) -> handlers.Rows:
    """Return affiliates, all where the id is 0."""
    wanted = arguments["affiliate_id"]
    found = state.affiliates.select(wanted, lambda each: wanted in {0, each.partner_id})
    rows = ({"affiliate_id": each.partner_id, "affiliate_name": each.name} for each in found)
    return len(found), rows


async def test_an_export_of_v1_needs_its_parameters_its_filters_and_its_fields(
    sandbox: Sandbox, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    item = Struct("affiliate", (Leaf("affiliate_id", "int"), Leaf("affiliate_name")))
    operation = v1._export(
        "ExportAffiliates", "affiliates", item, v1.Parameter("affiliate_id", INT)
    )
    monkeypatch.setitem(v1.OPERATIONS, operation.name, operation)
    monkeypatch.setitem(handlers._EXPORTS, "affiliates", export_affiliates)  # type: ignore[arg-type] # a dict
    path = "/api/1/accounting.asmx/ExportAffiliates"
    async with connect(sandbox) as client:
        query = dict(client.params)
        one = await client.get(path, params=query | {"affiliate_id": FIRST})
        twice = await client.get(path, params=query | {"affiliate_id": FIRST})
        none = await client.get(path, params=query | {"affiliate_id": 1})
    root = ET.fromstring(one.text)  # noqa: S314 - the sandbox's own response
    assert root.tag == f"{{{CAKE}}}export_affiliates_accounting_response"
    assert [(each.tag.rpartition("}")[2], each.text) for each in root.iter()][1:] == [
        ("success", "true"),
        ("row_count", "1"),
        ("affiliates", None),
        ("affiliate", None),
        ("affiliate_id", str(FIRST)),
        ("affiliate_name", sandbox.state.affiliates[FIRST].name),
    ]
    assert twice.text == one.text
    assert "<row_count>0</row_count><affiliates />" in none.text
