"""What is edited and what is untracked, found without git, against what git finds."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from grex.git import CheckoutState, CompletionRecord, Edits, edited_paths, observe, untracked_hint, write_record
from tests.support.git_server import git

PATHS = ["a", "b", "dir/c", "dir/d", "dir/sub/e", "exec", "other/f", "empty"]


def make(path: Path) -> Path:
    path.mkdir(exist_ok=True)
    git(path, "init", "--quiet", "--initial-branch=main")
    for name in PATHS:
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text("" if name == "empty" else f"{name}\n")
    (path / "exec").chmod(0o755)
    (path / "link").symlink_to("dir/c")
    git(path, "add", "--all")
    git(path, "commit", "--quiet", "-m", "one")
    settle(path)
    return path


def settle(path: Path) -> None:
    """Record the checkout as finished, and make every file older than the index."""
    long_ago = 1_000_000_000
    for name in git(path, "ls-files", "-z").split("\0")[:-1]:
        if (path / name).is_file():
            os.utime(path / name, (long_ago, long_ago), follow_symlinks=False)
    git(path, "update-index", "-q", "--refresh")
    sha, tree = git(path, "rev-parse", "HEAD", "HEAD^{tree}").split()
    write_record(path / ".git", CompletionRecord("id", None, "branch", "main", sha, None, tree))


def state_of(path: Path) -> CheckoutState:
    state = observe(path)
    assert state.kind == "checkout"
    return state


def edited_by_git(path: Path) -> set[str]:
    lines = git(path, "--no-optional-locks", "status", "--porcelain", "-z", "--untracked-files=no", "--no-renames")
    return {line[3:] for line in lines.split("\0")[:-1]}


def test_a_fresh_checkout_is_clean_without_reading_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path)
    state = state_of(tmp_path)

    def never(*args: object) -> bytes:
        raise AssertionError(args)

    monkeypatch.setattr("grex.git.edits.blob_id", never)
    assert edited_paths(state) == Edits(decided=True)


def write(name: str, text: str = "changed\n") -> Callable[[Path], None]:
    def change(path: Path) -> None:
        (path / name).write_text(text)

    return change


def same_size(path: Path) -> None:
    (path / "a").write_text("A\n")


def swap_for_link(path: Path) -> None:
    (path / "a").unlink()
    (path / "a").symlink_to("b")


def swap_for_directory(path: Path) -> None:
    (path / "a").unlink()
    (path / "a").mkdir()
    (path / "a/inside").touch()


def retarget(path: Path) -> None:
    (path / "link").unlink()
    (path / "link").symlink_to("b")


def directory_behind_a_link(path: Path) -> None:
    (path / "dir").rename(path / "moved")
    (path / "dir").symlink_to("moved")


def file_for_directory(path: Path) -> None:
    shutil.rmtree(path / "dir")
    (path / "dir").touch()


def stage(path: Path) -> None:
    (path / "a").write_text("staged\n")
    git(path, "add", "a")


def stage_and_put_back(path: Path) -> None:
    stage(path)
    (path / "a").write_text("a\n")


def stage_removal(path: Path) -> None:
    git(path, "rm", "--quiet", "--cached", "a")


def stage_addition(path: Path) -> None:
    (path / "new").touch()
    git(path, "add", "new")


def intend_to_add(path: Path) -> None:
    (path / "new").touch()
    git(path, "add", "--intent-to-add", "new")


def conflict(path: Path) -> None:
    oid = git(path, "rev-parse", "HEAD:a")
    lines = "".join(f"100644 {oid} {stage_number}\ta\n" for stage_number in (1, 2, 3))
    git(path, "update-index", "--index-info", stdin=f"0 {'0' * 40}\ta\n{lines}".encode())


def fifo(path: Path) -> None:
    (path / "a").unlink()
    os.mkfifo(path / "a")


EDITS: dict[str, Callable[[Path], None]] = {
    "other content": write("dir/c"),
    "same size": same_size,
    "emptied": write("a", ""),
    "filled": write("empty"),
    "deleted": lambda path: (path / "dir/sub/e").unlink(),
    "directory deleted": lambda path: shutil.rmtree(path / "dir"),
    "made executable": lambda path: (path / "a").chmod(0o755),
    "made not executable": lambda path: (path / "exec").chmod(0o644),
    "link for file": swap_for_link,
    "directory for file": swap_for_directory,
    "file for directory": file_for_directory,
    "link retargeted": retarget,
    "directory behind a link": directory_behind_a_link,
    "staged": stage,
    "staged and put back": stage_and_put_back,
    "removal staged": stage_removal,
    "addition staged": stage_addition,
    "intent to add": intend_to_add,
    "conflict": conflict,
    "fifo for file": fifo,
}


@pytest.mark.parametrize("name", EDITS)
def test_no_edit_is_missed(tmp_path: Path, name: str) -> None:
    make(tmp_path)
    EDITS[name](tmp_path)
    found = edited_paths(state_of(tmp_path))
    assert edited_by_git(tmp_path)  # the edit is one
    assert not found.decided or found.edited
    assert set(found.edited) <= edited_by_git(tmp_path)
    if found.decided:
        assert set(found.edited) == edited_by_git(tmp_path)


def test_an_edit_that_hides_its_size_and_time_is_seen(tmp_path: Path) -> None:
    make(tmp_path)
    status = (tmp_path / "a").stat()
    (tmp_path / "a").write_text("A\n")
    os.utime(tmp_path / "a", ns=(status.st_atime_ns, status.st_mtime_ns))
    assert edited_paths(state_of(tmp_path)) == Edits(decided=False)


def touch(path: Path) -> None:
    for name in PATHS:
        os.utime(path / name)


def rewrite_same(path: Path) -> None:
    for name in PATHS:
        content = (path / name).read_bytes()
        (path / name).unlink()
        (path / name).write_bytes(content)
    (path / "exec").chmod(0o755)


def relink(path: Path) -> None:
    (path / "link").unlink()
    (path / "link").symlink_to("dir/c")


def other_bits(path: Path) -> None:
    (path / "a").chmod(0o600)


def smudge(path: Path) -> None:
    """Let git mark entries as to be compared by content."""
    (path / "a").write_text("a\n")
    git(path, "update-index", "--force-write-index")


@pytest.mark.parametrize("change", [touch, rewrite_same, relink, other_bits, smudge])
def test_a_change_that_is_no_edit_is_decided_without_git(tmp_path: Path, change: Callable[[Path], None]) -> None:
    make(tmp_path)
    change(tmp_path)
    assert edited_paths(state_of(tmp_path)) == Edits(decided=True)
    assert not edited_by_git(tmp_path)


def test_a_file_as_young_as_the_index_is_read(tmp_path: Path) -> None:
    """The racy case.

    - a file is written and added, the index is written in the same tick;
    - the file is written again with the same size, in that tick as well, which leaves no trace in its status;
    - only its content tells.
    """
    make(tmp_path)
    index = tmp_path / ".git/index"
    (tmp_path / "a").write_text("A\n")  # written again; now pretend that the index was made with this very status
    status = (tmp_path / "a").stat()
    data = bytearray(index.read_bytes()[:-20])
    start = 12  # of the first entry, which is `a`; its path stands 62 bytes on
    assert data[start + 62 : start + 64] == b"a\0"
    facts = (status.st_ctime_ns, status.st_mtime_ns)
    for position, stamp in zip((0, 8), facts, strict=True):
        data[start + position : start + position + 8] = b"".join(
            part.to_bytes(4, "big") for part in divmod(stamp, 1_000_000_000)
        )
    data[start + 20 : start + 24] = (status.st_ino & 0xFFFFFFFF).to_bytes(4, "big")
    index.write_bytes(bytes(data) + bytes(20))
    os.utime(index, ns=(status.st_mtime_ns, status.st_mtime_ns))
    assert edited_paths(state_of(tmp_path)) == Edits(decided=False)
    os.utime(index, ns=(status.st_mtime_ns + 1, status.st_mtime_ns + 1))
    assert edited_paths(state_of(tmp_path)) == Edits(decided=True)  # so it was the time of the index that told


@pytest.mark.parametrize("without", ["record", "tree"])
def test_without_a_completed_record_nothing_is_decided(tmp_path: Path, without: str) -> None:
    make(tmp_path)
    if without == "record":
        (tmp_path / ".git/grex/checkout.json").unlink()
    else:
        write_record(
            tmp_path / ".git", CompletionRecord("", None, "sha", None, git(tmp_path, "rev-parse", "HEAD"), None)
        )
    assert not edited_paths(state_of(tmp_path)).decided


def test_a_commit_of_the_users_own_is_not_decided(tmp_path: Path) -> None:
    make(tmp_path)
    git(tmp_path, "commit", "--quiet", "--allow-empty", "-m", "mine")
    assert not edited_paths(state_of(tmp_path)).decided


def test_line_endings_are_left_to_git(tmp_path: Path) -> None:
    make(tmp_path)
    git(tmp_path, "config", "core.autocrlf", "true")
    (tmp_path / "a").unlink()
    git(tmp_path, "checkout", "--", "a")
    assert (tmp_path / "a").read_bytes() == b"a\r\n"
    (tmp_path / "a").touch()
    assert edited_paths(state_of(tmp_path)) == Edits(decided=False)
    assert not edited_by_git(tmp_path)


def test_skip_worktree_is_clean_when_absent_and_left_to_git_when_present(tmp_path: Path) -> None:
    make(tmp_path)
    git(tmp_path, "sparse-checkout", "set", "--no-cone", "/*", "!/a")
    assert not (tmp_path / "a").exists()
    assert edited_paths(state_of(tmp_path)) == Edits(decided=True)
    (tmp_path / "a").write_text("mine\n")
    assert not edited_paths(state_of(tmp_path)).decided


def test_submodules_are_clean_when_empty_and_left_to_git_when_populated(tmp_path: Path) -> None:
    inner = make(tmp_path / "inner")
    outer = make(tmp_path / "outer")
    git(outer, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(inner), "module")
    git(outer, "commit", "--quiet", "-m", "module")
    settle(outer)
    assert edited_paths(state_of(outer)) == Edits(decided=False)
    assert untracked_hint(state_of(outer)) is False
    shutil.rmtree(outer / "module")
    assert edited_paths(state_of(outer)) == Edits(decided=True, edited=("module",))
    (outer / "module").mkdir()
    assert edited_paths(state_of(outer)) == Edits(decided=True)


@pytest.mark.parametrize("seed", range(40))
def test_random_states_agree_with_git(tmp_path: Path, seed: int) -> None:
    """Three random changes at once: what is decided is what git says, and what git says is never denied."""
    make(tmp_path)
    chance = random.Random(seed)  # noqa: S311 - a repeatable choice, no secret
    harmless: list[Callable[[Path], None]] = [touch, relink, other_bits, lambda path: None]
    edits = [edit for name, edit in EDITS.items() if name != "fifo for file"]  # writing to it later would never end
    for change in chance.sample([*edits, *harmless, *harmless], 3):
        try:
            change(tmp_path)
        except (OSError, AssertionError):
            continue  # an earlier change has taken its ground away
    found = edited_paths(state_of(tmp_path))
    by_git = edited_by_git(tmp_path)
    assert set(found.edited) <= by_git
    if found.decided:
        assert set(found.edited) == by_git
    untracked = git(tmp_path, "status", "--porcelain", "--untracked-files=normal", "--no-renames")
    if "??" in untracked:
        assert untracked_hint(state_of(tmp_path)) is not False


def test_nothing_untracked_is_certain(tmp_path: Path) -> None:
    make(tmp_path)
    (tmp_path / "empty-directory/inside").mkdir(parents=True)
    (tmp_path / ".grex-lock").touch()
    (tmp_path / "dir/.x.grex-backend.lock").touch()
    (tmp_path / ".grex-tmp-0").mkdir()
    (tmp_path / ".grex-tmp-0/x").touch()
    assert untracked_hint(state_of(tmp_path)) is False


@pytest.mark.parametrize("name", ["new", "dir/new", "new-dir/new", "dir/sub/.git/HEAD", "dir/.grex-lock", ".gitx"])
def test_anything_untracked_is_hinted_at(tmp_path: Path, name: str) -> None:
    make(tmp_path)
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).touch()
    assert untracked_hint(state_of(tmp_path)) is True


def test_links_and_pipes_are_untracked_files_and_not_followed(tmp_path: Path) -> None:
    make(tmp_path)
    (tmp_path / "loop").symlink_to(".")
    assert untracked_hint(state_of(tmp_path)) is True
    (tmp_path / "loop").unlink()
    os.mkfifo(tmp_path / "pipe")
    assert untracked_hint(state_of(tmp_path)) is True


def test_nested_packs_are_not_untracked(tmp_path: Path) -> None:
    make(tmp_path)
    make(tmp_path / "dir/nested")
    assert untracked_hint(state_of(tmp_path)) is True
    assert untracked_hint(state_of(tmp_path), ignore={"dir/nested"}) is False
