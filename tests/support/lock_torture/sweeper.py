"""Attacks on lock files: renamed, deleted, replaced, or swept by `git clean -fdx`."""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import random
import subprocess
import time
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Literal

from tests.support.lock_torture.ground import Ground, Place

__all__ = ["Sweep", "Sweeper"]

Sweep = Literal["guarded", "any"]
"""Which lock files are attacked while they are held.

`guarded`: those of packs with a git directory, and those with a guard. `any`: those as well that are not protected
(`docs/concurrency.md`): a manifest's, whose readers have no guard, and a checkout's where children are started, who do
not inherit it.
"""

_POLITE_S = 0.05


class Sweeper:
    """Sweeps one file after another, as drawn."""

    def __init__(self, ground: Ground, rng: random.Random, sweep: Sweep, environ: Mapping[str, str]) -> None:
        self._ground = ground
        self._rng = rng
        self._sweep: Sweep = sweep
        self._environ = environ
        self._numbers = itertools.count()

    def sweep_one(self) -> str | None:
        """Attack a lock file, if it is not protected only while nobody holds it; says how, or None if somebody did."""
        spared = {place.file for place in self._ground.packs("steady")}
        place = self._rng.choice([place for place in self._ground.places if place.file not in spared])
        manner = self._rng.choice(("delete", "rename", "replace", "git clean"))
        if manner == "git clean":
            place = self._rng.choice(self._ground.packs("kept"))
        is_protected = place in self._ground.packs("kept") or (self._is_guarded(place) and self._rng.random() < 0.7)
        with (
            contextlib.suppress(FileNotFoundError),
            contextlib.nullcontext(True) if is_protected else _politely(place.file) as may,
        ):
            if may:
                self._attack(place, manner)
                return manner
        return None

    def _is_guarded(self, place: Place) -> bool:
        return self._sweep == "any" or (place.kind != "manifest" and not place.has_children)

    def _attack(self, place: Place, manner: str) -> None:
        away = self._ground.attic / str(next(self._numbers))
        if manner == "delete":
            place.file.unlink()
        elif manner == "rename":
            place.file.rename(away)
        elif manner == "replace":
            away.touch()
            away.rename(place.file)
        else:  # it says something about every file that vanishes under it
            command = ["git", "-C", str(place.root), "clean", "-fdxq"]
            subprocess.run(command, check=False, env=self._environ, capture_output=True)


@contextlib.contextmanager
def _politely(file: Path) -> Generator[bool]:
    """Hold a lock file oneself while it is swept away, so that nobody loses it but those who wait; whether one does."""
    with file.open("rb+") as opened:
        until = time.monotonic() + _POLITE_S
        while True:
            try:
                fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > until:
                    yield False
                    return
                time.sleep(0.001)
            else:
                yield file.samefile(f"/proc/self/fd/{opened.fileno()}")
                return
