"""Moving a checkout: edits that are not touched stay, everything else refuses, and the record comes last."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from grex.git import (
    CheckoutRefusedError,
    CheckoutState,
    CompletionRecord,
    Edits,
    GitError,
    check_out,
    edited_paths,
    fetch_branch,
    observe,
    read_note,
    read_record,
)
from tests.git.conftest import Lab
from tests.support.git_server import git

pytestmark = pytest.mark.anyio

FILES = {"a": "a", "b": "b", "dir/c": "c", "gone": "x"}


@pytest.fixture
def pack(lab: Lab) -> Path:
    lab.server.create("x", FILES)
    git(lab.path, "clone", "--quiet", lab.server.url("x"), "pack")
    return lab.path / "pack"


def wanted(sha: str, branch: str | None = "main", **changes: Any) -> CompletionRecord:
    facts: dict[str, Any] = {
        "url": "id", "ref": branch, "kind": "branch" if branch else "sha", "branch": branch, "sha": sha,
        "upstream": branch and f"origin/{branch}",
    }  # fmt: skip
    return CompletionRecord(**{**facts, **changes})


async def moved(lab: Lab, state: CheckoutState, record: CompletionRecord, **options: Any) -> CompletionRecord:
    options = {"was_clean": True, **options}
    return await check_out(lab.runner, state, record, pack="p", backend=lab.backend, **options)


async def fetched(lab: Lab, pack: Path, files: dict[str, str | bytes | Path | None], **options: Any) -> str:
    tip = lab.server.commit("x", files, **options)
    branch = options.get("branch", "main")
    return await fetch_branch(lab.runner, observe(pack), branch, pack="p", backend=lab.backend, timeout_s=60) and tip


async def test_a_branch_is_moved_forward(lab: Lab, pack: Path) -> None:
    tip = await fetched(lab, pack, {"a": "new", "gone": None, "added/d": "d"})
    (pack / "b").write_text("edited")
    (pack / "mine").write_text("untracked")
    lab.commands.clear()
    record = await moved(lab, observe(pack), wanted(tip), was_clean=False)
    assert [command.argv[1] for command in lab.commands] == ["checkout"]
    state = observe(pack)
    assert (state.head_branch, state.head_sha, state.note) == ("main", tip, None)
    assert state.record == record == wanted(tip, tree=git(pack, "rev-parse", "HEAD^{tree}"))
    assert {name: (pack / name).read_text() for name in ("a", "added/d", "b", "mine")} == {
        "a": "new", "added/d": "d", "b": "edited", "mine": "untracked",
    }  # fmt: skip
    assert not (pack / "gone").exists()
    (pack / "b").write_text("b")
    (pack / "mine").unlink()
    assert edited_paths(observe(pack)) == Edits(decided=True)


async def test_what_the_user_has_staged_elsewhere_stays_staged_and_is_not_taken_for_clean(lab: Lab, pack: Path) -> None:
    """A staged change whose tree git happens to have makes the index a valid tree, though not the commit's."""
    tip = await fetched(lab, pack, {"a": "new"})
    git(pack, "fetch", "--quiet")
    lab.server.commit("x", {"b": "staged"})  # so that the tree with both changes is in the repository as well
    git(pack, "fetch", "--quiet")
    (pack / "b").write_text("staged")
    git(pack, "add", "b")
    await moved(lab, observe(pack), wanted(tip), was_clean=False)
    assert git(pack, "status", "--porcelain") == "M  b"
    assert edited_paths(observe(pack)) != Edits(decided=True)


@pytest.mark.parametrize(
    ("path", "staged"), [("a", False), ("a", True), ("gone", False), ("added", False), ("added/d", False)]
)
async def test_work_that_the_new_commit_touches_is_not_overwritten(
    lab: Lab, pack: Path, path: str, staged: bool
) -> None:
    old = observe(pack).head_sha
    tip = await fetched(lab, pack, {"a": "new", "gone": None, "added/d": "d"})
    (pack / path).parent.mkdir(exist_ok=True)
    (pack / path).write_text("mine")
    if staged:
        git(pack, "add", path)
    with pytest.raises(CheckoutRefusedError) as raised:
        await moved(lab, observe(pack), wanted(tip), was_clean=False)
    assert raised.value.paths == (path,)
    assert f"'{path}'" in raised.value.message
    assert (pack / path).read_text() == "mine"
    state = observe(pack)
    assert (state.head_sha, state.note, state.record) == (old, None, None)
    assert (pack / "b").read_text() == "b"


@pytest.mark.parametrize("ignored", ["out.o", "build", "build/deep", "linked"])
async def test_ignored_files_are_not_overwritten_either(lab: Lab, pack: Path, ignored: str) -> None:
    (pack / ".git/info").mkdir(exist_ok=True)
    (pack / ".git/info/exclude").write_text("/out.o\n/build\n/linked\n")
    tip = await fetched(lab, pack, {"out.o": "new", "build/deep": "new", "linked": "new", "c": "new"})
    (pack / ignored).parent.mkdir(exist_ok=True)
    if ignored == "linked":
        (pack / ignored).symlink_to("nowhere")
    else:
        (pack / ignored).write_text("mine")
    before = {path: path.lstat().st_ctime_ns for path in pack.iterdir() if path.name != ".git"}
    with pytest.raises(CheckoutRefusedError):
        await moved(lab, observe(pack), wanted(tip), was_clean=False)
    assert {path: path.lstat().st_ctime_ns for path in pack.iterdir() if path.name != ".git"} == before


async def test_a_directory_of_ignored_files_is_not_replaced_by_a_file(lab: Lab, pack: Path) -> None:
    (pack / ".git/info").mkdir(exist_ok=True)
    (pack / ".git/info/exclude").write_text("/build\n*.o\n")
    (pack / "build").mkdir()
    (pack / "build/mine.o").write_text("mine")
    (pack / "dir/mine.o").write_text("mine")  # in a tracked directory that becomes a file
    tip = await fetched(lab, pack, {"build": "now a file"})
    with pytest.raises(CheckoutRefusedError):
        await moved(lab, observe(pack), wanted(tip))
    lab.server.commit("x", {"build": None, "dir/c": None})
    tip = await fetched(lab, pack, {"dir": "now a file"})
    with pytest.raises(CheckoutRefusedError):
        await moved(lab, observe(pack), wanted(tip))
    assert (pack / "build/mine.o").read_text() == (pack / "dir/mine.o").read_text() == "mine"


async def test_a_commit_that_tracks_the_lock_file_is_refused_by_name(lab: Lab, pack: Path) -> None:
    (pack / ".git/info").mkdir(exist_ok=True)
    (pack / ".git/info/exclude").write_text(".grex-lock\n")
    (pack / ".grex-lock").touch()
    tip = await fetched(lab, pack, {".grex-lock": "evil"})
    with pytest.raises(CheckoutRefusedError, match=r"tracks '\.grex-lock', which is the name of grex's own lock file"):
        await moved(lab, observe(pack), wanted(tip))
    assert (pack / ".grex-lock").read_text() == ""


async def test_a_tag_or_commit_leaves_head_detached(lab: Lab, pack: Path) -> None:
    first = observe(pack).head_sha
    assert first is not None
    tip = await fetched(lab, pack, {"a": "new"})
    await moved(lab, observe(pack), wanted(tip, None))
    state = observe(pack)
    assert (state.head, state.head_sha, state.record) == (
        "detached",
        tip,
        wanted(tip, None, tree=git(pack, "rev-parse", "HEAD^{tree}")),
    )
    await moved(lab, state, wanted(first), expected=first)
    assert (observe(pack).head_branch, observe(pack).head_sha) == ("main", first)


async def test_a_new_branch_gets_its_upstream_and_one_that_has_another_keeps_it(lab: Lab, pack: Path) -> None:
    tip = await fetched(lab, pack, {"a": "new"}, branch="topic")
    record = await moved(lab, observe(pack), wanted(tip, "topic"))
    assert git(pack, "rev-parse", "--abbrev-ref", "topic@{upstream}") == "origin/topic"
    assert record.upstream == "origin/topic"
    git(pack, "branch", "--quiet", "--set-upstream-to=origin/main")
    await moved(lab, observe(pack), wanted(tip, "topic"))
    assert git(pack, "rev-parse", "--abbrev-ref", "topic@{upstream}") == "origin/main"


async def test_an_upstream_that_was_never_fetched_is_not_set(lab: Lab, pack: Path) -> None:
    sha = observe(pack).head_sha
    assert sha is not None
    record = await moved(lab, observe(pack), wanted(sha, "local"))
    assert record.upstream is None


async def test_a_branch_that_moved_since_it_was_looked_at_is_left_alone(lab: Lab, pack: Path) -> None:
    tip = await fetched(lab, pack, {"a": "new"})
    state = observe(pack)
    git(pack, "commit", "--quiet", "--allow-empty", "-m", "mine, just now")
    mine = observe(pack).head_sha
    with pytest.raises(CheckoutRefusedError, match=r"HEAD of .* has moved"):
        await moved(lab, state, wanted(tip))
    git(pack, "checkout", "--quiet", "--detach", tip)
    with pytest.raises(CheckoutRefusedError, match=r"the branch 'main' of .* has moved"):
        await moved(lab, observe(pack), wanted(tip), expected=tip)
    with pytest.raises(CheckoutRefusedError, match=r"the branch 'main' of .* has moved"):
        await moved(lab, observe(pack), wanted(tip))  # expected not to exist
    assert git(pack, "rev-parse", "main") == mine


async def test_a_branch_of_another_work_tree_is_left_alone(lab: Lab, pack: Path) -> None:
    tip = await fetched(lab, pack, {"a": "new"})
    first = observe(pack).head_sha
    git(pack, "worktree", "add", "--quiet", "-b", "side", str(lab.path / "side"))
    with pytest.raises(CheckoutRefusedError, match="worktrees/side"):
        await moved(lab, observe(pack), wanted(tip, "side"), expected=first)
    with pytest.raises(CheckoutRefusedError, match=r"the branch 'main' .* checked out in .*pack/\.git'"):
        await moved(lab, observe(lab.path / "side"), wanted(tip), expected=first)
    assert git(pack, "rev-parse", "main", "side").split() == [first, first]


@pytest.mark.parametrize("begin", ["MERGE_HEAD", "rebase-merge", "BISECT_LOG"])
async def test_what_a_user_has_begun_is_left_alone(lab: Lab, pack: Path, begin: str) -> None:
    tip = await fetched(lab, pack, {"a": "new"})
    state = observe(pack)
    (pack / ".git" / begin).touch()
    with pytest.raises(CheckoutRefusedError, match="is in progress"):
        await moved(lab, state, wanted(tip))


@pytest.mark.parametrize("branch", ["-x", "--orphan=x", "x y", "@"])
async def test_a_branch_name_cannot_be_an_option(lab: Lab, pack: Path, branch: str) -> None:
    state = observe(pack)
    with pytest.raises(GitError, match="the branch name"):
        await moved(lab, state, wanted(str(state.head_sha), branch))
    assert lab.commands == []


async def test_a_failure_that_is_no_refusal_leaves_the_note(lab: Lab, pack: Path) -> None:
    tip = await fetched(lab, pack, {"a": "new"})
    (pack / ".git/index.lock").touch()
    with pytest.raises(GitError, match=r"index\.lock"):
        await moved(lab, observe(pack), wanted(tip))
    note = read_note(pack / ".git")
    assert note is not None
    assert (note.op, note.to_sha, note.branch, note.was_clean) == ("checkout", tip, "main", True)
    assert read_record(pack / ".git") is None


async def test_without_the_lock_no_note_is_written(lab: Lab, pack: Path) -> None:
    state = observe(pack)
    lab.backend.die()
    with pytest.raises(RuntimeError, match="BACKEND"):
        await moved(lab, state, wanted(str(state.head_sha)))
    assert read_note(pack / ".git") is None
