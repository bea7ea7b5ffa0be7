# ruff: noqa: ANN001 - the fixtures come from a conftest, whose types cannot be imported
"""The web backend of many tenants, served by uvicorn: each reaches its own instance alone."""

import json
from collections.abc import Iterator
from threading import Event

import anyio
import anyio.to_thread
import httpx
import pytest

from aiocake.sandbox import Sandbox, serve


@pytest.fixture
def sandboxes() -> dict[str, Sandbox]:
    return {name: Sandbox(invoices=5, api_key=f"key-of-{name}") for name in ("acme", "umbrella")}


@pytest.fixture
def backend(example, served, sandboxes, tmp_path, monkeypatch) -> Iterator[httpx.Client]:
    with serve(sandboxes["acme"]) as acme, serve(sandboxes["umbrella"]) as umbrella:
        domains = {"acme": acme, "umbrella": umbrella, "evil": "evil.example"}
        for name in domains:
            (tmp_path / name).write_text(f"key-of-{name}\n", encoding="ascii")
        tenants = {
            name: {"token": f"t-{name}", "domain": domain, "key_file": str(tmp_path / name)}
            for name, domain in domains.items()
        }
        (tmp_path / "tenants.json").write_text(json.dumps(tenants), encoding="ascii")
        monkeypatch.setenv("TENANTS", str(tmp_path / "tenants.json"))
        monkeypatch.setenv("ALLOWED_DOMAINS", f"{acme},{umbrella}")
        with served(example("web_tenants").app) as http:
            yield http


def get(backend: httpx.Client, path: str, token: str) -> httpx.Response:
    return backend.get(path, headers={"Authorization": f"Bearer t-{token}"})


def test_each_tenant_reaches_its_own_instance(backend, sandboxes, tmp_path) -> None:
    for name in ("acme", "umbrella", "acme"):
        assert get(backend, "/invoices/4821", name).status_code == 200
    assert [len(each.state.requests) for each in sandboxes.values()] == [2, 1]
    health = backend.get("/health").json()
    assert health == {"open": 2, "in_use": 0, "unknowns": 0, "paused": []}
    (tmp_path / "acme").write_text("key-of-nobody", encoding="ascii")  # not asked for again
    assert get(backend, "/invoices/4821", "acme").status_code == 200


def test_who_is_not_allowed_opens_nothing(backend, sandboxes, caplog) -> None:
    assert get(backend, "/invoices/4821", "nobody").status_code == 401
    evil = get(backend, "/invoices/4821", "evil")
    assert (evil.status_code, evil.json()["error"]) == (500, "Not configured.")
    assert "500: ConfigurationError: domain: not among allowed_domains" in caplog.text
    assert backend.get("/health").json()["open"] == 0
    assert not any(each.state.requests for each in sandboxes.values())


def test_who_goes_leaves_the_client_of_the_tenant(backend, sandboxes, send) -> None:
    arrived, go_on = Event(), Event()

    async def hold(*_: object) -> None:
        arrived.set()
        await anyio.to_thread.run_sync(go_on.wait, 20)

    sandboxes["acme"].state.on_response.append(hold)
    with send(backend.base_url, "GET", "/invoices/4821", Authorization="Bearer t-acme"):
        assert arrived.wait(20)
        assert backend.get("/health").json()["in_use"] == 1
    assert any(backend.get("/health").json()["in_use"] == 0 for _ in range(10_000))
    go_on.set()
    assert get(backend, "/invoices/4821", "acme").status_code == 200
    assert backend.get("/health").json()["open"] == 1
