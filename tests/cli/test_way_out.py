"""The way to an instance: a proxy and certificates that the environment names."""
# ruff: noqa: ANN001 - fixtures of this folder's conftest, whose types cannot be imported

import socket
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import trustme

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
