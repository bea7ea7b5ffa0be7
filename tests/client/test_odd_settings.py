"""Settings of odd classes: taken for the built-in values that they are, or refused by name."""

import ssl
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from markupsafe import Markup

from aiocake import Client, ConfigurationError, RetryPolicy, Throttle, Timeouts, bulk

from ..support.peer import KEY, Peer, done

pytestmark = pytest.mark.anyio


def refuse(*_: object, **__: object) -> Any:  # noqa: ANN401 - it returns nothing
    raise KeyError


class Hostile:
    """Raises whatever is asked of it."""

    __slots__ = ()
    __str__ = __repr__ = __eq__ = __hash__ = __index__ = __bool__ = __format__ = refuse
    __lt__ = __gt__ = __le__ = __ge__ = __float__ = __getattribute__ = refuse


class Text(str):
    __slots__ = ()
    __str__ = __eq__ = __hash__ = __format__ = __contains__ = strip = refuse


def test_numbers_of_other_classes_are_taken() -> None:
    timeouts = Timeouts(total=np.float32(2.5), read=np.int64(3), connect=Fraction(1, 2))  # type: ignore[arg-type]
    assert timeouts == Timeouts(total=2.5, read=3, connect=0.5)
    throttle = Throttle(concurrency=np.int64(3), rate=np.float64(2), max_waiting=np.uint8(0))  # type: ignore[arg-type]
    assert throttle == Throttle(concurrency=3, rate=2.0, max_waiting=0)
    policy = RetryPolicy(attempts=np.int16(2), budget=np.int64(0))  # type: ignore[arg-type]
    for value in (timeouts.total, timeouts.read, throttle.rate, throttle.concurrency):
        assert type(value) in {int, float}
    assert [type(policy.attempts), type(policy.budget)] == [int, int]


@pytest.mark.parametrize("odd", [None, True, np.bool_(True), "1", Decimal(1), np.array([1, 2])])  # noqa: FBT003 - a value
@pytest.mark.parametrize(
    ("kind", "name"),
    [(Timeouts, "total"), (RetryPolicy, "attempts"), (RetryPolicy, "base"), (Throttle, "burst")],
)
def test_what_is_no_number_is_refused_with_its_class(
    kind: Callable[..., object], name: str, odd: object
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        kind(**{name: odd})
    assert str(caught.value).startswith(f"{name} must be a ")
    assert str(caught.value).endswith(f", got {type(odd).__name__}")


@pytest.mark.parametrize("number", [10**400, float("nan"), float("inf"), 0, -1])
def test_a_number_of_seconds_is_finite(number: float) -> None:
    with pytest.raises(ConfigurationError, match="total must be a positive number"):
        Timeouts(total=number)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Timeouts(total=Hostile()),  # type: ignore[arg-type]
        lambda: RetryPolicy(attempts=Hostile()),  # type: ignore[arg-type]
        lambda: RetryPolicy(draw=1),  # type: ignore[arg-type]
        lambda: Throttle(adaptive="no"),  # type: ignore[arg-type]
        lambda: Throttle(adaptive=Hostile()),  # type: ignore[arg-type]
        lambda: Throttle(rate=Hostile()),  # type: ignore[arg-type]
    ],
)
def test_odd_settings_are_refused(make: Callable[[], object]) -> None:
    with pytest.raises(ConfigurationError):
        make()


@pytest.mark.parametrize(
    "name",
    [
        "domain",
        "api_key",
        "timeouts",
        "retry",
        "throttle",
        "binding",
        "transport",
        "proxy",
        "ssl_context",
        "ledger",
        "grace",
        "read_only",
        "show_sensitive",
        "user_agent",
        "on_event",
    ],
)
def test_a_setting_whose_methods_raise_is_named(name: str) -> None:
    settings: dict[str, Any] = {"domain": "x.example", "api_key": KEY, name: Hostile()}
    with pytest.raises(ConfigurationError, match=f"^{name}: "):
        Client(**settings)


async def test_texts_of_other_classes_are_taken() -> None:
    peer = Peer(done())
    client = Client(
        Text("x.example"),
        Markup(KEY),  # noqa: S704 - no page is made of it
        transport=peer,
        binding=Text("get"),  # type: ignore[arg-type]
        user_agent=Text("me"),
        grace=np.float64(1),
    )
    async with client as cake:
        assert repr(cake) == "<Client x.example>"
        view = cake.with_options(total=np.int64(3), attempts=np.int8(1), binding=Text("soap12"))  # type: ignore[arg-type]
        await view.invoices.update(1, memo="x")
    assert peer.requests[0].headers["User-Agent"] == "me"


@pytest.mark.parametrize("name", ["total", "queue", "attempts", "binding"])
@pytest.mark.parametrize("odd", [False, "1", []])
async def test_odd_options_are_refused(name: str, odd: object) -> None:
    async with Peer(done()).client() as cake:
        for value in (odd, Hostile()):
            with pytest.raises(ConfigurationError, match=name):
                cake.with_options(**{name: value})  # type: ignore[arg-type]


def test_a_proxy_is_a_text() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    with pytest.raises(ConfigurationError, match="proxy: must be the URL of a proxy, got bytes"):
        Client("x.example", KEY, proxy=b"http://p", ssl_context=context)  # type: ignore[arg-type]


async def test_one_instance_has_one_name() -> None:
    peer = Peer(done())
    async with Client(Text("X.example."), KEY, transport=peer) as cake:
        # The name by which locks and journals know it.
        assert bulk.call(cake.invoices.update, 1, memo="x").executor.domain == "x.example"
        await cake.invoices.update(1, memo="x")
    assert (peer.requests[0].url.host, peer.requests[0].headers["Host"]) == ("x.example",) * 2


@pytest.mark.parametrize("hidden", ["\u200b", "\u00ad", "\x00", "\x7f", "\u00a0"])
def test_an_invisible_character_of_a_key_is_pointed_at(hidden: str) -> None:
    with pytest.raises(
        ConfigurationError, match=rf"character 3 is invisible \(U\+{ord(hidden):04X}"
    ):
        Client("x.example", f"KE{hidden}Y")
