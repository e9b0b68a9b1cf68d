"""Makes a fork: a second workspace, whose packs are work trees of the packs that are here.

The fork is built by walking its *own* manifests, for it begins at commits: what is declared only by an edit that is not
committed is not declared there. A pack that is declared there, and that the source has from the same URL, is made; any
other one is left out, and the fork's mark says so, so that it is a whole workspace all the same.

Durable facts, in this order, so that a kill at any point can be taken up again or taken away: the record (with every
branch that may come to be), the mark (`making`), the workspace's own files, the packs, each with its completion record,
the log, the mark (`whole`). All of it under the fork's own WORKSPACE. The source's WORKSPACE was held before, while its
graph and its HEADs were read, and each of its packs is held while its work tree is made.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

import anyio
from msgspec import Struct, field
from msgspec.structs import replace

from grex.engine.fork_provider import Provider
from grex.engine.graph import ROOT, Graph, Node, enclosing_path
from grex.engine.hiding import Hiding
from grex.engine.session import Session
from grex.engine.survey import Survey, open_graph, read_root_spec
from grex.errors import GrexError, PackError
from grex.fs import fsync_dir, read_regular, replace_file, sweep_temporary_files
from grex.git import CheckoutState, WorkTreeStatus, edited_paths, observe, porcelain, untracked_hint, write_record
from grex.manifest import (
    FORK_ROOT,
    Event,
    ForkMark,
    ForkPack,
    add_event,
    sync_event,
    write_fork_mark,
)
from grex.pack import read_pack_spec
from grex.progress import PackFinished
from grex.workspace import Layout

__all__ = ["Candidates", "ForkBuild", "ForkedPack", "candidates_of", "digest_of", "unsaved"]

_COPIED = (".grex/config.toml", ".grex/local.yaml", "grex.lock.jsonl")
_COPIED_TREES = (".grex/files", ".grex/hooks", ".grex/targets")
_LAST_COPIED = ".grex/pack.yaml"
_NOTHING = WorkTreeStatus(0, 0, 0, (), (), ())


class Candidates(Struct, frozen=True):
    """What of a workspace can be in a fork: its own repository, and the packs that are there, by their paths.

    `known` are the paths of all packs that are known, there or not.
    """

    root: CheckoutState | None
    packs: Mapping[str, CheckoutState]
    known: frozenset[str]
    is_unborn: bool = False
    """Whether the workspace has a repository of its own, and no commit in it."""


def digest_of(path: Path) -> str:
    """The SHA-256 of a file's bytes, or of where a symlink leads."""
    if path.is_symlink():
        return hashlib.sha256(b"link:" + os.fsencode(path.readlink())).hexdigest()
    return hashlib.sha256(read_regular(path)).hexdigest()


def candidates_of(session: Session, found: Survey, chosen: Iterable[str] | None) -> Candidates:
    """What can be forked of a workspace; of chosen packs those below and above them come along.

    Raises:
        PackError: a chosen pack is not there.
    """
    there = {path: state for path, state in found.states.items() if _is_forkable(found, path, state)}
    if chosen is not None:
        wanted = found.graph.descendants(chosen)
        waiting = list(wanted)
        while waiting:
            path = waiting.pop()
            node = found.graph.nodes.get(path)
            around = enclosing_path(path, found.graph.nodes)
            above = {*(node.parents if node is not None else ()), *(() if around is None else (around,))} - {ROOT}
            waiting += above - wanted
            wanted |= above
        absent = sorted(set(chosen) - set(there))
        if absent:
            raise PackError(f"{absent[0]} is not there, so it cannot be forked", hint="`grex sync` brings it.")
        there = {path: state for path, state in there.items() if path in wanted}
    root = observe(session.layout.root)
    return Candidates(
        root if root.kind == "checkout" and root.head_sha is not None else None,
        there,
        frozenset({*found.graph.nodes, *session.lines}),
        is_unborn=root.kind == "checkout" and root.head_sha is None,
    )


def _is_forkable(found: Survey, path: str, state: CheckoutState) -> bool:
    node = found.graph.nodes.get(path)
    return node is not None and node.is_active and state.kind == "checkout" and state.head_sha is not None


async def unsaved(session: Session, state: CheckoutState, ignore: Iterable[str] = ()) -> WorkTreeStatus:
    """What in a checkout is in no commit; git is asked only where the files cannot say."""
    edits = edited_paths(state)
    if edits.decided and not edits.edited and untracked_hint(state, ignore=frozenset(ignore)) is False:
        return _NOTHING
    return await porcelain(session.git_for("fork"), state)


class ForkedPack(Struct, frozen=True):
    """What became of one pack; `edited` and `untracked` count what of the source is not in the fork.

    `status` is `forked`, `failed` or `left-out`, with the reason in `text` or `error`.
    """

    path: str
    status: str
    branch: str | None = None
    sha: str | None = None
    edited: int = 0
    untracked: int = 0
    text: str = ""
    error: GrexError | None = None


class ForkBuild(Struct):
    """A fork that is being made, under its own WORKSPACE.

    Attributes:
        session: the fork, opened.
        source: the workspace of which it is made.
        provider: what makes its directories.
        candidates: what can be in it.
        mark: what the fork is told of itself; its packs are all that may come to be.
    """

    session: Session
    source: Layout
    provider: Provider
    candidates: Candidates
    mark: ForkMark
    results: dict[str, ForkedPack] = field(default_factory=dict)
    _events: list[Event] = field(default_factory=list)

    async def run(self) -> list[ForkedPack]:
        """Make all of it, or go on with it; gives what became of each pack, sorted by path.

        Tiers: for each pack PERMIT, PACK of the source's and BACKEND of its repository; MANIFEST. Cancellation: what
        was begun stays, and the next run goes on with it.

        Raises:
            GrexError: the workspace itself could not be made; the mark says that it is not whole.
        """
        layout = self.session.layout
        planned = {pack.path: pack for pack in self.mark.packs}
        hiding = Hiding(layout, self.session.holds)
        if FORK_ROOT in planned and self.candidates.root is not None:
            await self._make(planned[FORK_ROOT], self.candidates.root, layout.root, hiding, None)
            if self.results[FORK_ROOT].error is not None:
                return self._sorted()
        elif self.candidates.is_unborn:
            text = "it has no commit yet, so the fork has copies of its files and no repository of its own"
            self.results[FORK_ROOT] = ForkedPack(FORK_ROOT, "left-out", text=text)
        self._copy()
        await hiding.hide([])
        self.session.reread()
        root_spec = read_root_spec(layout, self.session.settings.platform)
        graph = open_graph(layout, root_spec)
        await self._walk(graph, graph.declare(ROOT, root_spec), planned, hiding)
        await self.session.record("fork", self._events)
        failed = any(result.error is not None for result in self.results.values())
        made = {path for path, result in self.results.items() if result.status == "forked"}
        for path in sorted(set(planned) - {FORK_ROOT, *self.results}):
            text = "only an edit of a pack.yaml that is not committed declares it"
            self.results[path] = ForkedPack(path, "left-out", text=text)
        if not failed:
            inactive = {path for path, node in graph.nodes.items() if not node.is_active}
            left_out = sorted({*graph.nodes, *self.candidates.known, *planned} - made - inactive - {FORK_ROOT})
            self.mark = replace(
                self.mark,
                stage="whole",
                packs=tuple(pack for pack in self.mark.packs if pack.path in made),
                left_out=tuple(left_out),
            )
            write_fork_mark(layout.state_dir, self.mark)
        return self._sorted()

    def _sorted(self) -> list[ForkedPack]:
        return [self.results[path] for path in sorted(self.results)]

    async def _walk(self, graph: Graph, waiting: list[Node], planned: Mapping[str, ForkPack], hiding: Hiding) -> None:
        """Make packs from the root's children downwards; one in whose directory others lie comes before these."""
        pending = {node.path: node for node in waiting}
        unmade = set(planned) - {FORK_ROOT}
        while pending:
            ready = [path for path in pending if enclosing_path(path, unmade | set(pending)) is None]
            ready = ready or [path for path in pending if enclosing_path(path, pending) is None]
            nodes = [pending.pop(path) for path in sorted(ready)]
            await hiding.hide([node.path for node in nodes])
            async with anyio.create_task_group() as tasks:
                for node in nodes:
                    tasks.start_soon(self._visit, node, graph, planned, hiding)
            unmade -= {node.path for node in nodes}
            for node in nodes:
                result = self.results.get(node.path)
                if result is None or result.status != "forked":
                    continue
                try:
                    spec = read_pack_spec(
                        self.session.layout.pack_dir(node.path),
                        is_root=False,
                        platform=self.session.settings.platform,
                        display=node.path,
                    )
                    fresh = [] if spec is None else graph.declare(node.path, spec)
                except GrexError:
                    continue  # as in the source; whoever works with the pack is told
                pending |= {child.path: child for child in fresh}

    async def _visit(self, node: Node, graph: Graph, planned: Mapping[str, ForkPack], hiding: Hiding) -> None:
        pack, source = planned.get(node.path), self.candidates.packs.get(node.path)
        if pack is None or source is None or not node.is_active or graph.verdict(node) is not None:
            return
        if source.record is not None and source.record.url != node.url.identity:
            text = "the checkout that is here is of another repository than the committed pack.yaml declares"
            self.results[node.path] = ForkedPack(node.path, "left-out", text=text)
            return
        await self._make(pack, source, self.session.layout.pack_dir(node.path), hiding, node)

    async def _make(
        self, pack: ForkPack, source: CheckoutState, place: Path, hiding: Hiding, node: Node | None
    ) -> None:
        session = self.session
        prefix = "" if node is None else f"{pack.path}/"
        nested = [path.removeprefix(prefix) for path in self.candidates.known if path.startswith(prefix)]
        try:
            async with session.holds.pack(pack.path, source.real, "disk"):
                lost = await unsaved(session, source, nested)
                async with session.holds.backend(pack.path, source.real) as backend:
                    make = self.provider.make_root if node is None else self.provider.make
                    await make(session, source, place, pack, backend=backend)
                    made = observe(place)
                    if source.record is not None and made.record is None:
                        # Of a fork it says what grex knows of the source: where it was left, and by which declaration.
                        await anyio.to_thread.run_sync(write_record, made.dirs.own, source.record)
                if node is not None:
                    await hiding.hide_own(place, made.dirs.common)
        except (GrexError, OSError) as error:
            failure = error if isinstance(error, GrexError) else PackError(f"{pack.path}: {error}")
            self.results[pack.path] = ForkedPack(pack.path, "failed", pack.branch, pack.sha, error=failure)
            session.settings.sink(PackFinished(pack.path, "failed", failure.message))
            return
        if node is not None:
            known = source.record
            self._events += [
                add_event(pack.path, url=node.url.redacted, ref=node.ref, owned=True),
                sync_event(
                    pack.path,
                    sha=pack.sha if known is None else known.sha,
                    branch=None if known is None else known.branch,
                ),
            ]
        self.results[pack.path] = ForkedPack(
            pack.path,
            "forked",
            pack.branch,
            pack.sha,
            edited=lost.edited_count + lost.conflicted_count,
            untracked=lost.untracked_count,
        )
        session.settings.sink(PackFinished(pack.path, "forked", f"{pack.branch} at {pack.sha[:10]}"))

    def _copy(self) -> None:
        """Copy what the workspace's own repository does not bring; its pack.yaml last: with it, it is a workspace."""
        layout = self.session.layout
        copied = dict(self.mark.copied)
        names = [name for name in _COPIED if (self.source.root / name).is_file()]
        for tree in _COPIED_TREES:
            for directory, _, files in os.walk(self.source.root / tree):
                names += sorted(os.path.relpath(Path(directory, file), self.source.root) for file in files)
        for name in (*names, _LAST_COPIED):
            target, origin = layout.root / name, self.source.root / name
            digest = digest_of(origin)
            if os.path.lexists(target):
                if digest_of(target) == digest:  # copied by a run that was killed, if not brought by git
                    copied[name] = digest
                continue
            made = [above for above in target.parents if not above.is_dir()]
            target.parent.mkdir(parents=True, exist_ok=True)
            sweep_temporary_files(target.parent)
            for above in made:
                fsync_dir(above.parent)
            copied[name] = digest
            if name == _LAST_COPIED:  # it is told of what was copied before it becomes a workspace
                self.mark = replace(self.mark, copied=copied)
                write_fork_mark(layout.state_dir, self.mark)
            if origin.is_symlink():
                target.symlink_to(origin.readlink())
            else:
                replace_file(target, read_regular(origin), mode=origin.stat().st_mode & 0o777)
        self.mark = replace(self.mark, copied=copied)
