"""A look at the way to an instance: its addresses, a connection, TLS. No request is sent."""

import ssl
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import attrs

from aiocake._background import clock
from aiocake._transport.dial import Dialer
from aiocake._transport.failures import TransportFailure


@attrs.frozen(kw_only=True)
class Inspection:
    """Keeps what was seen on the way to an instance.

    Attributes:
        host: Who was connected to: the instance, or the proxy.
        addresses: How many addresses it has.
        proxy: Host and port of the proxy; None for none.
        seconds: How long connecting took, TLS included.
        tls: The version of TLS, such as ``"TLSv1.3"``; None where none is spoken.
        certificate_until: Until when the certificate is valid; None where there is none.
        issuer: Who issued it; empty where it does not say.
    """

    host: str
    addresses: int
    proxy: str | None
    seconds: float
    tls: str | None
    certificate_until: datetime | None
    issuer: str


async def inspect(dialer: Dialer) -> Inspection | TransportFailure:
    """Open a connection, look at it, and close it."""
    now = clock()
    began = now()
    connection = await dialer.dial()
    if isinstance(connection, TransportFailure):
        return connection
    seconds, layer = now() - began, connection.tls
    connection.goodbye()
    certificate = (layer.certificate if layer else None) or {}
    until = certificate.get("notAfter")
    addresses = 0
    with suppress(OSError):  # it has just been looked up
        addresses = len(await dialer.resolver.look_up())
    route = dialer.route
    return Inspection(
        host=(route.proxy or (route.host,))[0],
        addresses=addresses,
        proxy=None if route.proxy is None else "{}:{}".format(*route.proxy),
        seconds=seconds,
        tls=None if layer is None else layer.version,
        certificate_until=(
            datetime.fromtimestamp(ssl.cert_time_to_seconds(until), UTC) if until else None
        ),
        issuer=_name(certificate.get("issuer", ())),
    )


def _name(issuer: Any) -> str:  # noqa: ANN401 - tuples of tuples, as ssl has them
    names = {name: value for part in issuer for name, value in part}
    return str(names.get("organizationName") or names.get("commonName") or "")
