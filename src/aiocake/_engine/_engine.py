"""The Executor that endpoints talk to: one engine for each client, one view for its options."""

import logging
from collections.abc import Callable, Coroutine, Mapping
from datetime import UTC, datetime
from typing import TypeVar, cast
from uuid import uuid4

import anyio
import attrs

from aiocake import codec
from aiocake._engine._call import Reading
from aiocake._engine._ending import Ending
from aiocake._engine._export import Export
from aiocake._engine._verdict import verdict
from aiocake._operation import Operation, Witness
from aiocake._tasks import start
from aiocake._wire import Request, Response
from aiocake.codec.raw import OPERATION as RAW
from aiocake.codec.raw import Answer, check_raw
from aiocake.config import Ledger, Options, RetryPolicy, Throttle, Timeouts
from aiocake.errors import ArgumentError, CakeError, Intent, NotSent, Outcome, Problem
from aiocake.events import CallEnded, ListSurprise, ReferencesDropped
from aiocake.models import MarkResult
from aiocake.transport import Exchange, Plan, Transport, stripped
from aiocake.values import Binding, Effect

__all__ = ["Engine", "Settings", "Stats", "View"]

T = TypeVar("T")

_log = logging.getLogger("aiocake")


@attrs.frozen(kw_only=True)
class Settings:
    """What a client was built with, as far as calls go."""

    domain: str
    timeouts: Timeouts
    retry: RetryPolicy
    throttle: Throttle
    binding: Binding
    read_only: bool
    payloads: bool
    ledger: Ledger | None


@attrs.frozen
class Stats:
    """What a client is doing.

    Attributes:
        in_flight: Calls that are being sent or answered.
        waiting: Calls that wait for their turn.
        paused_until: Seconds until a pause ends; None when there is none.
        budget: Tokens that are left for retries.
        unknowns: Writes so far whose fate is unknown.
        limit: How many calls may be in flight at once now, exports apart: the throttle's
            concurrency, or fewer after throttled answers and time-outs.
        pace: To how many calls a second the server's refusals hold them; None when to none.
    """

    in_flight: int
    waiting: int
    paused_until: float | None
    budget: int
    unknowns: int
    limit: int
    pace: float | None


class Engine:
    """Carries calls out: codec makes and reads what transport carries."""

    def __init__(self, transport: Transport, settings: Settings) -> None:
        self.transport = transport
        self.listener = transport.listener
        self.settings = settings
        self._unknowns = 0

    def stats(self) -> Stats:
        """What is going on; no call."""
        now = self.transport.stats()
        return Stats(
            in_flight=now.in_flight,
            waiting=now.waiting,
            paused_until=now.paused_until,
            budget=now.budget,
            unknowns=self._unknowns,
            limit=now.limit,
            pace=now.pace,
        )

    def plan(
        self, options: Options, effect: Effect, *, export: bool = False, patient: bool = False
    ) -> Plan:
        """How a call is made, by the client's settings and a view's options."""
        timeouts = self.settings.timeouts
        total = timeouts.export_total if export else timeouts.total
        return Plan(
            effect=effect,
            total=options.total or total,
            read=timeouts.export_read if export else timeouts.read,
            attempts=options.attempts or self.settings.retry.attempts,
            queue=options.queue,
            export=export,
            patient=patient,
        )

    async def run(
        self,
        request: Request,
        reading: Reading[T],
        plan: Plan,
        intent: Intent,
        witness: Witness[T] | None = None,
    ) -> T:
        """Make a call and read its answer.

        Raises:
            CakeError: The verdict of the whole call.
        """
        writes = plan.effect is not Effect.READ
        with Ending(self.listener, intent.operation, intent.id if writes else None) as ending:
            self._refuse_elsewhere(intent, writes=writes)
            if writes:
                await self._before(intent, witness)
                ending.outcome = Outcome.UNKNOWN

            value, failure = await self._made(request, reading, plan, intent, witness, ending)
            ending.note(failure)
            if writes:
                await self._after(intent, value, failure, witness)
            # Not where the answer is among the locals: a report of the error would show it.
            if failure is not None:
                raise failure
            return value[0]

    def _refuse_elsewhere(self, intent: Intent, *, writes: bool) -> None:
        """Refuse a call that cannot be made here before a ledger is told of it."""
        try:
            self.transport.check_usable()
        except CakeError as refused:
            refused.operation = intent.operation
            refused.outcome = Outcome.NOT_DONE if writes else None
            raise

    async def _made(  # noqa: PLR0913, PLR0917 - what a call is made of
        self,
        request: Request,
        reading: Reading[T],
        plan: Plan,
        intent: Intent,
        witness: Witness[T] | None,
        ending: Ending,
    ) -> tuple[list[T], CakeError | None]:
        """The value in a list of one, or the error that the whole call ends in."""
        writes = plan.effect is not Effect.READ

        async def settled(exchange: Exchange) -> None:
            value, failure = self._ended(exchange, reading, plan.effect, intent)
            ending.note(failure)
            await self._after(intent, value, failure, witness)

        try:
            exchange = await self.transport.exchange(
                request,
                reading.check,
                plan,
                begun=ending.count,
                settled=settled if writes else None,
            )
        except CakeError as refused:  # before anything was sent
            refused.operation = intent.operation
            if writes:
                refused.outcome = Outcome.NOT_DONE
                await self._after(intent, [], refused, witness)
            raise
        return self._ended(exchange, reading, plan.effect, intent)

    def _ended(
        self, exchange: Exchange, reading: Reading[T], effect: Effect, intent: Intent
    ) -> tuple[list[T], CakeError | None]:
        """The value in a list of one, or the error that the whole call ends in."""
        value: list[T] = []
        error = exchange.error
        if exchange.response is not None:
            value, error = reading.read(exchange.response, repeated=exchange.sent_before)
        if error is None:
            return value, None
        stripped(error)  # of frames that hold the answer: it may repeat the key
        told = attrs.evolve(intent, attempts=exchange.attempts, at=exchange.left_at or intent.at)
        likely = reading.applied_likely or any(map(codec.applied_likely, exchange.partial))
        failure = verdict(exchange, error, effect, told, applied_likely=likely)
        failure.scrub(self.transport.clean)
        return [], failure

    async def _before(self, intent: Intent, witness: Witness[T] | None) -> None:
        """Tell of a write that is going to be sent; whoever raises keeps it from being sent."""
        ledger = self.settings.ledger
        begun = False
        try:
            if ledger is not None:
                begun = True
                await ledger.before(intent)
            if witness is not None:
                await witness.before(intent)
        except Exception as error:
            refused = NotSent(f"the ledger refused the write: {type(error).__name__}")
            refused.outcome = Outcome.NOT_DONE
            refused.operation = intent.operation
            if begun and witness is not None:
                await self._after(intent, [], refused, None)
            raise refused from error
        except BaseException:  # cancelled: the intent may stand in the ledger already
            if begun:
                await self._after(intent, [], _cancelled(intent), None)
            raise

    async def _after(
        self,
        intent: Intent,
        value: list[T],
        failure: CakeError | None,
        witness: Witness[T] | None,
    ) -> None:
        outcome = Outcome.DONE if failure is None else failure.outcome or Outcome.UNKNOWN
        if outcome is Outcome.UNKNOWN:
            self._unknowns += 1
        ledger = self.settings.ledger

        def rest() -> Coroutine[object, None, None] | None:
            return witness.after(value[0] if value else None, failure) if witness else None

        telling = rest() if ledger is None else self._tell(ledger, intent, outcome, rest)
        if telling is None:
            return
        # In a task of its own: asyncio's own cancellation breaks through shields.
        told = start(telling)
        with anyio.CancelScope(shield=True):
            await told.result()

    async def _tell(
        self,
        ledger: Ledger,
        intent: Intent,
        outcome: Outcome,
        rest: Callable[[], Coroutine[object, None, None] | None],
    ) -> None:
        try:
            await ledger.after(intent, outcome)
        # Raised, it would read as if the write were not done.
        except Exception as error:  # noqa: BLE001 - it is the user's
            # Its text may hold what was to be noted: names, notes and amounts.
            _log.error(
                "the ledger failed to take the outcome of %s %s, which is %s: %s",
                intent.operation,
                intent.id,
                outcome,
                type(error).__name__,
                exc_info=error if self.settings.payloads else None,
            )
        telling = rest()
        if telling is not None:
            await telling


class View:
    """An engine with the options of one view: what the endpoints are handed."""

    def __init__(self, engine: Engine, options: Options) -> None:
        self.engine = engine
        self.options = options

    @property
    def concurrency(self) -> int:
        """How many calls the throttle lets out at once."""
        return self.engine.settings.throttle.concurrency

    @property
    def domain(self) -> str:
        """The instance: host, and port where it is not usual."""
        return self.engine.settings.domain

    def check(self, operation: Operation[T], arguments: Mapping[str, object]) -> None:
        """Refuse what :meth:`execute` would not send. Sends nothing.

        Raises:
            ArgumentError: An argument cannot be sent, or the client is read-only.
        """
        effect = operation.effect_of(arguments)
        self._encoded(self._encoder(operation, arguments), operation.name, effect)

    def clean(self, text: str) -> str:
        """A text without the key, in whatever disguise."""
        return self.engine.transport.clean(text)

    def surprise(self, operation: str, what: str, detail: str = "") -> None:
        """Tell ``on_event`` of a list that behaved in an unpromised way."""
        self.engine.listener.tell(ListSurprise(operation, what, detail))

    async def execute(
        self,
        operation: Operation[T],
        arguments: Mapping[str, object],
        *,
        witness: Witness[T] | None = None,
    ) -> T:
        """Carry one call out, with its retries, inside its deadline.

        Raises:
            CakeError: The verdict of the whole call.
        """
        settings = self.engine.settings
        effect = operation.effect_of(arguments)
        request = self._request(self._encoder(operation, arguments), operation.name, effect)
        hidden = frozenset[str]() if settings.payloads else operation.payload()
        reading = Reading(
            lambda response: codec.check(
                operation, response, arguments, payloads=settings.payloads
            ),
            lambda response, repeated: self._decoded(operation, arguments, response, repeated),
        )
        intent = _intent(operation.name, arguments, hidden, effect)
        # Whoever has a witness sends no more at once than may be under way.
        plan = self.engine.plan(self.options, effect, patient=witness is not None)
        return await self.engine.run(request, reading, plan, intent, witness)

    def stream(self, operation: Operation[T], arguments: Mapping[str, object]) -> Export[T]:
        """Begin a streamed call: nothing is sent before the first record is asked for."""
        engine = self.engine
        request = self._request(self._encoder(operation, arguments), operation.name, Effect.READ)
        return Export(
            operation,
            lambda begin, begun: engine.transport.open(
                request, begin, engine.plan(self.options, Effect.READ, export=True), begun=begun
            ),
            clean=engine.transport.clean,
            listener=engine.listener,
            payloads=engine.settings.payloads,
        )

    async def raw(
        self, encode: Callable[[], Request], effect: Effect, arguments: Mapping[str, object]
    ) -> Answer:
        """Make a call that has no method.

        Raises:
            CakeError: The verdict of the whole call.
        """
        request = self._request(encode, RAW, effect)
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
        value = codec.decode(operation, arguments, response, repeated=repeated, payloads=payloads)
        if isinstance(value, MarkResult):
            clean = self.engine.transport.clean(value.message)
            value = cast("T", attrs.evolve(value, message=clean))
        if b"&#" in response.body and (dropped := codec.dropped(response)):
            self.engine.listener.tell(ReferencesDropped(operation.name, dropped))
        return value

    def _encoder(
        self, operation: Operation[T], arguments: Mapping[str, object]
    ) -> Callable[[], Request]:
        binding = self.options.binding or self.engine.settings.binding
        return lambda: codec.encode(operation, arguments, binding)

    def _request(self, encode: Callable[[], Request], operation: str, effect: Effect) -> Request:
        """The request of a call that begins, or that is refused here: then this is its end."""
        try:
            return self._encoded(encode, operation, effect)
        except ArgumentError as error:
            name = type(error).__name__
            self.engine.listener.tell(CallEnded(operation, 0, 0.0, error.outcome, name))
            raise

    def _encoded(self, encode: Callable[[], Request], operation: str, effect: Effect) -> Request:
        try:
            if effect is not Effect.READ and self.engine.settings.read_only:
                problem = Problem(operation, "this client is read-only and sends no writes")
                raise ArgumentError(problem)  # noqa: TRY301 - told like those of the encoder
            return encode()
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


def _cancelled(intent: Intent) -> NotSent:
    error = NotSent("nothing was sent: the caller was cancelled")
    error.outcome = Outcome.NOT_DONE
    error.operation = intent.operation
    return error
