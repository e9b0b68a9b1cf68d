"""What every test of the real command shares."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.git_server import GitServer
from tests.support.workspace import Workspace


@pytest.fixture(autouse=True)
def compiled_once(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Let the processes that a test starts share compiled modules, away from the source tree.

    Where PYTHONDONTWRITEBYTECODE is set every start would compile all of grex again, at twice the cost.
    """
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    monkeypatch.setenv("PYTHONPYCACHEPREFIX", str(tmp_path_factory.getbasetemp() / "pycache"))


@pytest.fixture
def server(tmp_path: Path) -> GitServer:
    """Bare repositories on this disk."""
    return GitServer(tmp_path / "server")


@pytest.fixture
def workspace(tmp_path: Path, server: GitServer) -> Workspace:
    """An empty workspace in which everything of the server is trusted; where it is not, a file has its own."""
    workspace = Workspace(tmp_path)
    workspace.environ["GREX_TRUST"] = server.root.as_uri()
    return workspace


@pytest.fixture
def ran(tmp_path: Path) -> Path:
    """The file that everything which runs leaves a line in."""
    return tmp_path / "ran"
