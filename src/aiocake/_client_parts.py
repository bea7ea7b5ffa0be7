"""What a client is built of: all that only calls need, loaded with the first client.

A program that imports the package may never make one, and shows its help, or its first page, that
much sooner. A client has everything before it sends anything: once a request has left, nothing is
loaded any more.
"""

from aiocake._listener import EventEmitter
from aiocake._pipeline.executor import CallExecutor
from aiocake._pipeline.settings import PipelineSettings
from aiocake._transport import Transport, parse_address
from aiocake.endpoints.advertiser_bills import AdvertiserBills
from aiocake.endpoints.affiliate_bills import AffiliateBills
from aiocake.endpoints.buyer_bills import BuyerBills
from aiocake.endpoints.invoices import Invoices
from aiocake.endpoints.reference import Reference

__all__ = [
    "AdvertiserBills",
    "AffiliateBills",
    "BuyerBills",
    "CallExecutor",
    "EventEmitter",
    "Invoices",
    "PipelineSettings",
    "Reference",
    "Transport",
    "parse_address",
]
