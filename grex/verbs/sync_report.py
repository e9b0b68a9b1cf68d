"""What a sync did: of each pack, and all together, as values and as the document of `--json`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

from msgspec import Struct, structs

from grex.engine import ROOT, CheckoutOutcome, Graph, InstallOutcome, Node, Walked
from grex.engine.drift import Drift
from grex.engine.outcome import what_happened
from grex.engine.removal import RemovalOutcome
from grex.errors import GrexError, PackError
from grex.manifest.relocked import Relocked
from grex.names import shown_argument
from grex.verbs.report import exit_code_of, failure_json, history_json, removed_json

if TYPE_CHECKING:
    from grex.engine.pulling import Pulled
    from grex.git.history import History
    from grex.verbs.documents import InstallObject, SyncDocument, SyncPackObject

__all__ = ["PackReport", "SyncReport", "pack_reports"]

SyncStatus = Literal["cloned", "moved", "unchanged", "left", "failed", "not-reached", "planned"]


class PackReport(Struct, frozen=True):
    """What became of one pack.

    `status` is the checkout's: `cloned`, `moved`, `unchanged`, `left`, `failed`, `not-reached`, `planned`.
    `install` is None where there was nothing to install.
    """

    path: str
    type: str
    status: SyncStatus
    url: str | None = None
    ref: str | None = None
    branch: str | None = None
    old_sha: str | None = None
    new_sha: str | None = None
    code: str | None = None
    text: str = ""
    hint: str | None = None
    notes: tuple[str, ...] = ()
    error: GrexError | None = None
    install: InstallOutcome | None = None
    history: History | None = None

    def line(self) -> str:
        """What became of the checkout, in one line."""
        where = self.branch or self.ref
        return what_happened(self.status, self.text, where, self.old_sha, self.new_sha, self.history)

    @property
    def failures(self) -> list[GrexError]:
        """Everything about this pack that makes the run fail."""
        found = [] if self.error is None else [self.error]
        if self.install is not None and self.install.error is not None:
            found.append(self.install.error)
        return found

    def to_json(self) -> SyncPackObject:
        """The pack's entry in the document."""
        install: InstallObject | None = None
        if self.install is not None:
            install = {
                "status": self.install.status,
                "changes": list(self.install.changes),
                "notes": list(self.install.notes),
                "error": failure_json(self.install.error),
            }
        return {
            "path": self.path,
            "type": self.type,
            "status": self.status,
            "url": self.url,
            "ref": self.ref,
            "branch": self.branch,
            "old": self.old_sha,
            "new": self.new_sha,
            "commits": history_json(self.history),
            "code": self.code,
            "text": self.text,
            "hint": self.hint,
            "notes": list(self.notes),
            "error": failure_json(self.error),
            "install": install,
        }


class SyncReport(Struct, frozen=True):
    """What a sync did, packs sorted by path; equal for equal work but for the times.

    `elapsed_s` is all of it; of that, `waited_s` went by while a lock was waited for that the processes of `waited_for`
    held. `pulled` is the workspace's own repository, if it was asked for.
    `extra_errors` are of packs, by path, that have no entry of their own for it. `pruned` is what became of each
    pack that nobody declared, where that was asked for; `swept` is what left the trash for good. `relocked` is what is
    different in the lockfile, None where it was not written.
    """

    root: Path
    dry_run: bool
    packs: tuple[PackReport, ...]
    undeclared: tuple[str, ...] = ()
    recovered: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    relocked: Relocked | None = None
    pulled: Pulled | None = None
    elapsed_s: float = 0.0
    waited_s: float = 0.0
    waited_for: tuple[int, ...] = ()
    extra_errors: tuple[tuple[str, GrexError], ...] = ()
    pruned: tuple[RemovalOutcome, ...] = ()
    swept: tuple[str, ...] = ()

    @property
    def lockfile_changed(self) -> bool:
        """Whether the lockfile was written anew."""
        return self.relocked is not None

    @property
    def relocked_only(self) -> Relocked:
        """The lines of the lockfile that changed though their packs were not moved: no pack's entry tells that."""
        found = self.relocked or Relocked()
        told = {pack.path for pack in self.packs if pack.status in ("cloned", "moved")}
        return Relocked(*(tuple(path for path in paths if path not in told) for paths in structs.astuple(found)))

    @property
    def exit_code(self) -> int:
        """0, or what the failures come to."""
        return exit_code_of(
            [
                *(error for _, error in self.extra_errors),
                *(error for pack in self.packs for error in pack.failures),
                *(pack.error for pack in self.pruned),
            ]
        )

    def to_json(self) -> SyncDocument:
        """The document of `--json`."""
        return {
            "schema": "grex.sync/1",
            "workspace": str(self.root),
            "dry_run": self.dry_run,
            "exit_code": self.exit_code,
            "packs": [pack.to_json() for pack in self.packs],
            "undeclared": list(self.undeclared),
            "pruned": [removed_json(pack) for pack in self.pruned],
            "swept": list(self.swept),
            "recovered": list(self.recovered),
            "notes": list(self.notes),
            "errors": [failure_json(error) for _, error in self.extra_errors],
            "lockfile_changed": self.lockfile_changed,
            "lockfile": None
            if self.relocked is None
            else {
                "added": list(self.relocked.added),
                "changed": list(self.relocked.changed),
                "removed": list(self.relocked.removed),
            },
            "pulled": None
            if self.pulled is None
            else {
                "branch": self.pulled.branch,
                "upstream": self.pulled.upstream,
                "old": self.pulled.old,
                "new": self.pulled.new,
            },
            "elapsed_s": round(self.elapsed_s, 3),
            "waited_s": round(self.waited_s, 3),
        }


def pack_reports(
    walked: Walked, installs: dict[str, InstallOutcome], drifts: dict[str, Drift], graph: Graph
) -> list[PackReport]:
    """What became of each pack that was asked for, sorted by path, the workspace itself first."""
    reports: list[PackReport] = []
    if ROOT in installs or ROOT in drifts:
        kind = graph.root_spec.type if graph.root_spec is not None else "meta"
        notes = _drift_notes(ROOT, drifts)
        reports.append(PackReport(ROOT, kind, "unchanged", notes=notes, install=installs.get(ROOT)))
    for path in sorted({*(node.path for node in graph.active()), *walked.not_reached}):
        outcome = walked.outcomes.get(path)
        if outcome is not None and outcome.status == "passed":
            continue
        node = graph.nodes.get(path)
        if outcome is None:
            reason = walked.not_reached.get(path, "")
            reports.append(PackReport(path, "plain" if node is None else node.type, "not-reached", text=reason))
            continue
        reports.append(_pack_report(path, node, outcome, installs.get(path), _drift_notes(path, drifts)))
    return reports


def _drift_notes(path: str, drifts: dict[str, Drift]) -> tuple[str, ...]:
    """What was changed by hand since the pack was installed; a sync leaves it as it is."""
    drift = drifts.get(path, Drift())
    if drift.unknown is not None:
        return (f"whether its install was changed by hand cannot be told: {drift.unknown}",)
    if not drift.tampered:
        return ()
    more = f" (and {len(drift.tampered) - 1} more)" if len(drift.tampered) > 1 else ""
    again = f"grex update --force{'' if path == ROOT else ' ' + shown_argument(path)}"
    return (f"changed by hand since it was installed: {drift.tampered[0]}{more}; `{again}` mends it",)


def _pack_report(
    path: str, node: Node | None, outcome: CheckoutOutcome, install: InstallOutcome | None, notes: tuple[str, ...]
) -> PackReport:
    error = outcome.error
    if error is None and outcome.is_failure:
        error = PackError(f"{path} was left alone: {outcome.text}", hint=outcome.hint, details={"reason": outcome.code})
    return PackReport(
        path=path,
        type=outcome.spec.type if outcome.spec is not None else "plain",
        status=cast("SyncStatus", outcome.status),  # packs that were only passed through have no report
        url=node.url.redacted if node is not None else None,
        ref=node.ref if node is not None else None,
        branch=outcome.branch,
        old_sha=outcome.old_sha,
        new_sha=outcome.new_sha,
        code=outcome.code,
        text=outcome.text,
        hint=outcome.hint,
        notes=(*outcome.notes, *notes),
        error=error,
        install=install,
        history=outcome.history,
    )
