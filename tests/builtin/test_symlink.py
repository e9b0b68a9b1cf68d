"""`symlink`: what it finds at its destination, what it does about it, and what it takes back."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from grex.builtin import backups
from grex.builtin.actions.symlink import Symlink
from grex.builtin.pack_types.declarative import Declarative
from grex.errors import ActionError
from grex.plugin import Done, Exec
from grex.plugin import Symlink as Arguments
from grex.plugin.testing import RecordingActionContext, RecordingContext, perform, would

pytestmark = pytest.mark.anyio

SYMLINK = Symlink()
RC = Arguments(src="files/rc", dst="~/.rc")
RC_BACKUP = Arguments(src="files/rc", dst="~/.rc", backup=True)


@pytest.fixture
def rc(ctx: RecordingActionContext) -> Path:
    """The source in the pack."""
    source = ctx.pack.root / "files/rc"
    source.parent.mkdir()
    source.write_text("from the pack")
    return source


@pytest.fixture
def dst(ctx: RecordingActionContext) -> Path:
    """The destination in the home."""
    return ctx.home / ".rc"


class KilledError(BaseException):
    """Nothing cleans up after this."""


def die(*_: object) -> None:
    raise KilledError


def facts(done: Done) -> Mapping[str, Any]:
    assert done.undo is not None
    return done.undo


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def but_for_reading(path: Path) -> tuple[int, ...]:
    """What is known of a file without looking into it: reading a link changes its time of access."""
    found = path.lstat()
    return (found.st_ino, found.st_mode, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


async def test_a_link_is_made_with_the_absolute_path_of_its_source(
    ctx: RecordingActionContext, rc: Path, dst: Path
) -> None:
    done = await perform(SYMLINK, RC, ctx)
    assert dst.readlink() == rc
    assert done.changed
    assert done.text == f"symlink {dst} -> {rc}"


async def test_plugins_may_give_paths_and_pack_yaml_may_give_variables(
    ctx: RecordingActionContext, rc: Path, dst: Path
) -> None:
    await perform(SYMLINK, Arguments(src=rc, dst=dst), ctx)
    assert await would(SYMLINK, Arguments(src="$GREX_PACK_PATH/files/rc", dst="${HOME}/.rc"), ctx) is None


async def test_doing_it_twice_is_doing_it_once(ctx: RecordingActionContext, rc: Path, dst: Path) -> None:
    assert await would(SYMLINK, RC, ctx) == f"symlink {dst} -> {rc}"
    await perform(SYMLINK, RC, ctx)
    before = but_for_reading(dst)
    again = await perform(SYMLINK, RC, ctx)
    assert not again.changed
    assert but_for_reading(dst) == before
    assert await would(SYMLINK, RC, ctx) is None


async def test_a_plan_changes_nothing(ctx: RecordingActionContext, rc: Path, dst: Path) -> None:
    await would(SYMLINK, Arguments(src="files/rc", dst="~/a/b"), ctx)
    dst.write_text("mine")
    assert await would(SYMLINK, RC_BACKUP, ctx) == f"symlink {dst} -> {rc}, with a backup of what is there"
    assert names(ctx.home) == [".rc"]
    assert dst.read_text() == "mine"


async def test_undo_removes_the_link_and_the_parents_that_were_made(ctx: RecordingActionContext, rc: Path) -> None:
    (ctx.home / "kept").mkdir()
    done = await perform(SYMLINK, Arguments(src="files/rc", dst="~/kept/a/b/rc"), ctx)
    assert facts(done)["made"] == [str(ctx.home / "kept/a"), str(ctx.home / "kept/a/b")]
    await SYMLINK.undo(facts(done), ctx)
    await SYMLINK.undo(facts(done), ctx)  # a second time changes nothing
    assert names(ctx.home / "kept") == []
    assert rc.exists()


async def test_undo_leaves_a_link_that_points_elsewhere_by_now_and_says_so(
    ctx: RecordingActionContext, rc: Path, dst: Path
) -> None:
    done = await perform(SYMLINK, RC, ctx)
    dst.unlink()
    dst.symlink_to("/somewhere/else")
    await SYMLINK.undo(facts(done), ctx)
    assert dst.readlink() == Path("/somewhere/else")
    assert ctx.notes == [f"{dst} stays: it is no longer the link that grex made"]


async def test_undo_leaves_a_file_that_took_the_links_place(ctx: RecordingActionContext, rc: Path, dst: Path) -> None:
    done = await perform(SYMLINK, RC, ctx)
    dst.unlink()
    dst.write_text("mine")
    await SYMLINK.undo(facts(done), ctx)
    assert dst.read_text() == "mine"


@pytest.mark.parametrize("undo", [{}, {"link": "/a", "src": "/b"}, {"link": "a", "src": "/b", "made": []}])
async def test_undo_data_that_do_cannot_have_written_is_refused(
    undo: dict[str, Any], ctx: RecordingActionContext
) -> None:
    with pytest.raises(ActionError, match="the recorded undo data cannot be used"):
        await SYMLINK.undo(undo, ctx)


# --- what is found at the destination


@pytest.mark.parametrize("kind", ["file", "directory", "empty directory", "link", "dangling link"])
async def test_something_foreign_is_an_error_and_stays(
    kind: str, ctx: RecordingActionContext, rc: Path, dst: Path
) -> None:
    make_foreign(dst, kind)
    before = but_for_reading(dst)
    for call in (would, perform):
        with pytest.raises(ActionError, match="something that grex did not make is in the way") as caught:
            await call(SYMLINK, RC, ctx)
        assert caught.value.hint is not None
        assert "`backup: true`" in caught.value.hint
    assert but_for_reading(dst) == before
    assert names(ctx.home) == [".rc"]


@pytest.mark.parametrize("kind", ["file", "directory", "empty directory", "link", "dangling link"])
async def test_something_foreign_is_kept_as_a_backup_and_undo_brings_it_back(
    kind: str, ctx: RecordingActionContext, rc: Path, dst: Path
) -> None:
    make_foreign(dst, kind)
    before = dst.lstat()
    done = await perform(SYMLINK, RC_BACKUP, ctx)
    backup = Path(facts(done)["backup"])
    assert dst.readlink() == rc
    assert backup.lstat().st_ino == before.st_ino
    assert re.fullmatch(r"\.rc\.grex-bak\.\d{8}T\d{6}\.\d{6}Z", backup.name)
    assert backup.name in done.text
    await SYMLINK.undo(facts(done), ctx)
    assert dst.lstat().st_ino == before.st_ino
    assert names(ctx.home) == [".rc"]


async def test_a_backup_never_replaces_another(
    ctx: RecordingActionContext, rc: Path, dst: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backups, "utc_stamp", lambda: "NOW")
    for text in ("first", "second", "third"):
        dst.unlink(missing_ok=True)
        dst.write_text(text)
        await perform(SYMLINK, RC_BACKUP, ctx)
    kept = {path.name: path.read_text() for path in ctx.home.iterdir() if path.name != ".rc"}
    assert kept == {".rc.grex-bak.NOW": "first", ".rc.grex-bak.NOW-2": "second", ".rc.grex-bak.NOW-3": "third"}


async def test_a_dangling_link_with_the_name_of_a_backup_is_not_replaced_either(
    ctx: RecordingActionContext, rc: Path, dst: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backups, "utc_stamp", lambda: "NOW")
    dst.write_text("mine")
    (ctx.home / ".rc.grex-bak.NOW").symlink_to("/nowhere")
    done = await perform(SYMLINK, RC_BACKUP, ctx)
    assert facts(done)["backup"] == f"{dst}.grex-bak.NOW-2"


async def test_undo_keeps_the_backup_where_its_place_is_taken(ctx: RecordingActionContext, rc: Path, dst: Path) -> None:
    dst.write_text("mine")
    done = await perform(SYMLINK, RC_BACKUP, ctx)
    dst.unlink()
    dst.write_text("newer")
    await SYMLINK.undo(facts(done), ctx)
    backup = Path(facts(done)["backup"])
    assert dst.read_text() == "newer"
    assert backup.read_text() == "mine"
    assert f"{backup} stays: {dst} is in its place" in ctx.notes


async def test_a_link_of_ours_to_another_source_is_replaced_at_once(
    ctx: RecordingActionContext, rc: Path, dst: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (rc.parent / "old").touch()
    dst.symlink_to(rc.parent / "old")
    monkeypatch.setattr(Path, "unlink", lambda *_: pytest.fail("there was a moment without the link"))
    done = await perform(SYMLINK, RC, ctx)
    monkeypatch.undo()
    assert dst.readlink() == rc
    assert done.changed
    assert facts(done)["backup"] is None
    assert names(ctx.home) == [".rc"]


async def test_a_link_of_ours_whose_source_is_gone_is_replaced(
    ctx: RecordingActionContext, rc: Path, dst: Path
) -> None:
    dst.symlink_to(rc.parent / "renamed-upstream")
    await perform(SYMLINK, RC, ctx)
    assert dst.readlink() == rc


async def test_a_relative_link_into_the_pack_is_ours_too(ctx: RecordingActionContext, rc: Path, dst: Path) -> None:
    dst.symlink_to(Path("../workspace/tools/files/old"))
    await perform(SYMLINK, RC, ctx)
    assert dst.readlink() == rc


@pytest.mark.parametrize("text", ["../workspace/tools-of-mine/x", "../workspace/tools/../mine"])
async def test_a_link_to_a_neighbour_of_the_pack_is_foreign(
    text: str, ctx: RecordingActionContext, rc: Path, dst: Path
) -> None:
    dst.symlink_to(text)
    with pytest.raises(ActionError, match="in the way"):
        await perform(SYMLINK, RC, ctx)


async def test_a_users_link_that_gets_into_the_pack_by_way_of_another_is_foreign(
    ctx: RecordingActionContext, rc: Path, dst: Path
) -> None:
    (rc.parent / "other").touch()
    (ctx.home / "way").symlink_to(rc.parent / "other")
    dst.symlink_to(ctx.home / "way")
    with pytest.raises(ActionError, match="in the way"):
        await perform(SYMLINK, RC, ctx)


async def test_a_link_that_resolves_to_the_source_stays_as_the_user_wrote_it(
    ctx: RecordingActionContext, rc: Path, dst: Path
) -> None:
    dst.symlink_to("../workspace/tools/files/rc")
    done = await perform(SYMLINK, RC_BACKUP, ctx)
    assert not done.changed
    assert done.undo is None
    assert dst.readlink() == Path("../workspace/tools/files/rc")


async def test_taking_back_a_run_that_found_the_link_in_place_leaves_it(
    context: RecordingContext, rc: Path, dst: Path
) -> None:
    dst.symlink_to(rc)
    pack = context.make_pack(actions=[RC, Exec(cmd=("false",))])
    with pytest.raises(ActionError, match="exec false"):
        await Declarative().install(context, pack)
    assert dst.readlink() == rc


async def test_a_destination_that_is_the_source_already_is_left_alone(ctx: RecordingActionContext, rc: Path) -> None:
    (ctx.home / "conf").symlink_to(rc.parent)  # so ~/conf/rc is the source itself
    done = await perform(SYMLINK, Arguments(src="files/rc", dst="~/conf/rc", backup=True), ctx)
    assert not done.changed
    assert done.undo is None
    assert rc.read_text() == "from the pack"
    assert names(rc.parent) == ["rc"]


async def test_the_destination_is_not_followed_when_it_is_a_link_to_a_directory(
    ctx: RecordingActionContext, rc: Path, dst: Path, tmp_path: Path
) -> None:
    (tmp_path / "theirs").mkdir()
    dst.symlink_to(tmp_path / "theirs")
    await perform(SYMLINK, RC_BACKUP, ctx)
    assert names(tmp_path / "theirs") == []
    assert dst.readlink() == rc


# --- what is refused


async def test_a_source_that_is_missing_is_an_error_and_a_plan_says_so(ctx: RecordingActionContext, rc: Path) -> None:
    arguments = Arguments(src="files/absent", dst="~/a/rc")
    plan = await would(SYMLINK, arguments, ctx)
    assert plan is not None
    assert plan.endswith("whose source is not there yet")
    with pytest.raises(ActionError, match="the source does not exist"):
        await perform(SYMLINK, arguments, ctx)
    assert names(ctx.home) == []


async def test_a_dangling_link_as_source_is_missing(ctx: RecordingActionContext, rc: Path) -> None:
    (rc.parent / "dangling").symlink_to("absent")
    with pytest.raises(ActionError, match="the source does not exist"):
        await perform(SYMLINK, Arguments(src="files/dangling", dst="~/x"), ctx)


@pytest.mark.parametrize("dst", ["~", "$GREX_WORKSPACE", "$GREX_PACK_PATH", "files", "/"])
async def test_a_directory_that_everything_hangs_on_is_never_moved(
    dst: str, ctx: RecordingActionContext, rc: Path
) -> None:
    with pytest.raises(ActionError):
        await perform(SYMLINK, Arguments(src="files/rc", dst=dst, backup=True), ctx)
    assert rc.read_text() == "from the pack"
    assert not any("grex-bak" in name for name in names(ctx.workspace) + names(ctx.home) + names(ctx.pack.root))


async def test_a_directory_with_another_packs_checkout_is_not_moved(ctx: RecordingActionContext, rc: Path) -> None:
    (ctx.workspace / "libs/deep/child/.git").mkdir(parents=True)
    with pytest.raises(ActionError, match="holds a checkout and is not moved"):
        await perform(SYMLINK, Arguments(src="files/rc", dst="$GREX_WORKSPACE/libs", backup=True), ctx)
    assert (ctx.workspace / "libs/deep/child/.git").is_dir()


async def test_a_users_own_directory_with_checkouts_may_be_moved(ctx: RecordingActionContext, rc: Path) -> None:
    (ctx.home / ".vim/bundle/x/.git").mkdir(parents=True)
    await perform(SYMLINK, Arguments(src="files", dst="~/.vim", backup=True), ctx)
    assert (ctx.home / ".vim").readlink() == rc.parent


@pytest.mark.parametrize("dst", ["files/rc", "files/../files/rc"])
async def test_a_link_to_itself_is_refused(dst: str, ctx: RecordingActionContext, rc: Path) -> None:
    with pytest.raises(ActionError, match="a link cannot point to itself"):
        await perform(SYMLINK, Arguments(src="files/rc", dst=dst, backup=True), ctx)
    assert rc.read_text() == "from the pack"


async def test_a_file_among_the_parents_is_named(ctx: RecordingActionContext, rc: Path) -> None:
    (ctx.home / "taken").touch()
    for call in (would, perform):
        with pytest.raises(ActionError, match=f"{ctx.home}/taken is in the way and is not a directory"):
            await call(SYMLINK, Arguments(src="files/rc", dst="~/taken/x/rc"), ctx)


@pytest.mark.parametrize("dst", ["~/a\0b", "~/" + "x" * 300, "~/$NOT_SET", "~/x/.."])
async def test_a_destination_that_cannot_be_is_an_error_of_the_action(
    dst: str, ctx: RecordingActionContext, rc: Path
) -> None:
    with pytest.raises(ActionError):
        await perform(SYMLINK, Arguments(src="files/rc", dst=dst), ctx)
    assert names(ctx.home) == []


async def test_a_failure_puts_the_backup_back_and_removes_what_was_made(
    ctx: RecordingActionContext, rc: Path, dst: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    dst.write_text("mine")
    monkeypatch.setattr(Path, "symlink_to", full)
    for arguments in (RC_BACKUP, Arguments(src="files/rc", dst="~/a/b")):
        with pytest.raises(ActionError, match="no space left on device"):
            await perform(SYMLINK, arguments, ctx)
    assert names(ctx.home) == [".rc"]
    assert dst.read_text() == "mine"


async def test_a_failed_replacement_leaves_the_old_link_and_no_temporary_one(
    ctx: RecordingActionContext, rc: Path, dst: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise OSError(errno.EACCES, os.strerror(errno.EACCES))

    dst.symlink_to(rc.parent / "old")
    monkeypatch.setattr(Path, "replace", refused)
    with pytest.raises(ActionError, match="permission denied"):
        await perform(SYMLINK, RC, ctx)
    assert dst.readlink() == rc.parent / "old"
    assert names(ctx.home) == [".rc"]


@pytest.mark.parametrize("way", ["next run", "next run finds it right", "undo"])
async def test_the_link_that_a_killed_replacement_leaves_is_taken_away_by_the_next_run_or_by_the_undo(
    way: str, ctx: RecordingActionContext, rc: Path, dst: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = rc.parent / "old"
    old.touch()
    dst.symlink_to(old)
    planned = await SYMLINK.plan(RC, ctx)
    assert planned is not None
    assert planned.undo is not None
    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", die)
        with pytest.raises(KilledError):
            await SYMLINK.do(RC, planned, ctx)
    assert names(ctx.home) == sorted([Path(planned.undo["temp"]).name, ".rc"])
    ctx.remember(SYMLINK, planned.undo)
    if way == "undo":
        await SYMLINK.undo(planned.undo, ctx)
    elif way == "next run":
        await perform(SYMLINK, RC, ctx)
    else:
        arguments = Arguments(src="files/old", dst="~/.rc")
        done = await perform(SYMLINK, arguments, ctx)
        assert (done.undo, done.text) == (None, f"symlink {dst} -> {old}: take away what a killed run left beside it")
        assert await would(SYMLINK, arguments, ctx) is None
    assert names(ctx.home) == [".rc"]
    assert dst.readlink() == (rc if way == "next run" else old)


# --- the other arguments, trust


@pytest.mark.parametrize(
    ("kind", "src", "expected"),
    [("auto", "files", True), ("auto", "files/rc", False), ("dir", "files/rc", True), ("file", "files", False)],
)
async def test_kind_decides_which_link_windows_is_asked_for(
    kind: Any, src: str, expected: bool, ctx: RecordingActionContext, rc: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bool] = []
    monkeypatch.setattr(Path, "symlink_to", lambda *_, target_is_directory: asked.append(target_is_directory))
    await perform(SYMLINK, Arguments(src=src, dst="~/x", kind=kind), ctx)
    assert asked == [expected]


@pytest.mark.parametrize("name", ["Ünïcode 🌱", "e\u0301", "日本語", " spaces and 'quotes' ", "-dash", "a\nb"])
async def test_any_name_is_linked_as_it_is_written(name: str, ctx: RecordingActionContext, rc: Path) -> None:
    (rc.parent / name).touch()
    done = await perform(SYMLINK, Arguments(src=f"files/{name}", dst=f"~/{name}"), ctx)
    assert (ctx.home / name).readlink() == rc.parent / name
    assert "\n" not in done.text
    await SYMLINK.undo(facts(done), ctx)
    assert names(ctx.home) == []


def test_empty_paths_are_refused_before_anything_runs() -> None:
    assert SYMLINK.check(RC) is None
    assert SYMLINK.check(Arguments(src="", dst="x")) == "symlink needs a src that is not empty"
    assert SYMLINK.check(Arguments(src="x", dst="")) == "symlink needs a dst that is not empty"


def test_a_link_from_the_pack_to_the_pack_needs_no_trust(ctx: RecordingActionContext) -> None:
    assert SYMLINK.needs_trust(Arguments(src="files/rc", dst="bin/rc"), ctx) == ()


@pytest.mark.parametrize(
    ("src", "dst"),
    [
        ("files/rc", "~/.rc"),
        ("files/rc", ".git/hooks/post-checkout"),
        ("/etc", "etc"),
        ("..", "up"),
        ("a/../b", "c"),  # where `a` may be a link by the time this runs
        ("files/rc", "a/../b"),
        ("out/x", "inside"),
        ("files/rc", "out/x"),
        ("$NOT_SET", "x"),
    ],
)
def test_a_link_with_an_end_outside_the_pack_needs_trust(
    src: str, dst: str, ctx: RecordingActionContext, tmp_path: Path
) -> None:
    (ctx.pack.root / "out").symlink_to(tmp_path)
    (line,) = SYMLINK.needs_trust(Arguments(src=src, dst=dst), ctx)
    assert line.startswith("symlink ")


def make_foreign(path: Path, kind: str) -> None:
    match kind:
        case "file":
            path.write_text("mine")
        case "directory":
            path.mkdir()
            (path / "mine").touch()
        case "empty directory":
            path.mkdir()
        case "link":
            path.symlink_to(path.parent)
        case _:
            path.symlink_to("/nowhere")
