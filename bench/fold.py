"""Reading and folding the log: 100,000 events against 50,000, which has to be twice the work and no more."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from bench.measure import Case, measure, table
from grex.manifest import Log, add_event, fold, installed_event, sync_event
from grex.manifest.events import render_line

__all__ = ["run"]

PACKS = 500
SIZES = (50_000, 100_000)


def run(base: Path, rounds: int) -> None:
    """Measure and print."""
    cases = []
    for size in SIZES:
        path = base / f"log-{size}.jsonl"
        _write(path, size)
        cases.append(Case(f"{size:,} events", _fold(path, base / "trash")))
    measure(cases, rounds)
    half, whole = cases
    rows = [["", "CPU ms", "us an event"]]
    rows += [
        [case.name, f"{case.cpu_s * 1000:.0f}", f"{case.cpu_s / size * 1e6:.1f}"]
        for case, size in zip(cases, SIZES, strict=True)
    ]
    table(f"Fold of the log (medians of {rounds})", rows)
    print(f"  twice the events: {whole.cpu_s / half.cpu_s:.2f} times the time (linear is 2)")


def _write(path: Path, size: int) -> None:
    """The history of a workspace: each pack added once, then synced and installed again and again."""
    made = 0
    with path.open("wb") as file:
        while made < size:
            pack = f"group/pack-{made % PACKS}"
            if made < PACKS:
                event = add_event(pack, url=f"https://example.invalid/{pack}", ref=None, owned=True)
            elif made // PACKS % 2:
                event = sync_event(pack, sha=f"{made:040x}", branch="main")
            else:
                event = installed_event(pack, actions_hash=f"{made:064x}")
            file.write(render_line(event))
            made += 1


def _fold(path: Path, trash: Path) -> Callable[[], None]:
    def run_once() -> None:
        folded = fold(Log(path, trash).read().events)
        assert len(folded.packs) == PACKS

    return run_once
