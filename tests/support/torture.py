"""Killing syncs at random moments: one round, and how many there are to be."""

from __future__ import annotations

import os
import random
import time
from dataclasses import dataclass
from typing import Literal

from tests.support.crash_scenario import Scenario
from tests.support.killing import start

__all__ = ["Manner", "Round", "kill_once", "rounds"]

Manner = Literal["grex-alone", "everything"]

_LATEST = 1.05


@dataclass(frozen=True, slots=True)
class Round:
    """What became of one round: when the kill came, and whether the sync was still at work then."""

    after_s: float
    hit: bool


def rounds(default: int) -> int:
    """How many rounds of each kind to run: `GREX_TORTURE`, or the default."""
    return int(os.environ.get("GREX_TORTURE", default))


def kill_once(scenario: Scenario, manner: Manner, seed: str) -> Round:
    """Start a sync, kill it at a moment that the seed chooses, and insist that the next one makes everything whole."""
    after_s = random.Random(seed).uniform(0.0, _LATEST) * scenario.duration_s  # noqa: S311 - a moment, not a secret
    workspace = scenario.begin()
    with start(workspace, "sync") as grex:
        time.sleep(after_s)  # the one thing that is to be random here
        hit = grex.process.poll() is None
        if manner == "everything":
            grex.kill_everything()
        else:
            grex.kill_alone()
            # What outlives grex is still at work while the next sync begins; that is the hazard.
            workspace.sync()
            grex.wait_for_family()
    scenario.check(workspace)
    return Round(after_s, hit)
