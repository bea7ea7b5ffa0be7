"""A CAKE that answers by script, a client of it, and what that client tells."""

from collections.abc import AsyncIterator, Awaitable, Callable

import anyio
import attrs
import httpx
import pytest

from aiocake import AffiliateBill, Client, Outcome, Period, RetryPolicy
from aiocake._operations.operation import Stream
from aiocake.errors import Intent
from aiocake.events import AttemptBegan, AttemptEnded, CallEnded, Event, Waited

KEY = 'canary-K3Y<&">+%='
ROW = (
    b'{"invoice_id":1,"affiliate_id":2,"affiliate_name":"canary name",'
    b'"invoice_status":"pending","total_amount":"98671354.25"}'
)

#: A status, that with headers and a body, an exception, or a function that gives an answer.
Scene = (
    int
    | bytes
    | tuple[int, dict[str, str], bytes]
    | Exception
    | Callable[[], Awaitable[httpx.Response]]
)


class Held:
    """An answer that comes when it is let go."""

    def __init__(self, body: bytes | httpx.AsyncByteStream) -> None:
        self._body = body
        self.asked = anyio.Event()
        self.go_on = anyio.Event()

    async def __call__(self) -> httpx.Response:
        self.asked.set()
        await self.go_on.wait()
        return httpx.Response(200, content=self._body)


class Dripping(httpx.AsyncByteStream):
    """A body whose last piece never comes."""

    def __init__(self, *pieces: bytes) -> None:
        self._pieces = pieces

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            yield piece
        await anyio.sleep_forever()


class Ledger:
    """Keeps the outcomes that it is told of."""

    def __init__(self, *, refuses: bool = False, waits: bool = False) -> None:
        self.reported: list[tuple[Intent, Outcome]] = []
        self.asked = anyio.Event()
        self._refuses = refuses
        self._waits = waits

    async def before(self, intent: Intent) -> None:
        del intent
        self.asked.set()
        if self._refuses:
            raise OSError("the disk is full")
        if self._waits:
            await anyio.sleep_forever()

    async def after(self, intent: Intent, outcome: Outcome) -> None:
        self.reported.append((intent, outcome))


class Stage:
    """Clients, and what they tell."""

    key = KEY
    #: Answers: of a page, of an update, and of exports.
    page = b'{"request_status":"Success","total_rows":1,"invoices":[%b]}' % ROW
    updated = b'{"request_status":"Success","invoice":{"invoice_id":1,"invoice_status":"approved"}}'
    refused = httpx.ConnectError("refused")
    lost = httpx.ReadError("reset")
    held = Held
    dripping = Dripping
    ledger = Ledger

    def __init__(self) -> None:
        self.events: list[Event] = []

    def client(self, *scenes: Scene, **settings: object) -> Client:
        """A client whose requests are answered by one scene after the other, the last again."""
        left = list(scenes)

        async def answer(_: httpx.Request) -> httpx.Response:
            scene = left.pop(0) if len(left) > 1 else left[0]
            if isinstance(scene, Exception):
                raise scene
            if isinstance(scene, int):
                return httpx.Response(scene)
            if isinstance(scene, bytes):
                return httpx.Response(200, content=scene)
            if isinstance(scene, tuple):
                return httpx.Response(scene[0], headers=scene[1], content=scene[2])
            return await scene()

        given: dict[str, object] = {
            "api_key": KEY,
            "transport": httpx.MockTransport(answer),
            "retry": RetryPolicy(base=1e-9, throttle_base=1e-9),
            "on_event": self.events.append,
        }
        return Client("x.example", **(given | settings))  # type: ignore[arg-type] # they are what they are

    @property
    def reported(self) -> list[Event]:
        """The events without durations, calls, methods and paths; "id" is the id of an intent.

        That an attempt began is left out: no attempt ends that did not begin before.
        """
        began: set[tuple[int, int]] = set()
        for event in self.events:
            if isinstance(event, AttemptBegan):
                began.add((event.call, event.number))
            elif isinstance(event, AttemptEnded):
                began.remove((event.call, event.number))
        return [self._plain(event) for event in self.events if not isinstance(event, AttemptBegan)]

    @property
    def ends(self) -> list[Event]:
        """Those of it that tell of the end of a call."""
        return [event for event in self.reported if isinstance(event, CallEnded)]

    @staticmethod
    def _plain(event: Event) -> Event:
        if hasattr(event, "call"):
            assert event.call is None or event.call > 0
            event = attrs.evolve(event, call=attrs.fields_dict(type(event))["call"].default)
        if isinstance(event, AttemptEnded):
            event = attrs.evolve(event, method="", path=None)
        if not isinstance(event, Waited | AttemptEnded | CallEnded):
            return event
        assert 0 <= event.seconds < 600
        event = attrs.evolve(event, seconds=0.0)
        if not isinstance(event, CallEnded) or event.intent is None:
            return event
        assert len(event.intent) == 36
        return attrs.evolve(event, intent="id")

    @staticmethod
    def june(cake: Client) -> Stream[AffiliateBill]:
        """An export that was not begun yet."""
        return cake.affiliate_bills.export(period=Period.month(2014, 6))

    @staticmethod
    def bill(number: int, more: str = "") -> str:
        """A bill of an export."""
        return (
            f"<affiliate_bill><bill_id>{number}</bill_id><affiliate><affiliate_id>7</affiliate_id>"
            f"</affiliate><bill_amount><amount>98671354.2500</amount></bill_amount>{more}"
            "</affiliate_bill>"
        )

    @classmethod
    def export(cls, *bills: str, count: int | None = None) -> bytes:
        """The answer to an export."""
        number = len(bills) if count is None else count
        return (
            f"<r><success>true</success><row_count>{number}</row_count>"
            f"<affiliate_bills>{''.join(bills)}</affiliate_bills></r>"
        ).encode()


@pytest.fixture
def stage() -> Stage:
    """Where a client plays with a server of its test's making."""
    return Stage()
