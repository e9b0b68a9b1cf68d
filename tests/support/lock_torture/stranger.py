"""A program that locks packs as `flock(1)` would and knows nothing of grex: `python -m ... GROUND SEED`.

It ends when standard input says so, with what it waits for. It opens a pack's lock file by its name and never makes
one. A plain flock is only a match for grex on the inode that grex uses: what turns out to be another one is let go.
"""

from __future__ import annotations

import fcntl
import os
import random
import select
import sys
import time
from pathlib import Path

from tests.support.lock_torture.ground import Ground, Place, report_finding
from tests.support.lock_torture.witness import OverlapError, Witness

__all__ = ["main"]

_TRIES = 20


def main() -> None:
    """Take and free locks until told to end."""
    base, seed = Path(sys.argv[1]), sys.argv[2]
    ground = Ground(base)
    witness = Witness(ground.witness)
    rng = random.Random(seed)  # noqa: S311 - what happens when, not a secret
    places = ground.packs("kept", "steady")
    while not select.select([0], [], [], rng.choice((0.0, 0.002, 0.02)))[0]:
        try:
            _visit(rng.choice(places), witness, rng)
        except OverlapError as error:
            report_finding(base, f"overlap: plain flock: {error}")


def _visit(place: Place, witness: Witness, rng: random.Random) -> None:
    fd = _open(place)
    if fd is None:
        return
    try:
        if _take(fd, rng) and _is_the_one(fd, place):
            with witness.inside(place.number, "x", f"plain flock on {place.name}"):
                time.sleep(rng.choice((0.0, 0.001, 0.015)))
        if rng.random() < 0.5:
            fcntl.flock(fd, fcntl.LOCK_UN)
    finally:
        os.close(fd)


def _open(place: Place) -> int | None:
    for path in (place.file, place.kept):
        try:
            return os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            continue  # swept away this very moment
    return None


def _take(fd: int, rng: random.Random) -> bool:
    if rng.random() < 0.3:
        fcntl.flock(fd, fcntl.LOCK_EX)
        return True
    for _ in range(_TRIES):
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.001)
        else:
            return True
    return False


def _is_the_one(fd: int, place: Place) -> bool:
    found = os.fstat(fd)
    for path in (place.kept, place.file):
        try:
            meant = path.stat()
        except OSError:
            continue
        return (found.st_dev, found.st_ino) == (meant.st_dev, meant.st_ino)
    return False


if __name__ == "__main__":
    main()
