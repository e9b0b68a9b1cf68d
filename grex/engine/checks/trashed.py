"""The trash: records that cannot be read or speak of nothing, what has none, and sweeps that were killed."""

from __future__ import annotations

import os
from pathlib import Path

import anyio.to_thread

from grex.engine.checks.finding import Finding
from grex.engine.checks.ground import Ground
from grex.engine.restoring import finish_restores, has_left
from grex.engine.trash import Trash
from grex.fs import TEMP_PREFIX, parse_stamp, remove_tree
from grex.manifest import trash_record_path
from grex.names import clean

__all__ = ["check_trash", "fix_sweep", "fix_trash"]


async def check_trash(ground: Ground) -> list[Finding]:
    """What of the trash is not whole."""
    layout = ground.session.layout
    if layout.trash_dir.is_symlink():
        return [
            Finding(
                code="trash-link",
                severity="error",
                subject=".grex/trash",
                text=".grex/trash is a symbolic link, and grex moves nothing through it",
                why="No sync runs, and nothing can be moved away",
                hint="Remove the link; a directory is made when it is needed.",
            )
        ]
    trash = Trash(layout)
    found, damaged = trash.listed()
    findings = [
        Finding(
            code="trash-record",
            severity="warning",
            subject=f".grex/trash/{bad.path.name}",
            text=f"{bad.path.name} in .grex/trash {bad.reason}, so nobody knows where {bad.path.stem} belongs",
            why="It cannot be restored by itself",
            hint=f"Move what you need out of .grex/trash/{bad.path.stem} by hand.",
        )
        for bad in damaged
    ]
    if ground.busy:
        return findings
    for one in found:
        if has_left(one):
            half = one.record.restoring is not None
            findings.append(
                Finding(
                    code="trash-moved",
                    severity="warning",
                    subject=f".grex/trash/{one.record.stamp}.json",
                    text=f"the record speaks of {clean(one.record.path)}, which is not in the trash "
                    f"{'any more' if half else 'with it'}",
                    why="A move to the trash or back was killed",
                    fix="finishes the move: the record goes, and the log says what is back",
                )
            )
    findings += _unrecorded(ground, layout.trash_dir)
    return findings


def _unrecorded(ground: Ground, trash_dir: Path) -> list[Finding]:
    try:
        names = sorted(os.listdir(trash_dir))  # noqa: PTH208 - names are what is wanted
    except (FileNotFoundError, NotADirectoryError):
        return []
    findings: list[Finding] = []
    for name in names:
        path = trash_dir / name
        if not path.is_dir() or path.is_symlink():
            continue
        shown = ground.shown(path)
        if name.startswith(TEMP_PREFIX):
            findings.append(
                Finding(
                    code="trash-sweep",
                    severity="note",
                    subject=shown,
                    text=f"{shown} was being removed for good when the run was killed",
                    why="It only takes space",
                    fix="removes the rest of it",
                    target=str(path),
                )
            )
        elif parse_stamp(name) is not None and not os.path.lexists(trash_record_path(trash_dir, name)):
            is_empty = not any(path.iterdir())
            findings.append(
                Finding(
                    code="trash-empty" if is_empty else "trash-unrecorded",
                    severity="note",
                    subject=shown,
                    text=f"{shown} is {'empty' if is_empty else 'in the trash without a record'}",
                    why="A killed run left it" if is_empty else "It cannot be restored by itself, and goes by its age",
                    fix="removes the empty directory" if is_empty else None,
                    hint=None if is_empty else "Move what you need out of it by hand.",
                )
            )
    return findings


async def fix_trash(ground: Ground, finding: Finding) -> str:
    """Finish the moves that were killed, and take records and directories of nothing away. Tier: MANIFEST."""
    del finding
    told = await finish_restores(ground.session)
    return "; ".join(told) or "settled"


async def fix_sweep(ground: Ground, finding: Finding) -> str:
    """Remove what was being removed."""
    path = Path(finding.target)
    if path.parent == ground.session.layout.trash_dir and path.name.startswith(TEMP_PREFIX) and path.is_dir():
        await anyio.to_thread.run_sync(remove_tree, path)
    return "removed"
