"""How a request gets to CAKE and its answer back: deadline, retries, throttle, key, network."""

from aiocake.transport._address import Address, parse_address
from aiocake.transport._call import CallLimits, CallResult
from aiocake.transport._exchange import Begin, Begun, Check, OnSettled, Transport, TransportStats
from aiocake.transport._fault import ConnectionForbidden, clear_tracebacks
from aiocake.transport._http import AsyncBaseTransport
from aiocake.transport._retry import is_refusal
from aiocake.transport._sign import check_key
from aiocake.transport._stream import OpenExchange
from aiocake.transport._tls import context_of_user

__all__ = [
    "Address",
    "AsyncBaseTransport",
    "Begin",
    "Begun",
    "CallLimits",
    "CallResult",
    "Check",
    "ConnectionForbidden",
    "OnSettled",
    "OpenExchange",
    "Transport",
    "TransportStats",
    "check_key",
    "clear_tracebacks",
    "context_of_user",
    "is_refusal",
    "parse_address",
]
