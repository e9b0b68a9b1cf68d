"""No action touches what grex keeps for itself, also where that can only be known when its turn has come."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from grex.builtin.pack_types.declarative import Declarative
from grex.engine import RunContext
from grex.engine.exclusive import exclusive
from grex.errors import ActionError
from grex.pack import parse_pack_spec
from grex.plugin import Pack
from tests.support.place import Place
from tests.support.workspace import pack_yaml

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    """One event loop: what is asked here does not depend on it."""
    return "asyncio"


def copy(dst: str) -> dict[str, Any]:
    return {"copy": {"src": "f", "dst": dst, "backup": True}}


@pytest.mark.parametrize(
    ("first", "then", "is_refused"),
    [
        ({"env": {"name": "W", "value": "{root}", "scope": "session"}}, copy("$W/grex.jsonl"), True),
        (
            {"env": {"name": "W", "value": "{root}", "scope": "session"}},
            {"when": {"os": "linux", "actions": [{"mkdir": {"path": "$W/.grex/state/x"}}]}},
            True,
        ),
        ({"exec": {"cmd": ["ln", "-s", "{root}", "{home}/way"]}}, copy("~/way/grex.jsonl"), True),
        ({"exec": {"cmd": ["ln", "-s", "{root}", "{home}/way"]}}, {"rmdir": {"path": "~/way/.grex/trash"}}, True),
        ({"env": {"name": "W", "value": "{root}", "scope": "session"}}, copy("$W/notes"), False),
        ({"exec": {"cmd": ["ln", "-s", "{root}", "{home}/way"]}}, copy("~/way/notes"), False),
    ],
)
async def test_a_place_that_an_earlier_action_leads_to_is_refused_in_its_turn(
    tmp_path: Path, first: Mapping[str, Any], then: Mapping[str, Any], is_refused: bool
) -> None:
    place = Place(tmp_path)
    (place / "p").mkdir()
    (place / "p/f").write_text("the pack's\n")
    (place / ".grex/trash").mkdir(parents=True)
    text = pack_yaml("p", "declarative", actions=[first, then])
    text = text.replace("{root}", str(place.root)).replace("{home}", str(place.home))
    spec = parse_pack_spec(text.encode(), file="p/.grex/pack.yaml", is_root=False)
    session = place.session()
    async with exclusive(session):
        context = RunContext(session, keep_partial=True)
        pack = Pack("p", place / "p", "p", "declarative", spec, "c")
        if not is_refused:
            await Declarative().install(context, pack)
            assert (place / "notes").read_text() == "the pack's\n"
            return
        with pytest.raises(ActionError, match=r"^p/.grex/pack.yaml:6:\d+: the action '\w+' wants /") as caught:
            await Declarative().install(context, pack)
    assert caught.value.message.endswith(", and grex keeps its own files there")
    assert not (place / ".grex/state/x").exists()
    assert (place / ".grex/trash").is_dir()
    assert not (place / "grex.jsonl").exists() or '"op"' in (place / "grex.jsonl").read_text()
