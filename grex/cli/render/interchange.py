"""What import, export and freeze say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from grex.cli.render.layout import aligned, counted, note_lines
from grex.cli.render.packs import sync
from grex.names import clean

if TYPE_CHECKING:
    from grex.engine.declaring import ChangedPack
    from grex.verbs.export import ExportReport
    from grex.verbs.freeze import FreezeReport
    from grex.verbs.import_packs import ImportReport

__all__ = ["export", "freeze", "import_packs"]

_FEW = 20


def import_packs(report: ImportReport, *, brief: bool = False) -> str:
    """What import says: what was declared, what was not, and what the sync made of it; `brief` as for `sync`."""
    plan = report.plan
    lines = aligned([("add", pack.path, pack.ref or "HEAD", pack.url) for pack in plan.added])
    lines += aligned([("change", changed.path, _changes(changed)) for changed in plan.changed])
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


def _changes(changed: ChangedPack) -> str:
    """Which keys of an entry change, and from what to what; of a URL, which may hold a password, only from what."""
    told: list[str] = []
    for key in sorted(changed.changes):
        if key not in changed.before:
            told.append(key)
            continue
        before = clean(changed.before[key] or "none")
        told.append(
            f"ref {before} -> {clean(str(changed.changes[key] or 'none'))}" if key == "ref" else f"url was {before}"
        )
    return ", ".join(told)


def export(report: ExportReport) -> str:
    """What export prints: the manifest, or nothing where it was written to a file."""
    return report.text.rstrip("\n") if report.output is None else ""


def freeze(report: FreezeReport) -> str:
    """What freeze prints: the pack.yaml, or nothing where it was written to a file."""
    return report.text.rstrip("\n") if report.output is None else ""
