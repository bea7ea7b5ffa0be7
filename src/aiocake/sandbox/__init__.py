"""A CAKE that runs here: both billing APIs, with their semantics, over made-up data.

In process, for tests::

    sandbox = Sandbox(invoices=20)
    transport = httpx.ASGITransport(app=sandbox.app)

On a socket::

    with serve(Sandbox(invoices=20_000, latency=0.02)) as url:
        ...

From a shell: ``python -m aiocake.sandbox --invoices 20000``, which prints the URL.
"""

from aiocake.sandbox._app import Sandbox
from aiocake.sandbox._dialect import Dialect
from aiocake.sandbox._server import serve
from aiocake.sandbox._state import BillRecord, InvoiceRecord, Partner, RecordedRequest, State, Table

__all__ = [
    "BillRecord",
    "Dialect",
    "InvoiceRecord",
    "Partner",
    "RecordedRequest",
    "Sandbox",
    "State",
    "Table",
    "serve",
]
