# ruff: noqa: ANN001 - the lab comes from a conftest, whose types cannot be imported
"""What goes over the wire, and what became of it, over real sockets."""

import gc
import gzip
import threading
from collections.abc import Callable
from contextlib import aclosing
from typing import Any

import anyio
import anyio.to_thread
import attrs
import pytest

from aiocake._messages import Response
from aiocake._transport import dial
from aiocake._transport.body import LARGEST_BODY
from aiocake.config import Throttle, Timeouts
from aiocake.errors import (
    ArgumentError,
    CakeError,
    DeadlineExceeded,
    DecodeError,
    NotSent,
    RequestRejected,
    ServerError,
)
from aiocake.values import Idempotency

pytestmark = pytest.mark.anyio

ONE = Throttle(concurrency=1)


async def test_a_call_comes_back_with_its_answer(lab) -> None:
    server = lab.obedient()
    async with aclosing(lab.transport(server)) as transport:
        for _ in range(3):
            done = await transport.exchange(lab.get, lab.fine, lab.plan())
            assert done.response is not None
            assert done.response.status == 200
            assert done.response.body == b"ok"
            assert done.response.headers == {"content-length": "2"}
            assert done.error is None
            assert (done.attempts, done.sent, done.sent_before) == (1, True, False)
        assert transport.stats().in_flight == 0
    assert len(server.connections) == 1


async def test_the_request_on_the_wire(lab) -> None:
    server = lab.obedient()
    async with aclosing(lab.transport(server)) as transport:
        await transport.exchange(lab.get, lab.fine, lab.plan())
        await transport.exchange(lab.form, lab.fine, lab.plan(Idempotency.IDEMPOTENT))
    encoded = "canary-K3Y%3C%26%22%3E%2F%2B%25%3D"
    line, *headers = server.requests[0].decode().split("\r\n")
    assert line == f"GET /api/2/invoices.json?api_key={encoded}&row_limit=1 HTTP/1.1"
    assert [header for header in headers if header] == [
        f"Host: 127.0.0.1:{server.port}",
        "User-Agent: aiocake/test",
        "Accept-Encoding: gzip, deflate",
    ]
    line, *rest = server.requests[1].decode().split("\r\n")
    assert line == "POST /api/1/accounting.asmx/Mark HTTP/1.1"
    assert rest[-1] == f"api_key={encoded}&bill_id=1"
    assert f"Content-Length: {len(rest[-1])}" in rest
    assert "Content-Type: application/x-www-form-urlencoded" in rest


async def test_nothing_is_sent_to_a_host_that_refuses(lab) -> None:
    server = lab.obedient()
    server.close()
    async with aclosing(lab.transport(server)) as transport:
        for idempotency in Idempotency:
            done = await transport.exchange(lab.get, lab.fine, lab.plan(idempotency))
            assert isinstance(done.error, NotSent)
            assert "refused" in str(done.error) or "failed" in str(done.error)
            assert (done.attempts, done.sent, done.sent_before) == (3, False, False)
            assert done.left_at is None


async def test_nothing_is_sent_to_a_host_that_does_not_exist(lab) -> None:
    async with aclosing(lab.transport("no-such-host.invalid")) as transport:
        done = await transport.exchange(lab.get, lab.fine, lab.plan(attempts=1))
    assert isinstance(done.error, NotSent)


def reset(connection) -> None:
    connection.reset()


def end(connection) -> None:
    connection.socket.close()


def half_close(connection) -> None:
    connection.socket.shutdown(1)
    connection.until_closed()


def garble(connection) -> None:
    connection.send(b"\x00\x01 this is no HTTP\r\n\r\n")


def two_lengths(connection) -> None:
    connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nokk")


def switch_protocols(connection) -> None:
    connection.send(b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n")


def long_header(connection) -> None:
    connection.send(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200_000)


def cut_head(connection) -> None:
    connection.send(b"HTTP/1.1 200 OK\r\nContent-Le")


def cut_body(connection) -> None:
    connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")


def cut_chunks(connection) -> None:
    connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n")


def cut_gzip(connection) -> None:
    body = gzip.compress(bytes(1000))[:-9]
    connection.answer(body, "Content-Encoding: gzip")


def cut_gzip_until_end(connection) -> None:
    connection.send(b"HTTP/1.0 200 OK\r\nContent-Encoding: gzip\r\n\r\n")
    connection.send(gzip.compress(bytes(1000))[:-9])


BREAKS = [
    reset,
    end,
    half_close,
    garble,
    two_lengths,
    switch_protocols,
    long_header,
    cut_head,
    cut_body,
    cut_chunks,
    cut_gzip,
    cut_gzip_until_end,
]


@pytest.mark.parametrize("idempotency", Idempotency)
@pytest.mark.parametrize("how", BREAKS)
async def test_an_answer_that_is_not_whole_leaves_the_outcome_open(lab, how, idempotency) -> None:
    def script(connection) -> None:
        if connection.request():
            how(connection)

    server = lab.serve(script)
    async with aclosing(lab.transport(server)) as transport:
        done = await transport.exchange(lab.post, lab.fine, lab.plan(idempotency))
        assert transport.stats().in_flight == 0
    attempts = 1 if idempotency is Idempotency.NON_IDEMPOTENT else 3
    assert isinstance(done.error, DecodeError)
    assert done.response is None
    assert (done.attempts, done.sent, done.sent_before) == (attempts, True, attempts > 1)
    assert (done.left_at is None) == (idempotency is Idempotency.SAFE)
    assert len(server.requests) == attempts


@pytest.mark.parametrize("how", BREAKS)
async def test_after_a_broken_answer_the_next_call_works(lab, how) -> None:
    def script(connection) -> None:
        while connection.request():
            if connection.number < 1:
                how(connection)
                return
            connection.send(lab.ok)

    async with aclosing(lab.transport(lab.serve(script), throttle=ONE)) as transport:
        for attempts in (2, 1):
            done = await transport.exchange(lab.get, lab.fine, lab.plan())
            assert done.response is not None
            assert done.response.body == b"ok"
            assert done.attempts == attempts


async def test_a_connection_that_ends_on_accept_is_never_taken_for_not_sent(lab) -> None:
    def script(connection) -> None:
        connection.reset()

    server = lab.serve(script)
    async with aclosing(lab.transport(server)) as transport:
        for _ in range(20):
            done = await transport.exchange(
                lab.post, lab.fine, lab.plan(Idempotency.NON_IDEMPOTENT)
            )
            assert done.error is not None
            assert isinstance(done.error, NotSent) == (not done.sent)


async def test_an_answer_that_does_not_come_is_slow(lab) -> None:
    def script(connection) -> None:
        connection.request()
        connection.until_closed()

    server = lab.serve(script)
    async with aclosing(lab.transport(server)) as transport:
        done = await transport.exchange(lab.get, lab.fine, lab.plan(read=0.05))
        assert isinstance(done.error, DeadlineExceeded)
        assert (done.attempts, done.sent, done.sent_before) == (3, True, True)
        done = await transport.exchange(
            lab.post, lab.fine, lab.plan(Idempotency.NON_IDEMPOTENT, read=0.05)
        )
        assert isinstance(done.error, DeadlineExceeded)
        assert (done.attempts, done.sent, done.sent_before) == (1, True, False)


async def test_the_deadline_ends_what_no_other_time_limit_does(lab) -> None:
    def script(connection) -> None:
        connection.request()
        while not connection.server.go_on.wait(0.01):
            connection.send(b"HTTP/1.1 103 Early Hints\r\n\r\n")

    async with aclosing(lab.transport(lab.serve(script))) as transport:
        done = await transport.exchange(
            lab.post, lab.fine, lab.plan(Idempotency.IDEMPOTENT, total=0.2)
        )
        assert isinstance(done.error, DeadlineExceeded)
        assert (done.attempts, done.sent, done.sent_before) == (1, True, False)
        assert transport.stats().in_flight == 0


async def test_an_early_refusal_is_read_although_the_body_was_not(lab) -> None:
    def script(connection) -> None:
        connection.socket.recv(100)
        connection.answer(b"too large", "Connection: close", status="413 Too Large")
        connection.until_closed()

    def check(response: Response) -> CakeError | None:
        return RequestRejected(response.body.decode(), status=response.status)

    async with aclosing(lab.transport(lab.serve(script))) as transport:
        done = await transport.exchange(lab.post, check, lab.plan(Idempotency.NON_IDEMPOTENT))
    assert isinstance(done.error, RequestRejected)
    assert done.error.status == 413
    assert done.attempts == 1


@pytest.fixture
def gone_first(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], None]:
    """See that a server has sent all that it sends, and reset the connection, before a request."""

    def see(server) -> None:
        connect = dial.open_socket

        def until_the_end() -> None:
            server.accepted.acquire()
            server.go_on.set()
            server.join(len(server.connections) - 1)
            server.go_on.clear()

        async def after_the_end(*where: Any) -> object:  # noqa: ANN401 - handed on
            opened = await connect(*where)
            await anyio.to_thread.run_sync(until_the_end)
            return opened

        monkeypatch.setattr(dial, "open_socket", after_the_end)

    return see


@pytest.mark.parametrize("idempotency", Idempotency)
@pytest.mark.parametrize("kind", ["get", "post"])
@pytest.mark.parametrize("status", ["200 OK", "201 Created", "302 Found"])
async def test_a_yes_to_a_request_that_could_not_be_sent_is_none(
    lab, gone_first, status: str, kind: str, idempotency: Idempotency
) -> None:
    def script(connection) -> None:
        connection.server.go_on.wait(20)
        connection.answer(b"ok", status=status)
        connection.reset()

    server = lab.serve(script)
    gone_first(server)
    async with aclosing(lab.transport(server)) as transport:
        done = await transport.exchange(getattr(lab, kind), lab.fine, lab.plan(idempotency))
    assert server.requests == []
    assert done.response is None
    assert isinstance(done.error, NotSent | DecodeError)
    assert done.attempts == (1 if idempotency is Idempotency.NON_IDEMPOTENT and done.sent else 3)


@pytest.mark.parametrize("idempotency", Idempotency)
@pytest.mark.parametrize("status", [400, 408, 413, 502])
async def test_a_no_to_a_request_that_could_not_be_sent_counts(
    lab, gone_first, status: int, idempotency: Idempotency
) -> None:
    def script(connection) -> None:
        connection.server.go_on.wait(20)
        connection.answer(b"no", status=f"{status} No")
        connection.reset()

    server = lab.serve(script)
    gone_first(server)
    checked: list[int] = []

    def check(response: Response) -> CakeError | None:
        checked.append(response.status)
        return ServerError("no", status=response.status)

    async with aclosing(lab.transport(server)) as transport:
        done = await transport.exchange(lab.get, check, lab.plan(idempotency))
    assert isinstance(done.error, ServerError)
    assert checked == [status] * (1 if idempotency is Idempotency.NON_IDEMPOTENT else 3)


SURPLUS = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nWRONG"


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok" + SURPLUS,
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokWRONG",
        b"HTTP/1.1 204 No Content\r\n\r\nWRONG",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n" + SURPLUS,
        # The answer fills what the library reads at once, the surplus is in what comes behind.
        b"HTTP/1.1 200 OK\r\nContent-Length: 65496\r\n\r\n" + b" " * 65496 + SURPLUS,
    ],
)
async def test_what_lies_behind_an_answer_is_not_taken_for_the_next(lab, answer) -> None:
    sent = threading.Event()

    def script(connection) -> None:
        if connection.request() and connection.number == 0:
            try:
                connection.send(answer)
            finally:  # a client that has seen the surplus by now may have closed the connection
                sent.set()
            connection.until_closed()
            return
        connection.send(lab.ok)
        while connection.request():
            connection.send(lab.ok)

    server = lab.serve(script)
    async with aclosing(lab.transport(server, throttle=ONE)) as transport:
        await transport.exchange(lab.get, lab.fine, lab.plan())
        # A long answer can be read before the end of what was sent has come.
        assert await anyio.to_thread.run_sync(sent.wait, 20)
        for _ in range(2):
            done = await transport.exchange(lab.get, lab.fine, lab.plan())
            assert done.response is not None
            assert done.response.body == b"ok"
            assert done.attempts == 1
    assert len(server.connections) == 2


async def test_an_idle_connection_that_was_closed_is_replaced_unseen(lab) -> None:
    def script(connection) -> None:
        connection.request()
        connection.send(lab.ok)

    server = lab.serve(script)
    async with aclosing(lab.transport(server, throttle=ONE)) as transport:
        for number in range(3):
            done = await transport.exchange(lab.post, lab.fine, lab.plan(Idempotency.IDEMPOTENT))
            assert done.response is not None
            assert done.response.body == b"ok"
            # The server closes: wait until it has, so that the close is there to be seen.
            server.join(number)
    assert len(server.requests) == 3


async def test_a_call_that_must_not_be_repeated_goes_over_a_fresh_connection(lab) -> None:
    server = lab.obedient()
    async with aclosing(lab.transport(server, throttle=ONE)) as transport:
        for idempotency in (
            Idempotency.SAFE,
            Idempotency.NON_IDEMPOTENT,
            Idempotency.IDEMPOTENT,
            Idempotency.NON_IDEMPOTENT,
        ):
            done = await transport.exchange(lab.post, lab.fine, lab.plan(idempotency))
            assert done.attempts == 1
            assert done.error is None
    # The read's, the first create's (which the update goes over, too), the second create's.
    assert len(server.connections) == 3


async def test_a_body_above_the_cap_is_refused_at_once(lab) -> None:
    def script(connection) -> None:
        connection.request()
        connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        megabyte = b"100000\r\n" + bytes(0x100000) + b"\r\n"
        for _ in range(LARGEST_BODY // 0x100000 + 2):
            connection.send(megabyte)

    server = lab.serve(script)
    async with aclosing(lab.transport(server)) as transport:
        done = await transport.exchange(lab.get, lab.fine, lab.plan())
    assert isinstance(done.error, DecodeError)
    assert "longer than" in str(done.error)
    assert done.attempts == 1


async def test_each_slot_has_a_connection_of_its_own(lab) -> None:
    server = lab.obedient()
    async with aclosing(lab.transport(server, throttle=Throttle(concurrency=2))) as transport:
        for _ in range(3):
            await transport.exchange(lab.get, lab.fine, lab.plan(export=True))
            await transport.exchange(lab.get, lab.fine, lab.plan())
    assert len(server.connections) == 2


async def test_redirects_are_not_followed_and_cookies_not_kept(lab) -> None:
    def script(connection) -> None:
        while line := connection.request().partition(b" HTTP")[0]:
            echo = line.split(b" ")[1].decode()
            connection.answer(
                b"", f"Location: https://x{echo}", "Set-Cookie: a=b", status="302 Found"
            )

    server = lab.serve(script)
    async with aclosing(lab.transport(server)) as transport:
        for _ in range(2):
            done = await transport.exchange(lab.get, lab.fine, lab.plan())
            assert done.response is not None
            assert done.response.status == 302
            assert "canary" not in repr(done.response)
            assert "api_key=<key>" in done.response.headers["location"]
    assert len(server.requests) == 2
    assert not any(b"cookie" in request.lower() for request in server.requests)


async def test_an_illegal_request_is_not_sent(lab) -> None:
    server = lab.obedient()
    bad_method = attrs.evolve(lab.post, method="PO ST")
    bad_header = attrs.evolve(lab.post, headers=(("X-Bad", "a\r\nX-Other: b"),))
    async with aclosing(lab.transport(server)) as transport:
        done = await transport.exchange(bad_method, lab.fine, lab.plan(Idempotency.IDEMPOTENT))
        assert isinstance(done.error, NotSent)
        assert (done.attempts, done.sent) == (1, False)
        for idempotency in Idempotency:
            with pytest.raises(ArgumentError, match="X-Bad"):
                await transport.exchange(bad_header, lab.fine, lab.plan(idempotency))
        assert transport.stats().in_flight == 0
        assert (await transport.exchange(lab.get, lab.fine, lab.plan())).error is None
    assert len(server.requests) == 1


async def test_a_connection_that_cannot_be_made_in_time_is_not_sent(lab, monkeypatch) -> None:
    async def never(*_: object) -> None:
        await anyio.sleep_forever()

    monkeypatch.setattr(dial, "open_socket", never)
    server = lab.obedient()
    timeouts = Timeouts(connect=0.01)
    async with aclosing(lab.transport(server, timeouts=timeouts)) as transport:
        done = await transport.exchange(lab.post, lab.fine, lab.plan(Idempotency.NON_IDEMPOTENT))
    assert isinstance(done.error, NotSent)
    assert (done.attempts, done.sent) == (3, False)


async def test_nothing_is_left_behind(lab) -> None:
    server = lab.obedient()
    transport = lab.transport(server)
    await transport.exchange(lab.get, lab.fine, lab.plan())
    await transport.aclose()
    del transport
    gc.collect()  # a socket that was not closed would be an error here
