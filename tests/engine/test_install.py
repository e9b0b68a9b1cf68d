"""Installs: which packs need one, in which order they run, and that a failure stays where it happened."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import anyio
import pytest
from anyio.lowlevel import checkpoint
from hypothesis import given, settings
from hypothesis import strategies as st

from grex.engine import ROOT, InstallOutcome, InstallPlan, Present, RunContext, Session, prepare, run, untrusted
from grex.engine.dependencies import _dependency_cycles
from grex.engine.exclusive import exclusive
from grex.errors import (
    ActionError,
    CycleError,
    GrexError,
    PackError,
    UnknownActionError,
    UnknownPackTypeError,
    UntrustedError,
)
from grex.manifest import action_started_event
from grex.pack import parse_pack_spec
from grex.plugin import Claim, Context, Outcome, Pack, PackSkippedError
from grex.verbs.report import exit_code_of
from tests.support.place import Place
from tests.support.plugins import Calls, Declared, Mark, Watched
from tests.support.workspace import pack_yaml

pytestmark = pytest.mark.anyio

HOST = "https://host.example/team"


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.fixture
def calls() -> Calls:
    return Calls()


def present(place: Place, path: str, type_: str = "watched", /, *, commit: str = "c1", **keys: Any) -> Present:
    """A checkout that is there; its pack.yaml is what it declares."""
    directory = place.root / path
    directory.mkdir(parents=True, exist_ok=True)
    text = pack_yaml(keys.pop("name", path.rsplit("/", 1)[-1]), type_, **keys)
    spec = parse_pack_spec(text.encode(), file=f"{path}/.grex/pack.yaml", is_root=False)
    return Present(path, spec, commit, f"{HOST}/{path}")


def opened(place: Place, calls: Calls, *, would: Any = (), **changes: Any) -> Session:
    return place.session(Watched(calls, would=would), Declared(), Mark(calls), **changes)


async def installed(
    session: Session,
    packs: Sequence[Present],
    *,
    fail_fast: bool = False,
    failed_before: Sequence[str] = (),
    **how: Any,
) -> Mapping[str, InstallOutcome]:
    """Plan and run, under WORKSPACE as a verb would."""
    context = RunContext(session, **how)
    with anyio.fail_after(20):
        if context.dry_run:
            return await run(session, context, prepare(session, context, packs), fail_fast=fail_fast)
        async with exclusive(session):
            plan = prepare(session, context, packs)
            return await run(session, context, plan, fail_fast=fail_fast, failed_before=failed_before)


def statuses(outcomes: Mapping[str, InstallOutcome]) -> dict[str, str]:
    return {path: outcome.status for path, outcome in sorted(outcomes.items())}


def code(outcomes: Mapping[str, InstallOutcome]) -> int:
    return exit_code_of(outcome.error for outcome in outcomes.values() if outcome.error is not None)


def planned(session: Session, *packs: Present) -> InstallPlan:
    return prepare(session, RunContext(session), packs)


# -- which packs -------------------------------------------------------------------------------------------------------


async def test_a_pack_is_installed_once_then_updated_when_its_hash_changes_and_otherwise_left(
    place: Place, calls: Calls
) -> None:
    first = await installed(opened(place, calls), [present(place, "a")])
    again = await installed(opened(place, calls), [present(place, "a")])
    moved = await installed(opened(place, calls), [present(place, "a", commit="c2")])
    changed = await installed(
        opened(place, calls), [present(place, "a", commit="c2", actions=[{"mark": {"name": "x"}}])]
    )
    assert [statuses(found) for found in (first, again, moved, changed)] == [
        {"a": "installed"},
        {},
        {"a": "updated"},
        {"a": "updated"},
    ]
    assert calls.made == ["install a", "update a", "update a"]


async def test_the_root_is_installed_whatever_its_commit(place: Place, calls: Calls) -> None:
    spec = parse_pack_spec(pack_yaml("root", "watched").encode(), file=".grex/pack.yaml", is_root=True)
    for commit in ("", "c1"):
        await installed(opened(place, calls), [Present(ROOT, spec, commit, None)])
    assert calls.made == ["install ."]


async def test_a_checkout_without_a_pack_yaml_and_a_plain_one_have_nothing_to_install(
    place: Place, calls: Calls
) -> None:
    session = opened(place, calls)
    plan = planned(
        session, Present("bare", None, "c", f"{HOST}/bare"), present(place, "p", "plain"), present(place, "m", "meta")
    )
    assert plan == InstallPlan()


@pytest.mark.parametrize("key", ["actions", "teardown"])
async def test_actions_that_a_pack_type_does_not_run_are_refused_with_their_place(
    place: Place, calls: Calls, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    keys: dict[str, Any] = {key: [{"mark": {"name": "x"}}]}
    packs = [present(place, "a", **keys), present(place, "b")]
    monkeypatch.setattr(Watched, "takes_actions", False)
    outcomes = await installed(opened(place, calls), packs)
    assert statuses(outcomes) == {"a": "failed", "b": "installed"}
    error = outcomes["a"].error
    assert error is not None
    assert error.message.startswith("a/.grex/pack.yaml:5:6: the actions would not run, for the type is 'watched'")
    assert (error.exit_code, error.details["line"], calls.made) == (4, 5, ["install b"])


async def test_a_failed_install_is_tried_again(place: Place, calls: Calls) -> None:
    calls.raises["install a"] = PackError("no")
    assert statuses(await installed(opened(place, calls), [present(place, "a")])) == {"a": "failed"}
    calls.raises.clear()
    assert statuses(await installed(opened(place, calls), [present(place, "a")])) == {"a": "installed"}


async def test_a_skipped_install_is_no_failure_and_is_asked_again(place: Place, calls: Calls) -> None:
    calls.raises["install a"] = PackSkippedError("not here")
    calls.gives["install b"] = Outcome("skipped", (), ("nothing for me",))
    outcomes = await installed(opened(place, calls), [present(place, "a"), present(place, "b")])
    assert statuses(outcomes) == {"a": "skipped", "b": "skipped"}
    assert (outcomes["a"].notes, outcomes["b"].notes) == (("not here",), ("nothing for me",))
    assert code(outcomes) == 0
    await installed(opened(place, calls), [present(place, "a"), present(place, "b")])
    assert calls.made.count("install a") == 2


async def test_a_pack_in_which_nothing_changed_is_called_only_if_its_type_wants_it(place: Place, calls: Calls) -> None:
    """And then at every sync, under its trust, with nothing recorded of it."""
    packs = [present(place, "a")]
    await installed(opened(place, calls), packs)
    assert await installed(opened(place, calls), packs) == {}
    wanting = Watched(calls, wants_sync=True)
    before = place.log()
    for _ in range(2):
        assert statuses(await installed(place.session(wanting), packs)) == {"a": "synced"}
    assert calls.made == ["install a", "sync a", "sync a"]
    assert place.log() == before
    calls.raises["sync a"] = PackError("not today")
    assert statuses(await installed(place.session(wanting), packs)) == {"a": "failed"}
    wanting.would = ("run sync",)
    assert statuses(await installed(place.session(wanting), packs)) == {"a": "untrusted"}
    assert calls.made.count("sync a") == 3


async def test_what_has_nothing_to_install_passes_the_order_on(place: Place, calls: Calls) -> None:
    """`top` needs `middle`, a meta pack that needs `base`: it waits for that one, and is not reached if that fails."""
    packs = [
        present(place, "top", depends_on=["middle"]),
        present(place, "middle", "meta", depends_on=["base"]),
        present(place, "base"),
    ]
    calls.raises["install base"] = PackError("not today")
    outcomes = await installed(opened(place, calls), packs)
    assert statuses(outcomes) == {"base": "failed", "top": "not-reached"}
    assert outcomes["top"].notes == ("it depends on base, which failed",)


async def test_a_dry_run_plans_the_same_steps_and_records_nothing(place: Place, calls: Calls) -> None:
    packs = [present(place, "a", "declared", actions=[{"mark": {"name": "x"}}]), present(place, "b")]
    outcomes = await installed(opened(place, calls), packs, dry_run=True)
    assert outcomes["a"] == InstallOutcome("a", "planned", ("mark x",))
    assert outcomes["b"] == InstallOutcome("b", "planned", ("install: nothing to change",))
    assert sorted(calls.made) == ["install b", "plan x"]
    assert not (place / "grex.jsonl").exists()
    assert not (place / ".grex.sync.lock").exists()


# -- order -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wanted", ["base", f"{HOST}/libs/base.git", "https://HOST.example:443/team/libs/base/"])
async def test_a_dependency_is_installed_first_by_name_or_by_any_spelling_of_its_url(
    place: Place, calls: Calls, wanted: str
) -> None:
    gate = calls.gates["install libs/base"] = anyio.Event()
    packs = [present(place, "a", depends_on=[wanted]), present(place, "libs/base"), present(place, "c")]

    async def release() -> None:
        await calls.seen("install libs/base").wait()
        await calls.seen("install c").wait()
        assert "install a" not in calls.made
        gate.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(release)
        outcomes = await installed(opened(place, calls, jobs=4), packs)
    assert calls.made[-1] == "install a"
    assert statuses(outcomes) == {"a": "installed", "c": "installed", "libs/base": "installed"}


async def test_a_dependency_that_is_installed_already_is_not_waited_for(place: Place, calls: Calls) -> None:
    await installed(opened(place, calls), [present(place, "base")])
    outcomes = await installed(opened(place, calls), [present(place, "a", depends_on=["base"]), present(place, "base")])
    assert statuses(outcomes) == {"a": "installed"}


async def test_a_missing_dependency_fails_its_pack_and_says_where_it_is_written(place: Place, calls: Calls) -> None:
    plan = planned(opened(place, calls), present(place, "a", depends_on=["nobody"]), present(place, "b"))
    assert plan.refused["a"].message == "a/.grex/pack.yaml:5:5: a depends on 'nobody', which is not in this workspace"
    assert "grex add" in (plan.refused["a"].hint or "")
    assert [step.pack.path for step in plan.steps] == ["b"]


async def test_a_name_that_several_packs_have_has_to_be_a_url(place: Place, calls: Calls) -> None:
    packs = [present(place, "a", depends_on=["x"]), present(place, "one/x"), present(place, "two/x")]
    plan = planned(opened(place, calls), *packs)
    assert "several packs have that name: one/x, two/x" in plan.refused["a"].message
    assert "URL" in (plan.refused["a"].hint or "")


async def test_a_circle_of_dependencies_prints_its_chain_and_stops_only_those_on_it(place: Place, calls: Calls) -> None:
    packs = [
        present(place, "c", depends_on=["a"]),
        present(place, "a", depends_on=["b"]),
        present(place, "b", depends_on=["c"]),
        present(place, "needs-a", depends_on=["a"]),
        present(place, "alone"),
    ]
    outcomes = await installed(opened(place, calls), packs)
    assert statuses(outcomes) == {
        "a": "failed",
        "alone": "installed",
        "b": "failed",
        "c": "failed",
        "needs-a": "not-reached",
    }
    for path in "abc":
        error = outcomes[path].error
        assert isinstance(error, CycleError)
        assert error.details["chain"] == ["a", "b", "c", "a"]
    assert outcomes["needs-a"].notes == ("it depends on a, which failed",)


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(st.sampled_from("abcdef"), st.lists(st.sampled_from("abcdef"), max_size=3, unique=True)))
def test_what_is_refused_lies_on_a_circle_and_what_is_left_has_none(wishes: dict[str, list[str]]) -> None:
    needs = {path: tuple(sorted(below)) for path, below in wishes.items()}
    refused = _dependency_cycles(needs)

    def reaches(start: str, goal: str) -> bool:
        seen: set[str] = set()
        stack = list(needs.get(start, ()))
        while stack:
            path = stack.pop()
            if path == goal:
                return True
            if path not in seen:
                seen.add(path)
                stack.extend(needs.get(path, ()))
        return False

    assert all(reaches(path, path) for path in refused)
    for error in refused.values():
        chain = error.details["chain"]
        assert chain[0] == chain[-1] == min(chain)
        assert all(below in needs[above] for above, below in pairwise(chain))
    left = {path: [one for one in below if one not in refused] for path, below in needs.items() if path not in refused}
    while done := [path for path, below in left.items() if not any(one in left for one in below)]:
        for path in done:
            del left[path]
    assert left == {}


async def test_what_depends_on_a_failure_is_not_reached_through_any_number_of_packs(place: Place, calls: Calls) -> None:
    calls.raises["install base"] = PackError("no")
    packs = [
        present(place, "base"),
        present(place, "mid", depends_on=["base"]),
        present(place, "top", depends_on=["mid"]),
        present(place, "other"),
    ]
    outcomes = await installed(opened(place, calls), packs)
    assert statuses(outcomes) == {"base": "failed", "mid": "not-reached", "other": "installed", "top": "not-reached"}
    assert code(outcomes) == 4


async def test_what_depends_on_a_checkout_that_failed_is_not_reached(place: Place, calls: Calls) -> None:
    packs = [present(place, "base"), present(place, "a", depends_on=["base"])]
    outcomes = await installed(opened(place, calls), packs, failed_before=["base"])
    assert outcomes["a"].status == "not-reached"


async def test_fail_fast_begins_no_further_install_and_finishes_those_that_began(place: Place, calls: Calls) -> None:
    calls.raises["install a"] = PackError("no")
    calls.gates["install a"] = anyio.Event()
    calls.gates["install b"] = anyio.Event()
    session = opened(place, calls, jobs=2)

    async def steer() -> None:
        await calls.seen("install a").wait()
        await calls.seen("install b").wait()
        calls.gates["install a"].set()
        await checkpoint()
        calls.gates["install b"].set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(steer)
        packs = [
            present(place, "a"),
            present(place, "b"),
            present(place, "c", depends_on=["b"]),
            present(place, "d", depends_on=["b"]),
        ]
        outcomes = await installed(session, packs, fail_fast=True)
    assert statuses(outcomes) == {"a": "failed", "b": "installed", "c": "not-reached", "d": "not-reached"}
    assert outcomes["c"].notes == ("an earlier failure ended the run (--fail-fast)",)


async def test_fail_fast_after_a_failed_checkout_installs_nothing(place: Place, calls: Calls) -> None:
    outcomes = await installed(opened(place, calls), [present(place, "a")], fail_fast=True, failed_before=["x"])
    assert statuses(outcomes) == {"a": "not-reached"}
    assert calls.made == []


async def test_a_pack_that_waits_for_its_permit_when_the_run_is_stopped_is_not_begun(
    place: Place, calls: Calls
) -> None:
    calls.raises["install a"] = PackError("no")
    outcomes = await installed(opened(place, calls, jobs=1), [present(place, "a"), present(place, "b")], fail_fast=True)
    failed = [path for path, outcome in outcomes.items() if outcome.status == "failed"]
    assert calls.made[-1] == "install a"
    assert failed == ["a"]


# -- trust -------------------------------------------------------------------------------------------------------------


async def test_a_pack_that_would_run_something_is_barred_until_its_author_is_trusted(
    place: Place, calls: Calls
) -> None:
    packs = [present(place, "a"), present(place, "b", depends_on=["a"])]
    would = ("run one", "run two", "run three", "run four")
    outcomes = await installed(opened(place, calls, would=lambda pack: would if pack.path == "a" else ()), packs)
    assert statuses(outcomes) == {"a": "untrusted", "b": "not-reached"}
    error = outcomes["a"].error
    assert isinstance(error, UntrustedError)
    assert error.message == "a is not trusted to run: run one; run two; run three; and 1 more"
    assert error.hint is not None
    assert f"grex trust {HOST}/a" in error.hint
    assert error.details == {"prefix": f"{HOST}/a", "would": list(would)}
    assert calls.made == []


@pytest.mark.parametrize(
    ("prefix", "is_trusted"), [(HOST, True), (f"{HOST}/a", True), (f"{HOST}-x", False), (".", False)]
)
async def test_trust_covers_what_lies_below_its_prefix(
    place: Place, calls: Calls, prefix: str, *, is_trusted: bool
) -> None:
    session = opened(place, calls, would=("run",))
    session.trust.add(prefix)
    plan = planned(session, present(place, "a"))
    assert ([step.pack.path for step in untrusted(session, plan)] == []) == is_trusted


async def test_the_root_needs_the_trust_of_its_own_name(place: Place, calls: Calls) -> None:
    session = opened(place, calls, would=("run",))
    spec = parse_pack_spec(pack_yaml("root", "watched").encode(), file=".grex/pack.yaml", is_root=True)
    plan = planned(session, Present(ROOT, spec, "", None))
    session.trust.add("https://")
    assert [step.pack.path for step in untrusted(session, plan)] == [ROOT]
    session.trust.add(ROOT)
    assert untrusted(session, plan) == []


async def test_a_fail_fast_run_stops_at_an_untrusted_pack(place: Place, calls: Calls) -> None:
    session = opened(place, calls, would=lambda pack: ("run",) if pack.path == "a" else ())
    packs = [present(place, "a"), present(place, "b"), present(place, "c", depends_on=["b"])]
    outcomes = await installed(session, packs, fail_fast=True)
    assert outcomes["a"].status == "untrusted"
    assert outcomes["c"].status == "not-reached"


# -- plugins that misbehave --------------------------------------------------------------------------------------------


async def test_an_unknown_type_or_action_stops_only_its_pack(place: Place, calls: Calls) -> None:
    packs = [
        present(place, "a", "nonesuch"),
        present(place, "b", "declared", actions=[{"nonesuch": {"x": 1}}]),
        present(place, "c"),
        present(place, "d", depends_on=["a"]),
    ]
    outcomes = await installed(opened(place, calls), packs)
    assert statuses(outcomes) == {"a": "failed", "b": "failed", "c": "installed", "d": "not-reached"}
    assert isinstance(outcomes["a"].error, UnknownPackTypeError)
    error = outcomes["b"].error
    assert isinstance(error, UnknownActionError)
    assert error.message.startswith("b/.grex/pack.yaml:5:6: ")
    assert code(outcomes) == 8


async def test_an_unknown_type_hides_nothing_else_that_is_wrong(place: Place, calls: Calls) -> None:
    actions = [{"nonesuch": {"x": 1}}, {"mkdir": {"pathx": "a"}}]
    outcomes = await installed(opened(place, calls), [present(place, "a", "exotic", actions=actions)])
    error = outcomes["a"].error
    assert isinstance(error, UnknownPackTypeError)
    problems = error.details["problems"]
    assert [(one["line"], one["message"]) for one in problems] == [
        (3, "no plugin registers the pack type 'exotic'"),
        (5, "no plugin registers the action 'nonesuch'"),
        (6, "mkdir needs 'path'"),
        (6, "mkdir has no key 'pathx'"),
    ]
    assert all(one["hint"][0].isupper() for one in problems[:2])


async def test_arguments_are_checked_before_anything_of_any_pack_runs(place: Place, calls: Calls) -> None:
    packs = [present(place, "a", "declared", actions=[{"mark": {"name": "ok"}}, {"mark": {"nam": "x"}}, {"mark": {}}])]
    plan = planned(opened(place, calls), *packs)
    assert len(plan.refused["a"].details["problems"]) >= 2
    assert calls.made == []


@pytest.mark.parametrize(
    "given_back",
    [None, "done", Outcome("changed", (1,)), Outcome("fine"), Outcome("changed", (), (None,))],  # type: ignore[arg-type] # the point
)
async def test_a_type_that_gives_garbage_fails_its_pack_and_no_other(
    place: Place, calls: Calls, given_back: Any
) -> None:
    calls.gives["install a"] = given_back
    outcomes = await installed(opened(place, calls), [present(place, "a"), present(place, "b")])
    assert statuses(outcomes) == {"a": "failed", "b": "installed"}
    error = outcomes["a"].error
    assert error is not None
    assert error.message.startswith("a/.grex/pack.yaml:3:1: the pack type 'watched' gave ")
    assert code(outcomes) == 8


async def test_a_type_that_raises_fails_its_pack_and_names_the_line(place: Place, calls: Calls) -> None:
    calls.raises["install a"] = RuntimeError("boom\x1b[31m")
    outcomes = await installed(opened(place, calls), [present(place, "a"), present(place, "b")])
    assert statuses(outcomes) == {"a": "failed", "b": "installed"}
    error = outcomes["a"].error
    assert error is not None
    assert error.message.startswith("a/.grex/pack.yaml:3:1: the pack type 'watched' raised RuntimeError: boom")
    assert "\x1b" not in error.message
    assert "(plugins.py:" in error.message
    assert code(outcomes) == 8


@pytest.mark.parametrize("call", ["plan second", "do second", "install a"])
@pytest.mark.parametrize("failure", [SystemExit(3), BaseExceptionGroup("both", [SystemExit(3), ValueError("x")])])
async def test_a_plugin_that_ends_the_program_fails_its_pack_and_no_other(
    place: Place, calls: Calls, call: str, failure: BaseException
) -> None:
    """What the pack had done before is taken back, as after any other failure."""
    calls.raises[call] = failure
    actions = [{"mark": {"name": "first"}}, {"mark": {"name": "second"}}]
    type_ = "watched" if call == "install a" else "declared"
    outcomes = await installed(opened(place, calls), [present(place, "a", type_, actions=actions), present(place, "b")])
    assert statuses(outcomes) == {"a": "failed", "b": "installed"}
    error = outcomes["a"].error
    assert error is not None
    assert f"raised {type(failure).__name__}: " in error.message
    assert code(outcomes) == 8
    assert ("undo first" in calls.made) is (type_ == "declared")


async def test_a_pack_type_that_ends_the_program_while_it_holds_its_pack_has_its_actions_taken_back(
    place: Place, calls: Calls
) -> None:
    class Leaving(Declared):
        name = "leaving"

        async def install(self, ctx: Context, pack: Pack) -> Outcome:
            async with ctx.hold(pack) as hold:
                await hold.run(hold.actions[0])
                raise SystemExit(3)

    session = place.session(Leaving(), Mark(calls))
    pack = present(place, "a", "leaving", actions=[{"mark": {"name": "first"}}])
    assert statuses(await installed(session, [pack])) == {"a": "failed"}
    assert calls.made[-1] == "undo first"


@pytest.mark.parametrize("use", ["run", "run_kind", "undo"])
async def test_a_hold_that_was_left_runs_nothing_any_more(place: Place, calls: Calls, use: str) -> None:
    class Late(Declared):
        name = "late"

        async def install(self, ctx: Context, pack: Pack) -> Outcome:
            async with ctx.hold(pack) as hold:
                arguments = {"run": hold.actions[:1], "run_kind": ["mark"], "undo": []}[use]
            await getattr(hold, use)(*arguments)
            return hold.outcome()

    session = place.session(Late(), Mark(calls))
    outcomes = await installed(session, [present(place, "a", "late", actions=[{"mark": {"name": "first"}}])])
    error = outcomes["a"].error
    assert error is not None
    assert "a/.grex/pack.yaml:3:1: the pack type 'late' uses a hold that it has left" in error.message
    assert calls.made == []


async def test_an_undo_that_ends_the_program_keeps_no_other_from_being_taken_back(place: Place, calls: Calls) -> None:
    calls.raises |= {"undo second": SystemExit(3), "do third": ActionError("no")}
    actions = [{"mark": {"name": name}} for name in ("first", "second", "third")]
    error = (await installed(opened(place, calls), [present(place, "a", "declared", actions=actions)]))["a"].error
    assert error is not None
    assert "mark second (SystemExit: 3" in (error.hint or "")
    assert calls.made[-1] == "undo first"


async def test_what_a_plugin_says_is_told_on_one_line_without_what_acts_on_a_terminal(
    place: Place, calls: Calls
) -> None:
    calls.gives["install a"] = Outcome("changed", ("one\x1b[31m\ntwo",), ("https://ann:s3cret@host.example/\x07",))
    calls.raises["install b"] = PackError("one\x1b[31m\ntwo", hint="\x1b]0;title\x07do this")
    found = await installed(opened(place, calls), [present(place, "a"), present(place, "b")])
    assert found["a"].line() == "one two; https://***@host.example/"
    error = found["b"].error
    assert error is not None
    assert (error.message.endswith("one two"), error.hint) == (True, "do this")


@pytest.mark.parametrize(
    "claim",
    [Claim("/a\0b/c", "x"), Claim("/a/\ud800", "x"), Claim(cast("str", None), "x"), Claim("/a", cast("str", 7)), "/a"],
)
async def test_a_type_that_claims_what_cannot_be_is_refused_and_no_other(
    place: Place, calls: Calls, monkeypatch: pytest.MonkeyPatch, claim: Any
) -> None:
    monkeypatch.setattr(Watched, "claims", lambda _self, _ctx, pack: (claim,) if pack.path == "a" else ())
    outcomes = await installed(opened(place, calls), [present(place, "a"), present(place, "b")])
    assert statuses(outcomes) == {"a": "failed", "b": "installed"}
    assert code(outcomes) == 8


def raising(pack: Any) -> tuple[str, ...]:
    raise KeyError(pack.path)


@pytest.mark.parametrize("would", [raising, lambda pack: None, lambda pack: "run", lambda pack: [1]])
async def test_a_type_that_cannot_say_what_it_would_run_is_refused_and_no_other(
    place: Place, calls: Calls, would: Any
) -> None:
    session = opened(place, calls, would=lambda pack: would(pack) if pack.path == "a" else ())
    outcomes = await installed(session, [present(place, "a"), present(place, "b")])
    assert statuses(outcomes) == {"a": "failed", "b": "installed"}
    assert code(outcomes) == 8


async def test_a_failure_that_is_told_by_an_error_keeps_it(place: Place, calls: Calls) -> None:
    failure: GrexError = PackError("as it is", hint="do this")
    calls.raises["install a"] = failure
    assert (await installed(opened(place, calls), [present(place, "a")]))["a"].error is failure


async def test_only_what_was_installed_is_recorded(place: Place, calls: Calls) -> None:
    calls.raises["install b"] = PackError("no")
    session = opened(place, calls)
    await installed(session, [present(place, "a"), present(place, "b")])
    recorded = [(event.op, event.id) for event in place.log()]
    assert sorted(recorded) == [("install_failed", "b"), ("installed", "a")]
    hashes = [event.data["actions_hash"] for event in place.log() if event.op == "installed"]
    async with exclusive(session):
        step = planned(session, present(place, "a", commit="c2")).steps[0]
    assert step.mode == "update"
    assert step.actions_hash not in hashes


async def test_a_bracket_that_a_killed_run_left_open_makes_the_pack_run_again(place: Place, calls: Calls) -> None:
    session = opened(place, calls)
    await installed(session, [present(place, "a")])
    await session.record("a", [action_started_event("a", action="0", kind="mark", run="dead")])
    assert statuses(await installed(opened(place, calls), [present(place, "a")])) == {"a": "updated"}
