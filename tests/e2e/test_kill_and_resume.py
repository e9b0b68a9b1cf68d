"""`kill -9` at random moments, of grex alone and of every process, and what a killed run leaves to the next one.

The hazards: a directory that looks like a repository and is none; half-written files that look like the user's edits;
a git that goes on writing while the next sync believes that everything is free; git's own lock files, which make every
later git fail; an install of which nobody knows how far it came. `test_kill_at_each_step` kills at chosen steps.

`GREX_TORTURE=50` runs fifty random moments of each kind instead of a few; `make torture` does so outside of pytest.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from pathlib import Path

import pytest

from grex.manifest import Log, PackRecord, fold
from tests.e2e.test_kill_at_each_step import die_at, name
from tests.support.crash_scenario import ColdClones, NewsUpstream, Scenario, leftovers, scenario
from tests.support.git_server import GitServer, git
from tests.support.killing import Started, eventually, flock_is_free, start
from tests.support.slow_git import DyingGit, HeldFilter, SlowTransport
from tests.support.torture import Manner, kill_once, rounds
from tests.support.workspace import Workspace, pack_yaml

pytestmark = pytest.mark.slow  # whole runs of the program; what they show in small is shown below

HOOK = """#!/bin/sh
echo "$$" >> "$MARKS/runs"
[ -e "$MARKS/released" ] && exit 0
: > "$MARKS/started"
while [ ! -e "$MARKS/released" ]; do sleep 0.02; done
"""


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("manner", ["grex-alone", "everything"])
@pytest.mark.parametrize("kind", [ColdClones, NewsUpstream])
def test_a_sync_killed_at_any_moment_is_completed_by_the_next(
    tmp_path_factory: pytest.TempPathFactory, kind: type[Scenario], manner: Manner
) -> None:
    crashed = scenario(kind, tmp_path_factory.getbasetemp())
    done = [kill_once(crashed, manner, f"{kind.__name__}-{manner}-{number}") for number in range(rounds(5))]
    assert any(one.hit for one in done)


def test_a_clone_that_outlives_grex_is_waited_for_and_then_cleared(
    server: GitServer, workspace: Workspace, tmp_path: Path
) -> None:
    server.create("big", {"data": "".join(str(number * 7919 % 100_003) for number in range(60_000))})
    slow = SlowTransport(tmp_path / "ssh", workspace, ignores_term=True)
    workspace.declare({"url": slow.url(server.path("big")), "path": "big"})
    with start(workspace, "sync") as first:
        slow.wait()
        first.kill_alone()
        assert first.children()
        assert not flock_is_free(workspace / ".big.grex-backend.lock")
        assert flock_is_free(workspace / ".grex.sync.lock")
        slow.release()
        with start(workspace, "sync") as second:
            said = waiting_line(second)
            # git itself may have ended by now: it writes its progress to a grex that is gone.
            assert re.search(r"its lock lives on in (git|ssh) \(pid \d+\)", said)
            first.kill_everything()
            assert second.result().code == 0
    assert git(workspace / "big", "status", "--porcelain") == ""
    assert leftovers(workspace) == []


def test_a_checkout_that_outlives_grex_is_waited_for_by_name_and_then_completed(
    server: GitServer, workspace: Workspace, tmp_path: Path
) -> None:
    server.create("app", {"early.txt": "1\n", "held.txt": "1\n"})
    workspace.declare({"url": server.url("app"), "path": "app"})
    workspace.sync()
    sha = server.commit("app", {".gitattributes": HeldFilter.ATTRIBUTES, "early.txt": "2\n", "held.txt": "2\n"})
    held = HeldFilter(tmp_path / "filter", workspace)
    with start(workspace, "sync") as first:
        held.wait()
        killed = first.process.pid
        first.kill_alone()
        assert (workspace / "app/.git/index.lock").exists()
        with start(workspace, "sync") as second:
            said = waiting_line(second)
            assert f"pid {killed}" in said
            assert "its lock lives on in git" in said
            assert (workspace / "app/.git/index.lock").exists()
            held.release()
            assert second.result().code == 0
        first.wait_for_family()
    assert git(workspace / "app", "rev-parse", "HEAD") == sha
    assert git(workspace / "app", "status", "--porcelain") == ""
    assert leftovers(workspace) == []


def waiting_line(grex: Started) -> str:
    """The line in which a run says whom it waits for."""
    assert grex.process.stderr is not None
    for line in grex.process.stderr:
        if line.startswith("waiting"):
            return line
    raise AssertionError("it ended without having waited")


def test_the_index_lock_of_a_killed_git_of_ours_is_removed_and_a_half_written_tree_mended(
    server: GitServer, workspace: Workspace, tmp_path: Path
) -> None:
    server.create("app", {"early.txt": "1\n", "held.txt": "1\n", "late.txt": "1\n", "mine.txt": "1\n"})
    workspace.declare({"url": server.url("app"), "path": "app"})
    workspace.sync()
    app = workspace / "app"
    (app / "mine.txt").write_text("edited\n")
    (app / "untracked.txt").write_text("untracked\n")
    sha = server.commit(
        "app", {".gitattributes": HeldFilter.ATTRIBUTES, "early.txt": "2\n", "held.txt": "2\n", "late.txt": None}
    )
    held = HeldFilter(tmp_path / "filter", workspace)
    with start(workspace, "sync") as grex:
        held.wait()
        grex.kill_everything()
    assert (app / ".git/index.lock").exists()
    assert (app / "early.txt").read_text() == "2\n"  # half of it is written, and looks like an edit
    held.release()
    pack = workspace.sync().packs["app"]
    assert (pack["status"], pack["new"]) == ("moved", sha)
    assert git(app, "status", "--porcelain") == " M mine.txt\n?? untracked.txt"
    assert (app / "mine.txt").read_text() == "edited\n"
    assert leftovers(workspace) == []


def test_an_edit_made_after_the_kill_is_kept_under_a_rescue_ref(
    server: GitServer, workspace: Workspace, tmp_path: Path
) -> None:
    server.create("app", {"early.txt": "1\n", "held.txt": "1\n"})
    workspace.declare({"url": server.url("app"), "path": "app"})
    workspace.sync()
    app = workspace / "app"
    server.commit("app", {".gitattributes": HeldFilter.ATTRIBUTES, "early.txt": "2\n", "held.txt": "2\n"})
    held = HeldFilter(tmp_path / "filter", workspace)
    with start(workspace, "sync") as grex:
        held.wait()
        grex.kill_everything()
    (app / "early.txt").write_text("written by the user after the crash\n")
    (app / ".git/grex/rescue-index.lock").touch()  # of a recovery that was killed as well
    held.release()
    pack = workspace.sync().packs["app"]
    ref = next(word for note in pack["notes"] for word in note.split() if word.startswith("refs/grex/rescue/"))
    assert git(app, "show", f"{ref}:early.txt") == "written by the user after the crash"
    assert git(app, "status", "--porcelain") == ""


def test_the_lock_of_a_branch_that_a_killed_git_of_ours_was_moving_is_removed(
    server: GitServer, workspace: Workspace, tmp_path: Path
) -> None:
    server.create("app", {"a.txt": "1\n"})
    workspace.declare({"url": server.url("app"), "path": "app"})
    workspace.sync()
    app = workspace / "app"
    git(app, "checkout", "--quiet", "-b", "topic")
    sha = server.commit("app", {"a.txt": "2\n"})
    dying = DyingGit(tmp_path / "dying", workspace, "update-ref", "{}.lock")
    with start(workspace, "sync") as grex:
        assert grex.result().code == -signal.SIGKILL
    assert (app / ".git/refs/heads/main.lock").exists()
    dying.repair()
    workspace.sync()
    assert git(app, "rev-parse", "main") == sha
    assert git(app, "rev-parse", "--abbrev-ref", "HEAD") == "topic"
    assert leftovers(workspace) == []


def test_the_lock_of_a_rescue_ref_that_a_killed_git_of_ours_was_making_is_removed(
    server: GitServer, workspace: Workspace, tmp_path: Path
) -> None:
    server.create("app", {"a.txt": "1\n"})
    lost = server.commit("app", {"a.txt": "wrong\n"})
    workspace.declare({"url": server.url("app"), "path": "app"})
    workspace.sync()
    app = workspace / "app"
    sha = server.commit("app", {"a.txt": "2\n"}, amend=True)
    dying = DyingGit(tmp_path / "dying", workspace, "update-ref", "{}.lock")
    with start(workspace, "sync") as grex:
        assert grex.result().code == -signal.SIGKILL
    assert len(list((app / ".git/refs/grex/rescue").glob("*.lock"))) == 1
    dying.repair()
    workspace.sync()
    assert git(app, "rev-parse", "HEAD") == sha
    assert git(app, "for-each-ref", "--format=%(objectname)", "refs/grex/rescue").split() == [lost]
    assert leftovers(workspace) == []


def test_a_fetch_whose_git_alone_was_killed_says_so_and_the_next_sync_cleans_up_after_it(
    server: GitServer, workspace: Workspace, tmp_path: Path
) -> None:
    server.create("app", {"a.txt": "1\n"})
    workspace.declare({"url": server.url("app"), "path": "app"})
    workspace.sync()
    sha = server.commit("app", {"a.txt": "2\n"})
    dying = DyingGit(tmp_path / "dying", workspace, "fetch", "refs/remotes/origin/main.lock", kills_grex=False)
    error = workspace.sync(expect=4).packs["app"]["error"]
    assert "SIGKILL" in error["message"]
    dying.repair()
    assert workspace.sync().packs["app"]["new"] == sha
    assert leftovers(workspace) == []


def test_the_index_lock_of_a_living_git_of_the_users_is_left_and_named(
    server: GitServer, workspace: Workspace, tmp_path: Path
) -> None:
    server.create("app", {"early.txt": "1\n", "held.txt": "1\n"})
    server.create("other", {"a": "1\n"})
    workspace.declare({"url": server.url("app"), "path": "app"}, {"url": server.url("other"), "path": "other"})
    workspace.sync()
    app = workspace / "app"
    server.commit("app", {".gitattributes": HeldFilter.ATTRIBUTES, "early.txt": "2\n", "held.txt": "2\n"})
    moved = server.commit("other", {"a": "2\n"})
    held = HeldFilter(tmp_path / "filter", workspace)
    with start(workspace, "sync") as grex:
        held.wait()
        grex.kill_everything()
    (app / ".git/index.lock").unlink()
    ready = tmp_path / "editor-is-open"
    editor = tmp_path / "editor"
    editor.write_text(f"#!/bin/sh\n: > '{ready}'\nexec sleep 60\n")
    editor.chmod(0o755)
    (app / "new.txt").write_text("the user's\n")
    git(app, "add", "new.txt")
    environ = os.environ | {"GIT_EDITOR": str(editor)}
    command = ["git", "commit", "--quiet"]
    with subprocess.Popen(command, cwd=app, env=environ, stderr=subprocess.DEVNULL, start_new_session=True) as users:
        try:
            eventually(ready.exists, "the editor of the user's commit")
            (app / ".git/index.lock").touch()  # `git commit` itself gives its own back while the editor is open
            held.release()
            report = workspace.sync(expect=4)
            assert (app / ".git/index.lock").exists()
        finally:
            os.killpg(users.pid, signal.SIGKILL)
    error = report.packs["app"]["error"]
    assert "index.lock" in error["message"]
    assert str(users.pid) in error["message"]
    assert report.packs["other"]["new"] == moved
    (app / ".git/index.lock").unlink()
    workspace.sync(expect=None)
    assert (app / "new.txt").read_text() == "the user's\n"


def test_a_hook_whose_run_was_killed_leaves_its_bracket_open_and_is_run_again(
    server: GitServer, workspace: Workspace, tmp_path: Path
) -> None:
    marks = tmp_path / "marks"
    marks.mkdir()
    workspace.environ |= {"MARKS": str(marks), "GREX_TRUST": server.root.as_uri()}
    server.create("hooked", {".grex/pack.yaml": pack_yaml("hooked", "scripted"), ".grex/hooks/setup.sh": HOOK})
    workspace.declare({"url": server.url("hooked"), "path": "hooked"})
    with start(workspace, "sync") as grex:
        eventually((marks / "started").exists, "the hook")
        grex.kill_everything()
    assert [bracket.kind for bracket in record_of(workspace, "hooked").open_brackets] == ["hook"]
    (marks / "released").touch()
    assert workspace.sync().packs["hooked"]["install"]["status"] == "installed"
    assert len((marks / "runs").read_text().split()) == 2
    assert record_of(workspace, "hooked").open_brackets == ()
    assert workspace.sync().packs["hooked"]["install"] is None


def test_an_update_that_was_killed_is_run_again_even_if_what_was_installed_before_is_wanted_again(
    server: GitServer, workspace: Workspace, tmp_path: Path
) -> None:
    marks = tmp_path / "marks"
    marks.mkdir()
    workspace.environ |= {"MARKS": str(marks), "GREX_TRUST": server.root.as_uri()}
    (marks / "released").touch()
    server.create("hooked", {".grex/pack.yaml": pack_yaml("hooked", "scripted"), ".grex/hooks/setup.sh": HOOK})
    before = git(server.path("hooked"), "rev-parse", "main")
    workspace.declare({"url": server.url("hooked"), "path": "hooked"})
    workspace.sync()
    server.commit("hooked", {"news": "1\n"})
    (marks / "released").unlink()
    with start(workspace, "sync") as grex:
        eventually((marks / "started").exists, "the hook")
        grex.kill_everything()
    (marks / "released").touch()
    workspace.declare({"url": server.url("hooked"), "path": "hooked", "ref": before})
    assert json.loads(workspace.grex("status", "--json").stdout)["packs"]
    assert workspace.sync().packs["hooked"]["install"]["status"] == "updated"
    assert workspace.sync().packs["hooked"]["install"] is None


def record_of(workspace: Workspace, path: str) -> PackRecord:
    return fold(Log(workspace.log, workspace / "trash").read().events).packs[path]


ADD = [
    *(("grex.engine.cloning:write_note", when, nth) for nth in (1, 2) for when in ("before", "after")),
    ("grex.engine.cloning:clone", "after", 1),
    ("grex.git.move_in:_move", "after", 1),
    ("grex.git.move_in:_move", "after", 2),
    *(("grex.engine.session:Session.record", when, 1) for when in ("before", "after")),
    *(("grex.engine.cloning:remove_note", when, 1) for when in ("before", "after")),
    *(("grex.verbs.add:edit_root", when, 1) for when in ("before", "after")),
    ("os:replace", "before", 4),
    *(("grex.workspace.trust:TrustStore.add", when, 1) for when in ("before", "after")),
    *(("grex.verbs.sync:write_lockfile", when, 1) for when in ("before", "after")),
]


@pytest.mark.slow
@pytest.mark.parametrize("step", ADD, ids=name)
def test_an_add_killed_at_a_step_is_completed_by_a_sync_and_the_same_add(
    server: GitServer, workspace: Workspace, step: tuple[str, str, int]
) -> None:
    url = server.create("lib", {"lib.txt": "1\n"}).as_uri()
    workspace.declare()
    intent = workspace / ".grex/pack.yaml"
    intent.write_text(intent.read_text() + "# the user's comment\n")
    die_at(workspace, step, "add", url, "libs/lib")
    assert "# the user's comment" in intent.read_text()
    declared = url in intent.read_text()
    report = workspace.sync()
    assert ("libs/lib" in report.packs) == declared
    if not declared:
        workspace.grex("add", url, "libs/lib")
    report = workspace.sync()
    assert report.packs["libs/lib"]["status"] == "unchanged"
    assert report.document["undeclared"] == []
    record = record_of(workspace, "libs/lib")
    assert (record.url, record.owned, record.sha) == (url, True, git(workspace / "libs/lib", "rev-parse", "HEAD"))
    assert list(workspace.locked()) == ["libs/lib"]
    assert leftovers(workspace) == []


RECOVERY_OF_A_CLONE = [
    *(("grex.git.move_in:_move", when, nth) for nth in (1, 3) for when in ("before", "after")),
    *(("grex.engine.recovery:resume_move", when, 1) for when in ("before", "after")),
    *(("grex.engine.recovery:remove_tree", when, 1) for when in ("before", "after")),
    *(("grex.engine.recovery:remove_note", when, 1) for when in ("before", "after")),
]
RECOVERY_OF_A_MOVE = [
    *(("grex.git.recover:remove_stale_files", when, 1) for when in ("before", "after")),
    *(("grex.git.recover:keep_rescue_ref", when, 1) for when in ("before", "after")),
    *(("grex.git.command:GitRunner.run[read-tree]", when, 1) for when in ("before", "after")),
    *(("grex.git.recover:_set_index", when, 1) for when in ("before", "after")),
    *(("grex.git.command:GitRunner.run[checkout-index]", when, 1) for when in ("before", "after")),
    *(("grex.git.recover:remove_note", when, 1) for when in ("before", "after")),
]


@pytest.mark.slow
@pytest.mark.parametrize("step", RECOVERY_OF_A_CLONE, ids=name)
def test_a_recovery_of_a_clone_that_is_killed_itself_is_completed_by_the_next(
    tmp_path_factory: pytest.TempPathFactory, step: tuple[str, str, int]
) -> None:
    crashed = scenario(ColdClones, tmp_path_factory.getbasetemp(), small=True)
    workspace = crashed.begin()
    die_at(workspace, ("grex.git.move_in:_move", "after", 1), "sync", "--jobs", "1")
    die_at(workspace, step, "sync", "--jobs", "1")
    crashed.check(workspace)


@pytest.mark.slow
@pytest.mark.parametrize("step", RECOVERY_OF_A_MOVE, ids=name)
def test_a_recovery_of_a_move_that_is_killed_itself_is_completed_by_the_next(
    server: GitServer, workspace: Workspace, tmp_path: Path, step: tuple[str, str, int]
) -> None:
    server.create("app", {"early.txt": "1\n", "held.txt": "1\n", "late.txt": "1\n", "mine.txt": "1\n"})
    workspace.declare({"url": server.url("app"), "path": "app"})
    workspace.sync()
    app = workspace / "app"
    (app / "mine.txt").write_text("edited\n")
    sha = server.commit(
        "app", {".gitattributes": HeldFilter.ATTRIBUTES, "early.txt": "2\n", "held.txt": "2\n", "late.txt": None}
    )
    held = HeldFilter(tmp_path / "filter", workspace)
    with start(workspace, "sync") as grex:
        held.wait()
        grex.kill_everything()
    held.release()
    (app / "early.txt").write_text("half-written, or the user's\n")
    die_at(workspace, step, "sync")
    workspace.sync()
    assert git(app, "rev-parse", "HEAD") == sha
    assert git(app, "status", "--porcelain") == " M mine.txt"
    kept = git(app, "for-each-ref", "--format=%(refname)", "refs/grex/rescue").split()
    assert "half-written, or the user's" in [git(app, "show", f"{ref}:early.txt", check=False) for ref in kept]
    assert leftovers(workspace) == []


def test_files_that_appeared_after_the_kill_stop_a_clone_from_being_finished_and_nothing_is_thrown_away(
    server: GitServer, workspace: Workspace
) -> None:
    server.create("lib", {"a.txt": "1\n", "b.txt": "1\n", "c.txt": "1\n"})
    workspace.declare({"url": server.url("lib"), "path": "lib"})
    die_at(workspace, ("grex.git.move_in:_move", "after", 1), "sync")
    (workspace / "lib/a.txt").write_text("edited in what looked like the pack\n")
    (workspace / "lib/b.txt").write_text("the user's own\n")
    workspace.sync(expect=4)
    assert (workspace / "lib/b.txt").read_text() == "the user's own\n"
    assert not (workspace / "lib/.git").exists()
    kept = [path.read_text() for path in (workspace / ".grex/trash").rglob("a.txt")]
    assert kept == ["edited in what looked like the pack\n"]
    (workspace / "lib/b.txt").unlink()
    workspace.sync()
    assert git(workspace / "lib", "status", "--porcelain") == ""
    assert leftovers(workspace) == []
