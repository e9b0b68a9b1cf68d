"""Removals, restores, sweeps and forced syncs that are killed before each change that they make to the disk.

Each kill is a fork of this process (`tests.support.dying`). For every single change the same is demanded: right after
the kill everything of the user's is there exactly once, at its place or in the trash, and whole; and a sync, or the
same command again, ends with declarations, log, lockfile and disk in agreement.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import anyio
import pytest

from grex.errors import UsageError
from tests.support.dying import changes_of, die_before
from tests.support.removal import Nest, facts
from tests.verbs.test_doctor import old

PACKS = ("other", "libs/tool", "libs/tool/deps/inner")
SYNC = "sync"
AGAIN = "again"


@pytest.fixture(autouse=True)
def no_flush(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda fd: None)


def mark(nest: Nest) -> None:
    """Something of the user's in each pack that git ignores, by which the pack is known again."""
    for pack in PACKS:
        with (nest / pack / ".git/info/exclude").open("a") as exclude:
            exclude.write("\n/mark\n")
        (nest / pack / "mark").write_text(f"the mark of {pack}\n")


def check_marks(nest: Nest, packs: tuple[str, ...] = PACKS) -> None:
    """Insist that each is there once, in a directory that has the rest of the pack too."""
    for pack in packs:
        found = [
            path
            for path in nest.place.root.rglob("mark")
            if path.is_file() and path.read_text() == f"the mark of {pack}\n"
        ]
        assert len(found) == 1, (pack, found)
        assert (found[0].parent / ".git/HEAD").is_file()


def run(call: Callable[[], Awaitable[object]]) -> object:
    async def within() -> object:
        return await call()

    return anyio.run(within)


def each_kill(
    prepare: Callable[[], None], act: Callable[[], Awaitable[object]], since: str, check: Callable[[], None]
) -> int:
    """Kill an act before each of its changes, and check what is left; gives how many there were."""
    prepare()
    changes = changes_of(lambda: run(act), since=since)
    for nth, change in enumerate(changes, 1):
        prepare()
        die_before(lambda: run(act), nth, since=since)
        try:
            check()
        except (AssertionError, UsageError) as error:
            error.add_note(f"killed before change {nth} of {len(changes)}, a {change}, of: {' '.join(changes)}")
            raise
    return len(changes)


async def must(call: Awaitable[object]) -> None:
    report = await call
    assert getattr(report, "exit_code", None) == 0, report


@pytest.mark.slow
@pytest.mark.parametrize("then", [SYNC, AGAIN])
def test_a_removal_killed_at_any_change_loses_nothing_and_is_finished_or_undone(then: str, nest: Nest) -> None:
    def prepare() -> None:
        nest.begin()
        mark(nest)

    async def remove() -> None:
        await must(nest.rm("tool"))

    def check() -> None:
        check_marks(nest)
        if then == SYNC:
            run(nest.sync)
        else:
            try:
                run(remove)
            except UsageError:  # it was through but for the last words
                run(nest.sync)
            assert nest.there() == {"other"}
        check_marks(nest)
        nest.check_agreement()

    assert each_kill(prepare, remove, "grex.verbs.rm:_Removing.run", check) > 20


@pytest.mark.slow
def test_a_prune_killed_at_any_change_is_finished_by_the_next(nest: Nest) -> None:
    def prepare() -> None:
        nest.begin()
        mark(nest)
        nest.yaml.write_text('schema_version: "1"\nname: root\ntype: meta\n')

    async def prune() -> None:
        await must(nest.place.sync(prune=True))

    def check() -> None:
        check_marks(nest)
        run(prune)
        assert nest.there() == set()
        check_marks(nest)
        nest.check_agreement()

    assert each_kill(prepare, prune, "grex.engine.removal:Removals.take_away", check) > 20


@pytest.mark.slow
@pytest.mark.parametrize("then", [SYNC, AGAIN])
def test_a_restore_killed_at_any_change_is_undone_or_finished(then: str, nest: Nest) -> None:
    stamps: list[str] = []

    def prepare() -> None:
        nest.begin()
        mark(nest)
        run(partial(nest.rm, "tool"))
        stamps[:] = nest.in_trash()

    async def restore() -> None:
        await must(nest.doctor(*stamps))

    def check() -> None:
        check_marks(nest)
        if then == AGAIN:
            for stamp in stamps:
                try:
                    run(partial(nest.doctor, stamp))
                except UsageError:  # it is back already
                    assert stamp not in nest.in_trash()
            assert nest.there() == set(PACKS)
            assert nest.in_trash() == []
        run(partial(nest.sync))
        check_marks(nest)
        nest.check_agreement()

    assert each_kill(prepare, restore, "grex.engine.restoring:_restore_whole", check) > 10


@pytest.mark.slow
def test_a_sweep_killed_at_any_change_is_finished_and_leaves_no_half_to_restore(nest: Nest) -> None:
    whole: dict[str, object] = {}

    def prepare() -> None:
        nest.begin()
        mark(nest)
        run(partial(nest.rm, "other"))
        old(nest, 100)
        whole["other"] = facts(nest / ".grex/trash" / nest.in_trash()[0] / "other")

    async def sweep() -> None:
        await must(nest.doctor(keep_days=90))

    def check() -> None:
        async def listed() -> list[Path]:
            report = await nest.doctor(trash=True)
            return [one.trashed.content for one in report.trash or () if one.trashed.is_there]

        for content in anyio.run(listed):
            assert facts(content) == whole["other"]
        run(nest.sync)
        assert list((nest / ".grex/trash").iterdir()) == []
        nest.check_agreement()

    assert each_kill(prepare, sweep, "grex.engine.trash:Trash.sweep", check) > 20


@pytest.mark.slow
@pytest.mark.parametrize("what", ["edits", "a directory"])
def test_a_forced_sync_killed_at_any_change_loses_nothing_and_is_finished(what: str, nest: Nest) -> None:
    def prepare() -> None:
        nest.begin()
        nest.server.commit("other", {"o": "2\n", "a": "theirs\n"})
        if what == "edits":
            (nest / "other/o").write_text("mine: o\n")
            (nest / "other/a").write_text("mine: a\n")
        else:
            (nest / "other").rename(nest.base / "away")
            (nest / "other").mkdir()
            for name in "oa":
                (nest / "other" / name).write_text(f"mine: {name}\n")

    async def force() -> None:
        await must(nest.place.sync(force=True))

    def check_mine() -> None:
        for name in "oa":
            found = [
                path for path in nest.place.root.rglob(name) if path.is_file() and path.read_text() == f"mine: {name}\n"
            ]
            assert len(found) == 1, (name, found)

    def check() -> None:
        check_mine()
        run(force)
        check_mine()
        assert (nest / "other/o").read_text() == "2\n"
        nest.check_agreement()

    assert each_kill(prepare, force, "grex.engine.trash:Trash._begin", check) > 5
