"""One engine for each client: it carries calls out, and says what became of them."""

import logging
from collections.abc import Callable, Coroutine
from typing import TypeVar

import anyio
import anyio.lowlevel
import attrs

from aiocake import _codec as codec
from aiocake._background import spawn
from aiocake._messages import Request
from aiocake._operations.operation import WriteObserver
from aiocake._pipeline.call_report import CallReport
from aiocake._pipeline.outcome import verdict
from aiocake._pipeline.response_reader import Reading
from aiocake._transport import CallLimits, CallResult, Transport, clear_tracebacks
from aiocake.config import CallOptions, Ledger, RetryPolicy, Throttle, Timeouts
from aiocake.errors import CakeError, Intent, NotSent, Outcome
from aiocake.values import Binding, Idempotency

T = TypeVar("T")

_log = logging.getLogger("aiocake")


@attrs.frozen(kw_only=True)
class PipelineSettings:
    """What a client was built with, as far as calls go."""

    domain: str
    timeouts: Timeouts
    retry: RetryPolicy
    throttle: Throttle
    binding: Binding
    read_only: bool
    show_sensitive: bool
    ledger: Ledger | None
    for_tests: bool


@attrs.frozen
class ClientStats:
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


class CallRunner:
    """Carries calls out: codec makes and reads what transport carries."""

    def __init__(self, transport: Transport, settings: PipelineSettings) -> None:
        self.transport = transport
        self.emitter = transport.emitter
        self.settings = settings
        self._unknowns = 0

    def stats(self) -> ClientStats:
        """What is going on; no call."""
        now = self.transport.stats()
        return ClientStats(
            in_flight=now.in_flight,
            waiting=now.waiting,
            paused_until=now.paused_until,
            budget=now.budget,
            unknowns=self._unknowns,
            limit=now.limit,
            pace=now.pace,
        )

    def plan(
        self,
        options: CallOptions,
        idempotency: Idempotency,
        *,
        export: bool = False,
        exempt_from_queue_limit: bool = False,
        on_response: Callable[[], None] | None = None,
    ) -> CallLimits:
        """How a call is made, by the client's settings and a view's options."""
        timeouts = self.settings.timeouts
        total = timeouts.export_total if export else timeouts.total
        return CallLimits(
            idempotency=idempotency,
            total=options.total or total,
            read=timeouts.export_read if export else timeouts.read,
            attempts=options.attempts or self.settings.retry.attempts,
            queue=options.queue,
            export=export,
            exempt_from_queue_limit=exempt_from_queue_limit,
            on_response=on_response,
        )

    async def run(
        self,
        request: Request,
        reading: Reading[T],
        plan: CallLimits,
        intent: Intent,
        observer: WriteObserver[T] | None = None,
    ) -> T:
        """Make a call and read its answer.

        Raises:
            CakeError: The verdict of the whole call.
        """
        writes = plan.idempotency is not Idempotency.SAFE
        with CallReport(self.emitter, intent.operation, intent.id if writes else None) as ending:
            await self._refuse(intent, writes=writes)
            if writes:
                await self._before(intent, observer)
                ending.outcome = Outcome.UNKNOWN

            value, failure = await self._made(request, reading, plan, intent, observer, ending)
            ending.finish(failure)
            if writes:
                await self._after(intent, value, failure, observer)
            # Not where the answer is among the locals: a report of the error would show it.
            if failure is not None:
                raise failure
            return value[0]

    async def _refuse(self, intent: Intent, *, writes: bool) -> None:
        """Refuse a call that cannot be made here or now before a ledger is told of it."""
        try:
            self.transport.check_usable()
            if (refusal := self.transport.refusal()) is not None:
                # Whoever calls in a loop all the same lets others run.
                await anyio.lowlevel.checkpoint()
                raise refusal
        except CakeError as refused:
            refused.operation = intent.operation
            refused.outcome = Outcome.NOT_DONE if writes else None
            raise

    async def _made(  # noqa: PLR0913, PLR0917 - what a call is made of
        self,
        request: Request,
        reading: Reading[T],
        plan: CallLimits,
        intent: Intent,
        observer: WriteObserver[T] | None,
        ending: CallReport,
    ) -> tuple[list[T], CakeError | None]:
        """The value in a list of one, or the error that the whole call ends in."""
        writes = plan.idempotency is not Idempotency.SAFE

        async def settled(exchange: CallResult) -> None:
            value, failure = self._ended(exchange, reading, plan.idempotency, intent)
            ending.finish(failure)
            await self._after(intent, value, failure, observer)

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
                await self._after(intent, [], refused, observer)
            raise
        return self._ended(exchange, reading, plan.idempotency, intent)

    def _ended(
        self, exchange: CallResult, reading: Reading[T], idempotency: Idempotency, intent: Intent
    ) -> tuple[list[T], CakeError | None]:
        """The value in a list of one, or the error that the whole call ends in."""
        value: list[T] = []
        error = exchange.error
        if exchange.response is not None:
            value, error = reading.read(exchange.response, repeated=exchange.sent_before)
        if error is None:
            return value, None
        clear_tracebacks(error)  # of frames that hold the answer: it may repeat the key
        reported = attrs.evolve(
            intent, attempts=exchange.attempts, at=exchange.left_at or intent.at
        )
        likely = reading.applied_likely or any(map(codec.applied_likely, exchange.partial))
        failure = verdict(exchange, error, idempotency, reported, applied_likely=likely)
        failure.scrub(self.transport.scrub)
        return [], failure

    async def _before(self, intent: Intent, observer: WriteObserver[T] | None) -> None:
        """Tell of a write that is going to be sent; whoever raises keeps it from being sent."""
        ledger = self.settings.ledger
        begun = False
        try:
            if ledger is not None:
                begun = True
                await ledger.before(intent)
            if observer is not None:
                await observer.before(intent)
        except Exception as error:
            refused = NotSent(f"the ledger refused the write: {type(error).__name__}")
            refused.outcome = Outcome.NOT_DONE
            refused.operation = intent.operation
            if begun and observer is not None:
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
        observer: WriteObserver[T] | None,
    ) -> None:
        outcome = Outcome.DONE if failure is None else failure.outcome or Outcome.UNKNOWN
        if outcome is Outcome.UNKNOWN:
            self._unknowns += 1
        ledger = self.settings.ledger

        def rest() -> Coroutine[object, None, None] | None:
            return observer.after(value[0] if value else None, failure) if observer else None

        telling = rest() if ledger is None else self._emit(ledger, intent, outcome, rest)
        if telling is None:
            return
        # In a task of its own: asyncio's own cancellation breaks through shields.
        reported = spawn(telling)
        with anyio.CancelScope(shield=True):
            await reported.result()

    async def _emit(
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
                exc_info=error if self.settings.show_sensitive else None,
            )
        telling = rest()
        if telling is not None:
            await telling


def _cancelled(intent: Intent) -> NotSent:
    error = NotSent("nothing was sent: the caller was cancelled")
    error.outcome = Outcome.NOT_DONE
    error.operation = intent.operation
    return error
