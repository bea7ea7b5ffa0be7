"""Whatever bytes come as an answer: they are read, or are an error of aiocake; nothing else.

Random bytes seldom get far into a decoder. So most of what is tried here was a good answer once, of
each operation, each form and each dialect, and then had some of it cut, moved, doubled or replaced.
"""

import importlib
import itertools
import pkgutil
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import date
from typing import Any, Self

import anyio
import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.responses import Response as Answered

from aiocake import Binding, CakeError, Client, Outcome, endpoints
from aiocake._codec.codec import decode, error_of, read_reply
from aiocake._codec.exports import BillStream
from aiocake._codec.raw import error_of_raw
from aiocake._codec.raw_response import RawResponse
from aiocake._messages import Response
from aiocake._operations.operation import Api, Operation, ResponseShape
from aiocake._operations.parameters import Bool, Choice, Date, Id, Money, Parameter
from aiocake.sandbox import Dialect, RecordedRequest, Sandbox
from aiocake.values import Idempotency

from ..support.amounts import some
from ..support.clients import KEY, NO_BACKOFF


def operations() -> Iterator[Operation[Any]]:
    for each in pkgutil.iter_modules(endpoints.__path__):
        for value in vars(importlib.import_module(f"aiocake.endpoints.{each.name}")).values():
            if isinstance(value, Operation):
                yield value


OPERATIONS = {each.name: each for each in operations()}
WHOLE = [name for name, each in OPERATIONS.items() if each.shape is not ResponseShape.STREAM]
STREAMED = [name for name, each in OPERATIONS.items() if each.shape is ResponseShape.STREAM]
DIALECTS = [
    Dialect(),
    Dialect(envelope="wrapped", invoice_fields="payout", money="number", v1_format="json"),
    Dialect(error_status="typed", lookup_success=False),
]
STATUSES = st.sampled_from([200, 200, 200, 201, 204, 302, 400, 404, 415, 429, 500, 503, 599])
BILLS = {"affiliate_bills": 345, "advertiser_bills": 1_000_000, "buyer_bills": 2_000_000}
IDS = {"invoice_id": 4821, "affiliate_id": 67890}
PLAIN: Mapping[type[Parameter], object] = {
    Money: 20,
    Date: date(2014, 6, 1),
    Bool: False,
    Choice: "all",
}
#: What an answer is made of, and what it must not be made of.
TOKENS = [
    *(b"", b"\0", b"\xff", b"\xef\xbb\xbf", b"\xed\xa0\x80", b"\xd9\xa1", b"\r\n", b" "),
    *(b"<", b">", b"&", b'"', b"'", b"/", b"=", b"{", b"}", b"[", b"]", b",", b":"),
    *(b"<a>", b"</a>", b"<a/>", b"<a b='c' b='d'>", b"<a>" * 70, b"x:", b" xmlns='x'"),
    *(b"<!--", b"-->", b"<![CDATA[", b"]]>", b"<?x ?>", b"<!DOCTYPE a [<!ENTITY b 'c'>]>"),
    *(b"&b;", b"&#xB;", b"&#0;", b"&#xD800;", b"&#1114112;", b"&#;", b" xsi:nil='true'"),
    *(b"<success>", b"<success>maybe</success>", b"<row_count>99</row_count>", b"<bill_id>"),
    *(b"<message>Restricted</message>", b'"d":', b'"success":', b'"request_status":[]'),
    *(b'"errors":["a"]', b'"\\ud800"', b'"\\u0000"', b"[" * 2000, b'{"a":' * 70),
    *(b"null", b"true", b"NaN", b"-0", b"-1", b"1.5", b"1e999999", b"9" * 40, b"4294967296"),
    *(b"1_000", b"0x10", b"1,000.00", b"9999-99-99", b"2014-02-30T25:61:61Z"),
]


def arguments_of(operation: Operation[Any]) -> dict[str, object]:
    """As few as the operation takes."""
    found: dict[str, object] = {}
    for each in operation.parameters:
        if each.required:
            group = operation.name.partition(".")[0]
            ids = IDS.get(each.name, BILLS.get(group))
            found[each.name] = ids if isinstance(each, Id) else PLAIN[type(each)]
    if operation.name == "invoices.update":
        found["invoice_status"] = "approved"
    return found


async def _answers() -> dict[str, list[bytes]]:
    found: dict[str, list[bytes]] = {name: [] for name in OPERATIONS}

    for dialect, binding in itertools.product(DIALECTS, Binding):
        sandbox = Sandbox(invoices=3, bills=3, dialect=dialect)
        bodies: list[bytes] = []

        def keep(_: RecordedRequest, answer: Answered, bodies: list[bytes] = bodies) -> None:
            bodies.append(bytes(answer.body))

        sandbox.state.on_response.append(keep)
        transport = httpx.ASGITransport(app=sandbox.app)
        async with Client("x.example", KEY, transport=transport, binding=binding) as cake:
            for name, operation in OPERATIONS.items():
                given = arguments_of(operation)
                if operation.shape is ResponseShape.STREAM:
                    given |= {
                        "billing_period_start_date": date(2013, 12, 1),
                        "billing_period_end_date": date(2015, 2, 1),
                    }
                    await cake._executor.stream(operation, given).collect()
                else:
                    await cake._executor.execute(operation, given)
                found[name].append(bodies.pop())
    return found


@pytest.fixture(scope="module")
def answers() -> dict[str, list[bytes]]:
    """Good answers to each operation."""
    return anyio.run(_answers)


#: The text of an element, or a value of JSON.
VALUE = re.compile(rb">([^<>]+)<|:\s*(\"[^\"]*\"|[-0-9.]+|true|false|null)")


def misvalued(data: st.DataObject, body: bytes) -> bytes:
    """A body in which something else stands in place of one value."""
    found = [each for each in VALUE.finditer(body) if each.lastindex]
    if not found:
        return body
    chosen = data.draw(st.sampled_from(found))
    start, end = chosen.span(chosen.lastindex or 0)
    token = data.draw(st.sampled_from(TOKENS))
    quoted = body[start:end].startswith(b'"') and data.draw(st.booleans())
    return body[:start] + (b'"%b"' % token if quoted else token) + body[end:]


def damaged(data: st.DataObject, body: bytes) -> bytes:
    """A body after one to four accidents."""
    for _ in range(data.draw(st.sampled_from([1, 1, 1, 2, 3, 4]))):
        accident = data.draw(st.sampled_from(["value"] * 4 + ["put", "double", "move", "junk"]))
        if accident == "value":
            body = misvalued(data, body)
            continue
        start = data.draw(st.integers(0, len(body)))
        end = min(len(body), start + data.draw(st.sampled_from([0, 1, 1, 4, 20, 200, 10**6])))
        part = body[start:end]
        if accident == "double":
            part += part
        elif accident == "move":
            to = data.draw(st.integers(0, start))
            body = body[:to] + part + body[to:]
            part, start, end = b"", start + len(part), end + len(part)
        elif accident == "junk":
            part = data.draw(st.binary(max_size=20))
        else:
            part = data.draw(st.sampled_from(TOKENS))
        body = body[:start] + part + body[end:]
    return body


def bodies(data: st.DataObject, good: list[bytes]) -> bytes:
    if data.draw(st.integers(0, 9)) == 0:
        return data.draw(st.binary(max_size=100))
    return damaged(data, data.draw(st.sampled_from(good)))


@pytest.mark.parametrize("name", WHOLE)
@settings(max_examples=some(40))
@given(data=st.data())
def test_a_whole_answer(answers: dict[str, list[bytes]], name: str, data: st.DataObject) -> None:
    operation, given = OPERATIONS[name], arguments_of(OPERATIONS[name])
    body = bodies(data, answers[name])
    reply = read_reply(Response(data.draw(STATUSES), {"content-type": "text/xml"}, body))
    error = error_of(operation, reply, given)
    assert error is None or isinstance(error, CakeError)
    if error is not None:
        assert len(str(error)) < 1000
        return
    # Whatever else it raised would end the test.
    with suppress(CakeError):
        decode(operation, given, reply, repeated=data.draw(st.booleans()))


@pytest.mark.parametrize("name", WHOLE)
def test_the_answers_are_good_before_they_are_damaged(
    answers: dict[str, list[bytes]], name: str
) -> None:
    assert len(answers[name]) == len(DIALECTS) * len(Binding)
    for body in answers[name]:
        reply = read_reply(Response(200, {}, body))
        assert error_of(OPERATIONS[name], reply) is None
        decode(OPERATIONS[name], arguments_of(OPERATIONS[name]), reply)


@settings(max_examples=some(100))
@given(data=st.data())
def test_an_answer_to_a_call_without_a_method(
    answers: dict[str, list[bytes]], data: st.DataObject
) -> None:
    body = bodies(data, answers[data.draw(st.sampled_from(list(OPERATIONS)))])
    response = Response(data.draw(STATUSES), {}, body)
    error = error_of_raw(read_reply(response), data.draw(st.sampled_from(Idempotency)))
    assert error is None or isinstance(error, CakeError)
    answer = RawResponse(response.status, response.headers, body)
    for read in (answer.json, answer.xml):
        with suppress(CakeError):
            read()


class Arriving:
    """A body in pieces; no generator, which trio does not let go half-way."""

    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = iter(pieces)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        for piece in self._pieces:
            return piece
        raise StopAsyncIteration


async def read_bills(
    operation: Operation[Any], status: int, pieces: list[bytes]
) -> tuple[list[object], int | None, type[CakeError] | None]:
    """The bills of an export, how many it said there are, and how it ended."""
    stream = BillStream(operation, status, {}, Arriving(pieces))
    given: list[object] = []
    try:
        async for each in stream:
            given.append(each)  # noqa: PERF401 - what came before an error counts
    except CakeError as error:
        return given, stream.row_count, type(error)
    assert stream.rows_read == len(given)
    return given, stream.row_count, None


def cut(data: st.DataObject, body: bytes) -> list[bytes]:
    places = data.draw(st.sets(st.integers(0, len(body)), max_size=12)) | {0, len(body)}
    return [body[start:end] for start, end in itertools.pairwise(sorted(places))]


@pytest.mark.anyio
@pytest.mark.parametrize("name", STREAMED)
@settings(max_examples=some(40))
@given(data=st.data())
async def test_an_export_in_any_pieces(
    answers: dict[str, list[bytes]], name: str, data: st.DataObject
) -> None:
    operation = OPERATIONS[name]
    body, status = bodies(data, answers[name]), data.draw(STATUSES)
    whole = await read_bills(operation, status, [body])
    # How it is cut into pieces makes no difference.
    assert await read_bills(operation, status, cut(data, body)) == whole
    bills, row_count, error = whole
    if error is None:
        assert row_count in {None, len(bills)}
        assert status in {200, 201}


@pytest.mark.anyio
@pytest.mark.parametrize("name", STREAMED)
async def test_the_exports_are_good_before_they_are_damaged(
    answers: dict[str, list[bytes]], name: str
) -> None:
    for body in answers[name]:
        bills, row_count, error = await read_bills(OPERATIONS[name], 200, [body])
        assert (len(bills), error) == (row_count, None)
        assert bills != []


@pytest.mark.anyio
@settings(max_examples=some(40))
@given(data=st.data())
async def test_a_call_ends_in_its_value_or_in_an_error_with_an_outcome(
    answers: dict[str, list[bytes]], data: st.DataObject
) -> None:
    name = data.draw(st.sampled_from(WHOLE))
    operation, given = OPERATIONS[name], arguments_of(OPERATIONS[name])
    body, status = bodies(data, answers[name]), data.draw(STATUSES)
    transport = httpx.MockTransport(lambda _: httpx.Response(status, content=body))
    async with Client("x.example", KEY, transport=transport, retry=NO_BACKOFF) as cake:
        try:
            # Waits after "Restricted" take seconds.
            await cake.with_options(attempts=1)._executor.execute(operation, given)
        except CakeError as error:
            outcome = error.outcome
        else:
            return
    writes = operation.idempotency is not Idempotency.SAFE
    assert outcome in ({Outcome.NOT_DONE, Outcome.UNKNOWN} if writes else {None})


def test_v1_and_v2_are_both_here() -> None:
    assert {each.api for each in OPERATIONS.values()} == set(Api)
    assert len(STREAMED) == 3
