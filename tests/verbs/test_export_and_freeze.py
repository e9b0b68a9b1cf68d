"""`grex export` and `grex freeze`: the whole tree, written for others or pinned for oneself."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from grex.errors import LockfileError, PackError, UsageError
from grex.verbs.export import ExportReport, ExportRequest, export
from grex.verbs.freeze import FreezeReport, FreezeRequest, freeze
from grex.verbs.import_packs import ImportRequest, import_packs
from tests.support.git_server import GitServer, git
from tests.support.loops import trio_among_the_slow  # noqa: F401 - a fixture
from tests.support.place import Place
from tests.support.workspace import pack_yaml

pytestmark = pytest.mark.anyio


@pytest.fixture
def server(tmp_path: Path) -> GitServer:
    server = GitServer(tmp_path / "up")
    server.create("leaf", {"f": "1\n"})
    server.tag("leaf", "v1")
    children = [
        {"url": server.url("leaf"), "path": "in/leaf", "ref": "v1"},
        {"url": server.url("leaf"), "path": "/shared", "ref": "main"},
    ]
    server.create("mid", {".grex/pack.yaml": pack_yaml("mid", children=children), "m": "1\n"})
    return server


@pytest.fixture
async def synced(place: Place, server: GitServer) -> Place:
    """A grandchild, a diamond, an override, and a pack on the remote's HEAD."""
    place.declare(
        {"url": server.url("mid"), "path": "Mid", "groups": ["g"]},
        {"url": server.url("leaf"), "path": "shared", "ref": "main", "depth": 1},
        {"url": server.url("leaf"), "path": "over", "ref": "v1"},
        overrides=[{"path": "over", "ref": "main"}],
    )
    assert (await place.sync()).exit_code == 0
    return place


async def exported(place: Place, format_name: str, **request: Any) -> ExportReport:
    return await export(ExportRequest(place.root, format_name, **request), place.settings())


async def frozen(place: Place, **request: Any) -> FreezeReport:
    return await freeze(FreezeRequest(place.root, **request), place.settings())


async def test_every_pack_is_exported_with_the_ref_that_counts(synced: Place, server: GitServer) -> None:
    report = await exported(synced, "west")
    assert report.text == (
        "manifest:\n  projects:\n"
        f'    - name: Mid\n      url: "{server.url("mid")}"\n      revision: main\n      groups: [g]\n'
        f'    - name: leaf\n      url: "{server.url("leaf")}"\n      revision: v1\n      path: Mid/in/leaf\n'
        f'    - name: over\n      url: "{server.url("leaf")}"\n      revision: main\n'
        f'    - name: shared\n      url: "{server.url("leaf")}"\n      revision: main\n      clone-depth: 1\n'
    )
    assert any("Mid: no ref is declared" in note for note in report.notes)


async def test_a_frozen_export_has_the_commits_of_the_lockfile(synced: Place, server: GitServer) -> None:
    head, tag = git(server.work("leaf"), "rev-parse", "main"), git(server.work("leaf"), "rev-parse", "v1^{commit}")
    server.commit("leaf", {"f": "2\n"})
    report = await exported(synced, "vcs", frozen=True)
    assert [line.split()[-1].strip('"') for line in report.text.splitlines() if "version" in line] == [
        git(server.work("mid"), "rev-parse", "main"),
        tag,
        head,
        head,
    ]


async def test_an_export_that_is_imported_declares_the_same_tree(
    synced: Place, server: GitServer, tmp_path: Path
) -> None:
    for number, format_name in enumerate(("west", "vcs")):
        file = tmp_path / f"x{number}.{'yml' if format_name == 'west' else 'repos'}"
        await exported(synced, format_name, output=file)
        other = Place(tmp_path / format_name)
        other.declare()
        await import_packs(ImportRequest(other.root, file, no_sync=True), other.settings())
        again = await exported(other, format_name)
        assert again.text == file.read_text()


async def test_what_is_wrong_or_not_locked_is_no_tree_to_write(synced: Place, server: GitServer) -> None:
    (synced / "grex.lock.jsonl").unlink()
    with pytest.raises(LockfileError, match="Mid is not in the lockfile \\(and 3 more\\)"):
        await exported(synced, "west", frozen=True)
    with pytest.raises(LockfileError, match="Mid is not in the lockfile \\(and 3 more\\)"):
        await frozen(synced)
    synced.declare({"url": server.url("mid"), "path": "Mid"}, {"url": server.url("leaf"), "path": "shared"})
    with pytest.raises(PackError, match="shared is declared differently"):
        await exported(synced, "west")
    with pytest.raises(PackError, match="shared is declared differently"):
        await frozen(synced)


async def test_what_lies_below_a_pack_that_is_not_there_is_taken_from_the_lockfile(synced: Place) -> None:
    before = await exported(synced, "vcs", frozen=True)
    shutil.rmtree(synced / "Mid")
    after = await exported(synced, "vcs", frozen=True)
    assert after.text == before.text
    (synced / "grex.lock.jsonl").unlink()
    assert any("Mid is not there" in note for note in (await exported(synced, "vcs")).notes)


async def test_packs_of_groups_that_are_off_are_told_to_west_and_pinned_where_they_are_locked(
    synced: Place, server: GitServer
) -> None:
    (synced / ".grex/config.toml").write_text('[groups]\noff = ["g"]\n')
    assert (await exported(synced, "west")).text.startswith('manifest:\n  group-filter: ["-g"]\n')
    assert set((await frozen(synced)).pins) == {"Mid", "Mid/in/leaf", "over", "shared"}
    lines = (synced / "grex.lock.jsonl").read_text().splitlines(keepends=True)
    (synced / "grex.lock.jsonl").write_text("".join(line for line in lines if '"path":"Mid' not in line))
    report = await frozen(synced)
    assert set(report.pins) == {"over", "shared"}
    assert "Mid is in groups that are off, and was never locked: it is left as it is" in report.notes


async def test_a_file_is_written_and_a_wrong_format_or_place_refused(synced: Place, tmp_path: Path) -> None:
    report = await exported(synced, "vcs", output=tmp_path / "out.repos")
    assert (tmp_path / "out.repos").read_text() == report.text
    assert report.to_json()["text"] is None
    with pytest.raises(UsageError, match="cannot be written"):
        await exported(synced, "vcs", output=tmp_path / "no/out.repos")
    with pytest.raises(UsageError, match="'repo' is no format that can be written"):
        await exported(synced, "repo")


async def test_a_frozen_workspace_is_the_same_elsewhere_whatever_moves_upstream(
    synced: Place, server: GitServer, tmp_path: Path
) -> None:
    file = synced / ".grex/pack.yaml"
    file.write_text("# ours\n" + file.read_text())
    report = await frozen(synced)
    assert report.text.startswith("# ours\n")
    assert "# ours\n" + pack_yaml("root") != report.text
    shas = {path: git(synced / path, "rev-parse", "HEAD") for path in ("Mid", "Mid/in/leaf", "over", "shared")}
    assert report.pins == shas
    for name in ("leaf", "mid"):
        server.commit(name, {"f": "later\n"})
    server.tag("leaf", "v1")
    other = Place(tmp_path / "other")
    (other / ".grex").mkdir()
    (other / ".grex/pack.yaml").write_text(report.text)
    assert (await other.sync()).exit_code == 0
    assert {path: git(other / path, "rev-parse", "HEAD") for path in shas} == shas


async def test_freeze_prints_or_writes_another_file_and_its_own_only_when_told(synced: Place, tmp_path: Path) -> None:
    own = synced / ".grex/pack.yaml"
    before = own.read_text()
    printed = await frozen(synced)
    await frozen(synced, output=tmp_path / "frozen.yaml")
    assert (tmp_path / "frozen.yaml").read_text() == printed.text
    assert own.read_text() == before
    with pytest.raises(UsageError, match="this workspace's own"):
        await frozen(synced, output=own)
    await frozen(synced, write=True)
    assert own.read_text() == printed.text
    assert (await synced.sync()).exit_code == 0
    assert (await frozen(synced)).text == printed.text
