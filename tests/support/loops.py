"""The event loops that tests run on, where that is not each of asyncio's and trio's."""

import sys

import pytest

__all__ = ["ONE_LOOP", "anyio_backend", "both_loops", "one_loop"]

#: For one test that takes long and of which the event loop is no part.
ONE_LOOP = pytest.mark.parametrize("anyio_backend", ["asyncio"])

# There is no uvloop for Windows.
LOOPS = ["asyncio", "trio"] if sys.platform == "win32" else ["asyncio", "trio", "uvloop"]


@pytest.fixture(params=LOOPS)
def anyio_backend(request: pytest.FixtureRequest) -> object:
    """Run each test of the importing module on each loop, uvloop's as a third one."""
    return ("asyncio", {"use_uvloop": True}) if request.param == "uvloop" else request.param


@pytest.fixture(name="anyio_backend", params=["asyncio"])
def one_loop(request: pytest.FixtureRequest) -> object:
    """Run each test of the importing module or folder on asyncio alone.

    This is for what knows no event loop, such as how an argument is written and how a response is
    read. Twice as many of these tests would show nothing more.
    """
    return request.param


@pytest.fixture(name="anyio_backend", params=["asyncio", "trio"])
def both_loops(request: pytest.FixtureRequest) -> object:
    """Run each test of the importing module on both, in a folder of which the others do not."""
    return request.param
