"""Rows that are read by a pattern: just what expat makes of them, and refused just like there."""

from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from aiocake._codec.xml import bounded_parser, row_patterns
from aiocake._codec.xml.bounded_parser import XmlFeed
from aiocake._codec.xml.row_patterns import RowFeed, pattern_of
from aiocake._codec.xml.rows import Rows
from aiocake.errors import DecodeError

ROW = (
    '<row id="{n}"><a>{0}</a><b xmlns="u">{1}</b><c><d>{2}</d><d>2</d></c>'
    '<e x:nil="true" /><f /><g><h> {3}</h></g></row>'
)
#: Rows of other shapes, well formed or not, and what may stand between rows.
OTHERS = (
    "<row><a>1</a><b>1</b></row>",
    "<row><a>1</a><b/></row>",
    "<row><a/><b>1</b></row>",
    '<row><a x:nil="true"/><b>1</b></row>',
    '<row><a x:nil="1" ></a><b>1</b></row>',
    '<row><a x:nil="true">1</a><b>1</b></row>',
    '<row><a x:nil="true"</a><b>1</b></row>',
    '<row><a x:nil="true"></a><b>1</b></row>',
    '<row><a y="1"/><b>1</b></row>',
    '<row><a y="1">1</a><b>1</b></row>',
    '<row><a x:nil="false"/><b>1</b></row>',
    '<row><a y="1" x:nil="true"/><b>1</b></row>',
    '<row><a y="1" x:nil="false"/><b>1</b></row>',
    '<row><a x:nil="true" y="1"/><b>1</b></row>',
    "<row><a>1</a> <b>1</b>\n</row>",
    "<row><a>1</a>text<b>1</b></row>",
    "<row><a>1</a><a>2</a><a>3</a></row>",
    "<row><a>1</a><p:a>2</p:a></row>",
    "<row><a /></a><b>1</b></row>",
    "<row><a/> </a><b>1</b></row>",
    "<row><a>1</b><b>1</a></row>",
    "<row><a>1<b>1</b></a></row>",
    "<row><a>1</a><b>1</b>",
    "<row></row>",
    "<row/>",
    "<row>1</row>",
    "<row><row><a>1</a></row></row>",
    "<row><!-- </row> --><a>1</a></row>",
    "<row><a><![CDATA[</row>]]></a></row>",
    "</row>",
    " \r\n",
    "text",
    "<!-- <row><a>1</a><b>1</b></row> -->",
)
TEXTS = (
    "",
    "1",
    " \t\n",
    "Müller",
    "🍰",
    "&amp;",
    "&amp;lt;",
    "&lt;b&gt; &quot;&apos;&amp;",
    "&#65;",
    "&#xB;",
    "&nbsp;",
    "&",
    ">",
    "]]>",
    "\r\n",
    "\x0b",
    "\ufffe",
    ' x:nil="true"',
    "<b>1</b>",
    "<!--c-->",
    "</row>",
)


def row_of(texts: list[str], number: int) -> str:
    return ROW.format(*texts, n=number)


rows = st.one_of(
    st.sampled_from(OTHERS),
    st.builds(
        row_of,
        st.lists(st.sampled_from(TEXTS), min_size=4, max_size=4),
        st.sampled_from([1, 1, 1, 2]),
    ),
)


def document(rows: Iterable[str]) -> bytes:
    return f"<r xmlns:x='s'><rows>{''.join(rows)}</rows><n>1</n></r>".encode()


def outcome(body: bytes, size: int, *, by_pattern: bool) -> object:
    """The rows that were read, and what stands around them or what they end in."""
    pieces = (body[at : at + size] for at in range(0, len(body), size))
    return outcome_of(pieces, by_pattern=by_pattern)


def outcome_of(pieces: Iterable[bytes], *, by_pattern: bool) -> object:
    """The same, of a body in these pieces."""
    read: Rows[Any] = Rows("rows", "row", lambda fields, number: (number, fields))
    feed = RowFeed(read, "row") if by_pattern else XmlFeed(read)
    end: object
    try:
        for piece in pieces:
            feed.feed(piece)
        feed.close()
        end = read.around
    except DecodeError as error:
        end = str(error)
    return list(read.ready), end, feed.dropped


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have patterns made from the first row on."""
    monkeypatch.setattr(row_patterns, "WORTH", 0)


@given(st.lists(rows, max_size=12), st.integers(1, 400))
@example([ROW.format("1", "2", "3", "4", n=1)] * 3 + ["<row><a>1</b></row>"], 10_000)
def test_rows_are_read_and_refused_as_expat_does(rows: list[str], size: int) -> None:
    body = document(rows)
    assert outcome(body, size, by_pattern=True) == outcome(body, size, by_pattern=False)
    assert outcome(body, 1 << 20, by_pattern=True) == outcome(body, 1 << 20, by_pattern=False)


def is_read_alike(*rows: str) -> None:
    """Read a list in one piece, and in two."""
    body = document(rows)
    for size in (len(body), len(body) * 2 // 3):
        assert outcome(body, size, by_pattern=True) == outcome(body, size, by_pattern=False)


def test_a_row_behind_others_is_no_more_than_it_is() -> None:
    for before in OTHERS[:16]:
        for other in OTHERS:
            is_read_alike(before, before, other, before)


@pytest.mark.parametrize("text", TEXTS)
def test_each_text_is_read_or_refused_as_expat_does(text: str) -> None:
    alike = ROW.format("1", "2", "3", "4", n=1)
    for place in range(4):
        texts = ["1", "2", "3", "4"]
        texts[place] = text
        is_read_alike(alike, alike, ROW.format(*texts, n=1), alike)


def test_each_character_is_read_or_refused_as_expat_does() -> None:
    plain = "<row><a>1</a><b>2</b></row>"
    numbers = (*range(0x20), *range(0x7E, 0xA1), 0xD7FF, 0xE000, *range(0xFDCF, 0xFDD4))
    for number in (*numbers, *range(0xFFFC, 0x10002), 0x1FFFE, 0x10FFFF):
        text = chr(number)
        is_read_alike(plain, plain, f"<row><a>{text}</a><b>{text}x</b></row>", plain)
    for raw in (b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xc3"):
        body = document([plain, plain, plain.replace("1", "?"), plain]).replace(b"?", raw)
        size = len(body)
        assert outcome(body, size, by_pattern=True) == outcome(body, size, by_pattern=False)


def test_marks_are_taken_out_of_what_expat_reads() -> None:
    plain = "<row><a>1</a></row>"
    is_read_alike(plain, plain, plain, "<row><a>2&#xB;</a></row>", "<row><a>\ufdd0</a></row>")


def test_a_row_in_a_comment_that_a_piece_ends_in_is_none() -> None:
    row = "<row><a>1</a></row>"
    body = document([row, row, row, "<!--", row, "-->", row])
    size = body.index(b"<!--") + len("<!--")
    assert outcome(body, size, by_pattern=True) == outcome(body, size, by_pattern=False)


def is_read_alike_in(*pieces: bytes) -> None:
    """Read a list that arrives in just these pieces, behind two rows that make a pattern."""
    row = b"<row><a>1</a></row>"
    body = [b"<r><rows>", row, row, *pieces, b"</rows></r>"]
    assert outcome_of(body, by_pattern=True) == outcome_of(body, by_pattern=False)


def test_marks_are_taken_out_where_a_piece_begins_with_their_row() -> None:
    for text in (b"&#xB;", b"&#xD83D;&#xDE00;", b"&#xD83D;"):
        is_read_alike_in(b"<row><a>1%b2</a></row>" % text)


def test_what_looks_like_a_row_in_a_cdata_section_between_rows_is_none() -> None:
    row = b"<row><a>2</a></row>"
    is_read_alike_in(b"<![CDATA[ </row>" + row + b"]]>" + row)
    is_read_alike_in(b"<![CDATA[ ", row + b"]]>" + row)


def test_two_rows_of_which_the_first_is_empty_are_two() -> None:
    two = b"<row/><row><a>2</a></row>"
    is_read_alike_in(two, two + two, two)


def test_white_space_between_rows_does_not_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded_parser, "MAX_TEXT", 10)
    is_read_alike_in(*[b"<row><a>2</a></row>     "] * 3)


class Counted(RowFeed):
    """Counts the bytes that expat gets, and how often patterns are tried."""

    given = 0
    tried = 0

    def _parse(self, piece: bytes | bytearray, *, final: bool = False) -> None:
        self.given += len(piece)
        super()._parse(piece, final=final)

    def _read_rows(self, piece: bytes, at: int) -> int:
        self.tried += 1
        return super()._read_rows(piece, at)


def counted(rows: Iterable[str]) -> tuple[float, int]:
    """The share of a body that expat gets, and how often patterns are tried."""
    body = document(rows)
    feed = Counted(Rows("rows", "row", lambda fields, _: fields), "row")
    for at in range(0, len(body), 1000):
        feed.feed(body[at : at + 1000])
    feed.close()
    return feed.given / len(body), feed.tried


def test_rows_of_a_few_shapes_hardly_need_expat() -> None:
    shapes = [ROW, *OTHERS[:3], "<row>\n<a>1</a></row>", "<row><a>1</a><a>2</a></row>"]
    rows = [shapes[n % 6].format(n, "Müller &amp; Söhne", "", n, n=1) for n in range(3000)]
    assert counted(rows)[0] < 0.25  # those that the pieces cut in two


def test_no_pattern_is_made_of_a_row_of_many_texts() -> None:
    # To compile it takes as long as expat does for hundreds of them.
    assert pattern_of(b"<row>%b</row>" % (b"<a/>" * 1000)) is None


def test_rows_that_never_match_are_not_compared_for_ever() -> None:
    given, tried = counted(f'<row n="{n}"><a>1</a></row>' for n in range(3000))
    assert given == 1
    assert tried < 500
