"""The end of an action is recorded, whatever ends it: a bracket that stays open says that its run was killed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import anyio
import pytest

from grex.engine.context import RunContext
from grex.engine.session import Session, Settings
from grex.errors import ActionError
from grex.manifest import fold
from grex.plugin import ActionArguments, ActionContext, ActionType, Done, Mkdir, Pack, Planned
from tests.support.workspace import pack_yaml

pytestmark = pytest.mark.anyio


class Ending(ActionType[Any]):
    """An action that waits to be cancelled, fails, or ends although the run is being cancelled."""

    name = "mkdir"
    arguments = Mkdir

    def __init__(self, scope: anyio.CancelScope, how: str) -> None:
        self._scope = scope
        self._how = how

    def needs_trust(self, arguments: ActionArguments, ctx: ActionContext) -> Sequence[str]:  # type: ignore[override]  # a tuple is not needed here
        return ()

    async def plan(self, arguments: ActionArguments, ctx: ActionContext) -> Planned | None:
        return Planned("something")

    async def do(self, arguments: ActionArguments, planned: Planned, ctx: ActionContext) -> Done:
        if self._how == "fails":
            raise ActionError("it failed")
        self._scope.cancel()
        if self._how == "is-cancelled":
            await anyio.sleep_forever()
        return Done("done", undo={"what": "it made"})


def session_in(root: Path) -> Session:
    (root / ".grex").mkdir()
    (root / ".grex/pack.yaml").write_text(pack_yaml("root"))
    (root / "p").mkdir()
    return Session.open(root, Settings(root, {}, "linux", root / "state", "sync"))


@pytest.mark.parametrize(("how", "open_after", "completed"), [("is-cancelled", 0, 0), ("fails", 0, 0), ("ends", 0, 1)])
async def test_a_bracket_is_closed_however_its_action_ends(
    tmp_path: Path, how: str, open_after: int, completed: int
) -> None:
    session = session_in(tmp_path)
    pack = Pack("p", tmp_path / "p", "p", "declarative", None, "")
    with anyio.CancelScope() as scope:
        try:
            async with RunContext(session, keep_partial=True).hold(pack) as hold:
                await hold.run(Mkdir(path="x"), using=cast("ActionType[Any]", Ending(scope, how)))
        except ActionError:
            assert how == "fails"
    record = fold(session.log.read().events).packs["p"]
    assert (len(record.open_brackets), len(record.completed)) == (open_after, completed)
    assert scope.cancelled_caught == (how != "fails")
