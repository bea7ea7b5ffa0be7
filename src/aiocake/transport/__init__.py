"""How a request gets to CAKE and its answer back: deadline, retries, throttle, key, network."""

from aiocake.transport._address import Address, parse_address
from aiocake.transport._call import Exchange, Plan
from aiocake.transport._exchange import Begin, Begun, Check, Settled, Stats, Transport
from aiocake.transport._fault import ConnectionForbidden, stripped
from aiocake.transport._http import AsyncBaseTransport
from aiocake.transport._retry import says_no
from aiocake.transport._sign import check_key
from aiocake.transport._stream import OpenExchange
from aiocake.transport._tls import context_of_user

__all__ = [
    "Address",
    "AsyncBaseTransport",
    "Begin",
    "Begun",
    "Check",
    "ConnectionForbidden",
    "Exchange",
    "OpenExchange",
    "Plan",
    "Settled",
    "Stats",
    "Transport",
    "check_key",
    "context_of_user",
    "parse_address",
    "says_no",
    "stripped",
]
