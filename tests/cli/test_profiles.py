"""``--profile``: what a profile gives to a command, and what is refused."""
# ruff: noqa: ANN001 - fixtures of this folder's conftest, whose types cannot be imported

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from aiocake.cli.connection import Connection

KEY = "canary-K3Y"
GET = ("invoices", "get", 4821)
Write = Callable[..., Path]


@pytest.fixture
def config(environment, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Write:
    """Write config.toml, and leave instance and key to it."""
    del environment
    monkeypatch.delenv("CAKE_DOMAIN")
    monkeypatch.delenv("CAKE_API_KEY")
    monkeypatch.setattr("platformdirs.user_config_path", lambda *_, **__: tmp_path / "aiocake")

    def write(text: str) -> Path:
        file = tmp_path / "aiocake" / "config.toml"
        file.parent.mkdir(exist_ok=True)
        file.write_text(text, encoding="utf-8")
        file.chmod(0o644)
        return file

    return write


@pytest.fixture
def profile(config: Write, stage) -> Path:
    """A profile of the sandbox, whose key a command prints."""
    words = f"['{sys.executable}', '-c', 'print(\"canary-\" + \"K3Y\")']"
    return config(f"[profiles.here]\ndomain = '{stage.url}'\nkey_command = {words}\n")


@pytest.mark.usefixtures("profile")
def test_a_profile_gives_instance_and_key(cake, monkeypatch: pytest.MonkeyPatch) -> None:
    ran = cake(*GET, "--profile", "here")
    assert (ran.code, ran.err) == (0, "")
    assert "1,250.00" in ran.out
    monkeypatch.setenv("CAKE_PROFILE", "here")
    assert cake(*GET).code == 0
    assert KEY not in ran.out + ran.err


def test_each_command_that_connects_takes_a_profile(cake, profile: Path, sandbox) -> None:
    for words in (
        ("invoices", "list"),
        ("invoices", "update", 4821, "--status", "approved"),
        ("bills", "export", "--period", "2014"),
        ("lookups", "payment-types"),
        ("doctor",),
    ):
        ran = cake(*words, "--profile", "here")
        assert ran.code == 0, ran.err
    assert sandbox.state.invoices[4821].invoice_status == "approved"
    assert profile.exists()


@pytest.mark.parametrize(
    ("text", "words", "said"),
    [
        ("", ("--profile", "x"), "there is no profile 'x' (there are: none)"),
        ("[profiles.x]", ("--profile", "x"), "no instance: give --domain or set CAKE_DOMAIN"),
        ("[profiles.x]\ndomain = 'x.example'", ("--profile", "x"), "no API key: set CAKE_API_KEY"),
        (
            "[profiles.x]\napi_key = 'canary-K3Y'",
            ("--profile", "x"),
            "this file must not contain a key",
        ),
        (
            "[profiles.x]\ndomain = 'x.example'",
            ("--profile", "x", "--domain", "y.example"),
            "profile x is for x.example, and --domain or CAKE_DOMAIN is y.example",
        ),
        ("", ("--profile", "x", "--profile", "x"), "--profile: may be given once only"),
    ],
)
def test_a_profile_that_cannot_be_used_is_said(  # noqa: PLR0913, PLR0917 - cases
    cake, config: Write, sandbox, text: str, words: tuple[str, ...], said: str
) -> None:
    config(text)
    ran = cake(*GET, *words)
    assert (ran.code, ran.out) == (2, "")
    assert said in ran.err
    assert ran.err.count("\n") == 1
    assert KEY not in ran.err
    assert sandbox.state.requests == []


def test_a_command_that_fails_is_said_without_what_it_prints(
    process, config: Write, stage, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program = f"import sys; print('{KEY}'); sys.stderr.write('{KEY}'); sys.exit(1)"
    config(
        f"[profiles.here]\ndomain = '{stage.url}'\n"
        f'key_command = ["{sys.executable}", "-c", "{program}"]\n'
    )
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    ran = process(*GET, "--profile", "here")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == (
        "aiocake: key_command of profile here gives no key: it ended with the exit code 1; "
        "run it by hand to see why\n"
    )


def test_the_profile_comes_after_options(config: Write, stage) -> None:
    config(
        f"[profiles.here]\ndomain = '{stage.url}'\nkey_command = ['x']\n"
        "binding = 'soap11'\nconcurrency = 3\nrate = 2\napprovals = 2\nread_only = true"
    )
    values = dict.fromkeys(
        ("domain", "key_file", "api_key", "ca_file", "proxy", "timeout", "rate", "concurrency")
    )
    connection = Connection.of({**values, "profile": "here"})
    throttle = connection.settings["throttle"]
    assert throttle is not None
    assert (throttle.rate, throttle.concurrency) == (2, 3)
    assert (connection.settings["binding"], connection.settings["read_only"]) == ("soap11", True)
    assert connection.profile is not None
    assert connection.profile.approvals == 2
    connection = Connection.of({**values, "profile": "here", "rate": 5.0, "binding": "post"})
    throttle = connection.settings["throttle"]
    assert throttle is not None
    assert (throttle.rate, throttle.concurrency) == (5, 3)
    assert connection.settings["binding"] == "post"


def test_arguments_are_checked_by_the_binding_of_the_profile(
    cake, config: Write, stage, sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CAKE_API_KEY", KEY)
    words = ("bills", "mark-received", 345, "--invoiced-amount", 1, "--notes", "<b>")
    config(f"[profiles.here]\ndomain = '{stage.url}'\n")
    assert cake(*words, "--profile", "here").code == 2
    config(f"[profiles.here]\ndomain = '{stage.url}'\nbinding = 'soap12'\n")
    ran = cake(*words, "--profile", "here")
    assert ran.code == 0, ran.err
    assert sandbox.state.affiliate_bills[345].notes == "<b>"


def test_the_output_is_none_of_the_profile_s_files(cake, profile: Path) -> None:
    before = profile.read_text()
    ran = cake(*GET, "--profile", "here", "--out", profile, "--format", "json")
    assert ran.code == 2
    assert "which the command needs" in ran.err
    assert profile.read_text() == before


# Doctor.


def test_doctor_shows_what_it_finds(cake) -> None:
    ran = cake("doctor")
    assert (ran.code, ran.err) == (0, "")
    first, *lines = ran.out.splitlines()
    assert "requests, " in first
    levels = [line.split()[0] for line in lines]
    assert set(levels) == {"ok"}
    assert "ok       key              accepted" in lines
    assert "ok       clock            within 30 s of the instance's" in lines
    assert "ok       tls              none: plain http, on this machine" in lines
    assert KEY not in ran.out


def test_doctor_writes_each_format(cake, tmp_path: Path) -> None:
    whole = json.loads(cake("doctor", "--format", "json").out)
    assert whole["requests"] < 60
    assert whole["traits"]["bindings"] == ["get", "post", "soap11", "soap12"]
    assert {"topic": "key", "level": "ok", "text": "accepted", "advice": ""} in whole["findings"]
    lines = cake("doctor", "--format", "jsonl").out.splitlines()
    assert len(lines) == len(whole["findings"])
    assert cake("doctor", "--format", "csv").out.splitlines()[0] == "topic,level,text,advice"
    assert cake("doctor", "--out", tmp_path / "found.txt").out == ""
    assert "accepted" in (tmp_path / "found.txt").read_text()


def test_doctor_keeps_the_traits_in_the_profile(cake, profile: Path) -> None:
    ran = cake("doctor", "--profile", "here", "--save")
    assert (ran.code, ran.err) == (0, f"aiocake: saved in profile here of {profile}\n")
    text = profile.read_text()
    assert "[profiles.here.traits]\n" in text
    assert 'bindings = ["get", "post", "soap11", "soap12"]\n' in text
    assert KEY not in text
    assert cake("invoices", "list", "--profile", "here").code == 0


def test_doctor_keeps_nothing_without_a_profile(cake, sandbox) -> None:
    ran = cake("doctor", "--save")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == ("aiocake: --save needs a profile: give --profile or set CAKE_PROFILE\n")
    assert sandbox.state.requests == []


def test_doctor_ends_with_the_code_of_what_it_finds(
    cake, sandbox, profile: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox.state.api_keys = {"another"}
    before = profile.read_text()
    ran = cake("doctor", "--profile", "here", "--save")
    assert ran.code == 3
    assert ran.err == "aiocake: key rejected: Invalid API key (HTTP 200)\n"
    assert "problem" in ran.out
    assert "make a new one in CAKE" in ran.out
    assert profile.read_text() == before
    sandbox.state.api_keys = {KEY}
    ran = cake("doctor", "--domain", "http://127.0.0.1:9", "--api-key", KEY)
    assert ran.code == 6
    assert "is the sandbox running?" in ran.out
    monkeypatch.setenv("CAKE_PROFILE", "nobody")
    assert cake("doctor").code == 2


def test_doctor_ends_with_1_where_something_does_not_work(cake, stage) -> None:
    from aiocake.sandbox import Dialect, Sandbox  # noqa: PLC0415 - another one

    stage.sandbox = Sandbox(api_key=KEY, dialect=Dialect.all()["end-exclusive"])
    ran = cake("doctor")
    assert (ran.code, ran.err) == (1, "")
    assert "problem  end date         exclusive: the day after the last\n" in ran.out
    assert "→ give start_date and end_date" in ran.out


@pytest.mark.parametrize("columns", [80, 40])
def test_doctor_fits_a_terminal(terminal, stage, columns: int) -> None:
    from aiocake.sandbox import Dialect, Sandbox  # noqa: PLC0415 - another one

    stage.sandbox = Sandbox(api_key=KEY, dialect=Dialect.all()["end-exclusive"])
    ran = terminal("doctor", columns=columns).end()
    assert ran.code == 1
    assert max(map(len, ran.out.splitlines())) <= columns
    assert KEY not in ran.out
