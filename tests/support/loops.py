"""On which event loops a test runs, where it is not simply both."""

from __future__ import annotations

import pytest

__all__ = ["trio_among_the_slow"]


@pytest.fixture(name="anyio_backend", params=["asyncio", pytest.param("trio", marks=pytest.mark.slow)])
def trio_among_the_slow(request: pytest.FixtureRequest) -> str:
    """Both loops, the second one among the slow tests: for modules whose time goes into waiting and into processes."""
    return str(request.param)
