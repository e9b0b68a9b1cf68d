"""What doctor found, mended and brought back, as text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from grex.cli.lines import fitted, pack_line
from grex.cli.render.layout import aligned, counted, note_lines
from grex.cli.render.removal import swept_lines
from grex.names import clean
from grex.verbs.report import explained

if TYPE_CHECKING:
    from grex.engine.checks import Finding
    from grex.verbs.checkup import CheckUp, Mended
    from grex.verbs.doctor import DoctorReport, Restoration

__all__ = ["doctor"]

_SHORT = 10
_INDENT = f"{'':<12} "


def doctor(report: DoctorReport, *, width: int | None = None) -> str:
    """What doctor says: findings and what was mended, what the trash holds, or what came back."""
    lines = [f"recovered: {text}." for text in report.recovered]
    if report.check_up is not None:
        lines += _check_up_lines(report.check_up, dry_run=report.dry_run)
    if report.trash is not None:
        lines.extend(_trash_lines(report))
    for one in report.restored:
        lines.extend(_restored_lines(one))
    if report.swept is not None:
        lines.extend(swept_lines(report.swept) or ["Nothing in the trash is old enough to go."])
    lines += note_lines(report.notes)
    # A table stays as it is: broken rows are none.
    return "\n".join(lines if report.trash else fitted(lines, width))


def _check_up_lines(found: CheckUp, *, dry_run: bool) -> list[str]:
    lines: list[str] = []
    if not dry_run:
        for one in found.mended:
            lines += _mended_lines(one)
    for finding in found.findings:
        lines += _finding_lines(finding, tried=bool(found.mended) and not dry_run)
    if found.compaction is not None:
        lines += _compaction_lines(found, dry_run=dry_run)
    return [*lines, _summary(found, dry_run=dry_run)]


def _finding_lines(finding: Finding, *, tried: bool) -> list[str]:
    lines = [f"{finding.severity:<12} {_placed(finding)}."]
    lines.append(f"{_INDENT}why: {finding.why}.")
    if finding.fix is not None and not tried:
        lines.append(f"{_INDENT}fix: `grex doctor --fix` {finding.fix}.")
    if finding.hint is not None:
        lines.append(f"{_INDENT}hint: {finding.hint}")
    return lines


def _placed(finding: Finding) -> str:
    """What it is and where; a text that names its place already is enough."""
    return finding.text if clean(finding.subject) in finding.text else f"{clean(finding.subject)}: {finding.text}"


def _mended_lines(one: Mended) -> list[str]:
    if one.error is None:
        return [f"{'mended':<12} {_placed(one.finding)}: {one.text}."]
    lines = [f"{'not mended':<12} {_placed(one.finding)}: {one.error.message.rstrip('.')}."]
    return [*lines, *(f"{_INDENT}{text}" for text in explained(one.error))]


def _compaction_lines(found: CheckUp, *, dry_run: bool) -> list[str]:
    done = found.compaction
    if done is None or done.report is None:
        error = None if done is None else done.error
        message = "" if error is None else error.message.rstrip(".")
        return [
            f"{'not done':<12} The log was not rewritten: {message}.",
            *(f"{_INDENT}{one}" for one in explained(error)),
        ]
    sizes = done.report
    if sizes.events_before == sizes.events_after:
        return [f"The log stays as it is: all of its {counted(sizes.events_before, 'line')} are needed."]
    verb = "would go" if dry_run else "went"
    before = f"{counted(sizes.events_before, 'line')} ({_size(sizes.size_bytes_before)})"
    after = f"{counted(sizes.events_after, 'line')} ({_size(sizes.size_bytes_after)})"
    return [f"The log {verb} from {before} to {after}."]


def _summary(found: CheckUp, *, dry_run: bool) -> str:
    if not found.findings:
        return "Nothing is out of order."
    counts = [
        counted(number, severity)
        for severity in ("error", "warning", "note")
        if (number := sum(one.severity == severity for one in found.findings))
    ]
    left = " left" if found.mended and not dry_run else ""
    text = f"Found: {', '.join(counts)}{left}"
    fixable = sum(one.fix is not None for one in found.findings)
    if fixable and not left:
        text += f"; --fix {'would mend' if dry_run else 'mends'} {fixable} of them"
    return f"{text}."


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
