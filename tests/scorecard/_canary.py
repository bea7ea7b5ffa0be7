"""Where a key or a note could come to light: all that is looked through for them."""

import base64
import html
import json
import logging
import pickle
import re
import traceback
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final, cast
from urllib.parse import quote, quote_plus

import attrs
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

__all__ = ["AMOUNT", "KEY", "NOTE", "Everything", "chain", "key_forms", "reported", "shown"]

#: The key of every client, full of what has to be escaped.
KEY: Final = 'canary-K3Y<&">/+%='
#: What every write carries.
NOTE: Final = "canary-nota-bene"
AMOUNT: Final = "98765.43"

#: Of this file's folder; the frames of tests hold what the tests gave.
_TESTS: Final = str(Path(__file__).parent.parent)
_DEEPEST: Final = 8


def key_forms(key: str = KEY) -> set[str]:
    """The key in each form in which it can be written down."""
    forms = {
        key,
        quote(key),
        quote(key, safe=""),
        re.sub("%..", lambda found: found[0].lower(), quote(key, safe="")),
        quote_plus(key),
        quote(quote(key, safe=""), safe=""),
        html.escape(key),
        html.escape(key, quote=False),
        json.dumps(key)[1:-1],
        repr(key)[1:-1],
        key[:-3],
        # What a cut leaves of it is as bad.
        key[:8],
    }
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        for before in range(3):
            # The four characters at either end also hold bits of what stands beside it.
            forms.add(encode(b"\0" * before + key.encode()).decode()[4:-4])
    return forms


_KEY_FORMS: Final = tuple(key_forms())
_PAYLOAD: Final = (NOTE, AMOUNT, base64.b64encode(NOTE.encode()).decode()[4:-4])


def chain(error: BaseException | None, seen: set[int] | None = None) -> Iterator[BaseException]:
    """An exception, its causes, contexts and the members of its groups."""
    seen = set() if seen is None else seen
    if error is None or id(error) in seen:
        return
    seen.add(id(error))
    yield error
    yield from chain(error.__cause__, seen)
    yield from chain(error.__context__, seen)
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            yield from chain(each, seen)


def _fields(value: object, depth: int = 0) -> Iterator[str]:
    """The texts in a value, as deep as a tool may look."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, bytes | bytearray):
        yield value.decode("latin-1")
    elif depth < _DEEPEST:
        yield repr(value)
        for inner in _inside(value):
            yield from _fields(inner, depth + 1)


def _inside(value: object) -> Iterable[object]:
    if isinstance(value, Mapping):
        return [part for pair in cast("Mapping[object, object]", value).items() for part in pair]
    if isinstance(value, list | tuple | set | frozenset):
        return list(value)
    if isinstance(value, BaseException):
        return [vars(value), value.args]
    if attrs.has(type(value)):
        return [getattr(value, field.name, None) for field in attrs.fields(type(value))]
    return []


def shown(error: BaseException) -> str:
    """What an application prints or stores of an error: its texts and its pickle."""
    texts: list[str] = []
    for each in chain(error):
        texts += [str(each), repr(each), *traceback.format_exception_only(each)]
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        try:
            texts.append(pickle.dumps(error, protocol).decode("latin-1"))
        except (TypeError, pickle.PicklingError, AttributeError):
            continue  # a cancellation of trio, or a group
    return "\n".join(texts)


def reported(error: BaseException) -> str:
    """All that a tool which reports errors may find: fields too, and the locals of frames."""
    texts = [shown(error)]
    for each in chain(error):
        texts += _fields(each)
        for frame, _ in traceback.walk_tb(each.__traceback__):
            if not frame.f_code.co_filename.startswith(_TESTS):
                texts += map(repr, frame.f_locals.values())
                texts += [text for value in frame.f_locals.values() for text in _fields(value, 6)]
    return "\n".join(texts)


class Everything(logging.Handler):
    """Keeps all that is logged, warned of and traced, and looks through it."""

    def __init__(self, spans: InMemorySpanExporter, provider: TracerProvider) -> None:
        super().__init__(1)
        self.provider = provider
        self.logged: list[str] = []
        #: Whether the client was told that it may show payloads.
        self.show_sensitive = False
        self._spans = spans

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a record, as each kind of handler could write it."""
        self.logged += [record.getMessage(), repr(record.msg), repr(record.args)]
        if record.exc_info and record.exc_info[1] is not None:
            self.logged.append(reported(record.exc_info[1]))

    @staticmethod
    def no_key_in(text: str) -> None:
        """Fail when the key is in there, in whatever form."""
        for form in _KEY_FORMS:
            assert form not in text, f"the key is in {_around(text, form)!r}"

    def no_payload_in(self, text: str) -> None:
        """Fail when the note or the amount is in there, unless they may be."""
        if self.show_sensitive:
            return
        for form in _PAYLOAD:
            assert form not in text, f"the payload is in {_around(text, form)!r}"

    def spans(self) -> list[str]:
        """The spans so far."""
        return [span.to_json() or "" for span in self._spans.get_finished_spans()]

    def forget_spans(self) -> None:
        """Begin anew."""
        self._spans.clear()

    def look(self) -> None:
        """Look through what was logged and traced so far."""
        together = "\n".join(self.logged + self.spans())
        self.no_key_in(together)
        self.no_payload_in(together)
        self.logged.clear()
        self.forget_spans()


def _around(text: str, form: str) -> str:
    at = text.index(form)
    return text[max(0, at - 80) : at + len(form) + 40]
