"""The lock file of a pack is one inode for the life of the pack, whatever happens to its name."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import anyio
import pytest

from grex.errors import LockBusyError, LockUnavailableError, PackGoneError
from grex.locks import PACK_LOCK_FILE_NAME, WORKSPACE_LOCK_FILE_NAME, PackLock, WorkspaceLock
from grex.locks.pack_lock import KEPT_LINK_NAME
from tests.support.lock_holder import LockHolder


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    """A pack that is a git repository."""
    subprocess.run(["git", "init", "--quiet", str(tmp_path / "pack")], check=True)
    return tmp_path / "pack"


@pytest.mark.anyio
@pytest.mark.invariant("L1")
async def test_a_waiter_on_a_file_that_was_renamed_away_takes_the_new_one(tmp_path: Path) -> None:
    """Told as steps.

    - Another process holds the pack; we wait on its file.
    - Somebody renames the file, and a third process takes the new one under the old name.
    - The first lets go of the old file. We get that, see that the name leads elsewhere, and go on waiting.
    - Only when the third lets go, we hold the pack.
    """
    lock = PackLock.open(tmp_path / "pack")
    file = lock.path / PACK_LOCK_FILE_NAME
    with LockHolder("flock", file) as first:
        assert first.ask("take") == "held"
        got = anyio.Event()

        async def wait() -> None:
            async with await lock.acquire_async():
                got.set()

        async with anyio.create_task_group() as group:
            group.start_soon(wait)
            await anyio.wait_all_tasks_blocked()
            file.rename(tmp_path / "elsewhere")
            with LockHolder("flock", file) as third:
                assert third.ask("take") == "held"
                assert first.ask("release") == "ok"
                # Until somebody else can have the old file we have not looked at it; after that we must not hold.
                with anyio.move_on_after(0.3):
                    await got.wait()
                assert not got.is_set()
                assert third.ask("release") == "ok"
                with anyio.fail_after(20):
                    await got.wait()


@pytest.mark.anyio
@pytest.mark.invariant("L1")
async def test_a_waiter_on_a_workspace_lock_that_was_replaced_takes_the_new_one(workspace: Path) -> None:
    lock = WorkspaceLock(workspace)
    file = workspace / WORKSPACE_LOCK_FILE_NAME
    with LockHolder("workspace", workspace) as first:
        assert first.ask("take") == "held"

        async def wait() -> None:
            async with await lock.acquire_async() as hold:
                assert hold._grant.opened.is_still_at(str(file))
                with LockHolder("workspace", workspace) as other:
                    assert other.ask("try") == "busy"

        async with anyio.create_task_group() as group:
            group.start_soon(wait)
            await anyio.wait_all_tasks_blocked()
            file.unlink()
            assert first.ask("release") == "ok"


@pytest.mark.anyio
@pytest.mark.invariant("L2")
async def test_a_waiter_whose_pack_was_moved_away_says_so_and_creates_nothing(tmp_path: Path) -> None:
    lock = PackLock.open(tmp_path / "pack")
    with LockHolder("pack", tmp_path / "pack") as holder:
        assert holder.ask("take") == "held"

        async def wait() -> None:
            with pytest.raises(PackGoneError, match=str(lock.path)):
                await lock.acquire_async()

        with anyio.fail_after(20):
            async with anyio.create_task_group() as group:
                group.start_soon(wait)
                await anyio.wait_all_tasks_blocked()
                lock.path.rename(tmp_path / "trash")
                assert holder.ask("release") == "ok"
    assert not lock.path.exists()


def test_the_first_hold_of_a_repository_keeps_a_link_in_its_git_directory(pack: Path) -> None:
    with PackLock.open(pack).try_acquire():
        assert (pack / ".git" / KEPT_LINK_NAME).samefile(pack / PACK_LOCK_FILE_NAME)


@pytest.mark.invariant("L1")
def test_git_clean_while_the_pack_is_held_lets_nobody_in_and_the_name_comes_back(pack: Path) -> None:
    lock = PackLock.open(pack)
    with LockHolder("pack", pack) as other:
        with lock.try_acquire():
            subprocess.run(["git", "-C", str(pack), "clean", "-fdxq"], check=True)
            assert not (pack / PACK_LOCK_FILE_NAME).exists()
            assert other.ask("try") == "busy"
        assert other.ask("try") == "held"
        assert (pack / ".git" / KEPT_LINK_NAME).samefile(pack / PACK_LOCK_FILE_NAME)


@pytest.mark.invariant("L1")
@pytest.mark.parametrize("tries", [1, 2])
def test_a_pack_that_becomes_a_repository_and_is_cleaned_while_it_is_held_lets_nobody_in(
    tmp_path: Path, tries: int
) -> None:
    """Who comes then finds no file and no link; also not after one that came before and made them."""
    pack = tmp_path / "pack"
    lock = PackLock.open(pack)
    with LockHolder("pack", pack) as other:
        with lock.try_acquire():
            subprocess.run(["git", "init", "--quiet", str(pack)], check=True)
            subprocess.run(["git", "-C", str(pack), "clean", "-fdxq"], check=True)
            assert [other.ask("try") for _ in range(tries)] == ["busy"] * tries
        assert other.ask("try") == "held"
        assert (pack / ".git" / KEPT_LINK_NAME).samefile(pack / PACK_LOCK_FILE_NAME)


@pytest.mark.invariant("L1")
def test_a_strange_file_under_the_name_lets_nobody_in_while_the_pack_is_held(pack: Path) -> None:
    lock = PackLock.open(pack)
    with LockHolder("pack", pack) as other:
        with lock.try_acquire():
            (pack / PACK_LOCK_FILE_NAME).unlink()
            (pack / PACK_LOCK_FILE_NAME).touch()
            assert other.ask("try") == "busy"
        assert other.ask("try") == "held"
        assert (pack / ".git" / KEPT_LINK_NAME).samefile(pack / PACK_LOCK_FILE_NAME)


@pytest.mark.invariant("L1")
def test_a_strange_file_that_somebody_holds_is_contention(pack: Path) -> None:
    lock = PackLock.open(pack)
    lock.try_acquire().release()
    name = pack / PACK_LOCK_FILE_NAME
    name.unlink()
    with LockHolder("flock", name) as other:
        assert other.ask("take") == "held"
        with pytest.raises(LockBusyError):
            lock.try_acquire()
        assert other.ask("release") == "ok"
        with lock.try_acquire():
            assert (pack / ".git" / KEPT_LINK_NAME).samefile(name)
        assert sorted(path.name for path in pack.iterdir()) == [
            ".git",
            PACK_LOCK_FILE_NAME,
        ]  # no temporary link is left


def test_a_clean_that_sweeps_the_new_name_away_before_it_is_one_costs_another_try(
    pack: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = PackLock.open(pack)
    lock.try_acquire().release()
    (pack / PACK_LOCK_FILE_NAME).unlink()
    (pack / PACK_LOCK_FILE_NAME).touch()
    rename = os.rename
    swept: list[str] = []

    def sweep_and_rename(source: str, target: str) -> None:
        if not swept:
            swept.append(source)
            Path(source).unlink()
        rename(source, target)

    monkeypatch.setattr(os, "rename", sweep_and_rename)
    with lock.try_acquire(), LockHolder("pack", pack) as other:
        assert other.ask("try") == "busy"
        assert (pack / ".git" / KEPT_LINK_NAME).samefile(pack / PACK_LOCK_FILE_NAME)
    assert swept


def test_a_copied_pack_locks_its_own_file_and_not_that_of_the_original(pack: Path, tmp_path: Path) -> None:
    PackLock.open(pack).try_acquire().release()
    subprocess.run(["cp", "-r", str(pack), str(tmp_path / "copy")], check=True)
    with PackLock.open(tmp_path / "copy").try_acquire(), LockHolder("pack", pack) as other:
        assert other.ask("try") == "held"


def test_a_clone_gets_its_link_before_it_is_moved_in(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "--quiet", str(tmp_path / "clone")], check=True)
    lock = PackLock.open(tmp_path / "pack")
    with lock.try_acquire() as hold:
        hold.link_into(tmp_path / "clone" / ".git")
        hold.link_into(tmp_path / "clone" / ".git")
        (tmp_path / "clone" / ".git").rename(lock.path / ".git")
    with lock.try_acquire():
        assert (lock.path / ".git" / KEPT_LINK_NAME).samefile(lock.path / PACK_LOCK_FILE_NAME)


def test_a_strange_file_under_the_links_name_is_refused(tmp_path: Path) -> None:
    (tmp_path / "git").mkdir()
    (tmp_path / "git" / KEPT_LINK_NAME).touch()
    with PackLock.open(tmp_path / "pack").try_acquire() as hold, pytest.raises(LockUnavailableError, match="another"):
        hold.link_into(tmp_path / "git")


def test_a_git_file_of_a_worktree_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "pack").mkdir()
    (tmp_path / "pack" / ".git").write_text("gitdir: /nowhere\n")
    PackLock.open(tmp_path / "pack").try_acquire().release()
    assert sorted(path.name for path in (tmp_path / "pack").iterdir()) == [".git", PACK_LOCK_FILE_NAME]


@pytest.mark.parametrize("kind", ["symlink", "dangling", "fifo", "directory", "content"])
def test_something_else_under_the_name_is_refused_and_left_as_it_is(tmp_path: Path, kind: str) -> None:
    name = tmp_path / "pack" / PACK_LOCK_FILE_NAME
    name.parent.mkdir()
    outside = tmp_path / "outside"
    outside.write_text("precious")
    if kind == "symlink":
        name.symlink_to(outside)
    elif kind == "dangling":
        name.symlink_to(tmp_path / "nowhere")
    elif kind == "fifo":
        os.mkfifo(name)
    elif kind == "directory":
        name.mkdir()
    else:
        name.write_text("a file that the repository tracks\n")
    before = os.lstat(name)
    with pytest.raises(LockUnavailableError, match=PACK_LOCK_FILE_NAME) as caught:
        PackLock.open(tmp_path / "pack").try_acquire()
    assert caught.value.hint
    after = os.lstat(name)
    assert (after.st_mode, after.st_ino, after.st_size) == (before.st_mode, before.st_ino, before.st_size)
    assert outside.read_text() == "precious"
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("left", [b"", b"{", b'{"v":1,"pid":12', b"\0" * 200])
def test_what_a_crash_leaves_in_the_file_is_tolerated(tmp_path: Path, left: bytes) -> None:
    lock = PackLock.open(tmp_path / "pack")
    (lock.path / PACK_LOCK_FILE_NAME).write_bytes(left)
    lock.try_acquire().release()
    assert (lock.path / PACK_LOCK_FILE_NAME).read_bytes().isspace()


def test_a_pack_path_that_is_a_file_or_leads_nowhere_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "nowhere").symlink_to("missing")
    for path in (tmp_path / "file", tmp_path / "file" / "below", tmp_path / "nowhere"):
        with pytest.raises(LockUnavailableError):
            PackLock.open(path)
    assert not (tmp_path / "missing").exists()
