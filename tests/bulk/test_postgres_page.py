# ruff: noqa: ANN001 - the fixtures come from a conftest, whose types cannot be imported
"""The code of docs/postgres.md runs as it stands."""

import re
from pathlib import Path
from typing import Any

import pytest
from psycopg.conninfo import conninfo_to_dict

from aiocake import Client, bulk
from aiocake.bulk.postgres import Postgres
from aiocake.sandbox import Sandbox, serve

from ..support.loops import one_loop

pytestmark = pytest.mark.anyio
__all__ = ["one_loop"]

PAGE = Path(__file__).parents[2] / "docs" / "postgres.md"


async def test_the_examples_of_the_page(postgres, monkeypatch: pytest.MonkeyPatch) -> None:
    known = conninfo_to_dict(postgres.conninfo())
    names = {"host": "PGHOST", "port": "PGPORT", "dbname": "PGDATABASE", "user": "PGUSER"}
    for name, variable in names.items():
        monkeypatch.setenv(variable, str(known[name]))
    await Postgres().migrate()
    with postgres.connect() as connection:
        connection.execute("CREATE TABLE payout (id bigint, approved boolean)")
        connection.execute("INSERT INTO payout VALUES (4821, false)")
    sandbox = Sandbox(invoices=30)
    sandbox.state.invoices[4821].invoice_status = "pending"
    text = PAGE.read_text(encoding="utf-8")
    found: dict[str, Any] = {
        "plan": lambda cake: [bulk.call(cake.invoices.update, 4822, memo="x")],
    }
    with serve(sandbox) as url:
        monkeypatch.setenv("CAKE_DOMAIN", url)
        monkeypatch.setenv("CAKE_API_KEY", "SANDBOX-KEY")
        for code in re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
            exec(compile(code, str(PAGE), "exec"), found)  # noqa: S102 - our own page
        assert (await found["january"]()).complete
        async with Client(url, "SANDBOX-KEY") as cake:
            with postgres.connect() as connection:
                (remove,) = re.findall(r"^```sql\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
                connection.execute(remove)
                for table in ("run", "log", "session", "call"):
                    left = connection.execute(f"SELECT count(*) FROM aiocake.{table}")  # noqa: S608 - ours
                    assert left.fetchone() == (0,)
            await found["approve"](cake, [4821])
            assert (await bulk.resume(found["books"].run("payouts-2024-01"), cake)).complete
    assert sandbox.state.invoices[4821].invoice_status == "approved"
    with postgres.connect() as connection:
        assert connection.execute("SELECT approved FROM payout").fetchone() == (True,)
        connection.execute("DROP TABLE payout; DROP SCHEMA aiocake CASCADE")
