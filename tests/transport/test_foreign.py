# ruff: noqa: ANN001 - the lab comes from a conftest, whose types cannot be imported
"""Transports of httpx and of httpx2: two packages of the same names and different classes."""

import ssl
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import aclosing

import attrs
import httpx
import httpx2
import pytest
import trustme

from aiocake import Client, ConfigurationError
from aiocake._transport.failures import FailureKind, Route
from aiocake._transport.foreign import failure_of
from aiocake.errors import DeadlineExceeded, DecodeError, NotSent
from aiocake.sandbox import Sandbox
from aiocake.values import Idempotency

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("package", [httpx, httpx2])]

ROUTE = Route("x.example", 443, 5.0)


async def test_a_mock_answers(lab, package) -> None:
    seen: list[object] = []

    async def answer(request: object) -> object:
        seen.append(request)
        return package.Response(200, headers={"X-A": "b"}, content=b"ok")

    async with aclosing(lab.transport("x.example", package.MockTransport(answer))) as transport:
        for request in (lab.get, lab.form):
            done = await transport.exchange(request, lab.fine, lab.plan(Idempotency.IDEMPOTENT))
            assert done.error is None
            assert done.sent
            assert done.response.body == b"ok"
            assert done.response.headers["x-a"] == "b"
    assert all(isinstance(request, package.Request) for request in seen)
    get, form = seen
    assert get.url.params["row_limit"] == "1"
    assert form.content.endswith(b"&bill_id=1")
    assert form.headers["content-length"] == str(len(form.content))


async def test_a_sandbox_answers(package) -> None:
    transport = package.ASGITransport(app=Sandbox(api_key="KEY").app)
    async with Client("x.example", "KEY", transport=transport) as cake:
        assert (await cake.invoices.get(4821)).invoice_id == 4821
        await cake.invoices.update(4821, memo="x")


@pytest.mark.parametrize("idempotency", Idempotency)
@pytest.mark.parametrize(
    ("error", "attempts", "kind"),
    [
        ("ConnectError", 3, NotSent),
        ("ConnectTimeout", 3, NotSent),
        ("PoolTimeout", 3, NotSent),
        ("LocalProtocolError", 1, NotSent),
        ("UnsupportedProtocol", 1, NotSent),
        ("ReadTimeout", None, DeadlineExceeded),
        ("ReadError", None, DecodeError),
        ("WriteError", None, DecodeError),
        ("RemoteProtocolError", None, DecodeError),
        ("ProxyError", None, DecodeError),
    ],
)
async def test_what_its_errors_say(lab, package, error, attempts, kind, idempotency) -> None:  # noqa: PLR0913, PLR0917 - a table
    async def answer(_: object) -> object:
        raise getattr(package, error)("?api_key=canary")

    async with aclosing(lab.transport("x.example", package.MockTransport(answer))) as transport:
        done = await transport.exchange(lab.post, lab.fine, lab.plan(idempotency))
    once = 1 if idempotency is Idempotency.NON_IDEMPOTENT else 3
    assert type(done.error) is kind
    assert "canary" not in str(done.error)
    assert done.sent is (kind is not NotSent)
    assert done.attempts == (attempts or once)


async def test_a_server_that_breaks_http2_may_have_the_request(lab, package) -> None:
    """httpx calls that a LocalProtocolError, as it does a request that cannot be written."""

    def script(connection) -> None:
        peer = connection.socket
        peer.sendall(b"\0\0\0\4\0\0\0\0\0")  # SETTINGS
        came = b""
        while lab.post.body not in came:
            came += peer.recv(65536)
        connection.server.requests.append(came)
        peer.sendall(b"\0\0\1\0\1\0\0\0\0x")  # DATA of no stream
        peer.recv(65536)

    authority, tls = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(tls)
    tls.set_alpn_protocols(["h2"])
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    server = lab.serve(script, tls)
    http = package.AsyncHTTPTransport(verify=trusting, http2=True)
    async with aclosing(lab.transport(server, http)) as transport:
        done = await transport.exchange(lab.post, lab.fine, lab.plan(Idempotency.NON_IDEMPOTENT))
    assert isinstance(done.error, DecodeError)
    assert (done.sent, done.attempts, len(server.requests)) == (True, 1, 1)


@pytest.mark.parametrize("idempotency", Idempotency)
async def test_a_request_that_it_cannot_make_was_not_sent(lab, package, idempotency) -> None:
    async def answer(_: object) -> object:
        pytest.fail("there is nothing to answer")

    longest = attrs.evolve(lab.post, query=f"{lab.post.query}&memo={'x' * 70_000}")
    async with aclosing(lab.transport("x.example", package.MockTransport(answer))) as transport:
        done = await transport.exchange(longest, lab.fine, lab.plan(idempotency))
    assert isinstance(done.error, NotSent)
    assert (done.sent, done.attempts) == (False, 1)


async def test_a_length_of_thousands_of_digits(lab, package) -> None:
    closed = []

    class Body(package.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            yield b"ok"

        async def aclose(self) -> None:
            closed.append(True)

    async def answer(_: object) -> object:
        return package.Response(200, headers={"Content-Length": "9" * 5000}, stream=Body())

    async with aclosing(lab.transport("x.example", package.MockTransport(answer))) as transport:
        done = await transport.exchange(lab.get, lab.fine, lab.plan())
    assert "the body is longer than" in str(done.error)
    assert closed == [True]


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize(("length", "most", "kept"), [("3", 9, [b"ok"]), ("2", 1, [])])
async def test_bytes_that_are_no_whole_body(  # noqa: PLR0913, PLR0917 - what a body is
    lab, package, monkeypatch, length: str, most: int, kept: list[bytes]
) -> None:
    async def answer(_: object) -> object:
        return package.Response(200, headers={"Content-Length": length}, content=b"ok")

    for module in ("_transport.foreign", "_pipeline.executor"):
        monkeypatch.setattr(f"aiocake.{module}.LARGEST_BODY", most)
    async with aclosing(lab.transport("x.example", package.MockTransport(answer))) as transport:
        done = await transport.exchange(lab.get, lab.fine, lab.plan(Idempotency.NON_IDEMPOTENT))
    assert isinstance(done.error, DecodeError)
    assert [each.body for each in done.partial if each.body] == kept


async def test_what_breaks_in_its_body(lab, package) -> None:
    class Broken(package.AsyncByteStream):  # type: ignore[misc, name-defined] # of either
        async def __aiter__(self):  # noqa: ANN204 - the same
            yield b"o"
            raise package.ReadError("?api_key=canary")

        async def aclose(self) -> None:
            pass

    async def answer(_: object) -> object:
        return package.Response(200, stream=Broken())

    async with aclosing(lab.transport("x.example", package.MockTransport(answer))) as transport:
        done = await transport.exchange(lab.get, lab.fine, lab.plan())
    assert isinstance(done.error, DecodeError)
    assert done.partial[0].body == b"o"


def test_time_outs_of_both(package) -> None:
    assert failure_of(package.WriteTimeout("x"), ROUTE).kind is FailureKind.TIMEOUT
    assert failure_of(package.ConnectTimeout("x"), ROUTE, sent=False).text == (
        "nothing was sent: no connection to x.example within 5 s (port 443)"
    )


def test_what_is_none_is_refused(package) -> None:
    for none in (package.AsyncClient, package.HTTPTransport(), object()):
        with pytest.raises(ConfigurationError, match="transport: must be an AsyncBaseTransport of"):
            Client("x.example", "KEY", transport=none)


def test_one_is_enough(package) -> None:
    """The other one is not loaded."""
    name = package.__name__
    other = {"httpx": "httpx2", "httpx2": "httpx"}[name]
    code = (
        f"import sys, asyncio, aiocake, {name}\n"
        "async def main():\n"
        f"    answer = lambda _: {name}.Response(500, text='no')\n"
        f"    transport = {name}.MockTransport(answer)\n"
        "    once = aiocake.RetryPolicy(attempts=1)\n"
        "    cake = aiocake.Client('x.example', 'KEY', transport=transport, retry=once)\n"
        "    async with cake as it:\n"
        "        try:\n"
        "            await it.invoices.get(1)\n"
        "        except aiocake.ServerError:\n"
        f"            print({other!r} in sys.modules)\n"
        "asyncio.run(main())\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ran.stdout.strip() == "False", ran.stderr
