"""What each store of a shared quota does, the one of the simulations included."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from aiocake.quota import QuotaReply, QuotaRequest, QuotaStore, QuotaUnavailable

from ..support.redis_server import RedisServer
from .conftest import Place

RATE, BURST = 50.0, 3
INTERVAL, SLACK = 1 / RATE, (BURST - 1) / RATE
#: Two clocks were read, and a double has so many digits.
EXACT = 1e-5


def request(turns: int = 0, member: str = "a", **more: object) -> QuotaRequest:
    given: dict[str, object] = {"interval": INTERVAL, "slack": SLACK, **more}
    return QuotaRequest(member=member, turns=turns, **given)  # type: ignore[arg-type] # they are what they are


def turns(reply: QuotaReply, count: int) -> list[float]:
    """When turns begin, on the store's clock."""
    return [reply.now + at for at in reply.turns(count, INTERVAL)]


def test_a_burst_goes_at_once_and_the_others_at_the_rate(place: Place) -> None:
    store = place.open()
    reply = store.ask(request(6))
    assert reply.turns(6, INTERVAL) == pytest.approx(
        [0, 0, 0, INTERVAL, 2 * INTERVAL, 3 * INTERVAL], abs=EXACT
    )
    again = store.ask(request(1))
    assert turns(again, 1)[0] == pytest.approx(turns(reply, 6)[-1] + INTERVAL, abs=EXACT)


def test_several_processes_share_one_rate(place: Place) -> None:
    count, asked = 4, 30

    def ask(number: int) -> list[float]:
        store: QuotaStore = place.open()
        own: list[float] = []
        for turn in range(asked):
            wanted = 1 + (turn + number) % 3
            own += turns(store.ask(request(wanted, str(number))), wanted)
        return own

    with ThreadPoolExecutor(count) as pool:
        begun = sorted(at for own in pool.map(ask, range(count)) for at in own)
    assert len(begun) == count * asked * 2
    for first, at in enumerate(begun):
        for window in (0.05, 0.5, 3.0):
            last = first
            while last < len(begun) and begun[last] < at + window:
                last += 1
            assert last - first <= RATE * window + BURST + EXACT
    # One after the other, nothing is left out.
    assert begun[-1] - begun[0] == pytest.approx((len(begun) - BURST) * INTERVAL, abs=0.5)


def test_the_processes_that_ask_are_counted(place: Place) -> None:
    store = place.open()
    for name in ("a", "b", "c", "a"):
        reply = store.ask(request(member=name))
    assert reply.members == 3
    assert reply.now == pytest.approx(time.time(), abs=60)


def test_a_pause_holds_for_all(place: Place) -> None:
    store, other = place.open(), place.open()
    before = store.ask(request(1)).pauses
    store.ask(request(pause=30.0))
    store.ask(request(pause=5.0))
    reply = other.ask(request(2, "b"))
    assert reply.pauses == before + 2
    assert reply.pause == pytest.approx(30, abs=5)
    assert reply.refuse == 0
    assert reply.turns(2, INTERVAL)[0] == pytest.approx(reply.pause, abs=EXACT)
    ended = other.ask(request(end_pause=True))
    assert ended.pauses == before + 3
    assert ended.pause == ended.refuse == 0


def test_a_long_pause_says_why(place: Place) -> None:
    place.open().ask(request(refuse=600.0, status=429))
    reply = place.open().ask(request(1, "b"))
    assert (reply.status, reply.refuse) == (429, pytest.approx(600, abs=5))
    assert reply.turns(1, INTERVAL)[0] == pytest.approx(reply.pause, abs=EXACT)


def test_what_was_learnt_is_kept_by_who_is_first(place: Place) -> None:
    store, other = place.open(), place.open()
    assert store.ask(request()).version == 0
    first = store.ask(request(learned='{"a": "1\'2"}', version=0))
    assert (first.version, first.learned) == (1, '{"a": "1\'2"}')
    late = other.ask(request(member="b", learned="{}", version=0))
    assert (late.version, late.learned) == (1, '{"a": "1\'2"}')
    assert other.ask(request(member="b", version=1)).learned is None


def test_what_was_let_in_is_counted(place: Place) -> None:
    store = place.open()
    store.ask(request(3))
    store.ask(request(2))
    reply = store.ask(request(refused=1))
    assert reply.admitted - reply.span_admitted == 4
    assert 0 <= reply.span < 20


def test_after_an_outage_all_return_together(place: Place) -> None:
    store, other = place.open(), place.open()
    first = store.ask(request(1, returning=True))
    assert first.away == pytest.approx(1.5, abs=EXACT)
    second = other.ask(request(1, "b", returning=True))
    assert second.now + second.away == pytest.approx(first.now + first.away, abs=EXACT)
    # Who has not noticed waits, and none is ahead of the others with a burst.
    third = store.ask(request(3, "c"))
    back = first.now + first.away
    assert turns(third, 3) == pytest.approx([back, back + INTERVAL, back + 2 * INTERVAL], abs=EXACT)


def test_who_alone_was_away_returns_at_once(place: Place) -> None:
    store = place.open()
    store.ask(request(1))
    assert store.ask(request(member="b", returning=True)).away == 0


def test_a_wrong_place_is_one_clear_line() -> None:
    from aiocake.quota import Redis  # noqa: PLC0415 - an extra

    nobody = Redis("redis://user:hunter2@127.0.0.1:1/0", name="x")
    with pytest.raises(QuotaUnavailable, match=r"^Redis at 127\.0\.0\.1:1: Connection refused$"):
        nobody.ask(request(1))
    assert "hunter2" not in repr(nobody)


def test_who_closes_a_store_cuts_off_nobody_who_asks(redis_place: RedisServer) -> None:
    from aiocake.quota import Redis  # noqa: PLC0415 - an extra

    store = Redis(redis_place.url, name="x")
    pool = store._redis.connection_pool
    of_another = pool.get_connection()
    socket = of_another._sock
    assert socket is not None
    store.close()
    assert of_another._sock is socket
    pool.release(of_another)
    store.close()
    assert of_another._sock is None
