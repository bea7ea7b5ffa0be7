"""Show the docstrings of aiocake as Markdown: what griffe reads for the reference of the site.

The docstrings are written for ``help()`` and editors too, with the roles of reStructuredText
(``:class:`Client```). Here a role becomes a reference that the site resolves, and one that leads
nowhere fails the build. A class of attrs that users make gets the signature it has at run time.
"""

import re
from itertools import takewhile
from pathlib import Path
from typing import Any, Final

import griffe

_ROLE: Final = re.compile(r":(?:attr|class|data|func|meth|mod):`(~?)\.?([^`]+)`")
#: The beginning of a comment that documents what stands below it.
_COMMENT: Final = re.compile(r"\s*#: ?")
_LITERAL: Final = re.compile(r"``([^`]+)``")
#: The colons before a block of code: alone on their line, or at the end of a sentence.
_COLONS: Final = re.compile(r"(?:^|(?<=(.)))::$", re.MULTILINE)


class Docstrings(griffe.Extension):
    """Rewrite docstrings, and add the signatures of classes."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:  # noqa: ANN401 - griffe's own
        """Rewrite the docstring of a module, class, function or attribute."""
        if obj.docstring is not None:
            obj.docstring.value = markdown(obj.docstring.value, obj)

    def on_attribute(self, *, attr: griffe.Attribute, **_: Any) -> None:  # noqa: ANN401 - griffe's own
        """Take the comment above a constant (``#: …``) for its docstring."""
        if attr.docstring is not None or not isinstance(attr.filepath, Path):
            return
        lines = attr.lines_collection[attr.filepath][: (attr.lineno or 1) - 1]
        if above := list(takewhile(_COMMENT.match, reversed(lines))):
            text = "\n".join(_COMMENT.sub("", line) for line in reversed(above))
            attr.docstring = griffe.Docstring(markdown(text, attr), parent=attr)

    def on_class(self, *, cls: griffe.Class, **_: Any) -> None:  # noqa: ANN401 - griffe's own
        """Give a class of attrs its signature, if its docstring says what making one raises."""
        made_by_users = cls.docstring is not None and "Raises:" in cls.docstring.value
        for decorator in cls.decorators:
            if made_by_users and decorator.callable_path == "attrs.frozen":
                keyword_only = "kw_only" in str(decorator.value)
                cls.set_member("__init__", constructor(cls, keyword_only=keyword_only))


def markdown(text: str, obj: griffe.Object) -> str:
    """Return a docstring in reStructuredText as Markdown."""

    def referred(found: re.Match[str]) -> str:
        short, name = found.groups()
        shown = name.rpartition(".")[2] if short else name
        return f"[`{shown}`][{full_name(name, obj)}]"

    text = _ROLE.sub(referred, text)
    text = _LITERAL.sub(r"`\1`", text)
    return _COLONS.sub(lambda found: ":" if found[1] else "", text)


def full_name(name: str, obj: griffe.Object) -> str:
    """Return the full name of what a role names, as Python would resolve it at that place."""
    first, dot, rest = name.partition(".")
    try:
        return name if first == "aiocake" else obj.resolve(first) + dot + rest
    except griffe.NameResolutionError:
        return name


def constructor(cls: griffe.Class, *, keyword_only: bool) -> griffe.Function:
    """Return the ``__init__`` that attrs makes of a class."""
    kinds = griffe.ParameterKind
    kind = kinds.keyword_only if keyword_only else kinds.positional_or_keyword
    fields = [
        griffe.Parameter(each.name, annotation=each.annotation, kind=kind, default=default(each))
        for each in cls.members.values()
        if isinstance(each, griffe.Attribute) and "instance-attribute" in each.labels
    ]
    own = griffe.Parameter("self", kind=kinds.positional_or_keyword)
    return griffe.Function("__init__", parameters=griffe.Parameters(own, *fields), parent=cls)


def default(field: griffe.Attribute) -> str | griffe.Expr | None:
    """Return the default of a field: as it is written, or the argument of ``attrs.field``."""
    if not isinstance(field.value, griffe.ExprCall):
        return field.value
    given = [each for each in field.value.arguments if isinstance(each, griffe.ExprKeyword)]
    for each in given:
        if each.name == "default":
            return each.value
        if each.name == "factory":
            return f"{each.value}()"
    return None
