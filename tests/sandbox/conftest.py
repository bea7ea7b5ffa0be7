"""Ways to call a sandbox: in process, in each of v1's bindings, without the SDK."""

from collections.abc import Awaitable, Callable, Mapping
from urllib.parse import urlencode
from xml.sax.saxutils import escape

import httpx
import pytest

from aiocake.sandbox import Sandbox

from ..support.clients import KEY
from ..support.loops import one_loop  # noqa: F401 - content knows no event loop
from ..support.v1 import CallV1

CAKE = "http://cakemarketing.com/api/1/"
ENVELOPES = {
    "soap11": ("http://schemas.xmlsoap.org/soap/envelope/", "text/xml; charset=utf-8"),
    "soap12": ("http://www.w3.org/2003/05/soap-envelope", "application/soap+xml; charset=utf-8"),
}
LOOK_UPS = {
    "BillingCycles",
    "PaymentTypes",
    "PaymentSettings",
    "Currencies",
    "AccountStatuses",
    "ExchangeRates",
}


@pytest.fixture
def sandbox() -> Sandbox:
    return Sandbox()


@pytest.fixture
def connect() -> Callable[[Sandbox], httpx.AsyncClient]:
    def open_client(sandbox: Sandbox) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            transport=httpx.ASGITransport(app=sandbox.app),
            base_url="http://sandbox",
            params={"api_key": KEY},
        )

    return open_client


@pytest.fixture
def post_soap(sandbox: Sandbox) -> Callable[..., Awaitable[httpx.Response]]:
    """Posts what is in a SOAP body as it is."""

    async def post(
        binding: str, operation: str, body: str, *, page: str = "accounting"
    ) -> httpx.Response:
        namespace, content_type = ENVELOPES[binding]
        envelope = (
            f'<e:Envelope xmlns:e="{namespace}" '
            'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">'
            f"<e:Body>{body}</e:Body></e:Envelope>"
        )
        headers = {"Content-Type": content_type}
        if binding == "soap11":
            headers["SOAPAction"] = f'"{CAKE}{operation}"'
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=sandbox.app)) as client:
            return await client.post(
                f"http://sandbox/api/1/{page}.asmx", content=envelope.encode(), headers=headers
            )

    return post


@pytest.fixture
def call_v1(sandbox: Sandbox, post_soap: Callable[..., Awaitable[httpx.Response]]) -> CallV1:
    async def call(
        binding: str, operation: str, values: Mapping[str, str | None]
    ) -> httpx.Response:
        sent = {"api_key": KEY, **values}
        present = {name: value for name, value in sent.items() if value is not None}
        page = "get" if operation in LOOK_UPS else "accounting"
        if binding.startswith("soap"):
            elements = "".join(f"<{n}>{escape(v)}</{n}>" for n, v in present.items())
            body = f'<{operation} xmlns="{CAKE}">{elements}</{operation}>'
            return await post_soap(binding, operation, body, page=page)
        url = f"http://sandbox/api/1/{page}.asmx/{operation}"
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=sandbox.app)) as client:
            if binding == "get":
                return await client.get(f"{url}?{urlencode(present)}")
            return await client.post(url, data=present)

    return call
