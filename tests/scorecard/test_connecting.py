"""No connection, or one that cannot be trusted: nothing was sent, and that is what is said."""

import datetime as dt
import socket
import ssl
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread
import pytest
import trustme

from aiocake import Client, Throttle, Timeouts
from aiocake.errors import ConfigurationError, DecodeError

from ..support.proxies import tunnel
from ..support.scripted import Connection, Server
from ._cake import EACH, LOOK_UP, PASSING, Call, obedient
from ._canary import KEY
from ._card import Card, Met

if TYPE_CHECKING:
    from aiocake.events import Event

pytestmark = pytest.mark.anyio

CA = trustme.CA()
OTHER_CA = trustme.CA()
PAST = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)


def certified(*names: str, ca: trustme.CA = CA, **settings: dt.datetime) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert(*names, **settings).configure_cert(context)
    return context


GOOD = certified("127.0.0.1")
BAD = {
    "untrusted": certified("127.0.0.1", ca=OTHER_CA),
    "expired": certified("127.0.0.1", not_after=PAST, not_before=PAST - dt.timedelta(1)),
    "another name": certified("other.example"),
}
TRUSTING = ssl.create_default_context()
CA.configure_trust(TRUSTING)


def once_not_sent(met: Met, *, passing: bool) -> None:
    """Retried; and the retry is as good as a first try, for nothing had left."""
    if passing:
        met.succeeds(attempts=2)
    else:
        met.not_sent(attempts=3)


@pytest.mark.case("C01")
@EACH
@PASSING
async def test_a_connection_that_is_refused(card: Card, call: Call, passing: bool) -> None:  # noqa: FBT001 - by pytest
    server = card.serve(obedient, listening=False)
    once_not_sent(
        await card.play(call, server, heal=server.listen, passing=passing), passing=passing
    )


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """The addresses that each name has; none means that there is no such host."""
    known: dict[str, list[str]] = {}
    look_up = socket.getaddrinfo

    def looked_up(host: Any, port: int, *rest: Any, **named: Any) -> Any:  # noqa: ANN401 - as it is
        name = host.decode() if isinstance(host, bytes) else host
        if name not in known:
            return look_up(host, port, *rest, **named)
        if not known[name]:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        kind = (socket.AF_INET, socket.SOCK_STREAM, 6, "")
        return [(*kind, (address, port)) for address in known[name]]

    monkeypatch.setattr(socket, "getaddrinfo", looked_up)
    return known


@pytest.mark.case("C01")
@EACH
@PASSING
async def test_a_host_that_does_not_exist(
    card: Card,
    names: dict[str, list[str]],
    call: Call,
    passing: bool,  # noqa: FBT001 - by pytest
) -> None:
    names["cake.localhost"] = []
    server = card.serve(obedient)

    def heal() -> None:
        names["cake.localhost"] = ["127.0.0.1"]

    to = f"http://cake.localhost:{server.port}"
    once_not_sent(await card.play(call, server, to=to, heal=heal, passing=passing), passing=passing)


@pytest.mark.case("C01")
@EACH
async def test_a_host_to_which_connecting_takes_too_long(card: Card, call: Call) -> None:
    server = card.serve(obedient, listening=False)
    # A queue that is full: the kernel lets those who come wait.
    server.listener.listen(0)
    waiting = [socket.socket() for _ in range(3)]
    for each in waiting:
        each.settimeout(0)
        each.connect_ex(("127.0.0.1", server.port))

    def heal() -> None:
        for each in waiting:
            each.close()
        server.listen()

    timeouts = Timeouts(total=20, connect=0.1)
    met = await card.play(call, server, heal=heal, timeouts=timeouts)
    met.not_sent(attempts=3)


@pytest.mark.case("C04")
@EACH
async def test_the_second_address_is_tried(
    card: Card, names: dict[str, list[str]], call: Call
) -> None:
    server = card.serve(obedient)
    names["two.localhost"] = ["127.0.0.2", "127.0.0.1"]
    met = await card.play(call, server, to=f"http://two.localhost:{server.port}")
    met.succeeds(attempts=1)
    assert len(met.requests) == 1


@pytest.mark.case("C05")
@pytest.mark.parametrize(
    "domain",
    [
        "https://x.example:0",
        "https://x.example:65536",
        "https://x.example:port",
        "https://x.example:",
        "http://x.example",
        "http://10.0.0.1",
        "http://127.0.0.1.x.example",
        "ftp://x.example",
        "https://",
        "https://user:word@x.example",
        "https://x.example/path",
        "https://x.example?api_key=1",
        "x y",
        "",
    ],
)
async def test_an_address_that_cannot_be_one(card: Card, domain: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Client(domain, KEY)
    card.everything.no_key_in(str(caught.value))


@pytest.mark.case("C06")
@EACH
@pytest.mark.parametrize("wrong", list(BAD))
async def test_a_certificate_that_is_not_to_be_trusted(card: Card, call: Call, wrong: str) -> None:
    server = card.serve(obedient, tls=BAD[wrong])

    def heal() -> None:
        server.tls = GOOD

    met = await card.play(call, server, heal=heal, ssl_context=TRUSTING)
    met.not_sent(attempts=1)


def over_tls(server: Server) -> str:
    """The address by which a client speaks TLS to a server, whatever that speaks."""
    return f"https://127.0.0.1:{server.port}"


@pytest.mark.case("C06")
@EACH
async def test_a_peer_that_speaks_no_tls(card: Card, call: Call) -> None:
    def script(connection: Connection) -> None:
        connection.socket.recv(100)
        connection.send(b"HTTP/1.1 400 Bad Request\r\n\r\n" * 10)
        connection.until_closed()

    server = card.serve(script)

    def heal() -> None:
        server.tls = GOOD

    met = await card.play(call, server, to=over_tls(server), heal=heal, ssl_context=TRUSTING)
    met.not_sent(attempts=1)


@pytest.mark.case("C07")
@EACH
@PASSING
@pytest.mark.parametrize("how", ["stalls", "reset", "end"])
async def test_a_tls_handshake_that_breaks(card: Card, call: Call, how: str, passing: bool) -> None:  # noqa: FBT001 - by pytest
    def script(connection: Connection) -> None:
        connection.socket.recv(100)
        if how == "stalls":
            connection.until_closed()
        elif how == "reset":
            connection.reset()

    server = card.serve(script)

    def heal() -> None:
        server.tls = GOOD

    slow = how == "stalls"
    met = await card.play(
        call,
        server,
        to=over_tls(server),
        heal=heal,
        passing=passing,
        ssl_context=TRUSTING,
        # Long enough for a handshake, where one is to succeed.
        timeouts=Timeouts(total=20, connect=(1.0 if passing else 0.1) if slow else 10),
    )
    once_not_sent(met, passing=passing)


@pytest.mark.case("C09")
@EACH
@PASSING
async def test_a_tls_record_that_is_corrupted(card: Card, call: Call, passing: bool) -> None:  # noqa: FBT001 - by pytest
    def script(connection: Connection) -> None:
        connection.request()
        raw = socket.socket(fileno=connection.socket.detach())
        raw.sendall(b"\x17\x03\x03\x00\x20" + bytes(32))
        raw.close()

    server = card.serve(script, tls=GOOD)
    met = await card.play(call, server, passing=passing, ssl_context=TRUSTING)
    if passing and not call.once:
        met.succeeds(attempts=2)
    else:
        met.ends(DecodeError, attempts=3)


@pytest.mark.case("C10")
@EACH
@pytest.mark.parametrize("how", ["queue", "total", "max_waiting"])
async def test_no_turn_in_the_queue(card: Card, call: Call, how: str) -> None:
    forgotten = threading.Event()

    def script(connection: Connection) -> None:
        connection.request()
        connection.server.requests.clear()
        forgotten.set()
        connection.server.go_on.wait(20)
        connection.send(b"HTTP/1.1 500 X\r\nContent-Length: 0\r\n\r\n")

    server = card.serve(script)
    events: list[Event] = []
    full = Throttle(concurrency=1, max_waiting=0 if how == "max_waiting" else None)
    options = {} if how == "max_waiting" else {how: 0.05}
    async with card.client(server, on_event=events.append, throttle=full) as cake:
        async with anyio.create_task_group() as group:
            group.start_soon(card.works, cake, LOOK_UP)
            assert await anyio.to_thread.run_sync(forgotten.wait, 20)
            met = await card.meet(call, cake.with_options(**options), events, server)
            met.not_sent(attempts=0)
            server.script = obedient
            server.go_on.set()
        await card.works(cake)
    await card.all_is_given_back(cake, None)


def through(proxy: Server) -> dict[str, object]:
    return {"proxy": f"http://me:pass@127.0.0.1:{proxy.port}", "ssl_context": TRUSTING}


@pytest.fixture
def target(card: Card) -> Iterator[Server]:
    """What is behind a proxy."""
    return card.serve(obedient, tls=GOOD)


@pytest.mark.case("C11")
@EACH
@PASSING
@pytest.mark.parametrize("how", ["refused", "407", "502", "reset"])
async def test_a_proxy_that_lets_nothing_through(
    card: Card,
    target: Server,
    call: Call,
    how: str,
    passing: bool,  # noqa: FBT001 - by pytest
) -> None:
    def script(connection: Connection) -> None:
        connection.request()
        if how == "reset":
            connection.reset()
        else:
            connection.answer(b"no", status=f"{how} No")

    proxy = card.serve(script, listening=how != "refused")

    def heal() -> None:
        proxy.listen()
        proxy.script = tunnel

    met = await card.play(call, proxy, to=target, heal=heal, passing=passing, **through(proxy))
    if how in {"407", "502"}:
        met.not_sent(attempts=1)
    else:
        once_not_sent(met, passing=passing)


@pytest.mark.case("C13")
@EACH
async def test_what_a_proxy_is_told(card: Card, target: Server, call: Call) -> None:
    proxy = card.serve(tunnel)

    def heal() -> None:
        proxy.script = tunnel

    met = await card.play(call, proxy, to=target, heal=heal, **through(proxy))
    met.succeeds(attempts=1)
    host = f"127.0.0.1:{target.port}"
    for request in proxy.requests:
        head = request.decode()
        assert head.startswith(f"CONNECT {host} HTTP/1.1\r\n")
        assert f"Host: {host}\r\n" in head
        assert "api" not in head
        assert "?" not in head
        card.everything.no_key_in(head)
        card.everything.no_payload_in(head)
    assert met.requests
    assert b"roxy" not in met.requests[0]
