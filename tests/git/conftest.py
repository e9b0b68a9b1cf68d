"""A server of bare repositories, a runner that counts, and a held BACKEND lock."""

from __future__ import annotations

import os
import shutil
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

import pytest

from grex.git import GitCommand, GitRunner
from tests.support.backend import PlainHold, hold_backend
from tests.support.git_server import GitServer


@dataclass(frozen=True)
class Lab:
    """All that a test of git needs."""

    path: Path
    server: GitServer
    runner: GitRunner
    commands: list[GitCommand]
    backend: PlainHold


@pytest.fixture
def lab(tmp_path: Path, server: GitServer, runner: GitRunner, commands: list[GitCommand], backend: PlainHold) -> Lab:
    """All that a test of git needs, as one."""
    return Lab(tmp_path, server, runner, commands, backend)


@pytest.fixture
def server(tmp_path: Path) -> GitServer:
    """Repositories to clone from."""
    return GitServer(tmp_path / "server")


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """A repository `x` with branches, tags, and a name that is both; made once, for making it takes forty processes."""
    server = GitServer(tmp_path_factory.mktemp("template"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
        patch.setenv("GIT_CONFIG_SYSTEM", os.devnull)
        for role in ("AUTHOR", "COMMITTER"):
            patch.setenv(f"GIT_{role}_NAME", "Test")
            patch.setenv(f"GIT_{role}_EMAIL", "test@example.invalid")
        server.create("x", {"f": "1", "dir/g": "g"})
        first = server.tag("x", "v1", annotated=True)
        server.tag("x", "light")
        server.tag("x", "both")
        second = server.commit("x", {"f": "2"})
        other = server.commit("x", {"f": "3"}, branch="both")
        feature = server.commit("x", {"f": "4"}, branch="feature/x")
        server.tag("x", "tag-of-tag", at="v1", annotated=True)
    return server.root, {"v1": first, "main": second, "both": other, "feature/x": feature}


@pytest.fixture
def shas(server: GitServer, template: tuple[Path, dict[str, str]]) -> dict[str, str]:
    """Puts a copy of the template on the server, and gives the commits of its refs."""
    root, shas = template
    shutil.copytree(root, server.root, symlinks=True, dirs_exist_ok=True)
    return shas


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
