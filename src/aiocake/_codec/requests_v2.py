"""v2 as it is sent: a query, or a query that holds the key alone and a body of JSON.

Source: CAKE's page "How to Manage Invoices via the CAKE API".
"""

from collections.abc import Mapping
from datetime import date
from typing import Final
from urllib.parse import quote

import msgspec

from aiocake._codec.scalars import format_value
from aiocake._messages import KeyPlacement, Request
from aiocake._operations.operation import Operation

#: The beginning of a query or form that the key is put into.
KEY: Final = "api_key="


def request(operation: Operation[object], arguments: Mapping[str, object]) -> Request:
    """The request of a v2 call.

    Args:
        operation: The operation.
        arguments: Checked.
    """
    provided = {
        parameter.name: arguments[parameter.name]
        for parameter in operation.parameters
        if parameter.name in arguments
    }
    if operation.method == "GET":
        texts = {name: format_value(value) for name, value in provided.items()}
        return _with_query(operation, KEY + query(texts))
    plain = {name: _plain(value) for name, value in provided.items()}
    return _with_query(operation, KEY, msgspec.json.encode(plain))


def query(texts: Mapping[str, str]) -> str:
    """Return the part of a query behind the key, each name after a ``&``."""
    return "".join(
        f"&{quote(name, safe='')}={quote(text, safe='')}" for name, text in texts.items()
    )


def _with_query(operation: Operation[object], text: str, body: bytes | None = None) -> Request:
    return Request(
        operation.name,
        operation.method,
        operation.path,
        query=text,
        headers=() if body is None else (("Content-Type", "application/json"),),
        body=body or b"",
        key_placement=KeyPlacement.QUERY,
        key_offset=len(KEY),
    )


def _plain(value: object) -> object:
    return format_value(value) if isinstance(value, date) else value
