"""XML that is made to harm its reader: each is refused, and the work before that is bounded.

Work is counted, not timed: the bytes that expat looks at, those that it has to look at again
because a tag was unfinished included.
"""

from collections.abc import Callable
from xml.parsers import expat

import attrs
import pytest

from aiocake._codec.xml import tree
from aiocake._codec.xml.row_patterns import RowFeed
from aiocake._codec.xml.rows import Rows
from aiocake.errors import DecodeError

KIB = 1 << 10
MIB = 1 << 20


@attrs.define
class Work:
    """What the parsers did.

    Attributes:
        fed: Bytes that were given to expat.
        read: Bytes that it looked at.
    """

    fed: int = 0
    read: int = 0


def counted(work: Work, parser: expat.XMLParserType) -> object:
    """An expat parser whose ``Parse`` counts."""

    class Counted:
        def Parse(self, data: bytes, final: bool) -> None:  # noqa: FBT001, N802 - expat's own
            again = work.fed - parser.CurrentByteIndex if work.fed else 0
            work.fed += len(data)
            work.read += again + len(data)
            parser.Parse(data, final)

        def __getattr__(self, name: str) -> object:
            return getattr(parser, name)

        def __setattr__(self, name: str, value: object) -> None:
            setattr(parser, name, value)

    return Counted()


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> Work:
    done = Work()
    make = expat.ParserCreate
    monkeypatch.setattr(expat, "ParserCreate", lambda encoding: counted(done, make(encoding)))
    return done


def feed(body: bytes, size: int) -> None:
    """Read a list of rows, in pieces of a size."""
    reader = RowFeed(Rows("rows", "row", lambda fields, _: fields), "row")
    for start in range(0, len(body), size):
        reader.feed(body[start : start + size])
    reader.close()


def laughs() -> bytes:
    entities = "".join(
        f'<!ENTITY l{number} "{f"&l{number - 1};" * 10}">' for number in range(1, 10)
    )
    return f'<!DOCTYPE a [<!ENTITY l0 "lol">{entities}]><a>&l9;</a>'.encode()


def quadratic() -> bytes:
    return b'<!DOCTYPE a [<!ENTITY x "%b">]><a>%b</a>' % (b"x" * 100_000, b"&x;" * 100_000)


def chain() -> bytes:
    entities = b"".join(b'<!ENTITY e%d "&e%d;">' % (n + 1, n) for n in range(100_000))
    return b'<!DOCTYPE a [<!ENTITY e0 "x">%b]><a>&e100000;</a>' % entities


DOCTYPES: dict[str, Callable[[], bytes]] = {
    "billion laughs": laughs,
    "quadratic": quadratic,
    "chain of 100,000 entities": chain,
    "external entity": lambda: (
        b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/hostname">]><a>&x;</a>'
    ),
    "parameter entity": lambda: (
        b'<!DOCTYPE a [<!ENTITY % x SYSTEM "http://127.0.0.1:9/"> %x;]><a/>'
    ),
    "external DTD": lambda: b'<!DOCTYPE a SYSTEM "http://127.0.0.1:9/x.dtd"><a/>',
    "public DTD": lambda: b'<!DOCTYPE a PUBLIC "-//W3C//DTD XHTML 1.0//EN" "http://x/"><a/>',
    "plain DTD": lambda: b"<!DOCTYPE a><a/>",
    "with a > in it": lambda: b'<!DOCTYPE a [<!-- > --><!ENTITY x ">">]><a>&x;</a>',
}


@pytest.mark.parametrize("size", [1, 7, 1 * MIB])
@pytest.mark.parametrize("attack", DOCTYPES)
def test_a_document_type_is_refused_before_what_is_behind_it_is_seen(
    attack: str, size: int, work: Work
) -> None:
    body = b'<?xml version="1.0"?>\n<!-- > -->' + DOCTYPES[attack]()
    # Of a long declaration not even the first is seen.
    with pytest.raises(DecodeError, match=r"document type|no root element within"):
        feed(body, size)
    # The first > behind the keyword: no more than one declaration.
    assert work.fed <= body.index(b">", body.index(b"<!DOCTYPE")) + 1


def test_a_document_type_is_refused_in_a_tree(work: Work) -> None:
    with pytest.raises(DecodeError, match="document type"):
        tree.parse(laughs())
    assert work.fed < 100


ATTACKS: dict[str, tuple[Callable[[], bytes], str, int]] = {
    "1,000,000 levels": (lambda: b"<a>" * 1_000_000, "deeper than 64", 64 * KIB),
    "65 levels": (lambda: b"<a>" * 65 + b"</a>" * 65, "deeper than 64", 64 * KIB),
    "200,000 attributes": (
        lambda: b"<a %b/>" % b" ".join(b'a%d="1"' % n for n in range(200_000)),
        "bytes|attributes",
        256 * KIB,
    ),
    "65 attributes": (
        lambda: b"<r><a %b/></r>" % b" ".join(b'a%d="1"' % n for n in range(65)),
        "over 64 attributes",
        64 * KIB,
    ),
    "an attribute of 16 MiB": (
        lambda: b'<r><a b="%b"/></r>' % (b"x" * 16 * MIB),
        "tag or a comment of over",
        256 * KIB,
    ),
    "a name of 16 MiB": (lambda: b"<r><%b/></r>" % (b"x" * 16 * MIB), "of over", 256 * KIB),
    "a comment of 16 MiB": (lambda: b"<r><!--%b--></r>" % (b"x" * 16 * MIB), "of over", 256 * KIB),
    "an instruction of 16 MiB": (
        lambda: b"<r><?x %b?></r>" % (b"x" * 16 * MIB),
        "of over",
        256 * KIB,
    ),
    "a text of 30 MB": (
        lambda: b"<r><a>%b</a></r>" % (b"x" * 30_000_000),
        "text of over",
        2 * MIB,
    ),
    "a section of 30 MB": (
        lambda: b"<r><a><![CDATA[%b]]></a></r>" % (b"x" * 30_000_000),
        "text of over",
        2 * MIB,
    ),
    "two million illegal references": (
        lambda: b"<r><rows>%b</rows></r>" % (b"<row>&#xB;&#11;</row>" * 1_000_000),
        "over 10000 references",
        1 * MIB,
    ),
    "two million legal references": (
        lambda: b"<r><a>%b</a></r>" % (b"&#65;" * 2_000_000),
        "text of over",
        6 * MIB,
    ),
    "100,000 names": (
        lambda: b"<r>%b</r>" % b"".join(b"<a%d/>" % n for n in range(100_000)),
        "over 10000 names",
        256 * KIB,
    ),
    "spaces before the root": (lambda: b" " * 16 * MIB, "no root element", 8 * KIB),
    "comments before the root": (lambda: b"<!---->" * MIB, "no root element", 8 * KIB),
    "a NUL byte": (lambda: b"<r>" + b"x" * MIB + b"\0", "NUL", 2 * MIB),
}


@pytest.mark.parametrize("size", [1 * KIB, 16 * MIB])
@pytest.mark.parametrize("attack", ATTACKS)
def test_an_attack_is_refused_with_bounded_work(attack: str, size: int, work: Work) -> None:
    make, reason, bound = ATTACKS[attack]
    with pytest.raises(DecodeError, match=reason):
        feed(make(), size)
    assert work.read <= bound


@pytest.mark.parametrize("size", [1, 3, 100])
def test_small_pieces_are_read_about_once(size: int, work: Work) -> None:
    tag = b'<row><a b="%b"/><!-- %b --></row>' % (b"x" * 2000, b"y" * 2000)
    body = b"<r><rows>%b</rows></r>" % (tag * 20)
    feed(body, size)
    assert work.fed == len(body)
    assert work.read < 5 * len(body)


LIMITS: dict[str, bytes] = {
    "64 levels": b"<a>" * 64 + b"</a>" * 64,
    "64 attributes": b"<a %b/>" % b" ".join(b'a%d="1"' % n for n in range(64)),
    "a text of 1 MiB": b"<a>%b</a>" % (b"x" * MIB),
    "an attribute of 60 KiB": b'<a><a b="%b"/></a>' % (b"x" * 60 * KIB),
    "10,000 references": b"<a>%b</a>" % (b"&#xB;" * 10_000),
}


@pytest.mark.parametrize("limit", LIMITS)
def test_what_is_just_within_the_bounds_is_read(limit: str) -> None:
    assert tree.parse(LIMITS[limit]).name == "a"


def test_a_tree_has_a_bounded_number_of_elements(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tree, "_MAX_ELEMENTS", 100)
    assert len(tree.parse(b"<r>%b</r>" % (b"<a/>" * 99)).children) == 99
    with pytest.raises(DecodeError, match="over 100 elements"):
        tree.parse(b"<r>%b</r>" % (b"<a/>" * 100))
