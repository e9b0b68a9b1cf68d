"""`rmdir`: what it takes away, what it refuses to, and what comes back."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from grex.builtin.actions import rmdir as rmdir_module
from grex.builtin.actions.rmdir import Rmdir
from grex.builtin.pack_types.declarative import Declarative
from grex.errors import ActionError
from grex.fs import remove_tree
from grex.plugin import Done
from grex.plugin import Rmdir as Arguments
from grex.plugin.testing import RecordingActionContext, RecordingContext, perform, would

pytestmark = pytest.mark.anyio

RMDIR = Rmdir()
OLD = Arguments(path="~/old")
OLD_BACKUP = Arguments(path="~/old", backup=True)
OLD_FORCE = Arguments(path="~/old", force=True)
T0 = 1_600_000_000_123_456_789


class Killed(BaseException):
    """The end of the process, as far as the code can see it."""


def die(*_: object, **__: object) -> None:
    raise Killed


def facts(done: Done) -> Mapping[str, Any]:
    assert done.undo is not None
    return done.undo


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def tree(directory: Path) -> dict[str, tuple[int, int, bytes]]:
    found = {}
    for path in sorted(directory.rglob("*")):
        status = path.lstat()
        content = path.read_bytes() if path.is_file() and not path.is_symlink() else b""
        found[str(path.relative_to(directory))] = (status.st_mode, status.st_ino, content)
    return found


@pytest.fixture
def old(ctx: RecordingActionContext) -> Path:
    """An empty directory in the home, with a mode and a time of its own."""
    path = ctx.home / "old"
    path.mkdir()
    path.chmod(0o2751)
    os.utime(path, ns=(T0, T0))
    return path


@pytest.fixture
def full(old: Path) -> Path:
    """The same, with something in it, and a link that leads out of it."""
    (old / "sub/deep").mkdir(parents=True)
    (old / "sub/deep/file").write_text("mine")
    outside = old.parent / "outside"
    outside.mkdir()
    (outside / "kept").write_text("kept")
    (old / "way-out").symlink_to(outside)
    return old


def begun(context: RecordingContext, undo: Mapping[str, Any]) -> RecordingActionContext:
    """The next run after one that was killed when this stood in the log."""
    run = context.of(context.make_pack("tools"), "rmdir")
    run.remember(RMDIR, undo)
    return run


# --- an empty one


async def test_an_empty_directory_goes_and_comes_back_with_its_mode_and_time(
    ctx: RecordingActionContext, old: Path
) -> None:
    before = old.stat()
    done = await perform(RMDIR, OLD, ctx)
    assert not old.exists()
    assert (done.changed, done.irreversible, done.text) == (True, False, f"rmdir {old}")
    for _ in range(2):
        await RMDIR.undo(facts(done), ctx)
        assert (old.stat().st_mode, old.stat().st_mtime_ns) == (before.st_mode, before.st_mtime_ns)


async def test_doing_it_twice_is_doing_it_once(ctx: RecordingActionContext, old: Path) -> None:
    assert await would(RMDIR, OLD, ctx) == f"rmdir {old}"
    assert old.exists()
    await perform(RMDIR, OLD, ctx)
    again = await perform(RMDIR, OLD, ctx)
    assert (again.changed, again.undo) == (False, None)


@pytest.mark.parametrize("path", ["~/absent", "~/file/below"])
async def test_what_is_not_there_is_as_it_should_be(path: str, ctx: RecordingActionContext) -> None:
    (ctx.home / "file").touch()
    assert await would(RMDIR, Arguments(path=path), ctx) is None


async def test_undo_leaves_what_took_its_place(ctx: RecordingActionContext, old: Path) -> None:
    done = await perform(RMDIR, OLD, ctx)
    old.write_text("mine")
    await RMDIR.undo(facts(done), ctx)
    assert old.read_text() == "mine"


async def test_a_file_that_comes_between_plan_and_do_is_not_taken_along(ctx: RecordingActionContext, old: Path) -> None:
    planned = await RMDIR.plan(OLD_FORCE, ctx)
    assert planned is not None
    (old / "new").write_text("mine")
    with pytest.raises(ActionError, match="directory not empty"):
        await RMDIR.do(OLD_FORCE, planned, ctx)
    assert (old / "new").read_text() == "mine"


# --- one with content


async def test_one_with_content_is_an_error_and_a_plan_says_if(ctx: RecordingActionContext, full: Path) -> None:
    before = tree(full)
    assert await would(RMDIR, OLD, ctx) == f"rmdir {full}, if it is empty by then"
    with pytest.raises(ActionError, match=f"rmdir {full}: it is not empty") as caught:
        await perform(RMDIR, OLD, ctx)
    assert "`backup: true`" in (caught.value.hint or "")
    assert tree(full) == before


@pytest.mark.parametrize("arguments", [OLD_BACKUP, Arguments(path="~/old", backup=True, force=True)])
async def test_a_backup_keeps_it_beside_itself_and_undo_brings_it_back(
    arguments: Arguments, ctx: RecordingActionContext, full: Path
) -> None:
    before, status = tree(full), full.stat()
    assert (await would(RMDIR, arguments, ctx) or "").endswith(", with a backup of what is there")
    done = await perform(RMDIR, arguments, ctx)
    assert not full.exists()
    backup = Path(facts(done)["backup"])
    assert re.fullmatch(r"old\.grex-bak\.\d{8}T\d{6}\.\d{6}Z", backup.name)
    assert backup.name in done.text
    assert tree(backup) == before
    for _ in range(2):
        await RMDIR.undo(facts(done), ctx)
        assert tree(full) == before
        assert full.stat().st_mtime_ns == status.st_mtime_ns


async def test_update_with_force_keeps_a_backup_where_the_pack_says_nothing(
    ctx: RecordingActionContext, full: Path
) -> None:
    ctx.force = True
    done = await perform(RMDIR, OLD, ctx)
    assert Path(facts(done)["backup"]).is_dir()


async def test_force_deletes_it_says_that_nothing_takes_it_back_and_follows_no_link(
    ctx: RecordingActionContext, full: Path
) -> None:
    assert await would(RMDIR, OLD_FORCE, ctx) == f"rmdir {full} and all that is in it, for good"
    done = await perform(RMDIR, OLD_FORCE, ctx)
    assert names(ctx.home) == ["outside"]
    assert names(ctx.home / "outside") == ["kept"]
    assert (done.undo, done.irreversible) == (None, True)
    assert done.text == f"rmdir {full} and all that was in it"


# --- killed while it is deleted


@pytest.mark.parametrize("renames", [0, 1])
async def test_killed_before_the_first_removal_it_is_whole_and_goes_back(
    renames: int, context: RecordingContext, ctx: RecordingActionContext, full: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = tree(full)
    planned = await RMDIR.plan(OLD_FORCE, ctx)
    assert planned is not None
    assert planned.undo is not None
    real, count = Path.rename, iter(range(9))
    monkeypatch.setattr(Path, "rename", lambda path, to: die() if next(count) == renames else real(path, to))
    with pytest.raises(Killed):
        await RMDIR.do(OLD_FORCE, planned, ctx)
    monkeypatch.undo()
    for _ in range(2):
        await RMDIR.undo(planned.undo, begun(context, planned.undo))
        assert tree(full) == before
        assert names(ctx.home) == ["old", "outside"]


@pytest.mark.parametrize("way", ["undo", "next run"])
async def test_killed_in_the_middle_it_is_finished(
    way: str, context: RecordingContext, ctx: RecordingActionContext, full: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    planned = await RMDIR.plan(OLD_FORCE, ctx)
    assert planned is not None
    assert planned.undo is not None

    def half(path: Path) -> None:
        remove_tree(path / "sub")
        raise Killed

    monkeypatch.setattr(rmdir_module, "remove_tree", half)
    with pytest.raises(Killed):
        await RMDIR.do(OLD_FORCE, planned, ctx)
    monkeypatch.undo()
    assert len(names(ctx.home)) == 2
    later = begun(context, planned.undo)
    if way == "undo":
        await RMDIR.undo(planned.undo, later)
        assert later.notes == [f"what was in {full} is deleted, which cannot be taken back"]
    else:
        done = await perform(RMDIR, OLD_FORCE, later)
        assert (done.changed, done.irreversible) == (True, True)
        assert await would(RMDIR, OLD_FORCE, later) is None
    assert names(ctx.home) == ["outside"]


async def test_what_cannot_be_deleted_is_put_back_and_the_error_says_that_a_part_is_gone(
    ctx: RecordingActionContext, full: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def half(path: Path) -> None:
        if (path / "sub").exists():
            remove_tree(path / "sub")
        raise PermissionError(1, "Operation not permitted")

    planned = await RMDIR.plan(OLD_FORCE, ctx)
    assert planned is not None
    monkeypatch.setattr(rmdir_module, "remove_tree", half)
    with pytest.raises(ActionError, match="operation not permitted") as caught:
        await RMDIR.do(OLD_FORCE, planned, ctx)
    assert "cannot be taken back" in (caught.value.hint or "")
    with pytest.raises(ActionError, match=f"a part of {full} is deleted; the rest is at {full}:"):
        await RMDIR.undo(planned.undo or {}, ctx)
    assert names(full) == ["way-out"]
    assert names(ctx.home) == ["old", "outside"]


# --- what is refused


@pytest.mark.parametrize("arguments", [OLD, OLD_BACKUP, OLD_FORCE])
@pytest.mark.parametrize("kind", ["file", "link to a directory", "dangling link", "fifo"])
async def test_what_is_no_directory_stays_and_no_link_is_followed(
    kind: str, arguments: Arguments, ctx: RecordingActionContext
) -> None:
    path, target = ctx.home / "old", ctx.home / "target"
    target.mkdir()
    match kind:
        case "file":
            path.touch()
        case "fifo":
            os.mkfifo(path)
        case _:
            path.symlink_to(target if kind == "link to a directory" else "nowhere")
    with pytest.raises(ActionError, match="no link is followed" if "link" in kind else "no directory"):
        await perform(RMDIR, arguments, ctx)
    assert names(ctx.home) == ["old", "target"]


@pytest.mark.parametrize(
    "path",
    [
        "~",
        "~/..",
        "/",
        "$GREX_WORKSPACE",
        "$GREX_WORKSPACE/..",
        "$GREX_PACK_PATH",
        "$GREX_WORKSPACE/libs",
        "$GREX_WORKSPACE/libs/other",
        "~/sources",
        "~/way/home",
    ],
)
@pytest.mark.parametrize(("backup", "force"), [(False, False), (True, False), (False, True)])
async def test_what_everything_hangs_on_is_never_taken_away(
    path: str, backup: bool, force: bool, context: RecordingContext, ctx: RecordingActionContext
) -> None:
    context.make_pack("libs/other")
    (ctx.home / "sources/clone").mkdir(parents=True)
    (ctx.home / "sources/clone/.git").write_text("gitdir: elsewhere")
    (ctx.home / "way").symlink_to(ctx.home.parent)
    before = tree(ctx.home.parent)
    for call in (perform, would):
        with pytest.raises(ActionError, match="and is not taken away"):
            await call(RMDIR, Arguments(path=path, backup=backup, force=force), ctx)
    assert tree(ctx.home.parent) == before


@pytest.mark.parametrize("path", ["~/a\0b", "~/" + "x" * 300, "~/$NOT_SET"])
async def test_a_path_that_cannot_be_is_an_error_of_the_action(path: str, ctx: RecordingActionContext) -> None:
    with pytest.raises(ActionError):
        await perform(RMDIR, Arguments(path=path), ctx)


def test_an_empty_path_is_refused_before_anything_runs() -> None:
    assert RMDIR.check(Arguments(path="")) == "rmdir needs a path that is not empty"
    assert RMDIR.check(OLD) is None


def test_it_asks_for_trust_outside_and_for_whatever_it_would_delete(ctx: RecordingActionContext) -> None:
    assert RMDIR.needs_trust(Arguments(path="build"), ctx) == ()
    assert RMDIR.needs_trust(OLD, ctx) == (f"rmdir {ctx.home}/old",)
    assert RMDIR.needs_trust(Arguments(path="../other"), ctx) != ()
    assert RMDIR.needs_trust(Arguments(path="$NOT_SET"), ctx) == ("rmdir $NOT_SET",)
    inside = ctx.pack.root / "build"
    assert RMDIR.needs_trust(Arguments(path="build", force=True), ctx) == (f"rmdir {inside} and all that is in it",)
    assert RMDIR.claims(OLD, ctx) == (str(ctx.home / "old"),)


@pytest.mark.parametrize(
    "undo",
    [
        {},
        {"path": "/a"},
        {"path": "/a", "way": "empty", "mode": "x", "mtime_ns": 1},
        {"path": "/a", "way": "backup", "backup": "b"},
        {"path": "/a/b", "way": "force", "whole": "/a/c", "doomed": "/home"},
        {"path": "/a/b", "way": "force", "whole": "/a/c", "doomed": "/home/.grex-tmp-1"},
    ],
)
async def test_undo_data_that_do_cannot_have_written_is_refused(
    undo: dict[str, Any], ctx: RecordingActionContext
) -> None:
    with pytest.raises(ActionError, match="the recorded undo data cannot be used"):
        await RMDIR.undo(undo, ctx)


async def test_it_says_what_it_takes_back(ctx: RecordingActionContext, old: Path) -> None:
    assert RMDIR.describe_undo(facts(await perform(RMDIR, OLD, ctx))) == f"rmdir {old}"


async def test_drift_is_a_directory_that_is_back(ctx: RecordingActionContext, old: Path) -> None:
    await perform(RMDIR, OLD, ctx)
    assert await RMDIR.drift(OLD, ctx) is None
    old.mkdir()
    assert await RMDIR.drift(OLD, ctx) == f"rmdir {old}: it is there again"


async def test_a_teardown_brings_back_what_was_there_first_and_leaves_a_later_one_beside(tmp_path: Path) -> None:
    context = RecordingContext(tmp_path)
    pack_yaml = 'schema_version: "1"\nname: p\ntype: declarative\nactions: [rmdir: {path: ~/old, backup: true}]\n'
    pack = context.make_pack("p", pack_yaml=pack_yaml)
    old = context.home / "old"
    for name in ("first", "second"):
        old.mkdir()
        (old / name).touch()
        await Declarative().install(context, pack)
    await Declarative().teardown(context, pack)
    assert names(old) == ["first"]
    (beside,) = context.home.glob("old.grex-bak.*")
    assert names(beside) == ["second"]
