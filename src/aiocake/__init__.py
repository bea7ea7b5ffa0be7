"""An async SDK for the billing and accounting API of CAKE.

::

    import aiocake

    async with aiocake.Client("yourdomain.cake.com", api_key=key) as cake:
        async for invoice in cake.invoices.find(invoice_status="pending"):
            print(invoice.invoice_id, invoice.total_amount)

CAKE's own pages document the API; the modules say which page documents what.
"""

from typing import TYPE_CHECKING

from aiocake import bulk, errors
from aiocake._codec.raw_response import RawResponse
from aiocake._pipeline.settings import ClientStats
from aiocake.client import Client, ClientView
from aiocake.config import Ledger, RetryPolicy, Throttle, Timeouts
from aiocake.errors import (
    AlreadyExists,
    ApiError,
    ArgumentError,
    AuthenticationError,
    CakeError,
    ClosedError,
    ConfigurationError,
    Conflict,
    ConsistencyError,
    DeadlineExceeded,
    DecodeError,
    Intent,
    JournalError,
    JournalLost,
    ListChanged,
    NotFound,
    NotSent,
    Outcome,
    OutcomeUnknown,
    PlanError,
    RateLimited,
    RequestRejected,
    Restricted,
    ServerError,
    TipaltiError,
    WrongLoopError,
)
from aiocake.models import (
    AccountManager,
    AccountStatus,
    AdvertiserBill,
    AffiliateBill,
    BillAmount,
    BillingCycle,
    BillingCycleName,
    BuyerBill,
    Contact,
    CreatedInvoice,
    Currency,
    ExchangeRate,
    Expect,
    Invoice,
    InvoiceKind,
    InvoiceStatus,
    MarkResult,
    Page,
    Partner,
    PaymentMethod,
    PaymentSetting,
    PaymentType,
    Total,
    UpdatedInvoice,
    totals,
)
from aiocake.records import ColumnType, columns, to_dict
from aiocake.tables import COLUMNS, RecordTable, table
from aiocake.traits import InstanceTraits
from aiocake.values import ANY, ERASE, SKIP, Any_, Binding, Erase, Period, Skip

if TYPE_CHECKING:
    from aiocake import blocking as blocking
    from aiocake import endpoints as endpoints
    from aiocake import paging as paging
    from aiocake.pool import ClientPool, PoolStats, Tenant

    __version__: str

__all__ = [
    "ANY",
    "COLUMNS",
    "ERASE",
    "SKIP",
    "AccountManager",
    "AccountStatus",
    "AdvertiserBill",
    "AffiliateBill",
    "AlreadyExists",
    "Any_",
    "ApiError",
    "ArgumentError",
    "AuthenticationError",
    "BillAmount",
    "BillingCycle",
    "BillingCycleName",
    "Binding",
    "BuyerBill",
    "CakeError",
    "Client",
    "ClientPool",
    "ClientStats",
    "ClientView",
    "ClosedError",
    "ColumnType",
    "ConfigurationError",
    "Conflict",
    "ConsistencyError",
    "Contact",
    "CreatedInvoice",
    "Currency",
    "DeadlineExceeded",
    "DecodeError",
    "Erase",
    "ExchangeRate",
    "Expect",
    "InstanceTraits",
    "Intent",
    "Invoice",
    "InvoiceKind",
    "InvoiceStatus",
    "JournalError",
    "JournalLost",
    "Ledger",
    "ListChanged",
    "MarkResult",
    "NotFound",
    "NotSent",
    "Outcome",
    "OutcomeUnknown",
    "Page",
    "Partner",
    "PaymentMethod",
    "PaymentSetting",
    "PaymentType",
    "Period",
    "PlanError",
    "PoolStats",
    "RateLimited",
    "RawResponse",
    "RecordTable",
    "RequestRejected",
    "Restricted",
    "RetryPolicy",
    "ServerError",
    "Skip",
    "Tenant",
    "Throttle",
    "Timeouts",
    "TipaltiError",
    "Total",
    "UpdatedInvoice",
    "WrongLoopError",
    "__version__",
    "bulk",
    "columns",
    "errors",
    "table",
    "to_dict",
    "totals",
]


# Type checkers read what is above, and would take any misspelt name for one of these.
if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        if name == "__version__":
            from aiocake._version import version  # noqa: PLC0415 - only when it is asked for

            return version()
        if name in {"ClientPool", "PoolStats", "Tenant"}:
            from aiocake import pool  # noqa: PLC0415 - only for who has many tenants

            return vars(pool)[name]
        if name in {"blocking", "endpoints", "paging"}:
            import importlib  # noqa: PLC0415 - for who writes a script, or names what a client gives

            if name == "endpoints":
                importlib.import_module("aiocake._client_parts")  # which has each of them
            return importlib.import_module(f"aiocake.{name}")
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
