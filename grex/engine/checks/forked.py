"""The forks of the workspace: deleted or moved by hand, half-made, damaged; and the workspace of a fork."""

from __future__ import annotations

from pathlib import Path

from grex.engine.checks.finding import Finding
from grex.engine.checks.ground import Ground
from grex.engine.fork_places import located, relocated_mark
from grex.engine.fork_work import common_of, fork_state, place_of
from grex.engine.unforking import remove_fork
from grex.errors import PackError
from grex.fs import canonical
from grex.git import observe
from grex.manifest import ForkMark, ForkRecord, read_fork_records, write_fork_mark, write_fork_record
from grex.names import GREX_DIRECTORY, clean, shown_argument

__all__ = ["check_forks", "fix_fork", "fix_fork_home", "fix_fork_place"]


async def check_forks(ground: Ground) -> list[Finding]:
    """Forks that are not what their records say."""
    records, damaged = read_fork_records(ground.session.layout.state_dir)
    findings = [
        Finding(
            code="fork-record",
            severity="warning",
            subject=".grex/state/forks",
            text=clean(one),
            why="Whose work trees and branches these are, nobody knows",
            hint="`git worktree list` in the packs shows them; then remove the file.",
        )
        for one in damaged
    ]
    findings += _home(ground)
    for recorded in records:
        record = located(ground.session.layout, recorded)
        if record != recorded:
            findings.append(
                Finding(
                    code="fork-moved",
                    severity="warning",
                    subject=clean(record.directory),
                    text=f"the fork was moved here from {clean(recorded.directory)}",
                    why="Its record still speaks of the old place",
                    fix="writes down where it is",
                    target=record.id,
                )
            )
        state, mark, text = fork_state(record)
        if state == "ok" and mark is not None and (wrong := _broken(ground, record, mark)) is not None:
            findings.append(
                Finding(
                    code="fork-damaged",
                    severity="warning",
                    subject=clean(record.directory),
                    text=f"the fork is damaged: {clean(wrong)}",
                    why="git does not work there",
                    hint="After a move, `git worktree repair` in the packs of the workspace, with the paths of those "
                    "in the fork, lets them find each other; `grex fork ls` says more.",
                    target=record.id,
                )
            )
        if state == "ok" or (ground.busy and state != "gone"):
            continue
        directory, shown = clean(record.directory), shown_argument(record.directory)
        # What is gone with all around it may be on a disk that is not mounted at the moment.
        is_deleted = state == "gone" and Path(record.directory).parent.is_dir()
        told = {
            "gone": "the directory of the fork is not there",
            "making": "making the fork was interrupted",
            "removing": "taking the fork away was interrupted",
            "damaged": f"the fork is damaged: {text}",
        }
        findings.append(
            Finding(
                code="fork-gone" if state == "gone" else f"fork-{state}",
                severity="warning",
                subject=directory,
                text=told[state],
                why="The packs keep its work trees and branches",
                fix="clears its record, work trees and merged branches; branches with commits stay"
                if is_deleted
                else None,
                hint=None if is_deleted else f"`grex fork rm {shown}` takes away what there is of it.",
                target=record.id,
            )
        )
    return findings


def _broken(ground: Ground, record: ForkRecord, mark: ForkMark) -> str | None:
    """The first pack of a fork that is no work tree of its repository; nothing is asked of git."""
    for pack in mark.packs:
        state = observe(place_of(record, pack.path))
        if state.kind != "checkout":
            return f"{pack.path} is not there" if state.kind == "absent" else f"{pack.path} is no checkout"
        common = common_of(ground.session.layout, record, pack.path)
        if common is None or canonical(state.dirs.common) != common:
            return f"{pack.path} is no work tree of the repository of this workspace"
    return None


def _home(ground: Ground) -> list[Finding]:
    """In a fork: whether its workspace is where it says."""
    mark, root = ground.session.fork, ground.session.layout.root
    if mark is None:
        return []
    now = relocated_mark(root, mark)
    if now == mark and (Path(mark.home) / GREX_DIRECTORY).is_dir():
        return []
    home = clean(mark.home)
    is_known = now != mark
    return [
        Finding(
            code="fork-home",
            severity="warning",
            subject=home,
            text=f"the workspace of this fork was moved from {home} to {clean(now.home)}"
            if is_known
            else f"the workspace of this fork is not at {home} any more",
            why="The repositories of the packs are there, and relative URLs start there",
            fix="writes down where it is" if is_known else None,
            hint=None
            if is_known
            else "`git worktree repair` in each pack of the workspace, with the path of the "
            "pack here, lets them find each other.",
        )
    ]


async def fix_fork_home(ground: Ground, finding: Finding) -> str:
    """Write down where the workspace of this fork is. WORKSPACE of the fork is held."""
    del finding
    mark, layout = ground.session.fork, ground.session.layout
    if mark is None or (now := relocated_mark(layout.root, mark)) == mark:
        return "settled already"
    write_fork_mark(layout.state_dir, now)
    return f"it is {clean(now.home)}"


async def fix_fork_place(ground: Ground, finding: Finding) -> str:
    """Write down where a fork is."""
    layout = ground.session.layout
    for recorded in read_fork_records(layout.state_dir)[0]:
        if recorded.id == finding.target and (record := located(layout, recorded)) != recorded:
            write_fork_record(layout.state_dir, record)
            return f"it is {clean(record.directory)}"
    return "settled already"


async def fix_fork(ground: Ground, finding: Finding) -> str:
    """Clear what is left of a fork that was deleted by hand. Tier: BACKEND of each repository.

    Raises:
        GrexError: a repository would not forget it.
    """
    session = ground.session
    record = next((one for one in read_fork_records(session.layout.state_dir)[0] if one.id == finding.target), None)
    if record is None or fork_state(located(session.layout, record))[0] != "gone":
        return "settled already"
    removal = await remove_fork(session, record, None, [], is_ours=False)
    if removal.errors:
        path = min(removal.errors)
        raise PackError(f"{path}: {removal.errors[path].message}")
    kept = [f"{path} keeps the branch {branch}" for path, branch in sorted(removal.kept_branches.items())]
    kept += [f"{path} keeps {ref}" for path, refs in sorted(removal.rescues.items()) for ref in refs]
    return "; ".join(["cleared", *kept])
