"""The Executor that endpoints talk to: an engine with the options of one view."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TypeVar, cast
from uuid import uuid4

import attrs

from aiocake import codec
from aiocake._engine._call import Reading
from aiocake._engine._engine import Engine
from aiocake._engine._export import Export
from aiocake._operation import Operation, Witness
from aiocake._wire import Request, Response
from aiocake.codec.raw import OPERATION as RAW
from aiocake.codec.raw import Answer, check_raw
from aiocake.config import Options
from aiocake.errors import ArgumentError, Intent, Outcome, Problem
from aiocake.events import CallEnded, Event, ListSurprise, ReferencesDropped, ValuesNormalized
from aiocake.models import MarkResult
from aiocake.values import Effect

__all__ = ["View"]

T = TypeVar("T")

#: The arguments of a call as exact built-in values, and its request.
Prepared = tuple[dict[str, object], Request]


class View:
    """An engine with the options of one view: what the endpoints are handed."""

    def __init__(self, engine: Engine, options: Options, *, patient: bool = False) -> None:
        self.engine = engine
        self.options = options
        self._patient = patient

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
    def patient(self) -> "View":
        """The same for the later calls of what has begun: a full queue turns none of them away."""
        return View(self.engine, self.options, patient=True)

    def check(self, operation: Operation[T], arguments: Mapping[str, object]) -> dict[str, object]:
        """Refuse what :meth:`execute` would not send. Sends nothing.

        Returns:
            The arguments that were given, as exact built-in values.

        Raises:
            ArgumentError: An argument cannot be sent, or the client is read-only.
        """
        prepare = self._preparation(operation, arguments)
        return self._prepared(prepare, operation.name, operation.effect)[0]

    def clean(self, text: str) -> str:
        """A text without the key, in whatever disguise."""
        return self.engine.transport.clean(text)

    def surprise(self, operation: str, what: str, detail: str = "") -> None:
        """Tell ``on_event`` of a list that behaved in an unpromised way."""
        self.tell(ListSurprise(operation, what, detail))

    def tell(self, event: Event) -> None:
        """Tell ``on_event`` of what happened to more than one call."""
        self.engine.listener.tell(event)

    async def execute(
        self,
        operation: Operation[T],
        arguments: Mapping[str, object],
        *,
        witness: Witness[T] | None = None,
        answered: Callable[[], None] | None = None,
    ) -> T:
        """Carry one call out, with its retries, inside its deadline.

        Raises:
            CakeError: The verdict of the whole call.
        """
        settings = self.engine.settings
        prepare = self._preparation(operation, arguments)
        given, request = self._begun(prepare, operation.name, operation.effect)
        effect = operation.effect_of(given)
        hidden = frozenset[str]() if settings.payloads else operation.payload()
        reading = Reading(
            lambda response: codec.check(operation, response, given, payloads=settings.payloads),
            lambda response, repeated: self._decoded(operation, given, response, repeated),
        )
        intent = _intent(operation.name, given, hidden, effect)
        plan = self.engine.plan(self.options, effect, patient=self._patient, answered=answered)
        return await self.engine.run(request, reading, plan, intent, witness)

    def stream(self, operation: Operation[T], arguments: Mapping[str, object]) -> Export[T]:
        """Begin a streamed call: nothing is sent before the first record is asked for."""
        engine = self.engine
        prepare = self._preparation(operation, arguments)
        _, request = self._begun(prepare, operation.name, Effect.READ)
        return Export(
            operation,
            lambda begin, begun: engine.transport.open(
                request, begin, engine.plan(self.options, Effect.READ, export=True), begun=begun
            ),
            clean=engine.transport.clean,
            listener=engine.listener,
            payloads=engine.settings.payloads,
        )

    async def raw(self, prepare: Callable[[], Prepared], effect: Effect) -> Answer:
        """Make a call that has no method.

        Raises:
            CakeError: The verdict of the whole call.
        """
        arguments, request = self._begun(prepare, RAW, effect)
        payloads = self.engine.settings.payloads
        clean = self.engine.transport.clean
        reading = Reading(
            lambda response: check_raw(response, effect=effect, payloads=payloads),
            lambda response, _: Answer(response.status, response.headers, response.body, clean),
        )
        hidden = frozenset[str]() if payloads else frozenset({"params", "json"})
        intent = _intent(request.operation, arguments, hidden, effect)
        return await self.engine.run(
            request, reading, self.engine.plan(self.options, effect), intent
        )

    def _decoded(
        self,
        operation: Operation[T],
        arguments: Mapping[str, object],
        response: Response,
        repeated: bool,  # noqa: FBT001 - a decoder
    ) -> T:
        payloads = self.engine.settings.payloads
        lenient = codec.Leniency()
        value = codec.decode(
            operation, arguments, response, lenient=lenient, repeated=repeated, payloads=payloads
        )
        if isinstance(value, MarkResult):
            clean = self.engine.transport.clean(value.message)
            value = cast("T", attrs.evolve(value, message=clean))
        if b"&#" in response.body and (dropped := codec.dropped(response)):
            self.engine.listener.tell(ReferencesDropped(operation.name, dropped))
        if lenient.count:
            fields = tuple(map(self.engine.transport.clean, lenient.fields))
            self.engine.listener.tell(ValuesNormalized(operation.name, fields, lenient.count))
        return value

    def _preparation(
        self, operation: Operation[T], arguments: Mapping[str, object]
    ) -> Callable[[], Prepared]:
        binding = self.options.binding or self.engine.settings.binding
        return lambda: codec.prepare(operation, arguments, binding)

    def _begun(self, prepare: Callable[[], Prepared], operation: str, effect: Effect) -> Prepared:
        """A call that begins, or that is refused here: then this is its end."""
        try:
            return self._prepared(prepare, operation, effect)
        except ArgumentError as error:
            name = type(error).__name__
            self.engine.listener.tell(CallEnded(operation, 0, 0.0, error.outcome, name))
            raise

    def _prepared(
        self, prepare: Callable[[], Prepared], operation: str, effect: Effect
    ) -> Prepared:
        try:
            if effect is not Effect.READ and self.engine.settings.read_only:
                problem = Problem(operation, "this client is read-only and sends no writes")
                raise ArgumentError(problem)  # noqa: TRY301 - told like those of the codec
            return prepare()
        except ArgumentError as error:
            error.operation = operation
            error.outcome = None if effect is Effect.READ else Outcome.NOT_DONE
            raise


def _intent(
    operation: str, arguments: Mapping[str, object], hidden: frozenset[str], effect: Effect
) -> Intent:
    if effect is Effect.READ:  # nobody is shown it
        return Intent("", operation)
    return Intent(str(uuid4()), operation, dict(arguments), datetime.now(UTC), 0, hidden)
