"""What an import brings is what the tool itself would check out, on manifests of real size; and back by an export.

The tools are asked where they are installed (`make peers`, or on the PATH).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from grex.verbs.export import ExportRequest, export
from grex.verbs.import_packs import ImportReport, ImportRequest, import_packs
from tests.support.git_server import GitServer, git
from tests.support.manifests import Upstream, android_like, files_below, ros_like, zephyr_like
from tests.support.place import Place

pytestmark = [pytest.mark.anyio, pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture
def anyio_backend() -> str:
    """One loop: the time goes into git."""
    return "asyncio"


@pytest.fixture
def upstream(tmp_path: Path) -> Upstream:
    return Upstream(tmp_path / "up")


@pytest.fixture
def ready(place: Place) -> Place:
    place.declare()
    return place


def program(name: str) -> str:
    """A tool; the test is skipped where it is not installed."""
    beside = Path(sys.executable).with_name(name)
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed (`make peers`)")
    return found


def call(*arguments: str | Path, cwd: Path) -> None:
    environ = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    done = subprocess.run(
        [str(argument) for argument in arguments], cwd=cwd, env=environ, capture_output=True, check=False, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


async def run(place: Place, file: Path, **request: object) -> ImportReport:
    report = await import_packs(ImportRequest(place.root, file, **request), place.settings())  # type: ignore[arg-type]
    assert report.exit_code == 0, report.to_json()
    return report


def without(files: dict[str, str | bytes], directories: list[str]) -> dict[str, str | bytes]:
    return {path: held for path, held in files.items() if not path.startswith(tuple(f"{one}/" for one in directories))}


async def test_a_repos_file_as_large_as_that_of_ros(ready: Place, upstream: Upstream, tmp_path: Path) -> None:
    file = tmp_path / "ros2.repos"
    file.write_text(ros_like(upstream))
    report = await run(ready, file)
    assert len(report.plan.added) == 101
    assert (await run(ready, file)).plan.is_empty
    vcs = program("vcs")
    (tmp_path / "theirs").mkdir()
    call(vcs, "import", "--input", file, tmp_path / "theirs", cwd=tmp_path)
    assert files_below(ready.root) == files_below(tmp_path / "theirs")
    back = tmp_path / "back.repos"
    await export(ExportRequest(ready.root, "vcs", back, frozen=True), ready.settings())
    (tmp_path / "again").mkdir()
    call(vcs, "import", "--input", back, tmp_path / "again", cwd=tmp_path)
    assert files_below(tmp_path / "again") == files_below(ready.root)


async def test_a_west_yml_as_large_as_that_of_zephyr(ready: Place, upstream: Upstream, tmp_path: Path) -> None:
    bare = upstream.commit("app", {"west.yml": zephyr_like(upstream), "main.c": "x\n"})
    git(ready.root, "clone", "--quiet", bare.as_uri(), "application")
    report = await run(ready, ready / "application/west.yml")
    off = [pack.path for pack in report.plan.added if pack.groups and set(pack.groups) <= set(report.groups_off)]
    assert report.groups_off == ("ci", "optional")
    assert off
    west = program("west")
    (tmp_path / "theirs").mkdir()
    call(west, "init", "-m", bare.as_uri(), "--mr", "main", tmp_path / "theirs", cwd=tmp_path)
    call(west, "update", cwd=tmp_path / "theirs")
    theirs = files_below(tmp_path / "theirs")
    assert without(files_below(ready.root), off) == theirs
    back = tmp_path / "again/manifest"
    back.mkdir(parents=True)
    git(back, "init", "--quiet")
    exported = await export(ExportRequest(ready.root, "west", back / "west.yml"), ready.settings())
    assert exported.exit_code == 0
    call(west, "init", "-l", back, cwd=tmp_path)
    call(west, "update", cwd=back.parent)
    assert without(files_below(back.parent), ["manifest"]) == theirs


async def test_a_tsrc_manifest_with_groups_copies_and_links(ready: Place, upstream: Upstream, tmp_path: Path) -> None:
    names = [f"Lib.{number}" for number in range(8)]
    upstream.add(*names)
    lines = ["repos:"]
    for number, name in enumerate(names):
        ref = ("branch: main", "tag: v1", f"sha1: {upstream.sha}", "branch: master")[number % 4]
        lines.append(f"  - {{dest: libs/{name}, url: '{upstream.url(name)}', {ref}}}")
    lines[1] = (
        lines[1][:-1]
        + ", copy: [{file: x.h, dest: top.h}], symlink: [{source: run.sh, target: libs/Lib.0/tools/run.sh}]}"
    )
    bare = upstream.commit("manifest", {"manifest.yml": "\n".join(lines) + "\n"})
    file = tmp_path / "manifest.yml"
    file.write_text("\n".join(lines) + "\n")
    await run(ready, file)
    tsrc = program("tsrc")
    (tmp_path / "theirs").mkdir()
    call(tsrc, "init", "--branch", "main", bare.as_uri(), cwd=tmp_path / "theirs")
    assert files_below(ready.root) == files_below(tmp_path / "theirs")


async def test_a_manifest_as_large_as_that_of_android(ready: Place, upstream: Upstream, tmp_path: Path) -> None:
    """Five hundred projects: each at its tag, the files between them made, a second import changes nothing."""
    text = android_like(upstream)
    clone = tmp_path / "manifests"
    manifest = GitServer(upstream.root / "own").create("manifest", {"default.xml": text})
    git(tmp_path, "clone", "--quiet", manifest.as_uri(), str(clone))
    report = await run(ready, clone / "default.xml")
    assert len(report.plan.added) == 501
    files = files_below(ready.root)
    assert files["copied/400.h"] == b"// 1\n"
    assert files["run-400.sh"] == "/packages-400/tools/run.sh"
    assert sum(1 for path in files if path.endswith("/README")) == 501
    assert (await run(ready, clone / "default.xml")).plan.is_empty
