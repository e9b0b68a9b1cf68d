"""What killed runs left: notes, temporary files, brackets without an end, lock files of git.

Only what a durable note speaks of is provably grex's, and only that is mended. Everything else is told, with what a
person can do. While another run is at work its notes are no leftovers, so nothing is said of them then.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from grex.engine.checks.finding import Finding
from grex.engine.checks.ground import Ground
from grex.engine.checks.owners import is_refused_for_owner
from grex.engine.context import RunContext
from grex.engine.graph import ROOT
from grex.engine.install import prepare, run
from grex.engine.installable import examine
from grex.engine.recovery import recover_workspace
from grex.engine.standing import Standing, stand
from grex.errors import GrexError, PackError
from grex.fs import TEMP_PREFIX, canonical, fsync_dir, remove_tree, sweep_temporary_files, utc_stamp
from grex.git import observe, recover
from grex.git.kinship import scratch_repositories
from grex.git.stale_files import find_git_at_work, lock_files
from grex.locks import Tier, inspect_locks
from grex.manifest import OpenBracket, read_notes
from grex.names import clean, shown_argument
from grex.workspace import backend_lock_for

__all__ = [
    "check_brackets",
    "check_clone_notes",
    "check_moves",
    "check_temporaries",
    "fix_bracket",
    "fix_clone_note",
    "fix_damaged_note",
    "fix_move",
    "fix_scratch",
    "fix_temporary",
]


def _is_held(tier: Tier, path: Path) -> bool:
    """Whether another process holds a lock."""
    (info,) = inspect_locks([(tier, path)])
    return bool(info.held) and any(pid != os.getpid() for pid in info.pids)


def _is_at_work(ground: Ground, pack: str, real: Path) -> bool:
    """Whether somebody works in a pack now: then what is half-done there is theirs."""
    return _is_held(Tier.PACK, ground.session.layout.pack_lock(pack)) or _is_held(Tier.BACKEND, backend_lock_for(real))


# --- clones ----------------------------------------------------------------------------------------------------------


async def check_clone_notes(ground: Ground) -> list[Finding]:
    """Clones that were killed, and notes that nobody can read."""
    if ground.busy:
        return []
    notes, damaged = read_notes(ground.session.layout.state_dir)
    findings = [
        Finding(
            code="interrupted-clone",
            severity="warning",
            subject=note.pack,
            text=f"a clone of {clean(note.pack)} was interrupted",
            why="Its temporary directory takes space, and the pack may be there in part",
            fix="finishes it or takes it back, as the next sync does",
            pack=note.pack,
            target=f"clone-{note.id}.json",
        )
        for note in notes
    ]
    findings += [
        Finding(
            code="clone-note-damaged",
            severity="warning",
            subject=ground.shown(bad.path),
            text=f"a note about a clone {bad.reason}",
            why="What it spoke of cannot be cleaned up by itself",
            fix="sets the note aside in the trash; temporary directories that it may have named are left",
            hint="Look for directories `.grex-tmp-*` beside the packs, and remove those that nobody works in.",
            target=bad.path.name,
        )
        for bad in damaged
    ]
    return findings


async def fix_clone_note(ground: Ground, finding: Finding) -> str:
    """Finish or take back what the notes speak of. Tiers: PERMIT, PACK, BACKEND, MANIFEST."""
    note = ground.session.layout.state_dir / finding.target
    if not os.path.lexists(note):
        return "it was settled with another one"
    recovered = await recover_workspace(ground.session)
    failure = recovered.failures.get(finding.subject)
    if failure is not None:
        raise failure
    told = [text for text in recovered.notes if text.startswith(f"{finding.subject}: ")]
    if os.path.lexists(note):  # it does not fit what is there, so nothing may be done because of it
        told = [f"it does not fit what is there, and is now {_set_aside(ground, note)}"]
    return "; ".join(told) or "settled"


async def fix_damaged_note(ground: Ground, finding: Finding) -> str:
    """Set the note aside; nothing that it may speak of is touched."""
    note = ground.session.layout.state_dir / finding.target
    return f"it is now {_set_aside(ground, note)}" if os.path.lexists(note) else "it is gone"


def _set_aside(ground: Ground, note: Path) -> str:
    trash = ground.session.layout.trash_dir
    trash.mkdir(parents=True, exist_ok=True)
    kept = trash / f"note-{utc_stamp()}.bin"
    note.rename(kept)
    fsync_dir(trash)
    fsync_dir(note.parent)
    return ground.shown(kept)


# --- temporary files and directories ---------------------------------------------------------------------------------


async def check_temporaries(ground: Ground) -> list[Finding]:
    """Temporary files in grex's own directories, and temporary directories beside packs that no note speaks of."""
    if ground.busy:
        return []
    layout = ground.session.layout
    findings: list[Finding] = []
    for directory in (layout.root, layout.grex_dir, layout.state_dir, layout.trash_dir):
        for name, mode in _temporaries(directory):
            path = directory / name
            if stat.S_ISREG(mode):
                findings.append(
                    Finding(
                        code="temporary-file",
                        severity="note",
                        subject=ground.shown(path),
                        text=f"{ground.shown(path)} is a temporary file of a killed run",
                        why="It only takes space",
                        fix="removes it, as the next sync does",
                        target=str(path),
                    )
                )
    findings += [
        Finding(
            code="temporary-comparison",
            severity="note",
            subject=ground.shown(path),
            text=f"{ground.shown(path)} is a repository that a killed `set --url` compared with",
            why="It only takes space",
            fix="removes it, as the next sync does",
            target=path.name,
        )
        for path in scratch_repositories(layout.state_dir)
    ]
    noted = {note.temp for note in read_notes(layout.state_dir)[0]}
    places = {layout.root, *(layout.pack_dir(path).parent for path, _ in ground.all_checkouts())}
    for directory in sorted(places):
        for name, mode in _temporaries(directory):
            shown = ground.shown(directory / name)
            if stat.S_ISDIR(mode) and shown not in noted:
                findings.append(
                    Finding(
                        code="temporary-directory",
                        severity="note",
                        subject=shown,
                        text=f"{shown} has the name of a temporary clone, and no note speaks of it",
                        why="It takes space, and cannot be proved to be grex's",
                        hint="Look into it, and remove it if nothing there is yours.",
                    )
                )
    return findings


def _temporaries(directory: Path) -> Iterator[tuple[str, int]]:
    try:
        names = sorted(os.listdir(directory))  # noqa: PTH208 - names are what is wanted
    except (FileNotFoundError, NotADirectoryError):
        return
    for name in names:
        if name.startswith(TEMP_PREFIX):
            try:
                yield name, (directory / name).lstat().st_mode
            except FileNotFoundError:
                continue


async def fix_temporary(ground: Ground, finding: Finding) -> str:
    """Remove the temporary files of one directory of grex's."""
    del ground
    path = Path(finding.target)
    sweep_temporary_files(path.parent)
    if os.path.lexists(path):
        raise PackError(f"{finding.subject} could not be removed", hint="Check the permissions of its directory.")
    return "removed"


async def fix_scratch(ground: Ground, finding: Finding) -> str:
    """Remove a scratch repository; nobody else makes one while WORKSPACE is held."""
    for path in scratch_repositories(ground.session.layout.state_dir):
        if path.name == finding.target:
            remove_tree(path)
            return "removed"
    return "it is gone"


# --- moves, and the locks of git -------------------------------------------------------------------------------------


async def check_moves(ground: Ground) -> list[Finding]:
    """Checkouts in which a move was killed, and lock files that a dead git left."""
    findings: list[Finding] = []
    for path, state in ground.all_checkouts():
        if state.git_dir is None or ground.busy or _is_at_work(ground, path, state.real):
            continue
        if state.note is not None and await is_refused_for_owner(ground, path, state):
            continue  # that is what is to be told, and nothing can be mended before
        if state.note is not None:
            what = {
                "fetch": "a fetch",
                "refs": "an update of its refs",
                "sparse": "a choice of directories",
                "submodules": "an update of submodules",
                "checkout": "a checkout",
            }
            findings.append(
                Finding(
                    code="interrupted-move",
                    severity="warning",
                    subject=path,
                    text=f"{what.get(state.note.op, 'a git command of grex')} was interrupted in {path}",
                    why="Files may be half-written, and git may be locked",
                    fix="restores what the killed command may have written, keeping what could be yours under a rescue "
                    "ref, as the next sync does",
                    pack=path,
                )
            )
            continue
        locks = lock_files(state.dirs)
        if locks and find_git_at_work(state.dirs, state.real) is None:
            findings.append(
                Finding(
                    code="git-lock",
                    severity="warning",
                    subject=path,
                    text=f"git is locked in {path} by {ground.shown(locks[0])}, and no git is seen at work there",
                    why="git refuses to write as long as the file is there, and nothing proves that grex's git left it",
                    hint="If no editor or git of yours is open there, remove the file.",
                    pack=path,
                )
            )
    return findings


async def fix_move(ground: Ground, finding: Finding) -> str:
    """Do what the next sync would do first. Tiers: PERMIT, PACK, BACKEND."""
    session, path = ground.session, finding.subject
    root = session.layout.pack_dir(path)
    async with (
        session.holds.pack(path, root, "disk"),
        session.holds.backend(path, canonical(root)) as backend,
    ):
        state = observe(root)
        if state.kind != "checkout" or state.note is None:
            return "it was settled already"
        report = await recover(session.git_for(path), state, backend=backend)
    told = [f"{len(report.restored)} files restored"] if report.restored else ["settled"]
    if report.rescue_ref is not None:
        told.append(f"what could be yours is kept as {report.rescue_ref}")
    if report.left:
        told.append(f"{len(report.left)} files could not be restored without touching others: {report.left[0]}")
    return "; ".join(told)


# --- brackets --------------------------------------------------------------------------------------------------------


async def check_brackets(ground: Ground) -> list[Finding]:
    """Actions that were begun and have no end."""
    if ground.folded is None or ground.busy:
        return []
    standing = None if ground.found is None else stand(ground.session, ground.found)
    findings: list[Finding] = []
    for path, record in sorted(ground.folded.packs.items()):
        if record.open_brackets and not _is_held(Tier.PACK, ground.session.layout.pack_lock(path)):
            findings.append(_open(ground, path, record.open_brackets, standing))
    return findings


def _open(ground: Ground, path: str, brackets: tuple[OpenBracket, ...], standing: Standing | None) -> Finding:
    name = "the root pack" if path == ROOT else clean(path)
    argument = "" if path == ROOT else f" {shown_argument(path)}"
    first = brackets[-1]
    more = f" (and {len(brackets) - 1} more)" if len(brackets) > 1 else ""
    undoing = any(bracket.phase == "undo" for bracket in brackets)
    fix: str | None = None
    if undoing:
        hint = f"`grex teardown{argument}` finishes the teardown; a sync instead installs the pack again."
    elif _can_be_installed(ground, path, standing):
        fix = "installs the pack again, as the next sync does: what is right already stays"
        hint = f"`grex teardown{argument}` takes back instead what was begun."
    else:
        hint = f"`grex teardown{argument}` takes back what was begun."
    return Finding(
        code="open-bracket",
        severity="warning",
        subject=path,
        text=f"the action {clean(first.kind, 60)!r} ({clean(first.action, 60)}) of {name} was "
        f"{'being taken back' if first.phase == 'undo' else 'begun'} at {first.ts} and has no end{more}",
        why="It may be done in part; what takes it back is in the log",
        fix=fix,
        hint=hint,
        pack=None if path == ROOT else path,
    )


def _can_be_installed(ground: Ground, path: str, standing: Standing | None) -> bool:
    present = None if standing is None else standing.present.get(path)
    if ground.found is None or present is None or (path != ROOT and path not in ground.found.graph.nodes):
        return False
    try:
        return examine(ground.session, present) is not None
    except GrexError:
        return False


async def fix_bracket(ground: Ground, finding: Finding) -> str:
    """Install the pack again. Tiers: PERMIT, PACK, MANIFEST.

    Raises:
        GrexError: it is not trusted, or its install failed.
    """
    if ground.found is None:
        raise PackError("the declarations cannot be read")
    session, path = ground.session, finding.subject
    standing = stand(session, ground.found)
    present = standing.present[path]
    others = [other for name, other in standing.present.items() if name != path]
    context = RunContext(session)
    off = [node for node in ground.found.graph.ordered() if not node.is_active]
    plan = prepare(session, context, [present], others=others, off=off)
    outcomes = await run(session, context, plan, fail_fast=False)
    outcome = outcomes.get(path)
    if outcome is not None and outcome.error is not None:
        raise outcome.error
    return _done(outcome.changes if outcome is not None else ())


def _done(changes: Iterable[str]) -> str:
    told = [clean(change, 120) for change in changes]
    return f"installed again: {'; '.join(told[:3])}" if told else "installed again: everything was right already"
