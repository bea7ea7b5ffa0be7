"""A client by the environment."""

from pathlib import Path

import pytest

from aiocake import ArgumentError, Client, ConfigurationError
from aiocake.sandbox import Sandbox, serve

pytestmark = pytest.mark.anyio

KEY = "SANDBOX-KEY"
VARIABLES = ("CAKE_DOMAIN", "CAKE_API_KEY", "CAKE_API_KEY_FILE", "CAKE_READ_ONLY")

Env = pytest.MonkeyPatch


@pytest.fixture
def env(monkeypatch: pytest.MonkeyPatch) -> Env:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


async def test_the_whole_way(env: Env, tmp_path: Path) -> None:
    sandbox = Sandbox()
    file = tmp_path / "key"
    file.write_text(f"{KEY}\n", encoding="utf-8")
    with serve(sandbox) as url:
        env.setenv("CAKE_DOMAIN", url)
        env.setenv("CAKE_API_KEY_FILE", str(file))
        async with Client.from_env() as cake:
            assert (await cake.invoices.get(4821)).invoice_id == 4821
            assert (await cake.invoices.update(4821, memo="x")).invoice_id == 4821


async def test_the_key_itself_comes_before_its_file(env: Env, tmp_path: Path) -> None:
    sandbox = Sandbox()
    with serve(sandbox) as url:
        env.setenv("CAKE_DOMAIN", url)
        env.setenv("CAKE_API_KEY", KEY)
        env.setenv("CAKE_API_KEY_FILE", str(tmp_path / "missing"))
        async with Client.from_env() as cake:
            assert await cake.invoices.get(4821)


@pytest.mark.parametrize(
    ("text", "read_only"),
    [
        (None, False),
        ("", False),
        ("0", False),
        ("no", False),
        ("False", False),
        ("1", True),
        ("true", True),
        (" TRUE ", True),
        ("yes", True),
    ],
)
async def test_reading_only(env: Env, text: str | None, read_only: bool) -> None:  # noqa: FBT001 - what is expected
    sandbox = Sandbox()
    env.setenv("CAKE_API_KEY", KEY)
    if text is not None:
        env.setenv("CAKE_READ_ONLY", text)
    with serve(sandbox) as url:
        env.setenv("CAKE_DOMAIN", url)
        async with Client.from_env() as cake:
            if read_only:
                with pytest.raises(ArgumentError, match="read-only"):
                    await cake.invoices.update(4821, memo="x")
            else:
                await cake.invoices.update(4821, memo="x")
    assert len(sandbox.state.requests) == (not read_only)


@pytest.mark.parametrize("text", ["2", "maybe", "tru", "on"])
def test_what_is_neither_yes_nor_no(env: Env, text: str) -> None:
    env.setenv("CAKE_DOMAIN", "x.example")
    env.setenv("CAKE_API_KEY", KEY)
    env.setenv("CAKE_READ_ONLY", text)
    with pytest.raises(ConfigurationError, match="CAKE_READ_ONLY"):
        Client.from_env()


def test_what_is_missing(env: Env, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="CAKE_DOMAIN is not set"):
        Client.from_env()
    env.setenv("CAKE_DOMAIN", "x.example")
    with pytest.raises(ConfigurationError, match="neither CAKE_API_KEY nor CAKE_API_KEY_FILE"):
        Client.from_env()
    env.setenv("CAKE_API_KEY", "")
    with pytest.raises(ConfigurationError, match="neither"):
        Client.from_env()
    file = tmp_path / "key"
    env.setenv("CAKE_API_KEY_FILE", str(file))
    with pytest.raises(ConfigurationError, match=r"cannot be read: FileNotFoundError") as caught:
        Client.from_env()
    assert caught.value.__cause__ is None
    env.setenv("CAKE_API_KEY_FILE", str(tmp_path))
    with pytest.raises(ConfigurationError, match=r"cannot be read: IsADirectoryError"):
        Client.from_env()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "must not be empty"),
        (b" \n", "must not be empty"),
        (b"one\ntwo\n", "printable ASCII"),
        (b"\xff\xfe", "cannot be read: UnicodeDecodeError"),
        (b"x" * 51, "at most 50"),
    ],
)
def test_files_that_hold_no_key(env: Env, tmp_path: Path, content: bytes, reason: str) -> None:
    file = tmp_path / "key"
    file.write_bytes(content)
    env.setenv("CAKE_DOMAIN", "x.example")
    env.setenv("CAKE_API_KEY_FILE", str(file))
    with pytest.raises(ConfigurationError, match=reason) as caught:
        Client.from_env()
    assert "one" not in str(caught.value)
