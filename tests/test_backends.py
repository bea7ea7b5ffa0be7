"""The variants of a test run on the event loop that they name."""

import asyncio

import pytest
import sniffio
import trio


@pytest.mark.anyio
async def test_an_anyio_test_runs_on_the_backend_in_its_name(
    anyio_backend: str, request: pytest.FixtureRequest
) -> None:
    assert request.node.name.endswith(f"[{anyio_backend}]")
    assert sniffio.current_async_library() == anyio_backend
    if anyio_backend == "trio":
        assert trio.lowlevel.current_task().name
    else:
        assert asyncio.current_task() is not None


@pytest.mark.asyncio
async def test_a_pytest_asyncio_test_runs_on_asyncio() -> None:
    assert sniffio.current_async_library() == "asyncio"
    assert asyncio.current_task() is not None


def test_pytest_asyncio_takes_only_what_is_marked_for_it(pytestconfig: pytest.Config) -> None:
    # In auto mode it would run the trio variants on asyncio, without a word.
    assert pytestconfig.getini("asyncio_mode") == "strict"
    assert pytestconfig.getoption("asyncio_mode") in {None, "strict"}
