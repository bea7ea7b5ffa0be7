"""XML as it comes: local names, three kinds of nothing, illegal references, pieces of any size."""

import itertools
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any
from xml.parsers import expat

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from lxml import etree

from aiocake._codec.xml.references import ReferenceFilter
from aiocake._codec.xml.row_patterns import RowFeed
from aiocake._codec.xml.rows import Rows
from aiocake._codec.xml.tree import XmlElement, parse
from aiocake.errors import DecodeError

RECORDINGS = Path(__file__).parents[3] / "shared" / "recordings"
XSI = 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'

# References, legal and not, and all that hides one, whole and in parts; and the text of each.
FRAGMENTS = {
    "&#xB;": "",
    "&#x16;": "",
    "&#0;": "",
    "&#11;": "",
    "&#xD800;": "\ufffd",
    "&#56832;": "\ufffd",
    "&#55357;&#56832;": "😀",
    "&#xD83D;&#xDE00;": "😀",
    "&#xd83d;&#56832;": "😀",
    "&#x0000b;": "",
    "&#65535;": "",
    "&#x9;": "\t",
    "&#13;": "\r",
    "&#x41;": "A",
    "&#65;": "A",
    "&#x10FFFF;": "\U0010ffff",
    "&amp;": "&",
    "&amp;#xB;": "&#xB;",
    "&lt;": "<",
    "é": "é",
    "🍰": "🍰",
    "text": "text",
    "#": "#",
    "!?]->": "!?]->",
    "<b>1</b>": "1",
    "<c/>": "",
    "<![CDATA[&#xB; <!-- ]]>": "&#xB; <!-- ",
    "<![CDATA[]]&#x16;]]]>": "]]&#x16;]",
    "<!-- &#xB; <![CDATA[ -->": "",
    "<!---&#16;-->": "",
    "<?pi &#xB; <!-- ?>": "",
}
contents = st.lists(st.sampled_from(list(FRAGMENTS)), max_size=12)
cuts = st.lists(st.integers(min_value=0), max_size=30)


def document(parts: Iterable[str]) -> bytes:
    """A list of two rows, the first made of these."""
    row = f'<row k="&#xB;v">{"".join(parts)}</row>'
    return f"<r><rows>{row}<row>2</row></rows></r>".encode()


def split(body: bytes, cuts: Iterable[int]) -> list[bytes]:
    """A body in pieces."""
    at = sorted({cut % (len(body) + 1) for cut in cuts} | {0, len(body)})
    return [body[start:end] for start, end in itertools.pairwise(at)]


def filtered(pieces: Iterable[bytes]) -> tuple[bytes, int]:
    """What the filter passes on, and how many references it dropped."""
    references = ReferenceFilter()
    passed = b"".join([references.feed(piece) for piece in pieces])
    return passed + references.close(), references.dropped


def fed(pieces: Iterable[bytes]) -> list[dict[str, object]]:
    """The rows of a list, fed in pieces."""
    rows: Rows[Any] = Rows("rows", "row", lambda fields, _: fields)
    feed = RowFeed(rows, "row")
    for piece in pieces:
        feed.feed(piece)
    feed.close()
    return list(rows.ready)


def test_absent_empty_and_nil_are_three_things() -> None:
    root = parse(f'<a {XSI}><b xsi:nil="true" /><c /><d></d><e xsi:nil="false">1</e></a>'.encode())
    assert root.text is None
    assert root.find("b") == XmlElement("b", None, nil=True)
    assert root.find("c") == root.children[1] == XmlElement("c", "")
    assert root.find("d") == XmlElement("d", "")
    assert root.find("e") == XmlElement("e", "1")
    assert root.find("f") is None


@pytest.mark.parametrize("inside", ["1", "<b/>", " "])
def test_an_element_that_is_nil_and_not_empty_is_no_guess(inside: str) -> None:
    with pytest.raises(DecodeError, match="nil and not empty"):
        parse(f'<a {XSI} xsi:nil="1">{inside}</a>'.encode())


def test_names_are_local_whatever_their_namespace() -> None:
    body = b'<s:E xmlns:s="u" xmlns="v"><s:B><R xmlns="API:id_name_store">1</R></s:B></s:E>'
    assert parse(body) == XmlElement(
        "E", children=(XmlElement("B", children=(XmlElement("R", "1"),)),), text=None
    )


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("a&#xB;b", "ab"),
        ("&#x16;", ""),
        ("a&#0;&#x0;&#xFFFE;&#1114112;b&#xA;c", "ab\nc"),
        ("A-17&#xB;", "A-17"),
        ("<![CDATA[a&#xB;b]]>", "a&#xB;b"),
        ("x<!-- &#xB; -->y<?p &#xB; ?>z", "xyz"),
    ],
)
def test_an_illegal_reference_is_left_out_of_a_text(text: str, read: str) -> None:
    assert parse(f"<a>{text}</a>".encode()) == XmlElement("a", read)


@pytest.mark.parametrize(
    ("text", "read", "repaired"),
    [
        ("Smile &#55357;&#56832;!", "Smile 😀!", 1),
        ("&#xD83D;&#xDE00;&#xd83d;&#xde01;", "😀😁", 2),
        ("&#xD83D;&#56832;", "😀", 1),
        ("&#xDBFF;&#xDFFF;&#xD800;&#xDC00;", "\U0010ffff\U00010000", 2),
        ("a&#55357;b", "a\ufffdb", 1),
        ("&#xDE00;&#xD83D;", "\ufffd\ufffd", 2),
        ("&#xD83D;&#xD83D;&#xDE00;", "\ufffd😀", 2),
        ("&#xD83D;&#x41;", "\ufffdA", 1),
        ("&#xD83D;&#xB;&#xDE00;", "\ufffd\ufffd", 2),
        ("&#xD83D; &#xDE00;", "\ufffd \ufffd", 2),
        ("&#xD83D;<![CDATA[&#xDE00;]]>", "\ufffd&#xDE00;", 1),
        ("5&#xD83D;", "5\ufffd", 1),
    ],
)
def test_two_halves_are_one_character_and_a_lone_one_is_replaced(
    text: str, read: str, repaired: int
) -> None:
    body = f"<a>{text}</a>".encode()
    assert parse(body) == XmlElement("a", read, repaired=repaired)
    for at in range(len(body)):
        (rows,) = fed([b"<r><rows><row>" + body[:at], body[at:] + b"</row></rows></r>"])
        assert rows == {"a": read}


def test_a_half_at_the_very_end_is_given_on() -> None:
    assert filtered([b"<a>&#xD83D;"]) == (b"<a>\xef\xb7\x91", 0)


@pytest.mark.parametrize("text", ["1&#xB;5", "-&#x16;20.01", "2014-06-0&#x0;1", "10&#11;"])
def test_a_number_that_lost_a_character_is_not_read_as_another_number(text: str) -> None:
    read = parse(f"<a>{text}</a>".encode()).text
    assert read is not None
    assert "\ufffd" in read


def test_a_raw_control_character_is_refused() -> None:
    with pytest.raises(DecodeError, match="not well-formed"):
        parse(b"<a>\x0b</a>")


def test_a_reference_beyond_all_reason_is_left_to_the_parser_in_any_pieces() -> None:
    body = b"<a>&#x" + b"0" * 40 + b"B;</a>"
    for pieces in ([body], [body[:20], body[20:]], [bytes([each]) for each in body]):
        assert filtered(pieces) == (body, 0)


@given(contents)
def test_just_the_illegal_references_are_left_out(parts: list[str]) -> None:
    passed, dropped = filtered([document(parts)])
    row = etree.fromstring(passed)[0][0]
    text = "".join(row.itertext(etree.Element)).replace("\ufdd0", "").replace("\ufdd2", "")
    assert text.replace("\ufdd1", "\ufffd") == "".join(FRAGMENTS[part] for part in parts)
    # The one more is in the attribute.
    assert dropped == 1 + sum(part[:2] == "&#" and not FRAGMENTS[part] for part in parts)


@given(contents, cuts)
@example(["&#x16;", "<![CDATA[]]&#x16;]]]>", "<!-- &#xB; <![CDATA[ -->"], range(200))
def test_pieces_of_any_size_are_filtered_alike(parts: list[str], at: Iterable[int]) -> None:
    body = document(parts)
    assert filtered(split(body, at)) == filtered([body])


@given(contents, cuts)
@example(["&#x16;", "<![CDATA[]]&#x16;]]]>", "<!-- &#xB; <![CDATA[ -->"], range(200))
def test_pieces_of_any_size_are_read_alike(parts: list[str], at: Iterable[int]) -> None:
    body = document(parts)
    assert fed(split(body, at)) == fed([body])
    assert len(fed([body])) == 2


@given(st.binary(max_size=200))
@example(b"")
@example(b"\xef\xbb\xbf")
@example(b"<a>\xed\xa0\x80</a>")
@example(b"<a \xff='1'/>")
@example(b"<?xml version='1.0' encoding='\xc3\xa9'?><a/>")
def test_bytes_of_any_kind_are_read_or_refused(body: bytes) -> None:
    with suppress(DecodeError):
        assert isinstance(parse(body), XmlElement)


@given(st.lists(st.sampled_from([*FRAGMENTS, "<a>", "</a>", "<", "&", "<!DOCTYPE a>"])), cuts)
def test_near_xml_is_read_or_refused_alike_in_any_pieces(
    parts: list[str], at: Iterable[int]
) -> None:
    def outcome(pieces: Iterable[bytes]) -> object:
        try:
            return fed(pieces)
        except DecodeError:
            return DecodeError

    body = document(parts)
    assert outcome(split(body, at)) == outcome([body])


@pytest.mark.parametrize(
    "body",
    [
        "<a/>".encode("utf-16"),
        "<a/>".encode("utf-16-le"),
        "<a/>".encode("utf-32"),
        b"<a>\x00</a>",
        b'<?xml version="1.0" encoding="utf-7"?><a>+ADw-b+AD4-</a>',
        b'<?xml version="1.0" encoding="iso-8859-1"?><a>\xe9</a>',
        b'<?xml version="1.0" encoding="no-such-thing"?><a/>',
        b"<a>\xe9</a>",
        b"<a>\xff\xfe</a>",
    ],
)
def test_another_encoding_than_utf_8_is_refused(body: bytes) -> None:
    with pytest.raises(DecodeError):
        parse(body)


def test_a_parser_that_fails_in_another_way_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    class Parser:
        def Parse(self, *_: object) -> None:  # noqa: N802 - expat's own
            b"\xff".decode()  # as other builds of expat may

    monkeypatch.setattr(expat, "ParserCreate", lambda _: Parser())
    with pytest.raises(DecodeError, match="not UTF-8"):
        parse(b"<a/>")


@pytest.mark.parametrize(
    "before",
    [b"", b"\xef\xbb\xbf", b'<?xml version="1.0" encoding="UTF-8"?>\r\n', b" \n", b"<!-- > -->"],
)
def test_utf_8_may_have_a_mark_a_prologue_or_neither(before: bytes) -> None:
    assert parse(before + "<a>é</a>".encode()) == XmlElement("a", "é")


@pytest.mark.parametrize("end", range(1, 20))
def test_a_document_that_ends_early_is_told(end: int) -> None:
    body = b"<a><b>1</b><c/></a>"
    if end == len(body):
        assert parse(body[:end]).name == "a"
        return
    with pytest.raises(DecodeError, match="ends before it is complete"):
        parse(body[:end])


@pytest.mark.parametrize(
    "body",
    [b"<a/><b/>", b"<a></b>", b"<a>&nbsp;</a>", b"<a>&#;</a>", b"<a>&#x;</a>", b"a", b"<a/>x"],
)
def test_what_is_not_well_formed_is_told_with_its_place(body: bytes) -> None:
    with pytest.raises(DecodeError, match=r"not well-formed XML: .* at byte \d"):
        parse(body)


@pytest.mark.parametrize(
    ("name", "inside", "rows"),
    [
        ("account_statuses", "account_statuses", 3),
        ("billing_cycles", "billing_cycles", 3),
        ("currencies", "currencies", 1),
        ("empty_response", "exchange_rates", 0),
        ("payment_settings", "payment_settings", 3),
        ("payment_types", "payment_types", 6),
    ],
)
def test_an_answer_of_a_real_instance_is_read(name: str, inside: str, rows: int) -> None:
    if not RECORDINGS.is_dir():
        pytest.skip("the recordings of a real instance are not there")
    result = parse((RECORDINGS / f"{name}.soap12.xml").read_bytes())
    while result.find(inside) is None:
        (result,) = result.children
    assert result.find("success") == XmlElement("success", "true")
    assert result.find("row_count") == XmlElement("row_count", str(rows))
    found = result.find(inside)
    assert found is not None
    assert len(found.children) == rows
