"""Python reads this first: a process of ``test_engines.py`` has no minutes to wait for a create.

On Python 3.12 and later, DBOS asks SQLite for milliseconds, which it can tell since 3.42.
"""

import sqlite3.dbapi2
import time
from typing import Any

import anyio

sleep = anyio.sleep
connect: Any = sqlite3.dbapi2.connect


async def short(seconds: float) -> None:
    await sleep(min(seconds, 0.1))


class Connection(sqlite3.Connection):
    def __init__(self, *arguments: Any, **more: Any) -> None:  # noqa: ANN401 - sqlite3's
        super().__init__(*arguments, **more)
        self.create_function("unixepoch", 1, lambda _: time.time())


anyio.sleep = short
if sqlite3.sqlite_version_info < (3, 42):
    sqlite3.dbapi2.connect = lambda *arguments, **more: connect(
        *arguments, **more, factory=Connection
    )
