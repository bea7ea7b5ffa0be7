"""How a request gets to CAKE and its answer back: deadline, retries, throttle, key, network."""

from aiocake._transport.address import Address, parse_address
from aiocake._transport.api_key import check_key
from aiocake._transport.call_state import Begun, CallLimits, CallResult
from aiocake._transport.failures import ConnectionForbidden, clear_tracebacks
from aiocake._transport.httpcore_transport import AsyncBaseTransport
from aiocake._transport.retry import is_refusal
from aiocake._transport.streaming import Begin, OpenExchange
from aiocake._transport.tls import context_of_user
from aiocake._transport.transport import Check, OnSettled, Transport, TransportStats

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
