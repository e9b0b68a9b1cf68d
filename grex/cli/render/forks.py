"""Reports about forks as text."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from grex.cli.render.layout import aligned, counted, note_lines

if TYPE_CHECKING:
    from grex.engine.unforking import ForkWork
    from grex.verbs.fork import ForkReport
    from grex.verbs.fork_ls import ForkListReport, ListedFork
    from grex.verbs.fork_rm import ForkRemovalReport

__all__ = ["fork", "fork_ls", "fork_rm"]

_SHORT = 10


def fork(report: ForkReport, *, brief: bool = False) -> str:
    """What fork says; `brief` leaves out what was said while it was made."""
    made = [pack for pack in report.packs if pack.status == "forked"]
    lines = aligned([("forked", pack.path, f"{pack.branch} at {(pack.sha or '')[:_SHORT]}") for pack in made])
    lines = [] if brief else lines
    lost = [pack for pack in made if pack.edited or pack.untracked]
    for pack in lost:
        counts = _counts(edited=pack.edited, untracked=pack.untracked)
        lines.append(f"note: {pack.path} has {counts} here, which no commit has and the fork has not.")
    lines += [f"note: {pack.path} is not in the fork: {pack.text}." for pack in report.packs if pack.text]
    failed = [pack for pack in report.packs if pack.error is not None]
    for pack in failed:
        lines.append(f"{pack.path} failed: {pack.error.message if pack.error is not None else ''}")
        if pack.error is not None and pack.error.hint:
            lines.append(f"  hint: {pack.error.hint}")
    if failed:
        lines.append("The fork is not whole; the same command goes on with it, `grex fork rm` takes it away.")
    begun = "Went on with a" if report.is_resumed else "Made a"
    count = counted(sum(pack.path != "." for pack in made), "pack")
    lines.append(f"{begun} fork of {count}, {report.elapsed_s:.2f} s: {report.directory}")
    return "\n".join(lines)


def fork_ls(report: ForkListReport) -> str:
    """What fork ls says: a line for each fork, below it what is in its packs."""
    lines: list[str] = []
    rows = [(fork.record.directory, fork.record.branch, fork.shown_state, _work_of(fork)) for fork in report.forks]
    lines += aligned(rows)
    lines += note_lines(report.notes)
    return "\n".join(lines) or "This workspace has no forks."


def _work_of(fork: ListedFork) -> str:
    packs = fork.packs
    told = [
        f"{counted(count, 'pack')} {what}"
        for what, count in (
            ("ahead", sum(pack.ahead > 0 for pack in packs)),
            ("edited", sum(pack.edited > 0 or pack.untracked > 0 for pack in packs)),
        )
        if count
    ]
    unmerged = sum(pack.unmerged for pack in packs)
    if fork.state == "gone" and unmerged:
        told.append(f"{counted(unmerged, 'commit')} that only its branches have")
    return ", ".join([*told, *([fork.text] if fork.text else [])])


def fork_rm(report: ForkRemovalReport) -> str:
    """What fork rm says."""
    lines = [f"{pack.path}: {_told(pack)}" for pack in report.packs if not report.is_removed]
    removal = report.removal
    lines += [
        f"note: the branch {branch} of {path} is kept, it has commits that nothing else has."
        for path, branch in sorted(removal.kept_branches.items())
    ]
    lines += [
        f"note: what was edited or checked out in {path} is kept as {ref}."
        for path, refs in sorted(removal.rescues.items())
        for ref in refs
    ]
    if removal.trash is not None:
        lines.append(f"note: what was in it is in {os.path.relpath(removal.trash, report.root)}.")
    lines += [f"{path} failed: {removal.errors[path].message}" for path in sorted(removal.errors)]
    if report.is_removed:
        lines += [f"note: {report.text}."] if report.text else []
        return "\n".join([*lines, f"Removed the fork: {report.directory}"])
    if removal.errors:
        return "\n".join([*lines, f"The same command goes on with it: {report.directory}"])
    why = "" if report.packs else f" ({report.text})"
    return "\n".join([*lines, f"The fork was left as it is{why}: {report.directory}", f"  hint: {report.hint}"])


def _told(pack: ForkWork) -> str:
    told = [_counts(edited=pack.edited, untracked=pack.untracked)] if pack.edited or pack.untracked else []
    if pack.unmerged:
        told.append(f"{counted(pack.unmerged, 'commit')} that nothing else has")
    if pack.operation is not None:
        told.append(f"a {pack.operation} is in progress")
    return ", ".join([*told, *([pack.text] if pack.text else [])])


def _counts(*, edited: int, untracked: int) -> str:
    told = [counted(edited, "edited file")] if edited else []
    return " and ".join([*told, *([counted(untracked, "untracked file")] if untracked else [])])
