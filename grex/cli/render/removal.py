"""What takes packs away and brings them back, as text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from grex.cli.lines import fitted, is_for_the_report, pack_line
from grex.cli.render.layout import aligned, counted, note_lines
from grex.names import clean
from grex.verbs.report import explained

if TYPE_CHECKING:
    from collections.abc import Sequence

    from grex.engine.removal import RemovalOutcome
    from grex.verbs.doctor import DoctorReport, Restoration
    from grex.verbs.rm import RmReport

__all__ = ["doctor", "removed_lines", "rm"]

_SHORT = 10


def rm(report: RmReport, *, brief: bool = False, width: int | None = None) -> str:
    """What rm says: what went where, what stays and why.

    Args:
        report: the report.
        brief: leave out what went well of the teardown: it was told in the same place as it happened.
        width: of the terminal; None where it goes elsewhere.
    """
    lines = [f"recovered: {text}." for text in report.recovered]
    for step in report.torn_down:
        if step.error is not None or not brief or is_for_the_report(step.status):
            lines.append(pack_line(step.status, step.path, step.line()))
            lines.extend(f"{'':<12} {text}" for text in explained(step.error))
    lines.extend(removed_lines(report.packs))
    lines.extend(f"{'undeclared':<12} {path}: its entry in the root's pack.yaml is gone." for path in report.undeclared)
    lines.extend(note_lines(report.notes))
    lines.extend(_swept_lines(report.swept))
    kept = sum(1 for pack in report.packs if pack.status == "kept")
    gone = sum(1 for pack in report.packs if pack.is_gone or pack.status == "forgotten")
    if report.dry_run and not kept:
        lines.append(f"Plan: {counted(len(report.packs), 'pack')} to remove.")
    elif kept:
        lines.append(f"Removed: {counted(gone, 'pack')}, {kept} kept; {report.elapsed_s:.2f} s.")
    else:
        lines.append(f"Removed: {counted(gone, 'pack')}; {report.elapsed_s:.2f} s.")
    return "\n".join(fitted(lines, width))


def removed_lines(packs: Sequence[RemovalOutcome]) -> list[str]:
    """A line for each pack that went or was to go, and below it what to do about it."""
    lines: list[str] = []
    for pack in packs:
        text = pack.text
        if pack.status == "removed":
            text = f"in the trash, whole: {pack.trash}"
        lines.append(pack_line(pack.status, pack.path, text))
        if pack.hint:
            lines.append(f"{'':<12} hint: {pack.hint}")
        elif pack.trash is not None:
            from grex.engine.removal import restore_hint  # noqa: PLC0415 - status and ls are rendered beside this

            lines.append(f"{'':<12} `{restore_hint(pack.trash)}` brings it back")
    return lines


def _swept_lines(swept: Sequence[str]) -> list[str]:
    return [f"{counted(len(swept), 'old entry', 'old entries')} left the trash for good."] if swept else []


def doctor(report: DoctorReport, *, width: int | None = None) -> str:
    """What doctor says: findings, what the trash holds, or what came back."""
    lines = [f"recovered: {text}." for text in report.recovered]
    for finding in report.findings:
        lines.append(f"{finding.code:<12} {finding.text}.")
        lines.append(f"{'':<12} hint: {finding.hint}")
    if report.trash is not None:
        lines.extend(_trash_lines(report))
    for one in report.restored:
        lines.extend(_restored_lines(one))
    if report.swept is not None:
        lines.extend(_swept_lines(report.swept) or ["Nothing in the trash is old enough to go."])
    if report.checks and not report.findings:
        lines.append("Nothing is out of order.")
    # A table stays as it is: broken rows are none.
    return "\n".join(lines if report.trash else fitted(lines, width))


def _trash_lines(report: DoctorReport) -> list[str]:
    if not report.trash:
        return ["The trash is empty."]
    rows: list[tuple[str, ...]] = []
    for one in report.trash:
        record = one.trashed.record
        what = record.branch or (record.head or "")[:_SHORT] or record.kind
        rows.append((record.stamp, clean(record.path), what, _size(one.size_bytes), clean(record.why)))
    return [*aligned(rows), "`grex doctor --restore TRASH` brings one back; TRASH is what stands first."]


def _size(size_bytes: int) -> str:
    size, units = float(size_bytes), ["B", "KiB", "MiB", "GiB"]
    while size >= 1024 and len(units) > 1:  # noqa: PLR2004 - by definition
        size /= 1024
        units.pop(0)
    return f"{size:.0f} {units[0]}" if units[0] == "B" else f"{size:.1f} {units[0]}"


def _restored_lines(one: Restoration) -> list[str]:
    if one.restored is None:
        lines = [pack_line("failed", one.path, one.error.message if one.error is not None else "")]
        return [*lines, *(f"{'':<12} {text}" for text in explained(one.error))]
    again = " and is declared again" if one.restored.is_declared_again else ""
    lines = [pack_line("restored", one.path, f"is where it was{again}")]
    return [*lines, *(f"{'note':<12} {note}." for note in one.restored.notes)]
