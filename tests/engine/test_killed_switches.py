"""A switch, and a group that is turned on, killed before each change that they make to the disk.

After every single kill the same holds: what the user had edited is there, and the next command makes everything whole.
What git itself has half-written when it is killed, `tests/git/test_recover.py` is about.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import anyio
import pytest

from grex.engine import Settings
from grex.engine.turning import turn
from grex.git import observe
from grex.pack import read_local_all
from grex.verbs.over import SwitchRequest, switch
from tests.support.dying import changes_of, die_before
from tests.support.git_server import GitServer, git
from tests.support.place import Place

OLD = "# of this machine\noverrides:\n  - path: x\n    ref: dev\ngroups: [a] # said\n"


def test_a_switch_that_is_killed_at_any_step_is_finished_by_the_next(tmp_path: Path) -> None:
    server = GitServer(tmp_path / "up")
    server.create("a", {"f": "1\n", "g": "1\n"})
    server.commit("a", {"f": "topic\n"}, branch="topic")
    place = Place(tmp_path)
    place.declare({"url": server.url("a")})
    assert anyio.run(place.sync).exit_code == 0
    (place / "a/g").write_text("mine\n")
    record = observe(place / "a").record
    settings: Settings = place.settings()

    def go() -> None:
        async def run() -> None:
            await switch(SwitchRequest(root=place.root, branch="topic"), settings)

        anyio.run(run)

    since = "grex.git.switching:move_to_branch"
    spare = tmp_path / "spare"
    shutil.copytree(place / "a", spare, symlinks=True)

    def again() -> None:
        shutil.rmtree(place / "a")
        shutil.copytree(spare, place / "a", symlinks=True)

    changes = changes_of(go, since=since)
    assert "unlink" in changes, "the note goes at last"
    for nth in range(1, len(changes) + 1):
        again()
        die_before(go, nth, since=since)
        assert (place / "a/g").read_text() == "mine\n"
        go()
        state = observe(place / "a")
        assert (state.head_branch, state.note, state.record) == ("topic", None, record), nth
        assert ((place / "a/f").read_text(), (place / "a/g").read_text()) == ("topic\n", "mine\n")
        assert git(place / "a", "status", "--porcelain") == " M g"
        assert git(place / "a", "rev-parse", "--abbrev-ref", "topic@{upstream}") == "origin/topic"


@pytest.mark.parametrize("before", [None, OLD])
def test_a_group_that_is_turned_on_is_written_whole_or_not_at_all(tmp_path: Path, before: str | None) -> None:
    place = Place(tmp_path)
    place.declare()
    file = place / ".grex/local.yaml"

    def restore() -> None:
        for left in file.parent.glob(".grex-tmp-*"):
            left.unlink()
        if before is None:
            file.unlink(missing_ok=True)
        else:
            file.write_text(before)

    def go() -> None:
        async def run() -> None:
            await turn(place.session(), {"docs": True})

        anyio.run(run)

    restore()
    since = "grex.engine.turning:_write"
    changes = changes_of(go, since=since)
    after = file.read_text()
    assert changes
    seen = set()
    for nth in range(1, len(changes) + 1):
        restore()
        die_before(go, nth, since=since, way="torn" if changes[nth - 1] == "write" else "whole")
        now = file.read_text() if file.exists() else None
        assert now in (before, after)
        seen.add(now)
        go()
        assert file.read_text() == after
        assert [one.name for one in read_local_all(place.root).groups][-1] == "docs"
    assert before in seen
    assert os.path.lexists(file)
