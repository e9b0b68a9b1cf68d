"""What one actor of the torture does next: locks in the order of the tiers, and how the wait for each is disturbed."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Literal

from tests.support.lock_torture.ground import Ground, Place

__all__ = ["Manner", "Plan", "Step", "draw_plan"]

Manner = Literal["wait", "timeout", "no_wait", "try", "token", "deadline", "thread_cancel"]
"""`wait` is as long as it takes; the others end a wait early.

A time limit of the lock's own, no wait at all, `try_acquire`, a token that another thread fires, a deadline of the
async library, and a scope that another thread cancels.
"""

_MANNERS: tuple[tuple[Manner, int], ...] = (
    ("wait", 12),
    ("timeout", 2),
    ("no_wait", 1),
    ("try", 1),
    ("token", 3),
    ("deadline", 3),
    ("thread_cancel", 3),
)


@dataclass(frozen=True)
class Step:
    """One lock of a plan, and when its wait is cut short, in seconds; `trick` is drawn for what happens inside."""

    place: Place
    shared: bool
    manner: Manner
    after_s: float
    trick: float


@dataclass(frozen=True)
class Plan:
    """Locks to be taken one inside the other, how long the innermost is held, and how long to pause afterwards."""

    steps: tuple[Step, ...]
    permit: bool
    dwell_s: float
    pause_s: float


def draw_plan(rng: random.Random, ground: Ground) -> Plan:
    """Draw a plan."""
    root = rng.choice(ground.workspaces)
    pack = rng.choice([place.root for place in ground.packs("kept", "plain", "steady") if place.root.parent == root])
    chosen: list[Place] = []
    if rng.random() < 0.1:
        chosen.append(ground.find("workspace", root))
    if rng.random() < 0.7:
        chosen.append(ground.find("pack", pack))
    if rng.random() < 0.4:
        chosen.append(ground.find("backend", pack))
    if not chosen or rng.random() < 0.4:
        chosen.append(ground.find("manifest", root))
    manners, weights = zip(*_MANNERS, strict=True)
    steps = tuple(
        Step(
            place=place,
            shared=place.kind == "manifest" and rng.random() < 0.7,
            manner=rng.choices(manners, weights)[0],
            after_s=rng.choice((0.0, rng.uniform(0, 0.003), rng.uniform(0, 0.05))),
            trick=rng.random(),
        )
        for place in chosen
    )
    return Plan(
        steps=steps,
        permit=rng.random() < 0.2,
        dwell_s=rng.choices((0.0, 0.001, 0.015), (12, 6, 1))[0],
        pause_s=rng.choices((0.0, 0.002, 0.02), (12, 4, 1))[0],
    )
