"""What the base classes promise to an author who overrides nothing."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import pytest

from grex.plugin import (
    ActionArguments,
    ActionContext,
    ActionType,
    Context,
    Done,
    Mkdir,
    Outcome,
    Pack,
    PackType,
    Planned,
)
from grex.plugin.testing import RecordingContext

pytestmark = pytest.mark.anyio


class Nothing(ActionType[ActionArguments]):
    """An action with only what it must have."""

    name: ClassVar[str] = "nothing"
    arguments = ActionArguments

    async def plan(self, arguments: ActionArguments, ctx: ActionContext) -> Planned | None:
        return None

    async def do(self, arguments: ActionArguments, planned: Planned, ctx: ActionContext) -> Done:
        raise AssertionError("there was nothing to do")


class Home(PackType):
    """A pack type with only what it must have."""

    name: ClassVar[str] = "home"

    async def install(self, ctx: Context, pack: Pack) -> Outcome:
        async with ctx.hold(pack) as hold:
            await hold.run(Mkdir(path=ctx.home / pack.name))
            return hold.outcome()


async def test_an_action_that_says_nothing_about_trust_needs_it(tmp_path: Path) -> None:
    context = RecordingContext(tmp_path)
    ctx = context.of(context.make_pack())
    assert Nothing().needs_trust(ActionArguments(), ctx) == ("action nothing",)
    assert Nothing().check(ActionArguments()) is None
    await Nothing().undo({}, ctx)


async def test_a_pack_type_that_says_only_how_to_install_can_be_updated_and_taken_back(tmp_path: Path) -> None:
    context = RecordingContext(tmp_path)
    pack = context.make_pack(type="home")
    assert Home().has_install(pack)
    assert Home().needs_trust(context, pack) == ("pack type home",)
    assert (await Home().install(context, pack)).status == "changed"
    assert (await Home().update(context, pack)).status == "unchanged"
    assert await Home().sync(context, pack) == Outcome("unchanged")
    await Home().teardown(context, pack)
    assert list(context.home.iterdir()) == []
