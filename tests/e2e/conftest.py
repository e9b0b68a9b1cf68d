"""Fixtures of the end-to-end tests: a server and an empty workspace."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.git_server import GitServer
from tests.support.workspace import Workspace


@pytest.fixture
def server(tmp_path: Path) -> GitServer:
    """A directory of bare repositories."""
    return GitServer(tmp_path / "upstream")


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """An empty workspace; nothing is declared in it yet."""
    return Workspace(tmp_path)
