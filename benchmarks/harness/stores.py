"""A Redis and a PostgreSQL of the benchmarks' own: on free ports, in temporary folders.

Debian has both: ``apt-get install redis-server postgresql``.
"""

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from benchmarks.harness.processes import Skipped

_POSTGRES: Final = "/usr/lib/postgresql"


def _program(name: str, package: str) -> str:
    newest = sorted(Path(_POSTGRES).glob(f"*/bin/{name}"), reverse=True)
    found = shutil.which(name) or (str(newest[0]) if newest else None)
    if found is None:
        raise Skipped(f"needs {name}: apt-get install {package}")
    return found


def _unprivileged() -> dict[str, Any]:
    """Return as whom a server is started: PostgreSQL refuses to be root."""
    if os.geteuid() == 0:
        for name in ("postgres", "nobody"):
            with contextlib.suppress(KeyError):
                found = pwd.getpwnam(name)
                return {"user": found.pw_uid, "group": found.pw_gid, "extra_groups": []}
    return {}


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        if who := _unprivileged():
            os.chown(folder, who["user"], who["group"])
        yield Path(folder)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def redis_server() -> Iterator[str]:
    """Run a Redis that keeps nothing on the disk; yield its URL."""
    command = [_program("redis-server", "redis-server"), "--bind", "127.0.0.1", "--save", ""]
    port = _free_port()
    with (
        _folder() as folder,
        subprocess.Popen(  # noqa: S603 - the server
            [*command, "--port", str(port)],
            cwd=folder,
            stdout=subprocess.PIPE,
            text=True,
            **_unprivileged(),
        ) as process,
    ):
        try:
            assert process.stdout is not None
            while "Ready to accept connections" not in (line := process.stdout.readline()):
                assert line, "redis-server has ended"
            yield f"redis://127.0.0.1:{port}/0"
        finally:
            process.terminate()


@contextmanager
def postgres_server() -> Iterator[str]:
    """Run a PostgreSQL as it is set up by default; yield how to reach it."""
    initdb, control = (_program(name, "postgresql") for name in ("initdb", "pg_ctl"))
    port = _free_port()
    with _folder() as folder:
        who: dict[str, Any] = {"cwd": folder, "stdout": subprocess.DEVNULL, **_unprivileged()}
        data = str(folder / "data")
        subprocess.run(  # noqa: S603 - the server
            [initdb, "-D", data, "-U", "aiocake", "-A", "trust", "--no-sync"], check=True, **who
        )
        options = f"-c port={port} -c listen_addresses=127.0.0.1 -c unix_socket_directories="
        base = [control, "-D", data, "-w", "-l", str(folder / "log")]
        subprocess.run([*base, "-o", options, "start"], check=True, **who)  # noqa: S603 - the same
        try:
            yield f"host=127.0.0.1 port={port} dbname=postgres user=aiocake"
        finally:
            subprocess.run([*base, "-m", "immediate", "stop"], check=False, **who)  # noqa: S603 - the same
