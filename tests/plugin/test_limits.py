"""Plugins that hang: each is ended by its limit, which counts its own work only, and its pack alone fails."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import anyio
import pytest
from anyio.lowlevel import checkpoint

from grex.engine import InstallOutcome, Present, RunContext, Session, prepare, run
from grex.engine.calling import LifecycleCall, call_pack_type
from grex.engine.exclusive import exclusive
from grex.errors import PluginError
from grex.manifest import fold
from grex.pack import parse_pack_spec
from grex.plugin import ActionArguments, ActionContext, ActionType, Context, Done, Outcome, Pack, PackType, Planned
from grex.plugin.limits import Limit, current_limit
from tests.support.loops import trio_among_the_slow  # noqa: F401 - a fixture
from tests.support.place import Place
from tests.support.plugins import Calls, Mark, MarkArguments, Watched
from tests.support.workspace import pack_yaml

pytestmark = pytest.mark.anyio

SOON_S = 0.3


class Stuck(ActionType[MarkArguments]):
    """An action that hangs in one of its steps."""

    name: ClassVar[str] = "mark"
    arguments = MarkArguments

    def __init__(self, hangs_in: str) -> None:
        self.hangs_in = hangs_in

    def limit_s(self, arguments: MarkArguments) -> float | None:
        return SOON_S

    def undo_limit_s(self, undo: Mapping[str, Any]) -> float | None:
        return SOON_S

    async def _step(self, name: str) -> None:
        if name == self.hangs_in:
            await anyio.sleep_forever()

    async def plan(self, arguments: MarkArguments, ctx: ActionContext) -> Planned | None:
        await self._step("plan")
        return Planned("mark", undo={})

    async def do(self, arguments: MarkArguments, planned: Planned, ctx: ActionContext) -> Done:
        await self._step("do")
        return Done("mark", undo={})

    async def undo(self, undo: Mapping[str, Any], ctx: ActionContext) -> None:
        await self._step("undo")

    async def drift(self, arguments: MarkArguments, ctx: ActionContext) -> str | None:
        await self._step("drift")
        return None


class Outer(ActionType[MarkArguments]):
    """An action that asks grex for something, and shows what became of its limit meanwhile."""

    name: ClassVar[str] = "mark"
    arguments = MarkArguments

    def __init__(self, ask: Callable[[ActionContext], Awaitable[object]], *, hangs_afterwards: bool = False) -> None:
        self.ask = ask
        self.hangs_afterwards = hangs_afterwards
        self.limit: Limit | None = None

    def limit_s(self, arguments: MarkArguments) -> float | None:
        return SOON_S if self.hangs_afterwards else 60

    async def plan(self, arguments: MarkArguments, ctx: ActionContext) -> Planned | None:
        return Planned("outer")

    async def do(self, arguments: MarkArguments, planned: Planned, ctx: ActionContext) -> Done:
        self.limit = current_limit()
        assert self.limit is not None
        assert self.limit.scope.deadline < math.inf
        await self.ask(ctx)
        assert self.limit.scope.deadline < math.inf
        if self.hangs_afterwards:
            await anyio.sleep_forever()
        return Done("outer")


class Inner(ActionType[Any]):
    """An action that looks at the limit of the one outside."""

    name: ClassVar[str] = "inner"

    def __init__(self) -> None:
        self.outer: Outer | None = None
        self.deadlines: list[float] = []

    async def plan(self, arguments: Any, ctx: ActionContext) -> Planned | None:
        self._look()
        return Planned("inner")

    async def do(self, arguments: Any, planned: Planned, ctx: ActionContext) -> Done:
        self._look()
        return Done("inner")

    def _look(self) -> None:
        if self.outer is not None and self.outer.limit is not None:
            self.deadlines.append(self.outer.limit.scope.deadline)
            assert current_limit() is not self.outer.limit


class InnerArguments(ActionArguments):
    """The arguments of `inner`: none."""

    action: ClassVar[str] = "inner"


class Hanging(PackType):
    """A type that hangs in each of its calls, after it has done something under a hold."""

    name: ClassVar[str] = "hanging"

    def __init__(self, *, inside: bool = True, limit_s: float | None = SOON_S) -> None:
        self.inside = inside
        self.seconds = limit_s

    def limit_s(self, pack: Pack) -> float | None:
        return self.seconds

    def needs_trust(self, ctx: Context, pack: Pack) -> tuple[str, ...]:
        return ()

    async def install(self, ctx: Context, pack: Pack) -> Outcome:
        async with ctx.hold(pack) as hold:
            if not ctx.dry_run:
                await hold.run(MarkArguments(name="x"))
            if self.inside:
                await anyio.sleep_forever()
        await anyio.sleep_forever()
        raise AssertionError

    async def sync(self, ctx: Context, pack: Pack) -> Outcome:
        return await self.install(ctx, pack)

    async def teardown(self, ctx: Context, pack: Pack) -> Outcome:
        return await self.install(ctx, pack)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.fixture
def calls() -> Calls:
    return Calls()


def a_pack(place: Place) -> Pack:
    (place / "p").mkdir(exist_ok=True)
    return Pack("p", place / "p", "p", "hanging", None, "")


def present(place: Place, path: str, type_: str) -> Present:
    (place / path).mkdir(parents=True)
    spec = parse_pack_spec(pack_yaml(path, type_).encode(), file=f"{path}/.grex/pack.yaml", is_root=False)
    return Present(path, spec, "c", f"https://host.example/{path}")


async def installed(session: Session, *packs: Present) -> Mapping[str, InstallOutcome]:
    context = RunContext(session)
    async with exclusive(session):
        return await run(session, context, prepare(session, context, packs), fail_fast=False)


# --- actions


@pytest.mark.parametrize("step", ["plan", "do"])
async def test_an_action_that_hangs_is_ended_and_named(place: Place, step: str) -> None:
    session = place.session()
    with pytest.raises(PluginError) as raised, anyio.fail_after(20):
        async with RunContext(session).hold(a_pack(place)) as hold:
            await hold.run(MarkArguments(name="x"), using=Stuck(step))
    assert raised.value.message == (
        "p: the action 'mark' (tests.plugin.test_limits.Stuck) did not end within 0.3 s and was cancelled"
    )
    assert "limit_s" in (raised.value.hint or "")
    record = fold(session.log.read().events).packs.get("p")
    assert record is None or record.open_brackets == ()


async def test_an_undo_that_hangs_is_ended_and_what_is_left_is_said(place: Place) -> None:
    session = place.session()

    async def fail_later() -> None:
        async with RunContext(session).hold(a_pack(place)) as hold:
            await hold.run(MarkArguments(name="x"), using=Stuck("undo"))
            raise ValueError("later")

    with pytest.raises(ValueError, match="later") as raised, anyio.fail_after(20):
        await fail_later()
    assert "did not end within 0.3 s" in "".join(raised.value.__notes__)


async def test_a_look_for_drift_that_hangs_is_ended(place: Place) -> None:
    session = place.session()
    with pytest.raises(PluginError, match="did not end within"), anyio.fail_after(20):
        async with RunContext(session, looks_for_drift=True).hold(a_pack(place)) as hold:
            await hold.run(MarkArguments(name="x"), using=Stuck("drift"))


async def test_the_time_of_an_action_inside_is_not_counted(place: Place) -> None:
    inner = Inner()
    outer = inner.outer = Outer(lambda ctx: ctx.run(InnerArguments()))
    session = place.session(inner)
    async with RunContext(session).hold(a_pack(place)) as hold:
        await hold.run(MarkArguments(name="x"), using=outer)
    assert inner.deadlines == [math.inf, math.inf]


async def test_the_time_of_a_plan_asked_for_is_not_counted_and_has_a_limit_of_its_own(place: Place) -> None:
    inner = Inner()
    outer = inner.outer = Outer(lambda ctx: ctx.plan(InnerArguments()))
    async with RunContext(place.session(inner)).hold(a_pack(place)) as hold:
        await hold.run(MarkArguments(name="x"), using=outer)
    assert inner.deadlines == [math.inf]
    stuck = Outer(lambda ctx: ctx.plan(MarkArguments(name="y")))
    with pytest.raises(PluginError, match="did not end within"), anyio.fail_after(20):
        async with RunContext(place.session(Stuck("plan"))).hold(a_pack(place)) as hold:
            await hold.run(MarkArguments(name="x"), using=stuck)


async def test_the_time_of_a_command_is_not_counted(place: Place) -> None:
    seen: list[float] = []

    async def ask(ctx: ActionContext) -> None:
        fifo = ctx.pack.root / "gate"
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(look, fifo)
            await ctx.run_process(
                ["/bin/sh", "-c", "touch here; until [ -e gate ]; do sleep 0.01; done"],
                cwd=ctx.pack.root,
                env=ctx.environ,
                timeout_s=60,
                label="exec",
            )

    async def look(gate: Path) -> None:
        while not (gate.parent / "here").exists():  # noqa: ASYNC110 - the event is another process's
            await anyio.sleep(0.005)
        assert outer.limit is not None
        seen.append(outer.limit.scope.deadline)
        gate.touch()

    outer = Outer(ask)
    async with RunContext(place.session()).hold(a_pack(place)) as hold:
        await hold.run(MarkArguments(name="x"), using=outer)
    assert seen == [math.inf]


async def test_an_action_that_hangs_after_one_inside_is_ended(place: Place) -> None:
    outer = Outer(lambda ctx: ctx.run(InnerArguments()), hangs_afterwards=True)
    with pytest.raises(PluginError, match="did not end within"), anyio.fail_after(20):
        async with RunContext(place.session(Inner())).hold(a_pack(place)) as hold:
            await hold.run(MarkArguments(name="x"), using=outer)


# --- pack types


@pytest.mark.parametrize("call", ["install", "update", "sync", "teardown"])
@pytest.mark.parametrize("inside", [True, False])
async def test_a_lifecycle_call_that_hangs_is_ended(
    place: Place, calls: Calls, call: LifecycleCall, *, inside: bool
) -> None:
    session = place.session(Mark(calls))
    with pytest.raises(PluginError) as raised, anyio.fail_after(20):
        await call_pack_type(RunContext(session), Hanging(inside=inside), call, a_pack(place))
    assert raised.value.message == (
        f"p: `{call}` of the pack type 'hanging' (tests.plugin.test_limits.Hanging) did nothing that grex could see"
        " for 0.3 s and was cancelled"
    )
    assert "limit_s" in (raised.value.hint or "")
    # Work under a hold that the limit tore is taken back, as by any failure; work under one that was left is done.
    assert calls.made == (["do x", "undo x"] if inside else ["do x"])
    async with session.holds.pack("p", place / "p", "disk"):
        pass  # the pack is free


async def test_partial_work_is_kept_where_that_is_asked_for(place: Place, calls: Calls) -> None:
    session = place.session(Mark(calls))
    with pytest.raises(PluginError), anyio.fail_after(20):
        await call_pack_type(RunContext(session, keep_partial=True), Hanging(), "install", a_pack(place))
    assert calls.made == ["do x"]


async def test_a_dry_run_that_hangs_is_ended_without_taking_a_lock(place: Place, calls: Calls) -> None:
    session = place.session(Mark(calls))
    with pytest.raises(PluginError), anyio.fail_after(20):
        await call_pack_type(RunContext(session, dry_run=True), Hanging(), "install", a_pack(place))
    assert not (place / "p/.grex-lock").exists()


async def test_other_packs_are_done_when_one_hangs(place: Place, calls: Calls) -> None:
    session = place.session(Hanging(), Watched(calls), Mark(calls), jobs=1)
    with anyio.fail_after(20):
        outcomes = await installed(session, present(place, "a", "hanging"), present(place, "b", "watched"))
    assert {path: outcome.status for path, outcome in outcomes.items()} == {"a": "failed", "b": "installed"}
    assert outcomes["a"].error is not None
    assert outcomes["a"].error.exit_code == 8


async def test_a_cancel_of_the_run_is_no_failure_of_the_plugin_and_takes_nothing_back(
    place: Place, calls: Calls
) -> None:
    calls.gates["do x"] = anyio.Event()
    session = place.session(Mark(calls))
    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(call_pack_type, RunContext(session), Hanging(limit_s=None), "install", a_pack(place))
            await calls.seen("do x").wait()
            tasks.cancel_scope.cancel()
    assert calls.made == ["do x"]


async def test_waiting_for_a_permit_is_not_counted(place: Place, calls: Calls) -> None:
    """Two packs and one permit; who waits for it has no deadline, and gets one with the permit."""
    limits: dict[str, Limit] = {}

    class Looking(Watched):
        name: ClassVar[str] = "watched"

        async def install(self, ctx: Context, pack: Pack) -> Outcome:
            limit = current_limit()
            assert limit is not None
            limits[pack.path] = limit
            async with ctx.hold(pack) as hold:
                assert limit.scope.deadline < math.inf
                await calls.make(f"install {pack.path}")
                assert limit.scope.deadline < math.inf
                return hold.outcome()

    gate = anyio.Event()
    calls.gates |= {"install a": gate, "install b": gate}
    session = place.session(Looking(calls), jobs=1)
    packs = [present(place, "a", "watched"), present(place, "b", "watched")]
    outcomes: dict[str, InstallOutcome] = {}

    async def install() -> None:
        outcomes.update(await installed(session, *packs))

    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(install)
            while not calls.made:
                await checkpoint()
            waiting = "b" if calls.made == ["install a"] else "a"
            while waiting not in limits:
                await checkpoint()
            assert limits[waiting].scope.deadline == math.inf
            gate.set()
    assert {outcome.status for outcome in outcomes.values()} == {"installed"}


async def test_nothing_that_a_hold_does_for_its_pack_type_is_counted(place: Place) -> None:
    """Actions run, are undone on request, and are taken back by a failure: the limit of the call stands each time."""
    seen: list[tuple[str, float]] = []

    class Looks(Stuck):
        async def _step(self, name: str) -> None:
            assert Calling.limit is not None
            seen.append((name, Calling.limit.scope.deadline))

    class Calling(Hanging):
        limit: ClassVar[Limit | None] = None

        async def install(self, ctx: Context, pack: Pack) -> Outcome:
            Calling.limit = current_limit()
            async with ctx.hold(pack) as hold:
                await hold.run(MarkArguments(name="x"))
                await hold.undo()
                await hold.run(MarkArguments(name="y"))
                raise ValueError("no")

    session = place.session(Looks(""))
    with pytest.raises(ValueError, match="no"):
        await call_pack_type(RunContext(session), Calling(limit_s=60), "install", a_pack(place))
    steps = [name for name, _ in seen]
    assert steps[:3] == ["plan", "do", "undo"]
    assert steps[-1] == "undo"
    assert len(steps) >= 6
    assert {deadline for _, deadline in seen} == {math.inf}


async def test_the_time_of_a_look_for_drift_inside_is_not_counted(place: Place) -> None:
    seen: list[float] = []

    class Within(Stuck):
        name: ClassVar[str] = "inner"

        async def _step(self, name: str) -> None:
            assert limits
            seen.append(limits[0].scope.deadline)

    class Asking(Stuck):
        def limit_s(self, arguments: MarkArguments) -> float | None:
            return 60

        async def drift(self, arguments: MarkArguments, ctx: ActionContext) -> str | None:
            limit = current_limit()
            assert limit is not None
            limits.append(limit)
            return await ctx.drift(InnerArguments())

    limits: list[Limit] = []
    async with RunContext(place.session(Within("")), looks_for_drift=True).hold(a_pack(place)) as hold:
        await hold.run(MarkArguments(name="x"), using=Asking(""))
    assert seen == [math.inf]


async def test_a_clock_that_was_stopped_twice_runs_when_both_let_it_go(place: Place) -> None:
    limit = Limit(60)
    limit.stop()
    limit.stop()
    limit.go_on()
    assert limit.scope.deadline == math.inf
    limit.go_on()
    assert limit.scope.deadline == pytest.approx(anyio.current_time() + 60, abs=30)
    endless = Limit(None)
    endless.stop()
    endless.go_on()
    assert endless.scope.deadline == math.inf
