"""A removal and other processes: who holds the pack keeps it, who waits for it finds it gone and makes nothing anew."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from grex.engine.removal import Removals
from grex.engine.session import Session
from grex.locks import PackLock
from tests.support.killing import eventually
from tests.support.lock_holder import LockHolder
from tests.support.removal import Nest, facts

pytestmark = pytest.mark.anyio


def under_the_locks(monkeypatch: pytest.MonkeyPatch, then: Callable[[], object]) -> None:
    """Let something happen in the middle of a removal, right before the rename."""
    judge: Callable[..., Awaitable[object]] = Removals._judge
    looks: list[str] = []

    async def late(self: Removals, path: str, *more: object) -> object:
        looks.append(path)
        if len(looks) == 2:  # the first is without locks
            then()
        return await judge(self, path, *more)

    monkeypatch.setattr(Removals, "_judge", late)


async def test_a_pack_that_somebody_holds_is_kept_and_they_are_named(nest: Nest) -> None:
    nest.place.defaults = nest.place.settings(no_wait=True)
    before = facts(nest / "other")
    with LockHolder("pack", nest / "other") as holder:
        assert holder.ask("take") == "held"
        report = await nest.rm("other")
        assert (report.exit_code, report.packs[0].code) == (4, "lock.busy")
        assert f"pid {holder.pid} " in report.packs[0].text
    assert facts(nest / "other") == before
    assert nest.in_trash() == []
    assert nest.logged() == nest.declared() == nest.there()
    assert (await nest.rm("other")).exit_code == 0


async def test_git_that_outlived_its_grex_keeps_the_checkout(nest: Nest) -> None:
    nest.place.defaults = nest.place.settings(no_wait=True)
    with LockHolder("backend", nest / "other") as holder:
        assert holder.ask("take") == "held"
        assert (await nest.rm("other")).packs[0].code == "lock.busy"
    assert "other" in nest.there()


async def test_who_waits_for_a_pack_that_goes_is_told_and_makes_nothing(
    nest: Nest, monkeypatch: pytest.MonkeyPatch
) -> None:
    with LockHolder("pack", nest / "other") as waiter:
        assert waiter.ask("pass") == "passed"  # it has opened the lock before
        under_the_locks(monkeypatch, lambda: answers.append(waiter.ask("take-aloud")))
        answers: list[str] = []
        assert (await nest.rm("other")).exit_code == 0
        assert answers == ["waits"]
        assert waiter.answer().startswith("lock.pack-gone")
    assert not (nest / "other").exists()
    (stamp,) = nest.in_trash()
    assert (await nest.doctor(stamp)).exit_code == 0
    assert (await nest.place.sync()).exit_code == 0


async def test_who_opens_a_pack_that_comes_back_finds_it_held(nest: Nest, monkeypatch: pytest.MonkeyPatch) -> None:
    await nest.rm("other")
    record = Session.record
    answers: list[str] = []
    with LockHolder("pack", nest / "other") as other:

        async def late(self: Session, *what: object) -> None:
            answers.append(other.ask("try"))
            await record(self, *what)  # type: ignore[arg-type]

        monkeypatch.setattr(Session, "record", late)
        assert (await nest.doctor(*nest.in_trash())).exit_code == 0
        assert answers == ["busy"]
        assert other.ask("try") == "held"


async def test_a_sync_of_another_workspace_that_waits_brings_the_pack_anew(
    nest: Nest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two workspaces share a checkout through a link; one removes it while the other waits for it."""
    second = tmp_path / "second"
    (second / ".grex").mkdir(parents=True)
    url = nest.server.url("other")
    (second / ".grex/pack.yaml").write_text(
        f'schema_version: "1"\nname: second\ntype: meta\nchildren:\n  - url: {url}\n'
    )
    (second / "other").symlink_to(nest / "other")
    # Not a child of this process: grex would see that its own ancestor holds the pack, and not wait.
    script = '("$@" >out 2>&1; echo $? >code.new; mv code.new code) </dev/null >/dev/null 2>&1 &'
    command = ["sh", "-c", script, "sh", sys.executable, "-m", "grex", "sync"]
    environ = dict(os.environ)
    lock = PackLock.open(nest / "other")

    def sync_there() -> None:
        subprocess.run(command, cwd=second, env=environ, check=True)
        eventually(lambda: bool(lock.statistics().queued), "a waiter for the pack")

    under_the_locks(monkeypatch, sync_there)
    assert (await nest.rm("other")).exit_code == 0
    eventually((second / "code").exists, "the end of the other sync")
    assert (second / "code").read_text() == "0\n", (second / "out").read_text()
    assert (nest / "other/.git").is_dir()
    assert len(nest.in_trash()) == 1
