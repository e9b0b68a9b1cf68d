"""The projects under `examples/` are plugins from outside: their tests pass where nothing but they is installed."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

import grex
from tests.support.environment import EXAMPLES, make_environment
from tests.support.workspace import Workspace

SOURCE = Path(grex.__file__).parent
PROJECTS = sorted(path.name for path in EXAMPLES.iterdir() if (path / "pyproject.toml").is_file())


def test_there_is_a_pack_type_and_an_action_with_a_fetcher() -> None:
    assert PROJECTS == ["grex-archive", "grex-dotfiles"]


@pytest.mark.parametrize("name", PROJECTS)
def test_grex_itself_does_not_know_the_example(name: str) -> None:
    told = [path for path in SOURCE.rglob("*") if path.suffix != ".pyc" and path.is_file()]
    module = name.replace("-", "_").encode()
    assert len(told) > 10
    assert [path for path in told if re.search(module + b"|dotfiles", path.read_bytes(), re.IGNORECASE)] == []


@pytest.mark.slow
@pytest.mark.parametrize("name", PROJECTS)
def test_the_tests_of_the_example_pass_where_it_is_installed(name: str, tmp_path: Path) -> None:
    python = make_environment(tmp_path / "environment", EXAMPLES / name)
    ended = subprocess.run(
        [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--import-mode=prepend"],
        cwd=tmp_path / "environment" / name,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert re.search(r"\d+ passed", ended.stdout)


def test_without_the_plugin_the_sync_says_what_is_missing(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    workspace.declare(type="meta")
    (workspace / ".grex/pack.yaml").write_text('schema_version: "1"\nname: root\ntype: dotfiles\n')
    report = workspace.sync(expect=8)
    error = report.packs["."]["install"]["error"]
    assert error["message"] == ".grex/pack.yaml:3:1: no plugin registers the pack type 'dotfiles'"
    assert error["code"] == "plugin.unknown-pack-type"
