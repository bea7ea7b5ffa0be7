"""A Redis of the tests' own: on a free port, in a temporary folder, unprivileged.

Debian has it: ``apt-get install redis-server``. Tests that need it are skipped where it is not.
"""

import shutil
import signal
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, cast

import attrs
import redis

from .postgres import unprivileged, unprivileged_folder
from .scripted import free_port

#: Why tests are skipped; empty where it is there.
MISSING = "" if shutil.which("redis-server") else "needs Redis: apt-get install redis-server"


@attrs.define
class RedisServer:
    """A Redis that runs, and can be stopped and started again.

    Attributes:
        port: Where it listens, on the loopback interface.
        home: Its folder.
    """

    port: int
    home: str
    process: "subprocess.Popen[Any] | None" = None

    @property
    def url(self) -> str:
        """Return where it is."""
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        process = self.process = subprocess.Popen(
            [
                str(shutil.which("redis-server")),
                "--port",
                str(self.port),
                "--bind",
                "127.0.0.1",
                "--dir",
                self.home,
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            **unprivileged(),
        )
        with redis.Redis(port=self.port) as client:
            while True:
                try:
                    cast("Any", client).ping()
                except redis.ConnectionError:
                    assert process.poll() is None, "redis-server has ended"
                else:
                    return

    def stop(self) -> None:
        """Stop it where it stands: it accepts connections, and answers nothing."""
        if self.process is not None:
            self.process.send_signal(signal.SIGSTOP)

    def kill(self) -> None:
        """Kill it."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()


@contextmanager
def redis_server() -> Generator[RedisServer]:
    """Run one."""
    with unprivileged_folder() as home:
        server = RedisServer(free_port(), str(home))
        server.start()
        try:
            yield server
        finally:
            server.kill()
