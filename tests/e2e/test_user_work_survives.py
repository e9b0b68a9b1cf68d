"""The user's work against the sync: three syncs in a row, with news upstream before the first and before the third.

Every scene is one pack of one of two workspaces, so that each scene also shows that the packs around it get done in
the same run. In the first workspace every pack can be brought, or has nothing to be brought to: exit 0. In the second
every pack has to move and must not be touched: exit 4. Whatever the scene, after each sync:

- each file that is not simply as committed (edited, staged, untracked, ignored) has the same bytes and mode;
- each commit that some branch, tag, stash or HEAD led to is still led to, by a ref and not by a reflog alone;
- what the index had staged is staged, what was begun (a rebase, ...) is still under way;
- a pack that was left alone is the same to the byte: files, index, HEAD, refs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest

from tests.support.git_server import GitServer, git
from tests.support.workspace import Run, Workspace, pack_yaml

pytestmark = pytest.mark.slow  # whole runs of the program; what they show in small is shown below

Arrange = Callable[[Path, GitServer], None]
Place = Literal["brought", "left"]

_FIRST = {
    "touched.txt": "one\n",
    "quiet.txt": "quiet\n",
    "gone.txt": "here\n",
    "sub/gone.txt": "here\n",
    ".gitignore": "*.ignored\nbuild/\ncache/\n",
}
_NEWS = {
    "touched.txt": "two\n",
    "gone.txt": None,
    "sub/gone.txt": None,
    "new.txt": "new\n",
    "new.ignored": "tracked though ignored\n",
    "cache": "a file where an ignored directory may be\n",
}
_MORE_NEWS = {"touched.txt": "three\n"}


@dataclass(frozen=True)
class Scene:
    """One situation: how it comes about, and what a sync is to say about it.

    Attributes:
        name: a sentence.
        arrange: does the user's work in the pack's directory, after the first sync.
        status: what the first sync with news reports, and `again` the second one, which finds none.
        code: the stable reason.
        says: a part of the text or of a note.
        upstream: the repository: `moving` gets news, `still` does not.
        ref: the declared ref.
        first: whether the user was there before grex: nothing is cloned before `arrange`.
    """

    name: str
    arrange: Arrange
    status: str
    again: str
    code: str | None
    says: str
    upstream: str
    ref: str | None
    first: bool

    @property
    def path(self) -> str:
        return self.name.replace("_", "-")


_SCENES: dict[Place, list[Scene]] = {"brought": [], "left": []}


def brought(
    status: str, says: str = "", *, upstream: str = "moving", ref: str | None = None
) -> Callable[[Arrange], Arrange]:
    """A scene in which nothing has to move, or all of it can."""

    def register(arrange: Arrange) -> Arrange:
        _SCENES["brought"].append(
            Scene(arrange.__name__, arrange, status, "unchanged", None, says, upstream, ref, first=False)
        )
        return arrange

    return register


def left(
    code: str, says: str, *, upstream: str = "moving", ref: str | None = None, first: bool = False
) -> Callable[[Arrange], Arrange]:
    """A scene in which a pack had to move and must be left alone."""

    def register(arrange: Arrange) -> Arrange:
        _SCENES["left"].append(Scene(arrange.__name__, arrange, "left", "left", code, says, upstream, ref, first))
        return arrange

    return register


def _commit(pack: Path, file: str = "mine.txt", text: str = "mine\n") -> str:
    (pack / file).write_text(text)
    git(pack, "add", "--", file)
    git(pack, "commit", "--quiet", "-m", f"my {file}")
    return git(pack, "rev-parse", "HEAD")


# -- brought: exit 0 --------------------------------------------------------------------------------------------------


@brought("moved", "quiet.txt")
def edits_that_nothing_incoming_touches(pack: Path, _: GitServer) -> None:
    (pack / "quiet.txt").write_text("edited\n")
    (pack / ".gitignore").chmod(0o755)


@brought("moved", "staged.txt")
def staged_changes_that_nothing_incoming_touches(pack: Path, _: GitServer) -> None:
    (pack / "quiet.txt").write_text("staged\n")
    (pack / "staged.txt").write_text("new and staged\n")
    git(pack, "add", "--all")
    (pack / "staged.txt").write_text("and edited again\n")


@brought("moved")
def untracked_and_ignored_files(pack: Path, _: GitServer) -> None:
    (pack / "notes.txt").write_text("untracked\n")
    (pack / "sub/notes.txt").write_text("in a directory that goes away upstream\n")
    (pack / "build").mkdir()
    (pack / "build/out.o").write_bytes(b"\x00\xff")
    (pack / "own.ignored").write_text("ignored\n")
    (pack / "link").symlink_to("nowhere")


@brought("moved")
def a_repository_of_the_users_inside_the_pack(pack: Path, server: GitServer) -> None:
    git(pack, "clone", "--quiet", server.url("still"), "cloned-by-hand")
    _commit(pack / "cloned-by-hand")


@brought("moved", "quiet.txt")
def a_file_that_is_deleted_but_not_upstream(pack: Path, _: GitServer) -> None:
    (pack / "quiet.txt").unlink()


@brought("moved")
def a_stash(pack: Path, _: GitServer) -> None:
    (pack / "touched.txt").write_text("stashed\n")
    (pack / "untracked.txt").write_text("stashed too\n")
    git(pack, "stash", "push", "--quiet", "--include-untracked")


@brought("unchanged", "local commits that are not pushed", upstream="still")
def unpushed_commits(pack: Path, _: GitServer) -> None:
    _commit(pack)


@brought("unchanged", "quiet.txt, touched.txt", upstream="still")
def edits_where_nothing_comes_in(pack: Path, _: GitServer) -> None:
    (pack / "touched.txt").write_text("edited\n")
    (pack / "quiet.txt").write_text("staged\n")
    git(pack, "add", "quiet.txt")
    (pack / "notes.txt").write_text("untracked\n")


@brought("unchanged", "on branch feature, not on main; HEAD was left there")
def another_branch_with_own_commits(pack: Path, _: GitServer) -> None:
    git(pack, "switch", "--quiet", "-c", "feature")
    _commit(pack)
    (pack / "touched.txt").write_text("edited on the branch\n")


@brought("unchanged", "on branch orphan, not on main; HEAD was left there")
def a_branch_that_has_no_commit_yet(pack: Path, _: GitServer) -> None:
    git(pack, "checkout", "--quiet", "--orphan", "orphan")


@brought("moved")
def a_detached_head_without_own_commits(pack: Path, _: GitServer) -> None:
    git(pack, "checkout", "--quiet", "--detach", "HEAD~1")
    (pack / "notes.txt").write_text("untracked\n")


@brought("moved")
def a_detached_head_whose_commits_are_on_a_branch(pack: Path, _: GitServer) -> None:
    git(pack, "checkout", "--quiet", "--detach")
    _commit(pack)
    git(pack, "branch", "kept")


@brought("unchanged", "HEAD is detached, and main has local commits", upstream="still")
def a_detached_head_before_unpushed_commits(pack: Path, _: GitServer) -> None:
    _commit(pack)
    git(pack, "checkout", "--quiet", "--detach", "HEAD~1")


@brought("unchanged", "on branch feature, not on", upstream="still", ref="v1")
def a_branch_begun_at_a_pinned_tag(pack: Path, _: GitServer) -> None:
    git(pack, "switch", "--quiet", "-c", "feature")
    _commit(pack)


@brought("unchanged", "a rebase is in progress", upstream="still")
def a_rebase_in_progress_where_nothing_comes_in(pack: Path, _: GitServer) -> None:
    _begin_rebase(pack)


@brought("unchanged", "a merge is in progress", upstream="still")
def a_merge_in_progress_where_nothing_comes_in(pack: Path, _: GitServer) -> None:
    _begin_merge(pack)


@brought("unchanged", "a cherry-pick is in progress", upstream="still")
def a_cherry_pick_in_progress_where_nothing_comes_in(pack: Path, _: GitServer) -> None:
    _begin_cherry_pick(pack)


@brought("unchanged", "a revert is in progress", upstream="still")
def a_revert_in_progress_where_nothing_comes_in(pack: Path, _: GitServer) -> None:
    _commit(pack, "quiet.txt", "mine\n")
    _commit(pack, "quiet.txt", "mine again\n")
    git(pack, "revert", "--no-edit", "HEAD~1", check=False)


@brought("unchanged", "a bisect is in progress", upstream="still")
def a_bisect_in_progress_where_nothing_comes_in(pack: Path, _: GitServer) -> None:
    _begin_bisect(pack)


@brought("moved", "quiet.txt")
def a_symlink_to_a_checkout_elsewhere(pack: Path, _: GitServer) -> None:
    elsewhere = pack.parent.parent / "elsewhere" / "real"
    elsewhere.parent.mkdir(exist_ok=True)
    pack.rename(elsewhere)
    pack.symlink_to(elsewhere)
    (pack / "quiet.txt").write_text("edited behind the link\n")


# -- left alone: exit 4 -----------------------------------------------------------------------------------------------


@left("edits-in-the-way", "touched.txt")
def edits_that_the_incoming_commit_touches(pack: Path, _: GitServer) -> None:
    (pack / "touched.txt").write_text("edited\n")


@left("edits-in-the-way", "touched.txt")
def staged_changes_that_the_incoming_commit_touches(pack: Path, _: GitServer) -> None:
    (pack / "touched.txt").write_text("staged\n")
    git(pack, "add", "touched.txt")


@left("edits-in-the-way", "gone.txt")
def edits_of_a_file_that_is_deleted_upstream(pack: Path, _: GitServer) -> None:
    (pack / "gone.txt").write_text("edited\n")


@left("edits-in-the-way", "touched.txt")
def a_staged_deletion_of_a_file_that_changed_upstream(pack: Path, _: GitServer) -> None:
    git(pack, "rm", "--quiet", "touched.txt")


@left("edits-in-the-way", "touched.txt")
def edits_that_git_was_told_not_to_look_at(pack: Path, _: GitServer) -> None:
    git(pack, "update-index", "--assume-unchanged", "touched.txt")
    (pack / "touched.txt").write_text("edited in hiding\n")


@left("edits-in-the-way", "touched.txt")
def edits_that_git_was_told_to_leave_out_of_the_work_tree(pack: Path, _: GitServer) -> None:
    git(pack, "update-index", "--skip-worktree", "touched.txt")
    (pack / "touched.txt").write_text("edited in hiding\n")


@left("edits-in-the-way", "touched.txt")
def a_link_in_place_of_a_file_that_changed_upstream(pack: Path, _: GitServer) -> None:
    (pack / "touched.txt").unlink()
    (pack / "touched.txt").symlink_to("quiet.txt")


@left("edits-in-the-way", "cache")
def an_ignored_directory_where_a_file_comes_in(pack: Path, _: GitServer) -> None:
    (pack / "cache").mkdir()
    (pack / "cache/result").write_text("took a night to compute\n")


@left("edits-in-the-way", "new.txt")
def a_file_that_is_only_meant_to_be_added(pack: Path, _: GitServer) -> None:
    (pack / "new.txt").write_text("mine\n")
    git(pack, "add", "--intent-to-add", "new.txt")


@left("edits-in-the-way", "new.txt")
def an_untracked_file_that_comes_in(pack: Path, _: GitServer) -> None:
    (pack / "new.txt").write_text("mine\n")


@left("edits-in-the-way", "new.ignored")
def an_ignored_file_that_comes_in(pack: Path, _: GitServer) -> None:
    (pack / "new.ignored").write_text("mine\n")


@left("edits-in-the-way", "new.txt")
def an_untracked_directory_where_a_file_comes_in(pack: Path, _: GitServer) -> None:
    (pack / "new.txt").mkdir()
    (pack / "new.txt/mine").write_text("mine\n")


@left("checkout-refused", "index")
def a_conflict_of_a_stash(pack: Path, _: GitServer) -> None:
    (pack / "quiet.txt").write_text("stashed\n")
    git(pack, "stash", "push", "--quiet")
    git(pack, "switch", "--quiet", "-c", "aside")
    _commit(pack, "quiet.txt", "aside\n")
    git(pack, "stash", "pop", check=False)
    git(pack, "symbolic-ref", "HEAD", "refs/heads/main")
    assert "UU quiet.txt" in git(pack, "status", "--porcelain")


@left("diverged", "have diverged")
def a_diverged_branch(pack: Path, _: GitServer) -> None:
    _commit(pack)


@left("diverged", "have diverged")
def a_diverged_branch_while_head_is_detached_before_it(pack: Path, _: GitServer) -> None:
    _commit(pack)
    git(pack, "checkout", "--quiet", "--detach", "HEAD~1")


@left("branch-ahead", "has commits of its own", upstream="still")
def commits_on_the_branch_while_head_is_detached_before_the_wanted_commit(pack: Path, _: GitServer) -> None:
    _commit(pack)
    git(pack, "checkout", "--quiet", "--detach", "HEAD~2")


@left("detached-with-commits", "commits that are on no branch")
def a_detached_head_with_own_commits(pack: Path, _: GitServer) -> None:
    git(pack, "checkout", "--quiet", "--detach")
    _commit(pack)


@left("detached-with-commits", "commits that are on no branch", upstream="still", ref="v1")
def own_commits_on_a_pinned_tag(pack: Path, _: GitServer) -> None:
    _commit(pack)


@left("operation-in-progress", "a rebase is in progress")
def a_rebase_in_progress(pack: Path, _: GitServer) -> None:
    _begin_rebase(pack)


@left("operation-in-progress", "a merge is in progress")
def a_merge_in_progress(pack: Path, _: GitServer) -> None:
    _begin_merge(pack)


@left("operation-in-progress", "a cherry-pick is in progress")
def a_cherry_pick_in_progress(pack: Path, _: GitServer) -> None:
    _begin_cherry_pick(pack)


@left("operation-in-progress", "a bisect is in progress")
def a_bisect_in_progress(pack: Path, _: GitServer) -> None:
    _begin_bisect(pack)


@left("directory-in-the-way", "a directory that is not a git repository", first=True)
def a_plain_directory_where_a_pack_should_be(pack: Path, _: GitServer) -> None:
    pack.mkdir()
    (pack / "thesis.txt").write_text("unsaved anywhere else\n")


@left("directory-in-the-way", "a directory that is not a git repository", first=True)
def a_symlink_to_a_plain_directory(pack: Path, _: GitServer) -> None:
    elsewhere = pack.parent.parent / "elsewhere" / "plain"
    elsewhere.mkdir(parents=True)
    (elsewhere / "thesis.txt").write_text("unsaved anywhere else\n")
    pack.symlink_to(elsewhere)


@left("file-in-the-way", "something that is not a directory", first=True)
def a_file_where_a_pack_should_be(pack: Path, _: GitServer) -> None:
    pack.write_text("unsaved anywhere else\n")


@left("file-in-the-way", "something that is not a directory", first=True)
def a_symlink_that_leads_nowhere(pack: Path, _: GitServer) -> None:
    pack.symlink_to("no/such/place")


@left("different-repository", "of another repository", first=True)
def a_different_repository_in_the_way(pack: Path, server: GitServer) -> None:
    git(pack.parent, "clone", "--quiet", server.url("still"), str(pack))
    _commit(pack)


@left("different-repository", "of another repository", first=True)
def a_repository_without_a_remote_in_the_way(pack: Path, _: GitServer) -> None:
    git(pack.parent, "init", "--quiet", "--initial-branch=main", str(pack))
    _commit(pack)


def _begin_rebase(pack: Path) -> None:
    git(pack, "branch", "base")
    _commit(pack, "quiet.txt", "mine\n")
    git(pack, "switch", "--quiet", "-c", "onto", "base")
    _commit(pack, "quiet.txt", "other\n")
    git(pack, "switch", "--quiet", "main")
    git(pack, "rebase", "onto", check=False)
    assert (pack / ".git/rebase-merge").is_dir()


def _begin_merge(pack: Path) -> None:
    git(pack, "switch", "--quiet", "-c", "side")
    _commit(pack)
    git(pack, "switch", "--quiet", "main")
    git(pack, "merge", "--quiet", "--no-ff", "--no-commit", "side")
    assert (pack / ".git/MERGE_HEAD").is_file()


def _begin_cherry_pick(pack: Path) -> None:
    git(pack, "switch", "--quiet", "-c", "side")
    _commit(pack, "quiet.txt", "side\n")
    tip = _commit(pack, "quiet.txt", "side again\n")
    git(pack, "switch", "--quiet", "main")
    git(pack, "cherry-pick", tip, check=False)
    assert (pack / ".git/CHERRY_PICK_HEAD").is_file()


def _begin_bisect(pack: Path) -> None:
    git(pack, "bisect", "start")
    git(pack, "bisect", "bad", "HEAD")
    git(pack, "bisect", "good", "HEAD~2")


# -- the run ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Evidence:
    """What is there of the user's in one pack."""

    files: dict[str, Any]
    own_files: dict[str, Any] = field(default_factory=dict)
    staged: tuple[str, ...] = ()
    index: str = ""
    head: str = ""
    refs: dict[str, str] = field(default_factory=dict)
    commits: frozenset[str] = frozenset()
    operation: tuple[str, ...] = ()


_BEGUN = ("rebase-merge", "MERGE_HEAD", "CHERRY_PICK_HEAD", "REVERT_HEAD", "BISECT_LOG", "BISECT_START", "MERGE_MSG")


def _evidence(pack: Path) -> Evidence:
    files = _files(pack)
    if not (pack / ".git").is_dir():
        return Evidence(files)
    work = git(pack, "status", "--porcelain", "--ignored", "-uall", "-z", "--no-renames").split("\0")
    own = {entry[3:].rstrip("/") for entry in work if entry}
    refs = dict(line.split() for line in git(pack, "for-each-ref", "--format=%(refname) %(objectname)").splitlines())
    refs = {name: sha for name, sha in refs.items() if not name.startswith(("refs/remotes/", "refs/grex/"))}
    refs |= {f"stash {line}": "" for line in git(pack, "stash", "list", "--format=%gd %H").splitlines()}
    head = git(pack, "rev-parse", "--verify", "--quiet", "HEAD", check=False)
    reachable = git(pack, "rev-list", "--branches", "--tags", "--glob=refs/stash", *([head] if head else []))
    return Evidence(
        files,
        own_files={path: files[path] for path in own if path in files},
        staged=tuple(sorted(git(pack, "diff", "--cached", "--raw", "--no-renames", "--abbrev=40").splitlines())),
        index=git(pack, "ls-files", "--stage", "-v"),
        head=git(pack, "symbolic-ref", "--quiet", "HEAD", check=False) or head,
        refs=refs,
        commits=frozenset(reachable.splitlines()),
        operation=tuple(name for name in _BEGUN if (pack / ".git" / name).exists()),
    )


def _files(pack: Path) -> dict[str, Any]:
    """Mode and content of every file, the link itself included where a link is."""
    found: dict[str, Any] = {}
    for path in [pack, *pack.rglob("*")]:
        name = path.relative_to(pack).as_posix()
        if name == ".git" or name.startswith(".git/") or path.name == ".grex-lock":
            continue
        if path.is_symlink():
            found[name] = ("link", str(path.readlink()))
        elif path.is_file():
            found[name] = (path.stat().st_mode, path.read_bytes())
    return found


@dataclass(frozen=True)
class Play:
    """One workspace after its three syncs."""

    workspace: Workspace
    tips: list[str]
    runs: list[Run]
    before: dict[str, Evidence]
    after: list[dict[str, Evidence]]


def _play(base: Path, scenes: list[Scene], *, exit_code: int) -> Play:
    server = GitServer(base / "upstream")
    for name in ("moving", "still"):
        server.create(name, _FIRST)
        server.commit(name, {"history.txt": "second\n"})
        server.commit(name, {"history.txt": "third\n"})
    server.tag("still", "v1", annotated=True)
    server.create("parent", {".grex/pack.yaml": pack_yaml("parent", children=[{"url": server.url("moving")}])})
    workspace = Workspace(base)

    def child(scene: Scene) -> dict[str, str]:
        found = {"url": server.url(scene.upstream), "path": scene.path}
        return found | ({"ref": scene.ref} if scene.ref else {})

    plain = [{"url": server.url("moving"), "path": "aaa"}, {"url": server.url("moving"), "path": "zzz"}]
    plain += [{"url": server.url("parent"), "path": "one"}, {"url": server.url("parent"), "path": "two"}]
    workspace.declare(*plain, *(child(scene) for scene in scenes if not scene.first))
    workspace.sync()
    for scene in scenes:
        scene.arrange(workspace / scene.path, server)
    (workspace / "one/moving/quiet.txt").write_text("edited in the first of two packs of one name\n")
    (workspace / "elsewhere").mkdir(exist_ok=True)
    (workspace / "elsewhere/moving").mkdir()
    (workspace / "elsewhere/moving/mine.txt").write_text("a plain directory with a pack's name\n")
    workspace.declare(*plain, *map(child, scenes))
    before = {scene.path: _evidence(workspace / scene.path) for scene in scenes}
    tips, runs, after = [], [], []
    tips.append(server.commit("moving", _NEWS))
    for number in range(3):
        if number == 2:
            tips.append(server.commit("moving", _MORE_NEWS))
        runs.append(workspace.sync(expect=exit_code))
        after.append({scene.path: _evidence(workspace / scene.path) for scene in scenes})
    return Play(workspace, tips, runs, before, after)


@pytest.fixture(scope="module")
def environment() -> Iterator[None]:
    """What `quiet_environment` does for one test, for the plays that all tests look at."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
        patch.setenv("GIT_CONFIG_SYSTEM", "/dev/null")
        for role in ("AUTHOR", "COMMITTER"):
            patch.setenv(f"GIT_{role}_NAME", "Test")
            patch.setenv(f"GIT_{role}_EMAIL", "test@example.invalid")
        yield


@pytest.fixture(scope="module")
def brought_play(environment: None, tmp_path_factory: pytest.TempPathFactory) -> Play:
    """The workspace in which everything can be brought."""
    return _play(tmp_path_factory.mktemp("brought"), _SCENES["brought"], exit_code=0)


@pytest.fixture(scope="module")
def left_play(environment: None, tmp_path_factory: pytest.TempPathFactory) -> Play:
    """The workspace in which every scene is left alone."""
    return _play(tmp_path_factory.mktemp("left"), _SCENES["left"], exit_code=4)


def _named(place: Place) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("scene", _SCENES[place], ids=[scene.name for scene in _SCENES[place]])


@_named("brought")
def test_work_survives_where_a_pack_is_brought(scene: Scene, brought_play: Play) -> None:
    before = brought_play.before[scene.path]
    for now in (after[scene.path] for after in brought_play.after):
        assert {path: now.files.get(path) for path in before.own_files} == before.own_files
        assert now.commits >= before.commits
        assert now.staged == before.staged
        assert now.operation == before.operation
        own = {name: sha for name, sha in before.refs.items() if name != "refs/heads/main"}
        assert {name: now.refs.get(name) for name in own} == own
        if scene.status == "unchanged":
            assert now.head == before.head
            assert now.files == before.files
        else:
            assert now.head == "refs/heads/main"


@_named("brought")
def test_the_report_says_what_was_kept(scene: Scene, brought_play: Play) -> None:
    for number, run in enumerate(brought_play.runs):
        pack = run.packs[scene.path]
        assert pack["status"] == (scene.again if number == 1 else scene.status), pack
        assert pack["error"] is None
        assert scene.says in "; ".join(pack["notes"]), pack


@pytest.mark.parametrize(
    "scene", [pytest.param(scene, id=scene.name) for scene in _SCENES["brought"] if scene.upstream == "moving"]
)
def test_the_declared_branch_follows_even_where_head_stays(scene: Scene, brought_play: Play) -> None:
    assert brought_play.after[0][scene.path].refs["refs/heads/main"] == brought_play.tips[0]
    assert brought_play.after[2][scene.path].refs["refs/heads/main"] == brought_play.tips[1]


@_named("left")
def test_a_pack_that_is_left_alone_stays_the_same_to_the_byte(scene: Scene, left_play: Play) -> None:
    for after in left_play.after:
        assert after[scene.path] == left_play.before[scene.path]


@_named("left")
def test_the_report_says_what_was_left_and_why(scene: Scene, left_play: Play) -> None:
    for run in left_play.runs:
        pack = run.packs[scene.path]
        assert (pack["status"], pack["code"]) == ("left", scene.code), pack
        assert scene.says in pack["text"], pack
        assert pack["hint"], pack
        assert pack["error"]["exit_code"] == 4
        assert pack["error"]["details"]["reason"] == scene.code


@pytest.mark.parametrize("play", ["brought_play", "left_play"])
def test_the_packs_around_get_done_in_the_same_run(play: str, request: pytest.FixtureRequest) -> None:
    found: Play = request.getfixturevalue(play)
    for path in ("aaa", "zzz", "one/moving", "two/moving"):
        told = [run.packs[path] for run in found.runs]
        assert [pack["status"] for pack in told] == ["moved", "unchanged", "moved"]
        assert told[0]["new"] == found.tips[0]
        assert told[2]["new"] == found.tips[1]
        assert (found.workspace / path / "touched.txt").read_text() == "three\n"
        assert not (found.workspace / path / "gone.txt").exists()


@pytest.mark.parametrize("play", ["brought_play", "left_play"])
def test_a_packs_name_elsewhere_means_nothing(play: str, request: pytest.FixtureRequest) -> None:
    """Two packs of one name under different parents, and a plain directory of that name."""
    root = request.getfixturevalue(play).workspace.root
    edited = "edited in the first of two packs of one name\n"
    assert (root / "one/moving/quiet.txt").read_text() == edited
    assert (root / "two/moving/quiet.txt").read_text() == "quiet\n"
    kept = root / "elsewhere/moving"
    assert [path.name for path in kept.iterdir()] == ["mine.txt"]
    assert (kept / "mine.txt").read_text() == "a plain directory with a pack's name\n"


def test_nothing_was_put_in_the_trash_or_reset(brought_play: Play, left_play: Play) -> None:
    for play in (brought_play, left_play):
        assert not (play.workspace / ".grex/trash").exists()
        for scene in play.before:
            pack = play.workspace / scene
            if (pack / ".git").is_dir():
                assert git(pack, "for-each-ref", "refs/grex/rescue") == ""
