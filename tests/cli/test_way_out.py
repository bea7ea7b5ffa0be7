"""The way to an instance: proxy, certificates and limits, by the environment and by options."""
# ruff: noqa: ANN001 - fixtures of this folder's conftest, whose types cannot be imported

import json
import socket
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import trustme

from aiocake import Client, Throttle, Timeouts

ROW = '{"invoice_id": 7, "invoice_status": "paid", "total_amount": "1.00"}'
PAGE = f'{{"request_status": "Success", "invoices": [{ROW}], "total_rows": 1}}'.encode()
LIST = ("invoices", "get", 7)


class Instance(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(PAGE)))
        self.end_headers()
        self.wfile.write(PAGE)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def instance(authority: trustme.CA) -> Iterator[str]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with HTTPServer(("127.0.0.1", 0), Instance) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"https://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_an_authority_that_the_environment_names_is_trusted(
    cake, instance: str, authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CAKE_DOMAIN", instance)
    file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(file))
    monkeypatch.setenv("SSL_CERT_FILE", str(file))  # is not read
    ran = cake(*LIST)
    assert ran.code == 6
    assert ran.err.startswith("aiocake: not sent: the certificate of 127.0.0.1 is not trusted: ")
    assert "CAKE_CA_FILE" in ran.err
    monkeypatch.setenv("CAKE_CA_FILE", str(file))
    ran = cake(*LIST, "--format", "json")
    assert (ran.code, ran.err) == (0, "")
    assert '"invoice_id": 7' in ran.out


def test_a_file_without_certificates_is_said(
    cake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CAKE_DOMAIN", "x.example")
    monkeypatch.setenv("CAKE_CA_FILE", str(tmp_path / "none.pem"))
    ran = cake(*LIST)
    assert ran.code == 2
    assert ran.err == (
        f"aiocake: CAKE_CA_FILE cannot be used: {tmp_path}/none.pem: No such file or directory\n"
    )


def test_the_proxy_that_the_environment_names_is_used(cake, monkeypatch) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        port = nobody.getsockname()[1]
        monkeypatch.setenv("CAKE_PROXY", f"http://me:canary@127.0.0.1:{port}")
        assert cake("invoices", "get", 4821).code == 0  # to this machine no proxy leads
        monkeypatch.setenv("CAKE_DOMAIN", "x.example")
        ran = cake(*LIST)
    assert ran.code == 6
    assert ran.err == (
        f"aiocake: not sent: the proxy 127.0.0.1 refused the connection (port {port})\n"
    )


def test_an_authority_that_an_option_names_is_trusted(
    cake, instance: str, authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CAKE_DOMAIN", instance)
    monkeypatch.setenv("CAKE_CA_FILE", str(tmp_path / "none.pem"))  # the option counts
    file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(file))
    ran = cake(*LIST, "--ca-file", file, "--format", "json")
    assert (ran.code, ran.err) == (0, "")
    assert '"invoice_id": 7' in ran.out
    ran = cake(*LIST, "--ca-file", file, "--format", "json", "--out", file)
    assert ran.code == 2
    assert json.loads(ran.err)["problems"][0]["name"] == "--out"
    assert file.read_bytes() == authority.cert_pem.bytes()


def test_the_proxy_that_an_option_names_is_used(cake, stage, monkeypatch) -> None:
    monkeypatch.setenv("CAKE_PROXY", "http://127.0.0.1:9")
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        port = nobody.getsockname()[1]
        proxy = f"http://me:canary@127.0.0.1:{port}"
        ran = cake(*LIST, "--domain", "x.example", "--proxy", proxy)
        assert ran.code == 6
        assert ran.err == (
            f"aiocake: not sent: the proxy 127.0.0.1 refused the connection (port {port})\n"
        )
        ran = cake(*LIST, "--domain", stage.url, "--proxy", proxy)
    assert (ran.code, ran.err) == (
        2,
        "aiocake: --proxy works with https only: the proxy would see the key\n",
    )


def test_a_timeout_ends_a_call_that_is_not_answered(cake, held) -> None:
    for words in (("invoices", "get", 4821), ("bills", "export", "--period", "2014-06")):
        ran = cake(*words, "--timeout", "0.3")
        assert ran.code == 1
        assert "0.3 s" in ran.err
    held.go_on.set()


@pytest.mark.parametrize(
    "words",
    [
        ("invoices", "list"),
        ("bills", "buyer", "export", "--period", "2014-06"),
        ("lookups", "currencies"),
    ],
    ids=" ".join,
)
def test_rate_concurrency_and_timeout_are_those_of_the_client(
    cake, monkeypatch: pytest.MonkeyPatch, words
) -> None:
    settings: list[dict] = []

    class Recorded(Client):
        def __init__(self, domain: str, api_key: object, **given: object) -> None:
            settings.append(given)
            super().__init__(domain, api_key, **given)  # type: ignore[arg-type] # as they came

    monkeypatch.setattr("aiocake.cli.connection.Client", Recorded)
    assert cake(*words).code == 0
    assert cake(*words, "--rate", "50.5", "--concurrency", 3, "--timeout", 9).code == 0
    usual, ours = settings
    assert usual["throttle"] == Throttle()
    assert "timeouts" not in usual
    assert ours["throttle"] == Throttle(rate=50.5, concurrency=3)
    assert ours["timeouts"] == Timeouts(total=9, export_total=9)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--timeout", "0"), "'--timeout': '0' is not a time in seconds such as 30"),
        (("--timeout", "inf"), "'--timeout': 'inf' is not a time in seconds such as 30"),
        (("--rate", "-1"), "'--rate': '-1' is not a number of calls per second such as 5"),
        (("--rate", "fast"), "'--rate': 'fast' is not a number of calls per second such as 5"),
        (("--concurrency", "0"), "'--concurrency': '0' is not a whole number of at least 1"),
        (("--concurrency", "2.5"), "'--concurrency': '2.5' is not a whole number"),
        (("--ca-file", "/no.pem"), "'--ca-file': /no.pem: No such file or directory"),
        (("--ca-file", __file__), f"'--ca-file': {__file__}: it contains no certificates in PEM"),
        (("--proxy", "ftp://u:canary@h"), "'--proxy': the scheme must be one of http, https"),
        (("--proxy", "http://u:canary@h/path"), "'--proxy': it must not have a path or query"),
    ],
)
def test_a_bad_way_out_is_said_by_its_option_with_all_else_that_is_wrong(
    cake, sandbox, words: tuple[str, str], said: str
) -> None:
    for command in (("invoices", "get", 0), ("lookups", "billing-cycles", "--billing-cycle-id", 0)):
        ran = cake(*command, *words)
        assert (ran.code, ran.out) == (2, "")
        assert f"Invalid value for {said}" in ran.err
        assert ": must be from 1 to 2147483647" in ran.err
        assert "canary" not in ran.err
        assert ran.err.count("\n") == 1
    assert sandbox.state.requests == []
