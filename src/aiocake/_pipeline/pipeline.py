"""The Executor that endpoints talk to: an engine with the options of one view."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TypeVar, cast
from uuid import uuid4

import attrs

from aiocake import _codec as codec
from aiocake._codec.raw import OPERATION as RAW
from aiocake._codec.raw import RawResponse, error_of_raw
from aiocake._messages import Request
from aiocake._operations.operation import Operation, WriteObserver
from aiocake._pipeline.executor import CallRunner
from aiocake._pipeline.exports import OpenExport
from aiocake._pipeline.response_reader import Reading
from aiocake.config import CallOptions
from aiocake.errors import ArgumentError, Intent, Outcome, Problem
from aiocake.events import CallEnded, Event, ListAnomaly, ReferencesDropped, ValuesNormalized
from aiocake.models import MarkResult
from aiocake.values import Idempotency

T = TypeVar("T")

#: The arguments of a call as exact built-in values, and its request.
Prepared = tuple[dict[str, object], Request]


class Pipeline:
    """An engine with the options of one view: what the endpoints are handed."""

    def __init__(
        self, engine: CallRunner, options: CallOptions, *, exempt_from_queue_limit: bool = False
    ) -> None:
        self.engine = engine
        self.options = options
        self._exempt = exempt_from_queue_limit

    @property
    def concurrency(self) -> int:
        """How many calls the throttle lets out at once."""
        return self.engine.settings.throttle.concurrency

    @property
    def domain(self) -> str:
        """The instance: host, and port where it is not usual."""
        return self.engine.settings.domain

    @property
    def for_tests(self) -> bool:
        """Whether it is taken for a test: a loopback address, or a transport of the caller's."""
        return self.engine.settings.for_tests

    @property
    def exempt_from_queue_limit(self) -> "Pipeline":
        """The same for the later calls of what has begun: a full queue turns none of them away."""
        return Pipeline(self.engine, self.options, exempt_from_queue_limit=True)

    def check(self, operation: Operation[T], arguments: Mapping[str, object]) -> dict[str, object]:
        """Refuse what :meth:`execute` would not send. Sends nothing.

        Returns:
            The arguments that were given, as exact built-in values.

        Raises:
            ArgumentError: An argument cannot be sent, or the client is read-only.
        """
        prepare = self._preparation(operation, arguments)
        return self._prepared(prepare, operation.name, operation.idempotency)[0]

    def scrub(self, text: str) -> str:
        """A text without the key, in whatever disguise."""
        return self.engine.transport.scrub(text)

    def anomaly(self, operation: str, what: str, detail: str = "") -> None:
        """Tell ``on_event`` of a list that behaved in an unpromised way."""
        self.emit(ListAnomaly(operation, what, detail))

    def emit(self, event: Event) -> None:
        """Tell ``on_event`` of what happened to more than one call."""
        self.engine.emitter.emit(event)

    async def execute(
        self,
        operation: Operation[T],
        arguments: Mapping[str, object],
        *,
        observer: WriteObserver[T] | None = None,
        on_response: Callable[[], None] | None = None,
    ) -> T:
        """Carry one call out, with its retries, inside its deadline.

        Raises:
            CakeError: The verdict of the whole call.
        """
        settings = self.engine.settings
        prepare = self._preparation(operation, arguments)
        provided, request = self._start(prepare, operation.name, operation.idempotency)
        idempotency = operation.idempotency_of(provided)
        hidden = frozenset[str]() if settings.show_sensitive else operation.sensitive()
        reading = Reading(
            lambda reply: codec.error_of(operation, reply, provided),
            lambda reply, repeated: self._decoded(operation, provided, reply, repeated),
            show_sensitive=settings.show_sensitive,
        )
        intent = _intent(operation.name, provided, hidden, idempotency)
        plan = self.engine.plan(
            self.options, idempotency, exempt_from_queue_limit=self._exempt, on_response=on_response
        )
        return await self.engine.run(request, reading, plan, intent, observer)

    def stream(self, operation: Operation[T], arguments: Mapping[str, object]) -> OpenExport[T]:
        """Begin a streamed call: nothing is sent before the first record is asked for."""
        engine = self.engine
        prepare = self._preparation(operation, arguments)
        _, request = self._start(prepare, operation.name, Idempotency.SAFE)
        return OpenExport(
            operation,
            lambda begin, begun: engine.transport.open(
                request,
                begin,
                engine.plan(self.options, Idempotency.SAFE, export=True),
                begun=begun,
            ),
            clean=engine.transport.scrub,
            emitter=engine.emitter,
            show_sensitive=engine.settings.show_sensitive,
        )

    async def raw(self, prepare: Callable[[], Prepared], idempotency: Idempotency) -> RawResponse:
        """Make a call that has no method.

        Raises:
            CakeError: The verdict of the whole call.
        """
        arguments, request = self._start(prepare, RAW, idempotency)
        show_sensitive = self.engine.settings.show_sensitive
        clean = self.engine.transport.scrub
        reading = Reading(
            lambda reply: error_of_raw(reply, idempotency),
            lambda reply, _: RawResponse(
                reply.response.status, reply.response.headers, reply.response.body, clean
            ),
            show_sensitive=show_sensitive,
        )
        hidden = frozenset[str]() if show_sensitive else frozenset({"params", "json"})
        intent = _intent(request.operation, arguments, hidden, idempotency)
        return await self.engine.run(
            request, reading, self.engine.plan(self.options, idempotency), intent
        )

    def _decoded(
        self,
        operation: Operation[T],
        arguments: Mapping[str, object],
        reply: codec.Reply,
        repeated: bool,  # noqa: FBT001 - a decoder
    ) -> T:
        leniency = codec.Leniency()
        value = codec.decode(operation, arguments, reply, leniency=leniency, repeated=repeated)
        if isinstance(value, MarkResult):
            clean = self.engine.transport.scrub(value.message)
            value = cast("T", attrs.evolve(value, message=clean))
        if reply.dropped:
            self.engine.emitter.emit(ReferencesDropped(operation.name, reply.dropped))
        if leniency.count:
            fields = tuple(map(self.engine.transport.scrub, leniency.fields))
            self.engine.emitter.emit(ValuesNormalized(operation.name, fields, leniency.count))
        return value

    def _preparation(
        self, operation: Operation[T], arguments: Mapping[str, object]
    ) -> Callable[[], Prepared]:
        binding = self.options.binding or self.engine.settings.binding
        return lambda: codec.prepare(operation, arguments, binding)

    def _start(
        self, prepare: Callable[[], Prepared], operation: str, idempotency: Idempotency
    ) -> Prepared:
        """A call that begins, or that is refused here: then this is its end."""
        try:
            return self._prepared(prepare, operation, idempotency)
        except ArgumentError as error:
            name = type(error).__name__
            self.engine.emitter.emit(CallEnded(operation, 0, 0.0, error.outcome, name))
            raise

    def _prepared(
        self, prepare: Callable[[], Prepared], operation: str, idempotency: Idempotency
    ) -> Prepared:
        try:
            if idempotency is not Idempotency.SAFE and self.engine.settings.read_only:
                problem = Problem(operation, "this client is read-only and sends no writes")
                raise ArgumentError(problem)  # noqa: TRY301 - told like those of the codec
            return prepare()
        except ArgumentError as error:
            error.operation = operation
            error.outcome = None if idempotency is Idempotency.SAFE else Outcome.NOT_DONE
            raise


def _intent(
    operation: str,
    arguments: Mapping[str, object],
    hidden: frozenset[str],
    idempotency: Idempotency,
) -> Intent:
    if idempotency is Idempotency.SAFE:  # nobody is shown it
        return Intent("", operation)
    return Intent(str(uuid4()), operation, dict(arguments), datetime.now(UTC), 0, hidden)
