"""One attempt of a call: key, turn, send, judge."""

import logging
from collections.abc import Awaitable, Callable

import anyio

from aiocake.errors import AuthenticationError, CakeError, NotSent, RateLimited
from aiocake.events import AttemptEnded, Event, OnEvent, Paused, RetryScheduled
from aiocake.transport._allowance import OUT_OF_TIME
from aiocake.transport._call import Call, Phase
from aiocake.transport._edge import Answer, Wire
from aiocake.transport._fault import Fault, Kind
from aiocake.transport._retry import Again, Attempt, Retries, Terms, again_after
from aiocake.transport._retry_after import retry_after
from aiocake.transport._sign import Keys, Signed, sign
from aiocake.transport._throttle import Gate
from aiocake.values import Effect, Secret

__all__ = ["Attempts", "Use"]

#: Makes something of an answer: what is wrong with it, or None. Is given the slot, too.
Use = Callable[[Answer, int], Awaitable[CakeError | Fault | None]]

_log = logging.getLogger("aiocake")


class Attempts:
    """Makes the attempts of all calls of one client."""

    def __init__(  # noqa: PLR0913 - the layers of one client, put together here
        self,
        *,
        keys: Keys,
        gate: Gate,
        wire: Wire,
        retries: Retries,
        headers: list[tuple[bytes, bytes]],
        on_event: OnEvent | None,
    ) -> None:
        self._keys = keys
        self._gate = gate
        self._wire = wire
        self._retries = retries
        self._headers = headers
        self._on_event = on_event
        #: The operations that have succeeded with the key in use.
        self._proven: set[str] = set()

    async def carry(self, call: Call, use: Use) -> None:
        """Make attempts until one succeeds, or no further one is worth it.

        Args:
            call: Takes note of what happens.
            use: Makes something of each answer.
        """
        first = await self._attempt(call, use)
        if first.error is None:
            self._retries.succeeded()
        elif first.again is not Again.NO and call.plan.attempts > 1:
            terms = Terms(
                call.plan.attempts, call.left, lambda attempt: self._scheduled(call, attempt)
            )
            await self._retries.run(first, lambda: self._attempt(call, use), terms)

    async def _attempt(self, call: Call, use: Use) -> Attempt:
        """An attempt; a second one at once, when the key was refused and there is another."""
        made = await self._once(call, use)
        if not isinstance(made.error, AuthenticationError) or call.renewed or call.key is None:
            return made
        call.renewed = True
        if call.abandoned or not await self._keys.renew(*call.key):
            return made
        self._proven.clear()
        return await self._once(call, use)

    async def _once(self, call: Call, use: Use) -> Attempt:
        plan = call.plan
        key = await self._keys.get()
        if not isinstance(key, Secret):
            return Attempt(call.no_turn(key))
        call.key = key, self._keys.asked
        signed = sign(call.request, key, self._headers)
        call.phase = Phase.QUEUED
        within = plan.queue
        if within is None and call.allowance is not None:
            within = plan.total  # no deadline around it all
        slot = await self._gate.turn(export=plan.export, within=within, again=call.attempts > 0)
        if slot is None:
            return Attempt(call.no_turn(NotSent("nothing was sent: no turn in the queue")))
        try:
            outcome = await self._send(call, signed, slot, use)
        finally:
            if not call.kept:
                self._gate.release(slot)
        return self._judged(call, outcome)

    async def _send(
        self, call: Call, signed: Signed, slot: int, use: Use
    ) -> CakeError | Fault | None:
        plan, allowance, departure = call.plan, call.allowance, call.begin()
        sending = self._wire.send(
            signed, slot, departure, read=plan.read, fresh=plan.effect is Effect.ONCE
        )
        answer = await (sending if allowance is None else allowance.spend(sending))
        if answer is OUT_OF_TIME:
            return Fault(Kind.SLOW, departure.sent, f"no answer within {plan.total:g} s")
        if isinstance(answer, Fault):
            return answer
        call.status, call.headers = answer.status, answer.headers
        try:
            outcome = await use(answer, slot)
        finally:
            if not call.kept:
                await answer.aclose()
        if isinstance(outcome, Fault):
            # However well it was framed: a connection that brings this is not used again.
            await self._wire.drop(slot)
        return outcome

    def _judged(self, call: Call, outcome: CakeError | Fault | None) -> Attempt:
        error = call.end(outcome)
        operation = call.request.operation
        if outcome is None or error is None:
            self._proven.add(operation)
            made = Attempt(None)
        else:
            made = self._failed(call, outcome, error)
        if self._on_event is not None:
            self.tell(
                AttemptEnded(
                    operation,
                    call.attempts,
                    anyio.current_time() - call.began,
                    call.status,
                    None if error is None else type(error).__name__,
                    call.departure.sent,
                )
            )
        return made

    def _failed(self, call: Call, outcome: CakeError | Fault, error: CakeError) -> Attempt:
        again = again_after(outcome, call.plan.effect)
        pace, asked = again, None
        if isinstance(error, RateLimited):
            if error.retry_after is None:
                error.retry_after = retry_after(call.headers)
            pace, asked = Again.THROTTLED, error.retry_after
        if pace is Again.NO:
            return Attempt(error)
        wait = self._retries.wait(pace, call.attempts - 1, asked)
        proven = call.request.operation in self._proven
        if pace is Again.THROTTLED or (pace is Again.RESTRICTED and proven):
            self._pause(call, wait, asked=asked is not None)
        return Attempt(error, again, wait)

    def _pause(self, call: Call, seconds: float, *, asked: bool) -> None:
        # A longer one would hang every call; each of them will be told by the server itself.
        if seconds > self._retries.longest_asked:
            return
        if self._gate.pause(seconds, since=call.began, asked=asked):
            self.tell(Paused(call.request.operation, seconds))

    def _scheduled(self, call: Call, attempt: Attempt) -> None:
        error = type(attempt.error).__name__
        self.tell(RetryScheduled(call.request.operation, call.attempts + 1, attempt.wait, error))

    def tell(self, event: Event) -> None:
        """Give an event to ``on_event``, whose exceptions break no call: they are logged."""
        if self._on_event is None:
            return
        try:
            self._on_event(event)
        except Exception:  # noqa: BLE001 - it is the user's function
            _log.exception("on_event raised an exception; the call goes on")
