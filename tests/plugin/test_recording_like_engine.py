"""What a plugin sees under `RecordingContext` is what it sees in a run: one table, both ways, the same answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import anyio
import pytest

from grex.engine import RunContext
from grex.errors import ActionError, GrexError
from grex.pack import ActionEntry, PlainData, parse_pack_spec
from grex.plugin import (
    ActionArguments,
    ActionContext,
    ActionType,
    Done,
    Pack,
    PackSkippedError,
    Planned,
    PredicateContext,
    PredicateType,
)
from grex.plugin.testing import RecordingContext
from tests.support.place import Place
from tests.support.plugins import Declared
from tests.support.workspace import pack_yaml

pytestmark = pytest.mark.anyio


@dataclass(frozen=True, slots=True, kw_only=True)
class StepArguments(ActionArguments):
    """What one step does at one of its calls."""

    action: ClassVar[str] = "step"
    name: str
    at: str = ""
    how: str = ""
    text: str = ""
    do_first: tuple[ActionEntry, ...] = ()
    do_then: tuple[ActionEntry, ...] = ()


class Step(ActionType[StepArguments]):
    """Notes what is called with what it sees, and fails as it is told."""

    name: ClassVar[str] = "step"
    arguments = StepArguments

    def __init__(self) -> None:
        self.seen: list[object] = []

    def needs_trust(self, arguments: StepArguments, ctx: ActionContext) -> tuple[str, ...]:
        return ()

    def limit_s(self, arguments: StepArguments) -> float | None:
        return 0.05 if arguments.how == "hang" else 600.0

    async def plan(self, arguments: StepArguments, ctx: ActionContext) -> Planned | None:
        self.seen.append(("plan", arguments.name, ctx.dry_run, ctx.force, len(ctx.recorded())))
        if arguments.text:
            self.seen.append(ctx.expand(arguments.text))
        if arguments.how == "so already":
            return None
        await self._fail("plan", arguments)
        undo: Mapping[str, Any] = {"name": arguments.name, "how": arguments.how}
        if arguments.how == "unwritable":
            undo = {"name": arguments.name, "how": "", "object": object()}
        return Planned(f"step {arguments.name}", undo=undo, undo_if_failed=arguments.how != "unknown")

    async def do(self, arguments: StepArguments, planned: Planned, ctx: ActionContext) -> Done:
        self.seen.append(("do", arguments.name, ctx.environ.get("EXPORTED")))
        ctx.export("EXPORTED", arguments.name)
        ctx.note(f"note of {arguments.name}\x1b[2K")
        for argument in ("do_first", "do_then"):
            for nested in ctx.nested(arguments, argument):
                await ctx.run(nested)
        await self._fail("do", arguments)
        return Done(planned.text, undo=planned.undo, irreversible=arguments.how == "irreversible")

    async def undo(self, undo: Mapping[str, Any], ctx: ActionContext) -> None:
        self.seen.append(("undo", undo["name"]))
        if undo["how"] == "stuck":
            raise RuntimeError("stuck")

    def describe_undo(self, undo: Mapping[str, Any]) -> str:
        return f"step {undo['name']}"

    async def drift(self, arguments: StepArguments, ctx: ActionContext) -> str | None:
        await self._fail("drift", arguments)
        return arguments.how or None

    async def _fail(self, at: str, arguments: StepArguments) -> None:
        if arguments.at != at:
            return
        match arguments.how:
            case "tell" | "unknown":
                raise ActionError("no", hint="Mend it.")
            case "skip":
                raise PackSkippedError("not here")
            case "hang":
                await anyio.sleep_forever()
            case _:
                raise RuntimeError("boom")


class Odd(PredicateType):
    """Whether a number is odd; nowhere but on Linux."""

    name: ClassVar[str] = "odd"
    platforms: ClassVar[tuple[str, ...]] = ("linux",)

    def holds(self, value: PlainData, ctx: PredicateContext) -> bool:
        if not isinstance(value, int):
            raise TypeError("that is no number")
        return value % 2 == 1


def step(name: str, **keys: Any) -> dict[str, Any]:
    return {"step": {"name": name, **keys}}


CASES: dict[str, tuple[Sequence[Mapping[str, Any]], Mapping[str, Any]]] = {
    "all is well": ([step("a"), step("b", how="so already"), step("c")], {}),
    "one tells why it cannot": ([step("a"), step("b", at="do", how="tell")], {}),
    "one cannot plan": ([step("a"), step("b", at="plan", how="tell")], {}),
    "one raises": ([step("a"), step("b", at="do")], {}),
    "an undo raises": ([step("a"), step("s", how="stuck"), step("b", at="do", how="tell")], {}),
    "something cannot be undone": ([step("a", how="irreversible"), step("b", at="do")], {}),
    "nobody knows what it did": ([step("b", at="do", how="unknown")], {}),
    "partial work is kept": ([step("a"), step("b", at="do")], {"keep_partial": True}),
    "the rest is left out": ([step("a"), step("b", at="do", how="skip"), step("c")], {}),
    "it hangs": ([step("a"), step("b", at="do", how="hang")], {}),
    "it hangs while planning": ([step("b", at="plan", how="hang")], {}),
    "a dry run": ([step("a"), step("b", how="so already"), step("c")], {"dry_run": True}),
    "a look for drift": ([step("a"), step("b", how="gone")], {"looks_for_drift": True}),
    "a look for drift that is told": ([step("b", at="drift", how="tell")], {"looks_for_drift": True}),
    "a look for drift that raises": ([step("b", at="drift")], {"looks_for_drift": True}),
    "by force": ([step("a")], {"force": True}),
    "a variable that is not set": ([step("a", text="x$NOWHERE")], {}),
    "variables": ([step("a", text="$GREX_PACK_NAME $GREX_PACK_OS $GREX_DRY_RUN $$")], {}),
    "actions inside": ([step("a", do_then=[step("then")], do_first=[step("1"), step("2")]), step("b")], {}),
    "one inside fails": ([step("a", do_first=[step("1"), step("2", at="do")])], {}),
    "a condition": ([{"require": {"all_of": [{"odd": 3}], "none_of": [{"odd": 2}]}}, step("a")], {}),
    "a condition that raises": ([{"require": {"any_of": [{"odd": "x"}]}}], {}),
    "undo data that cannot be written": ([step("a"), step("b", how="unwritable")], {}),
}


async def called(context: Any, pack: Pack, step_type: Step) -> tuple[object, ...]:
    """What an install and a teardown come to, and everything that the plugin saw meanwhile."""
    told: list[object] = []
    for call in (Declared().install, Declared().install, Declared().teardown):
        try:
            told.append(await call(context, pack))
        except PackSkippedError as skipped:
            told.append(f"skipped {skipped}")
        except GrexError as error:
            told.append((type(error).__name__, error.code, error.message, error.hint, error.details))
        session = getattr(context, "session", None)
        if session is not None:
            session.reread()
    return (*told, *step_type.seen)


@pytest.mark.parametrize("what", CASES)
async def test_a_plugin_sees_the_same(what: str, tmp_path: Path) -> None:
    actions, how = CASES[what]
    text = pack_yaml("tools", "declared", actions=list(actions))
    place, engine_step = Place(tmp_path / "engine"), Step()
    (place / "tools").mkdir()
    spec = parse_pack_spec(text.encode(), file="tools/.grex/pack.yaml", is_root=False)
    session = place.session(Declared(), engine_step, Odd())
    with anyio.fail_after(30):
        async with session.holds.workspace():
            context = RunContext(session, **how)
            engine = await called(context, Pack("tools", place / "tools", "tools", "declared", spec, "c"), engine_step)

    (tmp_path / "recording").mkdir()
    recording_step = Step()
    recording_context = RecordingContext(tmp_path / "recording", plugins=[recording_step, Odd()], **how)
    recording = await called(recording_context, recording_context.make_pack("tools", pack_yaml=text), recording_step)
    assert list(map(plain, recording)) == list(map(plain, engine))
    assert recording_step.seen or "condition" in what or "drift" in what


def plain(value: object) -> object:
    """Without what differs by nature: in which words the log says why it cannot hold something."""
    if not isinstance(value, tuple):
        return value
    return tuple(part.split(" cannot be recorded")[0] if isinstance(part, str) else part for part in value)
