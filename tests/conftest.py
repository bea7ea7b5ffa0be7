"""What all tests share: the two backends, and a hypothesis that gives the same answer each time."""

import os

import hypothesis
import pytest

hypothesis.settings.register_profile(
    "aiocake",
    # The same examples on each run: a red check is about the change that is checked.
    derandomize=True,
    database=None,
    # No test depends on how fast the machine is.
    deadline=None,
    max_examples=50,
)
hypothesis.settings.register_profile(
    "few", hypothesis.settings.get_profile("aiocake"), max_examples=10
)
hypothesis.settings.load_profile(os.environ.get("AIOCAKE_EXAMPLES", "aiocake"))


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """Run each test that is marked ``anyio`` once on asyncio and once on trio."""
    backend: str = request.param
    return backend
