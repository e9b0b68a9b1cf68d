"""Any sequence of add, set, rm, update, sync and of pushes upstream leaves all that grex knows in agreement.

The model is a plain mapping: path -> (repository, ref). After every step the root's pack.yaml declares it, the log's
fold and the lockfile have exactly its packs, each checkout stands at the tip of its ref, a second sync has nothing to
do, doctor finds nothing, and compacting the log keeps what it amounts to.
"""

from __future__ import annotations

import random
from pathlib import Path

import anyio
import pytest

from grex.engine.survey import read_root_spec
from grex.manifest import fold, read_lockfile
from grex.verbs.add import AddRequest, add
from grex.verbs.doctor import DoctorRequest, doctor
from grex.verbs.rm import RmRequest, rm
from grex.verbs.set_pack import SetRequest, set_pack
from grex.verbs.sync import SyncRequest
from grex.verbs.update import UpdateRequest, update
from grex.workspace import Layout
from tests.support.git_server import GitServer, git
from tests.support.place import Place

NAMES = ("one", "two", "three")
PATHS = ("one", "two", "libs/one", "libs/deep/two", "Three.X", "apps/three")
REFS = (None, "main", "next", "v1")
KINDS = ("add", "add", "ref", "path", "url", "groups", "rm", "update", "push", "push", "sync", "compact")


class History:
    """One workspace and its model; everything from one source of chance."""

    def __init__(self, base: Path, seed: int) -> None:
        self.chance = random.Random(seed)  # noqa: S311 - the same histories every time
        self.server = GitServer(base / "up")
        for name in NAMES:
            self.server.create(name, {"f": f"{name} 0\n"})
            self.server.commit(name, {"f": f"{name} next\n"}, branch="next")
            git(self.server.path(name), "tag", "v1", "main")
        self.place = Place(base)
        self.place.declare()
        self.model: dict[str, tuple[str, str | None]] = {}
        self.told: list[str] = []
        self.pushed = 0

    async def step(self) -> None:
        """Do something, sync, and compare."""
        kind = self.chance.choice(KINDS)
        self.told.append(kind)
        await getattr(self, f"_{kind}")()
        report = await self.place.sync()
        assert report.exit_code == 0, report
        again = await self.place.sync()
        assert {pack.status for pack in again.packs} <= {"unchanged"}, again
        await self.compare()

    async def compare(self) -> None:
        """Insist that everything says what the model says."""
        layout = Layout(self.place.root)
        children = read_root_spec(layout, "linux").children
        assert {child.path: (Path(child.url).stem, child.ref) for child in children} == self.model
        lines = read_lockfile(layout.lockfile)
        folded = fold(self.place.log()).packs
        assert set(lines) == {path for path in folded if path != "."} == set(self.model)
        there = {str(found.parent.relative_to(self.place.root)) for found in self.place.root.rglob(".git")}
        assert {path for path in there if not path.startswith(".grex")} == set(self.model)
        for path, (name, ref) in self.model.items():
            tip = git(self.server.path(name), "rev-parse", f"{ref or 'main'}^{{commit}}")
            assert git(self.place / path, "rev-parse", "HEAD") == tip == lines[path].sha == folded[path].sha, path
            assert (self.place / path / "f").read_text() == git(self.server.path(name), "show", f"{tip}:f") + "\n"
        assert (await self.place.status()).is_clean
        assert self.place.leftovers() == []

    def _taken(self) -> str | None:
        return self.chance.choice(sorted(self.model)) if self.model else None

    def _free(self) -> str | None:
        free = [
            path
            for path in PATHS
            if not any(path == one or path.startswith(f"{one}/") or one.startswith(f"{path}/") for one in self.model)
        ]
        return self.chance.choice(free) if free else None

    async def _add(self) -> None:
        path, name, ref = self._free(), self.chance.choice(NAMES), self.chance.choice(REFS)
        if path is not None:
            request = AddRequest(self.place.root, self.server.url(name), path, ref=ref)
            assert (await add(request, self.place.settings())).exit_code == 0
            self.model[path] = (name, ref)

    async def _set(self, pack: str, **how: object) -> None:
        request = SetRequest(root=self.place.root, pack=pack, **how)  # type: ignore[arg-type]  # as the caller says
        report = await set_pack(request, self.place.settings())
        assert report.exit_code == 0, report

    async def _ref(self) -> None:
        path, ref = self._taken(), self.chance.choice(REFS)
        if path is not None and ref != self.model[path][1]:
            await self._set(path, ref=ref, no_ref=ref is None)
            self.model[path] = (self.model[path][0], ref)

    async def _path(self) -> None:
        old, new = self._taken(), self._free()
        if old is not None and new is not None:
            await self._set(old, path=new)
            self.model[new] = self.model.pop(old)

    async def _url(self) -> None:
        path, name = self._taken(), self.chance.choice(NAMES)
        if path is not None and name != self.model[path][0]:
            await self._set(path, url=self.server.url(name))
            self.model[path] = (name, self.model[path][1])

    async def _groups(self) -> None:
        path = self._taken()
        if path is not None and self.chance.random() < 0.5:
            await self._set(path, groups=("some", "more"))
        elif path is not None:
            await self._set(path, no_groups=True)

    async def _rm(self) -> None:
        path = self._taken()
        if path is not None:
            report = await rm(RmRequest(self.place.root, (path,)), self.place.settings())
            assert report.exit_code == 0, report
            del self.model[path]

    async def _update(self) -> None:
        await update(UpdateRequest(SyncRequest(self.place.root)), self.place.settings())

    async def _push(self) -> None:
        self.pushed += 1
        name, branch = self.chance.choice(NAMES), self.chance.choice(("main", "next"))
        self.server.commit(name, {"f": f"{name} {self.pushed}\n"}, branch=branch)

    async def _sync(self) -> None:
        await self.place.sync()

    async def _compact(self) -> None:
        before = fold(self.place.log())
        await doctor(DoctorRequest(root=self.place.root, compact=True), self.place.settings())
        assert fold(self.place.log()) == before


@pytest.mark.parametrize(
    "seed",
    [
        0,
        *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 7)),
        *(pytest.param(seed, marks=pytest.mark.exhaustive) for seed in range(7, 60)),
    ],
)
def test_after_any_change_of_declarations_everything_agrees(tmp_path: Path, seed: int) -> None:
    history = History(tmp_path, seed)

    async def run() -> None:
        try:
            for _ in range(14):
                await history.step()
        except BaseException as error:
            error.add_note(f"seed {seed}, after: {' '.join(history.told)}")
            raise

    anyio.run(run)
