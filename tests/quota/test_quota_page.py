# ruff: noqa: ANN001 - the fixtures come from a conftest, whose types cannot be imported
"""The code of docs/quota.md runs as it stands, with either store."""

import re
from pathlib import Path
from typing import Any

import anyio
from psycopg.conninfo import conninfo_to_dict

from aiocake import Client
from aiocake.sandbox import Sandbox, serve

PAGE = Path(__file__).parents[2] / "docs" / "quota.md"


def test_the_examples_of_the_page(redis_place, postgres_place, monkeypatch) -> None:
    known = conninfo_to_dict(postgres_place.conninfo())
    names = {"host": "PGHOST", "port": "PGPORT", "dbname": "PGDATABASE", "user": "PGUSER"}
    for name, variable in names.items():
        monkeypatch.setenv(variable, str(known[name]))
    monkeypatch.setenv("REDIS_URL", redis_place.url)
    monkeypatch.setenv("CAKE_API_KEY", "SANDBOX-KEY")
    text = PAGE.read_text(encoding="utf-8")
    first, second, third = re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    found: dict[str, Any] = {}

    async def in_postgres() -> str | None:
        async with Client.from_env(throttle=found["throttle"]) as cake:
            await cake.invoices.page()
            return cake.stats().quota

    sandbox = Sandbox(invoices=5)
    with serve(sandbox) as url:
        monkeypatch.setenv("CAKE_DOMAIN", url)
        exec(compile(first, str(PAGE), "exec"), found)  # noqa: S102 - our own page
        anyio.run(found["work"])
        exec(compile(second, str(PAGE), "exec"), found)  # noqa: S102 - the same
        assert anyio.run(in_postgres) == "shared"
    assert len(sandbox.state.requests) == 2
    exec(compile(third, str(PAGE), "exec"), found)  # noqa: S102 - the same
    quotas = [found["quota_of"](f"tenant-{number}") for number in range(20)]
    assert len({quota.where for quota in quotas}) == len(found["SERVERS"])
