"""What a pack, or the workspace's own repository, ships to make grex write, move or run something elsewhere."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from grex.engine import Settings
from grex.errors import ManifestError
from grex.verbs.locks import LocksRequest, locks
from grex.verbs.ls import ListRequest, ls
from grex.verbs.status import StatusRequest, status
from grex.verbs.sync import PackReport, SyncReport, SyncRequest, sync
from tests.support.git_server import GitServer, git

pytestmark = pytest.mark.anyio


def _pack_yaml(name: str, *children: tuple[str, str]) -> str:
    lines = ['schema_version: "1"', f"name: {name}", "type: meta", "children:" if children else "children: []"]
    lines += [f"  - {{url: '{url}', path: '{path}'}}" for url, path in children]
    return "\n".join(lines) + "\n"


@pytest.fixture
def server(tmp_path: Path) -> GitServer:
    return GitServer(tmp_path / "server")


@pytest.fixture
def top(tmp_path: Path) -> Path:
    """A workspace that is a git repository, with no children yet."""
    root = tmp_path / "ws"
    (root / ".grex").mkdir(parents=True)
    git(root, "init", "--quiet", "--template=")
    (root / ".grex/pack.yaml").write_text(_pack_yaml("ws"))
    return root


def _settings(top: Path) -> Settings:
    return Settings(
        home=top.parent, environ=dict(os.environ), platform="linux", state_dir=top.parent / "state", verb="sync"
    )


async def _sync(top: Path) -> SyncReport:
    return await sync(SyncRequest(top), _settings(top))


def _pack(report: SyncReport, path: str) -> PackReport:
    return next(pack for pack in report.packs if pack.path == path)


def _note(top: Path, **facts: object) -> Path:
    note = {
        "v": 1,
        "id": "aa",
        "pack": "x",
        "temp": ".grex-tmp-aa",
        "target": "x",
        "url": "u",
        "ref": None,
        "entries": None,
        "created_at": "2026-01-01T00:00:00Z",
    }
    path = top / ".grex/state/clone-aa.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({**note, **facts}))
    return path


async def test_a_child_behind_a_tracked_link_does_not_land_in_a_git_directory(server: GitServer, top: Path) -> None:
    """Otherwise an untrusted pack has its files run as hooks by the next `git commit` in it."""
    server.create("hooks", {"post-commit": "#!/bin/sh\n"})
    server.create("a")
    (server.work("a") / "h").symlink_to(".git")
    server.commit("a", {".grex/pack.yaml": _pack_yaml("a", (server.url("hooks"), "h/hooks"))})
    (top / ".grex/pack.yaml").write_text(_pack_yaml("ws", (server.url("a"), "a")))

    report = await _sync(top)

    child = _pack(report, "a/h/hooks")
    assert child.status == "failed"
    assert child.error is not None
    assert "a name that git or grex keeps for itself" in child.error.message
    assert not (top / "a/.git/hooks").exists()
    assert report.exit_code == 4


async def test_a_link_that_leads_to_itself_fails_its_own_pack_only(server: GitServer, top: Path) -> None:
    server.create("good", {"f": "1\n"})
    server.create("bad")
    (server.work("bad") / "loop").symlink_to("loop")
    server.commit("bad", {".grex/pack.yaml": _pack_yaml("bad", (server.url("good"), "loop/x"))})
    (top / ".grex/pack.yaml").write_text(_pack_yaml("ws", (server.url("bad"), "bad"), (server.url("good"), "good")))

    report = await _sync(top)

    assert {pack.path: pack.status for pack in report.packs} == {
        "bad": "cloned",
        "bad/loop/x": "failed",
        "good": "cloned",
    }
    assert (await ls(ListRequest(top), _settings(top))).exit_code == 4
    assert (await status(StatusRequest(top), _settings(top))).exit_code == 4
    assert (await locks(LocksRequest(top), _settings(top))).held == ()


async def test_a_shipped_note_does_not_move_files_into_a_git_directory(server: GitServer, top: Path) -> None:
    """`p` is cloned without trust; a note that calls it an unfinished clone of `.git/hooks` would install its hooks."""
    server.create("p", {"post-commit": "#!/bin/sh\n"})
    (top / ".grex/pack.yaml").write_text(_pack_yaml("ws", (server.url("p"), "p")))
    await _sync(top)
    (top / ".grex-tmp-aa").symlink_to("p")
    note = _note(top, target=".git/hooks", entries=["post-commit", ".git"])

    report = await _sync(top)

    assert any("was left there" in text for text in report.recovered)
    assert note.exists()
    assert not (top / ".git/hooks").exists()
    assert (top / "p/post-commit").exists()
    assert _pack(report, "p").status == "unchanged"


@pytest.mark.parametrize("linked", ["temp", "parent"])
async def test_a_shipped_note_with_links_under_its_names_takes_nothing_from_outside(top: Path, linked: str) -> None:
    theirs = top.parent / "theirs"
    theirs.mkdir()
    git(theirs, "init", "--quiet", "repo")
    (theirs / "repo/f").write_text("mine\n")
    if linked == "temp":
        (top / ".grex-tmp-aa").symlink_to(theirs / "repo")
        _note(top, entries=["f", ".git"])
    else:
        (theirs / "repo").rename(theirs / ".grex-tmp-aa")
        (top / "link").symlink_to(theirs)
        _note(top, pack="link/x", temp="link/.grex-tmp-aa", target="link/x", entries=["f", ".git"])
    before = sorted(path.relative_to(theirs) for path in theirs.rglob("*"))

    report = await _sync(top)

    (said,) = report.recovered
    assert "does not fit what is there; it was left in .grex/state" in said
    assert sorted(path.relative_to(theirs) for path in theirs.rglob("*")) == before


async def test_a_state_directory_that_is_a_link_is_refused_before_anything_is_touched(top: Path) -> None:
    outside = top.parent / "outside"
    outside.mkdir()
    (outside / ".grex-tmp-mine").write_text("mine\n")
    (top / ".grex/state").symlink_to(outside)

    with pytest.raises(ManifestError, match="symbolic link"):
        await _sync(top)

    assert [path.name for path in outside.iterdir()] == [".grex-tmp-mine"]


async def test_what_was_edited_in_a_half_moved_clone_is_kept_when_the_clone_is_taken_back(
    server: GitServer, top: Path
) -> None:
    """A clone was killed while its entries were moved in.

    - The user edits one of them and adds a file beside another, not knowing that the clone is not through.
    - A file of theirs takes the name of an entry that was still to come.
    - The next sync cannot finish the clone and takes it back: what they wrote is in the trash.
    """
    server.create("r", {"a": "1\n", "d/x": "2\n", "z": "3\n"})
    (top / ".grex/pack.yaml").write_text(_pack_yaml("ws", (server.url("r"), "r")))
    temp = top / ".grex-tmp-aa"
    git(top, "clone", "--quiet", server.url("r"), str(temp))
    (top / "r").mkdir()
    (temp / "a").rename(top / "r/a")
    (temp / "d").rename(top / "r/d")
    _note(top, pack="r", target="r", entries=["a", "d", "z", ".git"])
    (top / "r/a").write_text("edited\n")
    (top / "r/d/new").write_text("new\n")
    (top / "r/z").write_text("in the way\n")

    report = await _sync(top)

    (kept,) = (top / ".grex/trash").glob("*/r")
    assert (kept / "a").read_text() == "edited\n"
    assert (kept / "d/new").read_text() == "new\n"
    assert (top / "r/z").read_text() == "in the way\n"
    assert not temp.exists()
    assert kept.relative_to(top).as_posix() in report.recovered[0]
