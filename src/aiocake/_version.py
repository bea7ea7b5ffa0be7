"""The version of the installed package."""

from functools import cache


@cache
def version() -> str:
    """Return the version, as the metadata of the installed package has it."""
    from importlib import metadata  # noqa: PLC0415 - it loads many modules: only when it is asked

    return metadata.version("aiocake")
