"""An export of anything else than bills is read without a change in the codec."""

import json
from collections.abc import Callable
from contextlib import aclosing
from datetime import date
from decimal import Decimal

import attrs
import pytest

from aiocake._codec.exports import BillStream
from aiocake._operations.operation import Api, Operation, ResponseShape
from aiocake.errors import ApiError, CakeError, DecodeError
from aiocake.records import Record


@attrs.frozen(kw_only=True)
class Source(Record):
    affiliate_id: int
    affiliate_name: str | None = None


@attrs.frozen(kw_only=True)
class Conversion(Record):
    conversion_id: int
    conversion_date: date
    amount: Decimal
    source: Source
    note: str | None = None
    test: bool = False


pytestmark = pytest.mark.anyio

EXPORT: Operation[Conversion] = Operation(
    name="conversions.export",
    api=Api.V1,
    path="/api/1/reports.asmx",
    call="ExportConversions",
    shape=ResponseShape.STREAM,
    element="conversions",
    row="conversion",
    model=Conversion,
    documented_in="",
)
ROW: dict[str, object] = {
    "conversion_id": 7,
    "conversion_date": "2024-02-15T10:00:00",
    "amount": "-12.50",
    "source": {"affiliate_id": 3, "affiliate_name": "Müller & Söhne"},
    "note": "",
    "campaign": {"id": 5},
}
FIRST = Conversion(
    conversion_id=7,
    conversion_date=date(2024, 2, 15),
    amount=Decimal("-12.50"),
    source=Source(affiliate_id=3, affiliate_name="Müller & Söhne"),
)
SECOND = attrs.evolve(FIRST, conversion_id=8, test=True)


def element(name: str, value: object) -> str:
    if isinstance(value, dict):
        inner = "".join(element(each, within) for each, within in value.items())
        return f"<{name}>{inner}</{name}>"
    return f"<{name}>{str(value).replace('&', '&amp;')}</{name}>"


def xml(*rows: dict[str, object], count: int) -> str:
    listed = "".join(element("conversion", row) for row in rows)
    return (
        '<conversions_response xmlns="http://cakemarketing.com/api/1/"><success>true</success>'
        f"<row_count> {count} </row_count><conversions>{listed}</conversions>"
        "</conversions_response>"
    )


def soap(*rows: dict[str, object], count: int) -> str:
    return (
        '<soap:Envelope xmlns:soap="http://www.w3.org/2003/05/soap-envelope"><soap:Body>'
        f"<ExportConversionsResponse>{xml(*rows, count=count)}</ExportConversionsResponse>"
        "</soap:Body></soap:Envelope>"
    )


def by_json(*rows: dict[str, object], count: int) -> str:
    return json.dumps({"d": {"success": True, "row_count": count, "conversions": rows}})


Form = Callable[..., str]
FORMS = pytest.mark.parametrize("form", [xml, soap, by_json])


async def read(body: str) -> tuple[list[Conversion], CakeError | None, BillStream[Conversion]]:
    """The rows, the error that they end in, and the stream that they came from."""

    async def pieces():  # noqa: ANN202 - an async iterator of bytes
        data = body.encode()
        for at in range(0, len(data), 50):
            yield data[at : at + 50]

    rows: list[Conversion] = []
    # Where reading ends in an error, nobody else closes the generator.
    async with aclosing(pieces()) as chunks:
        stream = BillStream(EXPORT, 200, {}, chunks)
        try:
            async for row in stream:
                rows.append(row)  # noqa: PERF401 - what came before an error counts
        except CakeError as error:
            return rows, error, stream
    return rows, None, stream


@FORMS
async def test_rows_are_read_by_the_fields_of_their_model(form: Form) -> None:
    second = {**ROW, "conversion_id": 8, "test": "true"}
    rows, error, stream = await read(form(ROW, second, count=2))
    assert error is None
    assert rows == [FIRST, SECOND]
    assert (stream.success, stream.row_count, stream.rows_read) == (True, 2, 2)
    assert "conversions.note" in stream.lenient.fields


@FORMS
async def test_rows_that_are_alike_are_all_given(form: Form) -> None:
    rows, error, stream = await read(form(ROW, ROW, count=2))
    assert (rows, error, stream.repeated) == ([FIRST, FIRST], None, (0, None))


@FORMS
@pytest.mark.parametrize(
    ("change", "path", "reason"),
    [
        ({"amount": "12,50"}, "amount", "is not a number"),
        ({"conversion_id": "0"}, "conversion_id", "is not an id"),
        ({"source": {"affiliate_id": "x"}}, "source.affiliate_id", "is not an integer"),
        ({"source": {}}, "source", ""),
    ],
)
async def test_a_row_that_cannot_be_read_is_named(
    form: Form, change: dict[str, object], path: str, reason: str
) -> None:
    rows, error, stream = await read(form(ROW, ROW | change, count=2))
    assert isinstance(error, DecodeError)
    assert error.path is not None
    assert error.path.startswith(f"conversions[1].{path}")
    assert reason in str(error)
    assert "(after 1 row)" in str(error)
    assert (len(rows), stream.rows_read) == (1, 1)


@FORMS
async def test_fewer_rows_than_it_says_are_refused(form: Form) -> None:
    rows, error, _ = await read(form(ROW, ROW, count=3))
    assert isinstance(error, DecodeError)
    assert "2 rows where row_count is 3" in str(error)
    assert len(rows) == 2


@pytest.mark.parametrize(
    "body",
    [
        "<r><success>false</success><message>no</message></r>",
        '{"success": false, "message": "no"}',
    ],
)
async def test_an_error_in_its_place_is_raised(body: str) -> None:
    rows, error, _ = await read(body)
    assert rows == []
    assert type(error) is ApiError
    assert error.message == "no"
