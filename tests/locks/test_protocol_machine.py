"""The lock protocol in a bigger world than can be explored: what hypothesis finds in long random runs of the model."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from tests.locks.kernel_model import World
from tests.locks.model_checks import is_over
from tests.locks.model_parts import FAULTS, Action, Code, Scenario, Violation, Want
from tests.locks.mutations import MUTATIONS, mutated

MUCH = 1_000_000
_WANTS = st.builds(Want, st.integers(0, 2), st.booleans(), st.sampled_from([True, True, True, False]))
_PROGRAMS = st.lists(
    st.tuples(st.integers(0, 3), st.lists(_WANTS, min_size=1, max_size=3).map(tuple)), min_size=3, max_size=8
).map(tuple)


class LockWorld(RuleBasedStateMachine):
    """Up to 8 tasks in 4 processes with up to 3 acquires each of 3 locks, exclusive and shared."""

    code = Code()

    def __init__(self) -> None:
        super().__init__()
        self.world: World
        self.is_broken = False  # something was found, and the world is in the middle of a step

    @initialize(programs=_PROGRAMS, timers=st.booleans(), files_change=st.booleans(), foreign=st.booleans())
    def begin(
        self, programs: tuple[tuple[int, tuple[Want, ...]], ...], *, timers: bool, files_change: bool, foreign: bool
    ) -> None:
        if files_change:
            # A writer is not kept out by readers who were in before the file was replaced: see `grex.locks.guard`.
            programs = tuple(
                (process, tuple([want._replace(shared=False) for want in program])) for process, program in programs
            )
        self.world = World(
            Scenario(
                programs,
                cancels=MUCH,
                crashes=2,
                replacements=3 if files_change else 0,
                foreign=MUCH if foreign else 0,
                timers=timers,
            ),
            self.code,
        )

    def choose(self, data: st.DataObject, *kinds: str) -> None:
        choices = [action for action in self.world.actions() if action.what in kinds]
        if choices:
            self.act(data.draw(st.sampled_from(choices)))

    def act(self, action: Action) -> None:
        try:
            self.world.act(action)
        except Violation:
            self.is_broken = True
            raise

    @rule(data=st.data(), count=st.integers(1, 12))
    def go_on(self, data: st.DataObject, count: int) -> None:
        """Several steps, wake-ups, pieces of a death, of anybody."""
        for _ in range(count):
            self.choose(data, "step", "wake", "reap", "foreign")

    @rule(whom=st.integers(0, 7), count=st.integers(1, 8))
    def let_run(self, whom: int, count: int) -> None:
        """One task goes on alone, as far as it does without being woken."""
        for _ in range(count):
            action = Action("step", whom)
            if action in self.world.actions():
                self.act(action)

    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        self.choose(data, "cancel")

    @rule(data=st.data())
    def crash(self, data: st.DataObject) -> None:
        self.choose(data, "crash")

    @precondition(lambda self: self.world.scenario.replacements)
    @rule(data=st.data())
    def replace_the_file(self, data: st.DataObject) -> None:
        self.choose(data, "replace")

    @precondition(lambda self: self.world.scenario.foreign)
    @rule(data=st.data())
    def let_another_program_in(self, data: st.DataObject) -> None:
        self.choose(data, "intrude")

    @precondition(lambda self: self.world.scenario.timers)
    @rule(data=st.data())
    def ring_a_timer(self, data: st.DataObject) -> None:
        self.choose(data, "timer")

    def teardown(self) -> None:
        """Run until nothing can happen; then everybody was served, without the help of a timer."""
        world = getattr(self, "world", None)
        if world is None or self.is_broken:
            return
        for turn in range(20_000):
            actions = [action for action in world.actions() if action.what not in FAULTS]
            if not actions:
                break
            world.act(actions[turn % len(actions)])
        else:
            raise Violation("nobody comes to an end:\n" + world.describe())
        if not is_over(world):
            raise Violation("somebody waits for ever:\n" + world.describe())


def run_machine(code: Code, examples: int, steps: int, *, shrink: bool = True) -> None:
    kind: Any = type("LockWorld", (LockWorld,), {"code": code})
    run_state_machine_as_test(
        kind,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            derandomize=True,
            report_multiple_bugs=False,
            phases=(Phase.generate, Phase.shrink) if shrink else (Phase.generate,),
            database=None,
            deadline=None,
            print_blob=False,
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.mark.invariant("L1")
@pytest.mark.invariant("L2")
@pytest.mark.invariant("L5")
def test_a_long_random_run_of_many_tasks_ends_with_everybody_served() -> None:
    run_machine(Code(), examples=60, steps=40)


@pytest.mark.slow
@pytest.mark.invariant("L1")
@pytest.mark.invariant("L2")
@pytest.mark.invariant("L5")
def test_many_long_random_runs_of_many_tasks_end_with_everybody_served() -> None:
    run_machine(Code(), examples=600, steps=60)


@pytest.mark.parametrize(
    "name",
    [
        "a newcomer ignores the queue",
        pytest.param("a grant is dropped on cancel", marks=pytest.mark.slow),
        "nobody is told of a grant",
    ],
)
def test_the_machine_finds(name: str) -> None:
    with pytest.raises(Violation):
        run_machine(mutated(MUTATIONS[name]), examples=1000, steps=40, shrink=False)
