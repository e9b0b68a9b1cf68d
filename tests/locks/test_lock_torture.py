"""A short torture of the locks; `make torture` runs a long one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.lock_torture.run import Options, torture


@pytest.mark.slow
@pytest.mark.invariant("L1")
@pytest.mark.invariant("L2")
@pytest.mark.invariant("L6")
@pytest.mark.invariant("L8")
def test_nobody_overlaps_is_stuck_or_leaves_anything_whatever_happens(tmp_path: Path) -> None:
    outcome = torture(
        tmp_path / "ground",
        Options(seed="short", seconds=6, workers=2, burners=0, drain_s=60),
    )
    assert outcome.findings == []
    # It was a torture: locks were taken and waits ended early, on both loops and in threads, amid kills and sweeps.
    assert sum(tier.holds for tier in outcome.tiers.values()) > 100
    for happened in ("kills", "delete", "git clean", "hand-overs", "cancelled", "timed out", "drained in ms"):
        assert outcome.counts[happened] > 0, happened
