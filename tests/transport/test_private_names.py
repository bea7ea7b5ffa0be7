# ruff: noqa: ANN001 - the lab comes from a conftest, whose types cannot be imported
"""What is reached for by a private name may be elsewhere in the next version: calls go on."""

import ssl
import sys
from collections.abc import Callable, Iterator
from contextlib import aclosing
from types import ModuleType, SimpleNamespace

import h11
import pytest
import trustme
from httpcore2._backends.anyio import AnyIOBackend, AnyIOStream

from aiocake._transport import httpcore_transport
from aiocake._transport.sockets import SocketBackend
from aiocake._transport.trailing_data import has_trailing_data
from aiocake.config import Throttle
from aiocake.values import Idempotency

pytestmark = pytest.mark.anyio

MODULE = "httpcore2._backends.anyio"
ONE = Throttle(concurrency=1)
CA = trustme.CA()
TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
CA.issue_cert("127.0.0.1").configure_cert(TLS)
TRUSTING = ssl.create_default_context()
CA.configure_trust(TRUSTING)


def module(**names: object) -> ModuleType:
    made = ModuleType(MODULE)
    vars(made).update(names)
    return made


MOVED: dict[str, ModuleType | None] = {
    "the module": None,
    "its names": module(),
    "the stream": module(AnyIOBackend=AnyIOBackend),
    "the backend": module(AnyIOStream=AnyIOStream),
    "into None": module(AnyIOBackend=None, AnyIOStream=None),
}


@pytest.fixture(params=list(MOVED))
def moved(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[list[object]]:
    """Take away what is imported of httpcore2, but not from httpcore2; what is used instead."""
    used: list[object] = []
    find = httpcore_transport._network_backend

    def without() -> object:
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(sys.modules, MODULE, MOVED[request.param])
            used.append(find())
        return used[-1]

    monkeypatch.setattr(httpcore_transport, "_network_backend", without)
    httpcore_transport._stream_class.cache_clear()
    yield used
    httpcore_transport._stream_class.cache_clear()


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "TLS"])
async def test_httpcore2_opens_connections_its_own_way(lab, moved, secure) -> None:
    server = lab.obedient(TLS if secure else None)
    settings = {"throttle": ONE, "ssl_context": TRUSTING if secure else None}
    async with aclosing(lab.transport(server, **settings)) as transport:
        for idempotency in (
            Idempotency.SAFE,
            Idempotency.IDEMPOTENT,
            Idempotency.NON_IDEMPOTENT,
            Idempotency.SAFE,
        ):
            done = await transport.exchange(lab.post, lab.fine, lab.plan(idempotency))
            assert done.error is None
            assert done.response.body == b"ok"
            assert done.attempts == 1
    assert moved == [None, None]
    assert len(server.connections) == 2  # the second one is the create's


class Opened:
    """A stream of a backend, with fewer private names than it has today."""

    def __init__(self, **fields: object) -> None:
        vars(self).update(fields)

    def get_extra_info(self, info: str) -> object:
        return getattr(self, info, None)


def refuse(_: object) -> object:
    raise TypeError


# Only there are connections taken over.
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("gone", ["stream", "transport", "socket", "constructor"])
async def test_a_connection_that_cannot_be_taken_over_is_used_as_it_is(lab, gone) -> None:
    server = lab.obedient()
    raw = await AnyIOBackend().connect_tcp("127.0.0.1", server.port)
    given = {
        "stream": lambda: Opened(socket=raw.get_extra_info("socket")),
        "transport": lambda: Opened(_stream=Opened(), socket=raw.get_extra_info("socket")),
        "socket": lambda: Opened(_stream=raw._stream),
        "constructor": lambda: raw,
    }[gone]()

    class Opener:
        async def connect_tcp(self, *_: object, **__: object) -> object:
            return given

    make: Callable[[object], object] = refuse if gone == "constructor" else AnyIOStream
    try:
        assert await SocketBackend(Opener(), make).connect_tcp() is given
        await raw.write(b"GET / HTTP/1.1\r\n\r\n")
        assert (await raw.read(100)).startswith(b"HTTP/1.1 200 OK")
    finally:
        await raw.aclose()


CLEAN = Opened(_h11_state=h11.Connection(h11.CLIENT))


async def test_a_parser_that_does_not_tell_costs_the_connection() -> None:
    stream = Opened(_protocol=Opened(read_queue=[]))
    assert not has_trailing_data(CLEAN, stream)
    for parser in (Opened(), Opened(trailing_data=None), Opened(trailing_data=())):
        assert has_trailing_data(Opened(_h11_state=parser), stream)


async def test_a_queue_that_is_not_found_costs_the_connection(anyio_backend) -> None:
    # trio has none.
    queued = anyio_backend == "asyncio"
    assert has_trailing_data(CLEAN, Opened()) is queued
    assert has_trailing_data(CLEAN, Opened(_stream=Opened())) is queued
    assert has_trailing_data(CLEAN, Opened(_stream=Opened(_protocol=Opened())))


async def test_a_tls_that_is_of_another_make_costs_the_connection() -> None:
    for tls in (SimpleNamespace(), SimpleNamespace(read=refuse)):
        assert has_trailing_data(CLEAN, Opened(ssl_object=tls, _protocol=Opened(read_queue=[])))


# trio keeps nothing, and has no such stream.
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_what_is_read_and_written_directly_has_no_queue(lab, anyio_backend) -> None:
    del anyio_backend
    server = lab.obedient()
    stream = await SocketBackend(AnyIOBackend(), AnyIOStream).connect_tcp("127.0.0.1", server.port)
    try:
        assert not has_trailing_data(CLEAN, stream)
    finally:
        await stream.aclose()
