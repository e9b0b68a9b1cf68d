"""A workspace whose verbs run in this process: for everything that needs no second one."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from grex.engine import Session, Settings
from grex.manifest import Event, Log, read_lockfile
from grex.plugin import ActionType, PackType, PredicateType, Registry
from grex.progress import Collector
from grex.verbs.status import PackStatus, StatusReport, StatusRequest, status
from grex.verbs.sync import PackReport, SyncReport, SyncRequest, sync
from tests.support.workspace import pack_yaml

__all__ = ["Place", "by_path", "register"]


def register(registry: Registry, *plugins: PackType | ActionType[Any] | PredicateType) -> None:
    """Let a registry know plugins that no distribution brings."""
    registry.provide(*plugins)


class Place:
    """A workspace root, a home and a state directory below `base`; `seen` has the events of every run."""

    def __init__(self, base: Path, **changes: Any) -> None:
        self.root = base / "ws"
        self.home = base / "home"
        self.seen = Collector()
        for made in (self.root, self.home):
            made.mkdir(parents=True)
        self.defaults = Settings(
            home=self.home,
            environ=dict(os.environ) | {"HOME": str(self.home)},
            platform="linux",
            state_dir=base / "state",
            verb="test",
            sink=self.seen,
        )
        self.defaults = replace(self.defaults, **changes)

    def __truediv__(self, path: str) -> Path:
        """A path below the root."""
        return self.root / path

    def declare(self, *children: Mapping[str, Any], **keys: Any) -> None:
        """Write the root's pack.yaml."""
        (self.root / ".grex").mkdir(exist_ok=True)
        text = pack_yaml("root", keys.pop("type", "meta"), **{"children": list(children), **keys})
        (self.root / ".grex/pack.yaml").write_text(text)

    def settings(self, **changes: Any) -> Settings:
        """What the front end would have found out."""
        return replace(self.defaults, **changes)

    def session(self, *plugins: PackType | ActionType[Any] | PredicateType, **changes: Any) -> Session:
        """The workspace, opened; to be called inside the event loop."""
        session = Session.open(self.root, self.settings(**changes))
        register(session.registry, *plugins)
        return session

    async def sync(self, *packs: str, settings: Mapping[str, Any] | None = None, **request: Any) -> SyncReport:
        """`grex sync`."""
        return await sync(SyncRequest(self.root, packs, **request), self.settings(**(settings or {})))

    async def status(self, *packs: str, **request: Any) -> StatusReport:
        """`grex status`."""
        return await status(StatusRequest(self.root, packs, **request), self.settings())

    async def state_of(self, pack: str) -> PackStatus:
        """How one pack stands."""
        return {found.path: found for found in (await self.status()).packs}[pack]

    def log(self) -> tuple[Event, ...]:
        """What the log says."""
        return tuple(Log(self.root / "grex.jsonl", self.root / ".grex/trash").read().events)

    def locked(self) -> list[str]:
        """The paths in the lockfile."""
        return sorted(read_lockfile(self.root / "grex.lock.jsonl"))

    def leftovers(self) -> list[str]:
        """Temporary files and clone notes anywhere below the root."""
        return sorted(
            str(path.relative_to(self.root))
            for path in self.root.rglob("*")
            if path.name.startswith((".grex-tmp-", "clone-"))
        )


def by_path(report: SyncReport) -> dict[str, PackReport]:
    """The packs of a report."""
    return {pack.path: pack for pack in report.packs}
