"""A client for code that is not asynchronous: scripts, notebooks, Django commands.

::

    from aiocake import blocking

    with blocking.Client.from_env() as cake:
        for invoice in cake.invoices.find(invoice_status="pending"):
            print(invoice.invoice_id, invoice.total_amount)

It has the methods of :class:`aiocake.Client`, which wait for their results, and ``cake.bulk``. What
has no blocking form is called by ``cake.run()``.

Ctrl-C cancels the call that is waited for. A write that has left is given its grace first, and the
KeyboardInterrupt has a note that tells what became of it.
"""

from aiocake.blocking.client import Client
from aiocake.blocking.ledger import Ledger
from aiocake.blocking.readers import ExportedBills, PagedRows, Pager, Pages, Reader
from aiocake.blocking.views import (
    AdvertiserBills,
    AffiliateBills,
    Bulk,
    BuyerBills,
    ClientSettings,
    ClientView,
    Invoices,
    Reference,
)

__all__ = [
    "AdvertiserBills",
    "AffiliateBills",
    "Bulk",
    "BuyerBills",
    "Client",
    "ClientSettings",
    "ClientView",
    "ExportedBills",
    "Invoices",
    "Ledger",
    "PagedRows",
    "Pager",
    "Pages",
    "Reader",
    "Reference",
]
