"""The way to an instance, over real sockets: address, proxy, TLS."""

import socket
import ssl
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
import trustme

from aiocake import Client, NotSent
from aiocake.doctor import Diagnosis, Finding, Level, examine

from ..support.loops import anyio_backend  # noqa: F401 - runs on uvloop, too
from ..support.scripted import Connection, Server

pytestmark = pytest.mark.anyio

KEY = "canary0123456789CANARY"


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def start(authority: trustme.CA) -> Iterator[Callable[..., Server]]:
    """Start servers that refuse the key, with a certificate that is valid for so many days."""
    started: list[Server] = []

    def begin(days: int | None = 400, name: str = "127.0.0.1") -> Server:
        tls = None
        if days is not None:
            tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            until = datetime.now(UTC) + timedelta(days=days, hours=1)
            authority.issue_cert(name, not_after=until).configure_cert(tls)
        started.append(Server(refuse, tls))
        return started[-1]

    yield begin
    for each in started:
        each.close()


def refuse(connection: Connection) -> None:
    while connection.request():
        connection.answer(b'{"success": false, "message": "Invalid API key"}')


def answer_anything(connection: Connection) -> None:
    connection.socket.recv(65_536)
    connection.answer(b"", status="400 Bad Request")


@pytest.fixture
def trusting(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.configure_trust(context)
    return context


async def examined(domain: str, **settings: object) -> Diagnosis:
    async with Client(domain, KEY, **settings) as cake:  # type: ignore[arg-type] # they are what they are
        found = await examine(cake)
    assert KEY not in repr(found)
    return found


def of(found: Diagnosis, topic: str) -> Finding:
    (finding,) = (each for each in found.findings if each.topic == topic)
    return finding


async def test_the_version_of_tls_and_the_certificate_are_shown(
    start: Callable[..., Server], trusting: ssl.SSLContext
) -> None:
    server = start()
    found = await examined(server.url, ssl_context=trusting)
    assert of(found, "connection").text.startswith("127.0.0.1 (1 address) in ")
    assert of(found, "proxy").text == "none"
    until = f"{datetime.now(UTC) + timedelta(days=400, hours=1):%Y-%m-%d}"
    assert of(found, "tls").level is Level.OK
    assert of(found, "tls").text.startswith("TLSv1.3; certificate by trustme")
    assert of(found, "tls").text.endswith(f" until {until}")
    # The look at the connection sends nothing.
    assert found.requests == len(server.requests) == 1


@pytest.mark.parametrize(("days", "left"), [(14, "14 days left"), (1, "1 day left")])
async def test_a_certificate_that_ends_soon_is_warned_of(
    start: Callable[..., Server], trusting: ssl.SSLContext, days: int, left: str
) -> None:
    found = await examined(start(days).url, ssl_context=trusting)
    assert of(found, "tls").level is Level.WARNING
    assert of(found, "tls").text.endswith(left)


async def test_a_certificate_that_nobody_looks_at_is_warned_of(
    start: Callable[..., Server],
) -> None:
    careless = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    careless.check_hostname = False
    careless.verify_mode = ssl.CERT_NONE
    found = await examined(start().url, ssl_context=careless)
    assert of(found, "tls").level is Level.WARNING
    assert "is not looked at" in of(found, "tls").text


@pytest.mark.parametrize(
    ("days", "name", "trusted", "said"),
    [
        (-1, "127.0.0.1", True, "has expired"),
        (400, "other.example", True, "is for another name"),
        (400, "127.0.0.1", False, "certificate of 127.0.0.1"),
        (None, "", True, "does not speak TLS"),
    ],
)
async def test_tls_that_does_not_come_about_ends_it(  # noqa: PLR0913, PLR0917 - cases
    start: Callable[..., Server],
    trusting: ssl.SSLContext,
    days: int | None,
    name: str,
    trusted: bool,  # noqa: FBT001 - a parameter of the test
    said: str,
) -> None:
    server = start(days, name)
    if days is None:
        server.script = answer_anything
    url = f"https://127.0.0.1:{server.port}"
    found = await examined(url, ssl_context=trusting if trusted else None)
    (problem,) = found.problems
    assert problem.topic == "connection"
    assert said in problem.text
    assert problem.advice
    assert isinstance(found.error, NotSent)
    assert (found.requests, server.requests) == (0, [])


async def test_plain_http_on_this_machine_needs_no_tls(start: Callable[..., Server]) -> None:
    found = await examined(start(None).url)
    assert of(found, "tls").text == "none: plain http, on this machine"


async def test_an_instance_that_is_not_there_ends_it(start: Callable[..., Server]) -> None:
    server = start(None)
    server.close()
    found = await examined(server.url)
    (problem,) = found.problems
    assert "refused the connection" in problem.text
    assert (isinstance(found.error, NotSent), found.requests) == (True, 0)


async def test_a_name_that_is_none_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr("socket.getaddrinfo", fail)
    found = await examined("yourdomain.cake.example")
    (problem,) = found.problems
    assert problem.text == "cannot resolve yourdomain.cake.example"
    assert problem.advice == "check the name of the instance"


async def test_a_proxy_of_other_programs_is_pointed_at(
    start: Callable[..., Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://me:secret@proxy.example:3128")
    server = start()
    server.close()
    found = await examined(server.url)
    assert found.problems[0].advice.startswith("HTTPS_PROXY is set, and not read by aiocake")
    assert "secret" not in repr(found)


async def test_a_proxy_is_named_without_its_password(
    start: Callable[..., Server], trusting: ssl.SSLContext
) -> None:
    server, proxy = start(), start(None)

    def tunnel(connection: Connection) -> None:
        connection.head()
        connection.answer(b"", status="407 Proxy Authentication Required")

    proxy.script = tunnel
    url = f"http://me:secret-pass@127.0.0.1:{proxy.port}"
    found = await examined(server.url, ssl_context=trusting, proxy=url)
    (problem,) = found.problems
    assert problem.text == "the proxy 127.0.0.1 refused (407 Proxy Authentication Required)"
    assert "secret" not in repr(found)
