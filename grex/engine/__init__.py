"""Walks, plans, schedules, dispatches and recovers: how a verb gets from declarations to outcomes.

What clones and installs is imported when it is first asked for: a verb that only looks starts faster without it.
"""

from typing import TYPE_CHECKING

from grex.engine.graph import ROOT, Declaration, Graph, Node
from grex.engine.holds import Holds, Permits, SharedPermits
from grex.engine.session import Session, Settings
from grex.engine.survey import Survey, survey
from grex.later import imported_later

if TYPE_CHECKING:
    from grex.engine.checkout import Checkouts
    from grex.engine.context import RunContext
    from grex.engine.hiding import Hiding
    from grex.engine.install import InstallOutcome, InstallPlan, InstallStep, prepare, run, untrusted
    from grex.engine.installable import Installable, Present
    from grex.engine.lifecycle import Step, StepOutcome
    from grex.engine.lock_files import LockFiles, find_lock_files
    from grex.engine.outcome import CheckoutOptions, CheckoutOutcome, lock_line, lock_url
    from grex.engine.recovery import Recovered, recover_workspace
    from grex.engine.walker import Walk, Walked

__all__ = [
    "ROOT",
    "CheckoutOptions",
    "CheckoutOutcome",
    "Checkouts",
    "Declaration",
    "Graph",
    "Hiding",
    "Holds",
    "InstallOutcome",
    "InstallPlan",
    "InstallStep",
    "Installable",
    "LockFiles",
    "Node",
    "Permits",
    "Present",
    "Recovered",
    "RunContext",
    "Session",
    "Settings",
    "SharedPermits",
    "Step",
    "StepOutcome",
    "Survey",
    "Walk",
    "Walked",
    "find_lock_files",
    "lock_line",
    "lock_url",
    "prepare",
    "recover_workspace",
    "run",
    "survey",
    "untrusted",
]

_LATER = {
    "CheckoutOptions": "outcome",
    "CheckoutOutcome": "outcome",
    "Checkouts": "checkout",
    "Hiding": "hiding",
    "InstallOutcome": "install",
    "InstallPlan": "install",
    "InstallStep": "install",
    "Installable": "installable",
    "LockFiles": "lock_files",
    "Present": "installable",
    "Recovered": "recovery",
    "RunContext": "context",
    "Step": "lifecycle",
    "StepOutcome": "lifecycle",
    "Walk": "walker",
    "Walked": "walker",
    "find_lock_files": "lock_files",
    "lock_line": "outcome",
    "lock_url": "outcome",
    "prepare": "install",
    "recover_workspace": "recovery",
    "run": "install",
    "untrusted": "install",
}

if not TYPE_CHECKING:  # to a type checker, a room with it has every name there could be
    __getattr__ = imported_later(__name__, _LATER)
