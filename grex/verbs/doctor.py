"""`grex doctor`: says what is not in order and mends what is safe; empties the trash, and brings things back from it.

Recipe: list the trash; or hold WORKSPACE, finish what a kill left, restore and sweep; or look at everything
(`grex.verbs.checkup`), which is what it does without an option.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from grex.engine import Session, Settings
from grex.engine.checks import Finding
from grex.engine.exclusive import exclusive
from grex.engine.restoring import Restored, chosen, finish_restores, restore
from grex.engine.trash import Trash, Trashed, size_bytes
from grex.errors import GrexError, PackError, UsageError
from grex.verbs.checkup import CheckUp, check_up, finding_json
from grex.verbs.report import exit_code_of, failure_json

if TYPE_CHECKING:
    from grex.verbs.documents import CompactionObject, DoctorDocument, TrashedObject

__all__ = ["DoctorReport", "DoctorRequest", "InTrash", "Restoration", "doctor"]


class DoctorRequest(Struct, frozen=True, kw_only=True):
    """What to do.

    Attributes:
        root: the workspace.
        packs: PACK arguments: paths or unique names, with their descendants; empty for the whole workspace.
        fix: mend what is safe to mend.
        compact: rewrite the log with the lines that are still needed.
        dry_run: of these two, only say what would be done.
        objects: look for every object of every repository as well.
        restore: what to bring back from the trash: `<utc>` or `<utc>/<path>` each.
        trash: list what the trash holds.
        keep_days: remove from the trash for good what lies there for longer than so many days; None: nothing.
    """

    root: Path
    packs: tuple[str, ...] = ()
    fix: bool = False
    compact: bool = False
    dry_run: bool = False
    objects: bool = False
    restore: tuple[str, ...] = ()
    trash: bool = False
    keep_days: int | None = None


class InTrash(Struct, frozen=True):
    """One thing in the trash, and how many bytes its files hold."""

    trashed: Trashed
    size_bytes: int

    def to_json(self) -> TrashedObject:
        """Its entry in the document."""
        record = self.trashed.record
        return {
            "trash": record.stamp,
            "path": record.path,
            "kind": record.kind,
            "url": record.url,
            "ref": record.ref,
            "branch": record.branch,
            "head": record.head,
            "why": record.why,
            "verb": record.verb,
            "moved_at": record.moved_at,
            "size_bytes": self.size_bytes,
        }


class Restoration(Struct, frozen=True, kw_only=True):
    """What became of one thing that was to come back; `restored` is None where it could not."""

    trash: str
    path: str
    restored: Restored | None = None
    error: GrexError | None = None


class DoctorReport(Struct, frozen=True, kw_only=True):
    """What was found and mended, brought back, and removed for good; `check_up` is None where nothing was looked at."""

    root: Path
    check_up: CheckUp | None = None
    dry_run: bool = False
    notes: tuple[str, ...] = ()
    trash: tuple[InTrash, ...] | None = None
    restored: tuple[Restoration, ...] = ()
    swept: tuple[str, ...] | None = None
    recovered: tuple[str, ...] = ()

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What is not in order."""
        return () if self.check_up is None else self.check_up.findings

    @property
    def exit_code(self) -> int:
        """0, or what the failures and the errors among the findings come to."""
        failed = exit_code_of(one.error for one in self.restored)
        return failed if self.check_up is None else failed or self.check_up.exit_code

    def to_json(self) -> DoctorDocument:
        """The document of `--json`."""
        return {
            "schema": "grex.doctor/1",
            "workspace": str(self.root),
            "exit_code": self.exit_code,
            "dry_run": self.dry_run,
            "findings": [finding_json(one) for one in self.findings],
            "mended": [] if self.check_up is None else [one.to_json() for one in self.check_up.mended],
            "compaction": self._compaction_json(),
            "trash": None if self.trash is None else [one.to_json() for one in self.trash],
            "restored": [
                {
                    "trash": one.trash,
                    "path": one.path,
                    "is_restored": one.restored is not None,
                    "is_declared_again": one.restored is not None and one.restored.is_declared_again,
                    "notes": [] if one.restored is None else list(one.restored.notes),
                    "error": failure_json(one.error),
                }
                for one in self.restored
            ],
            "swept": list(self.swept or ()),
            "recovered": list(self.recovered),
            "notes": list(self.notes),
        }

    def _compaction_json(self) -> CompactionObject | None:
        done = None if self.check_up is None else self.check_up.compaction
        if done is None:
            return None
        sizes = done.report
        return {
            "lines_before": None if sizes is None else sizes.events_before,
            "lines_after": None if sizes is None else sizes.events_after,
            "size_bytes_before": None if sizes is None else sizes.size_bytes_before,
            "size_bytes_after": None if sizes is None else sizes.size_bytes_after,
            "error": failure_json(done.error),
        }


async def doctor(request: DoctorRequest, settings: Settings) -> DoctorReport:
    """Look after a workspace.

    Tiers: MANIFEST, shared, to look; all, in order, to mend, to restore or to sweep. Cancellation: what is being moved,
    mended or removed is; nothing further is begun, and the same command again goes on from there.

    Raises:
        UsageError: what is to be restored is not in the trash, a PACK means none, or options exclude each other.
        ManifestError: where something is to be restored: the root's pack.yaml or the log cannot be used.
        LockError: the workspace could not be had.
    """
    _check_options(request)
    session = Session.open(request.root, settings)
    if request.trash:
        found = Trash(session.layout).listed()[0]
        listed = tuple(InTrash(one, size_bytes(one.content)) for one in found if one.is_there)
        return DoctorReport(root=session.layout.root, trash=listed, notes=_notes(session))
    if request.restore or request.keep_days is not None:
        return await _restore(session, request)
    done = await check_up(
        session,
        request.packs,
        fix=request.fix,
        compact_log=request.compact,
        dry_run=request.dry_run,
        objects=request.objects,
    )
    return DoctorReport(
        root=session.layout.root, check_up=done, dry_run=request.dry_run, notes=tuple(dict.fromkeys(session.notes))
    )


def _check_options(request: DoctorRequest) -> None:
    of_the_trash = bool(request.restore) or request.keep_days is not None
    looks = bool(request.packs) or request.fix or request.compact or request.dry_run or request.objects
    if request.trash and (of_the_trash or looks):
        raise UsageError("--trash only lists, and goes with no other option", hint="Leave it or the others out.")
    if of_the_trash and looks:
        raise UsageError(
            "--restore and --keep-days are about the trash, and go with no PACK and no other option",
            hint="Call `grex doctor` twice.",
        )
    if request.dry_run and not (request.fix or request.compact):
        raise UsageError(
            "--dry-run needs --fix or --compact: without them nothing is written anyway",
            hint="`grex doctor --fix --dry-run` says what would be mended.",
        )


async def _restore(session: Session, request: DoctorRequest) -> DoctorReport:
    async with exclusive(session):
        recovered = [*session.recovered, *await finish_restores(session)]
        trash = Trash(session.layout)
        restored = [await _restored(session, one) for one in chosen(trash, request.restore)]
        swept: list[str] | None = None
        if request.keep_days is not None and not any(one.error for one in restored):
            swept = await trash.sweep(request.keep_days)
        await session.compact_log()
        return DoctorReport(
            root=session.layout.root,
            restored=tuple(restored),
            swept=None if swept is None else tuple(swept),
            recovered=tuple(recovered),
            notes=_notes(session),
        )


def _notes(session: Session) -> tuple[str, ...]:
    """Which files of settings count for nothing, where no finding tells it."""
    return tuple(f"the defaults are in force: {error.message.rstrip('.')}" for error in session.settings.refused)


async def _restored(session: Session, trashed: Trashed) -> Restoration:
    record = trashed.record
    try:
        return Restoration(trash=record.stamp, path=record.path, restored=await restore(session, trashed))
    except GrexError as error:
        return Restoration(trash=record.stamp, path=record.path, error=error)
    except OSError as error:
        failure = PackError(
            f"{record.path} was not restored to its end: {error.strerror or error} ({error.filename or record.path})",
            hint="Check the permissions and the disk there, then run the same command again.",
        )
        return Restoration(trash=record.stamp, path=record.path, error=failure)
