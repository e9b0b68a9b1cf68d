"""What a teardown could not take back is told at its place: in the pack.yaml that still has it, or in the log."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from grex.builtin.actions.env import Env
from grex.builtin.actions.symlink import Symlink
from grex.errors import ActionError, GrexError
from grex.plugin import ActionContext
from grex.verbs.teardown import TeardownRequest, teardown
from tests.support.git_server import GitServer
from tests.support.place import Place
from tests.support.workspace import pack_yaml

pytestmark = pytest.mark.anyio

LINK = {"symlink": {"src": "f", "dst": "~/link"}}
OTHER_LINK = {"symlink": {"src": "f", "dst": "~/other"}}
ENV = {"env": {"name": "A", "value": "1"}}
OTHER_ENV = {"env": {"name": "B", "value": "1"}}
LINUX_ENV = {"when": {"os": "linux", "actions": [ENV]}}
MAC_ENV = {"when": {"os": "macos", "actions": [ENV]}}
COMMAND = {"exec": {"cmd": ["true"], "undo": ["false"]}}
LAST = {"mkdir": {"path": "~/made"}}
FIRST_LINE = 5  # of the actions in the pack.yaml


@pytest.fixture
def anyio_backend() -> str:
    """One event loop: what is asked here does not depend on it."""
    return "asyncio"


class Pack:
    """A pack `p` whose links and variables cannot be taken back."""

    def __init__(self, base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        async def stuck(self: object, undo: Mapping[str, Any], ctx: ActionContext) -> None:
            raise ActionError("stuck")

        for kind in (Symlink, Env):
            monkeypatch.setattr(kind, "undo", stuck)
        self.server = GitServer(base / "server")
        self.place = Place(base, trust=(self.server.root.as_uri(),))
        self.place.defaults = self.place.settings(environ=dict(self.place.defaults.environ) | {"SHELL": "/bin/sh"})
        self.server.create("p", {"f": "1\n"})
        self.place.declare({"url": self.server.url("p")})

    async def install(self, actions: Sequence[Mapping[str, Any]]) -> None:
        self.server.commit("p", {".grex/pack.yaml": pack_yaml("p", "declarative", actions=list(actions))})
        assert (await self.place.sync()).exit_code == 0

    def edit(self, actions: Sequence[Mapping[str, Any]]) -> None:
        """Change what the checkout says, and install nothing of it."""
        (self.place / "p/.grex/pack.yaml").write_text(pack_yaml("p", "declarative", actions=list(actions)))

    async def failure(self) -> GrexError:
        report = await teardown(TeardownRequest(self.place.root), self.place.settings())
        (pack,) = report.packs
        assert pack.error is not None
        return pack.error

    def line(self, kind: str) -> int:
        """The line of the log that says that an action of that kind is done."""
        lines = list(map(json.loads, (self.place / "grex.jsonl").read_text().splitlines()))
        found = [line for line in lines if (line["op"], line.get("kind")) == ("action_completed", kind)]
        return lines.index(found[0]) + 1


@pytest.fixture
def pack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pack:
    return Pack(tmp_path, monkeypatch)


@pytest.mark.parametrize(
    ("done", "now", "line"),
    [
        ((COMMAND, LAST), (COMMAND, LAST), 0),
        ((LAST, LINK), (LAST, LINK), 1),
        ((LINK,), (LAST, {"when": {"os": "linux", "actions": [OTHER_LINK, LINK]}}), 1),
        ((LINUX_ENV,), (LINUX_ENV,), 0),
        ((MAC_ENV, LINUX_ENV), (MAC_ENV, LINUX_ENV), 1),
        ((LINK,), (OTHER_LINK,), None),
        ((ENV,), (OTHER_ENV,), None),
        ((LINK,), (LAST,), None),
    ],
)
async def test_it_is_the_place_of_the_action_that_is_still_declared_or_the_line_of_the_log(
    pack: Pack, done: Sequence[Mapping[str, Any]], now: Sequence[Mapping[str, Any]], line: int | None
) -> None:
    await pack.install(done)
    pack.edit(now)
    error = await pack.failure()
    kind = "symlink" if LINK in done else "exec" if COMMAND in done else "env"
    file, at = ("grex.jsonl", pack.line(kind)) if line is None else ("p/.grex/pack.yaml", FIRST_LINE + line)
    column = error.details["column"]
    assert (error.details["file"], error.details["line"]) == (file, at)
    assert error.message.startswith(f"{file}:{at}:{column}: not everything could be undone: {kind} ")
    assert error.message.count(" not everything") == 1
    text = ((pack.place / file).read_text().splitlines()[at - 1])[column - 1 :]
    assert line is None or text.startswith(f'{{"{kind}"') or f'"{kind}"' in text


async def test_of_several_things_each_has_its_place_and_so_has_what_only_the_log_knows(pack: Pack) -> None:
    await pack.install((LINK, ENV, LAST))
    first = await pack.failure()
    assert first.message.startswith(f"p/.grex/pack.yaml:{FIRST_LINE + 1}:6: not everything could be undone: env A")
    assert f"; p/.grex/pack.yaml:{FIRST_LINE}:6: symlink {pack.place.home}/link" in first.message
    shutil.rmtree(pack.place / "p")
    second = await pack.failure()
    assert second.message.startswith(f"grex.jsonl:{pack.line('env')}:1: not everything could be undone: env A")
    assert f"; grex.jsonl:{pack.line('symlink')}:1: symlink {pack.place.home}/link" in second.message
