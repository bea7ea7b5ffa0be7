"""v1: the pages accounting.asmx and get.asmx, in all their bindings.

Each page also serves its WSDL, which is a file beside this module: document/literal by SOAP 1.1 and
1.2, and texts by GET and form. Only the address is filled in here. ``tests/sandbox/test_wsdl.py``
compares what the files say of each operation with the table in
:mod:`~aiocake.sandbox.v1.operations`.
"""

import re
from collections.abc import Callable
from functools import cache
from html import escape
from importlib.resources import files
from string import Template
from typing import Final

from starlette.responses import HTMLResponse, Response

from aiocake.sandbox.dialect import Dialect
from aiocake.sandbox.messages import Call, Incoming, pairs
from aiocake.sandbox.state import State
from aiocake.sandbox.v1.bindings import (
    CannotBind,
    NotXml,
    bind_element,
    bind_pairs,
    called,
    content_type_parameters,
    parse,
    plain_failure,
    unrecognized,
    version_of,
)
from aiocake.sandbox.v1.handlers import Arguments, Content, Threw, carry_out, refusal
from aiocake.sandbox.v1.operations import OPERATIONS, Export, Operation, Service
from aiocake.sandbox.v1.responses import Envelope, as_json, as_xml, in_chunks, plain_envelope

_PAGE = re.compile(r"/api/1/(?P<service>accounting|get)\.asmx(?:/(?P<operation>[^/]*))?")
_FORM: Final = "application/x-www-form-urlencoded"
_KEPT_EXPORTS: Final = 4


class Asmx:
    """Version 1 of the API."""

    def __init__(self, state: State, dialect: Dialect) -> None:
        """Serve a state in a dialect."""
        self._state = state
        self._dialect = dialect
        self._exports: dict[object, list[bytes]] = {}
        self._exported_at = state.changes.count

    def resolve(self, incoming: Incoming) -> Call | None:
        """Understand a request below ``/api/1/``.

        Args:
            incoming: The request.

        Returns:
            The call, which may be a refusal, or None when there is no such page.
        """
        page = _PAGE.fullmatch(incoming.path)
        if page is None:
            return None
        service: Service = "get" if page["service"] == "get" else "accounting"
        if page["operation"] is None:
            return self._page(service, incoming)
        return self._called(service, page["operation"], incoming)

    def _called(self, service: Service, name: str, incoming: Incoming) -> Call:
        operation = _operation(service, name)
        if operation is None:
            return _fixed(_unrecognized(name))
        if incoming.method == "GET":
            return self._by_url(operation, incoming.query, "QueryString")
        if incoming.method != "POST":
            return _fixed(_unrecognized(operation.name))
        if incoming.media_type != _FORM:
            shown = incoming.headers.get("content-type", "")
            return _fixed(plain_failure(f"Request format is invalid: {shown}."), operation.name)
        return self._by_url(operation, incoming.body, "Form")

    def _page(self, service: Service, incoming: Incoming) -> Call:
        if incoming.method == "POST":
            return self._by_soap(service, incoming)
        if incoming.query.lower() == b"wsdl":
            return _fixed(wsdl(service, incoming.url))
        return _fixed(help_page(service, dict(pairs(incoming.query)).get("op", "")))

    def _by_soap(self, service: Service, incoming: Incoming) -> Call:
        version = version_of(incoming.media_type)
        if version is None:
            return _fixed(Response(status_code=415))
        try:
            charset = content_type_parameters(incoming.headers).get("charset")
            envelope = parse(incoming.body, charset)
        except NotXml:
            return _fixed(Response(status_code=400))
        if (envelope.namespace, envelope.name) != (version.namespace, "Envelope"):
            return _fixed(Response(status_code=415))
        name = None
        try:
            name, element = called(version, envelope, incoming.headers)
            operation = _operation(service, name)
            if operation is None:
                raise unrecognized(name)
            arguments = bind_element(operation, element)
        except CannotBind as problem:
            return _fixed(version.caller_fault(str(problem)), name)
        return self._call(operation, arguments, version.envelope(operation), version.server_fault)

    def _by_url(self, operation: Operation, raw: bytes, collection: str) -> Call:
        try:
            arguments = bind_pairs(operation, pairs(raw), collection)
        except CannotBind as problem:
            return _fixed(plain_failure(str(problem)), operation.name)
        return self._call(operation, arguments, plain_envelope(operation), plain_failure)

    def _call(
        self,
        operation: Operation,
        arguments: Arguments,
        envelope: Envelope,
        threw: Callable[[str], Response],
    ) -> Call:
        def run() -> Response:
            key = (operation.name, envelope.before, *arguments.values())
            kept = self._kept(key)
            if kept is not None:
                return as_xml(kept, envelope)
            try:
                content = carry_out(self._state, operation, arguments)
            except Threw as problem:
                return threw(str(problem))
            return self._show(operation, content, envelope, key)

        return Call(
            operation=operation.name,
            arguments={name: arguments[name] for name in arguments if name != "api_key"},
            run=run,
            refuse=lambda _, text: self._show(operation, refusal(operation, text), envelope),
        )

    def _show(
        self, operation: Operation, content: Content, envelope: Envelope, key: object = None
    ) -> Response:
        if operation.service == "get" and content["success"] and not self._dialect.lookup_success:
            del content["success"]
        elif operation.service == "accounting" and self._dialect.v1_format == "json":
            return as_json(content)
        chunks = in_chunks(operation, content, envelope)
        if key is not None and isinstance(operation.job, Export):
            if len(self._exports) >= _KEPT_EXPORTS:
                self._exports.clear()
            self._exports[key] = chunks
        return as_xml(chunks, envelope)

    def _kept(self, key: object) -> list[bytes] | None:
        """Return an export that was written before, if nothing has changed since."""
        if self._exported_at != self._state.changes.count:
            self._exports.clear()
            self._exported_at = self._state.changes.count
        return self._exports.get(key)


def _operation(service: Service, name: str) -> Operation | None:
    operation = OPERATIONS.get(name)
    return operation if operation is not None and operation.service == service else None


def _unrecognized(operation: str) -> Response:
    return HTMLResponse(
        "<html><head><title>Request format is unrecognized for URL unexpectedly ending in "
        f"&#39;/{operation}&#39;.</title></head><body><h1>Server Error in &#39;/&#39; "
        "Application.</h1></body></html>",
        500,
    )


def _fixed(response: Response, operation: str | None = None) -> Call:
    return Call(
        operation=operation,
        arguments={},
        run=lambda: response,
        refuse=lambda _status, _text: response,
    )


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
