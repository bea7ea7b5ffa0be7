"""A web backend of many tenants, each with an instance and a key of its own.

::

    export TENANTS=tenants.json ALLOWED_DOMAINS='*.cake.com'
    uvicorn --app-dir examples web_tenants:app

``tenants.json`` stands for your database. It has a token, a domain and a file with a key for each
tenant: ``{"acme": {"token": "…", "domain": "acme.cake.com", "key_file": "/run/secrets/acme"}}``.
"""

import json
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path
from secrets import compare_digest
from typing import Annotated, Any, TypedDict

import anyio
from cancel_on_disconnect import CancelOnDisconnect
from error_responses import add_error_responses
from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from aiocake import ClientPool, ClientView, Invoice, Tenant, Throttle


class State(TypedDict):
    """What all requests share."""

    pool: ClientPool


def tenants() -> dict[str, dict[str, str]]:
    """Return the tenants by name."""
    found: dict[str, dict[str, str]] = json.loads(Path(os.environ["TENANTS"]).read_bytes())
    return found


async def key_of(tenant: Tenant) -> str:
    """Return a tenant's key: for its first call, and again when CAKE refuses the one in use."""
    text = await anyio.Path(tenants()[tenant.name]["key_file"]).read_text(encoding="ascii")
    return text.strip()


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncGenerator[State]:
    """Open the pool when a worker starts, and close it, with all its clients, when it ends."""
    allowed = os.environ["ALLOWED_DOMAINS"].split(",")
    throttle = Throttle(concurrency=4, max_waiting=16)  # of each tenant
    async with ClientPool(key_of, allowed_domains=allowed, throttle=throttle) as pool:
        yield {"pool": pool}


Login = Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())]


async def client_of(request: Request, login: Login) -> AsyncGenerator[ClientView]:
    """Yield the client of the tenant whose token the caller has; it stays open meanwhile."""
    pool: ClientPool = request.state.pool
    for name, tenant in tenants().items():
        if compare_digest(tenant["token"].encode(), login.credentials.encode()):
            async with pool.client(tenant["domain"], tenant=name) as cake:
                yield cake.with_options(total=15.0, queue=2.0)
            return
    raise HTTPException(HTTPStatus.UNAUTHORIZED)


Cake = Annotated[ClientView, Depends(client_of)]

app = FastAPI(lifespan=lifespan)
app.add_middleware(CancelOnDisconnect)
add_error_responses(app)


@app.get("/invoices/{invoice_id}")
async def invoice(cake: Cake, invoice_id: int) -> Invoice:
    """Return an invoice of the caller's own instance."""
    return await cake.invoices.get(invoice_id)


@app.get("/health")
async def health(request: Request) -> dict[str, Any]:
    """Return what the clients are doing. Sends nothing to CAKE."""
    pool: ClientPool = request.state.pool
    stats = pool.stats()
    paused = [each.name for each, found in stats.clients.items() if found.paused_until is not None]
    return {
        "open": stats.open,
        "in_use": stats.in_use,
        "unknowns": stats.unknowns,
        "paused": paused,
    }
