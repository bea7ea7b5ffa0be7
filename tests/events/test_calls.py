# ruff: noqa: ANN001 - the stage comes from a conftest, whose types cannot be imported
# ruff: noqa: SIM117 - the client outlives what is in it: that is another block
"""What is told of calls that are sent: each attempt, wait, pause and retry, and the end once."""

import contextvars
import inspect
import typing
from datetime import date

import anyio
import attrs
import httpx
import pytest
import trio.testing

from aiocake import (
    Client,
    ConfigurationError,
    DeadlineExceeded,
    DecodeError,
    NotFound,
    NotSent,
    Outcome,
    OutcomeUnknown,
    Period,
    Throttle,
    events,
)
from aiocake.events import (
    AttemptBegan,
    AttemptEnded,
    CallEnded,
    Event,
    ListAnomaly,
    Paused,
    ReferencesDropped,
    RetryScheduled,
    ValuesNormalized,
    Waited,
)
from aiocake.sandbox import Sandbox

pytestmark = pytest.mark.anyio

PAGE = "invoices.find"
GET = "invoices.get"
UPDATE = "invoices.update"
CREATE = "invoices.create"
ATTEMPT = ("AttemptBegan", "AttemptEnded")
ONE = Throttle(concurrency=1)
MOCK_CLOCK = pytest.mark.parametrize(
    "anyio_backend", [("trio", {"clock": trio.testing.MockClock(autojump_threshold=0)})]
)

KINDS: tuple[type, ...] = typing.get_args(events.Event)


def test_all_kinds_of_events_are_in_the_union() -> None:
    public = [getattr(events, name) for name in events.__all__]
    assert {each for each in public if inspect.isclass(each)} == set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_an_event_is_a_frozen_class_that_says_what_it_holds(kind: type) -> None:
    fields = [field.name for field in attrs.fields(kind)]
    text = inspect.getdoc(kind) or ""
    assert [name for name in fields if f"\n    {name}: " not in text] == []
    made = kind(*[None] * len(fields))
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        setattr(made, fields[0], "other")
    assert not hasattr(made, "__dict__")


async def test_a_listener_that_would_have_to_be_awaited_is_refused(stage) -> None:
    async def listen(event: Event) -> None:
        del event

    for wrong in (listen, "listen"):
        with pytest.raises(ConfigurationError, match="on_event"):
            stage.client(stage.page, on_event=wrong)


async def test_a_read_that_works(stage) -> None:
    async with stage.client(stage.page) as cake:
        await cake.invoices.page()
    assert stage.reported == [
        AttemptEnded(PAGE, 1, 0.0, 200, None, sent=True),
        CallEnded(PAGE, 1, 0.0, None, None),
    ]


async def test_each_page_of_a_list_is_a_call(stage) -> None:
    async with stage.client(stage.page) as cake:
        assert len(await cake.invoices.find().collect()) == 1
    assert stage.ends == [CallEnded(PAGE, 1, 0.0, None, None)]


async def test_a_write_that_works_has_the_id_that_its_ledger_has(stage) -> None:
    ledger = stage.ledger()
    async with stage.client(stage.updated, ledger=ledger) as cake:
        await cake.invoices.update(1, invoice_status="approved")
    assert stage.reported == [
        AttemptEnded(UPDATE, 1, 0.0, 200, None, sent=True),
        CallEnded(UPDATE, 1, 0.0, Outcome.DONE, None, "id"),
    ]
    ((intent, _),) = ledger.reported
    assert stage.events[-1].intent == intent.id


async def test_each_attempt_and_retry_in_the_order_in_which_they_happen(stage) -> None:
    async with stage.client(500, stage.refused, stage.page) as cake:
        await cake.invoices.page()
    reported = [
        attrs.evolve(event, wait=0.0) if isinstance(event, RetryScheduled) else event
        for event in stage.reported
    ]
    assert reported == [
        AttemptEnded(PAGE, 1, 0.0, 500, "ServerError", sent=True),
        RetryScheduled(PAGE, 2, 0.0, "ServerError"),
        AttemptEnded(PAGE, 2, 0.0, None, "NotSent", sent=False),
        RetryScheduled(PAGE, 3, 0.0, "NotSent"),
        AttemptEnded(PAGE, 3, 0.0, 200, None, sent=True),
        CallEnded(PAGE, 3, 0.0, None, None),
    ]


async def test_a_write_whose_fate_is_unknown(stage) -> None:
    async with stage.client(stage.lost) as cake:
        with pytest.raises(OutcomeUnknown) as caught:
            await cake.invoices.create(
                affiliate_id=1, start_date=date(2024, 1, 1), end_date=date(2024, 1, 31)
            )
    assert stage.reported == [
        AttemptEnded(CREATE, 1, 0.0, None, "DecodeError", sent=True),
        CallEnded(CREATE, 1, 0.0, Outcome.UNKNOWN, "OutcomeUnknown", "id"),
    ]
    assert stage.events[-1].intent == caught.value.intent.id


async def test_a_write_that_was_refused_is_not_done(stage) -> None:
    async with stage.client(b'{"request_status":"Failed","message":"no"}') as cake:
        with pytest.raises(Exception, match="no"):
            await cake.invoices.update(1, invoice_status="paid")
    assert stage.ends == [CallEnded(UPDATE, 1, 0.0, Outcome.NOT_DONE, "ApiError", "id")]


async def test_an_answer_that_cannot_be_read_is_an_error_of_the_call(stage) -> None:
    async with stage.client(stage.page.replace(b"354.25", b"354,25")) as cake:
        with pytest.raises(DecodeError):
            await cake.invoices.page()
    assert stage.reported == [
        AttemptEnded(PAGE, 1, 0.0, 200, None, sent=True),
        CallEnded(PAGE, 1, 0.0, None, "DecodeError"),
    ]


@MOCK_CLOCK
async def test_a_throttled_answer_pauses_and_the_wait_for_its_end_is_told(stage) -> None:
    currency = b'{"currency_id":1,"currency_symbol":"$","currency_name":"US","currency_abbr":"USD"}'
    both = stage.page.replace(b"{", b'{"currencies":[%b],' % currency, 1)
    async with stage.client((429, {"retry-after": "5"}, b""), both) as cake:
        async with anyio.create_task_group() as group:
            group.start_soon(cake.invoices.page)
            await anyio.sleep(1)
            await cake.reference.currencies()
    reported = stage.reported
    assert reported[:3] == [
        AttemptEnded(PAGE, 1, 0.0, 429, "RateLimited", sent=True),
        Paused(PAGE, 5.0),
        RetryScheduled(PAGE, 2, 5.0, "RateLimited"),
    ]
    other = Waited("reference.currencies", 0.0, got_turn=True)
    assert other in reported
    waits = [event for event in stage.events if isinstance(event, Waited)]
    assert max(event.seconds for event in waits if event.operation == other.operation) >= 4.0


async def test_another_key_is_a_retry_without_a_wait(stage) -> None:
    keys = iter(["first", "second"])

    async def ask() -> str:
        return next(keys)

    async with stage.client(401, stage.page, api_key=ask) as cake:
        await cake.invoices.page()
    assert stage.reported == [
        AttemptEnded(PAGE, 1, 0.0, 401, "AuthenticationError", sent=True),
        RetryScheduled(PAGE, 2, 0.0, "AuthenticationError"),
        AttemptEnded(PAGE, 2, 0.0, 200, None, sent=True),
        CallEnded(PAGE, 2, 0.0, None, None),
    ]


# The queue


@MOCK_CLOCK
async def test_how_long_a_call_waited_for_its_turn(stage) -> None:
    held = stage.held(stage.page)
    async with stage.client(held, stage.updated, throttle=ONE) as cake:
        async with anyio.create_task_group() as group:
            group.start_soon(cake.invoices.page)
            await held.asked.wait()
            group.start_soon(lambda: cake.invoices.update(1, memo="x"))
            await anyio.sleep(7)
            held.go_on.set()
    (waited,) = [event for event in stage.events if isinstance(event, Waited)]
    assert waited == Waited(UPDATE, pytest.approx(7.0), got_turn=True, call=2)
    ended = {event.operation: event for event in stage.events if isinstance(event, AttemptEnded)}
    # The wait is no part of the attempt, but of the call.
    assert ended[UPDATE].seconds == 0.0
    (end,) = [e for e in stage.events if isinstance(e, CallEnded) and e.operation == UPDATE]
    assert end.seconds == pytest.approx(7.0)


async def test_a_call_that_is_turned_away(stage) -> None:
    held = stage.held(stage.page)
    throttle = Throttle(concurrency=1, max_waiting=0)
    async with stage.client(held, throttle=throttle) as cake:
        async with anyio.create_task_group() as group:
            group.start_soon(cake.invoices.page)
            await held.asked.wait()
            with pytest.raises(NotSent):
                await cake.invoices.update(1, memo="x")
            assert stage.reported == [
                Waited(UPDATE, 0.0, got_turn=False),
                CallEnded(UPDATE, 0, 0.0, Outcome.NOT_DONE, "NotSent", "id"),
            ]
            held.go_on.set()


@MOCK_CLOCK
async def test_a_call_that_gets_no_turn_in_time(stage) -> None:
    held = stage.held(stage.page)
    async with stage.client(held, throttle=ONE) as cake:
        async with anyio.create_task_group() as group:
            group.start_soon(cake.invoices.page)
            await held.asked.wait()
            for view in (cake.with_options(queue=2), cake.with_options(total=2)):
                with pytest.raises(NotSent):
                    await view.invoices.get(1)
            held.go_on.set()
    waits = [event for event in stage.events if isinstance(event, Waited)]
    assert waits == [Waited(GET, pytest.approx(2.0), got_turn=False, call=n) for n in (2, 3)]


async def test_an_invoice_that_is_not_there_is_told_as_such() -> None:
    reported: list[Event] = []
    transport = httpx.ASGITransport(app=Sandbox().app)
    async with Client(
        "x.example", "SANDBOX-KEY", transport=transport, on_event=reported.append
    ) as cake:
        with pytest.raises(NotFound, match="there is no invoice 1"):
            await cake.invoices.get(1)
    (ended,) = [event for event in reported if isinstance(event, CallEnded)]
    assert (ended.operation, ended.error) == (GET, "NotFound")


@MOCK_CLOCK
async def test_the_deadline_cuts_an_attempt(stage) -> None:
    async with stage.client(stage.held(stage.page)) as cake:
        with pytest.raises(DeadlineExceeded):
            await cake.with_options(total=5).invoices.page()
    assert stage.reported == [
        AttemptEnded(PAGE, 1, 0.0, None, "Cancelled", sent=True),
        CallEnded(PAGE, 1, 0.0, None, "DeadlineExceeded"),
    ]
    assert [event.seconds for event in stage.events[1:]] == [pytest.approx(5.0)] * 2


# Who is told, and where


async def test_the_context_is_the_callers(stage) -> None:
    who: contextvars.ContextVar[str] = contextvars.ContextVar("who")
    seen: list[tuple[str, str]] = []

    def listen(event: Event) -> None:
        seen.append((type(event).__name__, who.get()))

    cake = stage.client(500, stage.updated, on_event=listen)
    who.set("writer")
    async with cake:
        await cake.invoices.update(1, memo="x")
        assert seen == [
            (name, "writer") for name in (*ATTEMPT, "RetryScheduled", *ATTEMPT, "CallEnded")
        ]
    seen.clear()
    who.set("reader")
    async with stage.client(stage.page, on_event=listen) as cake:
        await cake.invoices.find().collect()
    assert seen == [(name, "reader") for name in (*ATTEMPT, "CallEnded")]


async def test_what_a_listener_raises_breaks_nothing(stage, caplog) -> None:
    reported: list[Event] = []

    def listen(event: Event) -> None:
        reported.append(event)
        raise RuntimeError(type(event).__name__)

    scenes = 500, stage.page, stage.updated, stage.export(stage.bill(1, "<notes>x&#xB;</notes>"))
    async with stage.client(*scenes, on_event=listen) as cake:
        await cake.invoices.page()
        await cake.invoices.update(1, memo="x")
        await stage.june(cake).collect()
    assert len(reported) == 13
    raised = [each for each in caplog.records if each.name == "aiocake" and each.exc_info]
    assert len(raised) == len(reported)
    assert {each.levelname for each in raised} == {"ERROR"}


class Interrupted(BaseException):
    """What a program ends with, such as a KeyboardInterrupt."""


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("kind", [AttemptBegan, AttemptEnded, Paused, RetryScheduled, CallEnded])
async def test_a_listener_that_ends_the_program_hears_of_each_end_once(stage, kind: type) -> None:
    heard: list[Event] = []

    def listen(event: Event) -> None:
        heard.append(event)
        if isinstance(event, kind):
            raise Interrupted

    async with stage.client(429, stage.page, on_event=listen) as cake:
        with pytest.raises(Interrupted):
            await cake.invoices.page()
        assert cake.stats().in_flight == 0
    kinds = [type(event) for event in heard]
    assert kinds.count(AttemptEnded) == kinds.count(AttemptBegan)
    assert kinds.count(CallEnded) == 1


# What an answer brings to light


async def test_a_list_that_behaves_oddly(stage) -> None:
    short = stage.page.replace(b'"total_rows":1', b'"total_rows":2')
    async with stage.client(short, stage.page) as cake:
        await cake.invoices.find(row_limit=1).collect()
    anomalies = [event for event in stage.reported if isinstance(event, ListAnomaly)]
    assert ListAnomaly(PAGE, "fewer rows than asked", "1 of 2") in anomalies
    assert len({event.what for event in anomalies}) == len(anomalies)


async def test_references_that_were_left_out_of_a_small_answer(stage) -> None:
    answer = (
        b"<r><success>true</success><row_count>1</row_count><payment_types><payment_type>"
        b"<payment_type_id>1</payment_type_id><payment_type_name>a&#xB;b&#65;&#x1;"
        b"</payment_type_name></payment_type></payment_types></r>"
    )
    async with stage.client(answer) as cake:
        await cake.reference.payment_types()
    name = "reference.payment_types"
    assert stage.reported == [
        AttemptEnded(name, 1, 0.0, 200, None, sent=True),
        ReferencesDropped(name, 2),
        CallEnded(name, 1, 0.0, None, None),
    ]


async def test_values_that_were_normalized_are_told(stage) -> None:
    odd = b'"end_date":"","currency":"","invoice_id"'
    answer = stage.page.replace(b'"invoice_id"', odd)
    async with stage.client(answer) as cake:
        await cake.invoices.page()
    assert stage.reported == [
        AttemptEnded(PAGE, 1, 0.0, 200, None, sent=True),
        ValuesNormalized(PAGE, ("invoices.end_date", "invoices.currency"), 2),
        CallEnded(PAGE, 1, 0.0, None, None),
    ]


async def test_the_path_of_a_normalized_value_does_not_tell_the_key(stage) -> None:
    # An element may have any name, that of the key included.
    answer = (
        b"<r><success>true</success><row_count>1</row_count><affiliate_bills><affiliate_bill>"
        b"<bill_id>1</bill_id><affiliate><x /></affiliate><bill_amount><amount>1</amount>"
        b"</bill_amount><SANDBOX-KEY-1>&#xD83D;</SANDBOX-KEY-1></affiliate_bill>"
        b"</affiliate_bills></r>"
    )
    async with stage.client(answer, api_key="SANDBOX-KEY-1") as cake:
        await cake.affiliate_bills.export(period=Period.month(2014, 6)).collect()
    (event,) = [each for each in stage.reported if isinstance(each, ValuesNormalized)]
    assert event.fields == ("affiliate_bills.<key>",)


async def test_a_write_that_a_defect_breaks_is_not_called_not_done(stage, monkeypatch) -> None:
    async def broken(*_: object, **__: object) -> None:
        raise RuntimeError

    async with stage.client(stage.updated) as cake:
        monkeypatch.setattr(cake._executor, "run_attempts", broken)
        with pytest.raises(RuntimeError):
            await cake.invoices.update(1, memo="x")
    assert stage.reported == [CallEnded(UPDATE, 0, 0.0, Outcome.UNKNOWN, "RuntimeError", "id")]
