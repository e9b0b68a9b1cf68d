"""How the packs of a workspace stand, as text: what needs attention comes first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from grex.cli.colours import cells, in_role
from grex.cli.lines import fitted, pack_line
from grex.cli.render.layout import aligned, counted, note_lines, wrapped
from grex.verbs.report import explained

if TYPE_CHECKING:
    from grex.cli.colours import Role
    from grex.verbs.status import PackStatus, RepositoryStatus, StatusReport

__all__ = ["status"]

_SHORT = 10
_URGENT_FIRST = (
    "error",
    "conflicted",
    "in-the-way",
    "interrupted",
    "in-progress",
    "missing",
    "wrong-ref",
    "diverged",
    "install-failed",
    "untrusted",
    "install-tampered",
    "install-unknown",
    "not-installed",
    "install-outdated",
    "undeclared",
    "behind",
    "ahead",
    "unpushed",
    "edited",
    "untracked",
)


def _urgency(pack: PackStatus) -> tuple[int, str]:
    """What needs attention first: what is broken, then what is not as declared, then what somebody works on."""
    places = [_URGENT_FIRST.index(state) for state in pack.states if state in _URGENT_FIRST]
    return min(places, default=len(_URGENT_FIRST)), pack.path


def status(report: StatusReport, *, short: bool = False, width: int | None = None) -> str:
    """What status says; what needs attention comes first, and of that what is broken.

    Args:
        report: the report.
        short: a line for each pack that is not clean and nothing else: its states, a blank, its path.
        width: of the terminal, where lines are broken; None where it goes elsewhere.
    """
    attention = sorted((pack for pack in report.packs if not pack.is_clean), key=_urgency)
    if short:
        return "\n".join(f"{','.join(pack.states)} {pack.path}" for pack in attention)
    notes = note_lines(report.notes)
    lines = [] if report.repository is None else [_repository(report.repository)]
    for failed in report.not_fetched:
        lines.append(pack_line("not fetched", failed.path, failed.text))
        lines.extend(f"{'':<12} {line}" for line in explained(failed.error))
    inactive = sum(1 for pack in report.packs if "inactive" in pack.states)
    beside = f", {inactive} inactive" if inactive else ""
    if not attention:
        count = len(report.packs) - inactive
        if count or inactive:
            lead = f"{in_role('ok', 'Clean:')} {counted(count, 'pack')}, all as declared{beside}."
        else:
            lead = "No pack was chosen." if report.is_narrowed else "Clean: no packs are declared."
        return "\n".join(fitted([*lines, lead, *notes], width))
    for row, pack in zip(_status_rows(attention, width), attention, strict=True):
        lines.extend(row)
        lines.extend(f"  tampered: {line}" for line in pack.tampered)
        lines.extend(f"  {line}" for line in explained(pack.error))
        if pack.hint:
            lines.append(f"  hint: {pack.hint}")
    as_declared = len(report.packs) - len(attention) - inactive
    tail = (
        f"{counted(len(attention), 'pack')} to look at{f', {as_declared} as declared' if as_declared else ''}{beside}."
    )
    return "\n".join(fitted([*lines, *notes, in_role("heading", tail)], width))


def _status_rows(packs: Sequence[PackStatus], width: int | None) -> list[list[str]]:
    """A line for each pack, in columns: its path, branch, commits, files, and what else there is to say of it.

    A column that no pack has anything for is left out. What else there is goes below where the line has no room for it.
    """
    rows, rests = [], []
    for pack in packs:
        commits = _counts((pack.ahead, "ahead"), (pack.behind, "behind"), (pack.unpushed, "not pushed"))
        conflicted = next((part for part in pack.text.split(", ") if part.endswith(" conflicted")), "")
        files = ", ".join(filter(None, (conflicted, _counts((pack.edited, "edited"), (pack.untracked, "untracked")))))
        told = {*commits.split(", "), *files.split(", "), f"on {pack.branch}", f"on branch {pack.branch}"}
        rests.append(", ".join(part for part in pack.text.split(", ") if part not in told))
        rows.append((pack.path, pack.branch or "", commits, files))
    used = [any(row[column] for row in rows) for column in range(4)]
    columns = [tuple(cell for cell, is_used in zip(row, used, strict=True) if is_used) for row in rows]
    drawn = aligned([(*row, "|") for row in columns])
    found: list[list[str]] = []
    for pack, line, rest in zip(packs, drawn, rests, strict=True):
        lead = line[:-1]
        lead = in_role(_role_of_states(pack.states), lead[: len(pack.path)]) + lead[len(pack.path) :]
        bare = lead.rstrip()
        if not rest or width is None or cells(lead) + cells(rest) <= width:
            found.append([(lead + rest).rstrip()])
        elif cells(bare) + 2 + cells(rest) <= width:  # out of its column, but on its line
            found.append([f"{bare}  {rest}"])
        else:
            found.append([bare, *wrapped(rest, width, "  ")])
    return found


def _counts(*counts: tuple[int, str]) -> str:
    return ", ".join(f"{count} {what}" for count, what in counts if count)


def _role_of_states(states: Sequence[str]) -> Role:
    """Broken, not as declared, or worked on."""
    worst = min((_URGENT_FIRST.index(state) for state in states if state in _URGENT_FIRST), default=-1)
    if worst < _URGENT_FIRST.index("missing"):
        return "error"
    return "attention" if worst < _URGENT_FIRST.index("behind") else "changed"


def _repository(found: RepositoryStatus) -> str:
    """The line about the workspace's own repository."""
    if found.problem is not None:
        return f"{in_role('heading', 'Workspace:')} its own repository cannot be looked at: {found.problem}"
    where = f"on {found.branch}" if found.branch else f"detached at {(found.sha or 'no commit')[:_SHORT]}"
    counts = (("ahead", found.ahead), ("behind", found.behind), ("edited", found.edited))
    told = ", ".join([where, *(f"{count} {what}" for what, count in counts if count)])
    return f"{in_role('heading', 'Workspace:')} {told}."
