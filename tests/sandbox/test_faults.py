"""Each fault that a sandbox plays ends as its entry says, and leaves the next call alone."""

from collections.abc import Awaitable, Callable
from datetime import date
from typing import Final, get_args

import pytest

import aiocake
from aiocake import Client, NotSent, OutcomeUnknown, Timeouts
from aiocake.sandbox import FAULTS, FaultName, Sandbox, serve
from aiocake.testing import NO_BACKOFF

from ..support.clients import KEY, in_process
from ..support.clock import SIMULATED

pytestmark = pytest.mark.anyio

JANUARY: Final = {"start_date": date(2024, 1, 1), "end_date": date(2024, 1, 31)}
ATTEMPTS: Final = 3
#: What a client leaves of a connection that is closed under it.
CLOSING: Final[tuple[FaultName, ...]] = ("lost", "truncated", "dropped")
#: What would keep a client waiting.
ENDLESS: Final[tuple[FaultName, ...]] = ("late", "slow")

CALLS: Final[dict[str, Callable[[Client], Awaitable[object]]]] = {
    "read": lambda cake: cake.invoices.find(affiliate_id=67890).collect(),
    "update": lambda cake: cake.invoices.update(4821, memo="x"),
    "create": lambda cake: cake.invoices.create(affiliate_id=67890, **JANUARY),  # type: ignore[arg-type] # dates
}


async def ended(cake: Client, what: str) -> str:
    try:
        await CALLS[what](cake)
    except aiocake.CakeError as error:
        return type(error).__name__
    return "done"


def test_each_name_is_known() -> None:
    assert set(FAULTS) == set(get_args(FaultName))
    for fault in FAULTS.values():
        for name in (fault.read, fault.update, fault.create):
            assert name == "done" or issubclass(getattr(aiocake, name), aiocake.CakeError)


@pytest.mark.parametrize("name", [name for name in FAULTS if name not in ENDLESS])
async def test_calls_end_as_it_says(name: FaultName) -> None:
    await check(name)


@SIMULATED
@pytest.mark.parametrize("name", ENDLESS)
async def test_calls_end_at_their_deadline(name: FaultName) -> None:
    await check(name)


async def check(name: FaultName) -> None:
    fault = FAULTS[name]
    found = {}
    for what in CALLS:
        sandbox = Sandbox(invoices=20)
        before = len(sandbox.state.invoices)
        sandbox.fail_next(name, times=None)
        # A byte each 50 ms: so long a response does not end within the deadline.
        timeouts = Timeouts(total=2) if name in ENDLESS else Timeouts()
        async with in_process(sandbox, timeouts=timeouts, retry=NO_BACKOFF) as cake:
            found[what] = await ended(cake, what)
        carried_out = {
            "read": fault.carried_out,
            "update": sandbox.state.invoices[4821].memo == "x",
            "create": len(sandbox.state.invoices) == before + 1,
        }
        assert carried_out[what] is fault.carried_out
    assert found == {"read": fault.read, "update": fault.update, "create": fault.create}


@pytest.mark.parametrize("name", CLOSING)
async def test_over_a_socket_the_connection_is_closed(name: FaultName) -> None:
    sandbox = Sandbox(invoices=20)
    with serve(sandbox) as url:
        async with Client(url, KEY, retry=NO_BACKOFF) as cake:
            for what in CALLS:
                sandbox.fail_next(name, times=None)
                assert await ended(cake, what) == getattr(FAULTS[name], what)
                sandbox.recover()
                assert await ended(cake, what) == "done"
                sandbox.fail_next(name)  # once
                assert await ended(cake, what) == ("OutcomeUnknown" if what == "create" else "done")


async def test_they_follow_in_order_and_by_operation() -> None:
    sandbox = Sandbox(invoices=20)
    sandbox.fail_next("lost", operation="update_invoice", times=ATTEMPTS)
    sandbox.fail_next("unreached")
    async with in_process(sandbox, retry=aiocake.RetryPolicy(attempts=1)) as cake:
        with pytest.raises(NotSent):
            await cake.invoices.get(4821)
        await cake.invoices.get(4821)
        for _ in range(ATTEMPTS):
            with pytest.raises(OutcomeUnknown):
                await cake.invoices.update(4821, memo="x")
        await cake.invoices.update(4821, memo="x")


async def test_v1_refuses_in_its_own_form() -> None:
    for name, kind in {
        "restricted": aiocake.Restricted,
        "tipalti": aiocake.TipaltiError,
        "invalid_key": aiocake.AuthenticationError,
        "refused": aiocake.ApiError,
        "truncated": aiocake.OutcomeUnknown,
        "garbled": aiocake.OutcomeUnknown,
    }.items():
        sandbox = Sandbox()
        sandbox.fail_next(name, times=None)  # type: ignore[arg-type] # a key of the above
        async with in_process(sandbox, retry=NO_BACKOFF) as cake:
            with pytest.raises(aiocake.CakeError) as caught:
                await cake.affiliate_bills.mark_paid(345, payment_date=date(2014, 7, 31))
        assert type(caught.value) is kind


async def test_an_export_has_less_than_it_says() -> None:
    sandbox = Sandbox()
    sandbox.fail_next("short_list")
    async with in_process(sandbox) as cake:
        with pytest.raises(aiocake.DecodeError):
            await cake.affiliate_bills.export(period=aiocake.Period.year(2014)).collect()


def test_what_is_wrong_is_said() -> None:
    sandbox = Sandbox(invoices=1)
    with pytest.raises(ValueError, match="'lots' is no fault; did you mean 'lost'"):
        sandbox.fail_next("lots")  # type: ignore[arg-type] # on purpose
    with pytest.raises(ValueError, match="'9' is no fault; there are lost, "):
        sandbox.fail_next("9")  # type: ignore[arg-type] # on purpose
    for times in (0, "1"):
        with pytest.raises(ValueError, match=f"times={times!r} must be at least 1"):
            sandbox.fail_next("lost", times=times)  # type: ignore[arg-type] # on purpose
    with pytest.raises(
        ValueError, match="'pay' is not an operation of the sandbox; there are invoi"
    ):
        sandbox.fail_next("lost", operation="pay")
