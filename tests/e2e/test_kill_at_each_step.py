"""A sync that is killed right before or right after each durable step; the plain sync after it makes everything whole.

The hazard: a state between two steps that recovery does not know - a note without its directory, a checkout without
its record, a log line without its LF, a temporary file beside its target. Each test kills one real `grex` by SIGKILL
at one step (`tests.support.die_at`), runs serially so that the step is always the same one, and judges the result
against an undisturbed sync, byte for byte. `test_kill_and_resume` does the same at random moments, with all processes.
"""

from __future__ import annotations

import signal

import pytest

from tests.support.crash_scenario import ColdClones, NewsUpstream, Scenario, scenario
from tests.support.grex_nursery import Trap, run
from tests.support.workspace import Workspace

BEFORE_AND_AFTER = ("before", "after")

CLONE = [
    *(("grex.engine.cloning:write_note", when, nth) for nth in (1, 2) for when in BEFORE_AND_AFTER),
    *(("grex.engine.cloning:clone", when, 1) for when in BEFORE_AND_AFTER),
    ("grex.engine.cloning:plan_move", "after", 2),
    *(("grex.git.move_in:_move", "after", nth) for nth in (1, 2, 3)),
    ("os:link", "after", 2),  # both names are there, the old one is not yet removed
    *(("grex.engine.cloning:PackHold.link_into", when, 1) for when in BEFORE_AND_AFTER),
    *(("grex.engine.session:Session.record", when, 1) for when in BEFORE_AND_AFTER),
    *(("grex.engine.cloning:remove_note", when, 1) for when in BEFORE_AND_AFTER),
    *(("grex.engine.hiding:ensure_block", when, 1) for when in BEFORE_AND_AFTER),
    *(("os:replace", "before", nth) for nth in range(1, 9)),  # a temporary file is left beside its target
]
INSTALL_AND_FINISH = [
    *(("grex.engine.acting:_run_action", when, nth) for nth in (1, 3) for when in BEFORE_AND_AFTER),
    *(("grex.manifest.log:Log.append", when, nth) for nth in (1, 4, 9) for when in BEFORE_AND_AFTER),
    *(("grex.manifest.log:_write", "torn", nth) for nth in (1, 3, 4, 9)),
    *(("grex.verbs.sync:write_lockfile", when, 1) for when in BEFORE_AND_AFTER),
]
MOVE = [
    *(("grex.git.records:write_note", when, 1) for when in BEFORE_AND_AFTER),
    *(("grex.git.command:GitRunner.run[fetch]", when, 1) for when in BEFORE_AND_AFTER),
    *(("grex.git.records:remove_note", when, 1) for when in BEFORE_AND_AFTER),
    *(("grex.engine.moving:keep_rescue_ref", when, 1) for when in BEFORE_AND_AFTER),
    *(("grex.git.checkout:write_note", when, 1) for when in BEFORE_AND_AFTER),
    *(("grex.git.command:GitRunner.run[checkout]", when, 1) for when in BEFORE_AND_AFTER),
    *(("grex.git.checkout:write_record", when, 1) for when in BEFORE_AND_AFTER),
    *(("grex.git.checkout:remove_note", when, 1) for when in BEFORE_AND_AFTER),
    *(("grex.engine.session:Session.record", when, 1) for when in BEFORE_AND_AFTER),
    *(("os:replace", "before", nth) for nth in range(1, 6)),
]


@pytest.fixture
def cold(tmp_path_factory: pytest.TempPathFactory) -> Scenario:
    return scenario(ColdClones, tmp_path_factory.getbasetemp(), small=True)


@pytest.fixture
def news(tmp_path_factory: pytest.TempPathFactory) -> Scenario:
    return scenario(NewsUpstream, tmp_path_factory.getbasetemp(), small=True)


def die_at(workspace: Workspace, step: Trap, *arguments: str) -> None:
    """Run grex until it is killed at the step; a step that is never reached is a mistake in the test."""
    done = run(arguments, cwd=workspace.root, env=workspace.environ, timeout_s=60, trap=step)
    assert done.returncode == -signal.SIGKILL, f"{step} was not reached: {done.stdout}\n{done.stderr}"


def name(step: object) -> str:
    return "-".join(str(part) for part in step) if isinstance(step, tuple) else str(step)


@pytest.mark.slow
@pytest.mark.parametrize("step", [*CLONE, *INSTALL_AND_FINISH], ids=name)
def test_a_first_sync_killed_at_a_step_is_completed_by_the_next(cold: Scenario, step: Trap) -> None:
    workspace = cold.begin()
    die_at(workspace, step, "sync", "--jobs", "1")
    cold.check(workspace)


@pytest.mark.slow
@pytest.mark.parametrize("step", MOVE, ids=name)
def test_a_move_killed_at_a_step_is_completed_by_the_next_sync(news: Scenario, step: Trap) -> None:
    workspace = news.begin()
    die_at(workspace, step, "sync", "--jobs", "1")
    news.check(workspace)
