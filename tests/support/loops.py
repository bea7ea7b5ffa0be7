"""For tests of what is ours and looks at the event loop: uvloop's as a third one."""

import sys

import pytest

__all__ = ["anyio_backend"]

# There is no uvloop for Windows.
LOOPS = ["asyncio", "trio"] if sys.platform == "win32" else ["asyncio", "trio", "uvloop"]


@pytest.fixture(params=LOOPS)
def anyio_backend(request: pytest.FixtureRequest) -> object:
    """Run each test of the importing module on each loop."""
    return ("asyncio", {"use_uvloop": True}) if request.param == "uvloop" else request.param
