"""The forks of the workspace: those whose directory was deleted by hand, half-made ones, records that are damaged."""

from __future__ import annotations

from pathlib import Path

from grex.engine.checks.finding import Finding
from grex.engine.checks.ground import Ground
from grex.engine.fork_work import fork_state
from grex.engine.unforking import remove_fork
from grex.errors import PackError
from grex.manifest import read_fork_records
from grex.names import clean, shown_argument

__all__ = ["check_forks", "fix_fork"]


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
    for record in records:
        state, _, text = fork_state(record)
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


async def fix_fork(ground: Ground, finding: Finding) -> str:
    """Clear what is left of a fork that was deleted by hand. Tier: BACKEND of each repository.

    Raises:
        GrexError: a repository would not forget it.
    """
    session = ground.session
    record = next((one for one in read_fork_records(session.layout.state_dir)[0] if one.id == finding.target), None)
    if record is None or fork_state(record)[0] != "gone":
        return "settled already"
    removal = await remove_fork(session, record, None, [], is_ours=False)
    if removal.errors:
        path = min(removal.errors)
        raise PackError(f"{path}: {removal.errors[path].message}")
    kept = [f"{path} keeps the branch {branch}" for path, branch in sorted(removal.kept_branches.items())]
    kept += [f"{path} keeps {ref}" for path, refs in sorted(removal.rescues.items()) for ref in refs]
    return "; ".join(["cleared", *kept])
