"""Bodies: decompressed within bounds, and whole only when their own end was seen."""

import gzip
import tracemalloc
import zlib
from collections.abc import Iterable
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiocake._transport.body import Body, read_into
from aiocake._transport.failures import FailureKind, TransportFailure

pytestmark = pytest.mark.anyio

TEXT = b'{"invoices": [' + b'{"invoice_id": 4821},' * 500 + b"]}"


class Raw:
    """A body that comes in these pieces."""

    status = 200

    def __init__(
        self,
        pieces: Iterable[bytes | TransportFailure],
        encoding: str = "",
        length: int | None = None,
    ) -> None:
        self._pieces = iter(pieces)
        self.encoding = encoding
        self.length = length

    async def next(self) -> bytes | TransportFailure | None:
        return next(self._pieces, None)


def deflated(data: bytes, window: int) -> bytes:
    deflate = zlib.compressobj(wbits=window)
    return deflate.compress(data) + deflate.flush()


def cut(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


async def whole(raw: Raw, cap: int = 1_000_000) -> bytes | TransportFailure:
    came = BytesIO()
    fault = await read_into(came, Body(raw, cap))
    return came.getvalue() if fault is None else fault


ENCODED = {
    "": TEXT,
    "identity": TEXT,
    "gzip": gzip.compress(TEXT),
    "x-gzip": gzip.compress(TEXT[:100]) + gzip.compress(TEXT[100:]),
    "deflate": deflated(TEXT, zlib.MAX_WBITS),
}


@pytest.mark.parametrize("size", [1, 2, 7, 100_000])
@pytest.mark.parametrize("encoding", ENCODED)
async def test_each_encoding_gives_what_was_encoded(encoding: str, size: int) -> None:
    assert await whole(Raw(cut(ENCODED[encoding], size), encoding)) == TEXT


async def test_deflate_without_its_header_is_read_too() -> None:
    assert await whole(Raw(cut(deflated(TEXT, -zlib.MAX_WBITS), 9), "deflate")) == TEXT


async def test_pieces_that_inflate_to_much_are_given_bit_by_bit() -> None:
    data = gzip.compress(bytes(3_000_000))
    body = Body(Raw([data], "gzip"), 4_000_000)
    sizes = []
    while isinstance(piece := await body.next(), bytes):
        sizes.append(len(piece))
    assert piece is None
    assert sum(sizes) == 3_000_000
    assert max(sizes) <= 256 * 1024


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
async def test_a_compressed_body_that_is_cut_anywhere_is_not_whole(encoding: str) -> None:
    data = ENCODED[encoding]
    for end in range(1, len(data)):
        fault = await whole(Raw([data[:end]], encoding))
        assert isinstance(fault, TransportFailure)
        assert fault.kind is FailureKind.CONNECTION_LOST
        assert fault.sent


async def test_a_body_shorter_or_longer_than_its_length_is_not_whole() -> None:
    for length in (len(TEXT) - 1, len(TEXT) + 1):
        fault = await whole(Raw([TEXT], length=length))
        assert isinstance(fault, TransportFailure)
        assert fault.kind is FailureKind.CONNECTION_LOST
    assert await whole(Raw([TEXT], length=len(TEXT))) == TEXT


async def test_an_empty_body_is_empty_whatever_it_says_it_is() -> None:
    assert await whole(Raw([], "gzip", 0)) == b""
    assert await whole(Raw([b""], "deflate")) == b""


@pytest.mark.parametrize("encoding", ["br", "gzip,gzip", "gzip, gzip", "zstd", "gzip,identity"])
async def test_unknown_and_stacked_encodings_are_refused(encoding: str) -> None:
    fault = await whole(Raw([TEXT], encoding))
    assert isinstance(fault, TransportFailure)
    assert fault.kind is FailureKind.BODY_REJECTED
    assert not fault.transient


@pytest.mark.parametrize(
    ("data", "encoding"),
    [
        (b"no gzip at all", "gzip"),
        (gzip.compress(TEXT) + b"more", "gzip"),
        (deflated(TEXT, zlib.MAX_WBITS) + b"more", "deflate"),
        (gzip.compress(TEXT)[:-8] + bytes(8), "gzip"),
    ],
    # gzip writes the time into its header: by their bytes, the tests would have other names
    # in each worker that collects them.
    ids=["no gzip", "gzip and more", "deflate and more", "wrong checksum"],
)
async def test_damaged_bodies_are_told(data: bytes, encoding: str) -> None:
    fault = await whole(Raw(cut(data, 50), encoding))
    assert isinstance(fault, TransportFailure)
    assert fault.kind is FailureKind.CONNECTION_LOST


async def test_a_bomb_goes_off_within_bounds() -> None:
    bomb = gzip.compress(bytes(200_000_000), 9)
    tracemalloc.start()
    fault = await whole(Raw([bomb], "gzip"), cap=1_000_000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert isinstance(fault, TransportFailure)
    assert fault.kind is FailureKind.BODY_REJECTED
    assert peak < 4_000_000


async def test_pieces_without_end_stop_at_the_cap() -> None:
    def endless() -> Iterable[bytes]:
        while True:
            yield bytes(1000)

    fault = await whole(Raw(endless()), cap=10_500)
    assert isinstance(fault, TransportFailure)
    assert fault.kind is FailureKind.BODY_REJECTED


async def test_members_without_content_stop_at_the_cap_too() -> None:
    def endless() -> Iterable[bytes]:
        while True:
            yield gzip.compress(b"")

    fault = await whole(Raw(endless(), "gzip"), cap=10_000)
    assert isinstance(fault, TransportFailure)
    assert fault.kind is FailureKind.BODY_REJECTED


async def test_members_without_content_cost_what_they_weigh(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What lies behind each of them was copied: the whole rest of all that had come at once."""
    member = gzip.compress(b"")
    count, handed = 10_000, 0
    make = zlib.decompressobj

    class Counting:
        def __init__(self, window: int) -> None:
            self._inflate = make(window)

        def decompress(self, data: bytes, limit: int) -> bytes:
            nonlocal handed
            handed += len(data)
            return self._inflate.decompress(data, limit)

        def __getattr__(self, name: str) -> object:
            return getattr(self._inflate, name)

    monkeypatch.setattr(zlib, "decompressobj", Counting)
    assert await whole(Raw([member * count], "gzip")) == b""
    assert handed < 1000 * count * len(member)


async def test_a_fault_of_the_network_stays() -> None:
    broken = TransportFailure(FailureKind.CONNECTION_LOST, sent=True, text="gone")
    body = Body(Raw([b"a", broken, b"b"]), 100)
    assert await body.next() == b"a"
    assert await body.next() is broken
    assert await body.next() is broken


@given(data=st.binary(max_size=3000), size=st.integers(1, 500), member=st.integers(0, 3000))
async def test_gzip_gives_back_whatever_it_was_given(data: bytes, size: int, member: int) -> None:
    encoded = gzip.compress(data[:member]) + gzip.compress(data[member:])
    assert await whole(Raw(cut(encoded, size), "gzip")) == data


async def test_a_piece_that_holds_more_than_one_step_gives() -> None:
    # Taken in whole, the piece still has some of what it decompresses to inside the decompressor.
    text = bytes(263_144)
    data = deflated(text, zlib.MAX_WBITS)
    for at in range(1, len(data)):
        assert await whole(Raw([data[:at], data[at:]], "deflate")) == text
