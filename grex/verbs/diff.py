"""`grex diff`: what is different between two lockfiles, with the commits of each pack between.

Recipe: read both lockfiles (from the workspace's repository, from files, or the one that is there), compare them, ask
the repository of each pack for the commits. No network: commits that were never fetched are said to be so.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import anyio
from msgspec import Struct

from grex.engine import Session, Settings, survey
from grex.engine.comparing import Change, compare_locks
from grex.engine.survey import Survey, named
from grex.errors import GrexError, UsageError
from grex.exclude import enclosing_repository
from grex.fs import read_regular
from grex.git import observe
from grex.git.history import History, file_at, read_history
from grex.manifest import LockLine, parse_lockfile
from grex.names import clean
from grex.names.compare import compare_link
from grex.verbs.report import history_json

if TYPE_CHECKING:
    from grex.verbs.documents import DiffDocument, DiffPackObject, DiffSideObject

__all__ = ["DiffReport", "DiffRequest", "PackDiff", "Side", "diff"]

_SHOWN_CHARACTERS = 200
_SEPARATOR = ".."


class DiffRequest(Struct, frozen=True):
    """What to compare.

    Attributes:
        root: the workspace.
        between: `A..B`, each a revision of the workspace's repository or a lockfile; without B the lockfile that is
            there, without A `HEAD`. One word without `..` is a pack if there is one of that name, else A.
        packs: paths or unique names, with their descendants; empty for all.
        here: where the person is, from which the paths of lockfiles are read; None for the workspace.
    """

    root: Path
    between: str | None = None
    packs: tuple[str, ...] = ()
    here: Path | None = None


class Side(Struct, frozen=True):
    """One of the two lockfiles: a revision with its commit, a file, or the one in the workspace (`disk`)."""

    kind: Literal["revision", "file", "disk"]
    text: str
    sha: str | None = None


class PackDiff(Struct, frozen=True):
    """What became of one pack.

    `history` are the commits between; None where there are none to tell, and then `unknown` says why, if it moved.
    """

    change: Change
    history: History | None = None
    unknown: str | None = None

    @property
    def link(self) -> str | None:
        """Where its forge shows the commits."""
        old, new = self.change.old, self.change.new
        if old is None or new is None or old.sha == new.sha:
            return None
        return compare_link(new.url, old.sha, new.sha)

    def to_json(self) -> DiffPackObject:
        """The pack's entry in the document."""
        old, new = self.change.old, self.change.new
        return {
            "path": self.change.path,
            "status": self.change.kind,
            "old_path": old.path if old else None,
            "old": old.sha if old else None,
            "new": new.sha if new else None,
            "old_ref": old.ref if old else None,
            "new_ref": new.ref if new else None,
            "old_branch": old.branch if old else None,
            "new_branch": new.branch if new else None,
            "old_url": old.url if old else None,
            "new_url": new.url if new else None,
            "commits": history_json(self.history),
            "commits_unknown": self.unknown,
            "link": self.link,
        }


class DiffReport(Struct, frozen=True):
    """The packs that are different, sorted by path."""

    root: Path
    old: Side
    new: Side
    packs: tuple[PackDiff, ...]
    notes: tuple[str, ...] = ()
    exit_code: int = 0

    def to_json(self) -> DiffDocument:
        """The document of `--json`."""
        return {
            "schema": "grex.diff/1",
            "workspace": str(self.root),
            "exit_code": self.exit_code,
            "old": _side_json(self.old),
            "new": _side_json(self.new),
            "packs": [pack.to_json() for pack in self.packs],
            "notes": list(self.notes),
        }


def _side_json(side: Side) -> DiffSideObject:
    return {"kind": side.kind, "text": side.text, "sha": side.sha}


class _Lock(Struct, frozen=True):
    side: Side
    lines: Mapping[str, LockLine]


async def diff(request: DiffRequest, settings: Settings) -> DiffReport:
    """Compare two lockfiles. Tier: MANIFEST, shared and briefly. Nothing is written, and nobody is asked.

    Raises:
        LockfileError: a lockfile cannot be read.
        UsageError: there is no such revision, file or pack.
    """
    session = Session.open(request.root, settings)

    def look() -> Survey:
        session.reread()
        return survey(session.layout, settings.platform, check_type=session.check_type)

    found = await session.read_manifest(look)
    packs: tuple[str, ...] = request.packs
    between = request.between
    if between is not None and _is_pack(found, session.lines, between):
        packs, between = (between, *packs), None
    old, new = await _both(session, request, between)
    known = {**old.lines, **new.lines}
    wanted = _with_descendants(named(found, known, packs), known) if packs else None
    changes = [
        change
        for change in compare_locks(old.lines, new.lines)
        if wanted is None or change.path in wanted or (change.old is not None and change.old.path in wanted)
    ]
    limit = anyio.CapacityLimiter(max(settings.jobs or 4, 1))
    results: dict[int, PackDiff] = {}

    async def one(position: int, change: Change) -> None:
        async with limit:
            results[position] = await _pack_diff(session, change)

    async with anyio.create_task_group() as tasks:
        for position, change in enumerate(changes):
            if change.has_new_commit:
                tasks.start_soon(one, position, change)
            else:
                results[position] = PackDiff(change)
    notes = list(session.notes)
    if old.side.kind == "revision" and not old.lines:
        notes.append(f"{old.side.text} has no grex.lock.jsonl, or an empty one")
    return DiffReport(
        session.layout.root, old.side, new.side, tuple(results[place] for place in sorted(results)), tuple(notes)
    )


def _is_pack(found: Survey, lines: Mapping[str, LockLine], text: str) -> bool:
    try:
        named(found, lines, [text])
    except UsageError as error:
        return "several packs" in error.message  # said as such below, and not as a revision that is not there
    return True


def _with_descendants(chosen: set[str], lines: Mapping[str, LockLine]) -> set[str]:
    if "." in chosen:
        return set(lines)
    grown = True
    while grown:
        below = {path for path, line in lines.items() if path not in chosen and not chosen.isdisjoint(line.parents)}
        chosen |= below
        grown = bool(below)
    return chosen


async def _both(session: Session, request: DiffRequest, between: str | None) -> tuple[_Lock, _Lock]:
    here = request.here or request.root
    left, right = _sides(between, here)
    old = await _read(session, here, left or "HEAD")
    disk = _Lock(Side("disk", "the lockfile that is there"), session.lines)
    return old, disk if right is None else await _read(session, here, right)


def _sides(between: str | None, here: Path) -> tuple[str, str | None]:
    """What stands before and behind the `..`; None for the lockfile that is there.

    Paths may have `..` in them, and a revision has none: the first `..` counts with two such sides.
    """
    if between is None:
        return "", None
    if _SEPARATOR not in between or _is_file(here, between):
        return between, None
    at = between.find(_SEPARATOR)
    while at >= 0:
        left, right = between[:at], between[at + len(_SEPARATOR) :]
        if all(_SEPARATOR not in side or _is_file(here, side) for side in (left, right)):
            return left, (right or None) if left else right or "HEAD"
        at = between.find(_SEPARATOR, at + 1)
    raise UsageError(
        f"{clean(between, _SHOWN_CHARACTERS)!r} is no range",
        hint="As in `v1..v2`, `v1..` or `old.jsonl..new.jsonl`: revisions of the workspace's repository, or lockfiles.",
    )


def _is_file(here: Path, text: str) -> bool:
    return bool(text) and "\0" not in text and os.path.isfile(here / text)  # noqa: PTH113 - no symlink is followed twice


async def _read(session: Session, here: Path, text: str) -> _Lock:
    """A lockfile, from a file of that name or from the revision."""
    shown = clean(text, _SHOWN_CHARACTERS)
    if _is_file(here, text):
        try:
            data = read_regular((here / text).resolve())
        except OSError as error:
            raise UsageError(f"the lockfile {shown} cannot be read: {error.strerror}", hint="Check it.") from error
        return _Lock(Side("file", shown), parse_lockfile(data, file=shown))
    root = session.layout.root
    repository = enclosing_repository(root)
    if repository is None:
        raise UsageError(
            f"{root} is in no git repository, so there is no {shown} to compare with",
            hint="Give lockfiles instead, as in `grex diff old.jsonl..new.jsonl`.",
        )
    top = repository[0]
    path = session.layout.lockfile.resolve().relative_to(top).as_posix()
    file = await file_at(session.git_for("."), top, text, path)
    if file is None:
        what = f"{shown!r} is neither a commit of the workspace's repository nor a lockfile"
        raise UsageError(what, hint="`git log -- grex.lock.jsonl` shows the commits; `grex ls` lists the packs.")
    return _Lock(Side("revision", shown, file.sha), parse_lockfile(file.content or b"", file=f"{shown}:{path}"))


async def _pack_diff(session: Session, change: Change) -> PackDiff:
    """One pack with the commits between, from its own repository, wherever that is now."""
    old, new = change.old, change.new
    if old is None or new is None:
        return PackDiff(change)
    unknown = "not cloned here"
    for path in dict.fromkeys((new.path, old.path)):
        try:
            state = observe(session.layout.pack_dir(path))
            if state.kind != "checkout":
                continue
            history = await read_history(session.git_for(path), state.real, state.dirs, old.sha, new.sha)
        except (GrexError, OSError) as error:
            unknown = f"git could not tell: {clean(str(error), _SHOWN_CHARACTERS)}"
            continue
        if history is not None:
            return PackDiff(change, history)
        unknown = "commits not fetched"
    return PackDiff(change, unknown=unknown)
