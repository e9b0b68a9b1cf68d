"""`require` and `when`: what their conditions decide."""

from __future__ import annotations

from typing import Any

import pytest

from grex.builtin.actions.require import Require
from grex.builtin.actions.when import When
from grex.errors import ActionError
from grex.plugin import ActionArguments, Exec, Mkdir, Pack, PackSkippedError, Symlink
from grex.plugin import Require as RequireArguments
from grex.plugin import When as WhenArguments
from grex.plugin.testing import RecordingActionContext, RecordingContext, entry, perform, predicate, would

pytestmark = pytest.mark.anyio

REQUIRE = Require()
WHEN = When()
YES = predicate("os", ["linux"])
NO = predicate("os", ["windows", "macos"])
UNKNOWN = predicate("registry_key", "HKLM\\x")

LISTS = [
    ({"all_of": (YES, YES)}, True),
    ({"all_of": (YES, NO)}, False),
    ({"all_of": (UNKNOWN,)}, False),
    ({"any_of": (NO, YES)}, True),
    ({"any_of": (NO, NO)}, False),
    ({"any_of": (UNKNOWN, YES)}, True),
    ({"any_of": (UNKNOWN, NO)}, False),
    ({"none_of": (NO,)}, True),
    ({"none_of": (NO, YES)}, False),
    ({"none_of": (UNKNOWN,)}, True),
    ({"all_of": (YES,), "any_of": (YES, NO), "none_of": (NO,)}, True),
    ({"all_of": (NO,), "any_of": (YES,), "none_of": (NO,)}, False),
    ({"all_of": (YES,), "any_of": (NO,), "none_of": (NO,)}, False),
    ({"all_of": (YES,), "any_of": (YES,), "none_of": (YES,)}, False),
    ({"all_of": (predicate("any_of", None, NO, YES),)}, True),
]


# --- require


@pytest.mark.parametrize(("lists", "expected"), LISTS)
async def test_a_requirement_holds_when_every_list_holds(
    lists: dict[str, Any], expected: bool, ctx: RecordingActionContext
) -> None:
    arguments = RequireArguments(**lists)
    if expected:
        assert await would(REQUIRE, arguments, ctx) is None
        assert not (await perform(REQUIRE, arguments, ctx)).changed
    else:
        plan = await would(REQUIRE, arguments, ctx)
        assert plan is not None
        assert plan.startswith("fail unless it holds by then: require: ")
        with pytest.raises(ActionError):
            await perform(REQUIRE, arguments, ctx)


@pytest.mark.parametrize(
    ("lists", "sentence"),
    [
        ({"all_of": (YES, predicate("path_exists", "~/absent"))}, "require: path_exists ~/absent does not hold"),
        ({"any_of": (NO, predicate("env_set", "CI"))}, "require: none of these holds: os windows, macos, env_set CI"),
        ({"none_of": (predicate("cmd_available", "sh"),)}, "require: cmd_available sh holds, and must not"),
        (
            {"all_of": (predicate("symlink_ok", {"src": "a", "dst": "~/b"}),)},
            "require: symlink_ok src a, dst ~/b does not hold",
        ),
        (
            {"all_of": (predicate("any_of", None, NO, NO),)},
            "require: any_of (os windows, macos, os windows, macos) does",
        ),
        ({"all_of": (predicate("path_exists", "a\x1b[2Kb\nc"),)}, "require: path_exists ab c does not hold"),
        (
            {"all_of": (UNKNOWN,)},
            "require: registry_key HKLM\\x does not hold (registry_key HKLM\\x cannot be decided on this platform)",
        ),
    ],
)
async def test_the_sentence_names_the_condition(
    lists: dict[str, Any], sentence: str, ctx: RecordingActionContext
) -> None:
    with pytest.raises(ActionError) as caught:
        await perform(REQUIRE, RequireArguments(**lists), ctx)
    assert str(caught.value).startswith(sentence)


async def test_a_condition_that_nobody_can_decide_is_reported_even_where_the_rest_holds(
    ctx: RecordingActionContext,
) -> None:
    await perform(REQUIRE, RequireArguments(any_of=(UNKNOWN, YES)), ctx)
    assert ctx.notes == ["require: registry_key HKLM\\x cannot be decided on linux and was taken for false"]


async def test_an_earlier_condition_protects_a_later_one(ctx: RecordingActionContext) -> None:
    unset, path = predicate("env_set", "NOT_SET"), predicate("path_exists", "$NOT_SET/x")
    with pytest.raises(ActionError, match="env_set NOT_SET does not hold"):
        await perform(REQUIRE, RequireArguments(all_of=(unset, path)), ctx)
    assert not (await perform(REQUIRE, RequireArguments(any_of=(YES, path)), ctx)).changed
    with pytest.raises(ActionError, match="os linux holds, and must not"):
        await perform(REQUIRE, RequireArguments(none_of=(YES, path)), ctx)


async def test_skip_ends_the_pack_without_a_failure(ctx: RecordingActionContext) -> None:
    arguments = RequireArguments(all_of=(NO,), on_fail="skip")
    for call in (would, perform):
        with pytest.raises(PackSkippedError, match="require: os windows, macos does not hold"):
            await call(REQUIRE, arguments, ctx)


async def test_warn_notes_it_and_goes_on(ctx: RecordingActionContext) -> None:
    arguments = RequireArguments(all_of=(NO,), on_fail="warn")
    assert await would(REQUIRE, arguments, ctx) == (
        "warn unless it holds by then: require: os windows, macos does not hold"
    )
    assert ctx.notes == []
    assert not (await perform(REQUIRE, arguments, ctx)).changed
    assert ctx.notes == ["require: os windows, macos does not hold"]


def test_a_requirement_needs_conditions_and_no_trust(ctx: RecordingActionContext) -> None:
    assert REQUIRE.check(RequireArguments()) == "require needs at least one condition in all_of, any_of or none_of"
    for arguments in (
        RequireArguments(all_of=(YES,)),
        RequireArguments(any_of=(YES,)),
        RequireArguments(none_of=(YES,)),
    ):
        assert REQUIRE.check(arguments) is None
    assert REQUIRE.needs_trust(RequireArguments(all_of=(YES,)), ctx) == ()


# --- when


def when(*actions: ActionArguments, **conditions: Any) -> WhenArguments:
    return WhenArguments(actions=tuple(map(entry, actions)), **conditions)


@pytest.mark.parametrize(("lists", "expected"), LISTS)
async def test_actions_run_when_every_list_holds(
    lists: dict[str, Any], expected: bool, ctx: RecordingActionContext
) -> None:
    arguments = when(Mkdir(path="~/made"), **lists)
    assert (await would(WHEN, arguments, ctx)) == (f"mkdir {ctx.home}/made" if expected else None)
    assert (await perform(WHEN, arguments, ctx)).changed is expected
    assert (ctx.home / "made").exists() is expected


@pytest.mark.parametrize(
    ("platforms", "expected"),
    [("linux", True), ("macos", False), (("macos", "linux"), True), (("macos", "windows"), False)],
)
async def test_os_is_one_platform_or_several(platforms: Any, expected: bool, ctx: RecordingActionContext) -> None:
    await perform(WHEN, when(Mkdir(path="~/made"), os=platforms), ctx)
    assert (ctx.home / "made").exists() is expected


async def test_os_and_the_lists_must_all_hold(ctx: RecordingActionContext) -> None:
    for conditions in ({"os": "linux", "all_of": (NO,)}, {"os": "macos", "all_of": (YES,)}):
        assert not (await perform(WHEN, when(Mkdir(path="~/made"), **conditions), ctx)).changed
    assert (await perform(WHEN, when(Mkdir(path="~/made"), os="linux", all_of=(YES,)), ctx)).changed


async def test_conditions_of_another_platform_are_not_looked_at(ctx: RecordingActionContext) -> None:
    arguments = when(Mkdir(path="~/made"), os="windows", all_of=(predicate("path_exists", "$APPDATA/x"),))
    assert await would(WHEN, arguments, ctx) is None


async def test_the_actions_inside_are_undone_one_by_one(context: RecordingContext, pack: Pack) -> None:
    arguments = when(Mkdir(path="~/a"), when(Mkdir(path="~/a/b"), all_of=(YES,)), os="linux")
    async with context.hold(pack) as hold:
        change = await hold.run(arguments)
        assert change.changed
        assert (context.home / "a/b").is_dir()
        await hold.undo()
    assert not (context.home / "a").exists()
    assert context.events == [
        "hold tools",
        *["run when", "run mkdir", "run when", "run mkdir"],
        *["undo mkdir", "undo mkdir"],
        "release tools",
    ]


async def test_doing_it_twice_is_doing_it_once(ctx: RecordingActionContext) -> None:
    arguments = when(Mkdir(path="~/a"), Mkdir(path="~/b"), os="linux")
    assert await would(WHEN, arguments, ctx) == f"mkdir {ctx.home}/a; mkdir {ctx.home}/b"
    assert (await perform(WHEN, arguments, ctx)).changed
    assert not (await perform(WHEN, arguments, ctx)).changed
    assert await would(WHEN, arguments, ctx) is None


async def test_a_failure_inside_is_a_failure_and_takes_back_what_was_done(
    context: RecordingContext, pack: Pack
) -> None:
    arguments = when(Mkdir(path="~/a"), Exec(cmd=("false",)), Mkdir(path="~/b"), os="linux")
    with pytest.raises(ActionError, match="exec false exited with code 1"):
        async with context.hold(pack) as hold:
            await hold.run(arguments)
    assert list(context.home.iterdir()) == []


async def test_skip_inside_skips_the_rest_of_the_pack(ctx: RecordingActionContext) -> None:
    arguments = when(RequireArguments(all_of=(NO,), on_fail="skip"), Mkdir(path="~/a"), os="linux")
    for call in (would, perform):
        with pytest.raises(PackSkippedError):
            await call(WHEN, arguments, ctx)
    assert not (ctx.home / "a").exists()


def test_trust_is_asked_for_everything_inside_whether_it_applies_now_or_not(ctx: RecordingActionContext) -> None:
    inside = when(Mkdir(path="build"), Symlink(src="a", dst="~/b"), os="windows")
    arguments = when(Exec(cmd=("make",)), inside, Exec(cmd=("make",)), os="macos")
    assert WHEN.needs_trust(arguments, ctx) == ("exec make", f"symlink {ctx.home}/b -> {ctx.pack.root}/a")
    assert WHEN.needs_trust(when(Mkdir(path="build"), os="linux"), ctx) == ()


def test_a_when_needs_conditions_that_can_be_meant() -> None:
    assert WHEN.check(when()) == "when needs at least one condition: os, all_of, any_of or none_of"
    assert WHEN.check(when(os=())) == "when needs at least one condition: os, all_of, any_of or none_of"
    assert WHEN.check(when(os=("linux", "bsd"))) == "when knows the platforms linux, macos, windows, not bsd"
    for conditions in ({"os": "linux"}, {"all_of": (YES,)}, {"any_of": (YES,)}, {"none_of": (YES,)}):
        assert WHEN.check(when(**conditions)) is None
