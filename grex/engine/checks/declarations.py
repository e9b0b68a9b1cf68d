"""What is declared: every pack.yaml is read, and all of them together have to make sense."""

from __future__ import annotations

from grex.engine.checks.finding import Finding, of_error
from grex.engine.checks.ground import Ground
from grex.engine.context import RunContext
from grex.engine.dependencies import find_needs
from grex.engine.graph import ROOT
from grex.engine.hiding import Hiding
from grex.engine.install import examine_all
from grex.engine.places import misplaced
from grex.engine.standing import stand
from grex.errors import ConfigError, CycleError, GrexError, PackSpecError, PluginError
from grex.git import CheckoutState
from grex.names import clean, shown_argument

__all__ = ["check_declarations", "check_places"]

_NOTHING_RUNS = "No verb that works on packs runs until it is mended"


async def check_declarations(ground: Ground) -> list[Finding]:
    """Files that are refused, packs that are declared differently or in a circle, overrides that do nothing."""
    refused = ground.refused
    if isinstance(refused, ConfigError):
        return of_error(refused, code="configuration", subject=".grex/local.yaml", why=_NOTHING_RUNS)
    if refused is not None:
        return of_error(refused, code="declarations", subject=".grex/pack.yaml", why=_NOTHING_RUNS)
    found = ground.found
    if found is None:
        return []
    findings: list[Finding] = []
    errors: dict[str, GrexError] = dict(found.errors)
    session = ground.session
    active = {ROOT, *(node.path for node in found.graph.active())}
    present = [one for one in stand(session, found).present.values() if one.path in active]
    needs = find_needs(session, present, off=[node for node in found.graph.ordered() if not node.is_active])
    _, wrong = examine_all(session, RunContext(session, dry_run=True), present)
    for path, error in (*needs.missing.items(), *needs.circles.items(), *wrong.items()):
        errors.setdefault(path, error)
    for path in sorted(errors):
        error = errors[path]
        why = "It is not brought up to date, nor what it declares" if path in found.errors else "It is not installed"
        pack = None if path == ROOT else path
        findings += of_error(error, code=_code(error), subject=path, why=why, pack=pack)
    if ground.is_whole:
        findings += [
            Finding(
                code="unused-override",
                severity="warning",
                subject=f"override of {clean(unused.path)}",
                text=f"the override for {clean(unused.path)} touches no pack",
                why="What it was written for is not overridden, or not there any more",
                hint="Correct its path, or take it out of the root's pack.yaml or .grex/local.yaml.",
            )
            for unused in found.graph.unused_overrides()
        ]
    return findings


def _code(error: GrexError) -> str:
    if isinstance(error, PackSpecError):
        return "pack-yaml"
    if isinstance(error, CycleError):
        return "cycle"
    if isinstance(error, PluginError):
        return "plugin"
    return "conflict" if "places" in error.details else "declaration"


async def check_places(ground: Ground) -> list[Finding]:
    """Packs that cannot be where they are declared, that are not there yet, or that nobody declares."""
    if ground.found is None:
        return []
    findings: list[Finding] = []
    hiding = Hiding(ground.session.layout, ground.session.holds)
    for node in ground.found.graph.active():
        path = node.path
        if path in ground.found.errors:
            continue
        reason = misplaced(ground.root, path)
        tracked = None if reason is not None else hiding.refuse_tracked(path)
        if reason is not None:
            findings.append(
                Finding(
                    code="misplaced",
                    severity="error",
                    subject=path,
                    text=f"{path} {reason} (declared at {node.first.place})",
                    why="It is left alone by every sync",
                    hint="Remove the symbolic link on the way, or give the child another path.",
                    pack=path,
                    exit_code=4,
                )
            )
        elif tracked is not None:
            why = "Two repositories would own the same files, so it is left alone by every sync"
            findings += of_error(tracked, code="tracked-child", subject=path, why=why, pack=path)
        else:
            findings += _of_place(path, ground.found.states.get(path))
    findings += [_undeclared(path) for path in ground.undeclared if ground.is_whole]
    return findings


def _of_place(path: str, state: CheckoutState | None) -> list[Finding]:
    if state is None or state.kind == "checkout":
        return []
    sync = f"grex sync {shown_argument(path)}"
    if state.kind in ("absent", "empty"):
        return [
            Finding(
                code="not-cloned",
                severity="note",
                subject=path,
                text=f"{path} is declared and not there",
                why="What it declares itself is not known yet",
                hint=f"`{sync}` clones it.",
                pack=path,
            )
        ]
    what = "files that are in no repository" if state.kind == "directory" else "something that is no directory"
    return [
        Finding(
            code="in-the-way",
            severity="error",
            subject=path,
            text=f"at {path} there is {what}",
            why="A sync does not clone over anything that it has not made",
            hint=f"Move it elsewhere, or let `{sync} --force` move it to the trash.",
            pack=path,
            exit_code=4,
        )
    ]


def _undeclared(path: str) -> Finding:
    return Finding(
        code="undeclared",
        severity="note",
        subject=path,
        text=f"{path} is a checkout of grex's that no pack declares",
        why="No sync brings it up to date",
        hint="`grex sync --prune` moves it to the trash; declare it again to keep it.",
        pack=path,
    )
