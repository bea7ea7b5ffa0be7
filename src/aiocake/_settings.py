"""Check the settings of a client, of whatever class a caller passes them."""

import ssl
from collections.abc import Callable, Mapping
from types import NoneType
from typing import Final

from aiocake._httpx import package_of
from aiocake._normalize import SECONDS, YES_OR_NO, Wanted, misfit
from aiocake.config import RetryPolicy, Throttle, Timeouts
from aiocake.errors import ConfigurationError
from aiocake.traits import InstanceTraits
from aiocake.values import Binding


def _is(*kinds: type) -> Callable[[object], bool]:
    return lambda value: isinstance(value, kinds)


def _has(*methods: str) -> Callable[[object], bool]:
    return lambda value: all(callable(getattr(value, method, None)) for method in methods)


#: What each setting of :class:`Client` has to be.
_MUST_BE: Final[Mapping[str, Wanted]] = {
    "domain": (_is(str), "a text"),
    "api_key": (lambda key: isinstance(key, str) or callable(key), "a text or an async function"),
    "timeouts": (_is(Timeouts, NoneType), "a Timeouts"),
    "retry": (_is(RetryPolicy, NoneType), "a RetryPolicy"),
    "throttle": (_is(Throttle, NoneType), "a Throttle"),
    "binding": (_is(str), f"one of {', '.join(Binding)}"),
    "transport": (
        lambda it: it is None or package_of(it) is not None,
        "an AsyncBaseTransport of httpx or httpx2",
    ),
    "proxy": (_is(str, NoneType), "the URL of a proxy"),
    "ssl_context": (_is(ssl.SSLContext, NoneType), "an ssl.SSLContext"),
    "ledger": (lambda it: it is None or _has("before", "after")(it), "a Ledger"),
    "grace": SECONDS,
    "read_only": YES_OR_NO,
    "show_sensitive": YES_OR_NO,
    "user_agent": (_is(str, NoneType), "a text"),
    "on_event": (lambda it: it is None or callable(it), "a function"),
    "traits": (_is(InstanceTraits, NoneType), "an InstanceTraits"),
}


def check_settings(**settings: object) -> None:
    """Refuse settings of a wrong kind.

    Raises:
        ConfigurationError: It names each of them.
    """
    reasons = {name: misfit(value, _MUST_BE[name]) for name, value in settings.items()}
    if wrong := [f"{name}: {reason}" for name, reason in reasons.items() if reason]:
        raise ConfigurationError("; ".join(wrong))
