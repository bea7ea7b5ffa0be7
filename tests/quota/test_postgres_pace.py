# ruff: noqa: ANN001 - what fixtures give is said where they are
"""The connection over which a quota in PostgreSQL is asked: ended, forked, and of a high number."""

import os

import pytest

from aiocake.bulk.postgres import Postgres
from aiocake.quota import QuotaRequest

ONE = QuotaRequest(member="a", turns=1)


def test_a_connection_that_the_server_has_ended_is_opened_anew(postgres_place) -> None:
    pace = Postgres(conninfo=postgres_place.conninfo()).pace("ended")
    pace.ask(ONE)
    assert pace._connection is not None
    pid = pace._connection.info.backend_pid
    with postgres_place.connect() as other:
        other.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
    assert pace.ask(ONE).admitted == 2
    pace.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork()")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_fork_leaves_the_connection_to_its_parent(postgres_place) -> None:
    pace = Postgres(conninfo=postgres_place.conninfo()).pace("forked")
    pace.ask(ONE)
    mine = pace._connection
    pid = os.fork()
    if not pid:  # pragma: no cover - the child
        pace.ask(ONE)
        pace.close()
        os._exit(pace._connection is mine)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert pace.ask(ONE).admitted == 3
    assert pace._connection is mine
    pace.close()


def test_a_process_with_many_open_files(postgres_place) -> None:
    resource = pytest.importorskip("resource", reason="needs a limit of open files")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 2048:
        pytest.skip("needs more than 1,024 open files: ulimit -n")
    resource.setrlimit(resource.RLIMIT_NOFILE, (2048, hard))
    files = [os.open(os.devnull, os.O_RDONLY) for _ in range(1100)]
    try:
        pace = Postgres(conninfo=postgres_place.conninfo()).pace("many")
        pace.ask(ONE)
        assert pace._connection is not None
        assert pace._connection.fileno() > 1024
        pace.close()
    finally:
        for file in files:
            os.close(file)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
