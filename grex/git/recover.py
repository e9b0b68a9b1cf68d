"""Repairing a checkout in which a command of ours was killed.

It is called under the pack's locks when a move note stands: so its writer is dead, and so are the git processes that
it had started (they would hold BACKEND). Anything the dead command has written is not older than the note file.

1. Lock files that it left are removed, if they are surely its own (`grex.git.stale_files`).
2. After a killed checkout, HEAD says which side to take: the new commit if HEAD is there already, else the old one. If
   HEAD is at neither, the user has gone on from there; their state is left as it is.
3. Only paths that differ between the two commits can have been written; `grex.git.half_written` sorts them. What may be
   the user's is kept under a rescue ref before it is replaced.
4. The index gets the chosen side for these paths, the files follow it, and files that only the other side has go.

Other files, tracked or not, are never looked at.

Every step may be killed and done again: the note is removed last, and nothing here depends on how far the last
attempt came.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from grex.git.checkout import has_upstream
from grex.git.command import BackendHold, GitRunner, require_backend
from grex.git.commits import DURABLE, keep_rescue_ref
from grex.git.config_file import read_config
from grex.git.half_written import Change, drop_blocked, remove_file, side_of, sort_out
from grex.git.index import IndexUnreadableError, parse_index
from grex.git.observe import CheckoutState, observe
from grex.git.records import MoveNote, note_path, read_note, remove_note, write_record
from grex.git.sparse import is_in_cone, write_cone
from grex.git.stale_files import remove_stale_files
from grex.git.status import ask_head
from grex.git.submodules import clear_new, read_submodules
from grex.process import Finished

__all__ = ["RecoveryReport", "recover"]

_SHA1_BYTES = 20
_IDENTITY = {
    f"GIT_{role}_{part}": value
    for role in ("AUTHOR", "COMMITTER")
    for part, value in (("NAME", "grex"), ("EMAIL", "grex@localhost"))
}


class RecoveryReport(Struct, frozen=True):
    """What a recovery did; all empty if there was nothing to do."""

    note: MoveNote | None = None
    removed_locks: tuple[str, ...] = ()
    target: str | None = None
    """The commit that the checkout was brought to; None if only lock files were looked for, or the user has gone on."""
    restored: tuple[str, ...] = ()
    """Paths whose file was written or removed."""
    left: tuple[str, ...] = ()
    """Paths that could not be restored without touching something else; git shows them as edited."""
    rescue_ref: str | None = None
    """Keeps the content of files that were replaced and could have been the user's."""
    kept: tuple[str, ...] = ()
    """Of submodules: what was moved aside or kept under a rescue ref, and where."""


async def recover(runner: GitRunner, state: CheckoutState, *, backend: BackendHold) -> RecoveryReport:
    """Repair a checkout that has a move note.

    Cancellation: the note stands, and the next recovery does it again.

    Args:
        runner: runs git.
        state: the checkout, observed under the pack's locks.
        backend: the held BACKEND lock.

    Raises:
        AnotherGitError: somebody else's git seems to be at work; nothing was changed.
        GitError: git could not do its part; the note stands.
        OSError: a file could not be looked at or removed; the note stands.
    """
    require_backend(backend)
    dirs = state.dirs
    note = read_note(dirs.own)
    if note is None:
        return RecoveryReport()
    since_ns = note_path(dirs.own).lstat().st_ctime_ns
    report = RecoveryReport(note, remove_stale_files(dirs, state.real, since_ns=since_ns))
    state = observe(state.path)
    if state.head == "unreadable":
        state = await ask_head(runner, state)
    sides = (note.from_sha, note.to_sha)
    if note.op == "sparse":
        report = await _restore_cone(runner, state, report, note=note, since_ns=since_ns, backend=backend)
    elif note.op == "submodules":
        report = await _restore_submodules(runner, state, report, note=note, backend=backend)
    elif note.op == "checkout" and None not in sides and state.head_sha is not None and state.head_sha in sides:
        report = await _restore(runner, state, report, note=note, since_ns=since_ns, backend=backend)
    remove_note(dirs.own)
    return report


async def _restore(
    runner: GitRunner,
    state: CheckoutState,
    report: RecoveryReport,
    *,
    note: MoveNote,
    since_ns: int,
    backend: BackendHold,
) -> RecoveryReport:
    target, other = (note.to_sha, note.from_sha) if state.head_sha == note.to_sha else (note.from_sha, note.to_sha)
    if target is None or other is None:  # told apart by the caller already
        return report
    changes = await _changes(runner, state, target, other)
    report = await _put_right(runner, state, report, changes, target, since_ns=since_ns, backend=backend)
    record = note.record
    if record is not None and (record.sha, record.branch) == (target, state.head_branch):
        upstream = record.upstream if record.branch and has_upstream(state.dirs, record.branch) else None
        write_record(state.dirs.own, replace(record, upstream=upstream))
    return report


async def _put_right(
    runner: GitRunner,
    state: CheckoutState,
    report: RecoveryReport,
    changes: Sequence[Change],
    target: str,
    *,
    since_ns: int,
    backend: BackendHold,
) -> RecoveryReport:
    """Give these paths their wanted side, in the index and on the disk."""
    root = os.fsencode(state.real)
    work = sort_out(root, changes, since_ns)
    rescue_ref = await _rescue(runner, state, changes, work.rescue, backend)
    for path in work.remove:
        remove_file(root, path)
    work.write = drop_blocked(root, work.write, work.left)
    await _set_index(runner, state, changes, target, backend)
    if work.write:
        await runner.run(
            ["checkout-index", "--force", "--index", "-z", "--stdin"],
            cwd=state.real,
            write=backend,
            stdin_data=b"".join(path + b"\0" for path in work.write),
        )
    if _is_sparse(state):  # the entries have lost the mark that leaves them out of the work tree
        await runner.run(["sparse-checkout", "reapply"], cwd=state.real, write=backend)
    # Afterwards the index knows these files again; what it still finds to differ was the user's before.
    await runner.run(["update-index", "-q", "--refresh"], cwd=state.real, write=backend, accept=(0, 1))
    return replace(
        report,
        target=target,
        restored=_texts([*work.remove, *work.write]),
        left=_texts(work.left),
        rescue_ref=rescue_ref,
    )


async def _restore_cone(
    runner: GitRunner,
    state: CheckoutState,
    report: RecoveryReport,
    *,
    note: MoveNote,
    since_ns: int,
    backend: BackendHold,
) -> RecoveryReport:
    """Finish the change of a sparse checkout: git again, then what only the new cone has and may be half-written."""
    await write_cone(runner, state, note.cone, backend=backend)
    if state.head_sha is None:
        return report
    listed = await runner.run(["ls-files", "--stage", "-z"], cwd=state.real)
    changes: list[Change] = []
    for entry in listed.stdout.split(b"\0"):
        facts, _, path = entry.partition(b"\t")
        if (
            path
            and facts.endswith(b" 0")
            and is_in_cone(path, note.cone)
            and note.cone_before
            and not is_in_cone(path, note.cone_before)
        ):
            mode, oid, _ = facts.split(b" ")
            changes.append(Change(path, wanted=side_of(mode, oid), other=None))
    return await _put_right(runner, state, report, changes, state.head_sha, since_ns=since_ns, backend=backend)


async def _restore_submodules(
    runner: GitRunner, state: CheckoutState, report: RecoveryReport, *, note: MoveNote, backend: BackendHold
) -> RecoveryReport:
    """Mend the submodules: those that were being made go, to be made anew, and those that were moved are recovered."""
    aside = state.dirs.own / "grex" / f"kept-{note_path(state.dirs.own).lstat().st_ctime_ns}"
    kept = [f"files in the submodule {path}, in {place}" for path, place in clear_new(state, note, aside)]
    left: list[str] = []
    for one in await read_submodules(runner, state):
        if one.state is None or one.state.note is None:
            continue
        inner = await recover(runner, one.state, backend=backend)
        left += [f"{one.path}/{path}" for path in inner.left]
        if inner.rescue_ref is not None:
            kept.append(f"files in the submodule {one.path}, as {inner.rescue_ref} there")
        kept += inner.kept
    return replace(report, left=tuple(left), kept=tuple(kept))


def _is_sparse(state: CheckoutState) -> bool:
    """Whether the checkout leaves paths out; git keeps that for each work tree of its own, or for all."""
    files = (state.dirs.own / "config.worktree", state.dirs.common / "config")
    return any(
        config is not None and config.is_true("core", "sparseCheckout", default=False)
        for config in map(read_config, files)
    )


async def _changes(runner: GitRunner, state: CheckoutState, target: str, other: str) -> list[Change]:
    """Every path that differs between two commits."""
    finished = await runner.run(
        ["diff-tree", "-r", "-z", "--raw", "--full-index", "--no-renames", "--no-ext-diff", other, target, "--"],
        cwd=state.real,
    )
    changes = []
    fields = iter(finished.stdout.split(b"\0"))
    for field in fields:
        if not field:
            break
        old_mode, new_mode, old_oid, new_oid, _ = field[1:].split(b" ")
        changes.append(Change(next(fields), wanted=side_of(new_mode, new_oid), other=side_of(old_mode, old_oid)))
    return changes


async def _set_index(
    runner: GitRunner, state: CheckoutState, changes: Sequence[Change], target: str, backend: BackendHold
) -> None:
    """Give the index the wanted side of every changed path; removals first, for a file may become a directory."""
    zeros = b"0" * len(target)
    lines = [b"0 %s\t%s\0" % (zeros, change.path) for change in changes if change.wanted is None]
    lines += [
        b"%o %s\t%s\0" % (change.wanted.mode, change.wanted.oid.hex().encode(), change.path)
        for change in changes
        if change.wanted is not None
    ]
    if lines:
        await runner.run(
            ["update-index", "-z", "--index-info"], cwd=state.real, write=backend, stdin_data=b"".join(lines)
        )


async def _rescue(
    runner: GitRunner,
    state: CheckoutState,
    changes: Sequence[Change],
    paths: Sequence[bytes],
    backend: BackendHold,
) -> str | None:
    """Keep these files as a commit on top of HEAD, under a rescue ref; None if git knows all of their contents."""
    if not paths or state.head_sha is None:
        return None
    index = state.dirs.own / "grex" / "rescue-index"
    env = {**_IDENTITY, "GIT_INDEX_FILE": str(index)}
    head = state.head_sha
    _remove_index(index)  # a recovery that was killed in here has left it, or its lock
    try:
        await runner.run(["read-tree", head], cwd=state.real, write=backend, extra_env=env)
        await runner.run(
            ["update-index", "--add", "--replace", "-z", "--stdin"],
            cwd=state.real,
            write=backend,
            extra_env=env,
            stdin_data=b"".join(path + b"\0" for path in paths),
            config=DURABLE,
        )
        if _all_known(index, changes, paths):
            return None  # they differ from the commits only as line endings and filters make them
        tree = await runner.run(
            ["write-tree", "--missing-ok"], cwd=state.real, write=backend, extra_env=env, config=DURABLE
        )
        commit = await runner.run(
            [
                "commit-tree",
                "-p",
                head,
                "-m",
                "Files found half-written or edited after a killed checkout",
                _object_id(tree),
            ],
            cwd=state.real,
            write=backend,
            extra_env=env,
            config=DURABLE,
        )
    finally:
        _remove_index(index)
    return await keep_rescue_ref(runner, state, _object_id(commit), "files of a killed checkout", backend=backend)


def _remove_index(index: Path) -> None:
    for name in (index.name, f"{index.name}.lock"):
        with contextlib.suppress(FileNotFoundError):
            index.with_name(name).unlink()


def _all_known(index_file: Path, changes: Iterable[Change], paths: Sequence[bytes]) -> bool:
    known = {change.path: {side.oid for side in (change.wanted, change.other) if side} for change in changes}
    algorithm = "sha1" if all(len(oid) == _SHA1_BYTES for oids in known.values() for oid in oids) else "sha256"
    try:
        entries = parse_index(index_file.read_bytes(), mtime_ns=0, algorithm=algorithm).entries
    except (IndexUnreadableError, OSError):
        return False
    found = {entry.path: entry.oid for entry in entries}
    return all(found.get(path) in known[path] for path in paths)


def _object_id(finished: Finished) -> str:
    return finished.stdout.decode("ascii").strip()


def _texts(paths: Iterable[bytes]) -> tuple[str, ...]:
    return tuple(sorted(os.fsdecode(path) for path in paths))
