"""`grex run NAME`: runs a hook, or the declared actions of one kind, in every pack that has it.

Recipe: read the records, look at the packs, plan, ask for trust, run, report. WORKSPACE is not held, so this works
beside a sync; each pack is held while its own part runs.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct, field

from grex.engine import ROOT, RunContext, Session, Settings, survey
from grex.engine.choosing import choose
from grex.engine.lifecycle import untrusted_steps
from grex.engine.running import RunOutcome, RunPlan, prepare_run, run_name
from grex.engine.said import Said
from grex.engine.standing import stand
from grex.errors import UsageError
from grex.names import clean
from grex.verbs.asking import ask_for_trust
from grex.verbs.report import exit_code_of, failure_json
from grex.verbs.request import PacksRequest

if TYPE_CHECKING:
    from grex.verbs.documents import RunDocument

__all__ = ["RunReport", "RunRequest", "run"]


class RunRequest(PacksRequest, frozen=True, kw_only=True):
    """What to run, where and how.

    Attributes:
        name: a hook, or a kind of action.
    """

    name: str


class RunReport(Struct, frozen=True):
    """What a run did, packs sorted by path; `output` is the end of what the commands of each pack said."""

    root: Path
    name: str
    dry_run: bool
    packs: tuple[RunOutcome, ...]
    output: Mapping[str, str] = field(default_factory=dict)
    elapsed_s: float = 0.0
    notes: tuple[str, ...] = ()

    @property
    def exit_code(self) -> int:
        """0, or what the failures come to."""
        return exit_code_of(pack.error for pack in self.packs)

    def to_json(self) -> RunDocument:
        """The document of `--json`."""
        return {
            "schema": "grex.run/1",
            "workspace": str(self.root),
            "name": self.name,
            "dry_run": self.dry_run,
            "exit_code": self.exit_code,
            "packs": [
                {
                    "path": pack.path,
                    "status": pack.status,
                    "changes": list(pack.changes),
                    "notes": list(pack.notes),
                    "output": self.output.get(pack.path, ""),
                    "error": failure_json(pack.error),
                }
                for pack in self.packs
            ],
            "elapsed_s": round(self.elapsed_s, 3),
            "notes": list(self.notes),
        }


async def run(request: RunRequest, settings: Settings) -> RunReport:
    """Run a name over the packs.

    Tiers: PERMIT and PACK for each pack, MANIFEST to record. Cancellation: no new step starts, running commands are
    ended with their groups, brackets are closed as cancelled.

    Raises:
        ManifestError: the root's pack.yaml, the log or the lockfile cannot be used.
        UsageError: a PACK argument means no pack, or no pack has anything of that name.
    """
    started = time.monotonic()
    session = Session.open(request.root, settings)
    async with nullcontext() if request.dry_run else session.holds.manifest_shared():
        session.reread()
        found = survey(session.layout, settings.platform, check_type=session.check_type)
    chosen = await choose(session, found, request.packs, request.filters, known=(ROOT,))
    wanted = chosen.paths | ({ROOT} if chosen.is_all or chosen.has_root else set())
    said = Said()
    context = RunContext(session, dry_run=request.dry_run, rereads=True, said=said)
    active = {ROOT, *(node.path for node in found.graph.active())}
    plan = prepare_run(session, context, stand(session, found), wanted, request.name, active=active)
    if not plan.steps and not plan.refused and wanted:
        raise _nothing(request, plan)
    if not request.dry_run and request.ask_trust is not None and untrusted_steps(session, plan.steps):
        async with session.holds.workspace():  # another run may be writing down what is trusted
            await ask_for_trust(session, request.ask_trust, plan.steps)
    outcomes = await run_name(session, context, plan, fail_fast=request.fail_fast)
    packs = tuple(outcomes[path] for path in sorted(outcomes))
    return RunReport(
        session.layout.root,
        request.name,
        request.dry_run,
        packs,
        said.texts(),
        time.monotonic() - started,
        chosen.notes,
    )


def _nothing(request: RunRequest, plan: RunPlan) -> UsageError:
    from difflib import get_close_matches  # noqa: PLC0415 - only for a name that was not found

    where = "none of these packs" if request.packs or request.filters else "no pack"
    names = sorted(plan.names)
    close = get_close_matches(request.name, names, n=1)
    if close:
        hint = f"Did you mean {close[0]!r}?"
    elif names:
        hint = f"There is: {', '.join(names)}."
    else:
        hint = "A scripted pack has hooks in .grex/hooks/, any other one has the `actions` of its pack.yaml."
    return UsageError(f"{where} has a hook or an action {clean(request.name, 100)!r}", hint=hint)
