"""The whole life of a call, from top to bottom.

``execute`` validates the arguments and encodes them. ``_run`` records a write in the ledger, makes
the attempts, determines the outcome, decodes the response, and records how the write ended.
``run_attempts`` is the loop; ``_attempt`` is one pass through it: key, slot, send, read, judge.
The facts of a call are in its :class:`~aiocake._pipeline.call_state.CallState`. How the record of a
write is looked at before is in :mod:`aiocake._pipeline.record_look`.

A read makes its attempts in its caller's task. A write makes them in a task of its own, so that no
cancellation of the caller can cut it off while the server carries it out. It gets a grace period,
and its outcome is recorded before the cancellation continues.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from http import HTTPStatus
from io import BytesIO
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

import anyio
import anyio.lowlevel
import attrs

from aiocake._background import BackgroundTask, BackgroundTaskCancelled, checkpoint_if_cancelled
from aiocake._codec.raw import idempotency_of_raw
from aiocake._codec.raw_response import RawResponse
from aiocake._codec.reply import Reply
from aiocake._listener import EventEmitter
from aiocake._messages import Response, SendDeadline
from aiocake._operations.conditions import WriteCondition
from aiocake._operations.operation import Operation, WriteObserver
from aiocake._operations.recent_rows import Lead
from aiocake._pipeline.attempt_judge import AttemptJudge
from aiocake._pipeline.call_codec import CallCodec
from aiocake._pipeline.call_state import AttemptState, CallState, Turn
from aiocake._pipeline.client_pipeline import ClientPipeline
from aiocake._pipeline.ledger import intent_of
from aiocake._pipeline.outcome import CallReport, verdict
from aiocake._pipeline.record_look import RecordLooks, look_of, record_of
from aiocake._pipeline.retry import AttemptOutcome, RetryDecision, RetryLimits
from aiocake._pipeline.settings import PipelineSettings
from aiocake._transport import (
    LARGEST_BODY,
    OUT_OF_TIME,
    TOO_LATE,
    AuthorizedRequest,
    Body,
    FailureKind,
    IncomingResponse,
    NetworkTimeBudget,
    Refusal,
    Transport,
    TransportFailure,
    clear_tracebacks,
    read_into,
)
from aiocake.errors import (
    ArgumentError,
    AuthenticationError,
    CakeError,
    NotSent,
    Outcome,
)
from aiocake.events import Looked, RetryScheduled, Waited
from aiocake.values import Binding, Idempotency, Secret

if TYPE_CHECKING:
    from aiocake._pipeline.exports import OpenExport

T = TypeVar("T")

#: What an attempt may end in when the time of its call is over.
_OVERDUE: Final = frozenset({FailureKind.TIMEOUT, FailureKind.CONNECT})

#: Reads the response of an attempt: the error that it is or breaks off in, None for a success.
ReadResponse = Callable[
    [CallState, AttemptState, IncomingResponse], Awaitable[CakeError | TransportFailure | None]
]

_log: Final = logging.getLogger("aiocake")


class CallExecutor(ClientPipeline):
    """Carries out the calls of one client, under the options of one of its views.

    Args:
        transport: Sends the attempts.
        settings: What the client was built with.
        emitter: Takes the events.
    """

    def __init__(
        self, transport: Transport, settings: PipelineSettings, emitter: EventEmitter
    ) -> None:
        super().__init__(transport, settings, emitter)
        self._judge = AttemptJudge(transport.limiter, self._retries, emitter, transport.server)
        self._codec = CallCodec(settings, transport, emitter)
        self._looks = RecordLooks(
            self._limiter, self._recorder, emitter, show_sensitive=settings.show_sensitive
        )

    def check(
        self,
        operation: Operation[T],
        arguments: Mapping[str, object],
        condition: WriteCondition | None = None,
    ) -> dict[str, object]:
        """Refuse what :meth:`execute` would not send. Sends nothing.

        Returns:
            The arguments that were given, as exact built-in values.

        Raises:
            ArgumentError: An argument cannot be sent, or the client is read-only.
        """
        checked, _ = self._codec.prepare(
            operation,
            arguments,
            operation.idempotency,
            self.binding,
            condition=condition,
            only_check=True,
        )
        return checked

    # A call: from its arguments to its value.

    async def execute(  # noqa: PLR0913 - by name
        self,
        operation: Operation[T],
        arguments: Mapping[str, object],
        *,
        condition: WriteCondition | None = None,
        observer: WriteObserver[T] | None = None,
        not_after: SendDeadline | None = None,
        on_response: Callable[[], Awaitable[None]] | None = None,
    ) -> T:
        """Carry out one call, with its retries, before its deadline.

        Raises:
            CakeError: The verdict of the whole call.
        """
        checked, request = self._codec.prepare(
            operation, arguments, operation.idempotency, self.binding, condition=condition
        )
        idempotency = operation.idempotency_of(checked)
        call = CallState(
            request,
            self.limits[idempotency],
            operation=operation,
            arguments=checked,
            condition=condition,
            observer=observer,
            not_after=not_after,
            on_response=on_response,
            number=self.emitter.next_call(),
        )
        if call.writes:
            call.intent = intent_of(call, show_sensitive=self.settings.show_sensitive)
        return cast("T", await self._run(call))

    async def raw(self, **parts: object) -> RawResponse:
        """Make a call that has no method, of what :func:`prepare_raw` takes.

        Raises:
            CakeError: The verdict of the whole call.
        """
        idempotency = idempotency_of_raw(**parts)
        checked, request = self._codec.prepare(None, parts, idempotency, Binding.GET)
        call = CallState(
            request,
            self.limits[idempotency],
            arguments=checked,
            number=self.emitter.next_call(),
        )
        if call.writes:
            call.intent = intent_of(call, show_sensitive=self.settings.show_sensitive)
        return cast("RawResponse", await self._run(call))

    def stream(self, operation: Operation[T], arguments: Mapping[str, object]) -> "OpenExport[T]":
        """Prepare a streamed call. Sends nothing before the first record is requested."""
        from aiocake._pipeline.exports import OpenExport  # noqa: PLC0415 - exports of v1 only

        _, request = self._codec.prepare(operation, arguments, Idempotency.SAFE, self.binding)
        limits = self.export_limits
        call = CallState(
            request,
            limits,
            network_time=NetworkTimeBudget(limits.total),
            number=self.emitter.next_call(),
        )
        return OpenExport(
            operation,
            call,
            self.run_attempts,
            self.transport,
            self.emitter,
            show_sensitive=self.settings.show_sensitive,
        )

    async def _run(self, call: CallState) -> object:
        """Make a call: return its value, or raise the error that it ends in."""
        intent = call.intent
        with CallReport(self.emitter, call) as report:
            try:
                self.transport.lifecycle.check_usable()
            except CakeError as refused:
                _refused(call, refused)
                raise
            if (refusal := self._limiter.refusal()) is not None:
                # Before the ledger hears of it. A caller that loops must let other tasks run.
                await anyio.lowlevel.checkpoint()
                raise _refused(call, refusal.error())
            if intent is None:
                await self.run_attempts(call, self._read)
                if call.on_response is not None and call.reply is not None:
                    # The next request leaves before this response is decoded, which takes longer.
                    await call.on_response()
            else:
                if call.condition is None:  # else once its record was seen
                    await self._recorder.before(call, intent)
                report.outcome = Outcome.UNKNOWN
                self.transport.lifecycle.begin_write(call.has_left)
                try:
                    await self._attempts_of_write(call, report)
                finally:
                    if not call.abandoned:
                        self.transport.lifecycle.end_write(call.has_left)
            value, failure = self._conclude(call)
            report.finish(failure)
            if call.recorded:
                await self._recorder.after(call, value, failure)
            # Raised here, where no local variable holds the response: a traceback could show it.
            if failure is not None:
                raise failure
            return value

    async def _attempts_of_write(self, call: CallState, report: CallReport) -> None:
        """Make the attempts of a write in a task that no cancellation of the caller cuts."""
        task: BackgroundTask[None] | None = None
        try:
            self.transport.lifecycle.check_usable()  # the ledger may have taken its time
            try:
                await checkpoint_if_cancelled()  # a task begun now would not notice
                task = BackgroundTask(self.run_attempts(call, self._read), eager=True)
                await task.result()
            except BackgroundTaskCancelled:
                call.cut(closed=True)
            except (Exception, GeneratorExit):
                raise
            except BaseException:  # cancelled; or interrupted, which trio raises right here
                call.abandoned = True
                # In a task of its own, too: a second cancellation breaks through asyncio's shields.
                last = BackgroundTask(self._outlive_caller(call, task, report))
                with anyio.CancelScope(shield=True):
                    await last.result()
                raise
        except CakeError as refused:  # before anything was sent
            _refused(call, refused)
            if call.recorded:
                await self._recorder.after(call, None, refused)
            raise

    async def _outlive_caller(
        self, call: CallState, task: BackgroundTask[None] | None, report: CallReport
    ) -> None:
        """Give a sent write its grace period, and record its outcome."""
        lifecycle = self.transport.lifecycle
        with report:
            try:
                with lifecycle.pending():
                    if task is not None:
                        if not task.done and call.has_left() and self.settings.grace > 0:
                            with anyio.move_on_after(self.settings.grace), suppress(Exception):
                                await task.result()
                        await task.aclose()
                    call.abandon()
                    value, failure = self._conclude(call)
                    report.finish(failure)
                    if call.recorded:
                        await self._recorder.after(call, value, failure)
            except Exception:  # noqa: BLE001 - it is the ledger's
                _log.exception("recording the outcome of a cancelled write failed")
            finally:
                lifecycle.end_write(call.has_left)

    def _conclude(self, call: CallState) -> tuple[object, CakeError | None]:
        """Return the value of a call and None, or None and the error of the whole call."""
        value, error = None, call.error
        if call.reply is not None:
            value, error = self._codec.decode(call, call.reply)
        elif call.condition is not None and call.condition.applied:
            return look_of(call).result(call.condition.record), None
        if error is None:
            return value, None
        clear_tracebacks(error)  # of frames that hold the response: it may repeat the key
        failure = verdict(call, error)
        failure.scrub(self.transport.scrub)
        return None, failure

    # The loop: attempts, until one succeeds or no further one is worth it.

    async def run_attempts(
        self,
        call: CallState,
        read: ReadResponse,
        broken: CakeError | TransportFailure | None = None,
    ) -> None:
        """Make attempts until one succeeds or a retry is not allowed.

        Args:
            call: Takes what becomes of them.
            read: Reads the response of an attempt.
            broken: What the response of an attempt broke off in when it had begun well: then the
                call goes on with a further attempt.

        Raises:
            ArgumentError: The request with the key in it is too long.
        """
        lifecycle = self.transport.lifecycle
        if lifecycle.closed:  # between the start of a write's task and its first step
            call.cut(closed=True)
            return
        call.now = lifecycle.clock
        made: AttemptOutcome | None = None
        if call.network_time is None:
            call.deadline = call.now() + call.limits.total
            if broken is None and self.transport.sender.keeps_time and call.condition is None:
                made = await self._attempt_at_once(call, read)
        if made is None or made.error is not None:
            await self._attempts_in_scope(call, read, made, broken)
        else:
            self._retries.refund()

    async def _attempt_at_once(self, call: CallState, read: ReadResponse) -> AttemptOutcome | None:
        """Make the first attempt without a cancel scope, if key and slot are available at once.

        Nothing but the response is waited for then, and the connection ends that wait in time: no
        scope is needed around it.

        Returns:
            What came of it; None where something has to be waited for before.
        """
        keys, lifecycle = self.transport.keys, self.transport.lifecycle
        key, asked = keys.current, keys.asked
        if key is None:
            return None
        slot = self._limiter.acquire_nowait(export=call.limits.export)
        if slot is None:
            return None
        lifecycle.hold()
        try:
            return await self._exchange(call, read, slot, (key, asked))
        except BaseException as error:
            # A cancellation: the frames below hold the request with the key in it.
            clear_tracebacks(error)
            raise
        finally:
            lifecycle.release()

    async def _attempts_in_scope(
        self,
        call: CallState,
        read: ReadResponse,
        made: AttemptOutcome | None,
        broken: CakeError | TransportFailure | None,
    ) -> None:
        """Make attempts in a scope that is cancelled at the deadline, or with the client."""
        lifecycle = self.transport.lifecycle
        scope = lifecycle.open_scope(call.deadline, call.has_left if call.writes else bool)
        try:
            with scope:
                try:
                    if broken is None:
                        made = await self._attempt_renewing_key(call, read, made)
                    else:
                        call.end(broken)
                        made = self._judge.failed(call, broken)
                    if made.error is None:
                        self._retries.refund()
                    elif made.decision is not RetryDecision.NONE:
                        await self._retry(call, read, made)
                except BaseException as error:
                    clear_tracebacks(error)  # as above
                    raise
        finally:
            lifecycle.close_scope(scope)
        if scope.cancelled_caught:
            self._cut(call)

    async def _retry(self, call: CallState, read: ReadResponse, failed: AttemptOutcome) -> None:
        """Make further attempts, after one that failed."""
        attempts = call.limits.attempts - call.attempts + call.uncounted + 1
        if attempts > 1:
            limits = RetryLimits(
                attempts,
                lambda: call.left() - self._judge.needed(call),
                lambda made: self._emit_retry(call, made),
                self._limiter.sleep,
            )
            again = lambda: self._attempt_renewing_key(call, read, None)  # noqa: E731 - what tenacity calls
            await self._retries.run(failed, again, limits)

    async def _attempt_renewing_key(
        self, call: CallState, read: ReadResponse, made: AttemptOutcome | None
    ) -> AttemptOutcome:
        """Make an attempt, and another one at once after a renewed key or a stale connection.

        It is where a read met a connection that had been closed while it was idle, which is no
        failure of anybody's, and where the key was refused and there is another.
        """
        if made is None:
            made = await self._attempt(call, read)
        attempt = call.attempt
        if attempt is not None and attempt.trace.stale and not (call.writes or call.uncounted):
            call.uncounted = 1
            self._emit_retry(call, attrs.evolve(made, wait=0.0))
            made = await self._attempt(call, read)
            attempt = call.attempt
        if not isinstance(made.error, AuthenticationError) or call.renewed or attempt is None:
            return made
        call.renewed = True
        renewed: bool | CakeError = False
        if not call.abandoned:
            renewed = await self._key_in_time(call, self.transport.keys.renew(*attempt.key))
        if isinstance(renewed, CakeError):
            made.error.message += f"; and there is no new key: {renewed}"
        if renewed is not True:
            return made
        self._judge.forget_key()
        self._emit_retry(call, attrs.evolve(made, wait=0.0))
        call.renew()
        return await self._attempt_renewing_key(call, read, None)

    async def _key_in_time(self, call: CallState, asking: Awaitable[T]) -> T | NotSent:
        """Wait for the function that gives the key, where no deadline is around it all."""
        if call.network_time is None:
            return await asking
        key = await call.network_time.wait_for(asking)
        if key is OUT_OF_TIME:
            return NotSent("the function that gives the key took too long")
        return key

    def _emit_retry(self, call: CallState, made: AttemptOutcome) -> None:
        error = type(made.error).__name__
        self.emitter.emit(
            RetryScheduled(call.name, call.attempts + 1, made.wait, error, call.number)
        )

    async def _attempt(self, call: CallState, read: ReadResponse) -> AttemptOutcome:
        """Make one attempt: wait for the key and for a slot, then send, read and judge.

        Where a write has a condition, its record is looked at in between, with its slot.
        """
        limiter, keys, condition = self._limiter, self.transport.keys, call.condition
        if (refusal := limiter.refusal()) is not None:
            return await self._not_begun(call, refusal)
        key: Secret | CakeError | None = keys.current
        if key is None:
            key = await self._key_in_time(call, keys.get())
        if not isinstance(key, Secret):
            return await self._not_begun(call, key)
        asked = keys.asked
        if condition is not None and condition.rows is not None:
            # Before this call takes a slot, which the call that looks may need.
            await condition.rows.wait_for_look(record_of(call), call.now)
        slot = limiter.acquire_nowait(export=call.limits.export)
        if slot is None:
            turn = await self._wait_for_turn(call)
            if not isinstance(turn, int):
                return await self._not_begun(call, turn)
            slot = turn
        if condition is None:
            return await self._exchange(call, read, slot, (key, asked))
        return await self._exchange_after_look(call, condition, read, Turn(slot, (key, asked)))

    async def _exchange_after_look(
        self, call: CallState, condition: WriteCondition, read: ReadResponse, turn: Turn
    ) -> AttemptOutcome:
        """Look at the record of a write, and send the write if that is as expected."""
        ended = await self._looks.see(call, condition, turn, self._read_with)
        if isinstance(ended, Refusal | NotSent):
            return await self._not_begun(call, ended)
        if ended is not None or turn.slot is None:
            return ended or AttemptOutcome(call.error)
        return await self._exchange(call, read, turn.slot, turn.key)

    async def _exchange(
        self, call: CallState, read: ReadResponse, slot: int, key: tuple[Secret, int]
    ) -> AttemptOutcome:
        """Send a request over a slot, read the response, and judge it."""
        limiter = self._limiter
        try:
            authorized = self.transport.authorize(call.request, key[0])
        except ArgumentError as error:
            limiter.release(slot)
            clear_tracebacks(error)  # of frames that hold the query with the key in it
            _refused(call, error)
            raise
        if call.writes and call.now() > call.deadline - self._judge.needed(call):
            limiter.release(slot)
            return await self._not_begun(call, NotSent(TOO_LATE))
        attempt = call.begin(slot, key)
        try:
            if call.condition is not None:
                waited = call.condition.waited = attempt.began - call.condition.asked_at
                if self.emitter.enabled:
                    self.emitter.emit(Looked(call.name, waited, call.number))
            try:
                if self.emitter.enabled:
                    self._judge.emit_begin(call)
                outcome = await self._send(call, attempt, authorized, read)
            except BaseException:
                self._judge.cut(call, attempt)
                raise
            if isinstance(outcome, TransportFailure) and self._is_cut(call, outcome):
                self._judge.cut(call, attempt)
                self._cut(call)
                attempt.trace.stale = False  # however its connection ended: there is no time left
                return AttemptOutcome(call.error)
            # Before the slot is released: a pause that begins here must hold back the next call.
            made = self._judge.judge(call, attempt, outcome)
            attempt.kept = attempt.kept or (call.keeps_slot and made.error is None)
        finally:
            if not attempt.kept:
                limiter.release(slot)
        return made

    def _is_cut(self, call: CallState, failure: TransportFailure) -> bool:
        """Return whether an attempt failed because its deadline passed or the client was closed."""
        if self.transport.lifecycle.closed:
            return True
        return failure.kind in _OVERDUE and call.now() >= call.deadline

    def _cut(self, call: CallState) -> None:
        """End a call at its deadline, or because the client is closed."""
        attempt, closed = call.attempt, self.transport.lifecycle.closed
        if call.being_sent and attempt is not None and call.sent and not closed:
            self._limiter.on_timeout(attempt.began)
        call.cut(closed=closed)

    async def _wait_for_turn(self, call: CallState) -> int | Refusal | CakeError:
        """Wait for a slot, and emit that the call had to wait."""
        limiter, emitter, limits = self._limiter, self.emitter, call.limits
        within = limits.queue
        if within is None and call.network_time is not None:
            within = limits.total  # no deadline around it all
        again = call.attempts > 0 or limits.exempt_from_queue_limit
        began, slot = emitter.now() if emitter.enabled else 0.0, None
        try:
            slot = await limiter.acquire(export=limits.export, within=within, again=again)
        finally:
            if emitter.enabled:
                got = isinstance(slot, int)
                emitter.emit(Waited(call.name, emitter.now() - began, got, call.number))
        return (
            NotSent("nothing was sent: the call was still waiting in the queue")
            if slot is None
            else slot
        )

    async def _not_begun(self, call: CallState, reason: Refusal | CakeError) -> AttemptOutcome:
        """End a call that got no key or no slot, or whose client is paused."""
        if not isinstance(reason, Refusal):
            return AttemptOutcome(call.queue_ended(reason), begun=False)
        # A caller that keeps calling in a loop must let other tasks run.
        await anyio.lowlevel.checkpoint()
        return AttemptOutcome(call.refused(reason.error()), begun=False)

    async def _send(
        self,
        call: CallState,
        attempt: AttemptState,
        authorized: AuthorizedRequest,
        read: ReadResponse,
    ) -> CakeError | TransportFailure | None:
        """Send a request and read its response; return the error, if any."""
        limits, sender = call.limits, self.transport.sender
        if call.writes:
            attempt.trace.latest = call.deadline - call.needed
            attempt.trace.not_after, attempt.trace.takes = call.not_after, limits.total
        sending = sender.send(
            authorized,
            attempt.slot,
            attempt.trace,
            read=limits.read,
            total=call.deadline,
            fresh=limits.idempotency is Idempotency.NON_IDEMPOTENT,
        )
        if call.network_time is None:
            response = await sending
        else:
            waited = await call.network_time.wait_for(sending)
            if waited is OUT_OF_TIME:
                text = f"no response within {limits.total:g} s"
                return TransportFailure(FailureKind.TIMEOUT, attempt.trace.sent, text)
            response = waited
        if isinstance(response, TransportFailure):
            return response
        attempt.status, attempt.headers = response.status, response.headers
        attempt.framed = response.framed
        try:
            outcome = await read(call, attempt, response)
        finally:
            if not attempt.kept:
                await response.aclose()
        if isinstance(outcome, TransportFailure) or response.status == HTTPStatus.REQUEST_TIMEOUT:
            # Such a connection is not used again, however well the response was framed: a 408 may
            # end the silence before the request, and the response to that comes after it.
            sender.drop(attempt.slot)
            if isinstance(outcome, TransportFailure) and not attempt.trace.sent:
                return outcome.unsent()
        return outcome

    async def _read(
        self, call: CallState, _: AttemptState, incoming: IncomingResponse
    ) -> CakeError | TransportFailure | None:
        """Read a whole response; return its error, or store it as that of the call."""
        whole = incoming.whole()
        if whole is None:
            came = BytesIO()
            fault: TransportFailure | None = None
            try:
                fault = await read_into(came, Body(incoming, LARGEST_BODY))
            except BaseException:
                call.broken_off(incoming.status, incoming.headers, came.getvalue())
                raise
            whole = came.getvalue()  # which copies nothing
            if fault is not None:
                call.broken_off(incoming.status, incoming.headers, whole)
                return fault
        response = Response(incoming.status, incoming.headers, whole, incoming.framed)
        reply = Reply(response, show_sensitive=self.settings.show_sensitive)
        error = self._codec.error_in(call, reply)
        if error is None:
            call.reply = reply
        return error

    async def _read_with(  # noqa: PLR0913 - a read within a write
        self,
        call: CallState,
        operation: Operation[Any],
        arguments: Mapping[str, object],
        turn: Turn,
        leads: Lead | None,
        *,
        again: bool = False,
    ) -> tuple[Any, CakeError | None]:
        """Make a read with the slot of a write; return the slot if it succeeds.

        Args:
            call: The write, in whose time it is made.
            operation: What is read.
            arguments: By name.
            turn: The slot; without one, the read waits for one of its own.
            leads: Held back others, who may hold slots: only while this read has its slot, too.
            again: Whether it is tried again, as other reads are.
        """
        checked, request = self._codec.prepare(operation, arguments, Idempotency.SAFE, self.binding)
        look = CallState(
            request,
            self.limits[Idempotency.SAFE],
            operation=operation,
            arguments=checked,
            number=self.emitter.next_call(),
        )
        look.now, look.deadline, look.keeps_slot = call.now, call.deadline, True
        slot, turn.slot = turn.slot, None
        with CallReport(self.emitter, look) as report:
            made: AttemptOutcome | None = None
            try:
                if slot is not None:
                    made = await self._exchange(look, self._read, slot, turn.key)
            finally:
                if leads is not None:
                    leads.end()
            made = await self._attempt_renewing_key(look, self._read, made)
            if again and made.decision is not RetryDecision.NONE:
                await self._retry(look, self._read, made)
            value, failure = self._conclude(look)
            report.finish(failure)
        if (attempt := look.attempt) is not None and attempt.kept:
            turn.took(attempt)
        return value, failure


def _refused(call: CallState, error: CakeError) -> CakeError:
    """Complete the error of a call of which nothing was sent."""
    error.operation = call.name
    error.outcome = Outcome.NOT_DONE if call.writes else None
    return error
