# ruff: noqa: ANN001 - the lab comes from a conftest, whose types cannot be imported
"""Connections: opening them, what a server says too early, and ends at each moment."""

import asyncio
import errno
import gc
import os
import socket
import ssl
import sys
import threading
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import aclosing, asynccontextmanager, suppress
from typing import Any

import anyio
import anyio.lowlevel
import anyio.to_thread
import attrs
import pytest
import trustme

from aiocake._transport import resolver as resolving
from aiocake._transport.connection import TOO_LATE, HttpConnection, LoopConnection, SendTrace
from aiocake._transport.dial import connection_over, open_socket
from aiocake._transport.failures import FailureKind, TransportFailure
from aiocake._transport.pulling import PullingConnection
from aiocake._transport.resolver import Resolver
from aiocake._transport.tls_layer import TlsLayer
from aiocake.config import Throttle, Timeouts
from aiocake.errors import (
    CakeError,
    DeadlineExceeded,
    DecodeError,
    NotSent,
    RequestRejected,
    ServerError,
)
from aiocake.events import AttemptEnded, Event, RetryScheduled
from aiocake.values import Idempotency, Secret

from ..support.interrupted import interrupted
from ..support.proxies import tunnel

pytestmark = pytest.mark.anyio

ONE = Throttle(concurrency=1)
ONCE = Idempotency.NON_IDEMPOTENT
CA = trustme.CA()
TRUSTING = ssl.create_default_context()
CA.configure_trust(TRUSTING)


def certified(*names: str, protocol: str | None = None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    CA.issue_cert(*names).configure_cert(context)
    if protocol is not None:
        context.set_alpn_protocols([protocol])
    return context


TLS = certified("127.0.0.1")


async def descriptors() -> int:
    """How many are open, once what was closed is gone on the server's side, too."""
    await anyio.lowlevel.checkpoint()
    gc.collect()
    return len(os.listdir("/dev/fd"))  # noqa: PTH208 - no waiting


async def given_back(before: int) -> None:
    for _ in range(200):
        if await descriptors() <= before:
            return
        await anyio.lowlevel.checkpoint()
    assert await descriptors() <= before


# Opening


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """The addresses that names have."""
    known: dict[str, list[str]] = {}
    look_up = socket.getaddrinfo

    def looked_up(host: Any, port: int, *rest: Any, **named: Any) -> Any:  # noqa: ANN401 - as it is
        if host not in known:
            return look_up(host, port, *rest, **named)
        return [each for address in known[host] for each in look_up(address, port, *rest, **named)]

    monkeypatch.setattr(socket, "getaddrinfo", looked_up)
    return known


@pytest.fixture
def black_hole() -> Any:  # noqa: ANN401 - a generator
    """A port of 127.0.0.2 to which connecting takes for ever: its queue is full."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.2", 0))
        listener.listen(0)
        waiting = [socket.socket() for _ in range(3)]
        for each in waiting:
            each.settimeout(0)
            each.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]
        for each in waiting:
            each.close()


async def test_a_black_hole_is_passed_by(lab, names, black_hole) -> None:
    names["two.localhost"] = ["127.0.0.2", "127.0.0.1"]
    with socket.create_server(("127.0.0.1", black_hole)) as good:
        before = await descriptors()
        async with aclosing(lab.transport(f"http://two.localhost:{black_hole}")) as transport:
            answering = threading.Thread(target=answer_once, args=(good, lab.ok))
            answering.start()
            done = await transport.exchange(lab.post, lab.fine, lab.plan(ONCE))
            await anyio.to_thread.run_sync(answering.join)
        assert done.error is None
        assert done.attempts == 1
        await given_back(before)


def answer_once(listener: socket.socket, answer: bytes) -> None:
    connected, _ = listener.accept()
    with connected:
        connected.recv(65536)
        connected.sendall(answer)


async def test_a_refusal_is_passed_by_at_once(lab, names, monkeypatch) -> None:
    # However long the next one would have to wait otherwise.
    monkeypatch.setattr("aiocake._transport.dial._HEAD_START", 1000.0)
    names["three.localhost"] = ["127.0.0.2", "127.0.0.3", "127.0.0.1"]
    server = lab.obedient()
    async with aclosing(lab.transport(f"http://three.localhost:{server.port}")) as transport:
        done = await transport.exchange(lab.post, lab.fine, lab.plan(ONCE))
    assert (done.error, done.attempts) == (None, 1)
    assert len(server.connections) == 1


async def test_all_addresses_refuse(lab, names) -> None:
    names["two.localhost"] = ["127.0.0.2", "127.0.0.3"]
    before = await descriptors()
    server = lab.obedient()
    async with aclosing(lab.transport(f"http://two.localhost:{server.port}")) as transport:
        done = await transport.exchange(lab.post, lab.fine, lab.plan(ONCE, attempts=1))
    assert isinstance(done.error, NotSent)
    assert "two.localhost refused the connection" in str(done.error)
    server.close()
    await given_back(before)


async def test_a_socket_that_is_connected_to_itself_has_reached_nobody(lab, monkeypatch) -> None:
    """The kernel may choose, as ours, the very port at which nobody listens."""

    class Chosen(socket.socket):
        def connect(self, address: Any, /) -> None:  # noqa: ANN401 - handed on
            self.bind(address)
            super().connect(address)

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    monkeypatch.setattr(socket, "socket", Chosen)
    async with aclosing(lab.transport(f"http://127.0.0.1:{port}")) as transport:
        done = await transport.exchange(lab.post, lab.fine, lab.plan(ONCE, attempts=1))
    assert isinstance(done.error, NotSent)
    assert "127.0.0.1 refused the connection" in str(done.error)


def test_addresses_of_both_families_take_turns() -> None:
    four = [(socket.AF_INET, (f"127.0.0.{last}", 1)) for last in (1, 2, 3)]
    six = [(socket.AF_INET6, ("::1", 1, 0, 0))]
    assert resolving._interleaved(six + four + four) == [six[0], *four]
    assert resolving._interleaved(four + six) == [four[0], six[0], *four[1:]]
    assert resolving._interleaved([]) == []


async def test_an_address_that_counts_on_one_network_alone() -> None:
    """That network, by its name in the address, is a number to the system (RFC 4007)."""
    number, name = socket.if_nameindex()[0]
    (family, address), *_ = await Resolver(f"fe80::1%{name}", 3128).look_up()
    assert (family, address[1:]) == (socket.AF_INET6, (3128, 0, number))


async def test_look_ups_that_hang_are_few(lab, monkeypatch) -> None:
    go_on = threading.Event()
    began: list[str] = []

    def hang(host: str, *_: object, **__: object) -> list[object]:
        began.append(host)
        go_on.wait(20)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    server = lab.obedient()
    timeouts = Timeouts(connect=0.05)
    transport = lab.transport(f"http://slow.localhost:{server.port}", timeouts=timeouts)
    try:
        async with aclosing(transport), anyio.create_task_group() as group:

            async def call() -> None:
                done = await transport.exchange(lab.get, lab.fine, lab.plan())
                assert isinstance(done.error, NotSent)

            for _ in range(20):
                group.start_soon(call)
        assert len(began) == 4
    finally:
        go_on.set()


async def test_a_socket_sends_at_once_and_asks_whether_a_silent_peer_is_there(lab) -> None:
    """An export may take minutes to its first byte, and what lies between forgets the silent."""
    server = lab.obedient()
    with await open_socket("127.0.0.1", server.port, Resolver("127.0.0.1", server.port)) as opened:
        assert opened.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert opened.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        if hasattr(socket, "TCP_KEEPIDLE"):
            assert opened.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 60


async def test_tls_within_tls(lab) -> None:
    proxy, server = lab.serve(tunnel, TLS), lab.obedient(TLS)
    url = f"https://127.0.0.1:{proxy.port}"
    async with aclosing(lab.transport(server, ssl_context=TRUSTING, proxy=url)) as transport:
        for _ in range(2):
            done = await transport.exchange(lab.post, lab.fine, lab.plan(Idempotency.IDEMPOTENT))
            assert done.error is None
            assert done.response.body == b"ok"
    assert len(proxy.connections) == len(server.connections) == 1
    assert len(server.requests) == 2


@pytest.mark.parametrize(
    "answer", [b"HTTP/1.1 200 OK\r\n\r\nsurplus", b"SSH-2.0-OpenSSH_9.9\r\n", b""]
)
async def test_a_proxy_that_says_something_else(lab, answer) -> None:
    def script(connection) -> None:
        connection.request()
        connection.send(answer)

    proxy, server = lab.serve(script), lab.obedient(TLS)
    url = f"http://127.0.0.1:{proxy.port}"
    async with aclosing(lab.transport(server, ssl_context=TRUSTING, proxy=url)) as transport:
        done = await transport.exchange(lab.post, lab.fine, lab.plan(ONCE))
    assert isinstance(done.error, NotSent)
    assert "the proxy 127.0.0.1 ended the connection" in str(done.error)
    assert done.attempts == 3
    assert server.connections == []


async def test_a_server_that_chooses_another_protocol(lab) -> None:
    offering = ssl.create_default_context()
    CA.configure_trust(offering)
    offering.set_alpn_protocols(["h2", "http/1.1"])
    for protocol, attempts in (("h2", 1), ("http/1.1", 1), (None, 1)):
        server = lab.obedient(certified("127.0.0.1", protocol=protocol))
        async with aclosing(lab.transport(server, ssl_context=offering)) as transport:
            done = await transport.exchange(lab.get, lab.fine, lab.plan())
            assert done.attempts == attempts
            if protocol == "h2":
                assert isinstance(done.error, NotSent)
                assert "no HTTP/1.1 with 127.0.0.1" in str(done.error)
                assert server.requests == []
            else:
                assert done.error is None


# What comes too early, or too late


async def test_an_answer_before_the_request_is_none_to_it(lab) -> None:
    """It lies there before anything was written: then nothing is."""
    for status, kind in (("408 Request Timeout", RequestRejected), ("200 OK", NotSent)):
        server = lab.serve(lambda connection, status=status: early(connection, status))
        async with aclosing(lab.transport(server)) as transport:
            # The answer is there when the socket is handed over.
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr("aiocake._transport.dial.open_socket", after_bytes(server))
                done = await transport.exchange(
                    lab.post,
                    lambda response: RequestRejected("no", status=response.status),
                    lab.plan(ONCE, attempts=1),
                )
        assert isinstance(done.error, kind)
        assert not done.sent
        assert server.requests == []


@pytest.mark.parametrize(
    ("answer", "idempotency", "kind"),
    [
        (b"HTTP/1.1 500 X\r\nContent-Length: 2\r\n\r\nno", Idempotency.IDEMPOTENT, ServerError),
        (b"HTTP/1.1 500 X\r\nContent-Length: 2\r\n\r\nn", Idempotency.IDEMPOTENT, NotSent),
        # With nothing sent, a create is tried again, too.
        (b"HTTP/1.1 413 X\r\nContent-Length: 2\r\n\r\nn", ONCE, NotSent),
    ],
)
async def test_what_a_refusal_kept_from_leaving_was_not_carried_out(
    lab, answer, idempotency, kind
) -> None:
    """Whatever the refusal says, and whether it came whole."""

    def script(connection) -> None:
        connection.send(answer)
        connection.socket.shutdown(socket.SHUT_WR)
        connection.until_closed()

    server = lab.serve(script)
    async with aclosing(lab.transport(server)) as transport:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("aiocake._transport.dial.open_socket", after_bytes(server))
            done = await transport.exchange(lab.post, lab.check, lab.plan(idempotency, attempts=2))
    assert type(done.error) is kind
    assert (done.attempts, done.sent, done.sent_before) == (2, False, False)
    assert server.requests == []


@pytest.mark.parametrize("first", [b"HTTP/1.1 2", b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 2"])
async def test_an_answer_that_began_before_the_request_is_none_to_it(first) -> None:
    """Its end comes later: it would look like an answer to what was written meanwhile."""
    async with pair() as (connection, theirs):
        theirs.sendall(first)
        trace, failures = SendTrace(), []

        async def ask() -> None:
            failures.append(await connection.ask(b"POST / HTTP/1.1\r\n\r\n", trace, 20.0))

        async with anyio.create_task_group() as group:
            group.start_soon(ask)
            await anyio.wait_all_tasks_blocked()
            theirs.sendall(b"00 OK\r\nContent-Length: 2\r\n\r\nok")
        assert not trace.sent
        assert not failures[0].sent
        theirs.settimeout(0)
        with pytest.raises(BlockingIOError):
            theirs.recv(1)


def early(connection, status: str) -> None:
    connection.answer(b"bye", status=status)
    connection.until_closed()


def after_bytes(server) -> Callable[..., Any]:
    from aiocake._transport.dial import open_socket  # noqa: PLC0415 - as it is now

    async def opened(*where: Any) -> socket.socket:  # noqa: ANN401 - handed on
        made = await open_socket(*where)
        with anyio.fail_after(20):
            await anyio.wait_readable(made)
        return made

    del server
    return opened


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "TLS"])
async def test_an_early_refusal_ends_a_long_request(lab, secure) -> None:
    def script(connection) -> None:
        connection.socket.recv(100)
        connection.answer(b"too large", status="413 Too Large")
        connection.server.go_on.wait(20)

    server = lab.serve(script, TLS if secure else None)
    request = lab.post.__class__(
        "invoices.create", "POST", "/", "api_key=", body=bytes(20_000_000), key_offset=8
    )
    async with aclosing(lab.transport(server, ssl_context=TRUSTING if secure else None)) as it:
        done = await it.exchange(
            request,
            lambda response: RequestRejected(response.body.decode(), status=response.status),
            lab.plan(ONCE),
        )
        server.go_on.set()
    assert isinstance(done.error, RequestRejected)
    assert done.error.status == 413
    assert done.sent


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "TLS"])
async def test_a_whole_answer_counts_although_the_server_ends(lab, secure) -> None:
    ended = threading.Semaphore(0)

    def script(connection) -> None:
        connection.request()
        connection.send(lab.ok)
        if secure:
            connection.socket.close()
        else:
            connection.socket.shutdown(socket.SHUT_WR)
        ended.release()
        if not secure:
            connection.until_closed()

    server = lab.serve(script, TLS if secure else None)
    settings = {"throttle": ONE, "ssl_context": TRUSTING if secure else None}
    async with aclosing(lab.transport(server, **settings)) as transport:
        for _ in range(2):
            done = await transport.exchange(lab.post, lab.fine, lab.plan(Idempotency.IDEMPOTENT))
            assert done.response.body == b"ok"
            # The end is there before the next call.
            assert await anyio.to_thread.run_sync(ended.acquire)
        assert done.attempts == 1
    assert len(server.connections) == 2


@asynccontextmanager
async def pair() -> AsyncGenerator[tuple[HttpConnection, socket.socket]]:
    """A connection, and the other end of it."""
    ours, theirs = socket.socketpair()
    ours.settimeout(0)
    theirs.settimeout(20)
    with theirs:
        connection = connection_over(ours, "x.example")
        try:
            yield connection, theirs
        finally:
            connection.close()


async def asked(connection: HttpConnection, theirs: socket.socket, answer: bytes) -> None:
    """Ask, answer, and let it rest."""
    async with anyio.create_task_group() as group:

        async def ask() -> None:
            assert await connection.ask(b"GET / HTTP/1.1\r\n\r\n", SendTrace(), 20.0) is None
            assert connection.whole() == b"ok"
            connection.release()

        group.start_soon(ask)
        await anyio.wait_all_tasks_blocked()
        assert theirs.recv(1000) == b"GET / HTTP/1.1\r\n\r\n"
        theirs.sendall(answer)


async def test_a_request_that_may_not_leave_any_more(lab) -> None:
    async with pair() as (connection, theirs):
        await asked(connection, theirs, lab.ok)
        late = SendTrace()
        late.latest = anyio.current_time() - 1
        failure = await connection.ask(b"POST / HTTP/1.1\r\n\r\n", late, 20.0)
        assert failure is not None
        assert (failure.text, failure.sent, late.sent) == (TOO_LATE, False, False)
        # Nothing has happened to the connection.
        assert connection.usable()
        await asked(connection, theirs, lab.ok)


async def test_an_idle_connection_that_ends_is_seen(lab) -> None:
    for said in (b"", b"HTTP/1.1 408 Request Timeout\r\n\r\n"):
        async with pair() as (connection, theirs):
            await asked(connection, theirs, lab.ok)
            assert connection.usable()
            if said:
                theirs.sendall(said)
            else:
                theirs.shutdown(socket.SHUT_WR)
            trace = SendTrace()
            failure = await connection.ask(b"POST / HTTP/1.1\r\n\r\n", trace, 20.0)
            assert failure is not None
            assert not failure.sent
            assert not trace.sent
            assert connection.stale
            assert connection.closed


# On trio a wait has a deadline of its own.
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_connection_that_is_closed_leaves_no_timer(lab, monkeypatch, anyio_backend) -> None:
    """It would keep the connection for as long as the next bytes may take: hours for an export."""
    del anyio_backend
    loop = asyncio.get_running_loop()
    timers: list[asyncio.TimerHandle] = []
    call_at = loop.call_at

    def noted(when: float, call: Callable[..., object], *rest: Any) -> asyncio.TimerHandle:  # noqa: ANN401 - handed on
        timers.append(call_at(when, call, *rest))
        return timers[-1]

    async with pair() as (connection, theirs):
        with monkeypatch.context() as patch:
            patch.setattr(loop, "call_at", noted)
            await asked(connection, theirs, lab.ok)
    assert timers
    assert all(each.cancelled() for each in timers)


@pytest.mark.skipif(sys.platform == "win32", reason="uvloop is not for Windows")
@pytest.mark.parametrize("anyio_backend", [("asyncio", {"use_uvloop": True})])
async def test_bytes_that_come_in_the_last_half_millisecond(monkeypatch, anyio_backend) -> None:
    """uvloop counts milliseconds: within the last half of one its handle has no time."""
    del anyio_backend
    monkeypatch.setattr("aiocake._transport.dial.watches_sockets", lambda _: True)
    async with pair() as (connection, _):
        connection._total = connection._clock()
        # A wait that bytes end in the turn of the loop in which it would have been over.
        first = asyncio.ensure_future(connection._wait())
        await asyncio.sleep(0)
        assert connection._timer is not None
        connection._on_readable()
        await connection._wait()
        await first
        assert connection._late


@pytest.mark.parametrize("where", ["asyncio", "asyncio without readers", "trio"])
def test_a_connection_is_closed_although_its_loop_has_ended(monkeypatch, where) -> None:
    """A loop that is closed by hand leaves what waits there to the garbage collector."""
    monkeypatch.setattr("aiocake._transport.dial.watches_sockets", lambda _: where == "asyncio")
    ours, theirs = socket.socketpair()
    ours.settimeout(0)

    async def begin() -> tuple[HttpConnection, Coroutine[Any, Any, object]]:
        connection = connection_over(ours, "x.example")
        asking: Coroutine[Any, Any, object] = connection.ask(bytes(10_000_000), SendTrace(), 20.0)
        if where == "asyncio":
            waiting = asking.send(None)
            waiting.add_done_callback(lambda _: None)  # as whoever waits does
        return connection, asking

    with ours, theirs:
        connection, asking = anyio.run(begin, backend=where.partition(" ")[0])
        connection.close()
        assert ours.fileno() == -1
        asking.close()


async def test_what_is_left_of_a_refused_request_is_not_kept() -> None:
    async with pair() as (connection, theirs):
        async with anyio.create_task_group() as group:
            group.start_soon(connection.ask, b"POST / " + bytes(10_000_000), SendTrace(), 20.0)
            await anyio.wait_all_tasks_blocked()
            theirs.sendall(b"HTTP/1.1 413 X\r\nContent-Length: 2\r\n\r\no")
        assert connection.reader.status == 413
        assert not connection._out


async def test_an_answer_that_ended_as_its_time_was_up_does_not_end_the_next(lab) -> None:
    async with pair() as (connection, theirs):
        theirs.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no")
        connection.reader.begin()
        while connection.reader.status is None:
            await connection._wait()
        # Between the end of the wait and the next look at it, the rest comes.
        connection._read = 0.0
        await connection._wait()
        connection._read = 20.0
        theirs.sendall(b"k")
        while not connection.reader.done:
            connection._receive()
        assert connection.whole() == b"ok"
        connection.release()
        await asked(connection, theirs, lab.ok)


async def test_more_than_one_turn_can_read_is_read_once_a_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reads = []

    def receive(_: HttpConnection) -> bool:
        reads.append(1)
        return False

    monkeypatch.setattr(HttpConnection, "_receive", receive)
    async with pair() as (connection, theirs):
        theirs.sendall(b"x")
        turns = 50
        for _turn in range(turns):
            await anyio.lowlevel.checkpoint()
        # One that reads on demand is asked by nobody.
        assert bool(reads) == isinstance(connection, LoopConnection)
        assert len(reads) <= 2 * turns


class Layer:
    """A layer that answers, and that waits, when it is told to."""

    ready = True
    within_record = False
    ended = False
    error = None
    protocol = None

    def __init__(self) -> None:
        self._said = b""
        self._held = b""
        self.blocked = False

    def open(self, data: bytes) -> bytes:
        """A U is what is to be answered; an R lets go on who waits."""
        self._said += b"u" * data.count(b"U")
        if b"R" in data:
            self.blocked = False
        return data.replace(b"U", b"").replace(b"R", b"")

    def seal(self, data: bytes | memoryview) -> bytes:
        self._held += bytes(data)
        if self.blocked:
            return b""
        said, self._said, self._held = self._said + self._held, b"", b""
        return said

    def end(self) -> None:
        self.ended = True

    def goodbye(self) -> bytes:
        return b"bye"


async def test_reading_may_have_to_write(lab) -> None:
    """So does TLS, for a key update that it is asked for."""
    async with pair() as (connection, theirs):
        await connection.secure(Layer())  # type: ignore[arg-type] # it is used alike
        await asked(connection, theirs, lab.ok)
        theirs.sendall(b"U")
        await asked_behind(connection, theirs, b"u", lab.ok)
        connection.goodbye()
        assert theirs.recv(1000) == b"bye"


async def asked_behind(
    connection: HttpConnection, theirs: socket.socket, before: bytes, answer: bytes
) -> None:
    async with anyio.create_task_group() as group:

        async def ask() -> None:
            trace = SendTrace()
            assert await connection.ask(b"GET / HTTP/1.1\r\n\r\n", trace, 20.0) is None
            assert trace.sent
            connection.whole()
            connection.release()

        group.start_soon(ask)
        await anyio.wait_all_tasks_blocked()
        assert theirs.recv(1000) == before + b"GET / HTTP/1.1\r\n\r\n"
        theirs.sendall(answer)


def test_where_a_record_of_tls_ends() -> None:
    """However its bytes are cut."""
    layer, incoming, outgoing = TlsLayer(TRUSTING, "127.0.0.1"), ssl.MemoryBIO(), ssl.MemoryBIO()
    theirs = TLS.wrap_bio(incoming, outgoing, server_side=True)
    while not layer.ready:
        incoming.write(layer.seal(b""))
        with suppress(ssl.SSLWantReadError):
            theirs.do_handshake()
        for byte in outgoing.read():
            layer.open(bytes([byte]))
    incoming.write(layer.seal(b""))
    theirs.do_handshake()
    layer.open(outgoing.read())  # tickets
    assert not layer.within_record
    for size in (1, 2, 3, 5, 7, 20_000):  # of which the last are two records
        theirs.write(bytes(size))
        sealed, came = outgoing.read(), b""
        step = max(1, size // 3)
        for at in range(0, len(sealed), step):
            assert layer.within_record == bool(at)
            came += layer.open(sealed[at : at + step])
        assert (came, layer.within_record) == (bytes(size), False)


async def test_surplus_that_has_begun_within_tls_is_not_the_next_answer(lab) -> None:
    """Its end would look like one."""
    async with pair() as (connection, theirs):
        layer = Layer()
        await connection.secure(layer)  # type: ignore[arg-type] # it is used alike
        await asked(connection, theirs, lab.ok)
        layer.within_record = True
        trace = SendTrace()
        failure = await connection.ask(b"GET / HTTP/1.1\r\n\r\n", trace, 20.0)
        assert failure is not None
        assert (failure.sent, trace.sent, connection.stale) == (False, False, True)


async def test_a_long_request_is_sealed_in_pieces(lab) -> None:
    """Sealed at once it would be held twice."""
    sealed: list[int] = []

    class Counted(Layer):
        def seal(self, data: bytes | memoryview) -> bytes:
            sealed.append(len(data))
            return super().seal(data)

    request = bytes(200_000)
    async with pair() as (connection, theirs):
        await connection.secure(Counted())  # type: ignore[arg-type] # the same
        theirs.settimeout(0)
        left = len(request)
        async with anyio.create_task_group() as group:

            async def ask() -> None:
                assert await connection.ask(request, SendTrace(), 20.0) is None

            group.start_soon(ask)
            with anyio.fail_after(20):
                while left:
                    await anyio.wait_readable(theirs)
                    left -= len(theirs.recv(1 << 20))
            theirs.sendall(lab.ok)
    assert (sum(sealed), max(sealed)) == (len(request), 65_536)


async def test_writing_may_have_to_wait_for_reading(lab) -> None:
    async with pair() as (connection, theirs):
        layer = Layer()
        await connection.secure(layer)  # type: ignore[arg-type] # the same
        layer.blocked = True
        trace = SendTrace()
        async with anyio.create_task_group() as group:

            async def ask() -> None:
                assert await connection.ask(b"GET / HTTP/1.1\r\n\r\n", trace, 20.0) is None

            group.start_soon(ask)
            await anyio.wait_all_tasks_blocked()
            assert not trace.sent
            theirs.sendall(b"R")
            with anyio.fail_after(20):
                await anyio.wait_readable(theirs)
            assert trace.sent
            assert theirs.recv(1000) == b"GET / HTTP/1.1\r\n\r\n"
            theirs.sendall(lab.ok)


@pytest.mark.parametrize("taken", [0, 20])
async def test_a_socket_that_takes_no_more_is_not_waited_for(taken) -> None:
    """Some systems lack memory for it at times (ENOBUFS): the peer will not say so."""

    class Failing(socket.socket):
        def send(self, data: Any, flags: int = 0) -> int:  # noqa: ANN401 - what it takes
            if len(data) == len(request) and taken:
                return super().send(data[:taken], flags)
            raise OSError(errno.ENOBUFS, "no buffer space")

    request = b"GET / HTTP/1.1\r\nHost: x.example\r\n\r\n"
    ours, theirs = socket.socketpair()
    failing = Failing(fileno=ours.detach())
    failing.settimeout(0)
    connection, trace = connection_over(failing, "x.example"), SendTrace()
    with theirs, anyio.fail_after(10):
        failure = await connection.ask(request, trace, 1_000.0)
        connection.close()
    assert failure is not None
    assert (failure.sent, trace.sent) == (taken > 0, taken > 0)


class Full:
    """A loop of asyncio that watches no more sockets."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def add_writer(self, *_: object) -> None:
        raise OSError(errno.ENOSPC, "no space")

    add_reader = add_writer

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - as it is
        return getattr(self._loop, name)


async def waits_in_vain(_: socket.socket) -> None:
    raise OSError(errno.ENOSPC, "no space")


def let_fail(connection: HttpConnection) -> None:
    if isinstance(connection, PullingConnection):
        connection._waits = attrs.evolve(
            connection._waits, readable=waits_in_vain, writable=waits_in_vain
        )
    elif isinstance(connection, LoopConnection):
        connection._loop = Full(connection._loop)  # type: ignore[assignment] # used alike


async def test_a_loop_that_cannot_watch_a_socket_hides_no_outcome() -> None:
    """As epoll, of which a user has only so many entries: a write that left is not unsent."""
    async with pair() as (connection, _):
        let_fail(connection)
        trace = SendTrace()
        failure = await connection.ask(bytes(10_000_000), trace, 20.0)
        assert failure is not None
        assert (failure.kind, failure.sent) == (FailureKind.CONNECTION_LOST, True)
    async with pair() as (connection, theirs):
        theirs.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 300000\r\n\r\n")
        assert await connection.ask(b"GET / HTTP/1.1\r\n\r\n", SendTrace(), 20.0) is None
        theirs.settimeout(0)
        for _ in range(100):  # until it holds as much as it holds of a body
            with suppress(BlockingIOError):
                theirs.send(bytes(10_000))
            await anyio.lowlevel.checkpoint()
        let_fail(connection)
        while isinstance(piece := await connection.next(), bytes):
            pass
        assert isinstance(piece, TransportFailure)
        assert (piece.kind, piece.status) == (FailureKind.CONNECTION_LOST, 400)


async def test_a_body_that_nobody_reads_is_not_read_ahead() -> None:
    size = 30_000_000

    def send(theirs: socket.socket) -> None:
        theirs.recv(100)
        with suppress(OSError):
            theirs.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + bytes(size))

    async with pair() as (connection, theirs):
        sending = threading.Thread(target=send, args=(theirs,))
        sending.start()
        assert await connection.ask(b"GET / HTTP/1.1\r\n\r\n", SendTrace(), 20.0) is None
        for _ in range(100):
            await anyio.lowlevel.checkpoint()
        assert connection.reader.unread < 1_000_000
        came = 0
        while isinstance(piece := await connection.next(), bytes):
            came += len(piece)
            assert connection.reader.unread < 1_000_000
        assert (came, piece) == (size, None)
        await anyio.to_thread.run_sync(sending.join)


# The race with a server that closes an idle connection


def closing(connection) -> None:
    """Answer once, and give up the connection when the next request comes."""
    connection.request()
    connection.answer(b"ok")
    connection.head()


@pytest.mark.parametrize("idempotency", Idempotency)
async def test_a_connection_that_was_closed_between_calls_costs_a_read_no_attempt(
    lab, idempotency
) -> None:
    events: list[Event] = []
    server = lab.serve(closing)
    settings = {"throttle": ONE, "on_event": events.append}
    async with aclosing(lab.transport(server, **settings)) as transport:
        assert (await transport.exchange(lab.get, lab.fine, lab.plan())).error is None
        events.clear()
        plan = lab.plan(idempotency, attempts=1)
        done = await transport.exchange(lab.post, lab.fine, plan)
    ends = [
        (each.number, each.error, each.sent) for each in events if isinstance(each, AttemptEnded)
    ]
    if idempotency is Idempotency.SAFE:
        assert done.error is None
        # It is told all the same.
        assert ends == [(1, "DecodeError", True), (2, None, True)]
        assert [each.wait for each in events if isinstance(each, RetryScheduled)] == [0.0]
    elif idempotency is Idempotency.IDEMPOTENT:
        assert isinstance(done.error, DecodeError)
        assert ends == [(1, "DecodeError", True)]
    else:
        # It goes over a connection of its own.
        assert ends == [(1, None, True)]


async def test_it_does_so_once_a_call(lab) -> None:
    """All connections end before they answer, but for the first answer of one of them."""

    def script(connection) -> None:
        connection.request()
        if connection.number == 0:
            connection.answer(b"ok")
            connection.head()

    server = lab.serve(script)
    async with aclosing(lab.transport(server, throttle=ONE)) as transport:
        assert (await transport.exchange(lab.get, lab.fine, lab.plan())).error is None
        done = await transport.exchange(lab.get, lab.fine, lab.plan(attempts=2))
    assert isinstance(done.error, DecodeError)
    assert done.attempts == 3


async def test_a_read_whose_connection_ends_as_its_time_is_up_is_over(lab, monkeypatch) -> None:
    """It was sent: another attempt, cut before it leaves, would end it in NotSent."""
    ended, late = HttpConnection._failure, 0.0

    def ended_late(connection: HttpConnection) -> TransportFailure:
        nonlocal late
        connection._late, late = True, 1000.0
        return ended(connection)

    server = lab.serve(closing)
    async with aclosing(lab.transport(server, throttle=ONE)) as transport:
        assert (await transport.exchange(lab.get, lab.fine, lab.plan())).error is None
        monkeypatch.setattr(HttpConnection, "_failure", ended_late)
        lifecycle = transport.transport.lifecycle
        monkeypatch.setattr(lifecycle, "clock", lambda now=lifecycle.clock: now() + late)
        done = await transport.exchange(lab.get, lab.fine, lab.plan())
    assert isinstance(done.error, DeadlineExceeded)
    assert (done.sent, done.attempts) == (True, 1)


async def test_it_costs_none_behind_a_renewed_key_either(lab) -> None:
    """Asking for it takes time, in which a server may close the connection."""

    def script(connection) -> None:
        connection.request()
        if connection.number:
            connection.answer(b"ok")
        else:
            connection.answer(b"no", status="401 Unauthorized")
            connection.request()

    keys = iter(("old", "new"))

    async def vault() -> str:
        return next(keys)

    async with aclosing(lab.transport(lab.serve(script), key=vault, throttle=ONE)) as transport:
        done = await transport.exchange(lab.get, lab.check, lab.plan(attempts=1))
    assert (done.error, done.attempts) == (None, 3)


# Ends at each moment


@pytest.mark.parametrize("natively", [False, True])
@pytest.mark.parametrize("how", ["plain", "TLS", "proxy"])
async def test_cancelled_at_each_await_nothing_is_left(
    lab, names, how, natively, anyio_backend
) -> None:
    if natively and anyio_backend == "trio":
        return
    names["two.localhost"] = ["127.0.0.2", "127.0.0.1"]
    secure = how != "plain"
    server = lab.obedient(certified("two.localhost") if secure else None)
    proxy = lab.serve(tunnel)
    settings = {"ssl_context": TRUSTING} if secure else {}
    if how == "proxy":
        settings["proxy"] = f"http://127.0.0.1:{proxy.port}"
        names["two.localhost"] = ["127.0.0.1"]
    scheme = "https" if secure else "http"
    transport = lab.transport(f"{scheme}://two.localhost:{server.port}", **settings)
    sender = transport.transport.sender
    at, came = 0, True
    while came:
        answers: list[object] = []

        async def call(answers: list[object] = answers) -> None:
            answers.append(await transport.exchange(lab.get, lab.fine, lab.plan()))

        came = await interrupted(call(), range(at, at + 1), natively=natively)
        if answers:
            # Of a cancellation and an answer in one turn of the loop, the answer counts. The next
            # call opens a connection again, for its awaits to be cancelled as well.
            sender.drop(0)
        assert not any(sender._connections)
        at += 1
    assert at >= 3
    await transport.aclose()
    assert transport.stats().in_flight == 0
    for each in (*server.connections, *proxy.connections):
        await anyio.to_thread.run_sync(each.server.join, each.number)


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "TLS"])
async def test_an_answer_that_is_cut_at_each_byte(lab, secure) -> None:
    answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"

    def script(connection) -> None:
        while connection.request():
            connection.send(answer[: len(connection.server.connections) - 1])
            if connection.number < len(answer):
                return

    server = lab.serve(script, TLS if secure else None)
    settings = {"throttle": ONE, "ssl_context": TRUSTING if secure else None}
    async with aclosing(lab.transport(server, **settings)) as transport:
        for length in range(len(answer) + 1):
            done = await transport.exchange(lab.post, lab.fine, lab.plan(ONCE))
            assert len(server.requests) == length + 1
            assert done.sent
            if length < len(answer):
                assert isinstance(done.error, DecodeError)
            else:
                assert done.response.body == b"ok"


async def test_a_request_that_is_cut_at_each_byte(lab) -> None:
    size = 0

    def whole(connection) -> None:
        nonlocal size
        size = len(connection.request())
        connection.send(lab.ok)

    def script(connection) -> None:
        for _ in range(connection.number):
            connection.socket.recv(1)
        if connection.number == size:
            connection.send(lab.ok)
            connection.until_closed()
        connection.reset()

    plan = lab.plan(ONCE, attempts=1)
    async with aclosing(lab.transport(lab.serve(whole))) as transport:
        assert (await transport.exchange(lab.form, lab.fine, plan)).error is None
    server = lab.serve(script)
    # The same length.
    assert len(str(server.port)) == 5
    async with aclosing(lab.transport(server, throttle=ONE)) as transport:
        for length in range(size + 1):
            done = await transport.exchange(lab.form, lab.fine, plan)
            if length == size:
                assert done.error is None
            elif length:
                assert isinstance(done.error, DecodeError)
                assert done.sent
            else:
                assert isinstance(done.error, NotSent) == (not done.sent)
                assert isinstance(done.error, CakeError)


# On trio nothing is logged in debug mode.
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_debug_mode_logs_no_request(lab, caplog, anyio_backend) -> None:
    """It prints each callback and task that takes long, by its repr."""
    del anyio_backend
    caplog.set_level(1)
    key = "canary0123456789CANARY"
    loop = asyncio.get_running_loop()
    loop.set_debug(True)
    loop.slow_callback_duration = 0.0
    server = lab.obedient(TLS)
    settings = {"ssl_context": TRUSTING, "key": Secret(key)}
    async with aclosing(lab.transport(server, **settings)) as transport:
        for idempotency in Idempotency:
            done = await transport.exchange(lab.form, lab.fine, lab.plan(idempotency))
            assert done.error is None
    loop.set_debug(False)
    assert key.encode() in server.requests[0]
    logged = [record.getMessage() for record in caplog.records]
    assert any("_on_readable" in each or "took" in each for each in logged)
    assert not any(key in each for each in logged)
