"""`grex doctor`: looks for what is not in order, empties the trash of what is old, and brings things back from it.

Recipe: hold WORKSPACE if anything is to be changed, finish what a kill left, then what was asked for: list the trash,
restore, sweep, or run every check. A check is a function from the open session to findings; `CHECKS` has them in the
order in which they are told, and to add one is to put it there. Checks look and change nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from grex.engine import Session, Settings
from grex.engine.restoring import Restored, chosen, finish_restores, restore
from grex.engine.trash import Trash, Trashed, size_bytes
from grex.errors import GrexError, PackError, UsageError
from grex.verbs.report import exit_code_of, failure_json

if TYPE_CHECKING:
    from grex.verbs.documents import DoctorDocument, TrashedObject

__all__ = ["CHECKS", "DoctorReport", "DoctorRequest", "Finding", "InTrash", "Restoration", "doctor"]


class DoctorRequest(Struct, frozen=True, kw_only=True):
    """What to do.

    Attributes:
        root: the workspace.
        restore: what to bring back from the trash: `<utc>` or `<utc>/<path>` each.
        trash: list what the trash holds.
        keep_days: remove from the trash for good what lies there for longer than so many days; None: nothing.
    """

    root: Path
    restore: tuple[str, ...] = ()
    trash: bool = False
    keep_days: int | None = None


class Finding(Struct, frozen=True, kw_only=True):
    """Something that is not in order.

    Attributes:
        code: what it is, stable for programs.
        subject: the file or pack that it is about.
        text: one sentence about it.
        hint: what to do.
    """

    code: str
    subject: str
    text: str
    hint: str


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
    """What was found, brought back, and removed for good."""

    root: Path
    findings: tuple[Finding, ...] = ()
    trash: tuple[InTrash, ...] | None = None
    restored: tuple[Restoration, ...] = ()
    swept: tuple[str, ...] | None = None
    recovered: tuple[str, ...] = ()
    checks: int = 0

    @property
    def exit_code(self) -> int:
        """0, or what the failures come to; findings alone do not fail."""
        return exit_code_of(one.error for one in self.restored)

    def to_json(self) -> DoctorDocument:
        """The document of `--json`."""
        return {
            "schema": "grex.doctor/1",
            "workspace": str(self.root),
            "exit_code": self.exit_code,
            "findings": [
                {"code": one.code, "subject": one.subject, "text": one.text, "hint": one.hint} for one in self.findings
            ],
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
        }


def _check_trash(session: Session) -> Sequence[Finding]:
    """Records that nobody can read: what lies beside them can only be brought back by hand."""
    return [
        Finding(
            code="trash-record",
            subject=f".grex/trash/{bad.path.name}",
            text=f"{bad.path.name} in .grex/trash {bad.reason}, so nobody knows where {bad.path.stem} belongs",
            hint=f"Move what you need out of .grex/trash/{bad.path.stem} by hand.",
        )
        for bad in Trash(session.layout).listed()[1]
    ]


CHECKS: tuple[Callable[[Session], Sequence[Finding]], ...] = (_check_trash,)
"""The checks, in the order in which their findings are told."""


async def doctor(request: DoctorRequest, settings: Settings) -> DoctorReport:
    """Look after a workspace.

    Tiers: MANIFEST, shared, to look; all, in order, to restore or to sweep. Cancellation: what is being moved or
    removed is; nothing further is begun, and the same command again goes on from there.

    Raises:
        UsageError: what is to be restored is not in the trash, or two options exclude each other.
        ManifestError: the root's pack.yaml or the log cannot be used.
        LockError: the workspace could not be had.
    """
    if request.trash and (request.restore or request.keep_days is not None):
        raise UsageError("--trash only lists, and goes with no other option", hint="Leave it or the others out.")
    session = Session.open(request.root, settings)
    if not request.restore and request.keep_days is None:
        return await _look(session, request)
    async with session.exclusive():
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
        )


async def _look(session: Session, request: DoctorRequest) -> DoctorReport:
    root = session.layout.root
    if request.trash:
        found = Trash(session.layout).listed()[0]
        return DoctorReport(
            root=root, trash=tuple(InTrash(one, size_bytes(one.content)) for one in found if one.is_there)
        )
    await session.read_manifest(session.reread)
    findings = [finding for check in CHECKS for finding in check(session)]
    return DoctorReport(root=root, findings=tuple(findings), checks=len(CHECKS))


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
