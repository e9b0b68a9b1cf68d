"""The log and the lockfile: what of them can be read, what is lost, what was begun and not ended.

Damage in the middle of the log is never mended here: which of its lines were right, nobody can know, and what they say
decides what may be taken away. A lockfile can be made anew from the declarations, so the lines of it that cannot be
used are taken out, after the whole file was kept.
"""

from __future__ import annotations

from collections.abc import Iterable

from grex.engine.checks.finding import Finding, plural
from grex.engine.checks.ground import Ground
from grex.engine.outcome import unlocked
from grex.errors import LockfileError
from grex.fs import replace_file, utc_stamp
from grex.git import has_commit
from grex.manifest import lines_needed, read_lockfile, worth_compacting, write_lockfile
from grex.manifest.scan import BadLine, scan_lockfile
from grex.names import clean, shown_argument

__all__ = ["check_lockfile", "check_log", "fix_lockfile", "fix_torn_log", "fix_unwanted_lines"]

_TOLD = 20


async def check_log(ground: Ground) -> list[Finding]:
    """Bytes that are no event, and how long it has become."""
    log = ground.log
    if log.unreadable is not None:
        return [
            Finding(
                code="log-unreadable",
                severity="error",
                subject="grex.jsonl",
                text=f"the log cannot be read: {log.unreadable}",
                why="Without it nobody knows which checkouts are grex's and what is installed, so no verb runs",
                hint="Check the file, its directory and the disk; a link is replaced by the file itself.",
            )
        ]
    findings = [_bad_log_line(bad) for bad in log.bad[:_TOLD]]
    if len(log.bad) > _TOLD:
        findings.append(_more("log-damaged", "grex.jsonl", len(log.bad) - _TOLD))
    if log.torn_bytes:
        findings.append(
            Finding(
                code="log-torn",
                severity="warning",
                subject="grex.jsonl",
                text=f"the last line was cut off by a crash ({plural(log.torn_bytes, 'byte')})",
                why="It was never acknowledged, and the next append sets it aside",
                fix="sets these bytes aside in the trash",
            )
        )
    if ground.folded is not None and worth_compacting(log.size_bytes, len(log.events), lines_needed(ground.folded)):
        findings.append(
            Finding(
                code="log-long",
                severity="note",
                subject="grex.jsonl",
                text=f"the log has {len(log.events)} lines, of which {lines_needed(ground.folded)} are still needed",
                why="Every verb reads it",
                hint="`grex doctor --compact` rewrites it; the next run that records something does so as well.",
            )
        )
    return findings


def _bad_log_line(bad: BadLine) -> Finding:
    newer = bad.problem == "newer"
    return Finding(
        code="log-newer" if newer else "log-damaged",
        severity="error",
        subject=f"grex.jsonl:{bad.number}",
        text=clean(bad.error.message.removeprefix(f"grex.jsonl:{bad.number}: "), 400),
        why="What is ours and what is installed would be guessed, so no verb runs",
        hint=bad.error.hint
        if newer
        else "Mend the line by hand, or move the file away and run `grex doctor --fix`, which makes it anew as far as "
        "lockfile and checkouts tell.",
    )


def _more(code: str, subject: str, number: int) -> Finding:
    return Finding(
        code=code,
        severity="error",
        subject=subject,
        text=f"and {plural(number, 'further line')} that cannot be used",
        why="As above",
    )


async def fix_torn_log(ground: Ground, finding: Finding) -> str:
    """Set the torn end aside. Tier: MANIFEST."""
    del finding
    session = ground.session
    async with session.holds.manifest_exclusive("log") as hold:
        kept = session.log.heal(hold=hold)
    return "it was whole already" if kept is None else f"what was cut off is in {ground.shown(kept)}"


async def check_lockfile(ground: Ground) -> list[Finding]:
    """Lines that cannot be used, that nobody wants, or that are not there; commits that are not in the checkout."""
    scan = ground.lockfile
    if scan.unreadable is not None:
        return [
            Finding(
                code="lockfile-unreadable",
                severity="error",
                subject="grex.lock.jsonl",
                text=f"the lockfile cannot be read: {scan.unreadable}",
                why="No sync runs",
                hint="Check the file, its directory and the disk; a link is replaced by the file itself.",
            )
        ]
    is_newer = any(bad.problem == "newer" for bad in scan.bad)
    findings = [_bad_lock_line(bad, is_newer=is_newer) for bad in scan.bad[:_TOLD]]
    if len(scan.bad) > _TOLD:
        findings.append(_more("lockfile-damaged", "grex.lock.jsonl", len(scan.bad) - _TOLD))
    if scan.is_whole:
        findings += [*_unwanted(ground), *_missing(ground), *await _absent_commits(ground)]
    return findings


def _bad_lock_line(bad: BadLine, *, is_newer: bool) -> Finding:
    fixes = {
        "merge": "keeps the file in the trash and takes both sides of the conflict out; the next sync resolves anew",
        "damaged": "keeps the file in the trash and takes the line out; the next sync resolves its pack anew",
    }
    codes = {"merge": "lockfile-merge", "damaged": "lockfile-damaged", "newer": "lockfile-newer"}
    return Finding(
        code=codes[bad.problem],
        severity="error",
        subject=f"grex.lock.jsonl:{bad.number}",
        text=clean(bad.error.message.removeprefix(f"grex.lock.jsonl:{bad.number}: "), 400),
        why="No sync runs, for half a lockfile would check out half of what was resolved",
        fix=None if is_newer else fixes[bad.problem],
        hint=bad.error.hint if bad.error.hint and bad.problem != "damaged" else "Or take the file of the last commit.",
    )


async def fix_lockfile(ground: Ground, finding: Finding) -> str:
    """Write the lines that can be used, after the whole file was kept. Tier: MANIFEST."""
    del finding
    session, layout = ground.session, ground.session.layout
    async with session.holds.manifest_exclusive("lockfile") as hold:
        scan = scan_lockfile(layout.lockfile)
        if scan.is_whole:
            return "it is whole: it was mended with another line"
        if scan.unreadable is not None or any(bad.problem == "newer" for bad in scan.bad):
            raise scan.bad[0].error if scan.bad else LockfileError(f"the lockfile cannot be read: {scan.unreadable}")
        layout.trash_dir.mkdir(parents=True, exist_ok=True)
        kept = layout.trash_dir / f"lockfile-{utc_stamp()}.bin"
        replace_file(kept, scan.data)
        write_lockfile(layout.lockfile, list(scan.lines.values()), hold=hold)
    return f"{plural(len(scan.lines), 'line')} kept; the file as it was is {ground.shown(kept)}"


def _unwanted(ground: Ground) -> Iterable[Finding]:
    if not ground.is_whole:
        return
    known = ground.known()
    for path in sorted(set(ground.lines) - known):
        yield Finding(
            code="lockfile-undeclared",
            severity="warning",
            subject="grex.lock.jsonl",
            text=f"there is a line for {clean(path)}, which no pack declares",
            why="Whoever syncs with --locked elsewhere is told of a pack that is none",
            fix="takes the line out, as the next sync of everything does",
            pack=path,
        )


async def fix_unwanted_lines(ground: Ground, finding: Finding) -> str:
    """Take the line of a pack out that nobody declares. Tier: MANIFEST."""
    session, layout = ground.session, ground.session.layout
    async with session.holds.manifest_exclusive("lockfile") as hold:
        lines = read_lockfile(layout.lockfile)
        write_lockfile(layout.lockfile, [line for line in lines.values() if line.path != finding.pack], hold=hold)
    return "the line is gone"


def _missing(ground: Ground) -> Iterable[Finding]:
    for node, state in ground.checkouts():
        if state.record is None or state.note is not None:
            continue  # it is no finished checkout, which is told of it
        text = unlocked(node, ground.lines.get(node.path))
        if text is None:
            continue
        yield Finding(
            code="lockfile-outdated",
            severity="note",
            subject="grex.lock.jsonl",
            text=text,
            why="A sync with --locked refuses it",
            hint=f"`grex sync {shown_argument(node.path)}` writes it.",
            pack=node.path,
        )


async def _absent_commits(ground: Ground) -> list[Finding]:
    findings: list[Finding] = []
    for node, state in ground.checkouts():
        line = ground.lines.get(node.path)
        if line is None or state.head_sha in (None, line.sha) or state.note is not None:
            continue
        if not await has_commit(ground.session.git_for(node.path), state, line.sha):
            findings.append(
                Finding(
                    code="commit-not-here",
                    severity="note",
                    subject=node.path,
                    text=f"the commit {line.sha[:10]} of the lockfile is not in the checkout {node.path}",
                    why="The checkout cannot be brought to it without the network",
                    hint=f"`grex sync {shown_argument(node.path)}` fetches it.",
                    pack=node.path,
                )
            )
    return findings
