"""Calls of endpoints without a method: build the request, and judge the response."""

import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Final, cast
from urllib.parse import quote

import msgspec

from aiocake._codec import strict_json
from aiocake._codec.refusals import OK, contradiction_in, error_in
from aiocake._codec.reply import BodyFormat, Reply
from aiocake._codec.requests_v1 import QUERY_LIMIT
from aiocake._codec.requests_v2 import KEY, pair
from aiocake._messages import Request
from aiocake._normalize import class_name, normalized
from aiocake._operations.parameters import (
    Bool,
    Date,
    InvalidArgument,
    Moment,
    Money,
    Parameter,
    Text,
    format_value,
    json_value,
)
from aiocake.errors import ArgumentError, CakeError, Problem
from aiocake.values import SKIP, Idempotency

_METHODS: Final = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE"})
# Section 3.3 of RFC 3986: what a path is made of.
_PATH: Final = re.compile(r"(?:/(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})*)+")
#: Whoever gets such a path resolves it (RFC 3986 section 5.2.4), and it is another one then.
_DOTS: Final = re.compile(r"/(?:\.|%2[eE]){1,2}(?:/|$)")
#: The name of such calls in errors and events.
OPERATION: Final = "request"


def idempotency_of_raw(
    *, method: object, path: object, repeatable: object, writes: object, **_: object
) -> Idempotency:
    """Return the idempotency of a request without a method; one that cannot be sent is a write.

    Where ``writes`` is None, all but a GET of v2 do, since v1 has GETs that write.
    """
    if writes is None:
        writes = _exact(method) != "GET" or not str(_exact(path)).startswith("/api/2/")
    if repeatable is not True:
        return Idempotency.NON_IDEMPOTENT
    return Idempotency.SAFE if writes is False else Idempotency.IDEMPOTENT


def prepare_raw(  # noqa: PLR0913 - the parts of a request
    method: object,
    path: object,
    params: object = None,
    json: object = None,
    *,
    repeatable: object = True,
    writes: object = None,
) -> tuple[dict[str, object], Request]:
    """Validate the parts of a request, and make the request.

    Args:
        method: The HTTP method, in capitals.
        path: From the first slash, encoded, without a query.
        params: What stands in the query behind the key, in this order. SKIP is left out.
        json: The body, an object. SKIP is left out; amounts and dates become texts, as v2 has
            them.
        repeatable: True if sending it twice does no more than sending it once.
        writes: True if it changes anything.

    Returns:
        Method, path and what else was given, by name and as exact built-in values, and the
        request, with the key in its query.

    Raises:
        ArgumentError: Names every argument that cannot be sent.
    """
    provided = {"method": _exact(method), "path": _exact(path)}
    problems = _where(provided["method"], provided["path"])
    flags = {"repeatable": repeatable, "writes": False if writes is None else writes}
    problems += [
        Problem(name, f"must be True or False, got {class_name(flag)}")
        for name, flag in flags.items()
        if type(flag) is not bool
    ]
    for name, value in (("params", params), ("json", json)):
        if value is not None:
            provided[name] = _fields(value, name, problems)
    if problems:
        raise ArgumentError(*problems)
    named = cast("dict[str, dict[str, object]]", provided)
    path = str(provided["path"])
    query = "".join(
        pair(quote(name, safe=""), format_value(it)) for name, it in named.get("params", {}).items()
    )
    request = Request(
        OPERATION,
        str(provided["method"]),
        path,
        KEY + query,
        headers=() if json is None else (("Content-Type", "application/json"),),
        body=b"" if json is None else msgspec.json.encode(_texts(named["json"])),
        key_offset=len(KEY),
        query_limit=QUERY_LIMIT if path.startswith("/api/1/") else None,
        own_path=True,
    )
    return provided, request


def _exact(value: object) -> object:
    """Convert a value to an exact built-in one; return None if its own methods raise."""
    try:
        return normalized(value)
    except Exception:  # noqa: BLE001 - whatever they raise
        return None


def _where(method: object, path: object) -> list[Problem]:
    problems: list[Problem] = []
    if not isinstance(method, str) or method not in _METHODS:
        problems.append(Problem("method", f"must be one of {', '.join(sorted(_METHODS))}"))
    if not isinstance(path, str) or _PATH.fullmatch(path) is None:
        problems.append(Problem("path", "must begin with a slash, be encoded and have no query"))
    elif _DOTS.search(path):
        problems.append(Problem("path", "must not have '.' or '..' between its slashes"))
    return problems


def _fields(value: object, name: str, problems: list[Problem]) -> dict[str, object]:
    """Return the fields of a mapping; add a problem for each value that cannot be sent."""
    reason = f"must be a mapping, got {class_name(value)}"
    try:
        fields = _plain(value, name, problems)
    except RecursionError:
        fields, reason = None, "is nested too deep"
    if not isinstance(fields, dict):
        problems.append(Problem(name, reason))
        return {}
    found = cast("dict[str, object]", fields)
    if name == "params":
        nested = [(key, it) for key, it in found.items() if type(it) in {dict, list}]
        problems += [Problem(key, _no_value(it)) for key, it in nested]
    if any(key.casefold() == "api_key" for key in found):  # ASP.NET does not tell case apart
        problems.append(Problem("api_key", "is added when the call is sent: leave it out"))
    return found


def _plain(value: object, name: str, problems: list[Problem]) -> object:
    """Return the value as built-in ones; add a problem for each that cannot be sent."""
    try:
        if isinstance(value, Mapping):
            return _named(cast("Mapping[object, object]", value), name, problems)
        if isinstance(value, list | tuple):
            rows = [each for each in cast("Sequence[object]", value) if each is not SKIP]
            return [_plain(each, f"{name}[{at}]", problems) for at, each in enumerate(rows)]
        exact = normalized(value)
    except RecursionError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever the value's own methods raise
        problems.append(Problem(name, f"cannot be read: it raised {class_name(error)}"))
        return None
    kind = next((kind for classes, kind in _KINDS if isinstance(exact, classes)), None)
    problems += (
        [Problem(name, _no_value(exact))] if kind is None else _problems_of(kind(name), exact)
    )
    return exact


def _named(
    fields: Mapping[object, object], name: str, problems: list[Problem]
) -> dict[str, object]:
    named: dict[str, object] = {}
    for key, value in fields.items():
        exact = normalized(key)
        if wrong := _problems_of(Text(f"a name in {name}"), exact):
            problems += wrong
        elif value is not SKIP:
            path = str(exact) if name == "params" else f"{name}.{exact}"
            if exact in named:  # as the mappings have it that keep several values of a name
                problems.append(Problem(path, "is given twice"))
            named[str(exact)] = _plain(value, path, problems)
    return named


def _texts(value: object) -> object:
    """Return the value with dates and amounts as texts."""
    if isinstance(value, dict):
        return {name: _texts(inner) for name, inner in cast("dict[str, object]", value).items()}
    if isinstance(value, list):
        return [_texts(inner) for inner in cast("list[object]", value)]
    return json_value(value)


#: The kinds of argument that a value of each class may be, the first that fits.
_KINDS: Final[tuple[tuple[type | tuple[type, ...], type[Parameter]], ...]] = (
    (bool, Bool),
    ((int, Decimal), Money),
    (datetime, Moment),
    (date, Date),
    (str, Text),
)


def _problems_of(parameter: Parameter, value: object) -> tuple[Problem, ...]:
    """Return why an argument cannot be sent; nothing if it can."""
    checked = parameter.check(value)
    return checked.problems if isinstance(checked, InvalidArgument) else ()


def _no_value(value: object) -> str:
    return f"must be a str, int, Decimal, date, datetime or bool, got {class_name(value)}"


def error_of_raw(reply: Reply, idempotency: Idempotency = Idempotency.SAFE) -> CakeError | None:
    """Return the error that a response to such a request reports; None for a success.

    Args:
        reply: The response.
        idempotency: What sending the request again does. The response to a write has to say
            that it was carried out; what was only read may be a text or a list, too.
    """
    reads = idempotency is Idempotency.SAFE
    if reads and reply.response.status in OK and _is_without_verdict(reply):
        return None
    error = error_in(reply, may_be_silent=reads)
    # What a read shows, its caller judges: a report may have a column of errors.
    return contradiction_in(reply, reads=False) if error is None and not reads else error


def _is_without_verdict(reply: Reply) -> bool:
    return (
        reply.format is BodyFormat.TEXT
        or reply.response.body.removeprefix(strict_json.BOM).lstrip()[:1] == b"["
    )
