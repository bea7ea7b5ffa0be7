"""How one attempt gets to CAKE and its response back: key, slot, network."""

from aiocake._transport.address import Address, parse_address
from aiocake._transport.api_key import AuthorizedRequest, check_key
from aiocake._transport.body import LARGEST_BODY, Body, read_into
from aiocake._transport.connection import TOO_LATE, SendTrace
from aiocake._transport.failures import (
    ConnectionForbidden,
    FailureKind,
    TransportFailure,
    clear_tracebacks,
)
from aiocake._transport.incoming import IncomingResponse
from aiocake._transport.lifecycle import Lifecycle
from aiocake._transport.limiter import RequestLimiter
from aiocake._transport.network_time import OUT_OF_TIME, NetworkTimeBudget
from aiocake._transport.pause import Refusal
from aiocake._transport.streaming import OpenStream
from aiocake._transport.tls import context_of_user
from aiocake._transport.transport import Transport

__all__ = [
    "LARGEST_BODY",
    "OUT_OF_TIME",
    "TOO_LATE",
    "Address",
    "AuthorizedRequest",
    "Body",
    "ConnectionForbidden",
    "FailureKind",
    "IncomingResponse",
    "Lifecycle",
    "NetworkTimeBudget",
    "OpenStream",
    "Refusal",
    "RequestLimiter",
    "SendTrace",
    "Transport",
    "TransportFailure",
    "check_key",
    "clear_tracebacks",
    "context_of_user",
    "parse_address",
    "read_into",
]
