"""Each exit code by a situation that leads to it; errors are one line, without the key."""
# ruff: noqa: ANN001 - fixtures of this folder's conftest, whose types cannot be imported

import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response

import aiocake.cli
from aiocake import DeadlineExceeded, RateLimited
from aiocake.cli.errors import code_of, report_error

CREATE = (
    *("invoices", "create", "--affiliate-id", 67890),
    *("--start-date", "2024-01-01", "--end-date", "2024-01-31"),
)
RECEIVED = ("--invoiced-amount", "20.01")


def one_line(ran) -> str:
    assert ran.out == ""
    assert ran.err.startswith("aiocake: ")
    assert ran.err.count("\n") == 1
    assert "Traceback" not in ran.err
    return ran.err


def test_3_is_the_key(cake, sandbox) -> None:
    sandbox.state.api_keys.clear()
    for words in (("invoices", "list"), CREATE, ("bills", "mark-received", 345, *RECEIVED)):
        ran = cake(*words)
        assert ran.code == 3
        assert one_line(ran).startswith("aiocake: key rejected: Invalid API key")


def test_4_is_what_is_not_there(cake) -> None:
    for words in (
        ("invoices", "get", 1),
        ("invoices", "update", 1, "--memo", "x"),
        ("bills", "mark-received", 1, *RECEIVED),
    ):
        ran = cake(*words)
        assert ran.code == 4
        assert one_line(ran).startswith("aiocake: not found: ")


def test_5_is_what_is_refused(cake, sandbox) -> None:
    tipalti = next(b.bill_id for b in sandbox.state.affiliate_bills.values() if b.partner.tipalti)
    ran = cake("bills", "mark-received", tipalti, *RECEIVED)
    assert ran.code == 5
    assert one_line(ran).startswith("aiocake: refused: Bills processed by Tipalti")


@pytest.mark.parametrize("status", [408, 499, 504])
def test_a_gateway_that_gives_up_has_refused_nothing(cake, sandbox, status: int) -> None:
    gone = Response("stream timeout", status)
    sandbox.state.on_response.append(lambda *_: gone)
    before = len(sandbox.state.invoices)
    ran = cake(*CREATE)
    assert ran.code == 7
    assert f"stream timeout (HTTP {status})" in one_line(ran)
    assert len(sandbox.state.invoices) == before + 1
    ran = cake("invoices", "get", 4821)
    assert ran.code == 5
    assert one_line(ran) == f"aiocake: the server failed: stream timeout (HTTP {status})\n"


def test_6_is_what_was_not_sent(cake, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
    monkeypatch.setenv("CAKE_DOMAIN", f"http://127.0.0.1:{port}")
    for words in (("invoices", "list"), CREATE):
        ran = cake(*words)
        assert ran.code == 6
        assert one_line(ran).startswith("aiocake: not sent: ")


def whole_request(client: socket.socket) -> bytes:
    with client.makefile("rb") as lines:
        head = b"".join(iter(lines.readline, b"\r\n")) + b"\r\n"
        length = re.search(rb"content-length: *(\d+)", head, re.IGNORECASE)
        return head + lines.read(int(length[1]) if length else 0)


@pytest.fixture
def losing(stage) -> Iterator[str]:
    """A way to the sandbox that loses every answer."""
    listener = socket.create_server(("127.0.0.1", 0))
    target = ("127.0.0.1", int(stage.url.rpartition(":")[2]))

    def lose() -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                with client, socket.create_connection(target) as server:
                    server.sendall(whole_request(client))
                    server.recv(65536)

    thread = threading.Thread(target=lose, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join(30)
    assert not thread.is_alive()


def test_7_is_a_write_whose_answer_was_lost(
    cake, sandbox, losing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = len(sandbox.state.invoices)
    monkeypatch.setenv("CAKE_DOMAIN", losing)
    ran = cake(*CREATE)
    assert ran.code == 7
    assert one_line(ran).startswith(
        "aiocake: outcome unknown, look before you send it again: invoices.create "
    )
    assert len(sandbox.state.invoices) == before + 1
    assert sum(request.operation == "invoice" for request in sandbox.state.requests) == 1


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(HTMLResponse("<html>Log in</html>"), id="a-page"),
        pytest.param(Response("{"), id="cut-short"),
        pytest.param(Response(""), id="empty"),
        pytest.param(
            JSONResponse(
                {
                    "request_status": "Success",
                    "total_rows": 1,
                    "invoices": [
                        {"invoice_id": 4822, "invoice_status": "paid", "total_amount": "1.00"}
                    ],
                }
            ),
            id="another-invoice",
        ),
    ],
)
def test_8_is_an_answer_that_cannot_be_used(cake, sandbox, answer: Response) -> None:
    sandbox.state.on_request.append(lambda _: answer)
    ran = cake("invoices", "get", 4821)
    assert ran.code == 8
    assert one_line(ran).startswith("aiocake: unusable response: ")


def test_6_is_a_call_that_a_paused_client_does_not_send(
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = "nothing was sent: the client is paused for 60 s more"
    assert report_error(RateLimited(text, status=429, sent=False)) == 6
    expected = "aiocake: not sent: the client is paused for 60 s more (HTTP 429)\n"
    assert capsys.readouterr().err == expected
    assert code_of(RateLimited("too many calls", status=429)) == 5


def test_1_is_anything_else(capsys: pytest.CaptureFixture[str]) -> None:
    assert code_of(DeadlineExceeded("no response within 60 s")) == 1
    assert report_error(DeadlineExceeded("no response within 60 s")) == 1
    assert report_error(RuntimeError()) == 1
    assert capsys.readouterr().err == "aiocake: no response within 60 s\naiocake: RuntimeError\n"


def test_what_is_no_error_of_ours_is_one_line_too(cake, monkeypatch: pytest.MonkeyPatch) -> None:
    def break_down(*_: object) -> None:
        raise ZeroDivisionError("out of\norder")

    monkeypatch.setattr("aiocake.cli.demo._Show.line", break_down)
    ran = cake("demo")
    assert ran.code == 1
    assert one_line(ran) == "aiocake: out of\\norder\n"


def test_the_end_of_the_process_that_is_no_closed_pipe_goes_on(
    cake, monkeypatch: pytest.MonkeyPatch
) -> None:
    def end(*_: object) -> None:
        raise SystemExit(9)

    monkeypatch.setattr("aiocake.cli.demo._Show.line", end)
    with pytest.raises(SystemExit) as ended:
        cake("demo")
    assert ended.value.code == 9


def test_the_command_can_be_read_only(cake, sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAKE_READ_ONLY", "1")
    for words in (
        CREATE,
        ("invoices", "update", 4821, "--memo", "x"),
        ("bills", "mark-paid", 345, "--payment-date", "2014-07-31"),
        ("bills", "mark-received", 345, *RECEIVED),
    ):
        ran = cake(*words)
        assert ran.code == 2
        assert "read-only" in one_line(ran)
    assert sandbox.state.requests == []
    assert cake("invoices", "get", 4821).code == 0
    monkeypatch.setenv("CAKE_READ_ONLY", "no")
    assert cake("invoices", "update", 4821, "--memo", "x").code == 0
    monkeypatch.setenv("CAKE_READ_ONLY", "perhaps")
    ran = cake("invoices", "get", 4821)
    assert (ran.code, one_line(ran)) == (2, "aiocake: CAKE_READ_ONLY must be 1 or 0\n")


@pytest.mark.parametrize(
    "domain",
    [
        pytest.param("", id="none"),
        pytest.param("http://x.example", id="http"),
        pytest.param("https://u:s3cret@x.example", id="a-password"),
        pytest.param("https://x.example/?api_key=s3cret", id="a-query"),
        pytest.param("x.example:0x50", id="a-port"),
    ],
)
def test_a_bad_domain_is_said_and_not_repeated(
    cake, monkeypatch: pytest.MonkeyPatch, domain: str
) -> None:
    monkeypatch.setenv("CAKE_DOMAIN", domain)
    ran = cake("invoices", "list")
    assert ran.code == 2
    assert "s3cret" not in one_line(ran)


def test_the_domain_can_be_an_option(cake, stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CAKE_DOMAIN")
    ran = cake("invoices", "list")
    assert one_line(ran) == "aiocake: no instance: give --domain or set CAKE_DOMAIN\n"
    assert cake("invoices", "get", 4821, "--domain", stage.url).code == 0


def test_the_key_is_in_no_output_and_no_error(cake, sandbox) -> None:
    """Also of servers that repeat the address that they were asked for."""

    def repeating(answer: Callable[[str], Response]) -> Callable[..., Response]:
        return lambda request: answer(f"{request.path}?api_key={dict(request.query)['api_key']}")

    for answer in (
        lambda text: PlainTextResponse(text, 404),
        lambda text: PlainTextResponse(text, 500),
        lambda text: HTMLResponse(f"<a href='{text}'>moved</a>", 200),
        lambda text: JSONResponse({"request_status": "Error", "message": text}),
        lambda text: JSONResponse({"message": text}, 401),
        lambda text: Response(status_code=302, headers={"Location": text}),
    ):
        sandbox.state.on_request[:] = [repeating(answer)]
        for words in (("invoices", "list"), CREATE, ("bills", "export", "--period", "2014-06")):
            ran = cake(*words)
            assert ran.code in {3, 4, 5, 7, 8}
            assert "canary-K3Y" not in one_line(ran)


def test_a_missing_extra_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aiocake.cli, "_NEEDED", ("typer", "no_such_module"))
    with pytest.raises(SystemExit) as ended:
        aiocake.cli.main(["--version"])
    assert ended.value.code == "aiocake: no_such_module missing: pip install 'aiocake[cli]'"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--notes", ""), "--erase-notes erases the stored value"),
        (("--notes", "NULL"), "--erase-notes does that"),
        (("--invoice-number", ""), "--erase-invoice-number erases the stored value"),
        (("--notes", "a<b"), "send it by --binding soap12"),
        (("--notes", "日" * 250), "such as --binding soap12"),
    ],
)
def test_what_to_do_is_told_in_options(cake, words: tuple[str, ...], said: str) -> None:
    ran = cake("bills", "mark-received", 345, *RECEIVED, *words)
    assert ran.code == 2
    line = one_line(ran)
    assert said in line
    for python in ("SKIP", "ERASE", "Binding"):
        assert python not in line


def test_what_a_payment_type_of_0_means_is_told_in_options(cake) -> None:
    ran = cake("bills", "mark-paid", 345, "--payment-date", "2014-07-31", "--payment-type-id", 0)
    assert one_line(ran) == "aiocake: --payment-type-id: 0 is not allowed: leave the option out\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        pytest.param(
            (
                *("invoices", "list", "--status", "aproved", "--affiliate-id", "abc"),
                *("--start-date", "2024-13-01"),
            ),
            ("--affiliate-id", "--start-date", "--status: must be one of"),
            id="list",
        ),
        pytest.param(
            ("invoices", "create", "--start-date", "x", "--memo", "\x0b"),
            ("--affiliate-id", "--start-date", "--end-date", "--memo: "),
            id="create",
        ),
        pytest.param(
            ("invoices", "update", "x", "--status", "y", "--paid-at", "z"),
            ("invoice_id", "--paid-at", "--status: must be one of"),
            id="update",
        ),
        pytest.param(
            (
                *("bills", "mark-received", 0, "--invoiced-amount", "1,2", "--notes", "NULL"),
                *("--invoice-number", "7", "--erase-invoice-number"),
            ),
            (
                "--invoiced-amount",
                "--invoice-number: cannot be combined with --erase-invoice-number",
                "BILL_ID: must be",
                "--notes: ",
            ),
            id="mark",
        ),
        pytest.param(
            ("bills", "export", "--period", "x", "--billing-cycle", "y", "--payment-type-id", "z"),
            ("--period", "--payment-type-id", "--billing-cycle: must be one of"),
            id="export",
        ),
        pytest.param(("sandbox", "--port", "x", "--seed", "y"), ("--port", "--seed"), id="sandbox"),
        pytest.param(
            ("journal", "resume", "/nowhere", "--concurrency", "0", "--settle", "y"),
            ("--settle", "--concurrency"),
            id="resume",
        ),
    ],
)
def test_all_bad_arguments_are_named_at_once_by_their_options(
    cake, sandbox, words, said: tuple[str, ...]
) -> None:
    ran = cake(*words)
    assert ran.code == 2
    line = one_line(ran)
    # Versions of Typer write an argument's name in capitals or not.
    places = [line.lower().find(each.lower()) for each in said]
    assert -1 not in places
    assert places == sorted(places)
    assert "_date" not in line
    assert sandbox.state.requests == []


def test_a_word_that_is_wrong_alone_sends_nothing(cake, sandbox, tmp_path) -> None:
    """All others are right: without it, this would be a list of all invoices."""
    file = tmp_path / "a.csv"
    ran = cake("invoices", "list", "--affiliate-id", "abc", "--out", file)
    assert ran.code == 2
    assert one_line(ran).startswith("aiocake: Invalid value for '--affiliate-id'")
    assert sandbox.state.requests == []
    assert not file.exists()


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["invoices", "list", "--status", "paid", "--status", "paid"], ["--status"]),
        (["invoices", "list", "--status=paid", "--status", "void"], ["--status"]),
        (
            ["invoices", "list", "-f", "csv", "--format", "csv", "-o", "a", "-ob"],
            ["--format", "--out"],
        ),
        (["invoices", "update", "4821", "-y", "--memo", "x", "--yes"], ["--yes"]),
        (
            ["bills", "buyer", "mark-received", "1", *["--payment-amount", "1"] * 2],
            ["--payment-amount"],
        ),
        (["bills", "export", "--period", "2014-06", "--paid-only", "--paid-only"], ["--paid-only"]),
        (
            ["journal", "resume", "run.db", "--concurrency", "1", "--concurrency", "2"],
            ["--concurrency"],
        ),
        (["journal", "show", "run.db", "-f", "csv", "-f", "json"], ["--format"]),
        (["sandbox", "--port", "1", "--port", "2"], ["--port"]),
        (["invoices", "get", "1", "--domain", "a", "--domain", "b"], ["--domain"]),
    ],
)
def test_an_option_that_is_given_twice_is_refused(
    cake, sandbox, words: list[str], named: list[str]
) -> None:
    ran = cake(*words, yes=False)
    assert ran.code == 2
    for name in named:
        assert f"{name}: may be given once only" in ran.err
    assert ran.err.count("may be given once only") == len(named)
    assert sandbox.state.requests == []


def test_what_is_given_twice_is_said_beside_what_else_is_wrong(cake) -> None:
    ran = cake("invoices", "list", *("--period", "x") * 2, "--row-limit", 0, "--affiliate-id", "x")
    assert ran.code == 2
    assert ran.err.count("may be given once only") == 1
    for text in ("'x' is not a period", "--row-limit: must be", "'--affiliate-id'"):
        assert text in ran.err


def test_the_environment_does_not_count_as_once(cake, stage) -> None:
    assert cake("invoices", "get", 4821, "--domain", stage.url).code == 0


def test_help_has_a_short_name(cake) -> None:
    assert cake("-h").out == cake("--help").out
    assert cake("invoices", "list", "-h").out == cake("invoices", "list", "--help").out


def test_help_is_a_command_too(cake) -> None:
    for words in ((), ("invoices",), ("plan", "update"), ("sandbox",)):
        assert cake("help", *words, yes=False) == cake(*words, "--help", yes=False), words
    assert "No such command 'invoice'. Did you mean 'invoices'?" in cake("help", "invoice").err


def test_bytes_that_are_not_utf_8_are_said_to_be_such(cake, sandbox) -> None:
    ran = cake("invoices", "update", 4821, "--memo", "caf\udce9")
    assert "'--memo': it holds bytes that are not UTF-8 (see aiocake invoices" in ran.err
    assert sandbox.state.requests == []
