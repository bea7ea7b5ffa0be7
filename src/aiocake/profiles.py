"""Profiles: named settings of instances, in one file.

The file is ``config.toml`` in the platform's folder (:func:`config_file`; on Linux
``~/.config/aiocake/config.toml``)::

    [profiles.production]
    domain = "yourdomain.cake.com"
    key_command = ["op", "read", "op://Finance/CAKE/key"]  # or: api_key_file = "production.key"
    binding = "soap12"
    concurrency = 4
    rate = 5
    approvals = 2
    signers = "allowed_signers"

``Client.from_env(profile="production")``, ``aiocake --profile production`` of each command that
connects, or ``CAKE_PROFILE`` choose one. Arguments come before the environment, and the
environment before the profile. The key itself is never in the file.

A profile says to which host a key goes and whose approvals count, so a file that others can write
is refused, as OpenSSH refuses its own. Others may read it.
"""

import os
import re
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Self, cast

import attrs

from aiocake.config import Throttle
from aiocake.errors import ConfigurationError
from aiocake.traits import InstanceTraits
from aiocake.values import Binding

__all__ = ["Profile", "config_file", "profile_names"]

#: What a profile's name is made of: TOML writes these without quotes.
_NAME: Final = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)
#: A file of profiles is short; a longer one is none.
_LONGEST: Final = 1 << 20
_HEADER: Final = re.compile(r"\s*\[([^\[\]]*)\]\s*(?:#.*)?")
_NO_KEY: Final = (
    "this file must not contain a key: name a file (api_key_file) or a command (key_command), or "
    "set CAKE_API_KEY"
)
_TABLE: Final = "profiles"
_TRAITS: Final = "traits"


@attrs.frozen(kw_only=True)
class Profile:
    """The settings of one instance. None: the profile does not say.

    Attributes:
        name: The name.
        file: The file that it is in.
        domain: The instance, as :class:`aiocake.Client` takes it.
        api_key_file: A file that holds the key.
        key_command: A command that prints the key, and its arguments. No shell runs it.
        binding: The form of v1 calls.
        concurrency: Calls in flight at once, as :class:`aiocake.Throttle` has it.
        rate: Calls a second, likewise.
        read_only: True to refuse writes.
        proxy: The URL of a proxy, without a password.
        ca_file: A PEM file of the certificate authorities to trust.
        approvals: How many people besides the maker have to approve a plan, at least.
        signers: The ``allowed_signers`` file of OpenSSH with the keys of those who may.
        revoked: A file of revoked keys, as ``ssh-keygen`` takes it.
        traits: What the instance does, as ``aiocake doctor --save`` found it.
    """

    name: str
    file: Path
    domain: str | None = None
    api_key_file: Path | None = None
    # Its arguments may open a vault.
    key_command: tuple[str, ...] | None = attrs.field(default=None, repr=False)
    binding: Binding | None = None
    concurrency: int | None = None
    rate: float | None = None
    read_only: bool | None = None
    proxy: str | None = None
    ca_file: Path | None = None
    approvals: int | None = None
    signers: Path | None = None
    revoked: Path | None = None
    traits: InstanceTraits = attrs.field(factory=InstanceTraits)

    @classmethod
    def read(cls, name: str, file: Path | None = None) -> Self:
        """Read a profile.

        Args:
            name: Its name.
            file: The file; by default :func:`config_file`.

        Returns:
            The profile. Its paths are absolute: what is relative in the file is relative to the
            file's folder, and ``~`` is the home.

        Raises:
            ConfigurationError: There is no such file or profile, others can write the file, or it
                holds what is no setting; the message names the line where that is known.
        """
        file = (file or config_file()).absolute()
        return cls(name=name, file=file, **_ProfileReader(name, file, _text_of(file)).settings())

    def save_traits(self, traits: InstanceTraits) -> None:
        """Put traits into the profile, in place of those that are there. The rest stays as it is.

        Args:
            traits: The traits.

        Raises:
            ConfigurationError: The file cannot be read or written any more, or is laid out in a way
                in which only a person can change it.
        """
        text = _text_of(self.file)
        before = _parsed(text, self.file)
        table = {**before.get(_TABLE, {}).get(self.name, {}), _TRAITS: _plain(traits)}
        wanted = {**before, _TABLE: {**before.get(_TABLE, {}), self.name: table}}
        changed = _with_traits(text, self.name, traits)
        if not _means(changed, wanted, self.file):
            raise ConfigurationError(
                f"{self.file}: profile {self.name}: its traits have to be a table of their own, "
                f"[{_TABLE}.{self.name}.{_TRAITS}], for others to take their place"
            )
        _replace(self.file, changed)


def config_file() -> Path:
    """Return the file of profiles, which need not exist.

    Raises:
        ConfigurationError: The system names no folder for it.
    """
    # Only profiles need it, and it takes a while.
    from platformdirs import user_config_path  # noqa: PLC0415

    folder = user_config_path("aiocake", appauthor=False)
    if not folder.is_absolute():  # the home folder is unknown
        raise ConfigurationError("there is no folder for config.toml: the home folder is unknown")
    return folder / "config.toml"


def profile_names(file: Path | None = None) -> tuple[str, ...]:
    """Return the names of all profiles, in the order of the file; none if there is no file.

    Args:
        file: The file; by default :func:`config_file`.

    Raises:
        ConfigurationError: The file cannot be read, or others can write it.
    """
    file = file or config_file()
    if not file.exists():
        return ()
    return tuple(_tables(_parsed(_text_of(file), file), file))


# Reading.


def _text_of(file: Path) -> str:
    """Return the text of a file that nobody else can have written."""
    try:
        with file.open("rb") as opened:
            about = os.fstat(opened.fileno())
            content = opened.read(_LONGEST + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is not a path"
    else:
        reason = _why_not_trusted(about) or _why_not_text(content)
        if not reason:
            return content.decode().removeprefix("\ufeff")
    raise ConfigurationError(f"{file} cannot be used: {reason}")


def _why_not_trusted(about: os.stat_result) -> str:
    if not hasattr(os, "getuid"):  # Windows, where it lies in a folder of the user's
        return ""
    if about.st_uid not in {0, os.getuid()}:
        return "it belongs to another user, who could direct your key elsewhere"
    if about.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return "others can write to it, and direct your key elsewhere: chmod go-w"
    return ""


def _why_not_text(content: bytes) -> str:
    if len(content) > _LONGEST:
        return "it is too long"
    try:
        content.decode()
    except UnicodeDecodeError:
        return "it is not UTF-8 text"
    return ""


def _parsed(text: str, file: Path) -> dict[str, Any]:
    import tomllib  # noqa: PLC0415 - only profiles need it

    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        # The error holds the whole text in later versions of Python: it goes no further.
        reason = str(error) if isinstance(error, ValueError) else "nested too deep"
    raise ConfigurationError(f"{file} is not TOML: {reason}")


def _tables(content: Mapping[str, Any], file: Path) -> Mapping[str, Mapping[str, Any]]:
    """Return the profiles of a file by name."""
    others = [name for name in content if name != _TABLE]
    tables = content.get(_TABLE, {})
    if others:
        reason = _NO_KEY if _is_key(others[0]) else "is not known; a profile is [profiles.NAME]"
        raise ConfigurationError(f"{file}: {others[0]}: {reason}")
    if not isinstance(tables, dict):
        raise ConfigurationError(f"{file}: {_TABLE!r} is not a table")
    named = cast("dict[str, Any]", tables)
    for name, table in named.items():
        if _NAME.fullmatch(name) is None:
            raise ConfigurationError(
                f"{file}: {name!r} is not a profile name: use letters, digits, - and _"
            )
        if not isinstance(table, dict):
            raise ConfigurationError(f"{file}: {_TABLE}.{name} is not a table")
    return named


class _ProfileReader:
    """Reads one profile; all that is wrong with it is reported at once.

    Args:
        name: Its name.
        file: The file.
        text: What is in the file.
    """

    def __init__(self, name: str, file: Path, text: str) -> None:
        tables = _tables(_parsed(text, file), file)
        if name not in tables:
            known = ", ".join(tables) or "none"
            raise ConfigurationError(f"{file}: there is no profile {name!r} (there are: {known})")
        self._name = name
        self._file = file
        self._text = text
        self._table = tables[name]
        self._problems: list[str] = []

    def settings(self) -> dict[str, Any]:
        """Return the settings, as :class:`Profile` has them.

        Raises:
            ConfigurationError: Names each setting that is wrong.
        """
        found: dict[str, Any] = {}
        for key, value in self._table.items():
            read = _SETTINGS.get(key)
            try:
                if read is None:
                    raise ConfigurationError(_unknown(key))  # noqa: TRY301 - like those of reading
                found[key] = read(value)
            except ConfigurationError as error:
                self._problem(key, str(error))
        if "api_key_file" in found and "key_command" in found:
            self._problem("key_command", "give api_key_file or key_command, not both")
        if self._problems:
            raise ConfigurationError("; ".join(self._problems))
        for key, value in found.items():
            if isinstance(value, Path):
                found[key] = self._file.parent / value
        return found

    def _problem(self, key: str, reason: str) -> None:
        line = _line_of(self._text, self._name, key)
        where = f"{self._file}, line {line}" if line else str(self._file)
        self._problems.append(f"{where}: profile {self._name}: {key}: {reason}")


def _unknown(key: str) -> str:
    return _NO_KEY if _is_key(key) else f"is not known; known are {', '.join(_SETTINGS)}"


def _is_key(key: str) -> bool:
    return re.sub(r"[\s_-]", "", key).casefold() in {"key", "apikey", "cakeapikey"}


def _line_of(text: str, name: str, key: str) -> int | None:
    """Return the line of a setting, counted from 1; None where it is not written plainly."""
    pattern = re.compile(rf"""\s*(["']?){re.escape(key)}\1\s*[=.]""")
    header = re.compile(rf"\s*\[\s*{_TABLE}\s*\.\s*{re.escape(name)}\s*\.\s*{re.escape(key)}\s*\]")
    inside = False
    for number, line in enumerate(text.splitlines(), 1):
        if header.match(line):
            return number
        if found := _HEADER.fullmatch(line):
            inside = _is_profile(found[1], name)
        elif inside and pattern.match(line):
            return number
    return None


def _is_profile(header: str, *names: str) -> bool:
    return [part.strip().strip("\"'") for part in header.split(".")] == [_TABLE, *names]


def _a_text(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ConfigurationError("must be a text")
    return value


def _a_path(value: object) -> Path:
    try:
        return Path(_a_text(value)).expanduser()
    except RuntimeError:
        raise ConfigurationError("begins with ~, but the home folder is unknown") from None


def _a_command(value: object) -> tuple[str, ...]:
    words = cast("list[object]", value) if isinstance(value, list) else []
    if not words or not all(isinstance(word, str) and "\0" not in word for word in words):
        raise ConfigurationError('must be a list of texts, such as ["pass", "show", "cake"]')
    if not words[0]:
        raise ConfigurationError("must begin with a program")
    return tuple(map(str, words))


def _a_binding(value: object) -> Binding:
    if not isinstance(value, str) or value not in frozenset(Binding):
        raise ConfigurationError(f"must be one of {', '.join(Binding)}")
    return Binding(value)


def _of_throttle(name: str) -> Callable[[object], Any]:
    def read(value: object) -> object:
        try:
            return getattr(Throttle(**cast("dict[str, Any]", {name: value})), name)
        except ConfigurationError as error:
            reason = str(error).removeprefix(f"{name} ")
        raise ConfigurationError(reason)

    return read


def _yes_or_no(value: object) -> bool:
    if not isinstance(value, bool):
        raise ConfigurationError("must be true or false")
    return value


def _a_proxy(value: object) -> str:
    text = _a_text(value)
    if "@" in text:
        raise ConfigurationError("must have no user name and password: set CAKE_PROXY")
    return text


def _a_count(value: object) -> int:
    if type(value) is not int or value < 0:
        raise ConfigurationError("must be a whole number of at least 0")
    return value


def _some_traits(value: object) -> InstanceTraits:
    if not isinstance(value, dict):
        raise ConfigurationError("must be a table")
    table = cast("dict[str, Any]", value)
    known = [each.name for each in attrs.fields(InstanceTraits)]
    if unknown := [name for name in table if name not in known]:
        raise ConfigurationError(f"{unknown[0]!r} is not known")
    return InstanceTraits(**table)


#: How each setting of a profile is read.
_SETTINGS: Final[Mapping[str, Callable[[object], Any]]] = {
    "domain": _a_text,
    "api_key_file": _a_path,
    "key_command": _a_command,
    "binding": _a_binding,
    "concurrency": _of_throttle("concurrency"),
    "rate": _of_throttle("rate"),
    "read_only": _yes_or_no,
    "proxy": _a_proxy,
    "ca_file": _a_path,
    "approvals": _a_count,
    "signers": _a_path,
    "revoked": _a_path,
    _TRAITS: _some_traits,
}


# Writing: the text is changed where the traits stand, and keeps its comments. What comes out is
# parsed again, and must be what was there, with other traits.


def _plain(traits: InstanceTraits) -> dict[str, object]:
    """Return traits as a table of TOML: what is not known is left out."""
    plain = traits.plain()
    return {
        each.name: plain[each.name]
        for each in attrs.fields(InstanceTraits)
        if getattr(traits, each.name) != each.default
    }


def _with_traits(text: str, name: str, traits: InstanceTraits) -> str:
    """Return the text of a file with other traits in a profile."""
    kept: list[str] = []
    # Comments and empty lines that may be of the next table.
    waiting: list[str] = []
    skipping = False
    for line in text.splitlines():
        if found := _HEADER.fullmatch(line):
            skipping = _is_profile(found[1], name, _TRAITS)
            kept += waiting
            waiting = []
        if not skipping:
            kept.append(line)
        elif not line.strip() or line.lstrip().startswith("#"):
            waiting.append(line)
        else:
            waiting = []
    while kept and not kept[-1].strip():
        kept.pop()
    written = [f"{key} = {_written(value)}" for key, value in _plain(traits).items()]
    end = "\r\n" if "\r\n" in text else "\n"
    return end.join([*kept, "", f"[{_TABLE}.{name}.{_TRAITS}]", *written, *waiting, ""])


def _means(text: str, wanted: Mapping[str, Any], file: Path) -> bool:
    with suppress(ConfigurationError):
        return _parsed(text, file) == wanted
    return False


def _written(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{', '.join(map(_written, cast('list[object]', value)))}]"
    return str(value) if isinstance(value, int) else f'"{"".join(_escaped(str(value)))}"'


def _escaped(text: str) -> Iterator[str]:
    for character in text:
        plain = character.isprintable() and character not in {'"', "\\"}
        yield character if plain else f"\\U{ord(character):08x}"


def _replace(file: Path, text: str) -> None:
    """Put a text in the place of a file at once, with the file's permissions."""
    target = Path(os.path.realpath(file))  # a link, as to a folder of dotfiles, stays one
    new = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        mode = stat.S_IMODE(target.stat().st_mode)
        with new.open("x", encoding="utf-8", newline="") as opened:
            opened.write(text)
            opened.flush()
            os.fsync(opened.fileno())
        new.chmod(mode)
        new.replace(target)
    except OSError as error:
        reason = error.strerror or type(error).__name__
    else:
        return
    with suppress(OSError):
        new.unlink()
    raise ConfigurationError(f"{file} cannot be written: {reason}")
