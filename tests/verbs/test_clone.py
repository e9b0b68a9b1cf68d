"""`grex clone`: a workspace and its packs are there completely, or nothing is."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import anyio
import pytest

from grex.errors import FetchError, GrexError, NotAWorkspaceError, UsageError
from grex.git import clone as clone_repository
from grex.manifest.begun import BegunClone, write_begun
from grex.verbs import clone as clone_verb
from grex.verbs.clone import CloneReport, CloneRequest, clone, place_of
from tests.support.dying import changes_of, die_before
from tests.support.git_server import GitServer, git
from tests.support.place import Place
from tests.support.workspace import pack_yaml


class Hub:
    """A workspace that somebody shares, and the place where others clone it."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.server = GitServer(base / "up")
        self.place = Place(base)
        self.server.create("core", {"c": "1\n"})
        self.server.create("docs", {"d": "1\n"})
        children = [{"url": self.server.url("core")}, {"url": self.server.url("docs"), "groups": ["docs"]}]
        self.server.create(
            "ws",
            {
                ".grex/pack.yaml": pack_yaml("ws", children=children),
                ".grex/config.toml": '[groups]\noff = ["docs"]\n',
                "README": "ours\n",
            },
        )
        self.target = base / "mine"

    async def clone(self, url: str | None = None, **request: Any) -> CloneReport:
        asked = {"url": url or self.server.url("ws"), "root": self.target, **request}
        return await clone(CloneRequest(**asked), self.place.settings(), here=self.base)

    def left(self) -> list[str]:
        """What is there besides what was there before."""
        return sorted(path.name for path in self.base.iterdir() if path.name not in ("up", "ws", "home", "state"))


@pytest.fixture
def hub(tmp_path: Path) -> Hub:
    return Hub(tmp_path)


pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    """One is enough here: what waits and what is cancelled is shown on both where the locks are."""
    return "asyncio"


async def test_a_workspace_is_cloned_with_its_packs_and_nothing_else_is_left(hub: Hub) -> None:
    report = await hub.clone()
    assert report.exit_code == 0
    assert (hub.target / "core/c").read_text() == "1\n"
    assert not (hub.target / "docs").exists()
    assert hub.left() == ["mine"]
    assert git(hub.target, "status", "--porcelain") == "?? grex.lock.jsonl"
    assert git(hub.target, "rev-parse", "--abbrev-ref", "main@{upstream}") == "origin/main"
    assert not list((hub.base / "state/clones").glob("*"))
    assert report.to_json()["adopted"] is False


async def test_groups_are_turned_on_and_no_install_leaves_the_installs(hub: Hub) -> None:
    report = await hub.clone(groups=("docs",), no_install=True)
    assert (hub.target / "docs/d").read_text() == "1\n"
    assert all(pack.install is None for pack in report.sync.packs)


async def test_a_branch_and_a_depth_are_those_of_the_workspace_itself(hub: Hub) -> None:
    hub.server.commit("ws", {"README": "next\n"}, branch="next", start="main")
    report = await hub.clone(ref="next", depth=1)
    assert report.exit_code == 0
    assert (hub.target / "README").read_text() == "next\n"
    assert git(hub.target, "rev-list", "--count", "HEAD") == "1"


async def test_locked_checks_out_what_the_lockfile_says(hub: Hub) -> None:
    await hub.clone()
    lockfile = (hub.target / "grex.lock.jsonl").read_text()
    hub.server.commit("ws", {"grex.lock.jsonl": lockfile})
    hub.server.commit("core", {"c": "2\n"})
    hub.target = hub.base / "second"
    assert (await hub.clone(locked=True)).exit_code == 0
    assert (hub.target / "core/c").read_text() == "1\n"


async def test_the_root_runs_nothing_before_it_is_trusted(hub: Hub) -> None:
    root = pack_yaml("ws", "declarative", actions=[{"exec": {"cmd": ["touch", "ran"]}}])
    hub.server.commit("ws", {".grex/pack.yaml": root})
    report = await hub.clone()
    assert report.exit_code == 4
    (failed,) = [pack.install for pack in report.sync.packs if pack.path == "."]
    assert failed is not None
    assert failed.status == "untrusted"
    assert "grex trust ." in (failed.error.hint if failed.error is not None and failed.error.hint else "")
    assert not (hub.target / "ran").exists()


@pytest.mark.parametrize("existing", [False, True])
async def test_what_is_no_workspace_leaves_nothing(hub: Hub, existing: bool) -> None:
    if existing:
        hub.target.mkdir()
    with pytest.raises(NotAWorkspaceError, match="is no workspace"):
        await hub.clone(hub.server.url("core"))
    assert hub.left() == (["mine"] if existing else [])
    assert not existing or list(hub.target.iterdir()) == []


async def test_a_failed_clone_leaves_nothing_not_even_directories_on_the_way(hub: Hub) -> None:
    with pytest.raises(FetchError):
        await hub.clone(hub.server.url("nowhere"), root=hub.base / "deep/er/mine")
    assert hub.left() == []
    assert not list((hub.base / "state/clones").glob("*"))


async def test_an_empty_directory_is_filled_and_one_with_files_is_refused(hub: Hub) -> None:
    hub.target.mkdir()
    inode = hub.target.stat().st_ino
    assert (await hub.clone()).exit_code == 0
    assert hub.target.stat().st_ino == inode  # somebody may stand in it
    assert hub.left() == ["mine"]
    with pytest.raises(UsageError, match="not empty"):
        await hub.clone()
    assert (hub.target / "core/c").read_text() == "1\n"
    (hub.base / "file").write_text("mine\n")
    with pytest.raises(UsageError, match="is a file"):
        await hub.clone(root=hub.base / "file")


async def test_the_current_directory_is_filled_without_a_rename_from_beside_it(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be a volume of its own, into which nothing can be renamed."""
    hub.target.mkdir()
    monkeypatch.chdir(hub.target)
    temps: list[Path] = []

    async def watched(*args: Any, temp: Path, **how: Any) -> None:
        temps.append(temp)
        await clone_repository(*args, temp=temp, **how)

    monkeypatch.setattr(clone_verb, "clone_repository", watched)
    assert (await hub.clone(root=place_of("unused", Path(), Path.cwd()))).exit_code == 0
    assert [temp.parent for temp in temps] == [hub.target]
    assert git(hub.target, "status", "--porcelain") == "?? grex.lock.jsonl"
    assert not [path for path in hub.target.iterdir() if path.name.startswith(".grex-tmp-")]


async def test_the_place_is_named_after_the_url_unless_it_is_said(tmp_path: Path) -> None:
    """What DIR is, and what it is where nobody says it."""
    here = tmp_path.resolve()
    assert place_of("https://example.com/team/ws.git", None, here) == here / "ws"
    assert place_of("../up/ws.git", Path("other"), here) == here / "other"
    with pytest.raises(UsageError, match="names a host and no repository"):
        place_of("https://example.com/", None, here)
    with pytest.raises(UsageError):
        place_of("ext::sh -c x", None, here)


async def test_a_relative_url_starts_where_the_person_is(hub: Hub) -> None:
    assert (await hub.clone("./up/ws.git")).exit_code == 0
    assert (await hub.clone("up/ws.git", root=hub.base / "also")).exit_code == 0  # as git takes it
    with pytest.raises(UsageError, match="nothing of that name is in") as refused:
        await hub.clone("up/nowhere.git", root=hub.base / "third")
    assert "defaults" not in str(refused.value.hint)  # nobody who clones has a pack.yaml to write them in


@pytest.mark.slow
@pytest.mark.parametrize("existing", [False, True])
def test_a_clone_killed_at_any_change_is_gone_on_with_by_the_same_command(
    hub: Hub, existing: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", lambda fd: None)
    number = 0

    def prepare() -> None:
        nonlocal number
        number += 1
        hub.target = hub.base / f"mine{number}"
        shutil.rmtree(hub.base / "state", ignore_errors=True)  # each begins with the same changes
        if existing:
            hub.target.mkdir()

    def run() -> CloneReport:
        return anyio.run(hub.clone)

    since = "grex.verbs.clone:_bring"
    prepare()
    changes = changes_of(run, since=since)
    for nth in range(1, len(changes) + 1):
        prepare()
        die_before(run, nth, since=since)
        try:
            report = run()
        except GrexError as error:  # it was through but for the last words
            error.add_note(f"killed before change {nth} of {len(changes)}: {changes}")
            raise
        assert report.exit_code == 0
        assert (hub.target / "core/c").read_text() == "1\n"
        assert git(hub.target, "status", "--porcelain") == "?? grex.lock.jsonl"
        assert not [name for name in hub.left() if not name.startswith("mine")], nth
    assert len(changes) > 15


async def test_what_is_no_clone_of_the_same_url_is_not_adopted(hub: Hub) -> None:
    await hub.clone()
    note = BegunClone(hub.target, ".grex-tmp-000000", "https://example.com/other")
    write_begun(hub.base / "state", note)
    with pytest.raises(UsageError, match="not empty"):
        await hub.clone()
