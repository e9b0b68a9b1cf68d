"""Moving a clone in: nothing is overwritten, `.git` comes last, and a kill anywhere can be carried on."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import pytest

from grex.errors import FetchError
from grex.git import FilesInTheWayError, move_in, plan_move, resume_move


def fill(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if name.endswith("/"):
            path.mkdir(parents=True, exist_ok=True)
        elif name.endswith("@"):
            path.with_name(path.name[:-1]).symlink_to("nowhere")
        else:
            path.write_text(f"{root.name}:{name}")
    return root


def tree(root: Path) -> dict[str, str]:
    """Every file below a directory, with its content."""
    return {
        str(path.relative_to(root)): "->" + str(path.readlink()) if path.is_symlink() else path.read_text()
        for path in sorted(root.rglob("*"))
        if path.is_symlink() or path.is_file()
    }


@pytest.fixture
def temp(tmp_path: Path) -> Path:
    return fill(tmp_path / ".grex-tmp-1", ".git/HEAD", "a", "dir/b", "dir/sub/c", "link@", "libs/README", "z")


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return fill(tmp_path / "pack", ".grex-lock")


def test_a_clone_is_moved_beside_the_lock_file_which_stays_the_same(temp: Path, target: Path) -> None:
    content = tree(temp)
    inode = (target / ".grex-lock").stat().st_ino
    entries = plan_move(temp, target)
    assert entries == ("a", "dir", "libs", "link", "z", ".git")
    move_in(temp, target, entries)
    assert tree(target) == {**content, ".grex-lock": "pack:.grex-lock"}
    assert (target / ".grex-lock").stat().st_ino == inode
    assert not temp.exists()


@pytest.mark.parametrize(
    "there", ["a", "dir", "dir/", "dir/mine", "link@", "z/", ".git", ".git/HEAD", "libs/README", "libs/x"]
)
def test_what_is_in_the_way_is_named_and_nothing_is_moved(temp: Path, target: Path, there: str) -> None:
    fill(target, there)
    before = tree(temp), tree(target)
    if there == "dir/":  # an empty directory is nobody's work
        assert plan_move(temp, target)[1:3] == ("dir/b", "dir/sub")
        return
    with pytest.raises(FilesInTheWayError) as raised:
        plan_move(temp, target)
    assert raised.value.paths == (there.rstrip("@/").split("/")[0],)
    assert (tree(temp), tree(target)) == before


def test_every_conflict_is_named(temp: Path, target: Path) -> None:
    fill(target, "a", "z", "dir/mine", "free")
    with pytest.raises(FilesInTheWayError, match="already holds 'a', 'dir', 'z', which") as raised:
        plan_move(temp, target)
    assert raised.value.paths == ("a", "dir", "z")


def test_directories_that_hold_only_packs_are_entered(temp: Path, target: Path) -> None:
    fill(
        target,
        "libs/one/.git/HEAD",
        "libs/one/file",
        "libs/.one.grex-backend.lock",
        "libs/deep/two/.grex-lock",
        "libs/empty/",
    )
    fill(temp, "libs/deep/file")
    entries = plan_move(temp, target)
    assert entries == ("a", "dir", "libs/README", "libs/deep/file", "link", "z", ".git")
    before = tree(target)
    content = tree(temp)
    move_in(temp, target, entries)
    assert tree(target) == {**before, **content}
    assert not temp.exists()


def test_a_clone_that_tracks_files_inside_another_pack_is_refused(temp: Path, target: Path) -> None:
    fill(target, "libs/.git/HEAD")
    with pytest.raises(FilesInTheWayError, match="'libs'"):
        plan_move(temp, target)


def test_a_symlinked_directory_is_not_entered(temp: Path, target: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (target / "libs").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FilesInTheWayError, match="'libs'"):
        plan_move(temp, target)


class KilledError(Exception):
    """Stands for SIGKILL."""


def kill_after(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    """Die before the system call number `count` among those that move something."""
    calls = 0

    def counted(name: str) -> None:
        real = getattr(os, name)

        def call(*args: object, **options: object) -> object:
            nonlocal calls
            if calls == count:
                raise KilledError
            calls += 1
            return real(*args, **options)

        monkeypatch.setattr(os, name, call)

    for name in ("link", "unlink", "rename", "rmdir"):
        counted(name)


@pytest.mark.parametrize("count", range(17))
def test_a_move_killed_anywhere_is_carried_on(
    temp: Path, target: Path, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    fill(target, "libs/one/.grex-lock")
    fill(temp, "libs/b", "libs/c")
    content = {**tree(temp), **tree(target)}
    entries = plan_move(temp, target)
    finished = False
    with monkeypatch.context() as patch:
        kill_after(patch, count)
        try:
            move_in(temp, target, entries)
            finished = True
        except KilledError:
            pass
    assert finished == (count >= 16)
    committed = (target / ".git").exists()
    if committed:  # the commit point: everything else is in its place
        assert {**tree(target), **tree(temp)} == content == tree(target)
    resume_move(temp, target, entries)
    assert tree(target) == content
    assert not temp.exists()


@pytest.mark.parametrize("count", range(1, 13))
def test_a_killed_move_that_meets_a_conflict_goes_back(
    temp: Path, target: Path, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    content = tree(temp)
    entries = plan_move(temp, target)
    with monkeypatch.context() as patch:
        kill_after(patch, count)
        with contextlib.suppress(KilledError):
            move_in(temp, target, entries)
    if (target / ".git").exists() or os.path.lexists(target / "z"):
        return
    fill(target, "z")
    with pytest.raises(FilesInTheWayError, match="already holds 'z'"):
        resume_move(temp, target, entries)
    assert tree(target) == {".grex-lock": "pack:.grex-lock", "z": "pack:z"}
    assert tree(temp) == content


def test_a_file_that_appears_after_the_plan_is_not_overwritten(temp: Path, target: Path) -> None:
    content = tree(temp)
    entries = plan_move(temp, target)
    fill(target, "link")
    with pytest.raises(FilesInTheWayError, match="'link'"):
        move_in(temp, target, entries)
    assert tree(temp) == content
    assert tree(target) == {".grex-lock": "pack:.grex-lock", "link": "pack:link"}


def test_a_file_system_without_hard_links_is_served_by_rename(
    temp: Path, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: object, **options: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    content = tree(temp)
    move_in(temp, target, plan_move(temp, target))
    assert tree(target) == {**content, ".grex-lock": "pack:.grex-lock"}


def test_a_failing_disk_gives_a_sentence_and_moves_everything_back(
    temp: Path, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = tree(temp)
    entries = plan_move(temp, target)
    real = Path.rename

    def fail(self: Path, destination: Path) -> Path:
        if self.name == ".git":
            raise OSError(5, "Input/output error")
        return real(self, destination)

    monkeypatch.setattr(Path, "rename", fail)
    with pytest.raises(FetchError, match="could not be filled: Input/output error"):
        move_in(temp, target, entries)
    assert tree(temp) == content


@pytest.mark.parametrize("entry", ["/etc/passwd", "../other", "a/../../b", ""])
def test_a_note_that_leads_out_is_refused(temp: Path, target: Path, entry: str) -> None:
    with pytest.raises(FetchError, match="is not below the pack"):
        resume_move(temp, target, [entry, ".git"])
    assert (temp / ".git").exists()
