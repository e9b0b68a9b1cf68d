"""The pack types: what each runs in which step, what it asks trust for, what it holds meanwhile."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from msgspec.structs import replace

from grex.builtin.actions.symlink import Symlink as SymlinkAction
from grex.builtin.pack_types.declarative import Declarative
from grex.builtin.pack_types.meta import Meta
from grex.builtin.pack_types.plain import Plain
from grex.builtin.pack_types.scripted import Scripted
from grex.errors import ActionError
from grex.plugin import ActionArguments, Context, Copy, Exec, Mkdir, Outcome, Pack, PackType, Require, Symlink, When
from grex.plugin.testing import RecordingContext, entry, predicate

pytestmark = pytest.mark.anyio

NEVER = predicate("os", ["windows"])


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


# --- meta and plain


@pytest.mark.parametrize("pack_type", [Meta(), Plain()], ids=["meta", "plain"])
async def test_a_pack_with_nothing_to_install_takes_no_hold_and_no_trust(
    pack_type: PackType, context: RecordingContext
) -> None:
    pack = context.make_pack(type=pack_type.name)
    assert not pack_type.has_install(pack)
    assert pack_type.needs_trust(context, pack) == ()
    for step in (pack_type.install, pack_type.update, pack_type.sync):
        assert await step(context, pack) == Outcome("unchanged")
    assert context.events == []


@pytest.mark.parametrize("pack_type", [Meta(), Plain()], ids=["meta", "plain"])
async def test_what_a_pack_did_when_it_was_of_another_type_goes_with_its_teardown(
    pack_type: PackType, context: RecordingContext
) -> None:
    pack = context.make_pack(actions=[Mkdir(path="~/a")])
    await Declarative().install(context, pack)
    await pack_type.teardown(context, pack)
    assert names(context.home) == []


# --- declarative


def declared(
    context: RecordingContext, *actions: ActionArguments, teardown: Sequence[ActionArguments] | None = None
) -> Pack:
    pack = context.make_pack(actions=actions, teardown=teardown)
    (pack.root / "rc").touch()
    return pack


async def test_actions_run_in_their_order_under_one_hold(context: RecordingContext) -> None:
    pack = declared(context, Mkdir(path="~/bin"), Symlink(src="rc", dst="~/bin/rc"), Exec(cmd=("touch", "ran")))
    outcome = await Declarative().install(context, pack)
    assert context.events == ["hold tools", "run mkdir", "run symlink", "run exec", "release tools"]
    assert outcome.status == "changed"
    assert [line.split()[0] for line in outcome.changes] == ["mkdir", "symlink", "exec"]


async def test_installing_twice_changes_nothing(context: RecordingContext) -> None:
    pack = declared(context, Mkdir(path="~/bin"), Symlink(src="rc", dst="~/bin/rc"))
    await Declarative().install(context, pack)
    assert (await Declarative().update(context, pack)).status == "unchanged"
    assert (await Declarative().sync(context, pack)) == Outcome("unchanged")


async def test_a_failure_takes_back_what_was_done_before_it(context: RecordingContext) -> None:
    pack = declared(context, Mkdir(path="~/a"), Symlink(src="rc", dst="~/a/rc"), Exec(cmd=("false",)))
    with pytest.raises(ActionError):
        await Declarative().install(context, pack)
    assert names(context.home) == []
    assert context.events[-3:] == ["undo symlink", "undo mkdir", "release tools"]


async def test_skip_keeps_what_was_done_and_leaves_the_rest_out(context: RecordingContext) -> None:
    pack = declared(context, Mkdir(path="~/a"), Require(all_of=(NEVER,), on_fail="skip"), Mkdir(path="~/b"))
    outcome = await Declarative().install(context, pack)
    assert outcome.status == "skipped"
    assert outcome.changes == (f"mkdir {context.home}/a",)
    assert outcome.notes == ("require: os windows does not hold",)
    assert names(context.home) == ["a"]


async def test_a_dry_run_plans_every_action_and_changes_nothing(context: RecordingContext) -> None:
    context.dry_run = True
    pack = declared(context, Mkdir(path="~/a"), Symlink(src="rc", dst="~/a/rc"), Exec(cmd=("touch", "ran")))
    outcome = await Declarative().install(context, pack)
    assert outcome.changes == tuple(event.removeprefix("plan ") for event in context.events[1:-1])
    assert context.events[1:-1] == [
        f"plan mkdir {context.home}/a",
        f"plan symlink {context.home}/a/rc -> {pack.root}/rc",
        "plan exec touch ran",
    ]
    assert names(context.home) == []
    assert names(pack.root) == [".git", "rc"]


async def test_teardown_undoes_the_actions_last_first(context: RecordingContext) -> None:
    (context.home / "rc").write_text("mine")
    pack = declared(context, Mkdir(path="~/a"), Symlink(src="rc", dst="~/rc", backup=True))
    await Declarative().install(context, pack)
    context.events.clear()
    await Declarative().teardown(context, pack)
    assert context.events == ["hold tools", "undo symlink", "undo mkdir", "release tools"]
    assert names(context.home) == ["rc"]
    assert (context.home / "rc").read_text() == "mine"


async def test_a_declared_teardown_is_run_instead(context: RecordingContext) -> None:
    pack = declared(context, Mkdir(path="~/a"), teardown=[Exec(cmd=("touch", "torn"))])
    await Declarative().install(context, pack)
    outcome = await Declarative().teardown(context, pack)
    assert names(context.home) == ["a"]
    assert (pack.root / "torn").exists()
    assert outcome.changes == ("exec touch torn",)


async def test_an_empty_teardown_does_nothing(context: RecordingContext) -> None:
    pack = declared(context, Mkdir(path="~/a"), teardown=[])
    await Declarative().install(context, pack)
    assert (await Declarative().teardown(context, pack)).status == "unchanged"
    assert names(context.home) == ["a"]


def test_trust_is_asked_for_what_any_action_and_the_teardown_would_do(context: RecordingContext) -> None:
    pack = declared(
        context,
        Mkdir(path="build"),
        When(actions=(entry(Exec(cmd=("make",))),), os="windows"),
        Symlink(src="rc", dst="~/.rc"),
        teardown=[Exec(cmd=("make", "clean")), Exec(cmd=("make",))],
    )
    assert Declarative().needs_trust(context, pack) == (
        "exec make",
        f"symlink {context.home}/.rc -> {pack.root}/rc",
        "exec make clean",
    )


def test_a_pack_that_stays_inside_itself_needs_no_trust(context: RecordingContext) -> None:
    pack = declared(context, Mkdir(path="build"), Symlink(src="rc", dst="build/rc"), Require(all_of=(NEVER,)))
    assert Declarative().needs_trust(context, pack) == ()


def test_only_a_pack_with_actions_has_something_to_install(context: RecordingContext) -> None:
    assert Declarative().has_install(declared(context, Mkdir(path="a")))
    assert not Declarative().has_install(declared(context))


# --- scripted


def scripted(context: RecordingContext, hooks: Mapping[str, str]) -> Pack:
    pack = context.make_pack("scripts", type="scripted")
    (pack.root / ".grex/hooks").mkdir(parents=True)
    for name, line in hooks.items():
        (pack.root / ".grex/hooks" / name).write_text(f"{line}\n")
    return pack


def logged(pack: Pack) -> list[str]:
    log = pack.root / "log"
    return log.read_text().split() if log.exists() else []


ALL = {f"{name}.sh": f"echo {name} >> log" for name in ("setup", "sync", "teardown")}


def without(*names: str) -> dict[str, str]:
    return {file: line for file, line in ALL.items() if file.removesuffix(".sh") not in names}


@pytest.mark.parametrize(
    ("hooks", "expected"),
    [
        (ALL, ["setup", "sync"]),
        (without("sync"), ["setup"]),
        (without("setup"), ["sync"]),
        (without("setup", "sync"), []),
    ],
)
async def test_install_runs_setup_then_sync(
    hooks: dict[str, str], expected: list[str], context: RecordingContext
) -> None:
    pack = scripted(context, hooks)
    outcome = await Scripted().install(context, pack)
    assert logged(pack) == expected
    assert outcome.changes == tuple(f"hook .grex/hooks/{name}.sh" for name in expected)
    assert Scripted().has_install(pack) is bool(expected)


@pytest.mark.parametrize(
    ("hooks", "expected"),
    [(ALL, ["sync"]), (without("sync"), ["setup"]), (without("setup"), ["sync"]), (without("setup", "sync"), [])],
)
async def test_update_runs_sync_or_else_setup(
    hooks: dict[str, str], expected: list[str], context: RecordingContext
) -> None:
    pack = scripted(context, hooks)
    await Scripted().update(context, pack)
    assert logged(pack) == expected


async def test_a_pack_that_did_not_change_runs_no_hook(context: RecordingContext) -> None:
    pack = scripted(context, ALL)
    await Scripted().sync(context, pack)
    assert logged(pack) == []
    assert context.events == []


async def test_teardown_runs_its_hook_and_then_undoes_what_the_log_has(context: RecordingContext) -> None:
    pack = scripted(context, {**ALL, "teardown.sh": f"test -d {context.home}/a && echo teardown >> log"})
    async with context.hold(pack) as hold:
        await hold.run(Mkdir(path="~/a"))
    await Scripted().teardown(context, pack)
    assert logged(pack) == ["teardown"]
    assert names(context.home) == []


async def test_a_pack_without_a_teardown_hook_is_torn_down_all_the_same(context: RecordingContext) -> None:
    pack = scripted(context, without("teardown"))
    assert (await Scripted().teardown(context, pack)).status == "unchanged"


async def test_sync_is_not_reached_when_setup_fails(context: RecordingContext) -> None:
    pack = scripted(context, {**ALL, "setup.sh": "exit 1"})
    with pytest.raises(ActionError, match=r"setup\.sh: the hook exited with code 1"):
        await Scripted().install(context, pack)
    assert logged(pack) == []
    assert context.events[-1] == "release scripts"


async def test_a_dry_run_names_the_hooks_and_runs_none(context: RecordingContext) -> None:
    context.dry_run = True
    pack = scripted(context, ALL)
    await Scripted().install(context, pack)
    assert context.events[1:-1] == ["plan hook .grex/hooks/setup.sh", "plan hook .grex/hooks/sync.sh"]
    assert logged(pack) == []


def test_trust_is_asked_for_every_hook_that_is_there(context: RecordingContext) -> None:
    assert Scripted().needs_trust(context, scripted(context, without("sync"))) == (
        "hook .grex/hooks/setup.sh",
        "hook .grex/hooks/teardown.sh",
    )


def test_a_pack_without_hooks_needs_no_trust(context: RecordingContext) -> None:
    assert Scripted().needs_trust(context, scripted(context, {})) == ()


# --- what a teardown and a run ask trust for


async def test_a_teardown_asks_for_what_it_undoes_and_not_for_what_an_install_would_run(
    context: RecordingContext,
) -> None:
    """Links and directories inside the pack go without trust, those outside of it and commands do not."""
    pack = declared(context, Mkdir(path="inside"), Symlink(src="rc", dst="inside/rc"), Exec(cmd=("true",)))
    await Declarative().install(context, pack)
    assert Declarative().needs_trust(context, pack) == ("exec true",)
    assert Declarative().teardown_needs_trust(context, pack) == ()
    outside = declared(
        context, Mkdir(path="~/a"), Symlink(src="rc", dst="~/a/rc"), Exec(cmd=("true",), undo=("rm", "-f", "x"))
    )
    await Declarative().install(context, outside)
    every = (
        "undo exec rm -f x",
        f"undo symlink {context.home}/a/rc",
        f"undo mkdir {context.home}/a",
    )
    for pack_type in (Declarative(), Meta(), Plain(), Scripted()):
        assert pack_type.teardown_needs_trust(context, outside) == every


async def test_a_backup_outside_of_the_pack_asks_for_trust_wherever_its_link_is(context: RecordingContext) -> None:
    """The log can be edited: a link inside and a backup outside would carry a file into the pack."""
    ctx = context.of(context.make_pack())
    inside: dict[str, object] = {"link": f"{ctx.pack.root}/l", "src": "x", "made": [], "backup": None, "was": None}
    assert SymlinkAction().undo_needs_trust(inside, ctx) == ()
    for name, value in (("backup", f"{context.home}/secret"), ("made", [f"{context.home}/d"]), ("link", "/l")):
        assert SymlinkAction().undo_needs_trust(inside | {name: value}, ctx) != (), name


async def test_a_declared_teardown_asks_for_what_it_runs_itself(context: RecordingContext) -> None:
    actions = [Exec(cmd=("true",), undo=("rm", "x"))]
    empty = context.make_pack("empty", actions=actions, teardown=[])
    await Declarative().install(context, empty)
    assert Declarative().teardown_needs_trust(context, empty) == ()
    own = context.make_pack("own", actions=actions, teardown=[Exec(cmd=("make", "clean"))])
    assert Declarative().teardown_needs_trust(context, own) == ("exec make clean",)


class _Own(PackType):
    """A type of somebody else's that says nothing about trust."""

    name = "own"

    async def install(self, ctx: Context, pack: Pack) -> Outcome:
        """Run the actions."""
        async with ctx.hold(pack) as hold:
            for arguments in hold.actions:
                await hold.run(arguments)
            return hold.outcome()


async def test_a_type_that_says_nothing_asks_for_itself_and_for_what_the_log_would_run(
    context: RecordingContext,
) -> None:
    pack = context.make_pack(type="own", actions=[Exec(cmd=("true",), undo=("rm", "x"))])
    await _Own().install(context, pack)
    assert _Own().teardown_needs_trust(context, pack) == ("pack type own", "undo exec rm x")


async def test_a_type_that_says_nothing_can_run_its_declared_actions_by_kind(context: RecordingContext) -> None:
    inner = When(os="linux", actions=(entry(Exec(cmd=("touch", "deep"))),))
    never = When(os="windows", actions=(entry(Exec(cmd=("touch", "never"))), entry(Mkdir(path="never"))))
    actions = [Mkdir(path="made"), Exec(cmd=("touch", "flat")), When(os="linux", actions=(entry(inner),)), never]
    pack = context.make_pack(type="own", actions=actions)
    assert _Own().run_names(context, pack) == ("mkdir", "exec", "when")
    assert _Own().run_needs_trust(context, pack, "exec") == ("exec touch flat", "exec touch deep", "exec touch never")
    assert _Own().run_needs_trust(context, pack, "mkdir") == ()
    assert (await _Own().run(context, pack, "exec")).changes == ("exec touch flat", "exec touch deep")
    assert names(pack.root) == [".git", "deep", "flat"]


async def test_a_scripted_pack_runs_a_hook_of_any_lower_case_name(context: RecordingContext) -> None:
    pack = context.make_pack(type="scripted")
    hooks = pack.root / ".grex/hooks"
    hooks.mkdir(parents=True)
    for file in ("setup.sh", "unit-test.sh", "Upper.sh", "notes.txt", "9.sh", ".sh", "win.ps1"):
        (hooks / file).write_text("touch ran\n")
    assert Scripted().run_names(context, pack) == ("setup", "unit-test")
    assert Scripted().run_needs_trust(context, pack, "unit-test") == ("hook .grex/hooks/unit-test.sh",)
    assert (await Scripted().run(context, pack, "unit-test")).status == "changed"
    assert (pack.root / "ran").exists()
    assert not Scripted().wants_sync(pack)


async def test_the_root_looks_after_its_copies_in_every_sync_and_runs_nothing_else(context: RecordingContext) -> None:
    """What a root copies may come from other packs, which move without it."""
    run = Exec(cmd=("touch", "ran"))
    waiting = When(all_of=(predicate("path_exists", "later"),), actions=(entry(Copy(src="later", dst="from_later")),))
    mixed = When(all_of=(predicate("path_exists", "rc"),), actions=(entry(Mkdir(path="made")), entry(run)))
    pack = declared(context, Copy(src="rc", dst="copied"), waiting, mixed, run)
    root = replace(pack, path=".")
    other = replace(pack, path="libs/x")
    assert Declarative().wants_sync(root)
    assert not Declarative().wants_sync(other)
    assert not Declarative().wants_sync(replace(declared(context, run), path="."))
    (pack.root / "rc").write_text("1")
    await Declarative().sync(context, root)
    assert (pack.root / "copied").read_text() == "1"
    (pack.root / "rc").write_text("2")
    (pack.root / "later").write_text("3")
    await Declarative().sync(context, root)
    assert (pack.root / "copied").read_text() == "2"
    assert (pack.root / "from_later").read_text() == "3"
    assert not (pack.root / "made").exists()
    assert not (pack.root / "ran").exists()
