"""v1 by GET and by form: how System.Web.Services binds parameters, and how it refuses them."""

import re
from collections.abc import Sequence
from html import escape
from typing import Final

from starlette.responses import Response

from aiocake.sandbox.v1.handlers import Arguments
from aiocake.sandbox.v1.operations import Operation, Parameter
from aiocake.sandbox.v1.parameter_types import Value

# ASP.NET's request validation: the start of a tag, or of a character reference.
_DANGEROUS = re.compile(r"<[a-zA-Z!/?]|&#")
_SHOWN: Final = 20


class CannotBind(Exception):
    """The request lacks a parameter of the method, or has one that cannot be read."""


def bind_pairs(operation: Operation, sent: Sequence[tuple[str, str]], collection: str) -> Arguments:
    """Read the parameters of an operation from a query or a form.

    Args:
        operation: The operation.
        sent: Names and values as sent. What the operation does not know is ignored; a name
            that is there twice has both values, with a comma between them.
        collection: ``QueryString`` or ``Form``, for error texts.

    Returns:
        A value for each parameter.

    Raises:
        CannotBind: A parameter is missing or cannot be read, or a value looks like markup.
    """
    texts: dict[str, str] = {}
    for name, text in sent:
        if _DANGEROUS.search(text):
            raise CannotBind(
                f"A potentially dangerous Request.{collection} value was detected from the "
                f'client ({name}="{text[:_SHOWN]}").'
            )
        texts[name] = f"{texts[name]},{text}" if name in texts else text
    return {parameter.name: _read(parameter, texts) for parameter in operation.parameters}


def _read(parameter: Parameter, texts: dict[str, str]) -> Value:
    text = texts.get(parameter.name)
    if text is None:
        raise CannotBind(f"Missing parameter: {parameter.name}.")
    try:
        return parameter.kind.from_url(text)
    except ValueError as error:
        raise CannotBind(
            f"Cannot convert {text} to {parameter.kind.net}.\r\nParameter name: type ---> {error}"
        ) from None


def plain_failure(message: str) -> Response:
    """Return a failure of ASP.NET itself: 500, and the text escaped for HTML in plain text."""
    text = escape(message, quote=False).replace('"', "&quot;").replace("'", "&#39;")
    return Response(
        f"{text}\r\n".encode("utf-8", "replace"), 500, media_type="text/plain; charset=utf-8"
    )
