"""Reports of the verbs that work over packs and bring none, as text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from grex.cli.lines import is_for_the_report, pack_line
from grex.cli.render.layout import counted, note_lines

if TYPE_CHECKING:
    from grex.engine.over_git import OverOutcome
    from grex.verbs.exec import ExecReport
    from grex.verbs.over import OverReport, SwitchReport
    from grex.verbs.path import PathReport

__all__ = ["exec_", "fetch", "path", "push", "switch"]

_SHOWN_COMMITS = 20
_SHORT = 10


def exec_(report: ExecReport, *, quiet: bool = False) -> str:
    """What exec says after what the commands said: where one failed, and how; `quiet` says that alone."""
    lines: list[str] = []
    for pack in report.packs:
        if pack.error is not None:
            lines.append(pack_line(pack.status, pack.path, pack.error.message))
            if pack.error.hint:
                lines.append(f"{'':<12} hint: {pack.error.hint}")
        elif pack.status == "planned":
            lines.append(pack_line(pack.status, pack.path, ""))
    if quiet:
        return "\n".join(lines)
    counts = {status: sum(1 for pack in report.packs if pack.status == status) for status in _EXEC_ORDER}
    told = ", ".join(f"{count} {status}" for status, count in counts.items() if count) or "nothing to do"
    lead = "Plan" if report.dry_run else "Exec"
    return "\n".join([*lines, *note_lines(report.notes), f"{lead}: {told}; {report.elapsed_s:.2f} s."])


_EXEC_ORDER = ("ran", "planned", "failed", "not-reached")


def switch(report: SwitchReport, *, brief: bool = False) -> str:
    """What switch says; packs that do not have the branch are counted, and named where they are few."""
    lacking = [pack.path for pack in report.packs if pack.status == "no-branch"]
    lines = _lines(report, brief=brief)
    if lacking:
        shown = ", ".join(lacking[:3]) + (f" and {len(lacking) - 3} more" if len(lacking) > 3 else "")  # noqa: PLR2004 - as many as fit
        has = "has" if len(lacking) == 1 else "have"
        lines.append(f"note: {shown} {has} no branch {report.branch} and stayed.")
    return "\n".join([*lines, _summary(report, "Switch", ("switched", "created", "unchanged", "planned", "no-branch"))])


def fetch(report: OverReport, *, brief: bool = False) -> str:
    """What fetch says: what is new, on which branch."""
    return "\n".join([*_lines(report, brief=brief), _summary(report, "Fetch", ("fetched", "unchanged"))])


def push(report: OverReport, *, brief: bool = False) -> str:
    """What push says: what was sent, or in a dry run every commit that would be."""
    return "\n".join([*_lines(report, brief=brief), _summary(report, "Push", ("pushed", "planned", "unchanged"))])


def path(report: PathReport) -> str:
    """What path says: the path and nothing else."""
    return str(report.path)


def _lines(report: OverReport, *, brief: bool) -> list[str]:
    lines: list[str] = []
    for pack in report.packs:
        if pack.status in ("unchanged", "no-branch") or (brief and not is_for_the_report(pack.status)):
            pass
        else:
            lines.extend(_pack_lines(pack))
        lines.extend(f"{'note':<12} {pack.path}: {note}." for note in pack.notes)
    return [*lines, *note_lines(report.notes)]


def _pack_lines(pack: OverOutcome) -> list[str]:
    lines = [pack_line(pack.status, pack.path, pack.text)]
    if pack.status == "planned":
        lines.extend(f"{'':<12} {one.sha[:_SHORT]} {one.subject}" for one in pack.commits[:_SHOWN_COMMITS])
        if len(pack.commits) > _SHOWN_COMMITS:
            lines.append(f"{'':<12} and {len(pack.commits) - _SHOWN_COMMITS} more")
    if pack.hint and pack.status in ("left", "failed"):
        lines.append(f"{'':<12} hint: {pack.hint}")
    return lines


def _summary(report: OverReport, lead: str, order: tuple[str, ...]) -> str:
    counts = {status: sum(1 for pack in report.packs if pack.status == status) for status in (*order, "left", "failed")}
    told = ", ".join(f"{count} {status}" for status, count in counts.items() if count) or "nothing to do"
    return (
        f"{'Plan' if report.dry_run else lead}: {counted(len(report.packs), 'pack')}: {told}; {report.elapsed_s:.2f} s."
    )
