"""Fixtures that load the examples as modules, and serve them."""

import importlib
import json
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import uvicorn

from aiocake.sandbox.server import listen, url_of

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(scope="session")
def examples() -> Path:
    """Return the folder of the examples."""
    return EXAMPLES


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], ModuleType]]:
    """Return a function that imports an example by its name, anew for each test."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    yield importlib.import_module
    for file in EXAMPLES.glob("*.py"):
        sys.modules.pop(file.stem, None)


@pytest.fixture
def served() -> Callable[[Any], Any]:
    """Return a context manager that serves an ASGI application with uvicorn, in a thread."""

    @contextmanager
    def serve(app: Any) -> Iterator[httpx.Client]:  # noqa: ANN401 - any ASGI application
        listener = listen("127.0.0.1", 0)
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="on"))
        thread = Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        try:
            with httpx.Client(base_url=url_of(listener), trust_env=False, timeout=20) as http:
                yield http
        finally:
            server.should_exit = True
            thread.join()
            listener.close()

    return serve


@pytest.fixture
def send() -> Callable[..., socket.socket]:
    """Return a function that sends a request over a connection of its own, and reads nothing."""

    def send(
        url: object, method: str, path: str, body: object = None, **headers: str
    ) -> socket.socket:
        where = urlsplit(str(url))
        content = b"" if body is None else json.dumps(body).encode()
        lines = [f"{method} {path} HTTP/1.1", "Host: x", "Content-Type: application/json"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        head = "\r\n".join([*lines, f"Content-Length: {len(content)}", "", ""]).encode()
        connection = socket.create_connection((where.hostname, where.port))
        connection.sendall(head + content)
        return connection

    return send
