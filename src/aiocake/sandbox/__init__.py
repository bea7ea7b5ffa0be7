"""A CAKE that runs here: both billing APIs, with their semantics, over made-up data.

In process, for tests::

    sandbox = Sandbox(invoices=20)
    transport = httpx.ASGITransport(app=sandbox.app)

On a socket::

    with serve(Sandbox(invoices=20_000, latency=0.02)) as url:
        ...

From a shell: ``python -m aiocake.sandbox --invoices 20000``, which prints the URL.
"""

import sys

try:
    from aiocake.sandbox.app import Sandbox
    from aiocake.sandbox.dialect import Dialect
    from aiocake.sandbox.faults import FAULTS, Fault, FaultName
    from aiocake.sandbox.server import serve
    from aiocake.sandbox.state import (
        BillRecord,
        InvoiceRecord,
        Partner,
        RecordedRequest,
        State,
        Table,
    )
except ModuleNotFoundError as _error:
    _message = f"aiocake.sandbox: {_error.name} missing: pip install 'aiocake[sandbox]'"
    if sys.argv[:1] == ["-m"]:  # Python looks for what it is to run: nobody catches an error
        sys.exit(_message)
    raise ModuleNotFoundError(_message, name=_error.name) from None

__all__ = [
    "FAULTS",
    "BillRecord",
    "Dialect",
    "Fault",
    "FaultName",
    "InvoiceRecord",
    "Partner",
    "RecordedRequest",
    "Sandbox",
    "State",
    "Table",
    "serve",
]
