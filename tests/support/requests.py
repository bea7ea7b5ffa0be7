"""Requests as the codec makes them, without their arguments."""

from collections.abc import Mapping
from typing import Any

from aiocake._codec.codec import prepare
from aiocake._codec.raw import prepare_raw
from aiocake._messages import Request
from aiocake._operations.operation import Operation
from aiocake.values import Binding


def encode(operation: Operation[Any], arguments: Mapping[str, object], binding: Binding) -> Request:
    """The request of a call."""
    return prepare(operation, arguments, binding)[1]


def encode_raw(method: object, path: object, params: object = None, json: object = None) -> Request:
    """The request of a call that has no method."""
    return prepare_raw(method, path, params, json)[1]
