"""Complete command lines for bash, zsh and fish.

A shell asks on each press of Tab, so nothing else of the package is loaded, not even its root:
what can be typed stands in ``completion.json``, which ``python docs/commands.py`` writes. No key is
asked for and no network is used.

The shells ask as Typer's scripts do, which ``aiocake --install-completion`` installs.
"""

import json
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, TypeAlias

Node: TypeAlias = Mapping[str, Any]
#: What can be typed, and what it means.
Candidate: TypeAlias = tuple[str, str]

_ASKED: Final = "_AIOCAKE_COMPLETE"


def main() -> None:
    """Write the candidates for the command line that a shell gives in the environment."""
    instruction = os.environ[_ASKED]
    write = _SHELLS.get(instruction.removeprefix("complete_"))
    if write is not None:
        sys.stdout.write(write())


def candidates(words: list[str], typed: str) -> list[Candidate]:
    """Return the completions of a command line; none if the shell completes files.

    Args:
        words: The words after ``aiocake``, without the last.
        typed: The beginning of the last word; it may be empty.
    """
    table = _table()
    node: Node = table["root"]
    waiting: Node | None = None  # the option whose value comes next
    passed: set[str] = set()
    places = 0
    for word in words:
        if waiting is not None:
            waiting = None
        elif word.startswith("-"):
            node = _of_option(node, word)
            name, equals, _ = word.partition("=")
            option = _option(table, node, name)
            passed.update(option.get("names", ()) if option and not option.get("again") else ())
            waiting = option if option and option.get("takes") and not equals else None
        elif word in node.get("commands", {}):
            node, places = node["commands"][word], 0
        elif "commands" in node:
            return []  # there is no such command
        else:
            places += 1
    if waiting is not None:
        return _fitting(_values(waiting, typed), typed)
    name, equals, value = typed.partition("=")
    if equals and name.startswith("--"):
        option = _option(table, _of_option(node, name), name)
        found = _fitting(_values(option or {}, value), value)
        return [(f"{name}={each}", text) for each, text in found]
    if typed.startswith("-"):
        return _fitting(_options(table, _of_option(node, typed), passed), typed)
    if "commands" in node:
        commands = ((name, each["help"]) for name, each in node["commands"].items())
        return _fitting(commands, typed)
    arguments = node.get("arguments", ())
    return _fitting(_values(arguments[places], typed), typed) if places < len(arguments) else []


def _table() -> Node:
    table: Node = json.loads(Path(__file__).with_suffix(".json").read_text(encoding="utf-8"))
    return table


def _of_option(node: Node, word: str) -> Node:
    """Return the command whose option it is: a group may have a command that needs no name."""
    default = node.get("default")
    if default is None or word in {"-h", "--help"}:
        return node
    shortened: Node = node["commands"][default]
    return shortened


def _option(table: Node, node: Node, name: str) -> Node | None:
    return next((each for each in _offered(table, node) if name in each["names"]), None)


def _options(table: Node, node: Node, passed: set[str]) -> Iterator[Candidate]:
    """Yield the options that can still be given, those with two dashes."""
    for option in _offered(table, node):
        if passed.isdisjoint(option["names"]):
            yield from ((name, option["help"]) for name in option["names"] if name[:2] == "--")


def _offered(table: Node, node: Node) -> Iterator[Node]:
    return (table["options"][number] for number in node["options"])


def _values(option: Node, typed: str) -> Iterable[Candidate]:
    if "values" in option:
        return ((value, "") for value in option["values"])
    source = _SOURCES.get(option.get("file", ""))
    return () if source is None else source(typed)


def _fitting(found: Iterable[Candidate], typed: str) -> list[Candidate]:
    return [each for each in found if each[0].startswith(typed)]


# What is looked up when it is asked for.


def _profiles(typed: str) -> Iterator[Candidate]:
    del typed
    import tomllib  # noqa: PLC0415 - only this needs them

    from platformdirs import user_config_path  # noqa: PLC0415 - the same

    try:
        file = user_config_path("aiocake", appauthor=False) / "config.toml"
        profiles: object = tomllib.loads(file.read_text(encoding="utf-8")).get("profiles")
    except (OSError, ValueError):
        return
    for name, profile in profiles.items() if isinstance(profiles, dict) else ():  # pyright: ignore[reportUnknownVariableType] # of TOML
        domain = profile.get("domain") if isinstance(profile, dict) else None  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType] # the same
        yield str(name), str(domain or "")  # pyright: ignore[reportUnknownArgumentType] # the same


def _files(ending: str) -> Callable[[str], Iterator[Candidate]]:
    """Return what yields the files of a kind; where there is none, the shell completes all."""

    def found(typed: str) -> Iterator[Candidate]:
        folder, slash, _ = typed.rpartition("/")
        try:
            names = sorted(os.listdir(folder + slash or "."))  # noqa: PTH208 - without a loop over stat
        except OSError:
            return
        yield from ((folder + slash + name, "") for name in names if name.endswith(ending))

    return found


_SOURCES: Final = {"profile": _profiles, "journal": _files(".db"), "plan": _files(".plan")}


# How each shell asks, and is answered.


def _bash() -> str:
    words = os.environ["COMP_WORDS"].split("\n")[1 : int(os.environ["COMP_CWORD"]) + 1]
    # It takes ``=`` for a word of its own, and replaces only what is behind it.
    joined = [""]
    for word in words:
        if word == "=" or joined[-1].endswith("="):
            joined[-1] += word
        else:
            joined.append(word)
    *before, typed = joined[1:] or [""]
    behind = typed.rfind("=") + 1
    return "\n".join(value[behind:] for value, _ in candidates(before, typed))


def _zsh() -> str:
    found = candidates(*_asked())
    if not found:
        return "_files"

    def quoted(text: str) -> str:
        text = re.sub(r"([\\$`:\"])", r"\\\1", text).replace("'", "''")
        return f'"{text}"'

    items = (f"{quoted(value)}:{quoted(text)}" if text else quoted(value) for value, text in found)
    return "_arguments '*: :((" + "\n".join(items) + "))'"


def _fish() -> str:
    found = candidates(*_asked())
    if os.environ.get("_TYPER_COMPLETE_FISH_ACTION") == "is-args":
        sys.exit(0 if found else 1)
    return "\n".join(f"{value}\t{text}" if text else value for value, text in found)


def _asked() -> tuple[list[str], str]:
    line = os.environ.get("_TYPER_COMPLETE_ARGS", "")
    words = _split(line)[1:]
    if not words or line.endswith(" "):
        return words, ""
    return words[:-1], words[-1]


def _split(line: str) -> list[str]:
    """Return the words of a line that may end within quotes."""
    import shlex  # noqa: PLC0415 - it is slow to load, and each shell asks once

    parts = shlex.shlex(line, posix=True)
    parts.whitespace_split = True
    parts.commenters = ""
    words: list[str] = []
    try:
        words.extend(parts)
    except ValueError:
        words.append(parts.token)
    return words


_SHELLS: Final = {"bash": _bash, "zsh": _zsh, "fish": _fish}
