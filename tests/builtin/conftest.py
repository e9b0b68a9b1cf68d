"""A workspace in memory and one pack in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from grex.plugin import Pack
from grex.plugin.testing import RecordingActionContext, RecordingContext


@pytest.fixture
def anyio_backend() -> str:
    """One event loop: what an action does to files does not depend on it. Modules about processes try both."""
    return "asyncio"


@pytest.fixture
def context(tmp_path: Path) -> RecordingContext:
    """What pack types are given."""
    return RecordingContext(tmp_path)


@pytest.fixture
def pack(context: RecordingContext) -> Pack:
    """A declarative pack named `tools`."""
    return context.make_pack("tools")


@pytest.fixture
def ctx(context: RecordingContext, pack: Pack) -> RecordingActionContext:
    """What the actions of that pack are given."""
    return context.of(pack)
