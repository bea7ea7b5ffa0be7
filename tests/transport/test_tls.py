# ruff: noqa: ANN001 - the lab comes from a conftest, whose types cannot be imported
"""Certificates, and proxies in front of them."""

import datetime as dt
import select
import socket
import ssl
import threading
from contextlib import aclosing, suppress

import anyio.lowlevel
import anyio.to_thread
import pytest
import trustme

from aiocake._transport import tls as tls_contexts
from aiocake._transport.connection import HttpConnection
from aiocake.config import Throttle, Timeouts
from aiocake.errors import DecodeError, NotSent
from aiocake.values import Idempotency

from ..support.proxies import tunnel

pytestmark = pytest.mark.anyio

CA = trustme.CA()


def certified(*names: str, **settings: dt.datetime) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    CA.issue_cert(*names, **settings).configure_cert(context)
    return context


@pytest.fixture
def trusting() -> ssl.SSLContext:
    context = ssl.create_default_context()
    CA.configure_trust(context)
    return context


@pytest.fixture
def tls() -> ssl.SSLContext:
    return certified("127.0.0.1")


async def test_https_with_a_certificate_that_is_trusted(lab, tls, trusting) -> None:
    server = lab.obedient(tls)
    async with aclosing(lab.transport(server, ssl_context=trusting)) as transport:
        for idempotency in (
            Idempotency.SAFE,
            Idempotency.IDEMPOTENT,
            Idempotency.NON_IDEMPOTENT,
            Idempotency.SAFE,
        ):
            done = await transport.exchange(lab.post, lab.fine, lab.plan(idempotency))
            assert done.error is None
            assert done.attempts == 1
    assert len(server.requests) == 4
    assert len(server.connections) == 2  # the second one is the create's


class Watched(ssl.SSLContext):
    """Is never changed."""

    def __setattr__(self, name: str, value: object) -> None:
        raise AssertionError(name)

    def set_alpn_protocols(self, alpn_protocols: object) -> None:
        raise AssertionError(alpn_protocols)


async def test_a_context_that_is_given_is_not_changed(lab, tls) -> None:
    context = Watched(ssl.PROTOCOL_TLS_CLIENT)
    CA.configure_trust(context)
    server = lab.obedient(tls)
    async with aclosing(lab.transport(server, ssl_context=context)) as transport:
        done = await transport.exchange(lab.get, lab.fine, lab.plan())
    assert done.error is None


async def test_tls_needs_no_thread(lab, tls, trusting, monkeypatch) -> None:
    def none(*_: object, **__: object) -> None:
        raise AssertionError

    monkeypatch.setattr("anyio.to_thread.run_sync", none)
    server = lab.obedient(tls)
    async with aclosing(lab.transport(server, ssl_context=trusting)) as transport:
        done = await transport.exchange(lab.get, lab.fine, lab.plan())
    assert done.error is None


def test_one_context_is_made_for_all_clients_in_all_threads(monkeypatch) -> None:
    made: list[str] = []
    go_on = threading.Barrier(4)

    def make(file: str) -> ssl.SSLContext:
        made.append(file)
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

    monkeypatch.setattr(tls_contexts, "context_of", make)
    tls_contexts._certifis.cache_clear()
    found: list[ssl.SSLContext] = []

    def ask() -> None:
        go_on.wait()
        found.append(tls_contexts.default_context())

    try:
        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        tls_contexts._certifis.cache_clear()
    assert len(made) == 1
    assert len({id(each) for each in found}) == 1


async def test_a_certificate_that_is_not_trusted_by_certifi(lab, tls) -> None:
    server = lab.obedient(tls)
    async with aclosing(lab.transport(server)) as transport:
        done = await transport.exchange(lab.get, lab.fine, lab.plan())
    assert isinstance(done.error, NotSent)
    assert "certificate" in str(done.error)
    assert (done.attempts, done.sent) == (1, False)
    assert server.requests == []


@pytest.mark.parametrize("idempotency", Idempotency)
@pytest.mark.parametrize("wrong", ["name", "expired"])
async def test_a_certificate_of_another_or_of_the_past(lab, trusting, wrong, idempotency) -> None:
    past = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
    tls = (
        certified("other.example")
        if wrong == "name"
        else certified("127.0.0.1", not_after=past, not_before=past - dt.timedelta(1))
    )
    server = lab.obedient(tls)
    async with aclosing(lab.transport(server, ssl_context=trusting)) as transport:
        done = await transport.exchange(lab.post, lab.fine, lab.plan(idempotency))
    assert isinstance(done.error, NotSent)
    assert (done.attempts, done.sent) == (1, False)
    assert server.requests == []


async def test_a_peer_that_speaks_no_tls(lab, trusting) -> None:
    def script(connection) -> None:
        connection.socket.recv(100)
        connection.send(b"HTTP/1.1 400 Bad Request\r\n\r\n" * 10)
        connection.until_closed()

    server = lab.serve(script)
    address = f"https://127.0.0.1:{server.port}"
    async with aclosing(lab.transport(address, ssl_context=trusting)) as transport:
        done = await transport.exchange(lab.post, lab.fine, lab.plan(Idempotency.NON_IDEMPOTENT))
    assert isinstance(done.error, NotSent)
    assert (done.attempts, done.sent) == (1, False)


@pytest.mark.parametrize("how", ["stall", "reset", "end", "clean end"])
async def test_a_handshake_that_breaks_is_tried_again(lab, trusting, how) -> None:
    def script(connection) -> None:
        # What is left unread makes a reset of the end.
        connection.socket.recv(65536 if how == "clean end" else 100)
        if how == "stall":
            connection.until_closed()
        elif how == "reset":
            connection.reset()

    server = lab.serve(script)
    address = f"https://127.0.0.1:{server.port}"
    # Only what never comes is waited for to the end.
    timeouts = Timeouts(connect=0.1 if how == "stall" else 10)
    async with aclosing(
        lab.transport(address, ssl_context=trusting, timeouts=timeouts)
    ) as transport:
        done = await transport.exchange(lab.post, lab.fine, lab.plan(Idempotency.NON_IDEMPOTENT))
    assert isinstance(done.error, NotSent)
    assert (done.attempts, done.sent) == (3, False)
    if how == "clean end":
        assert str(done.error).endswith("127.0.0.1 ended the connection within the TLS handshake")


async def test_a_record_that_is_corrupted_after_sending(lab, tls, trusting) -> None:
    def script(connection) -> None:
        connection.request()
        raw = socket.socket(fileno=connection.socket.detach())
        raw.sendall(b"\x17\x03\x03\x00\x20" + bytes(32))
        raw.close()

    server = lab.serve(script, tls)
    async with aclosing(lab.transport(server, ssl_context=trusting)) as transport:
        for idempotency, attempts in ((Idempotency.IDEMPOTENT, 3), (Idempotency.NON_IDEMPOTENT, 1)):
            done = await transport.exchange(lab.post, lab.fine, lab.plan(idempotency))
            assert isinstance(done.error, DecodeError)
            assert (done.attempts, done.sent) == (attempts, True)


@pytest.mark.parametrize("clean", [False, True])
async def test_a_body_that_ends_with_the_connection(lab, tls, trusting, clean) -> None:
    """TLS says where it ends (RFC 9112 section 9.8): without that, it may have been cut off."""

    def script(connection) -> None:
        connection.request()
        connection.send(b"HTTP/1.1 200 OK\r\n\r\nok")
        raw = connection.socket
        if clean:
            with suppress(OSError):
                raw = connection.socket.unwrap()
        # The client may have closed first: then there is nothing left to close.
        if (descriptor := raw.detach()) >= 0:
            socket.socket(fileno=descriptor).close()

    server = lab.serve(script, tls)
    async with aclosing(lab.transport(server, ssl_context=trusting)) as transport:
        done = await transport.exchange(lab.get, lab.fine, lab.plan(attempts=1))
    if clean:
        assert done.response.body == b"ok"
    else:
        assert isinstance(done.error, DecodeError)


def arrived(connection: HttpConnection) -> bool:
    return bool(select.select([connection._socket], [], [], 0)[0])


async def test_a_surplus_record_is_not_taken_for_the_next_answer(lab, tls, trusting) -> None:
    sent = threading.Event()

    def script(connection) -> None:
        if connection.request() and connection.number == 0:
            try:
                connection.send(lab.ok)
                connection.send(lab.ok.replace(b"ok", b"NO"))
            finally:  # a client that has seen the surplus by now may have closed the connection
                sent.set()
            connection.until_closed()
            return
        connection.send(lab.ok)
        while connection.request():
            connection.send(lab.ok)

    server = lab.serve(script, tls)
    one = Throttle(concurrency=1)
    async with aclosing(lab.transport(server, ssl_context=trusting, throttle=one)) as transport:
        for _ in range(3):
            done = await transport.exchange(lab.get, lab.fine, lab.plan())
            assert done.response is not None
            assert done.response.body == b"ok"
            # What comes only when the next request has left could be the answer to it. What was
            # sent need not be there: the kernel of a busy machine takes its time.
            assert await anyio.to_thread.run_sync(sent.wait, 20)
            used = transport.transport.sender._connections[0]
            while server.connections[-1].number == 0 and not (used.closed or arrived(used)):
                await anyio.lowlevel.checkpoint()
    assert len(server.connections) == 2


# Proxies


async def test_a_proxy_sees_the_host_and_nothing_else(lab, tls, trusting) -> None:
    proxy, server = lab.serve(tunnel), lab.obedient(tls)
    url = f"http://me:p%40ss@127.0.0.1:{proxy.port}"
    async with aclosing(lab.transport(server, ssl_context=trusting, proxy=url)) as transport:
        for idempotency in (Idempotency.SAFE, Idempotency.NON_IDEMPOTENT):
            done = await transport.exchange(lab.post, lab.fine, lab.plan(idempotency))
            assert done.error is None
        assert transport.scrub("p%40ss bWU6cEBzcw== p@ss") == "<key> <key>== <key>"
    assert len(server.requests) == 2
    for request in proxy.requests:
        assert request.startswith(f"CONNECT 127.0.0.1:{server.port} HTTP/1.1\r\n".encode())
        assert b"Proxy-Authorization: Basic bWU6cEBzcw==" in request
        assert b"canary" not in request
        assert b"invoices" not in request
    assert b"roxy" not in server.requests[0]


@pytest.mark.parametrize("idempotency", Idempotency)
@pytest.mark.parametrize(
    ("status", "attempts"),
    [("407 Proxy Authentication Required", 1), ("502 Bad Gateway", 1), (None, 3)],
)
async def test_a_proxy_that_refuses_lets_nothing_through(  # noqa: PLR0913, PLR0917 - a table
    lab, tls, trusting, status, attempts, idempotency
) -> None:
    def script(connection) -> None:
        connection.request()
        if status is None:
            connection.reset()
        else:
            connection.answer(b"no", status=status)

    proxy, server = lab.serve(script), lab.obedient(tls)
    url = f"http://127.0.0.1:{proxy.port}"
    async with aclosing(lab.transport(server, ssl_context=trusting, proxy=url)) as transport:
        done = await transport.exchange(lab.post, lab.fine, lab.plan(idempotency))
    assert isinstance(done.error, NotSent)
    assert (done.attempts, done.sent, done.sent_before) == (attempts, False, False)
    assert server.connections == []


@pytest.mark.parametrize(
    ("wrong", "said", "attempts"),
    [
        ("untrusted", "the certificate of the proxy localhost is not trusted", 1),
        ("plain", "the proxy localhost:{port} does not speak TLS", 1),
        ("ends", "the proxy localhost ended the connection", 3),
    ],
)
async def test_what_is_wrong_with_a_proxy_is_said_of_it(  # noqa: PLR0913, PLR0917 - a table
    lab, tls, trusting, wrong, said, attempts
) -> None:
    def script(connection) -> None:
        connection.socket.recv(1000)
        if wrong == "plain":
            connection.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    strange = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("localhost").configure_cert(strange)
    proxy = lab.serve(script, strange if wrong == "untrusted" else None)
    url = f"https://localhost:{proxy.port}"
    async with aclosing(lab.transport(lab.obedient(tls), ssl_context=trusting, proxy=url)) as made:
        done = await made.exchange(lab.get, lab.fine, lab.plan())
    assert isinstance(done.error, NotSent)
    assert said.format(port=proxy.port) in str(done.error)
    assert done.attempts == attempts


async def test_an_answer_that_is_lost_behind_a_proxy_was_sent(lab, tls, trusting) -> None:
    def script(connection) -> None:
        connection.request()
        connection.reset()

    proxy, server = lab.serve(tunnel), lab.serve(script, tls)
    url = f"http://127.0.0.1:{proxy.port}"
    async with aclosing(lab.transport(server, ssl_context=trusting, proxy=url)) as transport:
        done = await transport.exchange(lab.post, lab.fine, lab.plan(Idempotency.NON_IDEMPOTENT))
    assert isinstance(done.error, DecodeError)
    assert (done.attempts, done.sent) == (1, True)
