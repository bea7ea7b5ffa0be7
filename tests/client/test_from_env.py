"""A client by the environment."""

import inspect
import os
import ssl
from pathlib import Path
from typing import Any, get_type_hints

import pytest
import trustme

from aiocake import (
    ArgumentError,
    AuthenticationError,
    Binding,
    Client,
    ConfigurationError,
    RetryPolicy,
    Timeouts,
)
from aiocake.client import ClientSettings
from aiocake.sandbox import Sandbox, serve

from ..support.loops import anyio_backend  # noqa: F401 - runs on uvloop, too
from ..support.peer import Peer, page, says

pytestmark = pytest.mark.anyio

KEY = "SANDBOX-KEY"
VARIABLES = (
    "CAKE_DOMAIN",
    "CAKE_API_KEY",
    "CAKE_API_KEY_FILE",
    "CAKE_CA_FILE",
    "CAKE_PROFILE",
    "CAKE_PROXY",
    "CAKE_READ_ONLY",
)

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
    with pytest.raises(ConfigurationError, match=r"cannot be read: No such file") as caught:
        Client.from_env()
    assert caught.value.__cause__ is None
    env.setenv("CAKE_API_KEY_FILE", str(tmp_path))
    with pytest.raises(ConfigurationError, match=r"cannot be read: Is a directory"):
        Client.from_env()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "must not be empty"),
        (b" \n", "must not be empty"),
        (b"one\ntwo\n", "printable ASCII"),
        (b"\xff\xfe", "cannot be read: it is UTF-16: save it as UTF-8"),
        ("KEY".encode("utf-16-le"), "cannot be read: it is UTF-16"),
        ("KEY\n".encode("utf-16-be"), "cannot be read: it is UTF-16"),
        (b"KEY\0", "cannot be read: it holds a NUL byte"),
        (b"\0KEY", "cannot be read: it holds a NUL byte"),
        (b"KE\0Y", "cannot be read: it holds a NUL byte"),
        (b"\0" * 64, "cannot be read: it holds a NUL byte"),
        ("KE\u200bY".encode(), r"printable ASCII: character 3 is invisible \(U\+200B\)"),
        ("KEY\u200b".encode(), r"printable ASCII: character 4 is invisible \(U\+200B\)"),
        ("KE\u00e9Y".encode(), "printable ASCII: character 3 is not$"),
        (b"\xe9", "cannot be read: it is not UTF-8 text"),
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


REFUSED = says({"success": False, "message": "Invalid API key"})


@pytest.fixture
def named(env: Env) -> Env:
    env.setenv("CAKE_DOMAIN", "x.example")
    env.setenv("CAKE_API_KEY", KEY)
    return env


def dialer_of(cake: Client) -> Any:  # noqa: ANN401 - what opens connections, white box
    return cake._executor.transport.sender._dialer


def test_every_setting_of_a_client_is_taken() -> None:
    parameters = inspect.signature(Client).parameters.values()
    by_name = {each.name: each for each in parameters if each.kind is each.KEYWORD_ONLY}
    assert get_type_hints(ClientSettings).keys() == by_name.keys()
    hints = get_type_hints(Client.__init__)
    for name, hint in get_type_hints(ClientSettings).items():
        assert hint == hints[name], name


async def test_settings_that_are_given_are_those_of_the_client(named: Env) -> None:
    named.setenv("CAKE_READ_ONLY", "maybe")
    peer = Peer(page(1))
    async with Client.from_env(
        transport=peer,
        timeouts=Timeouts(total=3),
        retry=RetryPolicy(attempts=1),
        binding=Binding.SOAP12,
        read_only=False,
        user_agent="mine",
    ) as cake:
        await cake.invoices.get(1)
        settings = cake._executor.settings
    assert peer.requests[0].headers["User-Agent"] == "mine"
    assert (settings.timeouts.total, settings.retry.attempts) == (3, 1)
    assert (settings.binding, settings.read_only) == (Binding.SOAP12, False)


def test_a_misspelt_setting_is_a_type_error(named: Env) -> None:
    del named
    with pytest.raises(TypeError, match="timeout"):
        Client.from_env(timeout=3)  # type: ignore[call-arg]


@pytest.fixture
def authority(tmp_path: Path) -> tuple[trustme.CA, Path]:
    authority, file = trustme.CA(), tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(file))
    return authority, file


async def test_a_proxy_and_certificates_of_the_environment(
    named: Env, authority: tuple[trustme.CA, Path]
) -> None:
    named.setenv("CAKE_PROXY", "http://proxy.example:3128")
    named.setenv("CAKE_CA_FILE", str(authority[1]))
    async with Client.from_env() as cake:
        dialer = dialer_of(cake)
        assert dialer._proxy.where == ("proxy.example", 3128)
        (trusted,) = dialer._ssl_context.get_ca_certs()
        assert "trustme" in str(trusted["subject"])
    mine = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    async with Client.from_env(proxy=None, ssl_context=mine) as cake:
        assert (dialer_of(cake)._proxy, dialer_of(cake)._ssl_context) == (None, mine)
    peer = Peer(page(1))
    async with Client.from_env(transport=peer) as cake:
        await cake.invoices.get(1)
    async with Client.from_env(transport=None) as cake:
        assert dialer_of(cake)._proxy is not None


async def test_no_proxy_leads_to_this_machine(named: Env, tmp_path: Path) -> None:
    named.setenv("CAKE_PROXY", "http://proxy.example:3128")
    named.setenv("CAKE_CA_FILE", str(tmp_path / "missing"))
    with serve(Sandbox()) as url:
        named.setenv("CAKE_DOMAIN", url)
        async with Client.from_env() as cake:
            assert await cake.invoices.get(4821)


async def test_what_other_programs_read_is_not_read(named: Env, tmp_path: Path) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR"):
        named.setenv(name, str(tmp_path / "nothing"))
    async with Client.from_env() as cake:
        assert (dialer_of(cake)._proxy, dialer_of(cake)._ssl_context) == (None, None)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "No such file or directory"),
        (b"", "it contains no certificates in PEM"),
        (b"KEY", "it contains no certificates in PEM"),
        (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "it contains no"),
    ],
)
def test_a_file_without_certificates_is_named(
    named: Env, tmp_path: Path, content: bytes | None, reason: str
) -> None:
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_bytes(content)
    named.setenv("CAKE_CA_FILE", str(file))
    with pytest.raises(ConfigurationError, match="CAKE_CA_FILE cannot be used") as caught:
        Client.from_env()
    assert str(file) in str(caught.value)
    assert reason in str(caught.value)
    named.setenv("CAKE_CA_FILE", str(tmp_path))
    with pytest.raises(ConfigurationError, match="Is a directory"):
        Client.from_env()


@pytest.mark.parametrize("around", ["{}\n", " {}", "\ufeff{}\r\n", "\t{} \ufeff", "\xa0{}\u2028"])
@pytest.mark.parametrize("way", ["file", "variable", "argument", "function"])
async def test_white_space_around_a_key_is_dropped_whichever_way_it_takes(
    env: Env, tmp_path: Path, around: str, way: str
) -> None:
    env.setenv("CAKE_DOMAIN", "x.example")
    text, peer = around.format(KEY), Peer(page(1))

    async def function() -> str:
        return text

    if way == "file":
        (tmp_path / "key").write_bytes(text.encode())
        env.setenv("CAKE_API_KEY_FILE", str(tmp_path / "key"))
    elif way == "variable":
        env.setenv("CAKE_API_KEY", text)
    if way in {"file", "variable"}:
        client = Client.from_env(transport=peer)
    else:
        client = Client("x.example", text if way == "argument" else function, transport=peer)
    async with client as cake:
        await cake.invoices.get(1)
    assert peer.requests[0].url.params["api_key"] == KEY


async def test_a_file_is_read_again_after_a_refused_key(env: Env, tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("old-key")
    env.setenv("CAKE_DOMAIN", "x.example")
    env.setenv("CAKE_API_KEY_FILE", str(file))
    peer = Peer(page(1), REFUSED, page(1), REFUSED)
    async with Client.from_env(transport=peer) as cake:
        file.write_text("new-key\n")
        await cake.invoices.get(1)  # with the key that was there
        await cake.invoices.get(1)
        keys = [request.url.params["api_key"] for request in peer.requests]
        assert keys == ["old-key", "old-key", "new-key"]
        file.unlink()
        with pytest.raises(AuthenticationError, match="Invalid API key") as caught:
            await cake.invoices.get(1)
        file.write_text("")
        with pytest.raises(AuthenticationError, match="no new key: api_key: must not be empty"):
            await cake.invoices.get(1)
    assert "CAKE_API_KEY_FILE cannot be read: No such file or directory" in str(caught.value)
    assert "-key" not in str(caught.value)


async def test_a_pipe_is_read_once(env: Env) -> None:
    reader, writer = os.pipe()
    os.write(writer, KEY.encode())
    os.close(writer)
    env.setenv("CAKE_DOMAIN", "x.example")
    env.setenv("CAKE_API_KEY_FILE", f"/dev/fd/{reader}")
    try:
        async with Client.from_env(transport=Peer(page(1), REFUSED)) as cake:
            await cake.invoices.get(1)
            with pytest.raises(AuthenticationError, match=r"Invalid API key \(HTTP 200\)"):
                await cake.invoices.get(1)
    finally:
        os.close(reader)
