# ruff: noqa: ANN001 - the lab comes from a conftest, whose types cannot be imported
"""Connections cut or reset at a random byte, there or back: what is said is what happened."""

import random
from collections.abc import Callable
from contextlib import aclosing

import pytest

from aiocake.errors import NotSent
from aiocake.values import Idempotency

from ..support.amounts import some
from .exchange import CallResult

pytestmark = pytest.mark.anyio

SEEDS = range(some(80))


def script_of(seed: int, ok: bytes) -> Callable[..., None]:
    """A server whose first connections break somewhere, and in a third of the cases all of them."""
    dice = random.Random(seed)  # noqa: S311 - no secret
    broken = dice.choice([1, 2, 100])
    plans = [(dice.randrange(300), dice.randrange(len(ok) + 1), dice.random()) for _ in range(8)]

    def script(connection) -> None:
        there, back, way = plans[connection.number]
        if connection.number >= broken:
            while connection.request():
                connection.send(ok)
            return
        if way < 0.3:
            connection.socket.recv(there)
        elif connection.request():
            connection.send(ok[:back])
        if way < 0.65:
            connection.reset()

    return script


def assert_true(done: CallResult, requests: int, idempotency: Idempotency) -> None:
    """Never "nothing was sent" when a whole request arrived; never an answer without one."""
    if isinstance(done.error, NotSent):
        assert not done.sent_before
    if not done.sent and not done.sent_before:
        assert requests == 0
    if done.response is not None:
        assert done.response.body == b"ok"
        assert requests >= 1
    if requests:
        assert done.sent or done.sent_before
        assert (done.left_at is not None) == (idempotency is not Idempotency.SAFE)
    if idempotency is Idempotency.NON_IDEMPOTENT:
        assert requests <= 1
    assert requests <= done.attempts


@pytest.mark.parametrize("idempotency", Idempotency)
async def test_a_connection_cut_at_any_byte(lab, idempotency) -> None:
    for seed in SEEDS:
        server = lab.serve(script_of(seed, lab.ok))
        async with aclosing(lab.transport(server)) as transport:
            done = await transport.exchange(lab.post, lab.fine, lab.plan(idempotency))
            assert transport.stats().in_flight == 0
        server.close()
        try:
            assert_true(done, len(server.requests), idempotency)
        except AssertionError:
            pytest.fail(f"seed {seed}: {done} after {len(server.requests)} requests arrived")
