"""What import, export and freeze say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from grex.cli.render.layout import aligned, counted, note_lines
from grex.cli.render.packs import sync

if TYPE_CHECKING:
    from grex.verbs.export import ExportReport
    from grex.verbs.freeze import FreezeReport
    from grex.verbs.import_packs import ImportReport

__all__ = ["export", "freeze", "import_packs"]

_FEW = 20


def import_packs(report: ImportReport, *, brief: bool = False) -> str:
    """What import says: what was declared, what was not, and what the sync made of it; `brief` as for `sync`."""
    plan = report.plan
    rows = [("add", pack.path, pack.ref or "HEAD", pack.url) for pack in plan.added]
    rows += [
        ("change", changed.path, ", ".join(sorted(changed.changes)), _before(changed.before))
        for changed in plan.changed
    ]
    lines = aligned(rows)
    lines += [f"skipped  {path}: {reason}." for path, reason in report.skipped]
    lines += note_lines(report.notes)
    if report.groups_off:
        lines.append(f"note: groups that are off: {', '.join(report.groups_off)}.")
    if plan.new_type is not None:
        lines.append(f"note: the root is of type {plan.new_type} now, so that it can make files between the packs.")
    if plan.absent and (plan.unchanged or plan.changed):
        more = ", ..." if len(plan.absent) > _FEW else ""
        lines.append(f"note: declared here, and not in {report.source}: {', '.join(plan.absent[:_FEW])}{more}.")
    told = [f"{len(plan.added)} added", f"{len(plan.changed)} changed", f"{len(plan.unchanged)} as declared already"]
    if plan.new_links:
        told.append(f"{counted(len(plan.new_links), 'file')} copied or linked by the root")
    lead = "Plan" if report.dry_run else "Imported"
    lines.append(f"{lead} from {report.source} ({report.format_name}): {', '.join(told)}.")
    if report.blocked is not None:
        lines.append(f"{report.blocked.message}.")
        lines.append(f"  hint: {report.blocked.hint}")
    if report.sync is not None:
        lines.append(sync(report.sync, brief=brief))
    return "\n".join(lines)


def _before(before: object) -> str:
    return (
        f"was {', '.join(f'{key} {value}' for key, value in before.items())}"
        if isinstance(before, dict) and before
        else ""
    )


def export(report: ExportReport) -> str:
    """What export prints: the manifest, or nothing where it was written to a file."""
    return report.text.rstrip("\n") if report.output is None else ""


def freeze(report: FreezeReport) -> str:
    """What freeze prints: the pack.yaml, or nothing where it was written to a file."""
    return report.text.rstrip("\n") if report.output is None else ""
