"""`grex set`: the entry is edited as a person would, and the pack follows without losing anything."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest

from grex.engine import relocating
from grex.errors import FetchError, GrexError, LockBusyError, PackError, UsageError
from grex.git import RefNotFoundError, kinship
from grex.locks import PackLock
from grex.manifest import fold, read_lockfile
from grex.verbs.override import OverrideRequest, override
from grex.verbs.set_pack import SetReport, SetRequest, set_pack
from tests.support.git_server import GitServer, git
from tests.support.killing import eventually
from tests.support.lock_holder import Kind, LockHolder
from tests.support.place import Place
from tests.support.removal import Nest, facts

pytestmark = pytest.mark.anyio


async def set_(place: Place, pack: str, **request: Any) -> SetReport:
    settings = place.settings(**request.pop("settings", {}))
    return await set_pack(SetRequest(root=place.root, pack=pack, **request), settings)


async def done(place: Place, pack: str, **request: Any) -> SetReport:
    report = await set_(place, pack, **request)
    assert report.exit_code == 0, report
    return report


# --- ref, groups, depth ---


async def test_a_ref_is_set_in_its_place_and_the_pack_goes_there(nest: Nest) -> None:
    nest.server.commit("other", {"o": "2\n"}, branch="next", start="main")
    before = nest.yaml.read_text()
    report = await done(nest.place, "other", ref="next")
    assert (nest / "other/o").read_text() == "2\n"
    assert nest.yaml.read_text() == before.replace("other.git}", "other.git, ref: next}")
    assert [(one.key, one.old, one.new) for one in report.changes] == [("ref", None, "next")]
    assert read_lockfile(nest / "grex.lock.jsonl")["other"].ref == "next"
    await done(nest.place, "other", no_ref=True)
    assert nest.yaml.read_text() == before
    assert (nest / "other/o").read_text() == "1\n"


async def test_a_ref_that_the_remote_lacks_is_refused_and_nothing_is_written(nest: Nest) -> None:
    """A sync could not settle it."""
    before, logged = nest.yaml.read_text(), nest.place.log()
    for request in ({"ref": "nope"}, {"ref": "nope", "url": copied(nest.server, "other", "mirror")}):
        with pytest.raises(RefNotFoundError, match="nope") as refused:
            await set_(nest.place, "other", **request)
        assert (refused.value.hint or "").startswith("Nothing was changed.")
    with pytest.raises(RefNotFoundError, match="nope"):
        await override(OverrideRequest(root=nest.place.root, pack="other", ref="nope"), nest.place.settings())
    assert (nest.yaml.read_text(), nest.place.log()) == (before, logged)


async def test_a_ref_is_declared_unasked_only_where_that_is_said(nest: Nest) -> None:
    before = nest.yaml.read_text()
    nest.server.path("other").rename(nest.server.path("away"))
    with pytest.raises(FetchError) as refused:
        await set_(nest.place, "other", ref="next")
    assert "--no-sync" in (refused.value.hint or "")
    assert nest.yaml.read_text() == before
    await done(nest.place, "other", ref="next", no_sync=True)
    assert nest.yaml.read_text() == before.replace("other.git}", "other.git, ref: next}")


async def test_without_a_sync_only_the_declaration_changes(nest: Nest) -> None:
    nest.server.commit("other", {"o": "2\n"}, branch="next", start="main")
    report = await done(nest.place, "other", ref="next", no_sync=True)
    assert report.sync is None
    assert (nest / "other/o").read_text() == "1\n"
    await nest.sync()
    assert (nest / "other/o").read_text() == "2\n"


async def test_a_dry_run_says_what_would_be_set_and_writes_nothing(nest: Nest) -> None:
    before = facts(nest.place.root)
    report = await done(nest.place, "tool", ref="next", path="moved", dry_run=True)
    assert [one.key for one in report.changes] == ["path", "ref"]
    assert facts(nest.place.root) == before


async def test_groups_and_depth_are_set_and_groups_taken_away(nest: Nest) -> None:
    before = nest.yaml.read_text()
    await done(nest.place, "tool", groups=("docs", "ci"))
    assert "groups: [docs, ci]" in nest.yaml.read_text()
    await done(nest.place, "tool", no_groups=True)
    assert nest.yaml.read_text() == before
    report = await done(nest.place, "tool", depth=1)
    assert "    depth: 1\n" in nest.yaml.read_text()
    assert any("depth" in note for note in report.notes)


async def test_a_pack_whose_groups_are_off_is_left_and_said(nest: Nest) -> None:
    (nest / ".grex/config.toml").write_text('[groups]\noff = ["docs"]\n')
    report = await done(nest.place, "other", groups=("docs",))
    assert report.sync is None
    assert any("inactive" in note for note in report.notes)
    assert "other" in nest.there()


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        ({}, "nothing is to be set"),
        ({"ref": "a", "no_ref": True}, "--ref and --no-ref"),
        ({"groups": ("a",), "no_groups": True}, "--group and --no-groups"),
        ({"ref": "-x"}, "is no ref"),
        ({"groups": ("!",)}, "is no group"),
        ({"path": "../out"}, "is no pack path"),
        ({"url": "ext::sh -c x"}, "ext"),
    ],
)
async def test_what_makes_no_sense_is_refused(nest: Nest, request_: dict[str, Any], said: str) -> None:
    before = nest.yaml.read_text()
    with pytest.raises(UsageError, match=said):
        await set_(nest.place, "other", **request_)
    assert nest.yaml.read_text() == before


async def test_a_pack_of_another_one_is_refused_with_its_place_and_the_way_out(nest: Nest) -> None:
    with pytest.raises(PackError, match=r"libs/tool/.grex/pack.yaml:\d+") as caught:
        await set_(nest.place, "inner", ref="next")
    assert "grex override libs/tool/deps/inner" in (caught.value.hint or "")


async def test_the_root_and_what_nobody_declares_are_refused(nest: Nest) -> None:
    with pytest.raises(UsageError, match="nobody's child"):
        await set_(nest.place, ".", ref="next")
    with pytest.raises(UsageError, match="there is no pack"):
        await set_(nest.place, "nowhere", ref="next")


# --- path ---


async def test_a_pack_moves_with_everything_in_it_and_every_record_follows(nest: Nest) -> None:
    (nest / "libs/tool/t").write_text("edited\n")
    (nest / "libs/tool/mine").write_text("untracked\n")
    before = facts(nest / "libs/tool")
    report = await done(nest.place, "tool", path="apps/deep/tool")
    after = facts(nest / "apps/deep/tool")
    changed = {path for path in before if before[path] != after.get(path)} - {"."}
    # The sync that follows may write notes and what it fetched; every file of the work trees is the very same.
    assert not [path for path in changed if ".git" not in path.split("/")], changed
    assert not (nest / "libs").exists()
    assert report.moved_from == "libs/tool"
    assert set(nest.place.locked()) == {"other", "apps/deep/tool", "apps/deep/tool/deps/inner"} == nest.logged()
    assert nest.declared() == nest.logged()
    record = fold(nest.place.log()).packs["apps/deep/tool"]
    assert record.owned
    assert read_lockfile(nest / "grex.lock.jsonl")["apps/deep/tool/deps/inner"].parents == ("apps/deep/tool",)
    assert "    path: apps/deep/tool\n    # and this belongs to it\n" in nest.yaml.read_text()
    assert nest.place.leftovers() == []
    assert list(nest.place.root.rglob("*.grex-backend.lock")) == [
        path for path in nest.place.root.rglob("*.grex-backend.lock") if (path.parent / path.name[1:-18]).is_dir()
    ]
    again = await nest.place.sync()
    assert again.exit_code == 0
    assert {pack.status for pack in again.packs} == {"unchanged"}


async def test_in_a_repository_the_old_place_is_hidden_no_longer_and_the_new_one_is(nest: Nest) -> None:
    git(nest.place.root, "init", "--quiet")
    await nest.sync()
    exclude = nest / ".git/info/exclude"
    assert "/libs/tool" in exclude.read_text()
    await done(nest.place, "tool", path="apps/tool")
    assert "/libs/tool" not in exclude.read_text()
    assert "/apps/tool" in exclude.read_text()
    assert git(nest.place.root, "status", "--porcelain").split() == ["??", ".grex/", "??", "grex.lock.jsonl"]


async def test_overrides_of_what_moves_move_along(nest: Nest) -> None:
    nest.yaml.write_text(nest.yaml.read_text() + "overrides:\n  - {path: libs/tool/deps/inner, ref: main}   # pin\n")
    (nest / ".grex/local.yaml").write_text("# mine\noverrides:\n  - path: libs/tool\n    ref: main\n")
    await nest.sync()
    await done(nest.place, "tool", path="apps/tool")
    assert "- {path: apps/tool/deps/inner, ref: main}   # pin" in nest.yaml.read_text()
    assert (nest / ".grex/local.yaml").read_text() == "# mine\noverrides:\n  - path: apps/tool\n    ref: main\n"


async def test_a_place_that_is_taken_or_impossible_is_refused_before_anything_is_done(nest: Nest) -> None:
    (nest / "taken").mkdir()
    (nest / "taken/file").write_text("mine\n")
    (nest / "a-file").write_text("mine\n")
    before = facts(nest.place.root)
    for path, error in (
        ("taken", "taken"),
        ("other", "declared already"),
        ("libs/tool/inside", "into itself"),
        ("libs", "lies in libs"),
        ("a-file/tool", "is no directory"),
    ):
        with pytest.raises(GrexError, match=error):
            await set_(nest.place, "tool", path=path)
        assert facts(nest.place.root) == before, path


async def test_a_place_that_another_repository_tracks_is_refused(nest: Nest) -> None:
    with pytest.raises(PackError, match="tracks"):
        await set_(nest.place, "tool", path="other/o")


async def test_a_pack_that_is_declared_for_its_place_inside_is_not_taken_along(nest: Nest) -> None:
    nest.server.create("guest", {"g": "1\n"})
    nest.yaml.write_text(nest.yaml.read_text() + f"  - url: {nest.server.url('guest')}\n    path: libs/tool/guest\n")
    await nest.sync()
    with pytest.raises(PackError, match=r"libs/tool/guest lies in libs/tool .*pack.yaml:\d+"):
        await set_(nest.place, "tool", path="apps/tool")


async def test_a_checkout_that_was_moved_by_hand_is_declared_where_it_is(nest: Nest) -> None:
    (nest / "other").rename(nest / "elsewhere")
    await done(nest.place, "other", path="elsewhere")
    assert nest.logged() == nest.declared() == {"elsewhere", "libs/tool", "libs/tool/deps/inner"}
    assert (await nest.place.sync()).exit_code == 0


async def test_a_pack_that_is_not_cloned_is_cloned_at_its_new_place(nest: Nest) -> None:
    await nest.rm("other")
    nest.yaml.write_text(nest.yaml.read_text() + f"  - url: {nest.server.url('other')}\n")
    await done(nest.place, "other", path="new")
    assert (nest / "new/o").read_text() == "1\n"


async def test_linked_work_trees_find_their_repository_again(nest: Nest, tmp_path: Path) -> None:
    git(nest / "libs/tool", "worktree", "add", "--quiet", str(tmp_path / "tree"), "-b", "mine")
    git(nest / "libs/tool/deps/inner", "worktree", "add", "--quiet", str(tmp_path / "inner-tree"), "-b", "mine")
    await done(nest.place, "tool", path="apps/tool")
    assert git(tmp_path / "tree", "rev-parse", "--abbrev-ref", "HEAD") == "mine"
    assert git(tmp_path / "inner-tree", "rev-parse", "--abbrev-ref", "HEAD") == "mine"
    listed = git(nest / "apps/tool", "worktree", "list", "--porcelain")
    assert str(tmp_path / "tree") in listed
    assert "prunable" not in listed


LINKING = """\
schema_version: "1"
name: linker
type: declarative
actions:
  - symlink: {src: file, dst: "~/link"}
"""


async def test_what_is_installed_is_taken_back_and_installed_again_from_the_new_place(nest: Nest) -> None:
    nest.server.create("linker", {".grex/pack.yaml": LINKING, "file": "text\n"})
    nest.yaml.write_text(nest.yaml.read_text() + f"  - url: {nest.server.url('linker')}\n")
    nest.place.defaults = nest.place.settings(trust=(nest.server.url("linker"),))
    await nest.sync()
    link = nest.place.home / "link"
    assert link.readlink() == nest / "linker/file"
    report = await done(nest.place, "linker", path="apps/linker")
    assert link.readlink() == nest / "apps/linker/file"
    assert {pack.status for pack in report.torn_down.values()} == {"torn-down"}


async def test_without_trust_nothing_is_taken_back_and_nothing_moves(nest: Nest) -> None:
    nest.server.create("linker", {".grex/pack.yaml": LINKING, "file": "text\n"})
    nest.yaml.write_text(nest.yaml.read_text() + f"  - url: {nest.server.url('linker')}\n")
    report = await nest.place.sync(settings={"trust": (nest.server.url("linker"),)})
    assert report.exit_code == 0
    before = nest.yaml.read_text()
    stopped = await set_(nest.place, "linker", path="apps/linker")
    assert stopped.exit_code == 4
    assert stopped.moved_from is None
    assert (nest / "linker/file").is_file()
    assert nest.yaml.read_text() == before
    assert (nest.place.home / "link").exists()


async def test_a_link_of_a_pack_that_stays_is_never_left_dangling(nest: Nest) -> None:
    text = nest.yaml.read_text().replace("type: meta", "type: declarative")
    nest.yaml.write_text(text + 'actions:\n  - symlink: {src: other/o, dst: "~/root-link"}\n')
    nest.place.defaults = nest.place.settings(trust=(".",))
    await nest.sync()
    assert (nest.place.home / "root-link").exists()
    with pytest.raises(PackError, match="leads into other"):
        await set_(nest.place, "other", path="moved")
    assert (nest / "other/o").is_file()


# --- beside other processes ---


@pytest.mark.parametrize("kind", ["pack", "backend"])
@pytest.mark.parametrize("held", ["libs/tool", "libs/tool/deps/inner"])
async def test_a_pack_that_somebody_holds_does_not_move_and_they_are_named(nest: Nest, kind: Kind, held: str) -> None:
    before = facts(nest / "libs/tool")
    with LockHolder(kind, nest / held) as holder:
        assert holder.ask("take") == "held"
        with pytest.raises(LockBusyError, match=f"pid {holder.pid} "):
            await set_(nest.place, "tool", path="apps/tool", settings={"no_wait": True})
    assert facts(nest / "libs/tool") == before
    assert nest.there() == nest.logged() == nest.declared()
    await done(nest.place, "tool", path="apps/tool")


async def test_a_move_waits_for_who_works_in_the_pack_and_then_goes_on(nest: Nest) -> None:
    with LockHolder("pack", nest / "libs/tool/deps/inner") as holder:
        assert holder.ask("take") == "held"
        async with anyio.create_task_group() as tasks:
            waits = anyio.Event()

            def sink(event: object) -> None:
                if type(event).__name__ == "LockWait":
                    waits.set()

            async def move() -> None:
                await done(nest.place, "tool", path="apps/tool", settings={"sink": sink})

            tasks.start_soon(move)
            await waits.wait()
            assert (nest / "libs/tool/t").is_file()
            assert holder.ask("release") == "ok"
    assert (nest / "apps/tool/t").is_file()


def under_the_locks(monkeypatch: pytest.MonkeyPatch, then: Callable[[], object]) -> None:
    """Let something happen in the middle of a move, right before the rename."""
    rename = relocating._rename

    def late(*args: Any) -> None:
        then()
        rename(*args)

    monkeypatch.setattr(relocating, "_rename", late)


@pytest.mark.parametrize("pack", ["libs/tool", "libs/tool/deps/inner"])
async def test_who_waits_for_a_pack_that_moves_away_is_told_and_makes_nothing(
    nest: Nest, monkeypatch: pytest.MonkeyPatch, pack: str
) -> None:
    answers: list[str] = []
    with LockHolder("pack", nest / pack) as waiter:
        assert waiter.ask("pass") == "passed"  # it has opened the lock before
        under_the_locks(monkeypatch, lambda: answers.append(waiter.ask("take-aloud")))
        await done(nest.place, "tool", path="apps/tool", no_sync=True)
        assert answers == ["waits"]
        assert waiter.answer().startswith("lock.pack-gone")
    assert not (nest / "libs").exists()
    assert (await nest.place.sync()).exit_code == 0


async def test_a_sync_of_another_workspace_that_waits_for_a_pack_that_moves_brings_its_own(
    nest: Nest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two workspaces share a checkout through a link; one moves it away while the other waits for it."""
    second = tmp_path / "second"
    (second / ".grex").mkdir(parents=True)
    text = f'schema_version: "1"\nname: second\ntype: meta\nchildren:\n  - url: {nest.server.url("other")}\n'
    (second / ".grex/pack.yaml").write_text(text)
    (second / "other").symlink_to(nest / "other")
    # Not a child of this process: grex would see that its own ancestor holds the pack, and not wait.
    script = '("$@" >out 2>&1; echo $? >code.new; mv code.new code) </dev/null >/dev/null 2>&1 &'
    command = ["sh", "-c", script, "sh", sys.executable, "-m", "grex", "sync"]
    lock = PackLock.open(nest / "other")

    def sync_there() -> None:
        subprocess.run(command, cwd=second, env=dict(os.environ), check=True)
        eventually(lambda: bool(lock.statistics().queued), "a waiter for the pack")

    under_the_locks(monkeypatch, sync_there)
    await done(nest.place, "other", path="moved", no_sync=True)
    eventually((second / "code").exists, "the end of the other sync")
    assert (second / "code").read_text() == "0\n", (second / "out").read_text()
    assert (nest / "moved/.git").is_dir()
    assert (second / "other/o").read_text() == "1\n"


# --- url ---


def copied(server: GitServer, name: str, other: str) -> str:
    """The same repository at another address."""
    git(server.root, "clone", "--quiet", "--bare", server.url(name), str(server.path(other)))
    return server.url(other)


async def test_the_same_repository_by_another_address_keeps_its_checkout(nest: Nest) -> None:
    url = copied(nest.server, "other", "mirror")
    (nest / "other/o").write_text("edited\n")
    git(nest / "other", "commit", "--quiet", "--allow-empty", "-m", "mine")
    report = await done(nest.place, "other", url=url)
    assert report.readdressed.address == "same"
    assert (nest / "other/o").read_text() == "edited\n"
    assert git(nest / "other", "config", "remote.origin.url") == url
    assert nest.in_trash() == []
    assert nest.declared() == nest.logged()  # it is where it was, though the URL ends in another name
    assert read_lockfile(nest / "grex.lock.jsonl")["other"].url == url
    assert fold(nest.place.log()).packs["other"].url == url


async def test_a_repository_that_is_far_ahead_is_known_by_its_beginning(nest: Nest, tmp_path: Path) -> None:
    url = copied(nest.server, "other", "ahead")
    git(tmp_path, "clone", "--quiet", url, "work")
    git(tmp_path / "work", "commit", "--quiet", "--allow-empty", "-m", "ahead")
    git(tmp_path / "work", "push", "--quiet", "origin", "HEAD:main")
    assert (await done(nest.place, "other", url=url)).readdressed.address == "same"
    assert git(nest / "other", "log", "-1", "--format=%s") == "ahead"


async def test_what_a_killed_comparison_leaves_is_where_the_next_run_removes_it(
    nest: Nest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And not in the directory of temporary files, which nobody sweeps."""
    nest.server.create("foreign", {"f": "1\n"})
    state = nest / ".grex/state"
    left: list[Path] = []
    beginnings = kinship._beginnings

    async def seen(runner: Any, cwd: Path, ref: str) -> set[str]:
        left.extend(kinship.scratch_repositories(state))
        return await beginnings(runner, cwd, ref)

    monkeypatch.setattr(kinship, "_beginnings", seen)
    await done(nest.place, "other", url=nest.server.url("foreign"), no_sync=True)
    (scratch,) = left
    assert not scratch.exists()
    git(nest.place.root, "init", "--quiet", "--bare", str(scratch))
    await nest.place.sync()
    assert not scratch.exists()


async def test_another_repository_takes_the_place_and_the_old_one_is_in_the_trash(nest: Nest) -> None:
    nest.server.create("foreign", {"f": "1\n"})
    report = await done(nest.place, "tool", url=nest.server.url("foreign"))
    assert report.readdressed.address == "different"
    assert (nest / "libs/tool/f").read_text() == "1\n"
    assert len(nest.in_trash()) == 2  # the tool, and what lay in it
    assert nest.logged() == {"other", "libs/tool"} == nest.declared()


@pytest.mark.parametrize("work", ["edited", "untracked", "unpushed"])
async def test_another_repository_is_refused_where_work_would_be_missed(nest: Nest, work: str) -> None:
    nest.server.create("foreign", {"f": "1\n"})
    if work == "edited":
        (nest / "other/o").write_text("edited\n")
    elif work == "untracked":
        (nest / "other/new").write_text("new\n")
    else:
        git(nest / "other", "commit", "--quiet", "--allow-empty", "-m", "mine")
    before = nest.yaml.read_text()
    with pytest.raises(PackError, match="another repository"):
        await set_(nest.place, "other", url=nest.server.url("foreign"))
    assert nest.yaml.read_text() == before
    assert "other" in nest.there()
    assert nest.in_trash() == []


@pytest.mark.parametrize("is_pinned", [False, True])
async def test_a_ref_that_another_repository_lacks_is_refused_before_the_old_one_goes(
    nest: Nest, is_pinned: bool
) -> None:
    sha = nest.server.commit("other", {"o": "2\n"}, branch="next", start="main")
    await done(nest.place, "other", ref=sha if is_pinned else "next")
    nest.server.create("foreign", {"f": "1\n"})
    before = nest.yaml.read_text()
    with pytest.raises(PackError) as refused:
        await set_(nest.place, "other", url=nest.server.url("foreign"))
    assert refused.value.hint == "Give a ref that it has along with the URL: `--ref REF`; nothing was changed."
    assert (nest.yaml.read_text(), (nest / "other/o").read_text(), nest.in_trash()) == (before, "2\n", [])
    await done(nest.place, "other", url=nest.server.url("foreign"), ref="main")
    assert (nest / "other/f").read_text() == "1\n"


async def test_a_url_that_cannot_be_asked_changes_nothing(nest: Nest) -> None:
    before = nest.yaml.read_text()
    with pytest.raises(GrexError):
        await set_(nest.place, "other", url=nest.server.url("nowhere"))
    assert nest.yaml.read_text() == before
    assert git(nest / "other", "config", "remote.origin.url") == nest.server.url("other")


async def test_the_document_says_what_changed(nest: Nest) -> None:
    report = await done(nest.place, "other", path="moved")
    document = json.loads(json.dumps(report.to_json()))
    assert document["moved_from"] == "other"
    assert document["changes"] == [{"key": "path", "old": "other", "new": "moved"}]
