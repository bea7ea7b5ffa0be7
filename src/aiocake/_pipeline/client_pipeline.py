"""State that the calls of one client share, and the options of one of its views."""

import copy
from typing import Self

from aiocake._listener import EventEmitter
from aiocake._pipeline.call_state import CallLimits
from aiocake._pipeline.ledger import WriteRecorder
from aiocake._pipeline.retry import Retries
from aiocake._pipeline.settings import ClientStats, PipelineSettings
from aiocake._transport import Transport
from aiocake.config import CallOptions
from aiocake.events import Event, ListAnomaly, PauseEnded
from aiocake.traits import InstanceTraits
from aiocake.values import Binding, Idempotency


class ClientPipeline:
    """The part of the executor that is not the life of a call.

    Args:
        transport: Sends the attempts.
        settings: What the client was built with.
        emitter: Takes the events.
    """

    def __init__(
        self, transport: Transport, settings: PipelineSettings, emitter: EventEmitter
    ) -> None:
        # Shared by all views of the client.
        self.transport = transport
        self.settings = settings
        self.emitter = emitter
        self._limiter = transport.limiter
        self._recorder = WriteRecorder(settings.ledger, show_sensitive=settings.show_sensitive)
        self._retries = Retries(settings.retry, settings.retry.draw)
        # Of one view.
        self.options: CallOptions = CallOptions()
        self.binding: Binding = settings.binding
        self._limits: dict[tuple[Idempotency, bool], CallLimits] = {}
        self._exempt_view: Self | None = None

    def with_options(self, options: CallOptions) -> Self:
        """Return the pipeline of the same client, under other options."""
        view = copy.copy(self)
        view.options = options
        view.binding = options.binding or self.settings.binding
        view._limits, view._exempt_view = {}, None  # noqa: SLF001 - of this class
        return view

    @property
    def exempt_from_queue_limit(self) -> Self:
        """Return a pipeline that ignores ``max_waiting``: for later calls of work in progress."""
        view = self._exempt_view
        if view is None:
            view = self._exempt_view = self.with_options(self.options)
            view._exempt_view = view  # noqa: SLF001 - of this class
        return view

    @property
    def concurrency(self) -> int:
        """Return how many calls the throttle allows at once."""
        return self.settings.throttle.concurrency

    @property
    def domain(self) -> str:
        """Return the instance: its host, and its port where that is not the usual one."""
        return self.settings.domain

    @property
    def traits(self) -> InstanceTraits:
        """Return the known traits of the instance."""
        return self.settings.traits

    @property
    def for_tests(self) -> bool:
        """Return True for a test: a loopback address, or a transport of the caller's."""
        return self.settings.for_tests

    @property
    def holds_first_byte(self) -> bool:
        """Return True if a write can be held back right before its first byte leaves."""
        return self.transport.dialer is not None

    @property
    def longest_write(self) -> float:
        """Return the seconds after which a write ends in any case."""
        return self.limits_of(Idempotency.NON_IDEMPOTENT).total

    def scrub(self, text: str) -> str:
        """Return a text without the API key, however that is encoded."""
        return self.transport.scrub(text)

    def emit(self, event: Event) -> None:
        """Emit an event about more than one call."""
        self.emitter.emit(event)

    def anomaly(self, operation: str, what: str, detail: str = "") -> None:
        """Report to ``on_event`` a list that behaved in an undocumented way."""
        self.emitter.emit(ListAnomaly(operation, what, detail))

    def stats(self) -> ClientStats:
        """Return counts of what the client is doing. Makes no call."""
        limiter = self._limiter
        return ClientStats(
            in_flight=limiter.in_flight,
            waiting=limiter.waiting,
            paused_until=limiter.paused_for(),
            budget=self._retries.budget,
            unknowns=self._recorder.unknowns,
            limit=limiter.limit,
            pace=limiter.pace(),
            quota=limiter.quota,
        )

    def end_pause(self) -> None:
        """End all pauses at once.

        Raises:
            WrongLoopError: The client belongs to another event loop or process.
        """
        if self._limiter.paused:
            self.transport.lifecycle.check_home()
        began = self._limiter.end_pause()
        if began is not None:
            self.emitter.emit(PauseEnded(None, self.emitter.now() - began))

    def limits_of(self, idempotency: Idempotency, *, export: bool = False) -> CallLimits:
        """Return the limits of a call, from the client's settings and the options of this view."""
        limits = self._limits.get((idempotency, export))
        if limits is None:
            timeouts, options = self.settings.timeouts, self.options
            limits = self._limits[idempotency, export] = CallLimits(
                idempotency=idempotency,
                total=options.total or (timeouts.export_total if export else timeouts.total),
                read=timeouts.export_read if export else timeouts.read,
                attempts=options.attempts or self.settings.retry.attempts,
                queue=options.queue,
                export=export,
                exempt_from_queue_limit=self._exempt_view is self,
            )
        return limits
