"""Requests of v2: a query, or a query with only the key and a JSON body.

Source: CAKE's page "How to Manage Invoices via the CAKE API".
"""

from collections.abc import Callable, Mapping
from typing import Final
from urllib.parse import quote

import msgspec

from aiocake._messages import KeyPlacement, Request
from aiocake._operations.operation import Operation
from aiocake._operations.parameters import format_value, json_value

#: The beginning of a query or form that the key is put into.
KEY: Final = "api_key="

Encode = Callable[[Mapping[str, object]], Request]

_to_json: Final = msgspec.json.Encoder().encode


def pair(name: str, text: str) -> str:
    """Return a name and a text as a query has them behind the key."""
    # Most are plain, and quote() takes ten times as long to find that.
    plain = text.isalnum() and text.isascii()
    return f"&{name}={text if plain else quote(text, safe='')}"


def encoder(operation: Operation[object]) -> Encode:
    """Return the function that makes the requests of a v2 operation, of arguments checked."""
    name, method, path = operation.name, operation.method, operation.path
    names = [parameter.name for parameter in operation.parameters]
    json = (("Content-Type", "application/json"),)

    def by_query(arguments: Mapping[str, object]) -> Request:
        query = KEY
        for each in names:
            if each in arguments:
                query += pair(each, format_value(arguments[each]))
        return Request(name, method, path, query, key_offset=len(KEY))

    def by_json(arguments: Mapping[str, object]) -> Request:
        body = _to_json({each: json_value(arguments[each]) for each in names if each in arguments})
        return Request(name, method, path, KEY, json, body, KeyPlacement.QUERY, len(KEY))

    return by_query if method == "GET" else by_json
