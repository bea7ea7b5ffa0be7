"""Where an instance may be, and through what proxy."""

import pytest

from aiocake._transport import Address, parse_address
from aiocake._transport.proxy import parse_proxy
from aiocake.errors import ConfigurationError


@pytest.mark.parametrize(
    ("domain", "base"),
    [
        ("yourdomain.cake.com", "https://yourdomain.cake.com"),
        ("YourDomain.Cake.com", "https://yourdomain.cake.com"),
        ("yourdomain.cake.com:8443", "https://yourdomain.cake.com:8443"),
        ("https://yourdomain.cake.com", "https://yourdomain.cake.com"),
        ("https://yourdomain.cake.com:443/", "https://yourdomain.cake.com"),
        ("yourdomain.cake.com.", "https://yourdomain.cake.com"),
        ("https://yourdomain.cake.com.:8443/", "https://yourdomain.cake.com:8443"),
        ("http://localhost.:81", "http://localhost:81"),
        (".".join(["x" * 49] * 5) + ".xxx.", "https://" + ".".join(["x" * 49] * 5) + ".xxx"),
        ("10.1.2.3", "https://10.1.2.3"),
        ("[2001:db8::1]:8443", "https://[2001:db8::1]:8443"),
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("http://localhost", "http://localhost"),
        ("http://cake.localhost:81", "http://cake.localhost:81"),
        ("http://[::1]:8000", "http://[::1]:8000"),
        ("xn--bcher-kva.example", "https://xn--bcher-kva.example"),
        ("a_b.example", "https://a_b.example"),
    ],
)
def test_what_is_an_address(domain: str, base: str) -> None:
    assert parse_address(domain).base == base


@pytest.mark.parametrize(
    "domain",
    [
        "",
        " ",
        "https://",
        "http://yourdomain.cake.com",
        "http://10.1.2.3",
        "http://localhost.example.com",
        "ftp://yourdomain.cake.com",
        "yourdomain.cake.com/api/2",
        "https://yourdomain.cake.com?api_key=canary",
        "https://yourdomain.cake.com?",
        "https://yourdomain.cake.com#x",
        "user:canary@yourdomain.cake.com",
        "yourdomain.cake.com:0",
        "yourdomain.cake.com:65536",
        "yourdomain.cake.com:",
        "yourdomain.cake.com:x",
        "yourdomain.cake.com:-1",
        "your domain.cake.com",
        "yourdomain.cake.com ",
        "yourdomain.cake.com\n",
        "b\u00fccher.example",
        "-x.example",
        "a..b",
        "a..",
        ".",
        "[::1.]",
        "[::1",
        "[nonsense]",
        "[fe80::1%eth0]",
        "x" * 64 + ".example",
        ".".join(["x" * 60] * 5),
    ],
)
def test_what_is_none_is_refused_without_being_shown(domain: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_address(domain)
    assert "canary" not in str(caught.value)


def test_an_address_knows_its_parts() -> None:
    assert parse_address("x.cake.com:8443") == Address("https", "x.cake.com", 8443)
    assert parse_address("x.cake.com:443").authority == "x.cake.com"
    assert parse_address("[::1]").authority == "[::1]"


def test_a_proxy_keeps_its_password_to_itself() -> None:
    proxy = parse_proxy("http://me:p%40ss@proxy.example:3128")
    assert proxy.url == "http://proxy.example:3128"
    assert proxy.auth() == (b"me", b"p@ss")
    assert "p@ss" not in repr(proxy)
    assert parse_proxy("https://proxy.example").auth() is None
    assert parse_proxy("https://proxy.example").url == "https://proxy.example:443"
    assert parse_proxy("http://[::1]:3128").url == "http://[::1]:3128"
    assert parse_proxy("http://[fe80::1%25eth0]:3128").where == ("fe80::1%eth0", 3128)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "proxy.example:3128",
        "ftp://proxy.example",
        "http://",
        "http://me:canary@proxy.example/path",
        "http://me:canary@proxy.example?x=1",
        "http://me:canary@proxy.example:x",
        "http://pr\u00f6xy.example",
    ],
)
def test_what_is_no_proxy_is_refused_without_being_shown(url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_proxy(url)
    assert "canary" not in str(caught.value)


def test_socks_has_a_port_of_its_own() -> None:
    proxy = parse_proxy("socks5://proxy.example")
    assert proxy.url == "socks5://proxy.example:1080"
    assert proxy.is_socks
    assert not parse_proxy("https://proxy.example").is_socks
