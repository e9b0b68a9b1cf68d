"""Every state that a `kernel_model.World` can come to, breadth first: what is found is found on a shortest way."""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from tests.locks.kernel_model import World
from tests.locks.model_checks import is_over
from tests.locks.model_parts import FAULTS, Action, Code, Scenario, Violation

__all__ = ["Exploration", "explore"]


@dataclass(frozen=True, slots=True)
class Exploration:
    """What was seen."""

    states: int
    transitions: int


class _Store:
    """States as tuples of small numbers, each of which stands for a part: the parts are few, the states are many."""

    def __init__(self) -> None:
        self.parts: dict[Any, int] = {}
        self.values: list[Any] = []
        self.states: dict[tuple[int, ...], int] = {}
        self.order: list[tuple[int, ...]] = []

    def add(self, snapshot: tuple[Any, ...]) -> tuple[int, bool]:
        packed = []
        for part in snapshot:
            number = self.parts.setdefault(part, len(self.values))
            if number == len(self.values):
                self.values.append(part)
            packed.append(number)
        state = tuple(packed)
        number = self.states.setdefault(state, len(self.order))
        is_new = number == len(self.order)
        if is_new:
            self.order.append(state)
        return number, is_new

    def snapshot(self, number: int) -> tuple[Any, ...]:
        values = self.values
        return tuple([values[part] for part in self.order[number]])


def explore(scenario: Scenario, code: Code | None = None, *, at_most: int = 2_000_000) -> Exploration:
    """Go to every state that can be reached, and prove what has to be true there.

    In each state the world's own `check`; where nothing but faults can happen everybody must have come to an end; and
    from each state it must be possible, without any fault, to come to an end (so nobody turns in a circle for ever).

    Raises:
        Violation: something else was found; says on which way.
        RuntimeError: there are more states than `at_most`.
    """
    world = World(scenario, code)
    store = _Store()
    store.add(world.freeze())
    parents = array("l", [-1])
    ways: list[Action] = [Action("start")]
    sources, goals = array("l"), array("l")  # of transitions that are no faults
    ends: list[int] = []
    transitions = 0
    number = 0
    while number < len(store.order):
        if number > at_most:
            raise RuntimeError(f"more than {at_most} states")
        snapshot = store.snapshot(number)
        world.thaw(snapshot)
        actions = world.actions()
        if all(action.what in FAULTS for action in actions):
            try:
                over = is_over(world)
            except Violation as error:
                raise _found(error, world, store, parents, ways, number, None) from None
            if not over:
                raise _found(Violation("somebody waits for ever"), world, store, parents, ways, number, None)
            ends.append(number)
        for index, action in enumerate(actions):
            if index:
                world.thaw(snapshot)
            try:
                world.act(action)
            except Violation as error:
                raise _found(error, world, store, parents, ways, number, action) from None
            goal, is_new = store.add(world.freeze())
            if is_new:
                parents.append(number)
                ways.append(action)
            if action.what not in FAULTS:
                sources.append(number)
                goals.append(goal)
            transitions += 1
        number += 1
    lost = _cannot_end(len(store.order), sources, goals, ends)
    if lost is not None:
        world.thaw(store.snapshot(lost))
        raise _found(Violation("nobody comes to an end from here"), world, store, parents, ways, lost, None)
    return Exploration(len(store.order), transitions)


def _cannot_end(count: int, sources: array[int], goals: array[int], ends: list[int]) -> int | None:
    """The first state from which no end can be reached without a fault."""
    begins = array("l", [0]) * (count + 1)
    for goal in goals:
        begins[goal + 1] += 1
    for index in range(count):
        begins[index + 1] += begins[index]
    places = array("l", begins)
    incoming = array("l", [0]) * len(goals)
    for source, goal in zip(sources, goals, strict=True):
        incoming[places[goal]] = source
        places[goal] += 1
    good = bytearray(count)
    todo = list(ends)
    for end in ends:
        good[end] = 1
    while todo:
        goal = todo.pop()
        for source in incoming[begins[goal] : begins[goal + 1]]:
            if not good[source]:
                good[source] = 1
                todo.append(source)
    return None if all(good) else good.index(0)


def _found(
    error: Violation,
    world: World,
    store: _Store,
    parents: array[int],
    ways: list[Action],
    number: int,
    last: Action | None,
) -> Violation:
    """What was found, and the way to it, with what everybody was asked on it."""
    trail = [number]
    while parents[trail[-1]] >= 0:
        trail.append(parents[trail[-1]])
    trail.reverse()
    end = world.describe()
    lines: list[str] = []
    steps = [ways[after] for _, after in pairwise(trail)] + ([] if last is None else [last])
    for before, action in zip(trail, steps, strict=False):
        world.thaw(store.snapshot(before))
        asked = ""
        if action.what in {"step", "wake", "timer", "cancel"}:
            machine = world.tasks[action.whom].protocol
            asked = "" if machine is None else f" at {machine.ask.name}"
        lines.append(f"  {action.what} {action.whom if action.whom >= 0 else ''}{action.thing or ''}{asked}")
    return Violation("\n".join([str(error), "on this way:", *lines, "in this state:", end]))
