"""State that the calls of one client share, and the options of one of its views."""

import copy
from collections.abc import Callable
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

    Attributes:
        domain: The instance: its host, and its port where that is not the usual one.
        concurrency: How many calls the throttle allows at once.
        traits: What is known of the instance.
        for_tests: True for a test: a loopback address, or a transport of the caller's.
        scrub: Returns a text without the API key, however that is encoded.
        emit: Emits an event about more than one call.
        options: Those of this view.
        binding: The form of its v1 calls.
        limits: Those of its calls, by what sending one again does.
        export_limits: Those of its exports.
    """

    # For all views of the client.
    domain: str
    concurrency: int
    traits: InstanceTraits
    for_tests: bool
    scrub: Callable[[str], str]
    emit: Callable[[Event], None]
    # For one view.
    options: CallOptions
    binding: Binding
    limits: dict[Idempotency, CallLimits]
    export_limits: CallLimits

    def __init__(
        self, transport: Transport, settings: PipelineSettings, emitter: EventEmitter
    ) -> None:
        # Shared by all views of the client.
        self.transport = transport
        self.settings = settings
        self.emitter = emitter
        self.domain = settings.domain
        self.concurrency = settings.throttle.concurrency
        self.traits = settings.traits
        self.for_tests = settings.for_tests
        self.scrub = transport.scrub
        self.emit = emitter.emit
        self._limiter = transport.limiter
        self._recorder = WriteRecorder(settings.ledger, show_sensitive=settings.show_sensitive)
        self._retries = Retries(settings.retry, settings.retry.draw)
        self._set_options(CallOptions())

    def _set_options(self, options: CallOptions, *, exempt: bool = False) -> None:
        """Set what is of this view alone: its options, and the limits that they give its calls."""
        timeouts = self.settings.timeouts
        attempts = options.attempts or self.settings.retry.attempts
        self.options = options
        self.binding = options.binding or self.settings.binding
        self._exempt_view: Self | None = None
        self.limits = {
            each: CallLimits(
                each,
                options.total or timeouts.total,
                timeouts.read,
                attempts,
                options.queue,
                exempt_from_queue_limit=exempt,
            )
            for each in Idempotency
        }
        self.export_limits = CallLimits(
            Idempotency.SAFE,
            options.total or timeouts.export_total,
            timeouts.export_read,
            attempts,
            options.queue,
            export=True,
            exempt_from_queue_limit=exempt,
        )

    def with_options(self, options: CallOptions) -> Self:
        """Return the pipeline of the same client, under other options."""
        view = copy.copy(self)
        view._set_options(options)  # noqa: SLF001 - of this class
        return view

    @property
    def exempt_from_queue_limit(self) -> Self:
        """Return a pipeline that ignores ``max_waiting``: for later calls of work in progress."""
        view = self._exempt_view
        if view is None:
            view = self._exempt_view = copy.copy(self)
            view._set_options(self.options, exempt=True)  # noqa: SLF001 - of this class
            view._exempt_view = view  # noqa: SLF001 - the same
        return view

    @property
    def holds_first_byte(self) -> bool:
        """Return True if a write can be held back right before its first byte leaves."""
        return self.transport.dialer is not None

    @property
    def longest_write(self) -> float:
        """Return the seconds after which a write ends in any case."""
        return self.limits[Idempotency.NON_IDEMPOTENT].total

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
            self.transport.lifecycle.check_usable(even_closed=True)
        began = self._limiter.end_pause()
        if began is not None:
            self.emitter.emit(PauseEnded(None, self.emitter.now() - began))
