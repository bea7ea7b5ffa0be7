"""The command in this process, as a process of its own, and on a terminal; a sandbox for it."""

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import threading
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress

import anyio
import attrs
import pytest
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from aiocake.cli.app import run
from aiocake.cli.signals import SIGNALS
from aiocake.sandbox import RecordedRequest, Sandbox, serve

KEY = "canary-K3Y"
WORDS = [sys.executable, "-m", "aiocake"]
#: A process that begins on a terminal makes it its own, so that Ctrl-C and /dev/tty reach it.
ON_TERMINAL = (
    "import os; os.close(os.open(os.ttyname(0), os.O_RDWR)); from aiocake.cli import main; main()"
)
#: Against hangs, in seconds; no test waits for it.
WATCHDOG = 60


#: The commands that write.
WRITES = {"create", "update", "mark-sent", "mark-received", "mark-paid", "resume"}


def confirmed(words: tuple[object, ...], *, yes: bool) -> list[str]:
    """The words of a command; one that writes needs ``--yes`` where there is no terminal."""
    said = list(map(str, words))
    # A plan sends nothing.
    writes = (
        yes
        and said[:1] != ["plan"]
        and not WRITES.isdisjoint(said)
        and {"--yes", "-y"}.isdisjoint(said)
    )
    return [*said, "--yes"] if writes else said


@attrs.frozen
class Ran:
    """What a run of the command ended in."""

    code: int
    out: str
    err: str


class Stage:
    """One server for all tests of a worker, in front of the sandbox of the test that runs."""

    sandbox: Sandbox
    url: str

    @property
    def app(self) -> ASGIApp:
        return self

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.sandbox.app(scope, receive, send)


@pytest.fixture(scope="session")
def stage() -> Iterator[Stage]:
    stage = Stage()
    with serve(stage) as stage.url:  # type: ignore[arg-type] # of a sandbox it uses the app
        yield stage


@pytest.fixture
def sandbox(stage: Stage) -> Sandbox:
    """A fresh CAKE behind ``CAKE_DOMAIN``."""
    stage.sandbox = Sandbox(invoices=40, bills=30, api_key=KEY)
    return stage.sandbox


@pytest.fixture
def environment(
    stage: Stage, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> Mapping[str, str]:
    """The environment of the command, here and in processes of its own."""
    del sandbox
    # It would have each write of a process fail at once, where users' fail at the end.
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)
    for name in list(os.environ):
        if name.startswith("CAKE_"):
            monkeypatch.delenv(name)
    given = {"CAKE_DOMAIN": stage.url, "CAKE_API_KEY": KEY, "TERM": "xterm-256color"}
    for name, text in given.items():
        monkeypatch.setenv(name, text)
    monkeypatch.delenv("COLUMNS", raising=False)
    monkeypatch.delenv("NO_COLOR", raising=False)
    return os.environ


@pytest.fixture
def cake(environment: Mapping[str, str], capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """Run the command in this process."""
    del environment

    def call(*words: object, yes: bool = True) -> Ran:
        # A test that types an answer wants to be asked.
        code = run(confirmed(words, yes=yes and not sys.stdin.isatty()))
        return Ran(code, *capsys.readouterr())

    return call


@pytest.fixture
def process(environment: Mapping[str, str]) -> Callable[..., Ran]:
    """Run the command as a process of its own, without a terminal."""

    def call(*words: object, yes: bool = True, **streams: object) -> Ran:
        given = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **streams}
        done = subprocess.run(
            [*WORDS, *confirmed(words, yes=yes)],
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            encoding="utf-8",
            timeout=WATCHDOG,
            check=False,
            **given,  # type: ignore[call-overload] # they are what they are
        )
        return Ran(done.returncode, done.stdout or "", done.stderr or "")

    return call


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Have signals reach child processes, also where this one was started in the background."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


class Terminal:
    """The command on a terminal of its own.

    Args:
        words: The words after ``aiocake``.
        environment: Its environment.
        stdout: Where its standard output goes in place of the terminal.
        columns: How wide the terminal is.
        program: What is run with the words.
    """

    def __init__(
        self,
        *words: object,
        environment: Mapping[str, str],
        stdout: int | None = None,
        columns: int = 200,
        program: Sequence[str] = (sys.executable, "-c", ON_TERMINAL),
    ) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
        self.process = subprocess.Popen(
            [*program, *map(str, words)],
            env=dict(environment),
            stdin=slave,
            stdout=slave if stdout is None else stdout,
            stderr=slave,
            start_new_session=True,
        )
        os.close(slave)
        self.shown = ""
        self._is_open = True
        self._bytes = b""

    def read_until(self, text: str) -> None:
        """Wait until the terminal has shown a text."""
        while text not in self.shown:
            assert self._read(), f"it ended, and showed {self.shown!r}"

    def type(self, text: str) -> None:
        os.write(self._master, text.encode())

    def interrupt(self) -> None:
        """Type Ctrl-C until something is shown but its echo.

        Python does not notice a signal that comes in the moment between its last look and a
        system call that waits. A person types it again then.
        """
        before = self.shown
        for _ in range(10):
            os.write(self._master, b"\x03")
            while self._is_ready(3):
                if not self._read() or self.shown.removeprefix(before).strip("^C"):
                    return

    def end(self) -> Ran:
        """Wait for its end, and give all that was shown."""
        while self._read():
            pass
        return Ran(self.process.wait(WATCHDOG), self.shown, "")

    def _read(self) -> bool:
        assert self._is_ready(WATCHDOG), f"it hangs, and shows {self.shown!r}"
        try:
            data = os.read(self._master, 65536)
        except OSError:  # Linux says so when nobody is on the other side any more
            data = b""
        self._bytes += data
        self.shown = self._bytes.decode(errors="replace").replace("\r\n", "\n")
        return bool(data)

    def _is_ready(self, seconds: float) -> bool:
        return bool(select.select([self._master], [], [], seconds)[0])

    def hang_up(self) -> None:
        """Close the terminal's window."""
        self._is_open = False
        os.close(self._master)

    def close(self) -> None:
        with suppress(ProcessLookupError):
            self.process.kill()
        self.process.wait(WATCHDOG)
        if self._is_open:
            os.close(self._master)


@pytest.fixture
def terminal(
    environment: Mapping[str, str], interruptible: None
) -> Generator[Callable[..., Terminal]]:
    """Run the command on a terminal."""
    del interruptible
    begun: list[Terminal] = []

    def begin(*words: object, **settings: object) -> Terminal:
        begun.append(Terminal(*words, environment=environment, **settings))  # type: ignore[arg-type] # the same
        return begun[-1]

    yield begin
    for one in begun:
        one.close()


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> Generator[Callable[[str], None]]:
    """Make the standard input of this process a terminal on which a text was typed."""
    with ExitStack() as stack:

        def begin(text: str) -> None:
            master, slave = pty.openpty()
            stack.callback(os.close, master)
            stdin = stack.enter_context(os.fdopen(slave, encoding="utf-8"))
            os.write(master, text.encode())
            monkeypatch.setattr(sys, "stdin", stdin)

        yield begin


class Held:
    """A sandbox that carries out what it is asked, and answers only when it is told to."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.carried_out = threading.Event()
        self.go_on = threading.Event()
        sandbox.state.on_response.append(self._hold)

    async def _hold(self, request: RecordedRequest, response: Response) -> None:
        del request, response
        self.carried_out.set()
        await anyio.to_thread.run_sync(self.go_on.wait, WATCHDOG)


@pytest.fixture
def held(sandbox: Sandbox) -> Iterator[Held]:
    held = Held(sandbox)
    yield held
    held.go_on.set()


@pytest.fixture
def interrupted(
    environment: Mapping[str, str], held: Held, interruptible: None
) -> Callable[..., Ran]:
    """Run the command as a process, and interrupt it while its call is in flight."""
    del interruptible

    def call(*words: object, times: int = 1, by: int = signal.SIGINT, ignoring: int = 0) -> Ran:
        before = signal.signal(ignoring, signal.SIG_IGN) if ignoring else None
        with subprocess.Popen(
            [*WORDS, *confirmed(words, yes=True)],
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
        ) as child:
            if ignoring:
                signal.signal(ignoring, before)
            try:
                assert held.carried_out.wait(WATCHDOG)
                child.send_signal(by)
                if times == 1:
                    held.go_on.set()
                else:
                    assert child.stderr is not None
                    lines = 2 if by == signal.SIGINT else 1
                    said = "".join(child.stderr.readline() for _ in range(lines))
                    child.send_signal(by)
                    if by != signal.SIGINT:
                        held.go_on.set()
                out, err = child.communicate(timeout=WATCHDOG)
                err = err if times == 1 else said + err
            finally:
                child.kill()
        return Ran(child.returncode, out, err)

    return call
