"""Requests of v1 by GET and form: all parameters as pairs, in the query or in the body.

ASMX binds by exact name and wants every parameter of the operation on every call, so what is
skipped is sent as the value that keeps what is stored. Source: CAKE's pages on ``accounting.asmx``,
and ASP.NET's System.Web.Services.
"""

import re
from collections.abc import Mapping
from typing import Final

from aiocake._codec.requests_v2 import KEY, Encode, pair
from aiocake._messages import KeyPlacement, Request
from aiocake._operations.operation import Operation
from aiocake._operations.parameters import Text
from aiocake.errors import ArgumentError, Problem
from aiocake.values import SKIP, Idempotency

#: IIS refuses longer ones: ``maxQueryString`` of its request filtering is 2048 by default.
QUERY_LIMIT: Final = 2048
#: By GET and form nothing can be null; CAKE's pages give this text as the one that erases.
_ERASES: Final = "NULL"
# The start of a tag or of a character reference, as ASP.NET's request validation sees it.
_MARKUP: Final = re.compile(r"<[A-Za-z!/?]|&#")


def get_encoder(operation: Operation[object]) -> Encode:
    """Return the function that makes an operation's requests by GET, of arguments checked.

    It raises an ArgumentError for a text that cannot be sent in this way.
    """
    name, path = operation.name, f"{operation.path}/{operation.call}"

    def encode(arguments: Mapping[str, object]) -> Request:
        reads = operation.idempotency_of(arguments) is Idempotency.SAFE
        return Request(
            name,
            "GET",
            path,
            _pairs(operation, arguments),
            () if reads else (("Cache-Control", "no-store"),),  # a call that writes is for no cache
            key_offset=len(KEY),
            query_limit=QUERY_LIMIT,
        )

    return encode


def form_encoder(operation: Operation[object]) -> Encode:
    """Return the function that makes an operation's requests by POST of a form, likewise."""
    name, path = operation.name, f"{operation.path}/{operation.call}"
    form = (("Content-Type", "application/x-www-form-urlencoded"),)

    def encode(arguments: Mapping[str, object]) -> Request:
        body = _pairs(operation, arguments).encode("ascii")
        return Request(name, "POST", path, "", form, body, KeyPlacement.FORM, len(KEY))

    return encode


def _pairs(operation: Operation[object], arguments: Mapping[str, object]) -> str:
    """Return the place of the key, and all parameters behind it, percent-encoded."""
    problems: list[Problem] = []
    query = KEY
    for parameter in operation.parameters:
        value = arguments.get(parameter.name, SKIP)
        if isinstance(parameter, Text) and isinstance(value, str) and _MARKUP.search(value):
            reason = (
                "holds '<' before a letter, '!', '/' or '?', or '&#', which ASP.NET refuses by GET "
                "and form: send it by Binding.SOAP12"
            )
            problems.append(Problem(parameter.name, reason))
        for name, text in parameter.v1_texts(value):
            query += pair(name, _ERASES if text is None else text)
    if problems:
        raise ArgumentError(*problems)
    return query
