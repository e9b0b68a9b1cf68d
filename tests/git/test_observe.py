"""What is at a path: each kind, each operation, and nothing that hangs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from grex.git import CompletionRecord, MoveNote, observe
from grex.git.records import write_note, write_record
from tests.support.git_server import git


def test_what_is_no_checkout_has_a_kind(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "dangling").symlink_to("nowhere")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "empty").mkdir()
    (tmp_path / "locked").mkdir()
    (tmp_path / "locked/.grex-lock").touch()
    (tmp_path / "full").mkdir()
    for number in range(20):
        (tmp_path / f"full/{number:02}").touch()
    kinds = {name: observe(tmp_path / name).kind for name in os.listdir(tmp_path)}  # noqa: PTH208 - names are wanted
    assert kinds == {
        "file": "other", "fifo": "other", "dangling": "other", "loop": "other",
        "empty": "empty", "locked": "empty", "full": "directory",
    }  # fmt: skip
    assert observe(tmp_path / "none").kind == "absent"
    assert observe(tmp_path / "file/below").kind == "absent"
    assert observe(tmp_path / "full").entries == tuple(f"{number:02}" for number in range(10))


def test_the_ruin_of_a_repository_is_a_directory(tmp_path: Path) -> None:
    (tmp_path / "a/.git").mkdir(parents=True)
    (tmp_path / "b").mkdir()
    (tmp_path / "b/.git").write_text("gitdir: nowhere\n")
    (tmp_path / "c").mkdir()
    (tmp_path / "c/.git").write_text("something else\n")
    (tmp_path / "d").mkdir()
    os.mkfifo(tmp_path / "d/.git")
    assert [observe(tmp_path / name).kind for name in "abcd"] == ["directory"] * 4


def test_a_symlinked_checkout_is_seen_through(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet", "--initial-branch=main", "real")
    (tmp_path / "link").symlink_to("real")
    state = observe(tmp_path / "link")
    assert (state.kind, state.is_symlink, state.real, state.path) == (
        "checkout", True, tmp_path / "real", tmp_path / "link",
    )  # fmt: skip
    assert (state.head, state.head_branch, state.head_sha) == ("unborn", "main", None)
    assert not observe(tmp_path / "real").is_symlink


@pytest.mark.parametrize(
    ("name", "operation"),
    [
        ("MERGE_HEAD", "merge"), ("CHERRY_PICK_HEAD", "cherry-pick"), ("REVERT_HEAD", "revert"),
        ("BISECT_LOG", "bisect"), ("rebase-merge/x", "rebase"),
        ("rebase-apply/x", "rebase"), ("rebase-apply/applying", "am"),
    ],
)  # fmt: skip
def test_what_a_user_has_begun_is_seen(tmp_path: Path, name: str, operation: str) -> None:
    git(tmp_path, "init", "--quiet")
    assert observe(tmp_path).operation is None
    file = tmp_path / ".git" / name
    file.parent.mkdir(exist_ok=True)
    file.touch()
    assert observe(tmp_path).operation == operation


def test_a_real_conflict_is_a_merge(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet", "--initial-branch=main")
    git(tmp_path, "commit", "--quiet", "--allow-empty", "-m", "base")
    for branch in ("a", "b"):
        git(tmp_path, "checkout", "--quiet", "-b", branch, "main")
        (tmp_path / "file").write_text(branch)
        git(tmp_path, "add", "file")
        git(tmp_path, "commit", "--quiet", "-m", branch)
    git(tmp_path, "merge", "a", check=False)
    assert observe(tmp_path).operation == "merge"
    git(tmp_path, "merge", "--abort")
    git(tmp_path, "rebase", "a", check=False)
    assert observe(tmp_path).operation == "rebase"


def test_record_and_note_are_part_of_what_is_seen(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    record = CompletionRecord("id", None, "sha", None, "0" * 40, None)
    note = MoveNote("fetch", "p", pid=1, boot_id="b")
    write_record(tmp_path / ".git", record)
    write_note(tmp_path / ".git", note)
    state = observe(tmp_path)
    assert (state.record, state.note) == (record, note)
