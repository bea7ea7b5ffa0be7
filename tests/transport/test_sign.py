# ruff: noqa: ANN001 - the lab comes from a conftest, whose types cannot be imported
"""The key: what it may be, where it goes, and when it is asked for."""

from urllib.parse import parse_qs
from xml.etree import ElementTree as ET

import anyio
import attrs
import pytest

from aiocake._messages import KeyPlacement, Request
from aiocake._transport.api_key import KeyInserter, Keys, check_key
from aiocake.errors import ArgumentError, ConfigurationError, NotSent
from aiocake.values import Secret

ENVELOPE = b"<e><api_key></api_key></e>"


@pytest.mark.parametrize("text", ["", "x" * 51, "k\u00e9y", "ke\ny", "k\x00y", " \n\ufeff", "\x7f"])
def test_what_cannot_be_a_key_is_refused_without_being_shown(text: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        check_key(Secret(text))
    assert not text.strip() or text not in str(caught.value)


def test_what_can_be_a_key() -> None:
    for text in ("k", "x" * 50, "a b&c<d>\"e'%+"):
        assert check_key(Secret(text)).reveal() == text


def test_the_key_stands_in_its_hole(lab) -> None:
    signed = KeyInserter([]).insert(lab.get, Secret(lab.key))
    query = signed.target.partition("?")[2]
    assert parse_qs(query) == {"api_key": [lab.key], "row_limit": ["1"]}
    assert signed.body == b""

    signed = KeyInserter([]).insert(lab.form, Secret(lab.key))
    assert parse_qs(signed.body.decode()) == {"api_key": [lab.key], "bill_id": ["1"]}
    assert signed.target == "/api/1/accounting.asmx/Mark"

    soap = Request(
        "x", "POST", "/x", body=ENVELOPE, key_placement=KeyPlacement.ENVELOPE, key_offset=12
    )
    signed = KeyInserter([]).insert(soap, Secret(lab.key + "'"))
    assert ET.fromstring(signed.body).findtext("api_key") == lab.key + "'"  # noqa: S314 - our own


def test_a_signed_request_does_not_show_the_key(lab) -> None:
    for request in (lab.get, lab.form):
        shown = repr(KeyInserter([]).insert(request, Secret(lab.key)))
        assert "canary" not in shown
        assert request.path in shown


def test_the_length_of_the_query_counts_with_the_key_in_place(lab) -> None:
    length = len(lab.get.query) + 50
    key = Secret("k" * 50)
    assert KeyInserter([]).insert(attrs.evolve(lab.get, query_limit=length + 1), key).target
    with pytest.raises(ArgumentError, match=r"SOAP12") as caught:
        KeyInserter([]).insert(attrs.evolve(lab.get, query_limit=length), key)
    assert str(length) in str(caught.value)


def test_headers_of_the_request_come_instead_of_the_same_of_the_client(lab) -> None:
    request = attrs.evolve(
        lab.get, headers=(("Accept-Encoding", "identity"), ("X-Note", "caf\u00e9"))
    )
    own = [(b"Host", b"h"), (b"accept-encoding", b"gzip")]
    assert KeyInserter(own).insert(request, Secret("k")).headers == [
        (b"Host", b"h"),
        (b"Accept-Encoding", b"identity"),
        (b"X-Note", "caf\u00e9".encode("latin-1")),
    ]


def test_the_head_is_what_a_connection_writes(lab) -> None:
    inserter = KeyInserter([(b"Host", b"h:1"), (b"User-Agent", b"me")])
    key = Secret("a b&c")
    host = b" HTTP/1.1\r\nHost: h:1\r\nUser-Agent: me\r\n"
    get = inserter.insert(lab.get, key)
    target = b"/api/2/invoices.json?api_key=a%20b%26c&row_limit=1"
    assert (get.target.encode(), get.head) == (target, b"GET " + target + host + b"\r\n")
    form = inserter.insert(lab.form, key)
    assert form.body == b"api_key=a%20b%26c&bill_id=1"
    assert form.head == (
        b"POST /api/1/accounting.asmx/Mark"
        + host
        + b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 27\r\n\r\n"
    )
    empty = inserter.insert(attrs.evolve(lab.post, body=b""), key)
    assert empty.head.endswith(b"\r\nContent-Length: 0\r\n\r\n")
    delete = inserter.insert(attrs.evolve(lab.get, method="DELETE"), key)
    assert b"Content-Length" not in delete.head


def test_the_key_of_each_request_is_the_one_that_it_was_given(lab) -> None:
    inserter = KeyInserter([])
    for text in ("one", "two", "one"):
        assert f"api_key={text}&" in inserter.insert(lab.get, Secret(text)).head.decode()


def test_many_paths_are_not_kept_for_ever(lab) -> None:
    inserter = KeyInserter([(b"Host", b"h")])
    for number in range(600):
        request = attrs.evolve(lab.get, path=f"/api/2/{number}.json")
        assert inserter.insert(request, Secret("k")).head.startswith(
            f"GET {request.path}?".encode()
        )
    assert len(inserter._heads) < 300


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("path", "/caf\u00e9"),
        ("path", "/a b"),
        ("path", "/a\r\nb"),
        ("query", "api_key=&a=\u20ac"),
        ("query", "api_key=&a=b c"),
        ("headers", (("X Y", "z"),)),
        ("headers", (("", "z"),)),
        ("headers", (("X", "a\nb"),)),
        ("headers", (("X", " a"),)),
        ("headers", (("X", "\u20ac"),)),
    ],
)
def test_what_cannot_be_written_as_http_is_refused(lab, field, value) -> None:
    with pytest.raises(ArgumentError, match=field):
        KeyInserter([]).insert(attrs.evolve(lab.get, **{field: value}), Secret(lab.key))


class Vault:
    """Gives these keys, one after the other, as slowly as a network does."""

    def __init__(self, *answers: str | Exception) -> None:
        self.answers = list(answers)
        self.asked = 0

    async def __call__(self) -> str:
        self.asked += 1
        await anyio.lowlevel.checkpoint()
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.mark.anyio
async def test_many_callers_ask_once() -> None:
    vault = Vault("one")
    seen: list[Secret] = []
    keys = Keys(vault, seen.append)
    got = []

    async def call() -> None:
        got.append(await keys.get())

    async with anyio.create_task_group() as group:
        for _ in range(20):
            group.start_soon(call)
    assert got == [Secret("one")] * 20
    assert vault.asked == 1
    assert seen == [Secret("one")]


@pytest.mark.anyio
async def test_a_refused_key_is_asked_for_again_once_for_all_who_were_refused() -> None:
    vault = Vault("old", "new")
    keys = Keys(vault, lambda _: None)
    old = await keys.get()
    assert isinstance(old, Secret)
    asked = keys.asked
    changed = []

    async def renew() -> None:
        changed.append(await keys.renew(old, asked))

    async with anyio.create_task_group() as group:
        for _ in range(20):
            group.start_soon(renew)
    assert changed == [True] * 20
    assert vault.asked == 2
    assert await keys.get() == Secret("new")


@pytest.mark.anyio
async def test_the_same_key_again_is_no_other_key() -> None:
    keys = Keys(Vault("same", "same"), lambda _: None)
    key = await keys.get()
    assert isinstance(key, Secret)
    assert not await keys.renew(key, keys.asked)


@pytest.mark.anyio
async def test_a_text_is_never_asked_for_again() -> None:
    keys = Keys(Secret("text"), lambda _: None)
    assert await keys.get() == Secret("text")
    assert not await keys.renew(Secret("text"), keys.asked)


@pytest.mark.anyio
async def test_what_goes_wrong_in_the_vault_is_told_without_its_text() -> None:
    vault = Vault(RuntimeError("token canary"), "k\u00e9y", "good")
    keys = Keys(vault, lambda _: None)
    error = await keys.get()
    assert isinstance(error, NotSent)
    assert "RuntimeError" in str(error)
    assert "canary" not in str(error)
    assert isinstance(await keys.get(), ConfigurationError)
    assert await keys.get() == Secret("good")


@pytest.mark.anyio
async def test_a_vault_that_fails_later_leaves_the_key_that_was() -> None:
    keys = Keys(Vault("old", RuntimeError()), lambda _: None)
    key = await keys.get()
    assert isinstance(key, Secret)
    renewed = await keys.renew(key, keys.asked)
    assert isinstance(renewed, NotSent)
    assert str(renewed) == "the function that gives the key raised RuntimeError"
    assert await keys.get() == key
