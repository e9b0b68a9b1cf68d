"""`mkdir`: makes, leaves alone, takes back, and refuses."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import pytest

from grex.builtin.actions.mkdir import Mkdir
from grex.builtin.directories import make_missing
from grex.builtin.pack_types.declarative import Declarative
from grex.errors import ActionError
from grex.pack import Mode
from grex.plugin import Mkdir as Arguments
from grex.plugin.testing import RecordingActionContext, RecordingContext, perform, would
from tests.support.unprivileged import unprivileged_directory

pytestmark = pytest.mark.anyio

MKDIR = Mkdir()


def permissions(path: Path) -> int:
    return path.stat().st_mode & 0o7777


async def test_a_directory_is_made_with_its_parents_and_the_undo_data_names_them_outermost_first(
    ctx: RecordingActionContext,
) -> None:
    done = await perform(MKDIR, Arguments(path="~/a/b/c"), ctx)
    assert (ctx.home / "a/b/c").is_dir()
    assert done.changed
    assert done.undo == {"made": [str(ctx.home / name) for name in ("a", "a/b", "a/b/c")]}


async def test_a_relative_path_starts_at_the_pack_and_variables_are_expanded(ctx: RecordingActionContext) -> None:
    await perform(MKDIR, Arguments(path="out/${GREX_PACK_NAME}"), ctx)
    assert (ctx.pack.root / "out/tools").is_dir()


async def test_the_mode_of_everything_made_is_exact_under_any_umask(ctx: RecordingActionContext) -> None:
    before = os.umask(0o077)
    try:
        await perform(MKDIR, Arguments(path="~/open/inner", mode=Mode("0775")), ctx)
        await perform(MKDIR, Arguments(path="~/default"), ctx)
    finally:
        os.umask(before)
    assert permissions(ctx.home / "open") == permissions(ctx.home / "open/inner") == 0o775
    assert permissions(ctx.home / "default") == 0o755


async def test_a_mode_that_bars_its_owner_does_not_bar_the_directories_inside() -> None:
    with unprivileged_directory() as directory:  # nothing bars root
        context = RecordingContext(directory)
        await perform(MKDIR, Arguments(path="~/shut/inner", mode=Mode("400")), context.of(context.make_pack()))
        assert permissions(context.home / "shut") == 0o400
        (context.home / "shut").chmod(0o700)
        assert permissions(context.home / "shut/inner") == 0o400


@pytest.mark.parametrize("mode", ["555", "000"])
async def test_what_was_made_with_a_mode_that_bars_our_own_way_is_taken_back(mode: str) -> None:
    with unprivileged_directory() as directory:
        context = RecordingContext(directory)
        ctx = context.of(context.make_pack())
        done = await perform(MKDIR, Arguments(path="~/shut/inner/most", mode=Mode(mode)), ctx)
        await MKDIR.undo(done.undo or {}, ctx)
        assert not (context.home / "shut").exists()


async def test_an_existing_directory_keeps_its_mode_and_is_no_change(ctx: RecordingActionContext) -> None:
    (ctx.home / "bin").mkdir(mode=0o700)
    arguments = Arguments(path="~/bin", mode=Mode("0755"))
    assert await would(MKDIR, arguments, ctx) is None
    done = await perform(MKDIR, arguments, ctx)
    assert not done.changed
    assert done.undo is None
    assert permissions(ctx.home / "bin") == 0o700


async def test_doing_it_twice_is_doing_it_once(ctx: RecordingActionContext) -> None:
    assert await would(MKDIR, Arguments(path="~/a/b"), ctx) == f"mkdir {ctx.home}/a/b"
    await perform(MKDIR, Arguments(path="~/a/b"), ctx)
    again = await perform(MKDIR, Arguments(path="~/a/b"), ctx)
    assert not again.changed
    assert again.undo is None
    assert await would(MKDIR, Arguments(path="~/a/b"), ctx) is None


async def test_a_plan_makes_nothing(ctx: RecordingActionContext) -> None:
    await would(MKDIR, Arguments(path="~/a/b"), ctx)
    assert not (ctx.home / "a").exists()


async def test_undo_removes_what_was_made_and_nothing_more(ctx: RecordingActionContext) -> None:
    (ctx.home / "kept").mkdir()
    done = await perform(MKDIR, Arguments(path="~/kept/a/b"), ctx)
    assert done.undo is not None
    await MKDIR.undo(done.undo, ctx)
    await MKDIR.undo(done.undo, ctx)  # a second time changes nothing
    assert os.listdir(ctx.home / "kept") == []  # noqa: PTH208 - the names


async def test_undo_leaves_what_somebody_put_something_into(ctx: RecordingActionContext) -> None:
    done = await perform(MKDIR, Arguments(path="~/a/b/c"), ctx)
    (ctx.home / "a/b/mine").touch()
    assert done.undo is not None
    await MKDIR.undo(done.undo, ctx)
    assert not (ctx.home / "a/b/c").exists()
    assert (ctx.home / "a/b/mine").exists()


async def test_undo_goes_on_where_the_innermost_is_gone_already(ctx: RecordingActionContext) -> None:
    done = await perform(MKDIR, Arguments(path="~/a/b"), ctx)
    (ctx.home / "a/b").rmdir()
    assert done.undo is not None
    await MKDIR.undo(done.undo, ctx)
    assert not (ctx.home / "a").exists()


async def test_undo_follows_no_link_that_took_a_directorys_place(ctx: RecordingActionContext, tmp_path: Path) -> None:
    done = await perform(MKDIR, Arguments(path="~/a"), ctx)
    (ctx.home / "a").rmdir()
    (tmp_path / "elsewhere").mkdir()
    (ctx.home / "a").symlink_to(tmp_path / "elsewhere")
    assert done.undo is not None
    await MKDIR.undo(done.undo, ctx)
    assert (tmp_path / "elsewhere").is_dir()
    assert (ctx.home / "a").is_symlink()


@pytest.mark.parametrize("undo", [{}, {"made": "a"}, {"made": [1]}, {"made": ["relative"]}, {"made": ["/a\0"]}])
async def test_undo_data_that_do_cannot_have_written_is_refused(
    undo: dict[str, object], ctx: RecordingActionContext
) -> None:
    with pytest.raises(ActionError, match="the recorded undo data cannot be used: 'made' is"):
        await MKDIR.undo(undo, ctx)


@pytest.mark.parametrize("path", ["~/taken", "~/taken/below/it"])
async def test_a_file_in_the_way_is_named_and_nothing_is_made(path: str, ctx: RecordingActionContext) -> None:
    (ctx.home / "taken").write_text("mine")
    for call in (would, perform):
        with pytest.raises(ActionError, match=f"{ctx.home}/taken is in the way and is not a directory"):
            await call(MKDIR, Arguments(path=path), ctx)
    assert (ctx.home / "taken").read_text() == "mine"


async def test_a_dangling_link_in_the_way_is_named_and_not_filled_in(
    ctx: RecordingActionContext, tmp_path: Path
) -> None:
    (ctx.home / "link").symlink_to(tmp_path / "nowhere")
    with pytest.raises(ActionError, match=f"{ctx.home}/link is a link to something that does not exist"):
        await perform(MKDIR, Arguments(path="~/link/below"), ctx)
    assert not (tmp_path / "nowhere").exists()


async def test_a_failure_half_way_takes_back_what_was_made(
    ctx: RecordingActionContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Path.mkdir

    def full(path: Path, mode: int) -> None:
        if path.name == "c":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(path, mode)

    monkeypatch.setattr(Path, "mkdir", full)
    with pytest.raises(ActionError, match="no space left on device") as caught:
        await perform(MKDIR, Arguments(path="~/a/b/c"), ctx)
    assert caught.value.hint == "Free some space; the next sync goes on from here."
    assert not (ctx.home / "a").exists()


async def test_dots_in_the_path_are_resolved_before_anything_is_made(ctx: RecordingActionContext) -> None:
    done = await perform(MKDIR, Arguments(path="~/a/../b/c"), ctx)
    assert (ctx.home / "b/c").is_dir()
    assert not (ctx.home / "a").exists()
    assert done.undo == {"made": [str(ctx.home / "b"), str(ctx.home / "b/c")]}


@pytest.mark.parametrize("name", ["Ünïcode 🌱", "e\u0301", "日本語", " spaces and 'quotes' ", "-dash", "%100"])
async def test_any_name_is_made_as_it_is_written(name: str, ctx: RecordingActionContext) -> None:
    done = await perform(MKDIR, Arguments(path=f"~/{name}"), ctx)
    assert os.listdir(ctx.home) == [name]  # noqa: PTH208 - the names
    assert done.undo is not None
    await MKDIR.undo(done.undo, ctx)
    assert os.listdir(ctx.home) == []  # noqa: PTH208 - the names


async def test_control_characters_of_a_name_do_not_reach_the_report(ctx: RecordingActionContext) -> None:
    done = await perform(MKDIR, Arguments(path="~/a\x1b[31m\nb"), ctx)
    assert done.text == f"mkdir {ctx.home}/a b"


@pytest.mark.parametrize("path", ["~/a\0b", "~/" + "x" * 300, "~/$NOT_SET/x"])
async def test_a_path_that_cannot_be_is_an_error_of_the_action(path: str, ctx: RecordingActionContext) -> None:
    with pytest.raises(ActionError):
        await perform(MKDIR, Arguments(path=path), ctx)


def test_an_empty_path_is_refused_before_anything_runs() -> None:
    assert MKDIR.check(Arguments(path="")) == "mkdir needs a path that is not empty"
    assert MKDIR.check(Arguments(path="a")) is None


def test_only_a_path_inside_the_pack_needs_no_trust(ctx: RecordingActionContext) -> None:
    assert MKDIR.needs_trust(Arguments(path="build/out"), ctx) == ()
    assert MKDIR.needs_trust(Arguments(path="~/bin"), ctx) == (f"mkdir {ctx.home}/bin",)
    assert MKDIR.needs_trust(Arguments(path="../other"), ctx) != ()
    assert MKDIR.needs_trust(Arguments(path="$NOT_SET/x"), ctx) == ("mkdir $NOT_SET/x",)


async def test_a_directory_has_its_mode_from_the_first_moment(
    ctx: RecordingActionContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed right after it was made, it is there for the next run, which takes it as it is."""

    class Killed(BaseException): ...

    def die(path: Path, *args: object, **kwargs: object) -> None:
        raise Killed

    before = os.umask(0o022)
    try:
        monkeypatch.setattr(Path, "stat", die)
        monkeypatch.setattr(Path, "chmod", die)
        with pytest.raises(Killed):
            make_missing((ctx.home / "made",), "mkdir", mode=0o755)
    finally:
        os.umask(before)
        monkeypatch.undo()
    assert permissions(ctx.home / "made") == 0o755


@pytest.mark.parametrize("at", ["a", "a/b", "a/b/c"])
@pytest.mark.parametrize("what", ["file", "link", "nothing"])
async def test_force_makes_again_what_was_made_and_is_something_else_by_now_at_whatever_depth(
    context: RecordingContext, at: str, what: str
) -> None:
    pack = context.make_pack(actions=[Arguments(path="~/a/b/c")])
    await Declarative().install(context, pack)
    place = context.home / at
    shutil.rmtree(place)
    if what == "file":
        place.write_text("the user's\n")
    elif what == "link":
        place.symlink_to("nowhere")
    context.force = True
    await Declarative().install(context, pack)
    assert (context.home / "a/b/c").is_dir()
    kept = [path.name.split(".grex-bak.")[0] for path in context.home.rglob("*.grex-bak.*")]
    assert kept == ([] if what == "nothing" else [place.name])
    context.force = False
    await Declarative().teardown(context, pack)
    assert place.exists() is (what == "file")
    assert place.is_symlink() is (what == "link")
    assert not list(context.home.rglob("*.grex-bak.*"))


async def test_force_moves_nothing_that_is_in_the_place_of_a_directory_that_the_pack_had_not_made(
    context: RecordingContext,
) -> None:
    (context.home / "a").mkdir()
    pack = context.make_pack(actions=[Arguments(path="~/a/b")])
    await Declarative().install(context, pack)
    shutil.rmtree(context.home / "a")
    (context.home / "a").write_text("the user's\n")
    context.force = True
    with pytest.raises(ActionError, match="is in the way and is not a directory"):
        await Declarative().install(context, pack)
    assert [path.name for path in context.home.iterdir()] == ["a"]
