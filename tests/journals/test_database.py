# ruff: noqa: ANN001 - the fixtures come from a conftest, whose types cannot be imported
"""Runs whose database fails under them: restarted at once, connections ended, commits lost."""

import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

import attrs
import psycopg
import pytest

from .ground import Ground
from .proxy import LosingProxy


@contextmanager
def meanwhile(work: Callable[[threading.Event], None]) -> Iterator[None]:
    """Do something in a thread until the block has ended."""
    over = threading.Event()
    thread = threading.Thread(target=work, args=(over,))
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def restarted(ground: Ground, dice: random.Random) -> Callable[[threading.Event], None]:
    def work(over: threading.Event) -> None:
        over.wait(dice.uniform(0.1, 0.6))
        ground.server.control("restart", "-m", "immediate")
        ground.seen["pg_ctl restart -m immediate"] += 1

    return work


def ended(ground: Ground, dice: random.Random) -> Callable[[threading.Event], None]:
    query = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE query LIKE %s"

    def work(over: threading.Event) -> None:
        with ground.server.connect() as connection:
            while not over.wait(dice.uniform(0.02, 0.15)):
                row = connection.execute(query, ['%"aiocake"%']).fetchone()
                assert row is not None
                ground.seen["backends ended"] += row[0]

    return work


@pytest.mark.parametrize("fault", [restarted, ended])
def test_the_server_ends_connections(
    ground: Ground, tally: Counter[str], times: int, backend: str, fault
) -> None:
    dice = random.Random(f"{backend} {fault.__name__}")  # noqa: S311 - no secret
    for _ in range(times):
        job = ground.job(backend, months=3, lease=dice.choice([1.0, 8.0]), limit=3)
        with meanwhile(fault(ground, dice)):
            found = ground.first.begin(job)
        assert found.get("complete"), found
        tally["runs"] += 1
        tally["runs that were lost and taken again"] += bool(found["lost"])
        ground.count(job)


def test_the_answer_of_a_commit_is_lost(
    ground: Ground, tally: Counter[str], times: int, backend: str
) -> None:
    port = int(
        psycopg.conninfo.conninfo_to_dict(ground.conninfo or ground.server.conninfo())["port"]
    )
    with closing(LosingProxy(port, backend)) as proxy:
        conninfo = f"host=127.0.0.1 port={proxy.port} dbname=postgres user=aiocake"
        for _ in range(times):
            job = attrs.evolve(ground.job(backend, months=3, lease=8.0), conninfo=conninfo)
            found = ground.first.begin(job)
            assert found.get("complete"), found
            ground.count(job)
            tally["runs"] += 1
    assert proxy.met["answer lost"]
    tally.update({f"commits: {what}": number for what, number in proxy.met.items()})
