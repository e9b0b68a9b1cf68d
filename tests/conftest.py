"""Fixtures for every test: both event loops, and a git that reads no configuration of this machine."""

from __future__ import annotations

import itertools
import os
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from grex.locks import run_context

# Examples are the same in each run, and a slow machine fails none of them: what fails here fails for everybody.
settings.register_profile(
    "same", derandomize=True, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow]
)
# `make torture` looks further each time.
settings.register_profile("random", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("same")


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """Run tests marked `anyio` on both event loops."""
    return str(request.param)


@pytest.fixture(scope="session", autouse=True)
def compiled_code_is_kept(tmp_path_factory: pytest.TempPathFactory) -> Generator[None]:
    """Compile once what thousands of processes import, also where nothing compiled may be written beside the code."""
    with pytest.MonkeyPatch.context() as patch:
        if "PYTHONDONTWRITEBYTECODE" in os.environ:
            patch.delenv("PYTHONDONTWRITEBYTECODE")
            base = tmp_path_factory.getbasetemp()
            patch.setenv(
                "PYTHONPYCACHEPREFIX", str((base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "pyc")
            )
        yield


@pytest.fixture(scope="session")
def homes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Empty directories, one after the other. They lie apart: pytest reads all names beside each one that it makes."""
    base = tmp_path_factory.mktemp("homes")

    def make() -> Iterator[Path]:
        for number in itertools.count():
            home = base / str(number)
            home.mkdir()
            yield home

    return make()


@pytest.fixture(scope="session")
def git_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a new repository begins with: as git has it, but for the dozen sample hooks, half of all files otherwise."""
    template = tmp_path_factory.mktemp("template")
    (template / "hooks").mkdir()
    (template / "info").mkdir()
    (template / "info" / "exclude").write_text("# git ls-files --others --exclude-from=.git/info/exclude\n")
    (template / "description").write_text("Unnamed repository\n")
    return template


@pytest.fixture(autouse=True)
def quiet_environment(monkeypatch: pytest.MonkeyPatch, homes: Iterator[Path], git_template: Path) -> Path:
    """Keep the machine's git configuration, home and grex variables out of every test; gives the home."""
    for name in list(os.environ):
        if name.startswith(("GREX_", "GIT_")):
            monkeypatch.delenv(name)
    # A session that a test opens outside an event loop says for the whole thread on which workspace it works.
    run_context._WORKSPACE.set(None)
    run_context._VERB.set("")
    home = next(homes)
    monkeypatch.setenv("GIT_TEMPLATE_DIR", str(git_template))
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_STATE_HOME", str(home / ".local/state"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / ".config"))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", os.devnull)
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "Test")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "test@example.invalid")
    return home
