"""A CAKE over real sockets that keeps books and breaks by dice, and what the campaign comes to."""

import gzip
import json
import random
import re
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from urllib.parse import parse_qs, urlsplit

import attrs
import pytest
import trustme

from ..support.amounts import some

#: Each kind of call has so many seeds on each backend in the default run, in the long one 400.
SHORT = some(24)


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("campaign")
    group.addoption("--seeds", type=int, default=SHORT, help="how many seeds each call is tried by")
    group.addoption("--seed", type=int, default=None, help="repeat this one seed")


def all_seeds(config: pytest.Config) -> range:
    # Where this file is not among the first that pytest reads, there are no options.
    one = config.getoption("--seed", None)
    return range(config.getoption("--seeds", SHORT)) if one is None else range(one, one + 1)


@pytest.fixture
def seeds(request: pytest.FixtureRequest, say: Callable[[str], None]) -> range:
    """Which seeds to try."""
    seeds = all_seeds(request.config)
    say(f"seeds {seeds.start} to {seeds.stop - 1}")
    return seeds


# What breaks

#: By which a gateway gives up a request that it has passed on, or has not.
GATEWAYS = (408, 421, 425, 499)
FAULT = (
    b'<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Body><s:Fault><s:Code>'
    b"<s:Value>s:Sender</s:Value></s:Code><s:Reason><s:Text>no</s:Text></s:Reason></s:Fault>"
    b"</s:Body></s:Envelope>"
)
#: What it says beside that: nothing that counts.
WORDS = (
    ("text/plain", b"stream timeout"),
    ("text/html", b"<html><title>Request Timeout</title></html>"),
    ("application/json", b'{"request_status": "Error", "message": "Invalid API key"}'),
    ("application/soap+xml", FAULT),
)


@attrs.frozen
class Trouble:
    """What goes wrong with one attempt.

    Attributes:
        mood: What the server makes of the call; ``fine`` carries it out, and so does a gateway
            that gives up ``after`` it has passed it on.
        where: ``accept`` breaks off at once, ``request`` while it is read, ``answer`` while it
            is sent.
        how: ``cut``, ``reset``, ``garble`` (bytes at random), ``twist`` (a letter or a digit
            becomes another), or empty for no fault.
        at: At which part of the bytes, from 0 to 1.
    """

    mood: str = "fine"
    where: str = "answer"
    how: str = ""
    at: float = 0.0


@attrs.frozen
class Dice:
    """What one seed brings: trouble for the first attempts, and the shape of all answers."""

    seed: int
    troubles: tuple[Trouble, ...]
    tls: bool
    json: bool
    wrapped: bool
    zipped: bool
    chunked: bool

    @classmethod
    def thrown(cls, seed: int) -> "Dice":
        dice = random.Random(seed)  # noqa: S311 - no secret
        # A second fault on the retry in a third of the cases, and a third on the one after it.
        count = dice.choice([1, 1, 1, 1, 2, 3])
        troubles = tuple(cls._trouble(dice) for _ in range(count))
        if dice.random() < 0.05:  # and sometimes nobody is there at all
            troubles = (Trouble(where="accept", how="reset"),) * 3
        return cls(
            seed,
            troubles,
            *(dice.random() < 0.3 for _ in range(5)),
        )

    @staticmethod
    def _trouble(dice: random.Random) -> Trouble:
        where = dice.choice(["accept"] + ["request"] * 3 + ["answer"] * 6)
        ways = ["cut", "reset"] + ["garble", "twist"] * (where == "answer")
        moods = ["fine"] * 12 + ["no", "429", "500", "502", "503", "html"]
        mood = dice.choice(moods + ["after"] * 6 + ["before"] * 2)
        if mood in {"after", "before"}:
            # One wrong digit would make another status of it. Mostly the answer comes whole.
            mood = f"{dice.choice(GATEWAYS)} {mood}"
            ways = ["cut", "reset"] + [""] * 6 * (where == "answer")
        return Trouble(mood, where, dice.choice(ways), dice.random())

    def spoiled(self, trouble: Trouble, answer: bytes) -> bytes:
        """An answer with bytes that are not what they were."""
        dice = random.Random(f"{self.seed} {trouble}")  # noqa: S311 - no secret
        at = int(trouble.at * len(answer))
        if trouble.how == "garble":
            return answer[:at] + dice.randbytes(dice.randrange(1, 16)) + answer[at + 8 :]
        places = [m.start() for m in re.finditer(rb"[0-9A-Za-z]", answer)]
        at = min(places, key=lambda place: abs(place - at))
        alphabet = b"0123456789" if answer[at : at + 1].isdigit() else b"abcdefghijklmnoprstuvwxyz"
        other = dice.choice(alphabet.replace(answer[at : at + 1].lower(), b""))
        return answer[:at] + bytes([other]) + answer[at + 1 :]


# What it does


Answer = tuple[int, str, bytes]

SORRY = b"<html>Sorry</html>"
#: What is said of a call that was not carried out,
UNDONE: dict[str, Answer] = {
    "429": (429, "application/json", b'{"request_status": "Error", "message": "Wait"}'),
    "500": (500, "text/plain", b"Timeout expired."),
}
#: and by a proxy that has lost the answer of one that was.
LOST: dict[str, Answer] = {
    "502": (502, "text/html", SORRY),
    "503": (503, "text/html", SORRY),
    "html": (200, "text/html", SORRY),
}

NAME = re.compile(rb"<(Mark\w+)")
FIELD = re.compile(rb"<(\w+)>([^<]*)</")


class Books:
    """What is stored, and each write that was carried out, in order."""

    def __init__(self, dice: Dice) -> None:
        self.dice = dice
        self.status = "pending"
        self.memo = ""
        self.created: list[dict[str, object]] = []
        self.marks: list[dict[str, str]] = []
        #: Every write that was carried out: its name and what it set.
        self.done: list[tuple[str, dict[str, object]]] = []

    def carry_out(self, request: bytes) -> Answer:
        """Do what a request says."""
        head, body = request.split(b"\r\n\r\n", 1)
        target = urlsplit(head.split(b" ", 2)[1].decode())
        if target.path == "/api/2/invoices.json":
            return self._json({"invoices": [], "total_rows": 0})
        if target.path == "/api/2/invoice.json":
            sent = json.loads(body)
            self.created.append(sent)
            self.done.append(("create", sent))
            number = 5000 + len(self.created)
            shown = {"invoice_id": number, "affiliate_id": sent["affiliate_id"]}
            shown |= {"invoice_status": "pending", "total_amount": "12.50", "currency": "USD"}
            return self._json({"invoice": shown})
        if target.path == "/api/2/update_invoice.json":
            sent = json.loads(body)
            self.status, self.memo = sent["invoice_status"], sent["memo"]
            self.done.append(("update", sent))
            return self._json({"invoice": sent})
        if body:
            sent = {name.decode(): text.decode() for name, text in FIELD.findall(body)}
            return self._mark(NAME.search(body)[1].decode(), sent, soap=True)  # type: ignore[index] # it is one
        query = parse_qs(target.query, keep_blank_values=True)
        sent = {name: each[0] for name, each in query.items()}
        return self._mark(target.path.rpartition("/")[2], sent, soap=False)

    def _mark(self, name: str, sent: dict[str, str], *, soap: bool) -> Answer:
        sent.pop("api_key")
        text = "Bill Successfully Updated" if self.marks else "Bill Marked As Received"
        if name == "MarkAffiliateBillAsPaid":
            text = "Affiliate Payment Updated" if self.marks else "Affiliate Payment Added"
        self.marks.append(sent)
        self.done.append((name, dict(sent)))
        if self.dice.json:  # as CAKE's newer pages of v1 show it
            return self._json({"message": text})
        inner = f"<success>true</success><message>{text}</message>"
        return self._xml(name, inner, soap=soap)

    def _json(self, fields: dict[str, object]) -> Answer:
        whole: dict[str, object] = {"request_status": "Success"}
        whole |= {"response": fields} if self.dice.wrapped else fields
        return 200, "application/json", json.dumps(whole).encode()

    @staticmethod
    def _xml(name: str, inner: str, *, soap: bool) -> Answer:
        space = 'xmlns="http://cakemarketing.com/api/1/"'
        if soap:
            inner = f"<{name}Result>{inner}</{name}Result>"
            inner = f"<soap:Body><{name}Response {space}>{inner}</{name}Response></soap:Body>"
            envelope = 'xmlns:soap="http://www.w3.org/2003/05/soap-envelope"'
            inner = f"<soap:Envelope {envelope}>{inner}</soap:Envelope>"
            return 200, "application/soap+xml", f'<?xml version="1.0"?>{inner}'.encode()
        body = f'<?xml version="1.0"?><mark_response {space}>{inner}</mark_response>'
        return 200, "text/xml", body.encode()

    def in_a_mood(self, mood: str, request: bytes) -> Answer:
        """Do what a request says, or do not, by the mood."""
        v2 = b"/api/2/" in request.split(b"\r\n", 1)[0]
        if mood == "no":
            if v2:
                return 200, "application/json", b'{"request_status": "Error", "message": "No."}'
            no = "<success>false</success><message>Invalid Bill ID</message>"
            return self._xml("MarkBuyerBillAsReceived", no, soap=request.startswith(b"POST"))
        if mood in UNDONE:
            return UNDONE[mood]
        status, _, when = mood.partition(" ")
        if when == "before":
            return self._given_up(status)
        answer = self.carry_out(request)
        return self._given_up(status) if when else LOST.get(mood, answer)

    def _given_up(self, status: str) -> Answer:
        return int(status), *WORDS[self.dice.seed % len(WORDS)]


# What it is asked by


class Case:
    """One call on the server's side: what is to break, what arrived, what was done."""

    def __init__(self, dice: Dice) -> None:
        self.dice = dice
        self.books = Books(dice)
        self.healed = False
        #: The attempts of which a byte came, and those that came whole.
        self.begun = 0
        self.whole: list[bytes] = []
        #: What the server made of those that it answered, in order.
        self.moods: list[str] = []
        self.threads: list[threading.Thread] = []
        self._next = 0

    def serve(self, peer: socket.socket, tls: ssl.SSLContext | None) -> None:
        """Answer the requests of one connection, one way or the other."""
        trouble = self._next_trouble()
        if trouble.where == "accept":
            return self._break_off(peer, trouble)
        if tls is not None:
            # It has the file descriptor from here on.
            with tls.wrap_socket(peer, server_side=True) as inner:
                return self._serve(inner, trouble)
        return self._serve(peer, trouble)

    def _serve(self, peer: socket.socket, trouble: Trouble) -> None:
        while first := peer.recv(1):
            self.begun += not self.healed
            request = self._read(peer, first, trouble)
            if trouble.where == "request":
                return self._break_off(peer, trouble)
            answer = self._answer(request, trouble)
            if trouble.how in {"cut", "reset"}:
                peer.sendall(answer[: int(trouble.at * (len(answer) + 1))])
                return self._break_off(peer, trouble)
            peer.sendall(self.dice.spoiled(trouble, answer) if trouble.how else answer)
            if trouble.how:  # what was spoiled may promise more than comes
                return None
            trouble = self._next_trouble()
        return None

    def _next_trouble(self) -> Trouble:
        if self.healed or self._next >= len(self.dice.troubles):
            return Trouble()
        self._next += 1
        return self.dice.troubles[self._next - 1]

    def _read(self, peer: socket.socket, data: bytes, trouble: Trouble) -> bytes:
        """A whole request, or where it is to be broken off, as much as it may have."""
        # Requests have 300 to 900 bytes.
        room = int(trouble.at * 900) if trouble.where == "request" else 65536
        while room > len(data) and not is_whole(data):
            piece = peer.recv(room - len(data))
            if not piece:
                raise ConnectionError
            data += piece
        if is_whole(data) and not self.healed:
            self.whole.append(data)
        return data

    def _answer(self, request: bytes, trouble: Trouble) -> bytes:
        if not self.healed:
            self.moods.append(trouble.mood)
        return self._framed(self.books.in_a_mood(trouble.mood, request))

    def _framed(self, answer: Answer) -> bytes:
        status, kind, body = answer
        head = f"HTTP/1.1 {status} Whatever\r\nContent-Type: {kind}\r\n"
        if self.dice.zipped:
            body = gzip.compress(body, mtime=0)
            head += "Content-Encoding: gzip\r\n"
        if not self.dice.chunked:
            return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
        half = len(body) // 2
        pieces = (body[:half], body[half:], b"")
        chunks = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
        return f"{head}Transfer-Encoding: chunked\r\n\r\n".encode() + chunks

    @staticmethod
    def _break_off(peer: socket.socket, trouble: Trouble) -> None:
        if trouble.how == "reset":
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        peer.close()


def is_whole(data: bytes) -> bool:
    head, end, body = data.partition(b"\r\n\r\n")
    if not end:
        return False
    length = re.search(rb"content-length: *(\d+)", head, re.IGNORECASE)
    return len(body) >= (int(length[1]) if length else 0)


class Cake:
    """The server: one listener for all cases, a thread for each connection."""

    def __init__(self) -> None:
        authority = trustme.CA()
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1").configure_cert(self._tls)
        self.trusting = ssl.create_default_context()
        authority.configure_trust(self.trusting)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.host = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._case = Case(Dice.thrown(0))
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def begin(self, seed: int) -> Case:
        """From now on connections belong to a new case."""
        self._case = Case(Dice.thrown(seed))
        return self._case

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                peer, _ = self._listener.accept()
                case = self._case
                thread = threading.Thread(target=self._serve, args=(case, peer), daemon=True)
                case.threads.append(thread)
                thread.start()

    def _serve(self, case: Case, peer: socket.socket) -> None:
        with suppress(OSError):
            case.serve(peer, self._tls if case.dice.tls else None)
        with suppress(OSError):
            peer.close()

    def end(self, case: Case) -> None:
        """See that the client has closed every connection of a case."""
        for thread in case.threads:
            thread.join(20)
            assert not thread.is_alive(), "a connection was left open"

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(20)
        assert not self._thread.is_alive()


@pytest.fixture
def server() -> Iterator[Cake]:
    server = Cake()
    yield server
    server.close()
