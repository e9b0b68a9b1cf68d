"""Any sequence of add, rm, prune, sync, restore and of what users do in between leaves all records in agreement.

A small model says which packs are declared; after every step declarations, log, lockfile and disk say so too, and what
the user had put into a pack is there exactly once: at its place or in the trash.
"""

from __future__ import annotations

import random
from pathlib import Path

import anyio
import pytest

from grex.errors import GrexError
from grex.verbs.add import AddRequest, add
from tests.support.removal import Nest

STEPS = 12


class History:
    """One history, step by step; `declared` is the model: the packs of the root."""

    def __init__(self, nest: Nest, seed: int) -> None:
        self.nest = nest
        self.random = random.Random(seed)  # noqa: S311 - the same histories every time
        self.declared = {"other", "libs/tool"}
        self.marks: dict[str, str] = {}
        self.told: list[str] = []

    async def step(self) -> None:
        kind = self.random.choice(("add", "rm", "rm", "force", "restore", "restore", "undeclare", "sync", "mark"))
        self.told.append(kind)
        await getattr(self, f"_{kind}")()
        await self.nest.sync(prune=kind == "undeclare")
        self.nest.check_agreement()
        assert self.nest.declared() == self._expected(), self.told
        for text in self.marks.values():
            found = [path for path in self.nest.place.root.rglob("mark") if path.read_text() == text]
            assert len(found) == 1, (text, found, self.told)

    def _expected(self) -> set[str]:
        return self.declared | ({"libs/tool/deps/inner"} if "libs/tool" in self.declared else set())

    def _one(self) -> str | None:
        return self.random.choice(sorted(self.declared)) if self.declared else None

    async def _add(self) -> None:
        missing = sorted({"other", "libs/tool"} - self.declared)
        if missing:
            path = self.random.choice(missing)
            url = self.nest.server.url(path.rpartition("/")[2])
            await add(AddRequest(self.nest.place.root, url, path), self.nest.place.settings())
            self.declared.add(path)

    async def _rm(self, *, force: bool = False) -> None:
        path = self._one()
        if path is not None:
            report = await self.nest.rm(path, force=force)
            assert report.exit_code == 0, (report, self.told)
            self.declared.discard(path)

    async def _force(self) -> None:
        await self._rm(force=True)

    async def _restore(self) -> None:
        stamps = self.nest.in_trash()
        if not stamps:
            return
        stamp = self.random.choice(stamps)
        (path,) = [
            found
            for found in ("other", "libs/tool", "libs/tool/deps/inner")
            if (self.nest / ".grex/trash" / stamp / found / ".git").is_dir()
        ]
        had_entry = '"declaration":null' not in (self.nest / f".grex/trash/{stamp}.json").read_text()
        report = await self.nest.doctor(stamp)
        self.told.append(f"{path}: {report.exit_code}")
        if report.exit_code == 0 and had_entry:
            self.declared.add(path)
        elif report.exit_code == 0 and path not in self._expected():
            # Back, and nobody declares it: what the user had in it goes to the trash again, whole.
            assert (await self.nest.rm(path)).exit_code == 0

    async def _undeclare(self) -> None:
        path = self._one()
        if path is None:
            return
        lines = self.nest.yaml.read_text().splitlines(keepends=True)
        name = path.rpartition("/")[2]
        start = next(number for number, line in enumerate(lines) if f"/{name}.git" in line)
        end = start + 1
        while end < len(lines) and not lines[end].lstrip().startswith(("- ", "#")):
            end += 1
        del lines[start:end]
        text = "".join(lines)
        self.nest.yaml.write_text(text if "- " in text else text.replace("children:", "children: []"))
        self.declared.discard(path)

    async def _sync(self) -> None:
        await self.nest.sync()

    async def _mark(self) -> None:
        """The user puts something into each pack that git ignores."""
        for path in sorted(self._expected()):
            if not (self.nest / path / "mark").exists():
                with (self.nest / path / ".git/info/exclude").open("a") as exclude:
                    exclude.write("\n/mark\n")
                text = f"mark {len(self.marks)}\n"
                (self.nest / path / "mark").write_text(text)
                self.marks[text] = text


@pytest.mark.slow
@pytest.mark.parametrize(
    "seed", [*range(4), *(pytest.param(seed, marks=pytest.mark.exhaustive) for seed in range(4, 24))]
)
def test_after_any_history_every_record_agrees(seed: int, nest: Nest) -> None:
    history = History(nest, seed)

    async def run() -> None:
        for _ in range(STEPS):
            try:
                await history.step()
            except (AssertionError, GrexError, ValueError, StopIteration) as error:
                error.add_note(f"after: {' '.join(history.told)}")
                raise

    anyio.run(run)
    assert Path(nest.place.root / "grex.jsonl").exists()
