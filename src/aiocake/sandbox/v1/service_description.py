"""What a page says of itself: its WSDL, and the page that people read.

The WSDL of each page is a file beside this module: document/literal by SOAP 1.1 and 1.2, and
texts by GET and form. Only the address is filled in here. What the files say of each operation is
compared with the table in :mod:`~aiocake.sandbox.v1.operations` by ``tests/sandbox/test_wsdl.py``.
"""

from functools import cache
from html import escape
from importlib.resources import files
from string import Template

from starlette.responses import HTMLResponse, Response

from aiocake.sandbox.v1.operations import OPERATIONS, Service


def wsdl(service: Service, url: str) -> Response:
    """Return the WSDL of the page at a URL."""
    text = _template(service).substitute(url=escape(url))
    return Response(text.encode(), media_type="text/xml; charset=utf-8")


@cache
def _template(service: Service) -> Template:
    return Template((files("aiocake.sandbox.v1") / f"{service}.wsdl").read_text(encoding="utf-8"))


def help_page(service: Service, name: str) -> Response:
    """Return the HTML for a browser: the parameters of an operation, or all operations.

    Args:
        service: The page.
        name: The operation that ``?op=`` names, or an empty text.
    """
    operation = OPERATIONS.get(name)
    title = f"{service} Web Service"
    if operation is not None and operation.service == service:
        title = name
        items = [f"{parameter.name}: {parameter.kind.net}" for parameter in operation.parameters]
    else:
        items = [each.name for each in OPERATIONS.values() if each.service == service]
    listed = "".join(f"<li>{escape(item)}</li>" for item in items)
    return HTMLResponse(
        f"<html><head><title>{escape(title)}</title></head><body><h1>{escape(title)}</h1>"
        f"<ul>{listed}</ul></body></html>"
    )
