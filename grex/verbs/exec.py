"""`grex exec -- CMD...`: runs a command in every pack that is there.

Recipe: read the records, choose, run, report. WORKSPACE is not held, so this works beside a sync; each pack is held
while its own command runs. Nobody is asked for trust: the user has typed the command.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from grex.engine import Session, Settings
from grex.engine.commanding import Command, CommandOutcome, Tell, run_command
from grex.engine.members import members_of
from grex.errors import UsageError
from grex.names import redact
from grex.process import clip_text
from grex.verbs.report import exit_code_of, failure_json

if TYPE_CHECKING:
    from grex.verbs.documents import ExecDocument

__all__ = ["ExecReport", "ExecRequest", "exec_"]

_TAIL_BYTES = 64 << 10


class ExecRequest(Struct, frozen=True, kw_only=True):
    """What to run, and where.

    Attributes:
        root: the workspace.
        command: the program and its arguments; with `shell`, what a shell reads, joined by blanks.
        packs: PACK arguments; the root is meant only where `.` stands among them.
        filters: expressions, one of which a pack has to be of.
        shell: let `sh -c` read the command.
        no_lock: hold no pack while the command runs in it.
        fail_fast: begin nothing more after a failure.
        dry_run: only say where it would be run.
        as_events: tell what commands say by events, line by line as it comes.
        tell: is given what came of each pack, in the order of paths, as soon as that is possible.
    """

    root: Path
    command: tuple[str, ...]
    packs: tuple[str, ...] = ()
    filters: tuple[str, ...] = ()
    shell: bool = False
    no_lock: bool = False
    fail_fast: bool = False
    dry_run: bool = False
    tell: Tell | None = None
    as_events: bool = False


class ExecReport(Struct, frozen=True):
    """What became of the command in each pack, sorted by path; `is_heard` says whether all output had a reader."""

    root: Path
    command: tuple[str, ...]
    dry_run: bool
    packs: tuple[CommandOutcome, ...]
    notes: tuple[str, ...] = ()
    elapsed_s: float = 0.0
    is_heard: bool = True

    @property
    def exit_code(self) -> int:
        """0, or 4 if it failed anywhere."""
        return exit_code_of(pack.error for pack in self.packs)

    def to_json(self) -> ExecDocument:
        """The document of `--json`."""
        return {
            "schema": "grex.exec/1",
            "workspace": str(self.root),
            "command": [redact(word) for word in self.command],
            "dry_run": self.dry_run,
            "exit_code": self.exit_code,
            "packs": [
                {
                    "path": pack.path,
                    "status": pack.status,
                    "returncode": pack.returncode,
                    "stdout": redact(clip_text(pack.stdout, _TAIL_BYTES)),
                    "stdout_bytes": pack.stdout_bytes,
                    "stderr": redact(clip_text(pack.stderr, _TAIL_BYTES)),
                    "stderr_bytes": pack.stderr_bytes,
                    "duration_s": round(pack.duration_s, 3),
                    "error": failure_json(pack.error),
                }
                for pack in self.packs
            ],
            "notes": list(self.notes),
            "elapsed_s": round(self.elapsed_s, 3),
        }


async def exec_(request: ExecRequest, settings: Settings) -> ExecReport:
    """Run a command over the packs.

    Tiers: MANIFEST, shared and briefly; then PERMIT and, unless it is to do without, PACK for each pack. Cancellation:
    nothing more begins, running commands are ended with everything that they started.

    Raises:
        ManifestError: the root's pack.yaml, the log or the lockfile cannot be used.
        UsageError: there is no command, or a PACK argument or a filter means no pack.
    """
    if not request.command or not request.command[0]:
        raise UsageError(
            "there is no command to run",
            hint="It stands behind `--`, and packs before it: `grex exec [PACK]... -- git log -1`.",
        )
    started = time.monotonic()
    session = Session.open(request.root, settings)
    members = await members_of(session, request.packs, request.filters, may_be_root=True)
    argv = ("sh", "-c", " ".join(request.command)) if request.shell else request.command
    is_heard = True
    if request.dry_run:
        outcomes = {member.path: CommandOutcome(member.path, "planned") for member in members.here}
        outcomes |= {path: CommandOutcome(path, "failed", error=error) for path, error in members.refused.items()}
    else:
        command = Command(argv, has_lock=not request.no_lock, fail_fast=request.fail_fast, as_events=request.as_events)
        outcomes, is_heard = await run_command(session, members, command, request.tell)
    packs = tuple(outcomes[path] for path in sorted(outcomes))
    elapsed_s = time.monotonic() - started
    return ExecReport(session.layout.root, request.command, request.dry_run, packs, members.notes, elapsed_s, is_heard)
