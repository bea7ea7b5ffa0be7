# ruff: noqa: ANN001 - fixtures come from a conftest, whose types cannot be imported
"""A Retry-After of each odd kind: no wait is endless, none is zero, and all calls wait together."""

from collections.abc import Mapping

import anyio
import attrs
import httpx
import pytest

from aiocake.errors import RateLimited

NOW = "Mon, 02 Mar 2026 12:00:00 GMT"
#: While each call is refused.
BUSY = 0.5
#: The first wait of a call that is not told how long: at most so many seconds.
BASE = 1.0
OTHERS = 50

#: What is honoured, and for how many seconds.
HONOURED = {
    "seconds": ({"Retry-After": "7"}, 7.0),
    "longest": ({"Retry-After": "60"}, 60.0),
    "spaces": ({"Retry-After": " 7 "}, 7.0),
    "zeros": ({"Retry-After": "0007"}, 7.0),
    "date": ({"Retry-After": "Mon, 02 Mar 2026 12:00:07 GMT", "Date": NOW}, 7.0),
    "fraction": ({"Retry-After": "6.03"}, 7.0),
    "ms": ({"retry-after-ms": "7500"}, 7.5),
    "ms first": ({"retry-after-ms": "7500", "Retry-After": "3"}, 7.5),
    "ms unreadable": ({"retry-after-ms": "soon", "Retry-After": "3"}, 3.0),
}
#: What is as if absent.
ABSENT: Mapping[str, dict[str, str]] = {
    "nothing": {},
    "empty": {"Retry-After": ""},
    "nan": {"Retry-After": "nan"},
    "inf": {"Retry-After": "inf"},
    "-5": {"Retry-After": "-5"},
    "+5": {"Retry-After": "+5"},
    "0": {"Retry-After": "0"},
    "1e400": {"Retry-After": "1e400"},
    "1_0": {"Retry-After": "1_0"},
    "5,5": {"Retry-After": "5,5"},
    "two": {"Retry-After": "5, 6"},
    "past date": {"Retry-After": "Mon, 02 Mar 2026 11:59:59 GMT", "Date": NOW},
    "date without Date": {"Retry-After": "Mon, 02 Mar 2026 12:00:07 GMT"},
    "other zone": {"Retry-After": "Mon, 02 Mar 2026 12:00:07 EST", "Date": NOW},
    "no such day": {"Retry-After": "Mon, 30 Feb 2026 12:00:07 GMT", "Date": NOW},
    "year 0": {"Retry-After": "Mon, 02 Mar 0000 12:00:07 GMT", "Date": NOW},
}
#: What nobody waits for.
TOO_LONG = {
    "61": {"Retry-After": "61"},
    "many digits": {"Retry-After": "9" * 5000},
    "year 9999": {"Retry-After": "Fri, 31 Dec 9999 23:59:59 GMT", "Date": NOW},
    "ms": {"retry-after-ms": "60001"},
}


@attrs.frozen
class Lived:
    """What 50 calls at once met: which errors, when they ended, and when requests were sent."""

    errors: list[RateLimited]
    ends: list[float]
    sent: list[float]
    trace: tuple[object, ...]


def live(world, headers: Mapping[str, str], seed: int = 1) -> Lived:
    """50 calls at once, all refused in the first half of a second."""

    def busy(now: float) -> httpx.Response | None:
        return httpx.Response(429, headers=headers) if now < BUSY else None

    there = world(seed=seed, answer=busy)
    errors: list[RateLimited] = []
    ends: list[float] = []

    async def call(cake) -> None:
        try:
            await cake.with_options(total=600).invoices.page()
        except RateLimited as error:
            errors.append(error)
        ends.append(there.now)

    async def main() -> None:
        retry = there.policy(attempts=20, throttle_base=BASE)
        async with there.client(retry=retry) as cake, anyio.create_task_group() as group:
            for _ in range(OTHERS):
                group.start_soon(call, cake)

    there.run(main)
    sent = sorted(arrival.sent for arrival in there.arrivals)
    return Lived(errors, ends, sent, (there.arrivals, there.events))


@pytest.mark.parametrize("kind", HONOURED)
def test_what_is_honoured_holds_all_calls(world, kind) -> None:
    headers, seconds = HONOURED[kind]
    lived = live(world, headers)
    assert lived.errors == []
    assert len(lived.ends) == OTHERS
    first = [time for time in lived.sent if time < seconds]
    # Those that were in flight when it was said, and no other.
    assert len(first) == 8
    assert lived.sent[8] >= seconds + 0.01
    assert max(lived.ends) < seconds + 10


@pytest.mark.parametrize("kind", ABSENT)
def test_what_cannot_be_read_is_as_if_absent(world, kind) -> None:
    lived = live(world, ABSENT[kind])
    assert lived.errors == []
    assert len(lived.ends) == OTHERS
    first = [time for time in lived.sent if time < 0.01]
    assert len(first) == 8
    # Neither at once nor endlessly later.
    assert 0.015 < lived.sent[8] < BASE + 0.1
    assert max(lived.ends) < 30
    assert lived.trace == live(world, {}).trace


@pytest.mark.parametrize("kind", TOO_LONG)
def test_what_nobody_waits_for_is_an_error_of_all_at_once(world, kind) -> None:
    lived = live(world, TOO_LONG[kind])
    assert len(lived.errors) == OTHERS
    assert all(error.retry_after > 59 for error in lived.errors)
    assert max(lived.ends) < BUSY
    # What was on its way when it was said, and nothing after it.
    assert len(lived.sent) == sum(error.sent for error in lived.errors) == 8


@pytest.mark.parametrize("kind", ["seconds", "nan", "61"])
def test_the_same_seed_gives_the_same_trace(world, kind) -> None:
    headers = (ABSENT | TOO_LONG).get(kind) or HONOURED[kind][0]
    one, same, other = (live(world, headers, seed).trace for seed in (1, 1, 2))
    assert one == same
    assert one != other
