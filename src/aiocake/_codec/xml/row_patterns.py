"""Rows that are built like rows before them, read by a pattern in place of a parser.

Rows of a list differ in their texts and hardly in their elements. expat calls into Python for each
tag and each text of a row, which takes longer than all the rest; so once it has read some rows, the
next ones are compared with what these were like. A pattern is the markup of one row, byte by byte,
with a place for the text of each element that holds no others, which may also be empty or nil.

What matches as a whole is well formed, and has the elements, the depth and the attributes of the
row before, which kept all bounds. Whatever does not match goes to expat, which judges it: a row
with a comment, a CDATA section, a reference to a character by its number, a control character, or
bytes that are no UTF-8. Two bounds are looser here: the names in ``xsi:nil`` are not counted, since
nobody keeps them, and neither is the white space before a row in the piece that the row is in.
"""

import re
from collections.abc import Callable
from operator import itemgetter
from typing import Any, Final

from aiocake._codec.xml.bounded_parser import XmlFeed, local
from aiocake._codec.xml.rows import Rows

#: Rows before it is worth to make a pattern, which takes as long as expat does for that many.
WORTH = 100
#: Patterns of one list, and rows of which one is made or turns out to be there.
_MOST_PATTERNS: Final = 8
_MOST_TRIES: Final = 32
#: Rows that match no pattern, beyond those that match one, before no more are compared.
_MOST_MISSES: Final = 200
#: Bytes and texts of a row that a pattern is made of, and attributes of an element in it.
_LONGEST: Final = 1 << 14
_MOST_TEXTS: Final = 128
_MOST_ATTRIBUTES: Final = 8

_NAME: Final = rb"[A-Za-z_][A-Za-z0-9_.:-]*"
_VALUE: Final = rb"(?:\"[^\"<]*\"|'[^'<]*')"
_TAG: Final = re.compile(
    rb"([ \t\r\n]*)(<(/?)(%b)((?:\s+%b=%b)*)\s*(/?)>)" % (_NAME, _NAME, _VALUE)
)
_ATTRIBUTE: Final = re.compile(rb"\s+(%b)=(%b)" % (_NAME, _VALUE))
#: The text and the end of an element that holds no others.
_END: Final = re.compile(rb"[^<]*</%b\s*>" % _NAME)
_SPACE: Final = rb"[ \t\r\n]*"
# By section 2.4 of the XML 1.0 recommendation "]]>" may not stand in a text: so no ">" does here.
# A carriage return would be read as the end of a line.
_TEXT: Final = rb">[^<>\x00-\x08\x0b-\x1f]*+"
_NIL: Final = rb' %b:nil="(?:true|1)"' % _NAME
#: What stands between the places of a row, none of which holds it.
_BETWEEN: Final = "\0"
#: The references that need no parser, but "&amp;": it comes last, since it may become the beginning
#: of another.
_REFERENCES: Final = (
    ("&lt;", "<"),
    ("&gt;", ">"),
    ("&quot;", '"'),
    ("&apos;", "'"),
)
_OTHER_REFERENCE: Final = re.compile("&(?!(?:amp|lt|gt|quot|apos);)")

#: Makes what an element holds, of all that was made before.
_Step = Callable[[list[Any]], object]
#: The names of an element's fields, none of one that is there again, and where their values are.
_Unplaced = list[tuple[tuple[str, ...], list[int]]]


class RowPattern:
    """A regular expression of rows that differ only in the texts of their elements.

    Attributes:
        source: The regular expression. Each group is ``>`` and a text; something else of an
            element that is nil, and nothing of an empty one.
        match: Matches a row, from a place in a body on.
    """

    __slots__ = ("_steps", "match", "source")

    def __init__(self, source: bytes, steps: list[_Step]) -> None:
        self.source = source
        self.match = re.compile(source).match
        self._steps = steps

    def fields(self, row: re.Match[bytes]) -> object:
        """Return the fields of a row that matched; None if a text of it is none of XML."""
        try:
            texts = b"\0".join(row.groups(b">")).decode()
        except UnicodeDecodeError:
            return None
        if not texts.isascii() and ("\ufffe" in texts or "\uffff" in texts):
            return None  # UTF-8 can spell them and XML cannot hold them: section 2.2
        if "&" in texts:
            # Mostly it is the only one, and two counts take less than to look for the others.
            if texts.count("&") != texts.count("&amp;"):
                if _OTHER_REFERENCE.search(texts):
                    return None
                for reference, character in _REFERENCES:
                    texts = texts.replace(reference, character)
            texts = texts.replace("&amp;", "&")
        values: list[Any] = [
            text[1:] if text[:1] == ">" else None for text in texts.split(_BETWEEN)
        ]
        for step in self._steps:
            values.append(step(values))
        return values[-1]


def pattern_of(row: bytes) -> RowPattern | None:
    """Return the pattern of a row of well-formed XML; None if it has what no pattern has."""
    if len(row) > _LONGEST:
        return None
    source: list[bytes] = []
    #: Of each open element, the places of what is in it; those of steps count from -1 downwards.
    opened: list[dict[str, list[int]]] = []
    steps: _Unplaced = []
    texts = place = 0
    while place < len(row):
        tag = _TAG.match(row, place)
        if tag is None:
            return None
        place = tag.end()
        space, markup, ends, name, attributes, empty = tag.groups()
        source.append(_SPACE if space or not source else b"")
        end = None if ends or empty else _END.match(row, place)
        if ends:
            source.append(re.escape(markup))
            number = _end(opened.pop(), steps)
        elif empty or end:
            leaf = _leaf(name, attributes)
            if leaf is None or texts == _MOST_TEXTS:
                return None
            source.append(leaf)
            place = end.end() if end else place
            number = texts
            texts += 1
        else:
            source.append(re.escape(markup))
            opened.append({})
            continue
        if opened:
            opened[-1].setdefault(local(name.decode()), []).append(number)
        elif place < len(row):
            return None  # an empty row, and another one behind it
    made = [
        _step(names, [each if each >= 0 else texts - 1 - each for each in places])
        for names, places in steps
    ]
    return RowPattern(b"".join(source), made)


def _end(fields: dict[str, list[int]], steps: _Unplaced) -> int:
    """Add the steps that make an element of its fields; return the number of the last."""
    for places in fields.values():
        if len(places) > 1:
            steps.append(((), places[:]))
            places[:] = [-len(steps)]
    steps.append((tuple(fields), [place for (place,) in fields.values()]))
    return -len(steps)


def _leaf(name: bytes, attributes: bytes) -> bytes | None:
    """Return the pattern of an element that holds no others; None if there is none."""
    found = _ATTRIBUTE.findall(attributes)
    nil = [value[1:-1] for each, value in found if each.endswith(b":nil")]
    if len(found) > _MOST_ATTRIBUTES or any(each not in {b"true", b"1"} for each in nil):
        return None
    tag = b"<" + re.escape(name)
    if nil and len(found) > 1:
        return tag + b"(%b) ?/>" % re.escape(attributes)
    others = b"" if nil else re.escape(attributes)
    end = b"</%b>" % re.escape(name)
    return tag + others + b"(?:(%b|%b(?= ?/>))(?:%b| ?/>)| ?/>)" % (_TEXT, _NIL, end)


def _step(names: tuple[str, ...], places: list[int]) -> _Step:
    """Return what makes fields of their names, or, without names, a list of what is there again."""
    if len(places) == 1:
        (name,), (place,) = names, places
        return lambda values: {name: values[place]}
    pick = itemgetter(*places)
    if not names:
        return lambda values: list(pick(values))
    if len(names) == 2:  # noqa: PLR2004 - as most have, and it takes half the time
        (one, two), (at_one, at_two) = names, places
        return lambda values: {one: values[at_one], two: values[at_two]}
    return lambda values: dict(zip(names, pick(values), strict=True))


class RowFeed(XmlFeed):
    """Feeds a body to expat, and reads the rows that match a pattern by it.

    Args:
        rows: Takes the rows.
        row: The name of one.
    """

    def __init__(self, rows: Rows[Any], row: str) -> None:
        super().__init__(rows)
        self._rows = rows
        #: How it most likely ends; where it does not, nothing is compared.
        self._end = f"</{row}>".encode()
        #: The one that matched last comes first.
        self._patterns: list[RowPattern] = []
        self._tries = _MOST_TRIES
        self._misses_left = _MOST_MISSES
        self._in_cdata = False
        self._parser.StartCdataSectionHandler = self._start_cdata
        self._parser.EndCdataSectionHandler = self._end_cdata

    def _start_cdata(self) -> None:
        self._in_cdata = True

    def _end_cdata(self) -> None:
        self._in_cdata = False

    def _feed(self, piece: bytes) -> None:
        rows, end, at = self._rows, self._end, 0
        # The filter knows of a mark in this piece, and the rows not before expat gets it.
        references = self._filter
        while rows.count >= WORTH and self._misses_left > 0:
            if rows.ended or references.marked:
                break
            between = self._is_between()
            if between:
                at = self._read_rows(piece, at)
            stop = piece.find(end, at) + len(end)
            if stop < len(end):
                break
            row, at = piece[at:stop], stop
            super()._feed(row)
            if between and self._is_between():
                self._misses_left -= 1
                self._add_pattern(row)
        super()._feed(piece[at:] if at else piece)

    def _is_between(self) -> bool:
        """Return whether the next byte of the body is between two rows of the list."""
        return self._rows.is_between() and not (self._pending or self._unconsumed or self._in_cdata)

    def _read_rows(self, piece: bytes, at: int) -> int:
        """Read rows as long as they match; return where the first one begins that does not."""
        patterns, take, begin = self._patterns, self._rows.take, at
        before = self._rows.count
        tried = 0
        while tried < len(patterns):
            pattern, start = patterns[tried], at
            match, fields_of = pattern.match, pattern.fields
            while (found := match(piece, at)) is not None:
                fields = fields_of(found)
                if fields is None:
                    break
                at = found.end()
                take(fields)
            if at > start:
                patterns.insert(0, patterns.pop(tried))
                tried = 0
            tried += 1
        if at > begin:
            self._rows.drop_text()
        self._passed_over += at - begin
        self._misses_left += self._rows.count - before
        return at

    def _add_pattern(self, row: bytes) -> None:
        """Add the pattern of a row that matches none, if it has one."""
        if self._tries and len(self._patterns) < _MOST_PATTERNS:
            self._tries -= 1
            made = pattern_of(row)
            if made is not None and all(made.source != each.source for each in self._patterns):
                self._patterns.insert(0, made)
