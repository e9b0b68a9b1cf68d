"""A server of bare repositories, a runner that counts, and a held BACKEND lock."""

from __future__ import annotations

import os
from collections.abc import Generator
from pathlib import Path

import pytest

from grex.git import GitCommand, GitRunner
from tests.support.backend import PlainHold, hold_backend
from tests.support.git_server import GitServer


@pytest.fixture
def server(tmp_path: Path) -> GitServer:
    """Repositories to clone from."""
    return GitServer(tmp_path / "server")


@pytest.fixture
def commands() -> list[GitCommand]:
    """The git commands that `runner` has run."""
    return []


@pytest.fixture
def runner(commands: list[GitCommand]) -> GitRunner:
    """Runs git with the environment of the test."""
    return GitRunner(os.environ, commands.append)


@pytest.fixture
def backend(tmp_path: Path) -> Generator[PlainHold]:
    """A held BACKEND lock."""
    with hold_backend(tmp_path / ".pack.grex-backend.lock") as hold:
        yield hold
