"""The lock protocol in every order of steps, cancellations, deaths and whatever else a scenario allows.

What holds in every state is in `kernel_model.World.check` and in `exploration.explore`: one holder, whatever the inode;
readers never beside a writer; nothing left of an attempt that ended; queue and tickets in the same order; nobody waits
for ever, and everybody can come to an end; and without timers first come, first served: who had its ticket before
another began to arrive holds the lock before it.

Each scenario says how many states there are at least, so that one that comes to nothing is noticed.
"""

from __future__ import annotations

from typing import NamedTuple

import pytest

from grex.locks.protocol import Ask, Protocol, Standing, Verdict
from tests.locks.exploration import explore
from tests.locks.model_parts import Code, Scenario, Violation, Want
from tests.locks.mutations import MUTATIONS, mutated

ONE = (Want(),)
AGAIN = (Want(), Want())
READ = (Want(shared=True),)
TRY = (Want(may_wait=False),)
HERE_THEN_THERE = (Want(0), Want(1))
THERE_THEN_HERE = (Want(1), Want(0))


class Explored(NamedTuple):
    """A scenario and the number of its states, rounded down."""

    scenario: Scenario
    states: int


FAST = {
    "three in one process": Explored(Scenario(((0, ONE), (0, ONE), (0, ONE))), 900),
    "two and one": Explored(Scenario(((0, ONE), (0, ONE), (1, ONE))), 6_200),
    "two processes, twice": Explored(Scenario(((0, AGAIN), (1, AGAIN))), 3_700),
    "cancel and crash": Explored(Scenario(((0, ONE), (1, ONE)), cancels=1, crashes=1), 2_900),
    "a writer between readers": Explored(Scenario(((0, READ), (0, ONE), (0, READ)), cancels=1), 3_600),
    "a reader and a writer beside a reader": Explored(Scenario(((0, READ), (1, READ), (1, ONE)), cancels=1), 10_000),
    "the file is replaced, timers": Explored(
        Scenario(((0, ONE), (1, ONE)), replacements=1, timers=True, cancels=1), 11_000
    ),
    "two packs, cancel and crash": Explored(
        Scenario(((0, HERE_THEN_THERE), (1, THERE_THEN_HERE)), cancels=1, crashes=1), 13_000
    ),
}

SLOW = {
    "two and one, cancel": Explored(Scenario(((0, ONE), (0, ONE), (1, ONE)), cancels=1), 26_000),
    "one that must not wait": Explored(Scenario(((0, ONE), (0, TRY), (1, ONE)), cancels=1), 11_000),
    "the file is replaced while a stranger holds it": Explored(
        Scenario(((0, ONE), (1, ONE)), replacements=1, foreign_holds=True), 20_000
    ),
    "three processes": Explored(Scenario(((0, ONE), (1, ONE), (2, ONE))), 14_000),
    "a writer and two readers, timers": Explored(Scenario(((0, ONE), (1, READ), (2, READ)), timers=True), 12_000),
    "two and one, crash": Explored(Scenario(((0, ONE), (0, ONE), (1, ONE)), crashes=1), 32_000),
    "three processes, cancel": Explored(Scenario(((0, ONE), (1, ONE), (2, ONE)), cancels=1), 63_000),
    "three processes, crash": Explored(Scenario(((0, ONE), (1, ONE), (2, ONE)), crashes=1), 120_000),
    "three wait for a stranger": Explored(Scenario(((0, ONE), (0, ONE), (1, ONE)), foreign_holds=True), 70_000),
    "two readers and a writer, cancel": Explored(Scenario(((0, READ), (0, READ), (1, ONE)), cancels=1), 33_000),
    "readers of two processes and a writer, cancel": Explored(
        Scenario(((0, READ), (1, READ), (2, ONE)), cancels=1), 36_000
    ),
    "readers and a writer, cancel and crash": Explored(
        Scenario(((0, READ), (1, READ), (1, ONE)), cancels=1, crashes=1), 46_000
    ),
    "the file is replaced, cancel and crash": Explored(
        Scenario(((0, ONE), (1, ONE)), replacements=1, cancels=1, crashes=1), 29_000
    ),
    "the file is replaced before three": Explored(Scenario(((0, ONE), (0, ONE), (1, TRY)), replacements=1), 130_000),
    "timers, cancel, crash, a stranger": Explored(
        Scenario(((0, ONE), (1, ONE)), timers=True, cancels=1, crashes=1, foreign=1), 49_000
    ),
    "three processes, timers": Explored(Scenario(((0, ONE), (1, ONE), (2, ONE)), timers=True), 27_000),
    "two and one, timers, cancel": Explored(Scenario(((0, ONE), (0, ONE), (1, ONE)), timers=True, cancels=1), 76_000),
    "three tasks, two packs": Explored(
        Scenario(((0, HERE_THEN_THERE), (0, THERE_THEN_HERE), (1, HERE_THEN_THERE))), 100_000
    ),
}

# Larger than what the others show, and not of another kind.
LONGEST = {"the file is replaced before three", "three wait for a stranger"}

SCENARIOS = [
    *[pytest.param(explored, id=name) for name, explored in FAST.items()],
    *[
        pytest.param(explored, id=name, marks=pytest.mark.exhaustive if name in LONGEST else pytest.mark.slow)
        for name, explored in SLOW.items()
    ],
]


@pytest.mark.invariant("L1")
@pytest.mark.invariant("L2")
@pytest.mark.invariant("L4")
@pytest.mark.invariant("L5")
@pytest.mark.invariant("L6")
@pytest.mark.parametrize("explored", SCENARIOS)
def test_in_every_order_it_excludes_serves_in_order_wakes_and_forgets(explored: Explored) -> None:
    seen = explore(explored.scenario)
    print(f"{seen.states} states, {seen.transitions} transitions")
    assert seen.states >= explored.states


# Small worlds first: in which of them a mutation is found, if in any, is its own business.
HUNTING_GROUNDS = (
    Scenario(((0, ONE), (1, ONE)), cancels=1),
    Scenario(((0, READ), (0, ONE), (0, READ))),
    Scenario(((0, ONE), (0, ONE), (1, ONE))),
    Scenario(((0, ONE), (1, ONE)), replacements=1, foreign_holds=True),
    Scenario(((0, ONE), (1, ONE)), timers=True, foreign=1),
    Scenario(((0, ONE), (0, ONE), (1, ONE)), cancels=1),
)


# Those for which many scenarios have to be gone through.
LONG_HUNTS = {
    "a connection that ended counts as a watch",
    "a grant is dropped on cancel",
    "a probe that found it free keeps it at once",
}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name in LONG_HUNTS else ()) for name in MUTATIONS]
)
def test_the_exploration_finds(name: str) -> None:
    with pytest.raises(Violation):
        explore_all(mutated(MUTATIONS[name]))


def explore_all(code: Code) -> None:
    for scenario in HUNTING_GROUNDS:
        explore(scenario, code)


@pytest.mark.invariant("L5")
def test_one_that_waits_in_a_line_that_moves_does_not_pass_its_head() -> None:
    """It found the lock free twice, each time between a release and the next grant: nobody was suspended."""
    protocol = Protocol(may_wait=True)

    def go(*answers: object) -> Ask:
        for answer in answers:
            protocol.advance(answer)
        return protocol.ask

    assert go(Standing.QUEUED) is Ask.SLEEP
    protocol.wake()
    first, second = 7, 5  # the tickets of its predecessors, one after the other
    assert go(True, first, None, first) is Ask.SLEEP  # front; look, watch, look
    protocol.wake(overdue=True)
    assert go(Verdict.HELD, 2, first) is Ask.SLEEP  # free, but two are before it: look, and sleep again
    protocol.wake(spent=True)
    assert go(True, second, None, second) is Ask.SLEEP
    protocol.wake(overdue=True)
    assert go(Verdict.HELD, 1) is Ask.LOOK  # free again, and only one before it; it does not try
