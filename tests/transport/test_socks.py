# ruff: noqa: ANN001 - the lab comes from a conftest, whose types cannot be imported
"""Through a SOCKS proxy (RFC 1928, RFC 1929)."""

import socket
import ssl
from contextlib import aclosing

import pytest
import trustme

from aiocake.errors import NotSent
from aiocake.values import Idempotency

from ..support.proxies import pump_both

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("password", ["s3cret", "wrong"])
async def test_a_call_through_socks(lab, password) -> None:
    authority = trustme.CA()
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(tls)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    seen: list[bytes] = []

    def proxy(connection) -> None:
        peer = connection.socket
        peer.recv(100)
        peer.sendall(b"\x05\x02")
        login = peer.recv(600)
        seen.append(login)
        if b"s3cret" not in login:
            peer.sendall(b"\x01\x01")
            return
        peer.sendall(b"\x01\x00")
        seen.append(peer.recv(600))
        with socket.create_connection(("127.0.0.1", server.port)) as target:
            peer.sendall(b"\x05\x00\x00\x01" + bytes(6))
            pump_both(peer, target)

    server, socks = lab.obedient(tls), lab.serve(proxy)
    url = f"socks5://me:{password}@127.0.0.1:{socks.port}"
    async with aclosing(lab.transport(server, ssl_context=trusting, proxy=url)) as transport:
        done = await transport.exchange(lab.post, lab.fine, lab.plan(Idempotency.NON_IDEMPOTENT))
        assert password not in transport.scrub(f"auth=(b'me', b'{password}')")
    if password == "s3cret":
        assert done.error is None
        assert seen[1].startswith(b"\x05\x01\x00")
    else:
        assert isinstance(done.error, NotSent)
        assert (done.attempts, done.sent) == (1, False)
        assert server.connections == []
    assert not any(b"canary" in each for each in seen)
