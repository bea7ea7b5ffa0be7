"""Profiles: read strictly, below the environment, without a key in them."""

import os
import pickle
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest

from aiocake import Binding, Client, ConfigurationError, InstanceTraits
from aiocake.profiles import Profile, config_file, profile_names
from aiocake.sandbox import Sandbox, serve

from ..support.peer import Peer, page, says

pytestmark = pytest.mark.anyio

KEY = "canary-K3Y"
Write = Callable[..., Path]


@pytest.fixture
def config(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Write:
    """Write config.toml where it is looked for."""
    for name in [name for name in os.environ if name.startswith("CAKE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setattr("platformdirs.user_config_path", lambda *_, **__: tmp_path / "aiocake")

    def write(text: str, mode: int = 0o644) -> Path:
        file = tmp_path / "aiocake" / "config.toml"
        file.parent.mkdir(exist_ok=True)
        file.write_text(text, encoding="utf-8")
        file.chmod(mode)
        return file

    return write


def command(tmp_path: Path, program: str) -> str:
    """A key_command, as TOML, that runs a program of Python."""
    file = tmp_path / "command.py"
    file.write_text(program, encoding="utf-8")
    return f"key_command = ['{sys.executable}', '{file}']"


EVERYTHING = """
# The real one.
[profiles.production]
domain = "yourdomain.cake.com"
api_key_file = "keys/production"
binding = "soap12"
concurrency = 4
rate = 2.5
read_only = true
proxy = "http://proxy.example:3128"
ca_file = "/etc/company.pem"
approvals = 2
signers = "~/signers"
revoked = "revoked.krl"

[profiles.production.traits]
first_row = 1
row_cap = 500
ignored_filters = ["affiliate_id"]
bindings = ["get", "soap12"]

[profiles.empty]
"""


def test_a_profile_is_read(config: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ana")
    file = config(EVERYTHING)
    assert file == config_file()
    assert Profile.read("production") == Profile(
        name="production",
        file=file,
        domain="yourdomain.cake.com",
        api_key_file=file.parent / "keys" / "production",
        binding=Binding.SOAP12,
        concurrency=4,
        rate=2.5,
        read_only=True,
        proxy="http://proxy.example:3128",
        ca_file=Path("/etc/company.pem"),
        approvals=2,
        signers=Path("/home/ana/signers"),
        revoked=file.parent / "revoked.krl",
        traits=InstanceTraits(
            first_row=1,
            row_cap=500,
            ignored_filters=frozenset({"affiliate_id"}),
            bindings=frozenset({Binding.GET, Binding.SOAP12}),
        ),
    )
    assert Profile.read("empty") == Profile(name="empty", file=file)
    assert profile_names() == ("production", "empty")


def test_without_a_file_there_are_no_profiles(config: Write) -> None:
    del config
    assert profile_names() == ()
    with pytest.raises(ConfigurationError, match=r"config\.toml cannot be used: No such file"):
        Profile.read("production")


BEGIN = "[profiles.p]\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "there is no profile 'p' (there are: none)"),
        ("[profiles.other]", "there is no profile 'p' (there are: other)"),
        ("[p]\ndomain = 'x'", "p: is not known; a profile is [profiles.NAME]"),
        ("profiles = 1", "'profiles' is not a table"),
        ("profiles.p = 1", "profiles.p is not a table"),
        ("[profiles.'a b']", "'a b' is not a profile name"),
        ("[profiles.p", "is not TOML: Expected ']'"),
        (BEGIN + "\ndomian = 'x'", "line 3: profile p: domian: is not known; known are domain, "),
        (BEGIN + "domain = 3", "line 2: profile p: domain: must be a text"),
        (BEGIN + "domain = ''", "line 2: profile p: domain: must be a text"),
        (BEGIN + "binding = 'soap'", "line 2: profile p: binding: must be one of get, post, "),
        (BEGIN + "concurrency = 0", "concurrency: must be a whole number of at least 1"),
        (BEGIN + "concurrency = 2.5", "concurrency: must be a whole number of at least 1"),
        (BEGIN + "rate = 'fast'", "rate: must be a positive number"),
        (BEGIN + "rate = nan", "rate: must be a positive number"),
        (BEGIN + "approvals = -1", "approvals: must be a whole number of at least 0"),
        (BEGIN + "approvals = true", "approvals: must be a whole number of at least 0"),
        (BEGIN + "read_only = 1", "read_only: must be true or false"),
        (BEGIN + "key_command = 'pass show cake'", "key_command: must be a list of texts"),
        (BEGIN + "key_command = []", "key_command: must be a list of texts"),
        (BEGIN + "key_command = ['']", "key_command: must begin with a program"),
        (BEGIN + "key_command = ['a', 1]", "key_command: must be a list of texts"),
        (BEGIN + "key_command = ['a']\napi_key_file = 'b'", "line 2: profile p: key_command: give"),
        (BEGIN + "proxy = 'http://me:secret@p:1'", "proxy: must have no user name and password"),
        (BEGIN + "traits = 1", "traits: must be a table"),
        (BEGIN + "[profiles.p.traits]\nfirst = 1", "line 2: profile p: traits: 'first' is not kno"),
        (BEGIN + "[profiles.p.traits]\nfirst_row = 2", "traits: first_row must be one of 0, 1"),
        (BEGIN + "traits.first_row = true", "line 2: profile p: traits: first_row must be one of"),
        (BEGIN + "traits.row_cap = 0", "traits: row_cap must be a whole number of at least 1"),
        (BEGIN + "traits.bindings = ['ftp']", "traits: bindings must be some of get, post, soap"),
        (BEGIN + "traits.bindings = 'get'", "traits: bindings must be some of"),
        (BEGIN + "traits.ignored_filters = [['x']]", "traits: ignored_filters must be some of"),
        (BEGIN + "traits.ignored_filters = ['memo']", "traits: ignored_filters must be some of"),
        (BEGIN + "traits.lookup_success = 1", "traits: lookup_success must be True or False"),
    ],
)
def test_what_is_no_setting_is_named(config: Write, text: str, said: str) -> None:
    config(text)
    with pytest.raises(ConfigurationError) as caught:
        Profile.read("p")
    assert said in str(caught.value)
    assert "secret" not in str(caught.value)


def test_all_that_is_wrong_is_told_at_once(config: Write) -> None:
    config(BEGIN + "rate = 0\n\n[profiles.q]\nrate = -1\ncolour = 'red'\n")
    with pytest.raises(ConfigurationError) as caught:
        Profile.read("q")
    assert "line 5: profile q: rate: " in str(caught.value)
    assert "line 6: profile q: colour: " in str(caught.value)


@pytest.mark.parametrize("name", ["api_key", "key", "API-KEY", "cake_api_key", "apikey"])
@pytest.mark.parametrize("where", [BEGIN, ""])
def test_a_file_that_holds_a_key_is_refused(config: Write, name: str, where: str) -> None:
    config(f'{where}{name} = "{KEY}"\n')
    with pytest.raises(ConfigurationError) as caught:
        Profile.read("p")
    assert "this file must not contain a key: name a file (api_key_file) or" in str(caught.value)
    assert KEY not in "".join(traceback.format_exception(caught.value))
    assert KEY.encode() not in pickle.dumps(caught.value)


@pytest.mark.parametrize("content", [b"\xff\xfea", b"[profiles.p]\ndomain = '\xe9'", b"#" * 2**21])
def test_what_is_no_text_is_refused(config: Write, content: bytes) -> None:
    config("").write_bytes(content)
    with pytest.raises(ConfigurationError, match="cannot be used: it is"):
        Profile.read("p")


def test_a_byte_order_mark_is_passed_over(config: Write) -> None:
    config("\ufeff" + BEGIN + "rate = 3")
    assert Profile.read("p").rate == 3


# Whose file it is.


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o644, 0o444])
def test_others_may_read_it(config: Write, mode: int) -> None:
    config(BEGIN, mode)
    Profile.read("p")


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_a_file_that_others_can_write_is_refused(config: Write, mode: int) -> None:
    config(BEGIN + "key_command = ['sh']", mode)
    for read in (lambda: Profile.read("p"), profile_names):
        with pytest.raises(ConfigurationError, match=r"others can write to it, .*: chmod go-w"):
            read()


def test_a_file_of_another_user_is_refused(config: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    owner = config(BEGIN).stat().st_uid
    monkeypatch.setattr("os.getuid", lambda: owner + 1)
    if owner == 0:  # the administrator's file is everybody's
        Profile.read("p")
        os.chown(config_file(), 4711, -1)
    with pytest.raises(ConfigurationError, match="belongs to another user"):
        Profile.read("p")


# Arguments, then the environment, then the profile.


async def settings_of(**arguments: object) -> tuple[object, ...]:
    async with Client.from_env(**arguments) as cake:  # type: ignore[arg-type] # they are what they are
        settings = cake._executor.settings
        throttle = settings.throttle
        dialer = cake._executor.transport.dialer
        assert dialer is not None
        proxy = dialer.route.proxy
        return (
            settings.domain,
            settings.binding,
            (throttle.concurrency, throttle.rate),
            settings.read_only,
            proxy,
            settings.traits.first_row,
        )


async def test_the_profile_gives_what_nothing_else_does(
    config: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = config(EVERYTHING.replace('ca_file = "/etc/company.pem"\n', ""))
    (file.parent / "keys").mkdir()
    (file.parent / "keys" / "production").write_text(KEY)
    proxy = ("proxy.example", 3128)
    mine = ("yourdomain.cake.com", Binding.SOAP12, (4, 2.5), True, proxy, 1)
    assert await settings_of(profile="production") == mine
    monkeypatch.setenv("CAKE_PROFILE", "production")
    assert await settings_of() == mine
    monkeypatch.setenv("CAKE_PROFILE", "nothing")
    assert await settings_of(profile="production") == mine


async def test_the_environment_comes_before_the_profile(
    config: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    config(EVERYTHING)  # whose files do not exist
    for name, text in {
        "CAKE_DOMAIN": "https://yourdomain.cake.com:443/",
        "CAKE_API_KEY": KEY,
        "CAKE_READ_ONLY": "0",
        "CAKE_PROXY": "http://other.example:1",
    }.items():
        monkeypatch.setenv(name, text)
    with pytest.raises(ConfigurationError, match="ca_file of profile production cannot be used"):
        await settings_of(profile="production")
    assert (await settings_of(profile="production", ssl_context=None))[3:5] == (
        False,
        ("other.example", 1),
    )


async def test_arguments_come_before_both(config: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    from aiocake import Throttle  # noqa: PLC0415 - one of many settings

    config(EVERYTHING)
    monkeypatch.setenv("CAKE_API_KEY", KEY)
    found = await settings_of(
        profile="production",
        binding=Binding.POST,
        throttle=Throttle(concurrency=1),
        read_only=False,
        proxy=None,
        ssl_context=None,
        traits=InstanceTraits(first_row=0),
    )
    assert found[1:] == (Binding.POST, (1, None), False, None, 0)


async def test_a_profile_without_an_instance_or_a_key_takes_those_of_the_environment(
    config: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    config(BEGIN + "rate = 3")
    with pytest.raises(ConfigurationError, match="CAKE_DOMAIN is not set"):
        Client.from_env(profile="p")
    monkeypatch.setenv("CAKE_DOMAIN", "x.example")
    with pytest.raises(ConfigurationError, match="neither CAKE_API_KEY nor"):
        Client.from_env(profile="p")
    monkeypatch.setenv("CAKE_API_KEY", KEY)
    assert (await settings_of(profile="p"))[2] == (8, 3)


def test_the_key_of_a_profile_goes_to_its_instance_only(
    config: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    config(BEGIN + "domain = 'staging.cake.com'\nkey_command = ['never-run']")
    monkeypatch.setenv("CAKE_DOMAIN", "production.cake.com")
    with pytest.raises(ConfigurationError) as caught:
        Client.from_env(profile="p")
    assert str(caught.value) == (
        "profile p is for staging.cake.com, and CAKE_DOMAIN is production.cake.com: "
        "leave one of them out"
    )


# Keys of a profile.


async def test_a_file_gives_the_key_and_is_read_again(config: Write) -> None:
    file = config(BEGIN + "domain = 'x.example'\napi_key_file = 'key'").parent / "key"
    file.write_text("old")
    peer = Peer(page(1), says({"success": False, "message": "Invalid API key"}), page(1))
    async with Client.from_env(profile="p", transport=peer) as cake:
        await cake.invoices.get(1)
        file.write_text(KEY)
        await cake.invoices.get(1)
    assert [each.url.params["api_key"] for each in peer.requests] == ["old", "old", KEY]


async def test_a_command_gives_the_key_and_is_run_again(config: Write, tmp_path: Path) -> None:
    program = """
import pathlib, sys
runs = pathlib.Path(__file__).with_name("runs")
print("old" if not runs.exists() else "%s")
runs.touch()
assert sys.stdin.read() == ""
"""
    config(BEGIN + "domain = 'x.example'\n" + command(tmp_path, program % KEY))
    peer = Peer(page(1), says({"success": False, "message": "Invalid API key"}), page(1))
    async with Client.from_env(profile="p", transport=peer) as cake:
        assert not (tmp_path / "runs").exists()
        await cake.invoices.get(1)
        await cake.invoices.get(1)
    assert [each.url.params["api_key"] for each in peer.requests] == ["old", "old", KEY]


async def test_a_command_works_over_a_socket(config: Write, tmp_path: Path) -> None:
    with serve(Sandbox(api_key=KEY)) as url:
        config(f"{BEGIN}domain = '{url}'\n" + command(tmp_path, f"print('{KEY}')"))
        async with Client.from_env(profile="p") as cake:
            assert (await cake.invoices.get(4821)).invoice_id == 4821


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        (f"import sys; print('{KEY}'); sys.exit(3)", "it ended with the exit code 3"),
        (f"import sys; sys.stderr.write('{KEY}'); raise SystemExit", "must not be empty"),
        (f"print('{KEY}' * 9)", "must have at most 50 characters"),
        (f"print('{KEY}\\n{KEY}')", "must be printable ASCII"),
        ("import sys; sys.stdout.buffer.write(b'\\xe9')", "it is not UTF-8 text"),
        ("import sys; sys.stdout.buffer.write(b'k\\0e\\0y\\0')", "it is UTF-16"),
        (f"while True: print('{KEY}')", "it prints more than a key"),
    ],
)
async def test_a_command_that_gives_no_key(
    config: Write, tmp_path: Path, capfd: pytest.CaptureFixture[str], program: str, reason: str
) -> None:
    config(BEGIN + "domain = 'x.example'\n" + command(tmp_path, program))
    peer = Peer(page(1))
    async with Client.from_env(profile="p", transport=peer) as cake:
        with pytest.raises(ConfigurationError) as caught:
            await cake.invoices.get(1)
    said = str(caught.value)
    assert said.startswith("key_command of profile p gives no key: ")
    assert reason in said
    assert said.endswith("; run it by hand to see why")
    assert KEY not in "".join(traceback.format_exception(caught.value))
    assert KEY not in "".join(capfd.readouterr())
    assert peer.requests == []


@pytest.mark.parametrize("program", ["no-such-program", "a\\u0000b"])
async def test_a_command_that_cannot_be_run(config: Write, program: str) -> None:
    config(f'{BEGIN}domain = "x.example"\nkey_command = ["{program}"]')
    if "u0000" in program:
        with pytest.raises(ConfigurationError, match="must be a list of texts"):
            Profile.read("p")
        return
    async with Client.from_env(profile="p", transport=Peer(page(1))) as cake:
        with pytest.raises(ConfigurationError, match="No such file or directory"):
            await cake.invoices.get(1)


async def test_a_command_that_hangs_is_ended(
    config: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[anyio.abc.Process] = []

    async def open_process(*args: Any, **settings: Any) -> anyio.abc.Process:  # noqa: ANN401 - anyio's
        begun.append(await opens(*args, **settings))
        return begun[0]

    opens = anyio.open_process
    monkeypatch.setattr("anyio.open_process", open_process)
    # Over while the program is begun: there is no moment at which it is lost.
    monkeypatch.setattr("aiocake._environment._COMMAND_SECONDS", 0.0)
    config(BEGIN + "domain = 'x.example'\n" + command(tmp_path, "import time; time.sleep(600)"))
    async with Client.from_env(profile="p", transport=Peer(page(1))) as cake:
        with pytest.raises(ConfigurationError, match="it took longer than 0 s"):
            await cake.invoices.get(1)
    assert [process.returncode for process in begun] == [-signal.SIGKILL]


async def test_no_shell_reads_a_command(config: Write, tmp_path: Path) -> None:
    program = tmp_path / "show.py"
    program.write_text("import sys; print(sys.argv[1])")
    words = f"['{sys.executable}', '{program}', '$HOME;*']"
    config(f"{BEGIN}domain = 'x.example'\nkey_command = {words}")
    peer = Peer(page(1))
    async with Client.from_env(profile="p", transport=peer) as cake:
        await cake.invoices.get(1)
    assert peer.requests[0].url.params["api_key"] == "$HOME;*"


def test_neither_profile_nor_client_shows_a_command(config: Write) -> None:
    config(f"{BEGIN}domain = 'x.example'\nkey_command = ['vault', '--token={KEY}']")
    profile = Profile.read("p")
    assert profile.key_command == ("vault", f"--token={KEY}")
    assert KEY not in repr(profile)


# Traits are kept.

KEPT = """# mine
[profiles.p]   # the first
domain = "x.example"

[profiles.p.traits]
# found by doctor
first_row = 1

# The second.
[profiles.q]
rate = 3
"""


def test_traits_take_the_place_of_those_that_were_there(config: Write) -> None:
    file = config(KEPT, 0o640)
    traits = InstanceTraits(
        row_cap=500,
        lookup_success=False,
        error_request_status='No "way"\x1b\u2028 \\ é',
        bindings=frozenset({Binding.GET}),
        ignored_filters=frozenset({"start_date", "end_date"}),
    )
    Profile.read("p").save_traits(traits)
    assert Profile.read("p").traits == traits
    text = file.read_text(encoding="utf-8")
    for kept in ("# mine\n", "[profiles.p]   # the first\n", "# The second.\n[profiles.q]\n"):
        assert kept in text
    assert "first_row" not in text
    assert Profile.read("q").rate == 3
    assert file.stat().st_mode & 0o777 == 0o640
    Profile.read("p").save_traits(traits)
    assert file.read_text(encoding="utf-8") == text
    none_answered = InstanceTraits(bindings=frozenset())
    Profile.read("p").save_traits(none_answered)
    assert Profile.read("p").traits == none_answered
    Profile.read("p").save_traits(InstanceTraits())
    assert Profile.read("p").traits == InstanceTraits()
    assert [each.name for each in file.parent.iterdir()] == ["config.toml"]


@pytest.mark.parametrize(
    "text",
    [
        "[profiles.p]",
        "[profiles.p]\r\nrate = 3\r\n",
        "profiles.p.rate = 3\n",
        "[profiles.q]\n\n[profiles.p]\nrate = 3\n\n\n",
        '[ profiles . "p" . traits ]\nfirst_row = 1',
    ],
)
def test_traits_fit_into_a_file_of_any_layout(config: Write, text: str) -> None:
    file = config(text)
    traits = InstanceTraits(first_row=0)
    before = Profile.read("p")
    before.save_traits(traits)
    after = Profile.read("p")
    assert (after.rate, after.traits) == (before.rate, traits)
    assert file.read_text().count("traits") == 1


@pytest.mark.parametrize(
    "text",
    [
        "[profiles.p]\ntraits = { first_row = 1 }\n",
        "[profiles.p]\ntraits.first_row = 1\n",
        "[profiles]\np = { rate = 3 }\n",
        '[profiles.p]\ndomain = """x\n[profiles.p.traits]\n"""\n',
    ],
)
def test_a_file_that_only_a_person_can_change_stays_as_it_is(config: Write, text: str) -> None:
    file = config(text)
    with pytest.raises(ConfigurationError, match=r"\[profiles\.p\.traits\]"):
        Profile.read("p").save_traits(InstanceTraits(first_row=0))
    assert file.read_text() == text


def test_a_link_to_the_file_stays_one(config: Write, tmp_path: Path) -> None:
    file = config(BEGIN)
    real = tmp_path / "dotfiles.toml"
    file.rename(real)
    file.symlink_to(real)
    Profile.read("p").save_traits(InstanceTraits(first_row=1))
    assert file.is_symlink()
    assert "first_row = 1" in real.read_text()


def test_a_folder_that_cannot_be_written_is_named(
    config: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = config(BEGIN)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(ConfigurationError, match="cannot be written: No space left on device"):
        Profile.read("p").save_traits(InstanceTraits(first_row=1))
    assert [each.name for each in file.parent.iterdir()] == ["config.toml"]
