"""The connection to an instance: address, proxy, TLS, key and clock."""

import os
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final
from urllib.parse import urlsplit

from aiocake._codec.raw_response import RawResponse
from aiocake._transport import Transport, TransportFailure
from aiocake._transport.inspection import Inspection, inspect
from aiocake.doctor.diagnosis import Level
from aiocake.doctor.findings import Findings
from aiocake.doctor.probe import CutShort, Probe
from aiocake.errors import (
    AuthenticationError,
    CakeError,
    ConfigurationError,
    RateLimited,
    Restricted,
    ServerError,
)

#: Days before its end at which a certificate is warned of.
_SOON: Final = 14
#: Seconds by which two clocks may differ: the header has whole seconds, and a response takes some.
_CLOCK: Final = 30
_OLD_TLS: Final = frozenset({"SSLv3", "TLSv1", "TLSv1.1"})
_PROXIES: Final = ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")


async def look_at_connection(transport: Transport, findings: Findings) -> None:
    """Open a connection, and look at it.

    Raises:
        CutShort: There is no connection.
    """
    if transport.dialer is None:
        findings.ok("connection", "a transport of yours carries the requests: not looked at")
        return
    found = await inspect(transport.dialer)
    if isinstance(found, TransportFailure):
        text = transport.scrub(found.text).removeprefix("nothing was sent: ")
        findings.add("connection", Level.PROBLEM, text, _advice(text, transport))
        raise CutShort(found.error())
    addresses = "1 address" if found.addresses == 1 else f"{found.addresses} addresses"
    findings.ok("connection", f"{found.host} ({addresses}) in {found.seconds * 1000:.0f} ms")
    findings.ok("proxy", found.proxy or "none")
    _look_at_tls(found, findings)


def _advice(text: str, transport: Transport) -> str:
    if transport.dialer is not None and transport.dialer.route.proxy is None:
        for name in _PROXIES:
            if os.environ.get(name):
                return f"{name} is set, and not read by aiocake: set CAKE_PROXY if you need a proxy"
    if "resolve" in text:
        return "check the name of the instance"
    if "certificate" in text:
        return "if your company has its own authority, name its file: CAKE_CA_FILE"
    return "check the name of the instance, and whether a firewall or an allow list is in the way"


def _look_at_tls(found: Inspection, findings: Findings) -> None:
    if found.tls is None:
        findings.ok("tls", "none: plain http, on this machine")
        return
    issuer = f" by {found.issuer}" if found.issuer else ""
    if found.certificate_until is None:
        findings.add(
            "tls",
            Level.WARNING,
            f"{found.tls}; the certificate is not looked at",
            "do not turn the check off in your ssl_context: whoever is between gets the key",
        )
        return
    days = (found.certificate_until - datetime.now(UTC)).days
    text = f"{found.tls}; certificate{issuer} until {found.certificate_until:%Y-%m-%d}"
    if days <= _SOON:
        text += f", {days} days left" if days != 1 else ", 1 day left"
        advice = "ask whoever runs the instance for a new one: without it, no call will work"
        findings.add("tls", Level.WARNING, text, advice)
    elif found.tls in _OLD_TLS:
        findings.add("tls", Level.WARNING, text, "this version of TLS is no longer safe (RFC 8996)")
    else:
        findings.ok("tls", text)


async def first_response(probe: Probe, findings: Findings) -> RawResponse | None:
    """Request a page of invoices: the first that needs the key.

    Returns:
        The response; None if the instance answers, and not as v2 does.

    Raises:
        CutShort: The key or this machine is refused, or nothing answers.
    """
    try:
        response = await probe.get("/api/2/invoices.json", row_limit=3)
        refused = probe.refusal_of(response)
        if isinstance(refused, AuthenticationError) and await probe.renew_key():
            response = await probe.get("/api/2/invoices.json", row_limit=3)
            refused = probe.refusal_of(response)
    except ConfigurationError as error:  # of what gives the key
        findings.add("key", Level.PROBLEM, str(error), "")
        raise CutShort(error) from None
    except CakeError as error:
        text = str(error).removeprefix("nothing was sent: ")
        advice = "no response came: check with whoever runs the instance"
        findings.add("response", Level.PROBLEM, text, advice)
        raise CutShort(error) from None
    _look_at_clock(response.headers, findings)
    if isinstance(refused, AuthenticationError):
        findings.add(
            "key",
            Level.PROBLEM,
            f"refused: {refused}",
            "make a new one in CAKE under Setup: the key does not exist, or is expired",
        )
        raise CutShort(refused)
    if isinstance(refused, Restricted):
        findings.add(
            "allow list",
            Level.PROBLEM,
            f"refused: {refused}",
            "CAKE does not say why: add this machine's address to the allow list, give the key the "
            "permission, or wait if there were too many calls",
        )
        raise CutShort(refused)
    if isinstance(refused, RateLimited):
        seconds = response.headers.get("retry-after", "")
        wait = f" for {seconds} s" if seconds.isdecimal() else ""
        findings.add(
            "throttling", Level.PROBLEM, f"refused: {refused}", f"wait{wait}, then try again"
        )
        raise CutShort(refused)
    if refused is not None:
        findings.add("version 2", Level.PROBLEM, *_not_v2(refused, response))
        return None
    findings.ok("key", "accepted")
    findings.ok("allow list", "this machine is not refused")
    return response


def _not_v2(error: CakeError, response: RawResponse) -> tuple[str, str]:
    host = urlsplit(response.headers.get("location", "")).netloc
    if host:
        return f"a redirect to {host}", "give that as the domain, if it is the instance"
    if isinstance(error, ServerError):
        return f"the server failed: {error}", "try again later"
    return f"no list of invoices: {error}", "check the name of the instance: is it CAKE at all?"


def _look_at_clock(headers: Mapping[str, str], findings: Findings) -> None:
    try:
        theirs = parsedate_to_datetime(headers.get("date", ""))
    except ValueError:
        findings.unknown("clock", "the instance does not say what time it is")
        return
    if theirs.tzinfo is None:
        theirs = theirs.replace(tzinfo=UTC)
    seconds = (datetime.now(UTC) - theirs).total_seconds()
    if abs(seconds) <= _CLOCK:
        findings.ok("clock", f"within {_CLOCK} s of the instance's")
        return
    what = "ahead of" if seconds > 0 else "behind"
    findings.add(
        "clock",
        Level.WARNING,
        f"this machine is {abs(seconds):.0f} s {what} the instance",
        "set the clock: times of payment, journals and the expiry of plans come from it",
    )
