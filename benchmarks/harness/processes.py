"""The processes of a benchmark: a server, and one client process for each way that is measured."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

#: The last commit whose connections are httpcore2's.
COMMIT: Final = "7fe1fef"
BEFORE: Final = f"aiocake at {COMMIT}"
ROOT: Final = Path(__file__).parents[2]


class Failed(Exception):
    """A way that is measured failed, or answered with something else than it should have."""


class Skipped(Exception):
    """What a benchmark needs is not on this machine."""


class Worker:
    """A process that measures one way, whenever it is asked to.

    Each way has a process of its own, so that no library or event loop disturbs another; all of
    them live as long as the benchmark, so that their rounds can be interleaved.

    Args:
        function: What measures, as ``module:function``: takes and returns what JSON can hold.
        source: A folder whose packages come before those that are installed.
        fixed: Arguments of the function that stay the same.
    """

    def __init__(self, function: str, source: Path | None = None, **fixed: object) -> None:
        path = [str(source)] if source else []
        self._fixed = fixed
        self._name = str(fixed.get("opens", function))
        self._process = subprocess.Popen(  # noqa: S603 - ourselves
            [sys.executable, "-m", "benchmarks.harness.worker", function],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path), "PYTHONHASHSEED": "0"},
        )

    @property
    def pid(self) -> int:
        """Return the id of the process."""
        return self._process.pid

    def ask(self, **arguments: object) -> Any:  # noqa: ANN401 - whatever the function returns
        """Measure once."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps({**self._fixed, **arguments}) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        answer = json.loads(line or '{"failed": "its process ended"}')
        if "failed" in answer:
            raise Failed(f"{self._name}: {answer['failed']}")
        return answer["found"]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.terminate()
        self._process.communicate()


def once(function: str, **arguments: object) -> Any:  # noqa: ANN401 - as the function returns
    """Measure once, in a fresh process."""
    with Worker(function) as worker:
        return worker.ask(**arguments)


@contextmanager
def server(*arguments: str, tls: "Certificates | None" = None) -> Iterator[str]:
    """Run a server; yield its URL."""
    command = [sys.executable, "-m", "benchmarks.harness.server", *arguments]
    command += ["--tls", str(tls.server)] if tls else []
    with subprocess.Popen(  # noqa: S603 - ourselves
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as process:
        try:
            assert process.stdout is not None
            port = process.stdout.readline().strip()
            if not port:
                raise Failed("the server did not start")
            yield f"{'https' if tls else 'http'}://127.0.0.1:{port}"
        finally:
            process.terminate()


class Certificates:
    """A certificate of a server of the benchmarks, and of the authority that signed it."""

    def __init__(self, folder: Path) -> None:
        import trustme  # noqa: PLC0415 - only where TLS is measured

        authority = trustme.CA()
        self.authority = folder / "authority.pem"
        self.server = folder / "server.pem"
        authority.cert_pem.write_to_path(self.authority)
        authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(self.server)


@contextmanager
def certificates() -> Iterator[Certificates]:
    """Yield certificates that exist as long as this is open."""
    with tempfile.TemporaryDirectory() as folder:
        yield Certificates(Path(folder))


@contextmanager
def source_at(commit: str) -> Iterator[Path]:
    """Yield a folder with the package as it was at a commit."""
    with tempfile.TemporaryDirectory() as folder:
        git = ["git", "-C", str(ROOT), "archive", commit, "src"]
        try:
            archive = subprocess.run(git, check=True, capture_output=True)  # noqa: S603 - git
        except (OSError, subprocess.CalledProcessError) as error:
            raise Failed(f"this needs the history of the repository, with {commit}") from error
        subprocess.run(  # noqa: S603 - what git gave
            ["tar", "-x", "-C", folder],  # noqa: S607 - the system's
            input=archive.stdout,
            check=True,
        )
        yield Path(folder) / "src"
