"""An undo and somebody who writes to the same place at the same moment: what is written then is not lost."""

from __future__ import annotations

import errno
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest

from grex.builtin.actions import copy as copy_module
from grex.builtin.actions import symlink as symlink_module
from grex.builtin.pack_types.declarative import Declarative
from grex.fs import rename_to_free_name
from grex.plugin import ActionArguments, Copy, Outcome, Pack, Symlink
from grex.plugin.testing import RecordingContext, perform
from tests.support.dying import run_until

pytestmark = pytest.mark.anyio

SYMLINK_ACTION = symlink_module.Symlink()
COPY, SYMLINK = Copy(src="f", dst="~/rc"), Symlink(src="f", dst="~/rc")


@pytest.fixture
def anyio_backend() -> str:
    """One event loop: what is asked here does not depend on it."""
    return "asyncio"


async def installed(context: RecordingContext, action: ActionArguments) -> Pack:
    pack = context.make_pack(actions=[action])
    (pack.root / "f").write_text("the pack's\n")
    await Declarative().install(context, pack)
    return pack


async def torn_down(context: RecordingContext, pack: Pack) -> Outcome:
    return await Declarative().teardown(context, pack)


def after_a_look(
    monkeypatch: pytest.MonkeyPatch, action: ActionArguments, path: Path, then: Callable[[], None]
) -> None:
    """Let something happen each time after the undo has looked at a path and found there what grex made."""
    module: Any = copy_module if isinstance(action, Copy) else symlink_module
    name = "_holds" if isinstance(action, Copy) else "_link_text"
    look = getattr(module, name)

    def looked(where: Path, *more: object) -> object:
        found = look(where, *more)
        if where == path and found:
            then()
        return found

    monkeypatch.setattr(module, name, looked)


def save(path: Path, text: str) -> None:
    """Save a file as editors do."""
    new = path.with_name("new")
    new.write_text(text)
    new.replace(path)


@pytest.mark.parametrize("action", [COPY, SYMLINK])
async def test_a_file_that_is_saved_between_the_look_and_the_removal_stays(
    context: RecordingContext, monkeypatch: pytest.MonkeyPatch, action: ActionArguments
) -> None:
    rc = context.home / "rc"
    pack = await installed(context, action)
    after_a_look(monkeypatch, action, rc, lambda: save(rc, "the user's\n"))
    outcome = await torn_down(context, pack)
    assert rc.read_text() == "the user's\n"
    assert [path.name for path in context.home.iterdir()] == ["rc"]
    (note,) = outcome.notes
    assert note.startswith(f"{rc} stays: it is no longer the ")


@pytest.mark.parametrize("action", [COPY, SYMLINK])
@pytest.mark.parametrize("left", ["ours", "the user's"])
async def test_what_a_kill_left_under_the_private_name_is_settled_by_the_next_undo(
    context: RecordingContext, monkeypatch: pytest.MonkeyPatch, action: ActionArguments, left: str
) -> None:
    """`unlink` dies the first time, and with it what would put back."""
    rc = context.home / "rc"
    pack = await installed(context, action)

    class Killed(BaseException):
        pass

    def die(*_: object, **__: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", die)
        patch.setattr("grex.builtin.backups.bring_back", die)
        if left != "ours":
            after_a_look(patch, action, rc, lambda: save(rc, "the user's\n"))
        with pytest.raises(Killed):
            await torn_down(context, pack)
    (aside,) = context.home.iterdir()
    assert aside.name.startswith(".grex-undo-")
    await torn_down(context, pack)
    assert [path.read_text() for path in context.home.iterdir()] == ([] if left == "ours" else ["the user's\n"])
    assert rc.exists() is (left != "ours")


async def replaced(context: RecordingContext) -> tuple[Pack, Path, Path]:
    """A pack whose link has replaced another one of the pack's; the link, and where the other one led."""
    pack = context.make_pack(actions=[SYMLINK])
    (pack.root / "f").write_text("the pack's\n")
    rc, old = context.home / "rc", pack.root / "old"
    rc.symlink_to(old)
    await Declarative().install(context, pack)
    return pack, rc, old


async def test_what_is_saved_in_the_place_of_a_link_that_was_replaced_stays(
    context: RecordingContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    pack, rc, _ = await replaced(context)
    after_a_look(monkeypatch, SYMLINK, rc, lambda: save(rc, "the user's\n"))
    outcome = await torn_down(context, pack)
    assert rc.read_text() == "the user's\n"
    assert [path.name for path in context.home.iterdir()] == ["rc"]
    (note,) = outcome.notes
    assert note.startswith(f"{rc} stays: it is no longer the link")


async def test_what_is_saved_just_before_a_replaced_link_comes_back_stays(
    context: RecordingContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    pack, rc, _ = await replaced(context)

    def rename(source: Path, target: Path) -> None:
        save(rc, "the user's\n")
        rename_to_free_name(source, target)

    monkeypatch.setattr(symlink_module, "rename_to_free_name", rename)
    outcome = await torn_down(context, pack)
    assert rc.read_text() == "the user's\n"
    assert [path.name for path in context.home.iterdir()] == ["rc"]
    assert outcome.notes[0].startswith(f"{rc} stays: it is no longer the link")


@pytest.mark.parametrize("user", ["does nothing", "saves a file", "removes the link"])
def test_a_replaced_link_comes_back_whichever_change_the_undo_is_killed_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, user: str
) -> None:
    """A rename that the kernel does exclusively is not counted: here it is one of those that are."""
    monkeypatch.setattr("grex.fs.renaming._rename_exclusively", lambda *_: errno.ENOSYS)
    for nth in range(1, 10):
        (tmp_path / str(nth)).mkdir()
        context = RecordingContext(tmp_path / str(nth))
        pack = context.make_pack()
        (pack.root / "f").touch()
        rc, old, ctx = context.home / "rc", pack.root / "old", context.of(pack)
        rc.symlink_to(old)
        undo = anyio.run(perform, SYMLINK_ACTION, SYMLINK, ctx).undo
        assert undo is not None
        take_back = partial(anyio.run, SYMLINK_ACTION.undo, undo, ctx)
        was_killed = run_until(take_back, nth, since="grex.builtin.actions.symlink:_put_back")
        if user == "saves a file":
            save(rc, "the user's\n")
        elif user == "removes the link":
            rc.unlink(missing_ok=True)
        take_back()
        if user == "saves a file":
            assert rc.read_text() == "the user's\n"
        elif user == "does nothing":
            assert rc.readlink() == old
        assert [path.name for path in context.home.iterdir()] in (["rc"], [] if user == "removes the link" else ["rc"])
        if not was_killed:
            break
    assert nth == 5  # the old link beside it, the new one away, removed, the old one to its place


async def test_a_backup_does_not_replace_what_came_into_its_place_at_the_last_moment(
    context: RecordingContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    rc = context.home / "rc"
    rc.write_text("older\n")
    pack = await installed(context, Copy(src="f", dst="~/rc", backup=True))

    def rename(source: Path, target: Path) -> None:
        if ".grex-bak." in source.name:
            save(rc, "the user's\n")
        rename_to_free_name(source, target)

    monkeypatch.setattr("grex.builtin.backups.rename_to_free_name", rename)
    outcome = await torn_down(context, pack)
    assert rc.read_text() == "the user's\n"
    (backup,) = context.home.glob("rc.grex-bak.*")
    assert backup.read_text() == "older\n"
    assert outcome.notes == (f"{backup} stays: {rc} is in its place",)
