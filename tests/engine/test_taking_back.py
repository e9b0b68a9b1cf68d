"""A failed install takes back what it did, whatever the actions of a plugin do when they are undone."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from grex.builtin.actions.mkdir import Mkdir
from grex.engine import Settings
from grex.plugin import ActionContext
from grex.verbs.sync import SyncRequest, sync
from grex.verbs.teardown import TeardownRequest, teardown
from tests.support.git_server import GitServer
from tests.support.workspace import Workspace, pack_yaml

pytestmark = pytest.mark.anyio


async def test_an_undo_that_raises_anything_keeps_no_other_from_being_taken_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The failure that is reported stays the action's own, and its hint says what could not be taken back."""
    server = GitServer(tmp_path / "server")
    actions = [{"mkdir": {"path": "a"}}, {"mkdir": {"path": "b"}}, {"exec": {"cmd": ["false"]}}]
    server.create("p", {".grex/pack.yaml": pack_yaml("p", "declarative", actions=actions)})
    workspace = Workspace(tmp_path)
    workspace.declare({"url": server.url("p")})
    undo = Mkdir.undo

    async def broken(self: Mkdir, facts: Mapping[str, Any], ctx: ActionContext) -> None:
        if str(facts["made"][0]).endswith("b"):
            raise ValueError("not today")
        await undo(self, facts, ctx)

    monkeypatch.setattr(Mkdir, "undo", broken)
    settings = Settings(
        home=tmp_path,
        environ=dict(os.environ),
        platform="linux",
        state_dir=tmp_path / "state",
        verb="sync",
        trust=(server.root.as_uri(),),
    )

    (pack,) = (await sync(SyncRequest(workspace.root), settings)).packs

    assert pack.install is not None
    assert pack.install.error is not None
    assert "exec false exited with code 1" in pack.install.error.message
    assert "ValueError: not today" in (pack.install.error.hint or "")
    assert not (workspace / "p/a").exists()
    assert (workspace / "p/b").is_dir()


async def test_what_a_failed_action_had_begun_and_could_not_take_back_is_still_undone_by_a_teardown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file of the user's is moved aside, then the disk refuses the link, and refuses to move the file back.

    With --keep-partial nobody tries to; in either case the log must not forget where the file is.
    """
    server = GitServer(tmp_path / "server")
    actions = [{"symlink": {"src": "rc", "dst": str(tmp_path / "rc"), "backup": True}}]
    server.create("p", {".grex/pack.yaml": pack_yaml("p", "declarative", actions=actions), "rc": "the pack's"})
    workspace = Workspace(tmp_path)
    workspace.declare({"url": server.url("p")})
    settings = Settings(
        home=tmp_path,
        environ=dict(os.environ),
        platform="linux",
        state_dir=tmp_path / "state",
        verb="sync",
        trust=(server.root.as_uri(),),
    )

    def refuse(*args: object, **kwargs: object) -> None:
        raise OSError(28, "No space left on device")

    for keep_partial in (False, True):
        (tmp_path / "rc").write_text("the user's")
        with monkeypatch.context() as patch:
            patch.setattr(Path, "symlink_to", refuse)
            patch.setattr("grex.builtin.actions.symlink.bring_back", refuse)
            report = await sync(SyncRequest(workspace.root, keep_partial=keep_partial), settings)
        assert report.exit_code == 4
        assert not (tmp_path / "rc").exists()
        await teardown(TeardownRequest(workspace.root), settings)
        assert (tmp_path / "rc").read_text() == "the user's"


async def test_an_undo_that_fails_is_tried_again_though_an_older_one_of_the_same_action_went_through(
    tmp_path: Path,
) -> None:
    """The pack's one action was `env A` and is `env B`; somebody spoils the block of B, and puts it right later."""
    server = GitServer(tmp_path / "server")
    workspace = Workspace(tmp_path)
    workspace.declare({"url": server.url("p")})
    settings = Settings(
        home=tmp_path,
        environ={**os.environ, "SHELL": "/bin/sh"},
        platform="linux",
        state_dir=tmp_path / "state",
        verb="sync",
        trust=(server.root.as_uri(),),
    )
    server.create("p")
    for name in ("A", "B"):
        spec = pack_yaml("p", "declarative", actions=[{"env": {"name": name, "value": "1"}}])
        server.commit("p", {".grex/pack.yaml": spec})
        assert (await sync(SyncRequest(workspace.root), settings)).exit_code == 0
    profile = tmp_path / ".profile"
    end, spoilt = "# <<< grex: B", "# <<< B"
    profile.write_text(profile.read_text().replace(end, spoilt))

    assert (await teardown(TeardownRequest(workspace.root), settings)).exit_code == 4
    profile.write_text(profile.read_text().replace(spoilt, end))
    assert (await teardown(TeardownRequest(workspace.root), settings)).exit_code == 0

    assert not profile.exists()


class Killed(BaseException):
    """The end of the process, as far as the code can see it."""


# Nowhere, before the clone is recorded, before it is installed.
@pytest.mark.parametrize("dies", ["", "grex.engine.cloning.arrival_events", "grex.verbs.sync.prepare"])
async def test_a_pack_whose_checkout_was_deleted_and_cloned_again_is_installed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dies: str
) -> None:
    """What `setup` had made lay in the old checkout."""
    server = GitServer(tmp_path / "server")
    hooks = {f".grex/hooks/{hook}.sh": f"touch {hook}\n" for hook in ("setup", "sync")}
    server.create("p", {".grex/pack.yaml": pack_yaml("p", "scripted"), **hooks, ".gitignore": "setup\nsync\n"})
    workspace = Workspace(tmp_path)
    workspace.declare({"url": server.url("p")})
    settings = Settings(
        home=tmp_path,
        environ=dict(os.environ),
        platform="linux",
        state_dir=tmp_path / "state",
        verb="sync",
        trust=(server.root.as_uri(),),
    )

    def die(*args: object, **keys: object) -> None:
        raise Killed

    await sync(SyncRequest(workspace.root), settings)
    shutil.rmtree(workspace / "p")
    if dies:
        with monkeypatch.context() as patch:
            patch.setattr(dies, die)
            with pytest.raises((Killed, BaseExceptionGroup)):
                await sync(SyncRequest(workspace.root), settings)
        assert not (workspace / "p/setup").exists()
    (pack,) = (await sync(SyncRequest(workspace.root), settings)).packs
    assert pack.install is not None
    assert pack.install.status == "installed"
    assert sorted(path.name for path in (workspace / "p").glob("s*")) == ["setup", "sync"]
    assert not [step for step in (await sync(SyncRequest(workspace.root), settings)).packs if step.install]
