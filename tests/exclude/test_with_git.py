"""What git itself says: nothing of grex's shows up, nothing else disappears."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from grex.exclude import (
    common_dir_of,
    enclosing_repository,
    ensure_block,
    escape_pattern,
    exclude_file_of,
    git_dir_of,
    workspace_patterns,
)


def git(directory: Path, *arguments: str, stdin: bytes | None = None, check: bool = True) -> bytes:
    done = subprocess.run(["git", *arguments], cwd=directory, input=stdin, check=check, capture_output=True)
    return done.stdout


def repository(path: Path) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    git(path, "init", "-q", "-b", "main")
    git(path, "commit", "-q", "--allow-empty", "-m", "first")
    return path


def touch(root: Path, *names: str) -> None:
    for name in names:
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"")


def untracked(root: Path) -> list[str]:
    shown = git(root, "status", "--porcelain", "-z", "--untracked-files=all")
    return sorted(entry[3:].decode() for entry in shown.split(b"\0") if entry)


MINE = (
    "README",
    "grex.lock.jsonl",
    ".grex/pack.yaml",
    ".grex/config.toml",
    ".grex/hooks/setup.sh",
    "sub/grex.jsonl",
    "sub/.grex/local.yaml",
    "libs/ab/file",
    "libs/appendix",
    "sub/libs/a",
    "grex-tmp-1",
    "x.grex-backend.lock",
)
OURS = (
    "grex.jsonl",
    ".grex.jsonl.lock",
    ".grex.sync.lock",
    ".grex-lock",
    ".grex/local.yaml",
    ".grex/trash/20261120T000000.000000Z/old/file",
    ".grex/store/blob",
    ".grex/state/clone-1.json",
    ".grex/.grex-tmp-1",
    ".grex-tmp-2/half/a/clone",
    "libs/.a.grex-backend.lock",
    "libs/.grex-tmp-3/x",
)


@pytest.mark.parametrize("place", ["info/exclude", ".gitignore"])
def test_git_status_of_the_workspace_shows_all_of_the_users_and_nothing_of_ours(tmp_path: Path, place: str) -> None:
    root = repository(tmp_path / "ws")
    touch(root, *MINE, *OURS)
    pack = repository(root / "libs/a")
    (root / "libs/linked").symlink_to("a")
    touch(pack, "file", ".grex-lock", ".sub.grex-backend.lock", "libs/a")
    nested = repository(pack / "sub")
    touch(nested, "file", ".grex-lock")

    packs = [pack, nested, root / "libs/linked"]
    for directory in (root, pack, nested):
        target = exclude_file_of(directory / ".git") if place == "info/exclude" else directory / ".gitignore"
        assert ensure_block(target, workspace_patterns(directory, root, packs))
    extra = [".gitignore"] if place == ".gitignore" else []
    assert untracked(root) == sorted([*MINE, *extra])
    assert untracked(pack) == sorted(["file", "libs/a", *extra])
    assert untracked(nested) == sorted(["file", *extra])


def test_a_workspace_deep_in_a_repository_is_hidden_from_that_one(tmp_path: Path) -> None:
    outer = repository(tmp_path / "outer [x] #!")
    root = outer / "!tools/w*s"
    touch(root, *MINE, *OURS)
    touch(outer, "grex.jsonl", "!tools/wxs/grex.jsonl")
    found = enclosing_repository(root)
    assert found == (outer, outer / ".git")
    ensure_block(exclude_file_of(found[1]), workspace_patterns(outer, root, []))
    assert untracked(outer) == sorted(["grex.jsonl", "!tools/wxs/grex.jsonl", *(f"!tools/w*s/{name}" for name in MINE)])


ODD = [
    "#a",
    "!a",
    "a*",
    "a?b",
    "[ab]",
    "a]",
    "a\\b",
    "a ",
    "a  ",
    " a",
    "a b ",
    "\\",
    "ü/€",
    "a/#b",
    "**",
    "*",
    "a\\*",
    "-a",
]


def test_an_escaped_path_matches_itself_and_nothing_else_of_all_these(tmp_path: Path) -> None:
    root = repository(tmp_path / "r")
    others = [*ODD, "a", "b", "ab", "axb", "a\\", "a\\xb", "x/#a", "x/a ", "axx"]
    for path in ODD:
        (root / ".git/info/exclude").write_bytes(b"")
        ensure_block(root / ".git/info/exclude", [escape_pattern(path)])
        ignored = git(
            root, "check-ignore", "-z", "--stdin", "--no-index", stdin="\0".join(others).encode(), check=False
        )
        assert ignored.decode().split("\0")[:-1] == [path]


names = st.text(st.characters(codec="utf-8", min_codepoint=0x20, exclude_characters="/\x7f"), min_size=1).filter(
    lambda name: name not in (".", "..", ".git")
)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(names | st.text("*?[]!#\\ a-", min_size=1), min_size=1, max_size=30, unique=True))
def test_any_path_can_be_hidden(tmp_path: Path, paths: list[str]) -> None:
    root = tmp_path / "r"
    if not root.exists():
        repository(root)
    ensure_block(root / ".git/info/exclude", [escape_pattern(path) for path in paths])
    asked = [f"./{path}" for path in paths]  # a colon at the beginning would mean something to check-ignore
    ignored = git(root, "check-ignore", "-z", "--stdin", "--no-index", stdin="\0".join(asked).encode())
    assert ignored.decode().split("\0")[:-1] == asked


def test_a_file_with_crlf_line_ends_hides_the_same(tmp_path: Path) -> None:
    root = repository(tmp_path / "r")
    exclude = root / ".git/info/exclude"
    exclude.write_bytes(b"*.o\r\n")
    ensure_block(exclude, ["/a"])
    assert exclude.read_bytes().count(b"\r\n") == exclude.read_bytes().count(b"\n") == 4
    touch(root, "a", "b", "c.o")
    assert untracked(root) == ["b"]


# --- Finding the repository --------------------------------------------------------------------------------------


def test_the_nearest_repository_is_found_from_inside_and_from_what_is_not_there_yet(tmp_path: Path) -> None:
    outer = repository(tmp_path / "outer")
    inner = repository(outer / "a/inner")
    assert enclosing_repository(outer) == (outer, outer / ".git")
    assert enclosing_repository(outer / "a") == (outer, outer / ".git")
    assert enclosing_repository(inner / "x/y") == (inner, inner / ".git")


def test_a_link_is_followed_to_where_git_would_be(tmp_path: Path) -> None:
    root = repository(tmp_path / "real")
    (tmp_path / "link").symlink_to("real")
    assert enclosing_repository(tmp_path / "link/sub") == (root, root / ".git")


def test_outside_of_every_repository_there_is_none(tmp_path: Path) -> None:
    (tmp_path / "w/.git").mkdir(parents=True)  # what a killed clone leaves
    (tmp_path / "v").mkdir()
    (tmp_path / "v/.git").write_text("something else")
    for name in ("w", "v", "missing"):
        assert git_dir_of(tmp_path / name) is None
        assert enclosing_repository(tmp_path / name) is None


def test_linked_work_trees_share_the_exclude_file_of_their_repository(tmp_path: Path) -> None:
    main = repository(tmp_path / "main")
    linked = tmp_path / "linked"
    git(main, "worktree", "add", "-q", str(linked))
    git_dir = git_dir_of(linked)
    assert git_dir == main / ".git/worktrees/linked"
    assert common_dir_of(git_dir) == main / ".git"
    assert enclosing_repository(linked / "x") == (linked, main / ".git")
    ensure_block(exclude_file_of(git_dir), workspace_patterns(linked, linked, [linked / "pack"]))
    touch(linked, "grex.jsonl", "pack/x", "mine")
    assert untracked(linked) == ["mine"]


def test_a_submodule_has_an_exclude_file_of_its_own(tmp_path: Path) -> None:
    upstream = repository(tmp_path / "upstream")
    outer = repository(tmp_path / "outer")
    git(outer, "-c", "protocol.file.allow=always", "submodule", "add", "-q", str(upstream), "libs/sub")
    assert enclosing_repository(outer / "libs/sub/x") == (outer / "libs/sub", outer / ".git/modules/libs/sub")
    touch(outer / "libs/sub", ".grex-lock", "mine")
    ensure_block(exclude_file_of(outer / ".git/modules/libs/sub"), workspace_patterns(outer / "libs/sub", outer, []))
    assert untracked(outer / "libs/sub") == ["mine"]


def test_a_pointer_that_leads_nowhere_or_is_huge_is_no_repository(tmp_path: Path) -> None:
    (tmp_path / ".git").write_text("gitdir: /nowhere\n")
    assert git_dir_of(tmp_path) is None
    (tmp_path / ".git").write_bytes(b"gitdir: " + b"x" * 100_000)
    assert git_dir_of(tmp_path) is None
    (tmp_path / ".git").write_bytes(b"gitdir: a\0b")
    assert git_dir_of(tmp_path) is None
