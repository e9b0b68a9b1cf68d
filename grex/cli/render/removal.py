"""What takes packs away, as text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from grex.cli.lines import fitted, is_for_the_report, pack_line
from grex.cli.render.layout import counted, note_lines
from grex.verbs.report import explained

if TYPE_CHECKING:
    from collections.abc import Sequence

    from grex.engine.removal import RemovalOutcome
    from grex.verbs.rm import RmReport

__all__ = ["removed_lines", "rm", "swept_lines"]

_MANY = 10  # more names than this nobody copies


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
    lines.extend(swept_lines(report.swept))
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
    # The outer ones have to come back first.
    trash = [
        pack.trash for pack in sorted(packs, key=lambda pack: pack.path) if pack.trash is not None and not pack.hint
    ]
    is_one_command = 1 < len(trash) <= _MANY
    for pack in packs:
        text = pack.text
        if pack.status == "removed":
            text = f"in the trash, whole: {pack.trash}"
        lines.append(pack_line(pack.status, pack.path, text))
        if pack.hint:
            lines.append(f"{'':<12} hint: {pack.hint}")
        elif pack.trash is not None and not is_one_command:
            from grex.engine.removal import restore_hint  # noqa: PLC0415 - status and ls are rendered beside this

            lines.append(f"{'':<12} `{restore_hint(pack.trash)}` brings it back")
    if is_one_command:
        from grex.engine.removal import restore_hint  # noqa: PLC0415 - status and ls are rendered beside this

        lines.append(f"{'':<12} `{restore_hint(*trash)}` brings them back")
    return lines


def swept_lines(swept: Sequence[str]) -> list[str]:
    """How much left the trash for good."""
    return [f"{counted(len(swept), 'old entry', 'old entries')} left the trash for good."] if swept else []
