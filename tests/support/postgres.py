"""PostgreSQL and PgBouncer of the tests' own: on free ports, in temporary folders, unprivileged.

Debian has both: ``apt-get install postgresql pgbouncer``. Tests that need one that is not there are
skipped.
"""

import contextlib
import getpass
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs
import psycopg

from .scripted import free_port

#: Where Debian keeps what it does not put on the path.
_PLACES = ("/usr/lib/postgresql", "/usr/sbin", "/usr/local/bin")
#: Seconds after which a server is given up.
_PATIENCE = 60.0


def program(name: str) -> str | None:
    """Return the path of a program of PostgreSQL's; None if it is not installed."""
    found = shutil.which(name) or shutil.which(name, path=os.pathsep.join(_PLACES))
    if found is None:
        versions = sorted(Path(_PLACES[0]).glob(f"*/bin/{name}"), reverse=True)
        found = str(versions[0]) if versions else None
    return found


#: Why tests are skipped; empty where all is there.
MISSING = "" if program("initdb") else "needs PostgreSQL: apt-get install postgresql"
NO_BOUNCER = "" if program("pgbouncer") else "needs PgBouncer: apt-get install pgbouncer"


def unprivileged() -> dict[str, Any]:
    """Return as whom a server is started: PostgreSQL refuses to be root."""
    if os.geteuid() != 0:
        return {}
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            found = pwd.getpwnam(name)
            return {"user": found.pw_uid, "group": found.pw_gid, "extra_groups": []}
    return {}


@contextmanager
def unprivileged_folder() -> Generator[Path]:
    """Make a folder of whom the servers are started as."""
    with tempfile.TemporaryDirectory(prefix="aiocake-pg-", ignore_cleanup_errors=True) as folder:
        who = unprivileged()
        if who:
            os.chown(folder, who["user"], who["group"])
        yield Path(folder)


@attrs.frozen
class Server:
    """A PostgreSQL that runs.

    Attributes:
        port: Where it listens, on the loopback interface.
        data: Its data.
        settings: What it was started with.
    """

    port: int
    data: Path
    settings: Mapping[str, str] = attrs.field(factory=dict[str, str])

    def conninfo(self, database: str = "postgres", user: str = "aiocake") -> str:
        """Return how to reach a database of it."""
        return f"host=127.0.0.1 port={self.port} dbname={database} user={user}"

    def connect(self, database: str = "postgres", **more: Any) -> "psycopg.Connection[Any]":  # noqa: ANN401 - psycopg's
        """Connect to it; each statement commits by itself."""
        return psycopg.connect(self.conninfo(database), autocommit=True, **more)

    def control(self, *arguments: str) -> None:
        """Start, stop or restart it, by ``pg_ctl``."""
        settings = {"port": str(self.port), "listen_addresses": "127.0.0.1", **self.settings}
        options = " ".join(f"-c {name}={value}" for name, value in settings.items())
        command = [str(program("pg_ctl")), "-D", str(self.data), "-w", "-t", f"{_PATIENCE:.0f}"]
        if arguments[0] != "stop":
            command += ["-o", f"{options} -c unix_socket_directories="]
        log = str(self.data / "server.log")
        subprocess.run(
            [*command, "-l", log, *arguments],
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=self.data.parent,
            **unprivileged(),
        )


@contextmanager
def server(**settings: str) -> Generator[Server]:
    """Run a PostgreSQL of one's own, whose superuser is ``aiocake``, without passwords."""
    with unprivileged_folder() as folder:
        data = folder / "data"
        initdb = [str(program("initdb")), "-D", str(data), "-U", "aiocake", "-A", "trust"]
        quick = ["--no-sync", "--no-locale", "-E", "UTF8"]
        subprocess.run(
            [*initdb, *quick],
            check=True,
            stdout=subprocess.DEVNULL,
            cwd=folder,
            **unprivileged(),
        )
        few = {"shared_buffers": "16MB", "autovacuum": "off", **settings}
        running = Server(free_port(), data, few)
        running.control("start")
        try:
            yield running
        finally:
            running.control("stop", "-m", "immediate")


@contextmanager
def bouncer(behind: Server) -> Generator[int]:
    """Run a PgBouncer before a server, with a pool for each transaction; yield its port."""
    with unprivileged_folder() as folder:
        port = free_port()
        user = getpass.getuser() if os.geteuid() else "postgres"
        (folder / "users").write_text(f'"aiocake" ""\n"{user}" ""\n', encoding="ascii")
        (folder / "bouncer.ini").write_text(
            f"[databases]\n* = host=127.0.0.1 port={behind.port}\n[pgbouncer]\n"
            f"listen_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n"
            f"auth_type = trust\nauth_file = {folder}/users\npool_mode = transaction\n"
            f"default_pool_size = 4\nserver_reset_query =\nlogfile = {folder}/log\n"
            "server_login_retry = 1\nignore_startup_parameters = extra_float_digits\n",
            encoding="ascii",
        )
        for file in folder.iterdir():
            file.chmod(0o644)
        command = [str(program("pgbouncer")), "-q", str(folder / "bouncer.ini")]
        with subprocess.Popen(command, cwd=folder, **unprivileged()) as running:
            try:
                _answers(port)
                yield port
            finally:
                running.terminate()


def _answers(port: int) -> None:
    ends = time.monotonic() + _PATIENCE
    while True:
        try:
            with socket.create_connection(("127.0.0.1", port), 1):
                return
        except OSError:
            if time.monotonic() > ends:
                raise
            time.sleep(0.02)
