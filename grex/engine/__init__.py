"""Walks, plans, schedules, dispatches and recovers: how a verb gets from declarations to outcomes."""

from grex.engine.checkout import Checkouts
from grex.engine.context import RunContext
from grex.engine.graph import ROOT, Declaration, Graph, Node
from grex.engine.hiding import Hiding
from grex.engine.holds import Holds, Permits
from grex.engine.install import InstallOutcome, InstallPlan, InstallStep, prepare, run, untrusted
from grex.engine.installable import Installable, Present
from grex.engine.lifecycle import Step, StepOutcome
from grex.engine.lock_files import LockFiles, find_lock_files
from grex.engine.outcome import CheckoutOptions, CheckoutOutcome, lock_line, lock_url
from grex.engine.recovery import Recovered, recover_workspace
from grex.engine.session import Session, Settings
from grex.engine.survey import Survey, survey
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
