"""What `grex doctor` does without `--restore`: look at everything, mend what is safe, say what is left.

Looking takes MANIFEST, shared, at most, and writes nothing. Mending holds WORKSPACE: check by check, in the order of
`CHECKS`, because later ones rely on what earlier ones mend; each fix takes the locks that the thing is written under.
Then everything is looked at once more, and what is told is what was found *then*.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from msgspec import Struct

from grex.engine import Session
from grex.engine.checks import CHECKS, FIXES, Check, Finding, Ground, of_error, read_ground
from grex.engine.choosing import choose
from grex.errors import GrexError, ManifestError, PackError, UsageError
from grex.manifest import CompactReport, compact, render_line
from grex.names import clean
from grex.verbs.report import exit_code_of, failure_json

if TYPE_CHECKING:
    from grex.verbs.documents import FindingObject, MendedObject

__all__ = ["CheckUp", "Compaction", "Mended", "check_up", "finding_json"]


class Mended(Struct, frozen=True, kw_only=True):
    """What became of one finding that was to be mended: what was done, or why it could not be.

    In a dry run both are None: `finding.fix` says what would be done.
    """

    finding: Finding
    text: str | None = None
    error: GrexError | None = None

    def to_json(self) -> MendedObject:
        """Its entry in the document."""
        return {"finding": finding_json(self.finding), "text": self.text, "error": failure_json(self.error)}


class Compaction(Struct, frozen=True):
    """What rewriting the log came to: lines and bytes before and after; or why it could not be rewritten."""

    report: CompactReport | None = None
    error: GrexError | None = None


class CheckUp(Struct, frozen=True, kw_only=True):
    """What was found, and what was done about it.

    Attributes:
        findings: what is not in order; after the fixes, if there were any.
        mended: what was tried to be mended, in order.
        compaction: what became of the log, where that was asked for.
        checks: how many kinds of things were looked at.
    """

    findings: tuple[Finding, ...] = ()
    mended: tuple[Mended, ...] = ()
    compaction: Compaction | None = None
    checks: int = 0

    @property
    def exit_code(self) -> int:
        """0, or what the errors among the findings and failed fixes come to; warnings and notes do not fail."""
        failures: list[GrexError | None] = [one.error for one in self.mended]
        if self.compaction is not None:
            failures.append(self.compaction.error)
        return exit_code_of(failures, (one.exit_code for one in self.findings if one.severity == "error"))


def finding_json(finding: Finding) -> FindingObject:
    """A finding as it stands in a document."""
    return {
        "code": finding.code,
        "severity": finding.severity,
        "subject": finding.subject,
        "pack": finding.pack,
        "text": finding.text,
        "why": finding.why,
        "fix": finding.fix,
        "hint": finding.hint,
    }


async def check_up(
    session: Session,
    packs: tuple[str, ...],
    *,
    fix: bool = False,
    compact_log: bool = False,
    dry_run: bool = False,
    objects: bool = False,
) -> CheckUp:
    """Look at a workspace, and mend it if that is asked for.

    Tiers: MANIFEST, shared, to look; all, in order, to mend. Cancellation: what is being mended is as a kill would
    leave it, and the same command again goes on from there.

    Raises:
        UsageError: a PACK argument means no pack.
        LockError: the workspace could not be had.
    """
    if dry_run or not (fix or compact_log):
        ground = await read_ground(session, objects=objects)
        wanted = await _wanted(ground, packs)
        findings = await _look(ground, CHECKS.values(), wanted)
        planned = [Mended(finding=one) for one in findings if one.fix is not None] if fix else []
        compaction = await _compact(session, dry_run=True) if compact_log else None
        return _told(findings, planned, compaction)
    async with session.holds.workspace():
        ground = await read_ground(session, objects=objects)
        wanted = await _wanted(ground, packs)
        mended = await _mend(ground, wanted) if fix else []
        compaction = await _compact(session, dry_run=False) if compact_log else None
        if mended or compaction is not None:
            ground = await read_ground(session, objects=objects)
        return _told(await _look(ground, CHECKS.values(), wanted), mended, compaction)


def _told(findings: Iterable[Finding], mended: Iterable[Mended], compaction: Compaction | None) -> CheckUp:
    return CheckUp(findings=tuple(findings), mended=tuple(mended), compaction=compaction, checks=len(CHECKS))


async def _wanted(ground: Ground, packs: tuple[str, ...]) -> set[str] | None:
    """The packs that are asked about, None for everything."""
    if not packs:
        return None
    if ground.found is None:
        known = {*ground.lines, *(ground.folded.packs if ground.folded is not None else ())}
        wrong = sorted(set(packs) - known)
        if wrong:
            raise UsageError(
                f"there is no pack {clean(wrong[0])!r}, as far as lockfile and log tell",
                hint="The root's pack.yaml is refused: `grex doctor` without a PACK says why.",
            )
        return set(packs)
    known = {*ground.lines, *ground.undeclared}
    chosen = await choose(ground.session, ground.found, packs, (), known=known, keeps_inactive=True)
    return None if chosen.is_all else chosen.paths


async def _look(ground: Ground, checks: Iterable[Check], wanted: set[str] | None) -> list[Finding]:
    """What the checks find; one that cannot look is a finding itself."""
    findings: list[Finding] = []
    for check in checks:
        try:
            findings += await check(ground)
        except BaseExceptionGroup as group:
            findings += _unchecked(_first(group))
        except (GrexError, OSError) as error:
            findings += _unchecked(error)
    return [one for one in findings if wanted is None or one.pack is None or one.pack in wanted]


def _first(group: BaseExceptionGroup[BaseException]) -> GrexError | OSError:
    """The failure that a group of tasks ended with; anything that is no failure of the workspace goes on."""
    _, others = group.split((GrexError, OSError))
    if others is not None:
        raise others
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if not isinstance(error, GrexError | OSError):  # split has seen to it
        raise error
    return error


def _unchecked(error: GrexError | OSError) -> list[Finding]:
    why = "What else may be wrong there is not known"
    if isinstance(error, GrexError):
        return of_error(error, code="unchecked", subject=".", why=why)
    subject = str(error.filename or ".")
    failure = PackError(
        f"{subject} cannot be looked at: {error.strerror or error}", hint="Check the permissions and the disk there."
    )
    return of_error(failure, code="unchecked", subject=subject, why=why)


async def _mend(ground: Ground, wanted: set[str] | None) -> list[Mended]:
    session = ground.session
    mended: list[Mended] = []
    for check in CHECKS.values():
        for finding in await _look(ground, [check], wanted):
            if finding.fix is None:
                continue
            mended.append(await _mend_one(ground, finding))
            ground = await read_ground(session, objects=ground.objects)
    return mended


async def _mend_one(ground: Ground, finding: Finding) -> Mended:
    if not ground.log.is_whole:
        error: GrexError = ManifestError(
            f"{finding.subject} was not mended, because not all of the log can be read",
            hint="Mend the log first: what is grex's and what is the user's, only the log knows.",
        )
        return Mended(finding=finding, error=error)
    try:
        return Mended(finding=finding, text=await FIXES[finding.code](ground, finding))
    except GrexError as failure:
        return Mended(finding=finding, error=failure)
    except OSError as failure:
        error = PackError(
            f"{finding.subject} could not be mended: {failure.strerror or failure} ({failure.filename or '.'})",
            hint="Check the permissions and the disk there, then run the same command again.",
        )
        return Mended(finding=finding, error=error)


async def _compact(session: Session, *, dry_run: bool) -> Compaction:
    try:
        if not dry_run:
            async with session.holds.manifest_exclusive("log") as hold:
                return Compaction(session.log.compact(hold=hold))
        contents = session.log.read()
    except GrexError as error:
        return Compaction(error=error)
    kept = compact(contents.events)
    if len(kept) >= len(contents.events):
        return Compaction(
            CompactReport(len(contents.events), len(contents.events), contents.size_bytes, contents.size_bytes)
        )
    size = sum(len(render_line(event)) for event in kept)
    return Compaction(CompactReport(len(contents.events), len(kept), contents.size_bytes, size))
