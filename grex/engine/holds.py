"""The one place where the engine takes locks: PERMIT, then PACK, then BACKEND, then MANIFEST.

Every function here is an async context manager that takes its tiers in ascending order and gives them back in reverse,
also when the block is cancelled. Who may wait for whom is therefore answered by reading this page:

- a task that waits for a PERMIT holds WORKSPACE only;
- a task that waits for PACK holds WORKSPACE and one permit, of one kind;
- a task that waits for BACKEND or MANIFEST holds one pack.

Nobody ever waits for a permit or a pack while holding one. Each wait and each hold is told to the sink as a slice, so
that a trace shows who waited for whom.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Literal, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from grex.engine.places import backend_place
from grex.engine.waiting import Waiting
from grex.errors import GrexError, LockUnavailableError
from grex.locks import (
    BackendHold,
    BackendLock,
    HolderRecord,
    ManifestHold,
    ManifestLock,
    MirrorHold,
    MirrorLock,
    PackHold,
    PackLock,
    PermitPool,
    SharedFileHold,
    SharedFileLock,
    WaitPolicy,
    WaitReport,
    WorkspaceHold,
    WorkspaceLock,
)
from grex.progress import HolderSeen, LockHad, LockWait, PermitReturned, PermitTaken, Sink, Slice, under_permit
from grex.workspace import Layout

__all__ = ["Holds", "PermitKind", "Permits", "SharedPermits"]

PermitKind = Literal["disk", "network"]

_NOTICEABLE_NS = 1_000_000
_CANNOT_BE_MADE = frozenset({errno.EROFS, errno.EACCES, errno.EPERM})
_MOST_READINGS = 3

T = TypeVar("T")


class Permits(Struct, frozen=True):
    """How many steps run at once: `disk` and `network` in total, `per_host` of the network ones to one host."""

    disk: int
    network: int
    per_host: int

    @classmethod
    def for_jobs(cls, jobs: int | None, network: int, per_host: int) -> Permits:
        """The permits of `--jobs`: one is serial in both kinds; None is one disk permit per core."""
        if jobs == 1:
            return cls(1, 1, 1)
        return cls(jobs or os.cpu_count() or 1, network, per_host)


class _Asked(Struct, frozen=True):
    """What is asked for, as slices tell of it: `what` in their names, `track` for whose sake."""

    what: str
    track: str
    tier: str
    path: str
    mode: str = "exclusive"

    @property
    def pack(self) -> str:
        """The pack that is waited for; empty where it is no lock of a pack."""
        return self.track if self.tier in ("PACK", "BACKEND") else ""

    def facts(self) -> dict[str, str | int | float | bool | None]:
        """What the slices of its wait and of its hold have in common."""
        return {"tier": self.tier, "path": self.path, "mode": self.mode}


class _Numbers:
    """Which permits of a kind are taken, by number: a new one gets the lowest that is free."""

    def __init__(self) -> None:
        self._free: list[int] = []
        self._last = 0

    def take(self) -> int:
        if self._free:
            self._free.sort()
            return self._free.pop(0)
        self._last += 1
        return self._last

    def give(self, number: int) -> None:
        self._free.append(number)


class SharedPermits:
    """The permits that several runs of one process have together, in one event loop.

    A server's calls are such runs: however many there are at once, they do not work on more packs than one would.
    """

    def __init__(self) -> None:
        self._pools: dict[PermitKind, PermitPool] = {}

    def fit(self, permits: Permits) -> None:
        """Make it so many from now on; who holds one keeps it."""
        if not self._pools:
            self._pools = _pools(permits)
        self._pools["disk"].resize(permits.disk)
        self._pools["network"].resize(permits.network)

    def pools_for(self, permits: Permits) -> dict[PermitKind, PermitPool]:
        """The pools of one run, which may want fewer for itself than there are for all."""
        if not self._pools:
            self.fit(permits)
        return _pools(permits, self._pools)

    def in_use(self, kind: PermitKind) -> int:
        """How many are held at this moment."""
        return self._pools[kind].in_use if self._pools else 0


def _pools(permits: Permits, within: dict[PermitKind, PermitPool] | None = None) -> dict[PermitKind, PermitPool]:
    around: dict[PermitKind, PermitPool] = within or {}
    return {
        "disk": PermitPool("disk", total=permits.disk, per_key=None, within=around.get("disk")),
        "network": PermitPool("network", total=permits.network, per_key=permits.per_host, within=around.get("network")),
    }


class Holds:
    """Takes locks for one run of one workspace; made inside its event loop and used in that loop only."""

    def __init__(
        self, layout: Layout, *, permits: Permits, policy: WaitPolicy, sink: Sink, shared: SharedPermits | None = None
    ) -> None:
        self._layout = layout
        self._sink = sink
        self._policy = policy
        self._pools = _pools(permits) if shared is None else shared.pools_for(permits)
        self._numbers: dict[PermitKind, _Numbers] = {"disk": _Numbers(), "network": _Numbers()}
        self._manifest = ManifestLock(layout.root)
        self.waiting = Waiting()
        """For what other processes hold: WORKSPACE, packs and their git. MANIFEST is mostly held by this very run."""

    @asynccontextmanager
    async def workspace(self) -> AsyncGenerator[WorkspaceHold]:
        """Hold the workspace. Tier: WORKSPACE. Cancellation: nothing is held afterwards."""
        asked = _Asked("WORKSPACE", "workspace", "WORKSPACE", str(self._layout.root))
        with self._wait(asked) as policy:
            hold = await WorkspaceLock(self._layout.root).acquire_async(policy=policy)
        async with hold:
            with self._held(asked):
                yield hold

    @asynccontextmanager
    async def pack(
        self, name: str, root: Path, kind: PermitKind, *, host: str | None = None
    ) -> AsyncGenerator[PackHold]:
        """Hold one permit and the pack at `root`, which is made if it is missing.

        Tiers: PERMIT, then PACK. Cancellation: neither is held afterwards.

        Args:
            name: the pack's path in the workspace, for the trace.
            root: the pack's directory.
            kind: which permit; `network` ones are limited per `host` as well.
            host: what the network permit is for.

        Raises:
            LockError: the pack could not be had under this run's wait policy.
        """
        async with self._permit(kind, name, host):
            asked = _Asked("PACK", name, "PACK", str(root))
            with self._wait(asked) as policy:
                hold = await PackLock.open(root).acquire_async(policy=policy)
            async with hold:
                with self._held(replace(asked, what=f"PACK ({kind})")):
                    yield hold

    @asynccontextmanager
    async def disk_permit(self, name: str) -> AsyncGenerator[None]:
        """Hold a disk permit and nothing else, for what works beside others in a pack. Tier: PERMIT."""
        async with self._permit("disk", name, None):
            yield

    @asynccontextmanager
    async def network_permit(self, name: str, host: str | None) -> AsyncGenerator[None]:
        """Hold a network permit and nothing else, to ask a remote about a pack that is not touched. Tier: PERMIT."""
        async with self._permit("network", name, host):
            yield

    @asynccontextmanager
    async def _permit(self, kind: PermitKind, name: str, host: str | None) -> AsyncGenerator[None]:
        numbers = self._numbers[kind]
        asked = _Asked(f"PERMIT {kind}", name, "PERMIT", kind)
        start = time.monotonic_ns()
        async with self._pools[kind].hold(host):
            self._waited(asked, start)
            number = numbers.take()
            try:
                self._sink(PermitTaken(name, kind))
                with under_permit(f"{kind} {number}"), self._held(asked, category="permit"):
                    yield
            finally:
                numbers.give(number)
                self._sink(PermitReturned(name))

    @asynccontextmanager
    async def backend(self, name: str, real: Path) -> AsyncGenerator[BackendHold]:
        """Hold the checkout's repository against other git writers; git children inherit it. Tier: BACKEND.

        Every work tree of the repository has the same lock.
        """
        place = backend_place(real)
        asked = _Asked("BACKEND", name, "BACKEND", str(place))
        with self._wait(asked) as policy:
            hold = await BackendLock.for_checkout(place).acquire_async(policy=policy)
        async with hold:
            with self._held(asked):
                yield hold

    @asynccontextmanager
    async def manifest_shared(self) -> AsyncGenerator[ManifestHold]:
        """Hold the manifest for reading. Tier: MANIFEST, shared."""
        asked = _Asked("MANIFEST (shared)", "workspace", "MANIFEST", str(self._layout.root), "shared")
        with self._wait(asked, is_counted=False) as policy:
            hold = await self._manifest.acquire_shared(policy=policy)
        async with hold:
            with self._held(asked):
                yield hold

    async def read_manifest(self, read: Callable[[], T]) -> tuple[T, str | None]:
        """What `read` gives, read while nobody writes; and a note where the lock could not be had for that.

        Where the lock file is missing and this user cannot make it, it is read without: again, if a writer came
        meanwhile. `read` may be called several times, and waits for nothing.

        Tier: MANIFEST, shared. Cancellation: nothing is held afterwards.

        Raises:
            LockError: the lock could not be had under this run's wait policy, or its file cannot be used.
            GrexError: what `read` raised.
        """
        tries = 0
        while True:
            tries += 1
            try:
                async with self.manifest_shared():
                    return read(), None
            except LockUnavailableError as error:
                if error.errno not in _CANNOT_BE_MADE or tries > _MOST_READINGS:
                    raise
                reason = os.strerror(error.errno or 0)
            if not self._manifest.is_untouched():
                continue  # it was made meanwhile, or a writer has lost it: the next try says what it comes to
            try:
                found = read()
            except GrexError:
                if self._manifest.is_untouched():
                    raise
                continue
            if self._manifest.is_untouched():
                return found, f"the workspace was read without its lock, which cannot be made here ({reason})"

    @asynccontextmanager
    async def manifest_exclusive(self, name: str) -> AsyncGenerator[ManifestHold]:
        """Hold the manifest for writing, briefly and last. Tier: MANIFEST, exclusive."""
        asked = _Asked("MANIFEST", name, "MANIFEST", str(self._layout.root))
        with self._wait(asked, is_counted=False) as policy:
            hold = await self._manifest.acquire_exclusive(policy=policy)
        async with hold:
            with self._held(asked):
                yield hold

    @asynccontextmanager
    async def shared_file(self, path: Path, state_dir: Path) -> AsyncGenerator[SharedFileHold]:
        """Hold a file that packs of several workspaces write to, briefly and last. Tier: MANIFEST, exclusive."""
        async with self._file(path, SharedFileLock.for_file(path, state_dir)) as hold:
            yield hold

    @asynccontextmanager
    async def exclude_file(self, path: Path) -> AsyncGenerator[SharedFileHold]:
        """Hold a repository's `info/exclude`, which all its work trees share, briefly and last. Tier: MANIFEST.

        The lock file is `grex/exclude-lock` in that git directory: a name that ends in `.lock` would be git's.
        """
        lock_file = path.parent.parent / "grex" / "exclude-lock"
        async with self._file(path, SharedFileLock.at(lock_file, protects=path)) as hold:
            yield hold

    @asynccontextmanager
    async def _file(self, path: Path, lock: SharedFileLock) -> AsyncGenerator[SharedFileHold]:
        asked = _Asked("FILE", str(path), "FILE", str(path))
        with self._wait(asked) as policy:
            hold = await lock.acquire_async(policy=policy)
        async with hold:
            with self._held(asked):
                yield hold

    @asynccontextmanager
    async def mirror(self, path: Path, *, no_wait: bool = False) -> AsyncGenerator[MirrorHold]:
        """Hold a mirror of the shared cache; git children that write to it inherit it. Tier: MANIFEST, exclusive.

        It may be held for as long as a download takes, and nothing else is taken meanwhile. With `no_wait`, it is had
        at once or not at all.
        """
        asked = _Asked("CACHE", str(path), "CACHE", str(path))
        with self._wait(asked) as policy:
            hold = await MirrorLock.for_mirror(path).acquire_async(
                policy=replace(policy, no_wait=True) if no_wait else policy
            )
        async with hold:
            with self._held(asked):
                yield hold

    @contextmanager
    def _wait(self, asked: _Asked, *, is_counted: bool = True) -> Generator[WaitPolicy]:
        """The block waits, with this policy; it is told how long, and how it ended if it got nothing."""
        is_blocked = False
        told: list[LockWait] = []

        def on_blocked(holder: HolderRecord) -> None:
            nonlocal is_blocked
            is_blocked = True
            self._blocked(asked, holder)

        policy = replace(self._policy, on_wait=partial(self._report, asked=asked, told=told), on_blocked=on_blocked)
        start = time.monotonic_ns()
        ended: str | None = "cancelled"
        try:
            with self.waiting.one() if is_counted else nullcontext():
                yield policy
            ended = None
        except GrexError as error:
            ended = error.code
            raise
        finally:
            self._waited(asked, start, ended, is_told=is_blocked)
            if told:
                self._sink(LockHad(told[-1].tier, told[-1].path, told[-1].pack))

    def _report(self, report: WaitReport, *, asked: _Asked | None = None, told: list[LockWait] | None = None) -> None:
        self.waiting.note(report)
        if asked is not None and report.holder is not None:
            self._blocked(asked, report.holder)
        holder = report.holder.describe() if report.holder is not None else None
        tier = report.tier.name if asked is None else asked.tier
        pack = "" if asked is None else asked.pack
        event = LockWait(tier, str(report.path), report.waited_s, holder, report.ahead, report.stopped, pack)
        if told is not None:
            told.append(event)
        self._sink(event)

    def _blocked(self, asked: _Asked, holder: HolderRecord) -> None:
        doing = f"grex {holder.verb}" if holder.verb else holder.program or "a process"
        name = f"{doing}, pid {holder.pid}{'' if holder.is_local else f' on {holder.host}'}"
        self._sink(HolderSeen(asked.tier, asked.path, holder.pid, name, time.monotonic_ns()))

    def _waited(self, asked: _Asked, start: int, ended: str | None = None, *, is_told: bool = False) -> None:
        now = time.monotonic_ns()
        # Every grant takes a few microseconds; only a wait that somebody could notice is worth a slice.
        if is_told or now - start > _NOTICEABLE_NS:
            facts = asked.facts() if ended is None else {**asked.facts(), "ended": ended}
            self._sink(Slice(f"wait {asked.what}", "wait", asked.track, start, now, facts))

    @contextmanager
    def _held(self, asked: _Asked, *, category: str = "lock") -> Generator[None]:
        """The block holds it. The slice is told before it is given back, so whoever gets it next is told later."""
        start = time.monotonic_ns()
        try:
            yield
        finally:
            self._sink(Slice(asked.what, category, asked.track, start, time.monotonic_ns(), asked.facts()))
