"""Commands of packs as the engine runs them: what they are told, and what is told of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import pytest

from grex.builtin.actions import hook
from grex.builtin.actions.hook import HookAction, HookArguments
from grex.engine import RunContext
from grex.errors import ActionError
from grex.plugin import ActionArguments, ActionContext, ActionType, Done, Exec, Pack, Planned
from grex.process.session import COMMAND_VARIABLE
from grex.progress import CommandOutput, CommandStarted
from tests.support.place import Place

pytestmark = pytest.mark.anyio


class SetEditor(ActionType[Any]):
    """Sets a variable for the rest of the pack, and tries to set one that is grex's own."""

    name: ClassVar[str] = "set-editor"

    async def plan(self, arguments: ActionArguments, ctx: ActionContext) -> Planned | None:
        return Planned("set EDITOR")

    async def do(self, arguments: ActionArguments, planned: Planned, ctx: ActionContext) -> Done:
        ctx.export("EDITOR", "ed")
        ctx.export("GREX_PACK_NAME", "another")
        return Done(planned.text)


class SetEditorArguments(ActionArguments):
    """None."""

    action: ClassVar[str] = "set-editor"


def a_pack(place: Place, name: str, script: str = ":") -> Pack:
    root = place / name
    (root / ".grex/hooks").mkdir(parents=True)
    (root / ".grex/hooks/setup.sh").write_text(script)
    return Pack(name, root, name, "scripted", None, "")


async def test_what_an_action_sets_reaches_later_commands_and_hooks_of_its_pack_and_no_other(tmp_path: Path) -> None:
    place = Place(tmp_path)
    script = 'echo "${EDITOR-none} $GREX_PACK_NAME"'
    context = RunContext(place.session(SetEditor()))
    command = Exec(cmd=("/bin/sh", "-c", script.replace("$", "$$")))
    async with context.hold(a_pack(place, "one", script)) as hold:
        await hold.run(command)
        await hold.run(SetEditorArguments())
        await hold.run(command)
        await hold.run(HookArguments(hook="setup"), using=HookAction())
    async with context.hold(a_pack(place, "two", script)) as hold:
        await hold.run(command)
    said = [(event.pack, event.line) for event in place.seen.events if isinstance(event, CommandOutput)]
    assert said == [("one", "none one"), ("one", "ed one"), ("one", "ed one"), ("two", "none two")]


async def test_a_command_is_announced_before_it_runs_and_its_lines_say_where_they_come_from(tmp_path: Path) -> None:
    place = Place(tmp_path)
    async with RunContext(place.session()).hold(a_pack(place, "p", "echo out; echo err >&2")) as hold:
        await hold.run(HookArguments(hook="setup"), using=HookAction())
    events = [event for event in place.seen.events if isinstance(event, CommandStarted | CommandOutput)]
    label = "hook .grex/hooks/setup.sh"
    assert events[0] == CommandStarted("p", label)
    assert sorted(events[1:], key=str) == [
        CommandOutput("p", label, "err", "stderr"),
        CommandOutput("p", label, "out", "stdout"),
    ]


async def test_a_hook_that_takes_too_long_says_what_can_be_done_for_a_hook(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hook, "TIMEOUT_S", 0.3)
    place = Place(tmp_path)
    with pytest.raises(ActionError, match=r"setup\.sh took longer than 0\.3 s") as raised:
        async with RunContext(place.session()).hold(a_pack(place, "p", "exec sleep 600")) as hold:
            await hold.run(HookArguments(hook="setup"), using=HookAction())
    assert "an `exec` action has a `timeout_s`" in (raised.value.hint or "")


async def test_every_command_has_a_mark_of_its_own(tmp_path: Path) -> None:
    place = Place(tmp_path)
    pack = a_pack(place, "p", f'echo "${COMMAND_VARIABLE}"')
    for _ in range(2):
        async with RunContext(place.session()).hold(pack) as hold:
            await hold.run(HookArguments(hook="setup"), using=HookAction())
    marks = [event.line for event in place.seen.events if isinstance(event, CommandOutput)]
    assert len(set(marks)) == 2
    assert all(len(mark) == 16 for mark in marks)
