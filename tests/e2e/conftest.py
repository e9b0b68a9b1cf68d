"""What every test of the real command shares."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.git_server import GitServer


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
