"""Where the key comes from; that it is asked for only on a terminal; that it is shown nowhere."""
# ruff: noqa: ANN001 - fixtures of this folder's conftest, whose types cannot be imported

from pathlib import Path

import pytest

KEY = "canary-K3Y"
GET = ("invoices", "get", 4821)
WARNING = (
    "aiocake: warning: other users of this machine can read --api-key in the process list; "
    "better set CAKE_API_KEY, or give --key-file\n"
)


@pytest.fixture
def no_key(environment, monkeypatch: pytest.MonkeyPatch) -> None:
    del environment
    monkeypatch.delenv("CAKE_API_KEY")


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    file = tmp_path / "key"
    file.write_text(f"{KEY}\n")
    return file


def test_the_key_can_be_in_the_environment(cake) -> None:
    assert (cake(*GET).code, cake(*GET).err) == (0, "")


@pytest.mark.usefixtures("no_key")
def test_the_key_can_be_in_a_file_that_the_environment_names(
    cake, key_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CAKE_API_KEY_FILE", str(key_file))
    assert (cake(*GET).code, cake(*GET).err) == (0, "")


def test_the_key_can_be_in_a_file_that_an_option_names(
    cake, key_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CAKE_API_KEY", "another")
    assert cake(*GET).code == 3
    ran = cake(*GET, "--key-file", key_file)
    assert (ran.code, ran.err) == (0, "")


@pytest.mark.usefixtures("no_key")
def test_the_key_as_an_option_works_with_a_warning(cake) -> None:
    ran = cake(*GET, "--api-key", KEY)
    assert (ran.code, ran.err) == (0, WARNING)
    ran = cake(*GET, "--api-key", "not-the-k3y")
    assert ran.code == 3
    assert ran.err.startswith(WARNING)
    assert "not-the-k3y" not in ran.err


@pytest.mark.usefixtures("no_key")
@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        pytest.param("no-such-file", None, "No such file or directory", id="missing"),
        pytest.param("key", b"\xff\xfek\x003\x00y\x00", "save it as UTF-8", id="utf-16"),
        pytest.param("key", b"\x89k3y", "it is not UTF-8 text", id="binary"),
        pytest.param("key", b"\n", "must not be empty", id="empty"),
        pytest.param("key", b"k3y" * 17, "at most 50", id="too-long"),
    ],
)
@pytest.mark.parametrize("by_option", [True, False])
def test_a_bad_key_file_is_said(  # noqa: PLR0913, PLR0917 - cases
    cake,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    content: bytes | None,
    said: str,
    by_option: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    file = tmp_path / name
    if content is not None:
        file.write_bytes(content)
    if not by_option:
        monkeypatch.setenv("CAKE_API_KEY_FILE", str(file))
    ran = cake(*GET, *(("--key-file", file) if by_option else ()))
    assert ran.code == 2
    assert said in ran.err
    assert ran.err.count("\n") == 1
    assert "k3y" not in ran.err


@pytest.mark.usefixtures("no_key")
def test_no_key_is_an_error_where_nobody_can_be_asked(cake, process) -> None:
    said = "aiocake: no API key: set CAKE_API_KEY or CAKE_API_KEY_FILE, or give --key-file\n"
    for ran in (cake(*GET), process(*GET)):
        assert (ran.code, ran.out, ran.err) == (2, "", said)


@pytest.mark.usefixtures("no_key")
def test_a_terminal_is_asked_for_the_key_and_does_not_show_it(terminal) -> None:
    screen = terminal(*GET)
    screen.read_until("CAKE API key: ")
    screen.type(f"{KEY}\n")
    ran = screen.end()
    assert ran.code == 0
    assert "1,250.00" in ran.out
    assert KEY not in ran.out


@pytest.mark.usefixtures("no_key")
@pytest.mark.parametrize(
    ("typed", "code", "said"),
    [
        pytest.param("\n", 2, "aiocake: api_key: must not be empty\n", id="nothing"),
        pytest.param("\x04", 2, "\naiocake: no API key was given\n", id="end-of-input"),
    ],
)
def test_a_terminal_that_gives_no_key(terminal, sandbox, typed: str, code: int, said: str) -> None:
    screen = terminal(*GET)
    screen.read_until("CAKE API key: ")
    screen.type(typed)
    ran = screen.end()
    assert ran.code == code
    assert ran.out.endswith(said)
    assert sandbox.state.requests == []


@pytest.mark.usefixtures("no_key")
def test_ctrl_c_where_the_key_is_asked_for_sends_nothing(terminal, sandbox) -> None:
    screen = terminal(*GET)
    screen.read_until("CAKE API key: ")
    screen.interrupt()
    ran = screen.end()
    assert ran.code == 130
    assert ran.out.endswith("\naiocake: interrupted; nothing was sent\n")
    assert sandbox.state.requests == []


@pytest.mark.usefixtures("no_key")
def test_nobody_is_asked_for_the_key_before_the_arguments_are_right(terminal) -> None:
    words = ("bills", "mark-received", 345, "--invoiced-amount", 1, "--notes", "x", "--erase-notes")
    ran = terminal(*words).end()
    assert ran.code == 2
    assert ran.out.startswith("aiocake: --notes: cannot be combined")
