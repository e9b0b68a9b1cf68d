"""`grex doctor --fix` killed before each change that it makes to the disk; the same command again finishes it.

Each kill is a fork of this process (`tests.support.dying`).
"""

from __future__ import annotations

import os
from collections.abc import Callable

import anyio
import pytest

from tests.support.clinic import Clinic
from tests.support.dying import changes_of, die_before
from tests.verbs import test_doctor_mends as mends

FEW = (mends.merge_conflict, mends.lost, mends.damaged_clone_note)
"""Of these each step is killed in every run of the tests; of the others only in the slow ones."""

BY_GIT = mends.no_driver
"""What git itself mends, in one step."""


@pytest.fixture(autouse=True)
def no_flush(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda fd: None)


def fix(clinic: Clinic) -> list[str]:
    """Mend; gives what is left."""

    async def run() -> list[str]:
        report = await clinic.doctor(fix=True)
        assert report.check_up is not None
        assert [one.error for one in report.check_up.mended if one.error is not None] == []
        return [one.code for one in report.findings if one.severity != "note"]

    return anyio.run(run)


def each_kill(clinic: Clinic, damages: tuple[Callable[[Clinic], None], ...]) -> int:
    def prepare() -> None:
        clinic.begin()
        for damage in damages:
            damage(clinic)

    prepare()
    changes = changes_of(lambda: fix(clinic), since="grex.verbs.checkup:_mend")
    healthy_lockfile = None
    for nth, change in enumerate(changes, 1):
        prepare()
        users = clinic.users()
        die_before(lambda: fix(clinic), nth, since="grex.verbs.checkup:_mend")
        try:
            assert clinic.users() == users
            assert fix(clinic) == []
            anyio.run(clinic.sync)
            assert anyio.run(clinic.codes) == []
            assert clinic.users() == users
            healthy_lockfile = healthy_lockfile or clinic.lockfile.read_bytes()
            assert clinic.lockfile.read_bytes() == healthy_lockfile
        except AssertionError as error:
            error.add_note(f"killed before change {nth} of {len(changes)}, a {change}, of: {' '.join(changes)}")
            raise
    return len(changes)


def test_a_fix_killed_at_any_change_is_finished_by_the_next(clinic: Clinic) -> None:
    assert each_kill(clinic, FEW) > 8


@pytest.mark.slow
@pytest.mark.parametrize("damage", [one.values[1] for one in mends.CASES if one.values[1] not in (*FEW, BY_GIT)])
def test_each_fix_killed_at_any_change_is_finished_by_the_next(
    damage: Callable[[Clinic], None], clinic: Clinic
) -> None:
    assert each_kill(clinic, (damage,)) > 0
