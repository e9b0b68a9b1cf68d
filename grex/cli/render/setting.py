"""What edits declarations, and what begins from somebody else's workspace, as text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from grex.cli.lines import fitted, pack_line
from grex.cli.render.layout import aligned, note_lines
from grex.cli.render.packs import sync as render_sync
from grex.cli.render.removal import removed_lines
from grex.names import clean
from grex.verbs.report import explained

if TYPE_CHECKING:
    from collections.abc import Iterable

    from grex.engine.teardown import TeardownOutcome
    from grex.verbs.clone import CloneReport
    from grex.verbs.config import ConfigReport
    from grex.verbs.override import OverrideReport
    from grex.verbs.set_pack import Changed, SetReport

__all__ = ["clone", "config", "override", "set_pack"]


def clone(report: CloneReport, *, brief: bool = False, width: int | None = None) -> str:
    """What clone says: where the workspace is, then the sync; the arguments are as for `set_pack`."""
    said = "was there already, from a clone that was interrupted" if report.adopted else f"cloned from {report.url}"
    lines = [*fitted([f"Workspace {said}."], width), *fitted(note_lines(report.notes), width)]
    lines.append(render_sync(report.sync, brief=brief, width=width))
    lines.append(f"It is in {report.root}")
    return "\n".join(lines)


def config(report: ConfigReport, *, show_origin: bool = False) -> str:
    """What config says: a setting a line, and where it is set if that was asked for."""
    rows: list[tuple[str, ...]] = []
    for one in report.settings:
        row = (clean(one.key), _setting(one.value))
        rows.append((*row, clean(one.origin)) if show_origin else row)
    return "\n".join(aligned(rows))


def _setting(value: object) -> str:
    match value:
        case None:
            return "none"
        case bool():
            return "yes" if value else "no"
        case list():
            return clean(", ".join(map(str, value))) or "none"
        case _:
            return clean(str(value))


def set_pack(report: SetReport, *, brief: bool = False, width: int | None = None) -> str:
    """What set says: what is declared differently, what became of the checkout, then the sync.

    Args:
        report: the report.
        brief: leave out of the sync what was told in the same place as it happened.
        width: of the terminal; None where it goes elsewhere.
    """
    lines = [f"recovered: {text}." for text in report.recovered]
    lines += _torn_down(report.torn_down.values())
    lines += removed_lines([one for _, one in sorted(report.readdressed.removed.items())])
    lines += _changes(report.path, report.changes, dry_run=report.dry_run)
    if report.readdressed.address == "same":
        lines.append(pack_line("same", report.path, "it is the same repository by another address; nothing was lost"))
    if report.moved_from is not None:
        text = f"{'would move' if report.dry_run else 'moved'} from {report.moved_from}, as it was"
        lines.append(pack_line("moved", report.path, text))
    lines += note_lines(report.notes)
    return _with_sync(lines, report, brief=brief, width=width)


def override(report: OverrideReport, *, brief: bool = False, width: int | None = None) -> str:
    """What override says: the list, or what changed and the sync; the arguments are as for `set_pack`."""
    if report.path is None:
        return "\n".join([*_listed(report), *fitted(note_lines(report.notes), width)])
    lines = [f"recovered: {text}." for text in report.recovered]
    lines += _torn_down(report.torn_down.values())
    lines += removed_lines([one for _, one in sorted(report.readdressed.removed.items())])
    lines += _changes(report.path, report.changes, dry_run=report.dry_run)
    if report.changes:
        if all(one.new is None for one in report.changes):
            where = "would be taken out of" if report.dry_run else "was taken out of"
        else:
            where = "goes in" if report.dry_run else "is in"
        lines.append(pack_line("override", report.path, f"{where} {report.file}"))
    lines += note_lines(report.notes)
    return _with_sync(lines, report, brief=brief, width=width)


def _with_sync(lines: list[str], report: SetReport | OverrideReport, *, brief: bool, width: int | None) -> str:
    text = "\n".join(fitted(lines, width))
    if report.sync is None:
        return text
    said = render_sync(report.sync, brief=brief, width=width)
    return f"{text}\n{said}" if text else said


def _changes(path: str, changes: Iterable[Changed], *, dry_run: bool) -> list[str]:
    lines = [
        pack_line("would set" if dry_run else "set", path, f"{one.key}: {_shown(one.old)} -> {_shown(one.new)}")
        for one in changes
    ]
    return lines or [pack_line("unchanged", path, "it is declared so already")]


def _shown(value: str | None) -> str:
    return "(none)" if value is None else clean(value)


def _torn_down(outcomes: Iterable[TeardownOutcome]) -> list[str]:
    lines: list[str] = []
    for step in sorted(outcomes, key=lambda one: one.path):
        lines.append(pack_line(step.status, step.path, step.line()))
        lines.extend(f"{'':<12} {text}" for text in explained(step.error))
    return lines


def _listed(report: OverrideReport) -> list[str]:
    if not report.overrides:
        return ["There are no overrides."]
    rows: list[tuple[str, ...]] = []
    for one in report.overrides:
        said = [text for text in (one.spec.ref, one.spec.url) if text is not None]
        state = "in force" if one.is_in_force and one.touches else "touches no pack"
        if not one.is_in_force:
            state = "under another one"
        rows.append((one.spec.path, clean(" ".join(said)), state, str(one.spec.mark)))
    return aligned(rows)
