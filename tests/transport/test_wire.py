"""What goes over the wire, and what became of it, over real sockets."""

import gc
from contextlib import aclosing

import pytest

from aiocake._wire import Response
from aiocake.errors import CakeError, DecodeError, NotSent
from aiocake.values import Effect

pytestmark = pytest.mark.anyio


def fine(response: Response) -> CakeError | None:
    """Take every answer for a success."""
    return None


async def test_a_call_comes_back_with_its_answer(serve, make, get, plan, ok) -> None:
    def script(connection) -> None:
        while connection.request():
            connection.send(ok)

    server = serve(script)
    async with aclosing(make(server)) as transport:
        for _ in range(3):
            done = await transport.exchange(get, fine, plan())
            assert done.response is not None
            assert done.response.status == 200
            assert done.response.body == b"ok"
            assert done.error is None
            assert (done.attempts, done.sent, done.sent_before) == (1, True, False)
        assert transport.stats().in_flight == 0
    assert len(server.connections) == 1


async def test_the_request_on_the_wire(serve, make, get, form, plan, ok) -> None:
    def script(connection) -> None:
        while connection.request():
            connection.send(ok)

    server = serve(script)
    async with aclosing(make(server)) as transport:
        await transport.exchange(get, fine, plan())
        await transport.exchange(form, fine, plan(Effect.SETS))
    encoded = "canary-K3Y%3C%26%22%3E%2F%2B%25%3D"
    line, *headers = server.requests[0].decode().split("\r\n")
    assert line == f"GET /api/2/invoices.json?api_key={encoded}&row_limit=1 HTTP/1.1"
    assert [h for h in headers if h] == [
        f"Host: 127.0.0.1:{server.port}",
        "User-Agent: aiocake/test",
        "Accept-Encoding: gzip, deflate",
    ]
    line, *rest = server.requests[1].decode().split("\r\n")
    assert line == "POST /api/1/accounting.asmx/Mark HTTP/1.1"
    assert rest[-1] == f"api_key={encoded}&bill_id=1"
    assert f"Content-Length: {len(rest[-1])}" in rest
    assert "Content-Type: application/x-www-form-urlencoded" in rest


async def test_nothing_is_sent_to_a_host_that_refuses(serve, make, get, plan) -> None:
    server = serve(lambda connection: None)
    server.close()
    for effect in Effect:
        async with aclosing(make(server)) as transport:
            done = await transport.exchange(get, fine, plan(effect))
            assert isinstance(done.error, NotSent)
            assert (done.attempts, done.sent, done.sent_before) == (3, False, False)
            assert done.left_at is None


@pytest.mark.parametrize("effect", Effect)
async def test_an_answer_that_never_came_may_have_been_carried_out(
    serve, make, post, plan, effect
) -> None:
    def script(connection) -> None:
        connection.request()
        connection.reset()

    server = serve(script)
    async with aclosing(make(server)) as transport:
        done = await transport.exchange(post, fine, plan(effect))
        attempts = 1 if effect is Effect.ONCE else 3
        assert isinstance(done.error, DecodeError)
        assert (done.attempts, done.sent, done.sent_before) == (attempts, True, attempts > 1)
        assert (done.left_at is None) == (effect is Effect.READ)
    assert len(server.requests) == attempts


async def test_nothing_is_left_behind(serve, make, get, plan, ok) -> None:
    def script(connection) -> None:
        connection.request()
        connection.send(ok)

    async with aclosing(make(serve(script))) as transport:
        await transport.exchange(get, fine, plan())
    del transport
    gc.collect()  # a socket that was not closed is an error here
