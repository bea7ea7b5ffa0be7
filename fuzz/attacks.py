"""Answers that are made to harm their reader: each must end in an error at once.

    python fuzz/attacks.py

prints, for each attack and each way in which it can arrive, the CPU that it took and what it ended
in. It ends with 1 when one of them is not refused. The attacks on XML are those of
tests/codec/test_xml_attacks.py, which counts the work that each of them makes.
"""

import gzip
import importlib.util
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any, Final

from aiocake._codec import codec
from aiocake._codec.exports import BillStream
from aiocake._messages import Response
from aiocake._pipeline.retry_after import retry_after
from aiocake._transport.body import Body, read_into
from aiocake._transport.redaction import Scrubber
from aiocake.endpoints import affiliate_bills, invoices
from aiocake.errors import CakeError
from aiocake.values import Secret

sys.path.insert(0, str(Path(__file__).parent))

from targets import Pieces, run

MIB: Final = 1 << 20
#: An export of so many bytes or less is fed in pieces of the smallest size, too.
SMALL: Final = MIB
ROW: Final = (
    '{"invoice_id":%d,"affiliate_id":2,"invoice_status":"pending","affiliate_name":"%s","%s":"%s"}'
)


def page(*rows: str) -> bytes:
    """A page of invoices."""
    return f'{{"request_status":"Success","invoices":[{",".join(rows)}]}}'.encode()


def row(number: int, name: str = "x", field: str = "total_amount", amount: str = "1.00") -> str:
    """An invoice of a page."""
    return ROW % (number, name, field, amount)


def odd(value: str) -> bytes:
    """A page with an odd value in a field that is not known."""
    return page(row(1).replace("}", f',"more":{value}}}')).replace(b"Success", b"success ", 1)


#: Pages of invoices.
PAGES: Final[Mapping[str, Callable[[], bytes]]] = {
    "20 MB of opening brackets": lambda: b"[" * 20_000_000,
    "100,000 levels": lambda: odd("[" * 100_000 + "]" * 100_000),
    "5,000 digits": lambda: odd("9" * 5000),
    "20 MB of digits": lambda: odd("9" * 20_000_000),
    "20 MB of decimals": lambda: odd("0." + "9" * 20_000_000),
    "1e999999": lambda: odd("1e999999"),
    "NaN": lambda: odd("NaN"),
    "500,000 keys, one of them twice": lambda: odd(
        "{" + "".join(f'"{number}":0,' for number in range(500_000)) + '"5":0}'
    ),
    "a name of 5 million backslashes": lambda: page(row(1, "\\\\" * 5_000_000), row(2, amount="x")),
    "100,000 rows of another field, the last of them wrong": lambda: page(
        *(row(n, field="total_payout") for n in range(1, 100_000)),
        row(100_000, field="total_payout", amount="x"),
    ),
    "20 MB of spaces": lambda: b" " * 20_000_000,
    "20 MB of a text without an end": lambda: b'{"request_status":"' + b"a" * 20_000_000,
}
#: Texts with a status of 500.
TEXTS: Final[Mapping[str, Callable[[], bytes]]] = {
    "a reference of 5,000 digits": lambda: b"&#" + b"1" * 5000 + b";",
    "the beginning of a binding error, again and again": lambda: (
        b"<html>" + b"Cannot convert " * 100_000
    ),
    "titles without an end": lambda: b"<html>" + b"<title>" * 1_000_000,
    "20 MB of tabs": lambda: b"<html>" + b"\t" * 20_000_000,
}


def xml() -> Mapping[str, Callable[[], bytes]]:
    """The attacks on XML, by name."""
    file = Path(__file__).parents[1] / "tests" / "codec" / "test_xml_attacks.py"
    spec = importlib.util.spec_from_file_location("xml_attacks", file)
    if spec is None or spec.loader is None:
        raise FileNotFoundError(file)
    tests: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tests)
    return {**tests.DOCTYPES, **{name: make for name, (make, _, _) in tests.ATTACKS.items()}}


def checked(operation: Any, response: Response) -> CakeError | None:  # noqa: ANN401 - of any type
    """Return the error that a whole response is, or that reading it ends in."""
    arguments, reply = {"bill_id": 1}, codec.read_reply(response)
    try:
        error = codec.error_of(operation, reply, arguments)
        if error is None:
            codec.decode(operation, arguments, reply)
    except CakeError as raised:
        return raised
    return error


def marked(status: int, body: bytes) -> CakeError | None:
    """The error that a whole answer to a mark ends in."""
    return checked(affiliate_bills.MARK_PAID, Response(status, {}, body))


async def exported(body: bytes, size: int) -> CakeError | None:
    """The error that an export in pieces of a size ends in."""

    async def pieces() -> AsyncIterator[bytes]:
        for at in range(0, len(body), size):
            yield body[at : at + size]

    bills = BillStream(affiliate_bills.EXPORT, 200, {}, pieces())
    try:
        error = await bills.head()
        while error is None and await anext(bills, None) is not None:
            pass
    except CakeError as raised:
        return raised
    return error


def bomb() -> CakeError | None:
    """The error of a body of 64 MiB that becomes more than that."""
    data = gzip.compress(bytes(128 * MIB), 1)
    fault = run(read_into(BytesIO(), Body(Pieces(data, "gzip", 65536), 64 * MIB)))
    return None if fault is None else fault.error()


def waits() -> CakeError | None:
    """Waits that are no waits."""
    for text in ("9" * 1_000_000, " " * 1_000_000, "Mon, " * 200_000, "٣" * 1000, "-1", "1e400"):
        seconds = retry_after({"retry-after": text, "retry-after-ms": text, "date": text})
        if seconds is not None and seconds < 1e6:
            return None
    return CakeError("no wait that could be kept")


def scrubbed() -> CakeError | None:
    """Texts that make it hard to find a key in them."""
    for key, text in (
        ("0123456789abcdef" * 3, "0123456789abcde" * 100_000),
        ("\\" * 50, "\\" * 10_000 + "x"),
        ("%25" * 16, "%252525" * 10_000),
        ("&amp;" * 10, "&amp;amp;" * 10_000),
        ("a&b%c\\d" * 7, "a&amp;b%25c\\\\d" * 10_000),
    ):
        scrubber = Scrubber()
        scrubber.learn(Secret(key))
        if key in scrubber.scrub(text + key):
            return None
    return CakeError("no key was left")


def attacks() -> Iterator[tuple[str, Callable[[], CakeError | None]]]:
    """All attacks in all ways, one after the other: each gives the error that it ends in."""
    for name, make in xml().items():
        body = make()
        yield f"XML, whole: {name}", partial(marked, 200, body)
        for size in (16, 1024, MIB):
            if size >= 1024 or len(body) <= SMALL or "16 MiB" in name:
                yield f"XML, {size} bytes at a time: {name}", lambda: run(exported(body, size))  # noqa: B023 - called at once
    for name, make in PAGES.items():
        yield f"JSON: {name}", partial(checked, invoices.FIND, Response(200, {}, make()))
    for name, make in TEXTS.items():
        yield f"text: {name}", partial(marked, 500, make())
    yield "gzip: 64 MiB and more", bomb
    yield "Retry-After: odd ones", waits
    yield "scrubbing: hard ones", scrubbed


def main() -> None:
    """Try all of them and print."""
    print(f"{'CPU':>12}  attack")
    all_refused = True
    for name, attack in attacks():
        begin = time.process_time()
        error = attack()
        taken = (time.process_time() - begin) * 1000
        ended = "NOT REFUSED" if error is None else f"{type(error).__name__}: {error}"[:100]
        print(f"{taken:>9.1f} ms  {name}: {ended}")
        all_refused = all_refused and error is not None
    if not all_refused:
        sys.exit(1)


if __name__ == "__main__":
    main()
