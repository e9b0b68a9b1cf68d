"""`grex switch`, `fetch`, `push` and `path`: git's own verbs over packs, with nothing forced and everything told."""

from __future__ import annotations

import os
from pathlib import Path

import anyio
import pytest

from grex.errors import UsageError
from grex.git import observe
from grex.git.records import MoveNote, write_note
from grex.progress import CommandOutput
from grex.verbs.over import (
    FetchReport,
    FetchRequest,
    OverReport,
    PushReport,
    PushRequest,
    SwitchReport,
    SwitchRequest,
    fetch,
    push,
    switch,
)
from grex.verbs.path import PathReport, PathRequest, path
from tests.support.git_server import GitServer, git
from tests.support.lock_holder import LockHolder
from tests.support.moulds import cast
from tests.support.place import Place

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    """One loop: what is waited for here is git, whose room has tests on both."""
    return "asyncio"


@pytest.fixture
def server(tmp_path: Path) -> GitServer:
    return GitServer(tmp_path / "up")


@pytest.fixture
def packs(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """`a` has a branch `topic` at its remote, `b` has none; `pin` is at a tag."""
    return cast("over", build, tmp_path, tmp_path_factory)[0]


def build(place: Place, server: GitServer) -> None:
    server.create("a", {"f": "1\n", "g": "1\n"})
    server.commit("a", {"f": "topic\n"}, branch="topic")
    server.create("b", {"f": "1\n"})
    server.tag("b", "v1")
    place.declare(
        {"url": server.url("a")}, {"url": server.url("b")}, {"url": server.url("b"), "path": "pin", "ref": "v1"}
    )


async def switched(place: Place, branch: str, *names: str, create: bool = False, dry_run: bool = False) -> SwitchReport:
    request = SwitchRequest(root=place.root, packs=names, branch=branch, create=create, dry_run=dry_run)
    return await switch(request, place.settings())


async def fetched(place: Place, *names: str) -> FetchReport:
    return await fetch(FetchRequest(root=place.root, packs=names), place.settings())


async def pushed(place: Place, *names: str, dry_run: bool = False, **keys: object) -> PushReport:
    request = PushRequest(root=place.root, packs=names, dry_run=dry_run)
    return await push(request, place.settings(**keys))


def statuses(report: OverReport) -> dict[str, str]:
    return {pack.path: pack.code or pack.status for pack in report.packs}


def on(place: Place, name: str) -> str:
    return git(place / name, "rev-parse", "--abbrev-ref", "HEAD")


# -- switch ------------------------------------------------------------------------------------------------------------


async def test_packs_with_the_branch_go_over_and_the_others_stay(packs: Place) -> None:
    """Which is no failure: of many repositories a feature touches few. One that was named has to have it."""
    report = await switched(packs, "topic")
    assert statuses(report) == {"a": "switched", "b": "no-branch", "pin": "no-branch"}
    assert report.exit_code == 0
    assert (on(packs, "a"), on(packs, "b")) == ("topic", "main")
    assert git(packs / "a", "rev-parse", "--abbrev-ref", "topic@{upstream}") == "origin/topic"
    assert (packs / "a/f").read_text() == "topic\n"
    assert statuses(await switched(packs, "topic", "a")) == {"a": "unchanged"}
    named = await switched(packs, "topic", "a", "b")
    assert (statuses(named)["b"], named.exit_code) == ("pack.failed", 4)
    assert statuses(await switched(packs, "main")) == {"a": "switched", "b": "unchanged", "pin": "switched"}


async def test_a_branch_that_no_pack_has_is_a_mistake_and_nothing_is_done(packs: Place) -> None:
    with pytest.raises(UsageError, match="no pack has a branch 'tpoic'") as caught:
        await switched(packs, "tpoic")
    assert "grex switch -c tpoic" in (caught.value.hint or "")
    for name in ("--orphan=x", "a..b", ""):
        with pytest.raises(UsageError, match="is no name of a branch"):
            await switched(packs, name)


async def test_a_branch_is_made_where_head_is_and_a_second_time_is_no_change(packs: Place) -> None:
    heads = {name: git(packs / name, "rev-parse", "HEAD") for name in ("a", "b", "pin")}
    git(packs / "b", "branch", "mine")
    report = await switched(packs, "mine", create=True)
    assert statuses(report) == {"a": "created", "b": "branch-exists", "pin": "created"}
    assert report.exit_code == 4
    assert {name: git(packs / name, "rev-parse", "HEAD") for name in heads} == heads
    assert on(packs, "pin") == "mine"
    assert statuses(await switched(packs, "mine", "a", create=True)) == {"a": "unchanged"}


async def test_an_edit_goes_along_where_git_can_carry_it_and_stops_the_pack_where_it_cannot(packs: Place) -> None:
    (packs / "a/g").write_text("mine\n")
    assert statuses(await switched(packs, "topic", "a")) == {"a": "switched"}
    assert (packs / "a/g").read_text() == "mine\n"
    (packs / "a/f").write_text("mine too\n")
    report = await switched(packs, "main", "a")
    assert (statuses(report), report.exit_code) == ({"a": "edits-in-the-way"}, 4)
    assert "touches 'f'" in report.packs[0].text
    assert ((packs / "a/f").read_text(), on(packs, "a")) == ("mine too\n", "topic")
    assert observe(packs / "a").note is None


async def test_a_pack_in_the_middle_of_something_is_left_alone(packs: Place) -> None:
    git(packs / "a", "commit", "--quiet", "--allow-empty", "-m", "mine")
    (packs / "a/.git/MERGE_HEAD").write_text(git(packs / "a", "rev-parse", "HEAD") + "\n")
    assert statuses(await switched(packs, "topic", "a")) == {"a": "in-progress"}


async def test_a_sync_leaves_the_user_on_the_branch_that_they_switched_to(packs: Place, server: GitServer) -> None:
    record = observe(packs / "a").record
    await switched(packs, "topic", "a")
    assert observe(packs / "a").record == record
    server.commit("a", {"g": "2\n"})
    assert (await packs.sync("a")).exit_code == 0
    assert on(packs, "a") == "topic"


async def test_what_a_dead_run_left_is_mended_before_the_branch_changes(packs: Place) -> None:
    state = observe(packs / "a")
    assert state.git_dir is not None
    write_note(state.git_dir, MoveNote("checkout", "a", state.head_sha, state.head_sha, "main", was_clean=True))
    report = await switched(packs, "topic", "a")
    assert report.packs[0].notes == ("recovered from an interrupted run",)
    assert observe(packs / "a").note is None


async def test_a_branch_follows_its_remote_also_where_a_kill_came_in_between(packs: Place) -> None:
    before = observe(packs / "a")
    await switched(packs, "topic", "a")
    git(packs / "a", "branch", "--quiet", "--unset-upstream")
    state = observe(packs / "a")
    assert state.git_dir is not None
    write_note(state.git_dir, MoveNote("checkout", "a", before.head_sha, state.head_sha, "topic", was_clean=True))
    assert statuses(await switched(packs, "topic", "a")) == {"a": "unchanged"}
    assert git(packs / "a", "rev-parse", "--abbrev-ref", "topic@{upstream}") == "origin/topic"


async def test_a_dry_run_of_a_switch_takes_no_lock_and_moves_nothing(packs: Place) -> None:
    with LockHolder("pack", packs / "a") as holder:
        assert holder.ask("take") == "held"
        assert statuses(await switched(packs, "topic", dry_run=True)) == {
            "a": "planned",
            "b": "no-branch",
            "pin": "no-branch",
        }
    assert on(packs, "a") == "main"


# -- fetch -------------------------------------------------------------------------------------------------------------


async def test_a_fetch_tells_what_is_new_on_every_branch_and_moves_no_checkout(packs: Place, server: GitServer) -> None:
    head = git(packs / "a", "rev-parse", "HEAD")
    for number in range(2):
        server.commit("a", {"g": f"{number}\n"}, branch="main")
    server.commit("a", {"f": "rewritten\n"}, branch="topic", amend=True)
    server.commit("a", {"f": "new\n"}, branch="other")
    git(server.work("a"), "push", "--quiet", "origin", "main:gone")
    await fetched(packs, "a")
    git(server.work("a"), "push", "--quiet", "origin", ":gone")
    server.commit("a", {"g": "3\n"}, branch="main")
    report = await fetched(packs)
    assert statuses(report) == {"a": "fetched", "b": "unchanged", "pin": "unchanged"}
    assert report.packs[0].text == "1 commit on main"
    assert git(packs / "a", "rev-parse", "HEAD") == head
    assert git(packs / "a", "rev-parse", "--verify", "origin/gone"), "nothing is pruned"
    assert report.exit_code == 0


async def test_a_rewritten_and_a_new_branch_are_told_as_such(packs: Place, server: GitServer) -> None:
    server.commit("a", {"f": "rewritten\n"}, branch="topic", amend=True)
    server.commit("a", {"f": "new\n"}, branch="other", start="main")
    report = await fetched(packs, "a")
    assert report.packs[0].text == "new branch other; topic was rewritten, 1 commit new"
    assert [(one.branch, one.is_rewritten) for one in report.packs[0].news] == [("other", False), ("topic", True)]


async def test_a_remote_that_is_away_fails_its_pack_and_no_other(packs: Place, server: GitServer) -> None:
    server.path("a").rename(server.root / "away")
    report = await fetched(packs, "a", "b")
    assert statuses(report) == {"a": "pack.fetch", "b": "unchanged"}
    assert report.exit_code == 4


# -- push --------------------------------------------------------------------------------------------------------------


def commit(place: Place, name: str, text: str = "mine") -> str:
    git(place / name, "commit", "--quiet", "--allow-empty", "-m", text)
    return git(place / name, "rev-parse", "HEAD")


async def test_what_is_ahead_is_sent_and_nothing_else(packs: Place, server: GitServer) -> None:
    before = git(server.path("b"), "rev-parse", "main")
    new = commit(packs, "a")
    dry = await pushed(packs, dry_run=True)
    assert statuses(dry) == {"a": "planned", "b": "unchanged", "pin": "unchanged"}
    assert [(one.sha, one.subject) for one in dry.packs[0].commits] == [(new, "mine")]
    assert git(server.path("a"), "rev-parse", "main") != new
    report = await pushed(packs)
    assert (statuses(report), report.exit_code) == ({"a": "pushed", "b": "unchanged", "pin": "unchanged"}, 0)
    assert git(server.path("a"), "rev-parse", "main") == new
    assert git(server.path("b"), "rev-parse", "main") == before
    assert statuses(await pushed(packs)) == {"a": "unchanged", "b": "unchanged", "pin": "unchanged"}


async def test_commits_with_nowhere_to_go_are_told_with_what_to_do(packs: Place) -> None:
    git(packs / "a", "switch", "--quiet", "-c", "mine")
    commit(packs, "a")
    commit(packs, "pin")
    report = await pushed(packs)
    assert statuses(report) == {"a": "no-upstream", "b": "unchanged", "pin": "detached"}
    assert report.exit_code == 4
    hints = {pack.path: pack.hint or "" for pack in report.packs}
    assert "`grex push -u a`" in hints["a"]
    assert "grex switch -c NAME pin" in hints["pin"]


async def test_a_new_branch_is_sent_and_followed_where_that_is_asked_for(packs: Place, server: GitServer) -> None:
    await switched(packs, "mine", "a", "b", create=True)
    new = commit(packs, "a")
    dry = await push(PushRequest(root=packs.root, set_upstream=True, dry_run=True), packs.settings())
    assert statuses(dry) == {"a": "planned", "b": "unchanged", "pin": "unchanged"}
    assert [one.sha for one in dry.packs[0].commits] == [new]
    report = await push(PushRequest(root=packs.root, set_upstream=True), packs.settings())
    assert (statuses(report), report.exit_code) == ({"a": "pushed", "b": "unchanged", "pin": "unchanged"}, 0)
    assert report.packs[0].text == "1 commit of mine to origin/mine, which it follows now"
    assert git(server.path("a"), "rev-parse", "mine") == new
    assert git(packs / "a", "rev-parse", "--abbrev-ref", "mine@{upstream}") == "origin/mine"
    commit(packs, "a", "more")
    assert statuses(await pushed(packs, "a")) == {"a": "pushed"}


async def test_a_shallow_clone_follows_a_branch_that_it_has_sent(packs: Place, server: GitServer) -> None:
    packs.declare({"url": server.url("a"), "path": "shallow", "depth": 1})
    assert (await packs.sync()).exit_code == 0
    await switched(packs, "mine", "shallow", create=True)
    new = commit(packs, "shallow")
    await push(PushRequest(root=packs.root, packs=("shallow",), set_upstream=True), packs.settings())
    assert git(packs / "shallow", "rev-parse", "mine@{upstream}") == new
    theirs = server.commit("a", {"f": "theirs\n"}, branch="mine")
    git(packs / "shallow", "fetch", "--quiet")
    assert git(packs / "shallow", "rev-parse", "mine@{upstream}") == theirs


async def test_a_new_upstream_that_is_refused_is_not_followed(packs: Place, server: GitServer) -> None:
    """The remote has such a branch by now, of somebody else; and without a remote there is nowhere to go."""
    await switched(packs, "mine", "a", "b", create=True)
    commit(packs, "a")
    commit(packs, "b")
    server.commit("a", {"f": "theirs\n"}, branch="mine")
    git(packs / "b", "remote", "rename", "origin", "elsewhere")
    report = await push(PushRequest(root=packs.root, set_upstream=True), packs.settings())
    assert statuses(report) == {"a": "pack.push", "b": "no-remote", "pin": "unchanged"}
    assert git(packs / "a", "config", "--get", "branch.mine.merge", check=False) == ""
    assert "git -C b remote add origin URL" in (report.packs[1].hint or "")


async def test_a_push_never_forces(packs: Place, server: GitServer) -> None:
    """Neither where the last fetch knew of the other's commits nor where only the remote does."""
    commit(packs, "a")
    theirs = server.commit("a", {"g": "theirs\n"}, branch="main")
    report = await pushed(packs, "a")
    assert statuses(report) == {"a": "pack.push"}
    assert "rejected" in report.packs[0].text
    assert report.packs[0].hint
    await fetched(packs, "a")
    assert statuses(await pushed(packs, "a")) == {"a": "diverged"}
    assert git(server.path("a"), "rev-parse", "main") == theirs
    assert observe(packs / "a").note is None


async def test_a_pack_that_somebody_holds_is_not_pushed_and_one_with_nothing_to_push_is_not_waited_for(
    packs: Place,
) -> None:
    commit(packs, "a")
    with LockHolder("pack", packs / "a") as one, LockHolder("pack", packs / "b") as two:
        assert one.ask("take") == two.ask("take") == "held"
        assert statuses(await pushed(packs, no_wait=True)) == {"a": "lock.busy", "b": "unchanged", "pin": "unchanged"}


def hook(place: Place, name: str, script: str) -> None:
    path = place / name / ".git/hooks/pre-push"
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


async def test_what_a_pre_push_hook_sends_is_there_before_the_commit_is(packs: Place, server: GitServer) -> None:
    """git-lfs sends its objects there: without it, others would get a commit whose files are nowhere."""
    new = commit(packs, "a")
    sent = packs.root / "sent"
    look = f"git -C {server.path('a')} rev-parse main; echo $GREX_HELD; echo $1; cat; git diff --stat -- '*.c'"
    hook(packs, "a", f"{{ {look}; }} > {sent}; echo hello >&2; echo out; echo 'To me'")
    old = git(server.path("a"), "rev-parse", "main")
    assert statuses(await pushed(packs, environ={**packs.defaults.environ, "GREX_TRUST": "x"}))["a"] == "pushed"
    before, held, remote, refs = sent.read_text().splitlines()
    assert (before, remote, refs) == (old, "origin", f"refs/heads/main {new} refs/heads/main {old}")
    assert str(packs / "a") in held
    said = [(one.pack, one.line) for one in packs.seen.events if isinstance(one, CommandOutput)]
    assert said == [("a", "hello"), ("a", "out")]


async def test_a_pre_push_hook_that_refuses_keeps_everything_here_and_says_why(packs: Place, server: GitServer) -> None:
    commit(packs, "a")
    old = git(server.path("a"), "rev-parse", "main")
    hook(packs, "a", "echo 'lint: line 3 is too long'; printf '!\\tx\\ty\\n' >/dev/null; exit 3")
    report = await pushed(packs)
    assert (statuses(report)["a"], report.exit_code) == ("pack.push-hook", 4)
    assert report.packs[0].text.endswith("its pre-push hook refused or failed: lint: line 3 is too long")
    assert str(packs / "a/.git/hooks/pre-push") in (report.packs[0].hint or "")
    assert git(server.path("a"), "rev-parse", "main") == old
    assert observe(packs / "a").note is None
    git(packs / "a", "config", "core.hooksPath", "elsewhere")
    assert statuses(await pushed(packs))["a"] == "pushed"  # as the user says where hooks are


async def test_a_cancelled_push_ends_its_hook(packs: Place, server: GitServer, tmp_path: Path) -> None:
    commit(packs, "a")
    started, alive = tmp_path / "started", tmp_path / "alive"
    os.mkfifo(started)
    os.mkfifo(alive)
    hook(packs, "a", f"exec 3<>{alive}; echo > {started}; exec sleep 1000")
    reader = os.open(alive, os.O_RDONLY | os.O_NONBLOCK)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(pushed, packs, "a")
        await anyio.to_thread.run_sync(started.read_text)
        tasks.cancel_scope.cancel()
    assert os.read(reader, 1) == b""  # at its end: nobody has it open for writing any more
    os.close(reader)
    assert git(server.path("a"), "rev-parse", "main") != git(packs / "a", "rev-parse", "HEAD")


async def test_a_filter_chooses_for_each_of_them(packs: Place) -> None:
    settings, only = packs.settings(), ("[ab]", "nothing")
    assert set(statuses(await fetch(FetchRequest(root=packs.root, filters=only), settings))) == {"a", "b"}
    assert set(statuses(await push(PushRequest(root=packs.root, filters=only), settings))) == {"a", "b"}
    request = SwitchRequest(root=packs.root, filters=("b", "pin"), branch="main")
    assert statuses(await switch(request, settings)) == {"b": "unchanged", "pin": "switched"}


# -- path --------------------------------------------------------------------------------------------------------------


async def where(place: Place, name: str | None) -> PathReport:
    return await path(PathRequest(place.root, name), place.settings())


async def test_a_path_is_absolute_and_of_the_workspace_without_a_pack(place: Place) -> None:
    place.declare({"url": "https://host.example/x", "path": "libs/x"})
    assert (await where(place, None)).path == place.root
    assert (await where(place, ".")).path == place.root
    assert (await where(place, "x")).path == place.root / "libs/x"
    assert (await where(place, "libs/x/")).to_json()["present"] is False


async def test_an_unknown_pack_is_told_with_the_closest_name(place: Place) -> None:
    place.declare({"url": "https://host.example/tools"})
    with pytest.raises(UsageError) as caught:
        await where(place, "tolos")
    assert caught.value.hint == "Did you mean 'tools'?"
