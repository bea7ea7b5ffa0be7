# ruff: noqa: ANN001 - the lab comes from a conftest, whose types cannot be imported
"""Why no connection came about: the host is named once, and what helps is said."""

import errno
import socket
import ssl

import anyio
import attrs
import httpx
import pytest
import trustme

from aiocake import Client, NotSent, RetryPolicy, Timeouts
from aiocake._transport.failures import FailureKind, Route, connect_failure_reason
from aiocake._transport.foreign import failure_of
from aiocake.sandbox import Sandbox, serve

from ..support.scripted import free_port

pytestmark = pytest.mark.anyio

ROUTE = Route("x.example", 443, 5.0)
PROXIED = attrs.evolve(ROUTE, proxy=("proxy.example", 3128))
LOCAL = Route("127.0.0.1", 8127, 5.0)


def tls(reason: str, kind: type[ssl.SSLError] = ssl.SSLError, **more: object) -> ssl.SSLError:
    error = kind(1, f"[SSL: {reason}] ('127.0.0.1', 443)")
    for name, value in {"reason": reason, **more}.items():
        setattr(error, name, value)
    return error


def untrusted(code: int, message: str) -> ssl.SSLError:
    return tls(
        "CERTIFICATE_VERIFY_FAILED",
        ssl.SSLCertVerificationError,
        verify_code=code,
        verify_message=message,
    )


ADVICE = "; an authority of your own is trusted by ssl_context or CAKE_CA_FILE"


@pytest.mark.parametrize(
    ("error", "route", "said", "final"),
    [
        (socket.gaierror(-2, "Name or service not known"), ROUTE, "cannot resolve x.example", 0),
        (socket.gaierror(-2, "x"), PROXIED, "cannot resolve the proxy proxy.example", 0),
        (
            ConnectionRefusedError(errno.ECONNREFUSED, "Connect call failed ('127.0.0.1', 1)"),
            ROUTE,
            "x.example refused the connection (port 443)",
            0,
        ),
        (
            ConnectionRefusedError(errno.ECONNREFUSED, "x"),
            PROXIED,
            "the proxy proxy.example refused the connection (port 3128)",
            0,
        ),
        (
            ConnectionRefusedError(errno.ECONNREFUSED, "x"),
            LOCAL,
            "127.0.0.1 refused the connection (port 8127); is the sandbox running?",
            0,
        ),
        (
            OSError(errno.ENETUNREACH, "Connect call failed ('::1', 443, 0, 0)"),
            ROUTE,
            "no connection to x.example (port 443): Network is unreachable",
            0,
        ),
        (httpx.ConnectTimeout("x"), ROUTE, "no connection to x.example within 5 s (port 443)", 0),
        (httpx.ConnectError("x"), ROUTE, "no connection to x.example (port 443): ConnectError", 0),
        (RuntimeError("?api_key=x"), ROUTE, "no connection to x.example (port 443): RuntimeErr", 0),
        (
            tls("UNEXPECTED_EOF_WHILE_READING"),
            ROUTE,
            "x.example ended the connection within the TLS handshake",
            0,
        ),
        (tls("WRONG_VERSION_NUMBER"), ROUTE, "x.example:443 does not speak TLS", 1),
        (
            tls("WRONG_VERSION_NUMBER"),
            LOCAL,
            "127.0.0.1:8127 does not speak TLS; a local sandbox needs http://",
            1,
        ),
        (
            tls("TLSV1_ALERT_PROTOCOL_VERSION"),
            ROUTE,
            "no TLS with x.example: tlsv1 alert protocol version",
            1,
        ),
        (
            untrusted(62, "Hostname mismatch, certificate is not valid for 'x.example'."),
            ROUTE,
            "the certificate of x.example is for another name",
            1,
        ),
        (
            untrusted(10, "certificate has expired"),
            ROUTE,
            "the certificate of x.example is not trusted: certificate has expired",
            1,
        ),
        (
            untrusted(20, "unable to get local issuer certificate"),
            ROUTE,
            "the certificate of x.example is not trusted: unable to get local issuer certificate"
            + ADVICE,
            1,
        ),
    ],
)
def test_a_reason_names_the_host_once(
    error: Exception,
    route: Route,
    said: str,
    final: int,
) -> None:
    outer = OSError("All connection attempts failed")
    outer.__cause__ = ExceptionGroup("several", [error])
    for each in (error, *([outer] if isinstance(error, OSError) else [])):
        reason, no = connect_failure_reason(each, route)
        assert reason.startswith(said)
        assert no == bool(final)
        assert "('" not in reason


def test_what_is_no_http() -> None:
    ended = failure_of(httpx.RemoteProtocolError("Server disconnected"), ROUTE)
    text = f"no valid HTTP response came from {ROUTE.host} (RemoteProtocolError)"
    assert (ended.kind, ended.text) == (FailureKind.CONNECTION_LOST, text)
    illegal = failure_of(httpx.LocalProtocolError("x"), ROUTE, sent=False)
    assert (illegal.kind, illegal.text) == (
        FailureKind.INVALID_REQUEST,
        "nothing was sent: LocalProtocolError",
    )


async def met(domain: str, **settings: object) -> str:
    retry = RetryPolicy(attempts=1)
    async with Client(domain, "canary-key", retry=retry, **settings) as cake:  # type: ignore[arg-type]
        with pytest.raises(NotSent) as caught:
            await cake.invoices.get(1)
    return str(caught.value)


async def test_over_sockets() -> None:
    port = free_port()
    reported = await met(f"127.0.0.1:{port}")
    assert reported == (
        f"nothing was sent: 127.0.0.1 refused the connection (port {port}); is the sandbox running?"
    )
    with serve(Sandbox()) as url:
        where = url.removeprefix("http://")
        reported = await met(where)
    assert (
        reported == f"nothing was sent: {where} does not speak TLS; a local sandbox needs http://"
    )
    reported = await met("x.example", proxy=f"http://127.0.0.1:{port}")
    assert reported == f"nothing was sent: the proxy 127.0.0.1 refused the connection (port {port})"


async def test_what_the_caller_is_handling_says_nothing_of_the_connection() -> None:
    try:
        raise untrusted(20, "unable to get local issuer certificate")
    except ssl.SSLError:
        reported = await met(f"http://127.0.0.1:{free_port()}")
    assert "127.0.0.1 refused the connection" in reported


async def test_certificates_over_sockets(lab) -> None:
    authority = trustme.CA()
    trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.configure_trust(trusting)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("other.example").configure_cert(context)
    server = lab.obedient(context)
    reported = await met(f"127.0.0.1:{server.port}")
    assert reported.startswith("nothing was sent: the certificate of 127.0.0.1 is not trusted: ")
    assert reported.endswith(ADVICE)
    reported = await met(f"127.0.0.1:{server.port}", ssl_context=trusting)
    assert reported == "nothing was sent: the certificate of 127.0.0.1 is for another name"


async def test_a_server_that_does_not_shake_hands() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        domain = f"127.0.0.1:{silent.getsockname()[1]}"
        with anyio.fail_after(30):
            reported = await met(domain, timeouts=Timeouts(connect=0.05))
    assert reported.startswith("nothing was sent: no connection to 127.0.0.1 within 0.05 s")
