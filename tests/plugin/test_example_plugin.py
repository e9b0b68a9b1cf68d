"""`examples/grex-dotfiles`: a plugin from outside, first without a workspace, then installed and synced for real."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import pytest

import grex
from grex.plugin import Pack, PackType
from grex.plugin.testing import RecordingContext

SOURCE = Path(grex.__file__).parent
EXAMPLE = SOURCE.parent / "examples/grex-dotfiles"

PACK_YAML = """\
schema_version: "1"
name: dots
type: dotfiles
"""

ROOT_YAML = """\
schema_version: "1"
name: work
type: meta
children:
"""


@pytest.fixture
def dotfiles() -> PackType:
    """The pack type, imported from the example's source."""
    spec = importlib.util.spec_from_file_location("grex_dotfiles", EXAMPLE / "grex_dotfiles.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    pack_type = module.Dotfiles()
    assert isinstance(pack_type, PackType)
    return pack_type


def links(home: Path) -> dict[str, Path]:
    return {str(path.relative_to(home)): path.readlink() for path in home.rglob("*") if path.is_symlink()}


def make_pack(context: RecordingContext) -> Pack:
    pack = context.make_pack("dots", type="dotfiles")
    (pack.root / "files/.config/tool").mkdir(parents=True)
    (pack.root / "files/.vimrc").touch()
    (pack.root / "files/.config/tool/rc").touch()
    return pack


@pytest.mark.anyio
async def test_it_links_every_file_once_and_takes_the_links_away_again(dotfiles: PackType, tmp_path: Path) -> None:
    context = RecordingContext(tmp_path)
    pack = make_pack(context)
    outcome = await dotfiles.install(context, pack)
    assert outcome.status == "changed"
    assert links(context.home) == {
        ".vimrc": pack.root / "files/.vimrc",
        ".config/tool/rc": pack.root / "files/.config/tool/rc",
    }
    assert (await dotfiles.update(context, pack)).status == "unchanged"
    await dotfiles.teardown(context, pack)
    assert list(context.home.iterdir()) == []


@pytest.mark.anyio
async def test_a_file_in_the_way_fails_the_pack_and_takes_back_the_links_before_it(
    dotfiles: PackType, tmp_path: Path
) -> None:
    context = RecordingContext(tmp_path)
    (context.home / ".vimrc").write_text("mine")
    with pytest.raises(grex.errors.ActionError, match=r"\.vimrc"):
        await dotfiles.install(context, make_pack(context))
    assert [path.name for path in context.home.iterdir()] == [".vimrc"]
    assert (context.home / ".vimrc").read_text() == "mine"


def test_grex_itself_does_not_know_the_example() -> None:
    told = [path for path in SOURCE.rglob("*") if path.suffix != ".pyc" and path.is_file()]
    assert len(told) > 10
    assert [path for path in told if re.search(rb"dotfiles", path.read_bytes(), re.IGNORECASE)] == []


# --- installed


def make_environment(directory: Path) -> Path:
    """An environment with the example installed from a copy, without a network; gives its interpreter.

    grex and its dependencies come from the environment of the tests, through a path file.
    """
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", directory], check=True, timeout=60)
    python = directory / "bin/python"
    ask = "import sysconfig; print(sysconfig.get_path('purelib'))"
    site = Path(subprocess.run([python, "-c", ask], check=True, capture_output=True, text=True).stdout.strip())
    host = [sysconfig.get_path("purelib"), sysconfig.get_path("platlib"), str(SOURCE.parent)]
    (site / "host.pth").write_text("\n".join(dict.fromkeys(host)) + "\n")
    copy = directory / "grex-dotfiles"  # the build may leave files behind, which have no place in the source tree
    shutil.copytree(EXAMPLE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", os.fspath(python)]
    options = ["--quiet", "--no-index", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, "install", *options, os.fspath(copy)], check=True, timeout=100)
    return python


def git(directory: Path, *arguments: str) -> None:
    subprocess.run(["git", *arguments], cwd=directory, check=True, timeout=60)


def make_upstream(directory: Path) -> Path:
    """A repository that is a pack of the example's type."""
    (directory / ".grex").mkdir(parents=True)
    (directory / ".grex/pack.yaml").write_text(PACK_YAML)
    (directory / "files/.config").mkdir(parents=True)
    (directory / "files/.vimrc").write_text("set number\n")
    (directory / "files/.config/tool").write_text("x = 1\n")
    git(directory, "init", "--quiet", "--initial-branch=main")
    git(directory, "add", ".")
    git(directory, "commit", "--quiet", "--message=First")
    return directory


def run_grex(python: Path | str, workspace: Path, *arguments: str) -> tuple[int, Any]:
    """Run the real command with `--json`; gives the exit code and the document."""
    command = [python, "-m", "grex", *arguments, "--json"]
    ended = subprocess.run(command, cwd=workspace, capture_output=True, text=True, timeout=60, check=False)
    assert "Traceback" not in ended.stderr, ended.stderr
    return ended.returncode, json.loads(ended.stdout or ended.stderr)


@pytest.mark.slow
def test_an_installed_plugin_is_found_trusted_and_run_by_a_real_sync(tmp_path: Path, quiet_environment: Path) -> None:
    """The life of a pack of a third party's type.

    - without the plugin, the sync says which plugin is missing, exit 8;
    - with it and without trust, the pack is cloned and nothing of it is run, exit 4;
    - with trust, the links are there, exit 0;
    - the next sync changes none of them.
    """
    home = quiet_environment
    python = make_environment(tmp_path / "environment")
    upstream = make_upstream(tmp_path / "upstream/dots")
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    assert run_grex(python, workspace, "init")[0] == 0
    (workspace / ".grex/pack.yaml").write_text(ROOT_YAML + f"  - url: {json.dumps(os.fspath(upstream))}\n")

    code, document = run_grex(sys.executable, workspace, "sync", "--trust", os.fspath(upstream))
    assert code == 8
    assert "'dotfiles'" in json.dumps(document)

    code, document = run_grex(python, workspace, "sync")
    assert code == 4
    assert "pack type dotfiles" in json.dumps(document)
    assert (workspace / "dots/files/.vimrc").exists()
    assert links(home) == {}

    assert run_grex(python, workspace, "sync", "--trust", os.fspath(upstream))[0] == 0
    assert links(home) == {
        ".vimrc": workspace / "dots/files/.vimrc",
        ".config/tool": workspace / "dots/files/.config/tool",
    }

    before = {name: (home / name).lstat() for name in links(home)}
    assert run_grex(python, workspace, "sync", "--trust", os.fspath(upstream))[0] == 0
    assert {name: (home / name).lstat() for name in links(home)} == before
