"""What an error shows of an answer: its form, and nothing of what it says."""

import json

from hypothesis import given
from hypothesis import strategies as st

from aiocake._codec.snippet import snippet


def test_of_json_the_keys_are_shown() -> None:
    body = b'{"request_status": "Success", "invoices": [{"memo": "Canary & sons", "n": -1.5e3,'
    assert snippet(body) == '{"request_status": "…", "invoices": [{"memo": "…", "n": …,'
    assert snippet(b'{"ok": true, "x": null}') == '{"ok": true, "x": null}'


def test_of_xml_the_tags_are_shown() -> None:
    body = b'<?xml version="1.0"?><a xmlns="urn:x"><notes>Canary 5</notes><b:c x="y" /></a>'
    shown = snippet(body)
    assert "<notes>…</notes>" in shown
    assert "<b:c" in shown
    assert "Canary" not in shown
    assert "urn" not in shown


def test_of_text_nothing_is_shown() -> None:
    assert snippet(b"Canary was here, and paid 5.00") == "…, …"
    assert snippet("Canary".encode("utf-16")) == "…"


def test_what_looks_like_a_key_or_a_tag_in_a_text_is_none() -> None:
    assert "canary" not in snippet(b'{"a": "x \\"canary\\": y"}')
    assert "canary" not in snippet(b'{"x \\"canary": 1}')
    assert "canary" not in snippet(b"<a><![CDATA[<canary>]]></a>")
    assert "canary" not in snippet(b'{"a": "<canary>"}')
    long = "canary" * 20
    assert "canary" not in snippet(json.dumps({long: 1}).encode())


def test_it_is_of_the_place_and_short() -> None:
    body = b'{"first": 1, ' + b'"x": 1, ' * 1000 + b'"here": [], ' + b'"y": 1, ' * 1000
    shown = snippet(body, body.index(b'"here"'))
    assert '"here": []' in shown
    assert "first" not in shown
    assert shown.startswith("…")
    assert len(shown) == 200
    assert len(snippet(body, 10**9)) <= 200


def test_values_are_shown_only_when_it_is_told_to() -> None:
    body = b'{"memo": "Canary\\n\x1b[31m"}'
    assert (
        snippet(body, show_sensitive=True) == '{"memo": "Canary\\n\N{REPLACEMENT CHARACTER}[31m"}'
    )


CANARIES = st.text("abcdefghij", min_size=5, max_size=12)


@given(CANARIES, st.integers(-10, 200), st.booleans(), st.text(max_size=20))
def test_no_value_is_ever_shown(canary: str, at: int, in_xml: bool, beside: str) -> None:  # noqa: FBT001
    value = f"{beside}zq{canary}zq{beside}"
    body = json.dumps({"invoices": [{"memo": value}]}, ensure_ascii=False).encode(errors="replace")
    if in_xml:
        text = value.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        body = f"<bills><bill><notes>{text}</notes></bill></bills>".encode(errors="replace")
    shown = snippet(body, at)
    assert "zq" not in shown
    assert len(shown) <= 200
    assert shown.isprintable()


@given(st.binary(max_size=500), st.integers(0, 600), st.booleans())
def test_any_bytes_become_one_short_line(body: bytes, at: int, show_sensitive: bool) -> None:  # noqa: FBT001
    shown = snippet(body, at, show_sensitive=show_sensitive)
    assert len(shown) <= 200
    assert "\n" not in shown
