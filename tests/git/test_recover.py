"""After a kill: what it left is repaired, what is the user's is kept, and doing it twice changes nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from grex.git import (
    AnotherGitError,
    CompletionRecord,
    Edits,
    MoveNote,
    RecoveryReport,
    edited_paths,
    observe,
    read_note,
    read_record,
    recover,
)
from grex.git.records import note_path, write_note
from tests.git.conftest import Lab
from tests.support.git_server import git
from tests.support.loops import trio_among_the_slow  # noqa: F401 - a fixture

pytestmark = pytest.mark.anyio

OLD = {"same": "same", "changed": "old", "removed": "old", "dir/inner": "old", "type": "file", "big": "old\n" * 9999}
NEW: dict[str, str | Path | None] = {
    "type": Path("same"),
    "changed": "new",
    "removed": None,
    "dir/inner": "new",
    "added/deep/x": "new",
    "big": "new\n" * 9999,
}


class Pack:
    """A checkout at the old commit, which knows the new one."""

    def __init__(self, lab: Lab) -> None:
        lab.server.create("x", OLD)
        self.path = lab.path / "pack"
        git(lab.path, "clone", "--quiet", lab.server.url("x"), "pack")
        self.old = git(self.path, "rev-parse", "HEAD")
        self.new = lab.server.commit("x", NEW)
        git(self.path, "fetch", "--quiet")
        for name in OLD:  # settle, so that times tell what was written after the note
            os.utime(self.path / name, (1_000_000_000, 1_000_000_000))
        git(self.path, "update-index", "-q", "--refresh")
        self.lab = lab

    def note(self) -> None:
        """Write the note of a checkout from old to new; everything after it may be the dead run's."""
        time.sleep(0.01)  # the clock of the file system ticks every 4 ms; a user's edit comes longer before
        record = CompletionRecord("id", None, "branch", "main", self.new, "origin/main", self.tree(self.new))
        write_note(
            self.path / ".git", MoveNote("checkout", "p", self.old, self.new, "main", was_clean=True, record=record)
        )

    def tree(self, commit: str) -> str:
        return git(self.path, "rev-parse", f"{commit}^{{tree}}")

    async def recover(self) -> RecoveryReport:
        return await recover(self.lab.runner, observe(self.path), backend=self.lab.backend)

    def status(self) -> str:
        return git(self.path, "status", "--porcelain", "--untracked-files=all")


@pytest.fixture
def pack(lab: Lab) -> Pack:
    return Pack(lab)


async def test_without_a_note_there_is_nothing_to_do(lab: Lab, pack: Pack) -> None:
    (pack.path / "changed").write_text("mine")
    assert await pack.recover() == RecoveryReport()
    assert pack.status() == " M changed"


async def test_a_kill_before_the_first_byte_needs_only_the_note_removed(pack: Pack) -> None:
    pack.note()
    report = await pack.recover()
    assert (report.target, report.restored, report.left, report.rescue_ref) == (pack.old, (), (), None)
    assert pack.status() == ""
    assert observe(pack.path).note is None


async def test_a_half_written_checkout_goes_back(pack: Pack) -> None:
    """HEAD has not moved, the index is locked, some files are new, one is half-written, one gone, one too many."""
    pack.note()
    (pack.path / ".git/index.lock").write_bytes(b"DIRC half")
    (pack.path / ".git/refs/heads/main.lock").touch()
    (pack.path / "changed").write_text("new")
    (pack.path / "big").write_text("new\n" * 100)
    (pack.path / "removed").unlink()
    (pack.path / "added/deep").mkdir(parents=True)
    (pack.path / "added/deep/x").write_text("new")
    (pack.path / "type").unlink()
    (pack.path / "type").symlink_to("same")
    report = await pack.recover()
    assert report.removed_locks == ("index.lock", "refs/heads/main.lock")
    assert report.target == pack.old
    assert report.restored == ("added/deep/x", "big", "changed", "removed", "type")
    assert pack.status() == ""
    assert not (pack.path / "added").exists()
    assert report.rescue_ref is not None  # for the half-written file, which might have been an edit
    assert git(pack.path, "show", f"{report.rescue_ref}:big") == ("new\n" * 100).rstrip("\n")
    assert git(pack.path, "diff", "--name-only", f"{report.rescue_ref}^", report.rescue_ref) == "big"
    assert git(pack.path, "log", "-1", "--format=%an <%ae>", report.rescue_ref) == "grex <grex@localhost>"
    assert observe(pack.path).note is None
    assert read_record(pack.path / ".git") is None


async def test_where_head_has_moved_the_checkout_is_finished(pack: Pack) -> None:
    """The index and HEAD are the new ones; only the record was not written."""
    pack.note()
    git(pack.path, "reset", "--quiet", "--hard", pack.new)
    (pack.path / "changed").unlink()
    report = await pack.recover()
    assert (report.target, report.restored) == (pack.new, ("changed",))
    assert pack.status() == ""
    state = observe(pack.path)
    assert state.record is not None
    assert (state.record.sha, state.record.upstream) == (pack.new, "origin/main")
    git(pack.path, "update-index", "--refresh")


async def test_an_index_that_is_ahead_of_head_goes_back_with_the_files(pack: Pack) -> None:
    """Killed between the index and the ref."""
    pack.note()
    git(pack.path, "read-tree", "-u", "-m", pack.old, pack.new)
    assert pack.status()
    report = await pack.recover()
    assert (report.target, report.rescue_ref) == (pack.old, None)
    assert pack.status() == ""


async def test_edits_elsewhere_and_older_ones_stay(pack: Pack) -> None:
    (pack.path / "dir/inner").write_text("edited before, where git would have refused")
    (pack.path / "untracked").write_text("mine")
    pack.note()
    (pack.path / "same").write_text("edited after, in a file that the checkout does not touch")
    (pack.path / "added").mkdir()
    (pack.path / "added/mine").write_text("mine")
    (pack.path / "changed").write_text("new")
    report = await pack.recover()
    assert report.restored == ("changed",)
    assert report.rescue_ref is None
    assert pack.status() == " M dir/inner\n M same\n?? added/mine\n?? untracked"


async def test_an_edit_after_the_kill_is_kept_under_a_rescue_ref(pack: Pack) -> None:
    pack.note()
    (pack.path / "changed").write_text("precious")
    (pack.path / "added/deep").mkdir(parents=True)
    (pack.path / "added/deep/x").write_text("precious too")
    report = await pack.recover()
    assert pack.status() == ""
    assert git(pack.path, "show", f"{report.rescue_ref}:changed") == "precious"
    assert git(pack.path, "show", f"{report.rescue_ref}:added/deep/x") == "precious too"


async def test_a_user_who_has_gone_on_is_left_alone(pack: Pack) -> None:
    pack.note()
    (pack.path / "changed").write_text("mine")
    git(pack.path, "commit", "--quiet", "-am", "mine")
    (pack.path / "big").write_text("mine as well")
    report = await pack.recover()
    assert (report.target, report.restored) == (None, ())
    assert pack.status() == " M big"
    assert observe(pack.path).note is None


async def test_nothing_is_followed_out_of_the_checkout(pack: Pack) -> None:
    outside = pack.lab.path / "outside"
    outside.mkdir()
    (outside / "inner").write_text("not ours")
    (outside / "deep").mkdir()
    (outside / "deep/x").write_text("not ours")
    pack.note()
    (pack.path / "dir/inner").unlink()
    (pack.path / "dir").rmdir()
    (pack.path / "dir").symlink_to(outside)
    (pack.path / "added").symlink_to(outside)
    report = await pack.recover()
    assert report.left == ("dir/inner",)
    assert (outside / "inner").read_text() == (outside / "deep/x").read_text() == "not ours"
    assert (pack.path / "dir").is_symlink()


async def test_a_directory_or_pipe_in_place_of_a_file_is_left(pack: Pack) -> None:
    pack.note()
    for name in ("changed", "removed"):
        (pack.path / name).unlink()
    (pack.path / "changed").mkdir()
    (pack.path / "changed/mine").write_text("mine")
    os.mkfifo(pack.path / "removed")
    report = await pack.recover()
    assert report.left == ("changed", "removed")
    assert (pack.path / "changed/mine").read_text() == "mine"
    assert (pack.path / "removed").is_fifo()


async def test_a_file_where_the_new_commit_has_a_directory_comes_back(lab: Lab, pack: Pack) -> None:
    pack.new = lab.server.commit("x", {"type": None, "type/now/a": "directory"})
    git(pack.path, "fetch", "--quiet")
    pack.note()
    (pack.path / "type").unlink()
    (pack.path / "type/now").mkdir(parents=True)
    (pack.path / "type/now/a").write_text("directory")
    await pack.recover()
    assert pack.status() == ""
    assert (pack.path / "type").read_text() == "file"


async def test_line_endings_do_not_look_like_edits(pack: Pack) -> None:
    git(pack.path, "config", "core.autocrlf", "true")
    pack.note()
    (pack.path / "changed").write_bytes(b"new")
    (pack.path / "big").write_bytes(b"new\r\n" * 9999)
    report = await pack.recover()
    assert report.rescue_ref is None
    assert pack.status() == ""


async def test_a_kill_inside_the_recovery_is_recovered_by_the_next(pack: Pack, monkeypatch: pytest.MonkeyPatch) -> None:
    class KilledError(Exception):
        pass

    pack.note()
    (pack.path / "changed").write_text("precious")
    (pack.path / "removed").unlink()
    (pack.path / "added/deep").mkdir(parents=True)
    (pack.path / "added/deep/x").write_text("new")
    real = pack.lab.runner.run
    rescued = set()
    left = 0

    async def dying(args: list[str], **options: object) -> object:
        nonlocal left
        if not left:
            raise KilledError
        left -= 1
        return await real(args, **options)  # type: ignore[arg-type]  # passed through

    monkeypatch.setattr(pack.lab.runner, "run", dying)
    for survived in range(12):
        left = survived
        try:
            report = await pack.recover()
        except KilledError:
            (pack.path / ".git/index.lock").touch()
        else:
            rescued.add(report.rescue_ref)
            break
    monkeypatch.undo()
    assert observe(pack.path).note is None
    assert pack.status() == ""
    refs = git(pack.path, "for-each-ref", "--format=%(refname)", "refs/grex/rescue").split()
    assert refs
    assert {git(pack.path, "show", f"{ref}:changed") for ref in refs} == {"precious"}
    assert (await pack.recover()) == RecoveryReport()


async def test_a_fetch_that_was_killed_leaves_no_lock_and_no_garbage(pack: Pack) -> None:
    old = pack.path / ".git/objects/pack/tmp_pack_old"
    old.touch()
    time.sleep(0.01)  # noqa: ASYNC251 - a tick of the file system's clock
    write_note(pack.path / ".git", MoveNote("fetch", "p"))
    new = pack.path / ".git/objects/pack/tmp_pack_new"
    loose = pack.path / ".git/objects/ab/tmp_obj_x"
    loose.parent.mkdir(exist_ok=True)
    lock = pack.path / ".git/refs/remotes/origin/main.lock"
    shallow = pack.path / ".git/shallow.lock"
    for file in (new, loose, lock, shallow):
        file.touch()
    report = await pack.recover()
    assert set(report.removed_locks) == {"refs/remotes/origin/main.lock", "shallow.lock"}
    assert not any(file.exists() for file in (new, loose, lock, shallow))
    assert old.exists()
    assert observe(pack.path).note is None


async def test_a_lock_file_older_than_the_note_is_not_ours(pack: Pack) -> None:
    (pack.path / ".git/index.lock").touch()
    pack.note()
    (pack.path / "changed").write_text("new")
    with pytest.raises(AnotherGitError, match=r"index\.lock' is older than our own work") as raised:
        await pack.recover()
    assert "remove that file" in str(raised.value.hint)
    assert (pack.path / ".git/index.lock").exists()
    assert (pack.path / "changed").read_text() == "new"
    assert observe(pack.path).note is not None


async def test_a_lock_file_that_a_process_has_open_is_not_removed(pack: Pack) -> None:
    pack.note()
    lock = pack.path / ".git/index.lock"
    with (
        lock.open("wb") as file,
        subprocess.Popen(["sleep", "600"], stdout=file) as holder,  # noqa: ASYNC220 - a living holder
    ):
        try:
            with pytest.raises(AnotherGitError, match=f"open in process {holder.pid}"):
                await pack.recover()
            assert lock.exists()
        finally:
            holder.kill()
    assert (await pack.recover()).removed_locks == ("index.lock",)


async def test_a_lock_file_is_not_removed_while_the_users_git_works_there(pack: Pack) -> None:
    """`git commit` keeps index.lock while its editor is open, and does not have it open itself."""
    pack.note()
    (pack.path / "same").write_text("mine")
    editor = pack.lab.path / "editor"
    editor.write_text("#!/bin/sh\ntouch $0.ready\nexec sleep 600\n")
    editor.chmod(0o755)
    with subprocess.Popen(  # noqa: ASYNC220 - the user
        ["git", "commit", "-a"], cwd=pack.path, env={**os.environ, "GIT_EDITOR": str(editor)}, start_new_session=True
    ) as user:
        try:
            while not Path(f"{editor}.ready").exists():
                time.sleep(0.01)  # noqa: ASYNC251 - the event is another process's
            assert (pack.path / ".git/index.lock").exists()
            with pytest.raises(AnotherGitError, match=r"the git process .* works here"):
                await pack.recover()
        finally:
            os.killpg(user.pid, signal.SIGKILL)


async def test_where_processes_cannot_be_seen_no_lock_is_removed(pack: Pack, monkeypatch: pytest.MonkeyPatch) -> None:
    pack.note()
    (pack.path / ".git/index.lock").touch()
    monkeypatch.setattr("grex.git.stale_files._PROC", pack.lab.path / "no-proc")
    with pytest.raises(AnotherGitError, match="cannot be seen"):
        await pack.recover()


async def test_a_note_that_cannot_be_read_is_cleared_without_touching_files(pack: Pack) -> None:
    pack.note()
    note_path(pack.path / ".git").write_bytes(b"garbage")
    (pack.path / "changed").write_text("mine")
    (pack.path / ".git/index.lock").touch()
    report = await pack.recover()
    assert report.removed_locks == ("index.lock",)
    assert report.note is not None
    assert report.note.op == "unknown"
    assert pack.status() == " M changed"


async def test_a_sparse_checkout_stays_sparse(pack: Pack) -> None:
    git(pack.path, "sparse-checkout", "set", "--no-cone", "/*", "!/changed")
    pack.note()
    (pack.path / "removed").unlink()
    await pack.recover()
    assert pack.status() == ""
    assert not (pack.path / "changed").exists()


@pytest.mark.parametrize("delay_ms", [1, 3, 6, 10, 20, 40])
async def test_a_git_that_was_really_killed_is_repaired(lab: Lab, delay_ms: int) -> None:
    """A checkout of many files, killed at some point, by SIGKILL; the user's edit and file are in the middle of it."""
    lab.server.create(
        "x", {f"{number % 20}/f{number}": f"old {number}\n" * 50 for number in range(400)} | {"edited": "x"}
    )
    path = lab.path / "pack"
    git(lab.path, "clone", "--quiet", lab.server.url("x"), "pack")
    old = git(path, "rev-parse", "HEAD")
    new = lab.server.commit(
        "x",
        {f"{number % 20}/f{number}": f"new {number}\n" * 60 for number in range(300)}
        | {f"{number % 20}/f{number}": None for number in range(300, 400)}
        | {f"new/{number}": "added" for number in range(100)},
    )
    git(path, "fetch", "--quiet")
    (path / "edited").write_text("mine")
    (path / "3/untracked").write_text("mine")
    time.sleep(0.01)  # noqa: ASYNC251 - a tick of the file system's clock
    record = CompletionRecord(
        "id", None, "branch", "main", new, "origin/main", git(path, "rev-parse", f"{new}^{{tree}}")
    )
    write_note(path / ".git", MoveNote("checkout", "p", old, new, "main", record=record))
    with subprocess.Popen(["git", "checkout", "--quiet", "-B", "main", new], cwd=path) as process:  # noqa: ASYNC220 - to be killed
        time.sleep(delay_ms / 1000)  # noqa: ASYNC251 - any point will do
        process.kill()
    report = await recover(lab.runner, observe(path), backend=lab.backend)
    head = git(path, "rev-parse", "HEAD")
    assert report.target == head
    assert report.left == ()
    assert git(path, "status", "--porcelain", "--untracked-files=all") == " M edited\n?? 3/untracked"
    assert (path / "edited").read_text() == (path / "3/untracked").read_text() == "mine"
    git(path, "fsck", "--strict")
    if head == new:
        (path / "edited").write_text("x")
        assert read_record(path / ".git") is not None
        assert edited_paths(observe(path)).edited == Edits(decided=True).edited
    assert read_note(path / ".git") is None
