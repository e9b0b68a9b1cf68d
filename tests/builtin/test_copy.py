"""`copy`: whose file it finds at its destination, what it does about it, and what it takes back."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from grex.builtin.actions.copy import Copy
from grex.builtin.pack_types.declarative import Declarative
from grex.errors import ActionError
from grex.pack import Mode
from grex.plugin import Copy as Arguments
from grex.plugin import Done, Exec
from grex.plugin.testing import RecordingActionContext, RecordingContext, perform, would

pytestmark = pytest.mark.anyio

COPY = Copy()
RC = Arguments(src="files/rc", dst="~/.rc")
RC_BACKUP = Arguments(src="files/rc", dst="~/.rc", backup=True)
T0 = 1_600_000_000_123_456_789


class Killed(BaseException):
    """The end of the process, as far as the code can see it."""


def die(*_: object, **__: object) -> None:
    raise Killed


@pytest.fixture
def run(context: RecordingContext) -> RecordingActionContext:
    return actions_of(context)


@pytest.fixture
def rc(run: RecordingActionContext) -> Path:
    """The source in the pack."""
    source = run.pack.root / "files/rc"
    source.parent.mkdir()
    source.write_bytes(b"from the pack\xff\0")
    source.chmod(0o640)
    return source


@pytest.fixture
def dst(run: RecordingActionContext) -> Path:
    return run.home / ".rc"


def actions_of(context: RecordingContext, **changes: Any) -> RecordingActionContext:
    """What the `copy` actions of the pack are given in another run."""
    run = context.of(context.make_pack("tools"), "copy")
    for name, value in changes.items():
        setattr(run, name, value)
    return run


async def install(run: RecordingActionContext, arguments: Arguments = RC) -> Done:
    """As a run does it: what was done is in the log."""
    return await perform(COPY, arguments, run)


def facts(done: Done) -> Mapping[str, Any]:
    assert done.undo is not None
    return done.undo


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def state(path: Path) -> tuple[int, int, int, int]:
    """What must not change; the time of the last look may."""
    status = path.lstat()
    return status.st_ino, status.st_mode, status.st_size, status.st_mtime_ns


def permissions(path: Path) -> int:
    return path.stat().st_mode & 0o7777


# --- the copy


@pytest.mark.parametrize(("mode", "wanted"), [(None, 0o640), (Mode("0400"), 0o400), (Mode("4755"), 0o4755)])
async def test_bytes_and_mode_are_exact_under_any_umask(
    mode: Mode | None, wanted: int, run: RecordingActionContext, rc: Path, dst: Path
) -> None:
    before = os.umask(0o077)
    try:
        done = await perform(COPY, Arguments(src="files/rc", dst="~/.rc", mode=mode), run)
    finally:
        os.umask(before)
    assert dst.read_bytes() == rc.read_bytes()
    assert permissions(dst) == wanted
    assert (done.changed, done.text) == (True, f"copy {rc} -> {dst}")
    assert names(run.home) == [".rc"]


async def test_a_mode_that_changes_whose_rights_a_program_has_is_not_copied(
    run: RecordingActionContext, rc: Path, dst: Path
) -> None:
    rc.chmod(0o6755)
    await perform(COPY, RC, run)
    assert permissions(dst) == 0o755


async def test_a_large_file_is_copied_in_pieces(run: RecordingActionContext, rc: Path, dst: Path) -> None:
    rc.write_bytes(os.urandom((3 << 20) + 17))
    await perform(COPY, RC, run)
    assert dst.read_bytes() == rc.read_bytes()


async def test_doing_it_twice_is_doing_it_once(run: RecordingActionContext, rc: Path, dst: Path) -> None:
    assert await would(COPY, RC, run) == f"copy {rc} -> {dst}"
    assert names(run.home) == []
    await install(run)
    before = state(dst)
    again = await perform(COPY, RC, run)
    assert (again.changed, again.undo) == (False, None)
    assert state(dst) == before


async def test_undo_removes_the_copy_and_the_parents_that_were_made(run: RecordingActionContext, rc: Path) -> None:
    (run.home / "kept").mkdir()
    done = await perform(COPY, Arguments(src="files/rc", dst="~/kept/a/b/rc"), run)
    for _ in range(2):
        await COPY.undo(facts(done), run)
        assert names(run.home / "kept") == []
    assert rc.exists()


async def test_a_source_that_is_a_link_inside_the_pack_is_followed(
    run: RecordingActionContext, rc: Path, dst: Path
) -> None:
    (rc.parent / "alias").symlink_to("rc")
    await perform(COPY, Arguments(src="files/alias", dst="~/.rc"), run)
    assert not dst.is_symlink()
    assert dst.read_bytes() == rc.read_bytes()


# --- whose file it is


async def test_a_new_source_replaces_what_was_copied_before_and_says_that_it_is_not_kept(
    context: RecordingContext, run: RecordingActionContext, rc: Path, dst: Path
) -> None:
    first = await install(run)
    rc.write_text("second")
    rc.chmod(0o755)
    done = await install(run)
    assert (dst.read_text(), permissions(dst)) == ("second", 0o755)
    assert (done.irreversible, done.text) == (True, f"copy {rc} -> {dst}: replaced what grex had copied before")
    await COPY.undo(facts(done), run)
    assert dst.read_text() == "second"
    await COPY.undo(facts(first), run)
    assert names(run.home) == []


async def test_a_new_mode_of_the_source_is_copied_too(run: RecordingActionContext, rc: Path, dst: Path) -> None:
    await install(run)
    rc.chmod(0o755)
    assert (await install(run)).changed
    assert permissions(dst) == 0o755


@pytest.mark.parametrize("change", ["bytes", "mode and source"])
async def test_a_copy_that_somebody_changed_is_an_error_and_stays(
    change: str, run: RecordingActionContext, rc: Path, dst: Path
) -> None:
    await install(run)
    if change == "bytes":
        dst.write_text("edited")
    else:
        dst.chmod(0o600)
        rc.write_text("newer")
    before = state(dst)
    for call in (would, perform):
        with pytest.raises(ActionError, match="something that grex did not make is in the way"):
            await call(COPY, RC, run)
    assert state(dst) == before
    assert names(run.home) == [".rc"]


@pytest.mark.parametrize("way", ["backup", "force"])
async def test_a_copy_that_somebody_changed_is_kept_beside_and_comes_back(
    way: str, context: RecordingContext, run: RecordingActionContext, rc: Path, dst: Path
) -> None:
    await install(run)
    dst.write_text("edited")
    dst.chmod(0o600)
    os.utime(dst, ns=(T0, T0))
    before = dst.stat()
    forced = actions_of(context, force=way == "force")
    done = await install(forced, RC_BACKUP if way == "backup" else RC)
    assert dst.read_bytes() == rc.read_bytes()
    backup = Path(facts(done)["backup"])
    assert backup.read_text() == "edited"
    assert backup.name in done.text
    for _ in range(2):
        await COPY.undo(facts(done), forced)
        assert (dst.stat().st_ino, dst.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
        assert names(run.home) == [".rc"]


@pytest.mark.parametrize("kind", ["file", "directory", "link", "dangling link", "link to the source", "fifo"])
async def test_something_foreign_is_an_error_or_a_backup_and_a_link_is_never_written_through(
    kind: str, run: RecordingActionContext, rc: Path, dst: Path
) -> None:
    target = run.home / "target"
    target.write_text("theirs")
    match kind:
        case "file":
            dst.write_text("mine")
        case "directory":
            dst.mkdir()
            (dst / "x").touch()
        case "fifo":
            os.mkfifo(dst)
        case _:
            dst.symlink_to({"link": target, "dangling link": Path("nowhere"), "link to the source": rc}[kind])
    before = state(dst)
    with pytest.raises(ActionError, match="something that grex did not make is in the way"):
        await perform(COPY, RC, run)
    assert state(dst) == before
    done = await perform(COPY, RC_BACKUP, run)
    assert dst.read_bytes() == rc.read_bytes()
    assert not dst.is_symlink()
    assert target.read_text() == "theirs"
    assert rc.read_bytes() == b"from the pack\xff\0"
    await COPY.undo(facts(done), run)
    assert state(dst) == before
    assert names(run.home) == [".rc", "target"]


async def test_a_users_file_that_is_right_already_stays_the_users(
    run: RecordingActionContext, rc: Path, dst: Path
) -> None:
    dst.write_bytes(rc.read_bytes())
    dst.chmod(0o600)
    done = await perform(COPY, RC, run)
    assert (done.changed, done.undo) == (False, None)
    assert permissions(dst) == 0o600
    with pytest.raises(ActionError, match="in the way"):
        await perform(COPY, Arguments(src="files/rc", dst="~/.rc", mode=Mode("0644")), run)
    assert permissions(dst) == 0o600


async def test_a_destination_that_is_the_source_already_is_left_alone(
    run: RecordingActionContext, rc: Path, dst: Path
) -> None:
    (run.home / "conf").symlink_to(rc.parent)
    done = await perform(COPY, Arguments(src="files/rc", dst="~/conf/rc", backup=True, mode=Mode("0600")), run)
    assert (done.changed, done.undo) == (False, None)
    assert (rc.read_bytes(), permissions(rc)) == (b"from the pack\xff\0", 0o640)


# --- what it takes back


async def test_undo_leaves_a_copy_that_was_changed_and_says_so(
    run: RecordingActionContext, rc: Path, dst: Path
) -> None:
    done = await install(run)
    dst.write_text("edited")
    await COPY.undo(facts(done), run)
    assert dst.read_text() == "edited"
    assert run.notes == [f"{dst} stays: it is no longer the file that grex copied"]


async def test_undo_keeps_the_backup_where_its_place_is_taken(run: RecordingActionContext, rc: Path, dst: Path) -> None:
    dst.write_text("mine")
    done = await install(run, RC_BACKUP)
    dst.write_text("newer")
    await COPY.undo(facts(done), run)
    backup = Path(facts(done)["backup"])
    assert (dst.read_text(), backup.read_text()) == ("newer", "mine")
    assert f"{backup} stays: {dst} is in its place" in run.notes


async def test_a_users_file_with_the_same_bytes_outlives_a_backup_that_failed(
    run: RecordingActionContext, rc: Path, dst: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is foreign by its mode; the undo must not take it for the copy."""

    def busy(*_: object) -> None:
        raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))

    dst.write_bytes(rc.read_bytes())
    monkeypatch.setattr(Path, "rename", busy)
    with pytest.raises(ActionError, match="resource busy"):
        await perform(COPY, Arguments(src="files/rc", dst="~/.rc", mode=Mode("0600"), backup=True), run)
    assert dst.read_bytes() == rc.read_bytes()


async def test_a_failed_run_brings_back_what_was_there(context: RecordingContext, rc: Path, dst: Path) -> None:
    dst.write_text("mine")
    os.utime(dst, ns=(T0, T0))
    before = dst.stat()
    pack = context.make_pack(actions=[RC_BACKUP, Exec(cmd=("false",))])
    with pytest.raises(ActionError, match="exec false"):
        await Declarative().install(context, pack)
    after = dst.stat()
    assert (after.st_ino, after.st_mtime_ns, after.st_mode) == (before.st_ino, before.st_mtime_ns, before.st_mode)
    assert names(context.home) == [".rc"]


@pytest.mark.parametrize("operation", ["write", "fsync", "link"])
async def test_a_full_disk_leaves_everything_as_it_was(
    operation: str, run: RecordingActionContext, rc: Path, dst: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    dst.write_text("mine")
    monkeypatch.setattr(os, operation, full)
    for arguments in (RC_BACKUP, Arguments(src="files/rc", dst="~/a/b")):
        with pytest.raises(ActionError, match="no space left on device"):
            await perform(COPY, arguments, run)
    assert names(run.home) == [".rc"]
    assert dst.read_text() == "mine"


async def test_a_replacement_that_fails_when_it_is_in_place_says_that_the_old_version_is_gone(
    run: RecordingActionContext, rc: Path, dst: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await install(run)
    rc.write_text("second")
    real = os.replace

    def late(*args: Any) -> None:
        real(*args)
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "replace", late)
    with pytest.raises(ActionError) as caught:
        await perform(COPY, RC, run)
    assert "The new version is in its place, and the one before it was not kept." in (caught.value.hint or "")
    assert dst.read_text() == "second"


async def test_a_file_that_comes_between_plan_and_do_is_not_replaced(
    run: RecordingActionContext, rc: Path, dst: Path
) -> None:
    planned = await COPY.plan(RC, run)
    assert planned is not None
    dst.write_text("mine")
    with pytest.raises(ActionError, match="file exists"):
        await COPY.do(RC, planned, run)
    await COPY.undo(planned.undo or {}, run)
    assert dst.read_text() == "mine"
    assert names(run.home) == [".rc"]


async def test_a_file_system_without_links_gets_its_copy_all_the_same(
    run: RecordingActionContext, rc: Path, dst: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_links(*_: object, **__: object) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", no_links)
    await perform(COPY, RC, run)
    assert dst.read_bytes() == rc.read_bytes()
    assert names(run.home) == [".rc"]


async def test_a_source_that_changes_while_it_is_copied_is_an_error(
    run: RecordingActionContext, rc: Path, dst: Path
) -> None:
    planned = await COPY.plan(RC, run)
    assert planned is not None
    rc.write_text("changed")
    with pytest.raises(ActionError, match="the source changed meanwhile"):
        await COPY.do(RC, planned, run)
    assert names(run.home) == []


async def test_the_temporary_file_of_a_killed_run_is_taken_away_by_the_next_one_or_by_the_undo(
    context: RecordingContext, run: RecordingActionContext, rc: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for way in ("next run", "undo"):
        planned = await COPY.plan(RC, run)
        assert planned is not None
        assert planned.undo is not None
        with monkeypatch.context() as patch:
            patch.setattr(os, "link", die)
            patch.setattr(Path, "unlink", die)
            with pytest.raises(Killed):
                await COPY.do(RC, planned, run)
        assert names(run.home) == [Path(planned.undo["temp"]).name]
        run.remember(COPY, planned.undo)
        if way == "next run":
            done = await install(run)
            assert names(run.home) == [".rc"]
            await COPY.undo(facts(done), run)
        else:
            await COPY.undo(planned.undo, run)
        assert names(run.home) == []


async def test_what_a_kill_leaves_of_a_copy_that_is_right_is_taken_away_by_the_next_run(
    run: RecordingActionContext, rc: Path, dst: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The copy has its name already, and not yet lost that of the temporary file."""
    planned = await COPY.plan(RC, run)
    assert planned is not None
    assert planned.undo is not None
    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", die)
        with pytest.raises(Killed):
            await COPY.do(RC, planned, run)
    assert names(run.home) == sorted([Path(planned.undo["temp"]).name, ".rc"])
    run.remember(COPY, planned.undo)
    done = await install(run)
    assert (done.undo, done.text) == (None, f"copy {rc} -> {dst}: take away what a killed run left beside it")
    assert names(run.home) == [".rc"]
    assert await would(COPY, RC, run) is None


# --- what is refused, and what is said


@pytest.mark.parametrize("src", ["files", "files/absent", "files/dangling", "files/fifo"])
async def test_a_source_that_is_no_file_is_an_error(src: str, run: RecordingActionContext, rc: Path) -> None:
    (rc.parent / "dangling").symlink_to("nowhere")
    os.mkfifo(rc.parent / "fifo")
    with pytest.raises(ActionError, match=r"the source (does not exist|is not a regular file)"):
        await perform(COPY, Arguments(src=src, dst="~/a/x"), run)
    assert names(run.home) == []


async def test_a_plan_says_that_a_source_is_not_there_yet(run: RecordingActionContext, rc: Path) -> None:
    plan = await would(COPY, Arguments(src="built", dst="~/x"), run)
    assert (plan or "").endswith("whose source is not there yet")


@pytest.mark.parametrize("dst", ["files/rc", "files/../files/rc", "~/x/..", "~/a\0b", "~/" + "x" * 300, "~/$NOT_SET"])
async def test_a_destination_that_cannot_be_is_an_error(dst: str, run: RecordingActionContext, rc: Path) -> None:
    with pytest.raises(ActionError):
        await perform(COPY, Arguments(src="files/rc", dst=dst, backup=True), run)
    assert rc.read_bytes() == b"from the pack\xff\0"
    assert names(run.home) == []


@pytest.mark.parametrize("dst", ["~", "$GREX_WORKSPACE", "$GREX_PACK_PATH", "files"])
async def test_a_directory_that_everything_hangs_on_is_never_moved(
    dst: str, run: RecordingActionContext, rc: Path
) -> None:
    with pytest.raises(ActionError, match="and is not moved"):
        await perform(COPY, Arguments(src="files/rc", dst=dst, backup=True), run)


def test_it_asks_for_trust_where_an_end_lies_outside(run: RecordingActionContext, rc: Path) -> None:
    (run.pack.root / "out").symlink_to(run.home)
    assert COPY.needs_trust(Arguments(src="files/rc", dst="build/rc"), run) == ()
    assert COPY.needs_trust(RC, run) == (f"copy {rc} -> {run.home}/.rc",)
    for src, dst in (("/etc/passwd", "x"), ("../other/x", "x"), ("out/x", "x"), ("files/rc", "out/x"), ("$NO", "x")):
        assert COPY.needs_trust(Arguments(src=src, dst=dst), run) != (), (src, dst)


async def test_it_claims_its_destination_and_says_what_it_takes_back(
    run: RecordingActionContext, rc: Path, dst: Path
) -> None:
    assert COPY.claims(RC, run) == (str(dst),)
    assert COPY.describe_undo(facts(await install(run))) == f"copy {dst}"
    assert COPY.check(Arguments(src="", dst="x")) == "copy needs a src that is not empty"
    assert COPY.check(RC) is None


@pytest.mark.parametrize(
    "broken", [{"dst": "x"}, {"sha256": 1}, {"made": "x"}, {"temp": "/etc/passwd"}, {"backup": "x"}]
)
async def test_undo_data_that_do_cannot_have_written_is_refused(
    broken: dict[str, Any], run: RecordingActionContext, rc: Path, dst: Path
) -> None:
    done = await install(run)
    with pytest.raises(ActionError, match="the recorded undo data cannot be used"):
        await COPY.undo({**facts(done), **broken}, run)
    assert dst.exists()


async def test_drift_is_a_copy_that_was_changed_or_is_gone_and_not_a_newer_source(
    run: RecordingActionContext, rc: Path, dst: Path
) -> None:
    assert await COPY.drift(RC, run) == f"copy {rc} -> {dst}"
    await install(run)
    rc.write_text("newer")
    assert await COPY.drift(RC, run) is None
    dst.chmod(0o600)
    assert await COPY.drift(RC, run) is None
    with_mode = Arguments(src="files/rc", dst="~/.rc", mode=Mode("0640"))
    assert await COPY.drift(with_mode, run) == f"copy {rc} -> {dst}: the permissions of the copy were changed"
    dst.write_bytes(rc.read_bytes())
    assert await COPY.drift(RC, run) is None
    dst.write_text("edited")
    assert await COPY.drift(RC, run) == f"copy {rc} -> {dst}: the copy was changed"
    dst.unlink()
    assert await COPY.drift(RC, run) == f"copy {rc} -> {dst}: the copy is gone"
    dst.symlink_to(rc)
    assert await COPY.drift(RC, run) == f"copy {rc} -> {dst}: something else is in its place"


async def test_a_teardown_after_a_change_that_was_mended_brings_back_what_the_user_had_first(
    context: RecordingContext, run: RecordingActionContext, rc: Path, dst: Path
) -> None:
    dst.write_text("the user's")
    first = await install(run, RC_BACKUP)
    dst.write_text("edited")
    second = await install(actions_of(context, force=True))
    teardown = actions_of(context, is_teardown=True)
    for done in (second, first):
        await COPY.undo(facts(done), teardown)
    assert dst.read_text() == "the user's"
    assert Path(facts(second)["backup"]).read_text() == "edited"
