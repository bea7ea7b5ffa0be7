"""The sandbox on a real socket: in a thread, and as a command."""

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest

from aiocake.cli.app import run
from aiocake.sandbox import Dialect, Sandbox, command, serve
from aiocake.sandbox.__main__ import main
from aiocake.sandbox.server import listen

KEY = {"api_key": "SANDBOX-KEY"}


def test_a_served_sandbox_answers_and_leaves_nothing_behind(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level("DEBUG", logger="uvicorn")
    sandbox = Sandbox()
    before = set(threading.enumerate())  # other tests can have servers of their own
    with serve(sandbox) as url:
        listed = httpx.get(f"{url}/api/2/invoices.json", params=KEY)
        wsdl = httpx.get(f"{url}/api/1/accounting.asmx?wsdl")
    assert listed.json()["total_rows"] == 200
    assert f'location="{url}/api/1/accounting.asmx"' in wsdl.text
    begun = set(threading.enumerate()) - before
    assert "cake-sandbox" not in {thread.name for thread in begun}
    with pytest.raises(httpx.ConnectError):
        httpx.get(url)
    assert "SANDBOX-KEY" not in caplog.text
    assert "SANDBOX-KEY" not in "".join(capfd.readouterr())


def test_an_export_of_many_megabytes_is_served_with_its_length() -> None:
    sandbox = Sandbox(invoices=0, bills=3_000)
    query = KEY | {
        "billing_cycle": "all",
        "billing_period_start_date": "2013-01-01",
        "billing_period_end_date": "2016-01-01",
        "paid_only": "false",
        "payment_type_id": "0",
    }
    with serve(sandbox) as url:
        answer = httpx.get(f"{url}/api/1/accounting.asmx/ExportAffiliateBills", params=query)
    assert int(answer.headers["content-length"]) == len(answer.content) > 3_000_000
    assert "transfer-encoding" not in answer.headers
    assert answer.content.count(b"<affiliate_bill>") == 3_000


def test_a_served_sandbox_can_be_reached_by_ipv6() -> None:
    if not socket.has_ipv6:
        pytest.skip("this Python has no IPv6")
    try:
        probe = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError as reason:
        pytest.skip(f"this machine has no IPv6: {reason}")
    probe.close()
    with serve(Sandbox(), host="::1") as url:
        assert url.startswith("http://[::1]:")
        assert httpx.get(f"{url}/api/2/invoices.json", params=KEY).status_code == 200


def test_an_answer_does_not_wait_for_an_acknowledgement() -> None:
    with (
        listen("127.0.0.1", 0) as listener,
        socket.create_connection(listener.getsockname()),
        listener.accept()[0] as accepted,
    ):
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0


def test_a_port_that_is_taken_is_an_error_at_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match="ddress already in use"), serve(Sandbox(), port=port):
            pytest.fail("served on a port that is taken")


#: A signal that another thread gets does not wake the main one, nor does one that comes right
#: before it waits.
IN_A_THREAD = """
import runpy, signal, sys, threading
def end():
    number = int(sys.stdin.readline())
    signal.pthread_kill(threading.get_ident(), number)
threading.Thread(target=end, daemon=True).start()
runpy.run_module("aiocake.sandbox", run_name="__main__")
"""


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_the_command_prints_its_url_first_and_ends_when_told(end: signal.Signals) -> None:
    command = [sys.executable, "-c", IN_A_THREAD, "--invoices", "7", "--key", "K-1"]
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdin is not None
            assert process.stdout is not None
            assert process.stderr is not None
            url = process.stdout.readline().strip()
            answer = httpx.get(f"{url}/api/2/invoices.json", params={"api_key": "K-1"})
            err = "".join(process.stderr.readline() for _ in range(6))
            process.stdin.write(f"{end:d}\n")
            process.stdin.close()
            process.wait(timeout=30)
            out, err = process.stdout.read(), err + process.stderr.read()
        finally:
            process.kill()
    assert answer.json()["total_rows"] == 7
    # Neither an access log nor a traceback, only what to do now.
    assert out == ""
    assert err == (
        "A fake CAKE with 7 invoices. In another terminal:\n\n"
        f"  export CAKE_DOMAIN={url} CAKE_API_KEY=K-1\n"
        "  aiocake invoices list --status pending\n\n"
        "Press Ctrl-C to stop it.\n"
    )
    assert process.returncode == 0


def test_the_command_refuses_more_than_its_limit() -> None:
    command = [sys.executable, "-m", "aiocake.sandbox", "--rate-limit", "2", "600"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            answers = [httpx.get(f"{url}/api/2/invoices.json", params=KEY) for _ in range(3)]
        finally:
            process.kill()
    assert [answer.status_code for answer in answers] == [200, 200, 429]


def test_the_command_names_its_dialects(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--dialect", "klingon"])
    said = capsys.readouterr().err
    assert said == (
        "python -m aiocake.sandbox: Invalid value for '--dialect': 'klingon' is none of "
        f"{', '.join(Dialect.all())} (see python -m aiocake.sandbox --help)\n"
    )


@pytest.mark.parametrize("latency", ["inf", "nan", "-1", "x"])
def test_a_latency_that_is_no_time_is_refused(
    latency: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main([f"--latency={latency}"])
    assert ended.value.code == 2
    assert capsys.readouterr().err == (
        f"python -m aiocake.sandbox: Invalid value for '--latency': {latency!r} is not a time in "
        "seconds such as 0.5 (see python -m aiocake.sandbox --help)\n"
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        pytest.param(
            "--port=65536 --invoices=-1 --jitter=1.5 --seed=x --period=2024-13 --rate-limit 1 nan",
            "Invalid value for '--port': '65536' is not a whole number from 0 to 65535; "
            "Invalid value for '--invoices': '-1' is not a whole number of at least 0; "
            "Invalid value for '--jitter': '1.5' is not a share from 0 to 1; "
            "Invalid value for '--seed': 'x' is not a whole number; "
            "Invalid value for '--period': '2024-13' is not a month such as 2024-01; "
            "Invalid value for '--rate-limit': 'nan' is not a number of at least 0",
            id="values",
        ),
        pytest.param(
            "--bills x --seed 1 --seed=2",
            "Invalid value for '--bills': 'x' is not a whole number of at least 0; "
            "--seed: may be given once only",
            id="twice",
        ),
        pytest.param("--sed 1", "unrecognized arguments: --sed 1", id="name"),
        pytest.param("--inv 1", "unrecognized arguments: --inv 1", id="shortened"),
        pytest.param("--port", "argument --port: expected one argument", id="no-value"),
        pytest.param("--rate-limit 1", "argument --rate-limit: expected 2 arguments", id="one"),
        pytest.param(
            "--host 127.0.0.1.example.invalid",
            "Invalid value for --host: '127.0.0.1.example.invalid': Name or service not known",
            id="host",
        ),
    ],
)
def test_both_commands_say_the_same_of_words_that_cannot_be_used(
    words: str, said: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(*_: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(command, "serve", unknown)
    with pytest.raises(SystemExit) as ended:
        main(words.split())
    assert ended.value.code == 2
    prog = "python -m aiocake.sandbox"
    assert capsys.readouterr() == ("", f"{prog}: {said} (see {prog} --help)\n")
    assert run(["sandbox", *words.split()]) == 2
    assert capsys.readouterr() == ("", f"aiocake: {said} (see aiocake sandbox --help)\n")


def test_both_commands_make_the_same_sandbox(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[dict[str, object]] = []
    served: list[tuple[object, ...]] = []

    def sandbox(**options: object) -> str:
        made.append(options)
        return "sandbox"

    def serve(*arguments: object) -> Generator[str]:
        served.append(arguments)
        yield "http://127.0.0.1:8"

    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "Sandbox", sandbox)
    monkeypatch.setattr(command, "serve", contextmanager(serve))
    monkeypatch.setattr(command.time, "sleep", lambda _: interrupted())
    words = "--host ::1 --port 8 --key K --invoices 1 --bills 2 --seed 3 --latency 4 --jitter 0.5"
    more = "--period 2024-02 --rate-limit 6 7 --dialect cap-7"
    said: list[tuple[str, str]] = []
    for chosen in ([], f"{words} {more}".split()):
        main(chosen)
        said.append(capsys.readouterr())
        with suppress(KeyboardInterrupt):
            run(["sandbox", *chosen])
        said.append(capsys.readouterr())
    assert (
        made[0]
        == made[1]
        == {
            "invoices": 200,
            "bills": 50,
            "seed": 1,
            "period": None,
            "api_key": "SANDBOX-KEY",
            "latency": 0.0,
            "jitter": 0.0,
            "rate_limit": None,
            "dialect": Dialect(),
        }
    )
    assert (
        made[2]
        == made[3]
        == {
            "invoices": 1,
            "bills": 2,
            "seed": 3,
            "period": "2024-02",
            "api_key": "K",
            "latency": 4.0,
            "jitter": 0.5,
            "rate_limit": (6, 7.0),
            "dialect": Dialect(row_cap=7),
        }
    )
    default = ("sandbox", "127.0.0.1", 0)
    assert served == [default, default, ("sandbox", "::1", 8), ("sandbox", "::1", 8)]
    assert said[0] == said[1]
    assert said[2] == said[3]


@pytest.mark.parametrize(
    ("words", "begins"),
    [
        pytest.param(["-m", "aiocake.sandbox"], "aiocake.sandbox: ", id="run"),
        pytest.param(["-c", "import aiocake.sandbox"], "Traceback", id="imported"),
    ],
)
def test_a_missing_extra_is_said(
    tmp_path: Path, words: list[str], begins: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = "raise ModuleNotFoundError(\"No module named 'starlette'\", name='starlette')"
    (tmp_path / "starlette.py").write_text(fake)
    paths = [str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))
    done = subprocess.run(
        [sys.executable, *words], capture_output=True, encoding="utf-8", timeout=60, check=False
    )
    assert done.returncode == 1
    assert done.stderr.startswith(begins)
    said = "aiocake.sandbox: starlette missing: pip install 'aiocake[sandbox]'\n"
    assert done.stderr.endswith(said)
    assert begins == "Traceback" or done.stderr == said
