"""The sandbox on a real socket: in a thread, and as a command."""

import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import httpx
import pytest

from aiocake.sandbox import Sandbox, serve
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


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_the_command_prints_its_url_first_and_ends_when_told(end: signal.Signals) -> None:
    command = [sys.executable, "-m", "aiocake.sandbox", "--invoices", "7", "--key", "K-1"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            answer = httpx.get(f"{url}/api/2/invoices.json", params={"api_key": "K-1"})
            process.send_signal(end)
            out, err = process.communicate(timeout=30)
        finally:
            process.kill()
    assert answer.json()["total_rows"] == 7
    assert (out, err) == ("", "")
    assert process.returncode in {0, -end}


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
    assert "first-row-1" in capsys.readouterr().err


@pytest.mark.parametrize("latency", ["inf", "nan", "-1", "x"])
def test_a_latency_that_is_no_time_is_refused(
    latency: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main([f"--latency={latency}"])
    assert ended.value.code == 2
    assert f"argument --latency: invalid seconds value: {latency!r}" in capsys.readouterr().err


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
