"""Both ends of a call: from its arguments to a request, and from a response to its value.

A call has an operation, or it is one of ``client.request()``, which has none.
"""

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any

import attrs

from aiocake._codec import codec
from aiocake._codec.raw import OPERATION as RAW
from aiocake._codec.raw import error_of_raw, prepare_raw
from aiocake._codec.raw_response import RawResponse
from aiocake._listener import EventEmitter
from aiocake._messages import Request
from aiocake._normalize import class_name
from aiocake._operations.conditions import WriteCondition
from aiocake._operations.operation import Operation
from aiocake._pipeline.call_state import CallState
from aiocake._pipeline.settings import PipelineSettings
from aiocake._transport import Transport
from aiocake.errors import ArgumentError, CakeError, DecodeError, Outcome, Problem
from aiocake.events import CallEnded, ReferencesDropped, ValuesNormalized
from aiocake.models import MarkResult
from aiocake.values import Binding, Idempotency


class CallCodec:
    """Encodes the calls of one client, and reads their responses.

    Args:
        settings: What the client was built with.
        transport: Takes the key out of texts.
        emitter: Takes the events.
    """

    def __init__(
        self, settings: PipelineSettings, transport: Transport, emitter: EventEmitter
    ) -> None:
        self._settings = settings
        self._scrub = transport.scrub
        self._emitter = emitter

    def prepare(  # noqa: PLR0913 - all that a request is made of
        self,
        operation: Operation[Any] | None,
        arguments: Mapping[str, object],
        idempotency: Idempotency,
        binding: Binding,
        *,
        condition: WriteCondition | None = None,
        only_check: bool = False,
    ) -> tuple[dict[str, object], Request]:
        """Validate the arguments of a call and encode them.

        Args:
            operation: The operation; None of a call of ``client.request()``.
            arguments: By name.
            idempotency: What sending the call again does.
            binding: The form of a v1 call.
            condition: Of a write, what its record has to be.
            only_check: True if no call begins, which would have ended when it is refused here.

        Returns:
            The arguments that were given, as exact built-in values, and the request.

        Raises:
            ArgumentError: An argument cannot be sent, or the client is read-only.
        """
        name = RAW if operation is None else operation.name
        try:
            if idempotency is not Idempotency.SAFE and self._settings.read_only:
                problem = Problem(name, "this client is read-only and sends no writes")
                raise ArgumentError(problem)  # noqa: TRY301 - like those of the codec
            if operation is None:
                return prepare_raw(**arguments)
            answered = self._settings.traits.bindings
            if condition is None:
                return codec.prepare(operation, arguments, binding, answered)
            with _also_refusing(operation, condition):
                return codec.prepare(operation, arguments, binding, answered)
        except ArgumentError as error:
            error.operation = name
            error.outcome = None if idempotency is Idempotency.SAFE else Outcome.NOT_DONE
            if not only_check:
                kind, number = type(error).__name__, self._emitter.next_call()
                self._emitter.emit(CallEnded(name, 0, 0.0, error.outcome, kind, call=number))
            raise

    def error_in(self, call: CallState, reply: codec.Reply) -> CakeError | None:
        """Return the error that a response holds, of whatever status; None for a success."""
        try:
            if call.operation is None:
                error = error_of_raw(reply, call.limits.idempotency)
            else:
                error = codec.error_of(call.operation, reply, call.arguments)
        except Exception as broke:  # noqa: BLE001 - the response of a write must never be lost
            return _unreadable(broke)
        if error is not None:
            _note_likely(call, reply, error)
        return error

    def decode(self, call: CallState, reply: codec.Reply) -> tuple[object, CakeError | None]:
        """Return the value of a success, or the error that decoding it met."""
        operation, response = call.operation, reply.response
        if operation is None:
            raw = RawResponse(response.status, response.headers, response.body, self._scrub)
            return raw, None
        leniency = codec.Leniency()
        try:
            value = codec.decode(
                operation, call.arguments, reply, leniency=leniency, repeated=call.sent_before
            )
        except CakeError as error:
            _note_likely(call, reply, error)
            return None, error
        except Exception as broke:  # noqa: BLE001 - as above
            return None, _unreadable(broke)
        if isinstance(value, MarkResult):
            value = attrs.evolve(value, message=self._scrub(value.message))
        if reply.dropped:
            self._emitter.emit(ReferencesDropped(call.name, reply.dropped, call.number))
        if leniency.count:
            fields = tuple(map(self._scrub, leniency.fields))
            self._emitter.emit(ValuesNormalized(call.name, fields, leniency.count, call.number))
        return value, None


@contextmanager
def _also_refusing(operation: Operation[Any], condition: WriteCondition) -> Generator[None]:
    """Refuse an invalid condition, together with the arguments that are refused in the block.

    Raises:
        ArgumentError: Names all of them.
    """
    expected, look = condition.expect, operation.look
    fits = look is not None and issubclass(type(expected), look.expects)
    if fits or (expected is None and condition.flow):
        yield
        return
    wanted = "cannot be given" if look is None else f"must be an {look.expects.__name__}"
    problem = Problem("expect", f"{wanted}, got {class_name(expected)}")
    try:
        yield
    except ArgumentError as error:
        raise ArgumentError(*error.problems, problem) from None
    raise ArgumentError(problem)


def _unreadable(broke: Exception) -> DecodeError:
    return DecodeError(f"the response could not be read ({type(broke).__name__})")


def _note_likely(call: CallState, reply: codec.Reply, error: CakeError) -> None:
    if isinstance(error, DecodeError) and codec.applied_likely(reply.response):
        call.applied_likely = True
