"""Reports as text. Every function takes a report and gives what is printed; none of them looks anywhere else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from grex.cli.colours import in_role, role_of
from grex.cli.lines import fitted, is_for_the_report, pack_line, step_lines
from grex.cli.render.layout import WIDTH, aligned, counted, note_lines, wrapped
from grex.cli.render.removal import removed_lines
from grex.verbs.report import explained

if TYPE_CHECKING:
    from grex.engine import StepOutcome
    from grex.engine.pulling import Pulled
    from grex.manifest.relocked import Relocked
    from grex.verbs.add import AddReport
    from grex.verbs.demo import DemoReport
    from grex.verbs.init import InitReport
    from grex.verbs.locks import LocksReport
    from grex.verbs.ls import ListedPack, ListReport
    from grex.verbs.plugins import PluginsReport
    from grex.verbs.run import RunReport
    from grex.verbs.sync import PackReport, SyncReport
    from grex.verbs.teardown import TeardownReport
    from grex.verbs.trust import TrustReport
    from grex.verbs.update import UpdateReport

__all__ = ["add", "demo", "init", "locks", "ls", "plugins", "run", "sync", "teardown", "trust", "update"]

_SHORT = 10
_NAMED = 3
_QUIET = "unchanged"
_WORST_FIRST = (
    "failed",
    "not-reached",
    "untrusted",
    "left",
    "planned",
    "cloned",
    "moved",
    "installed",
    "updated",
    "synced",
    "unchanged",
)


def init(report: InitReport, *, width: int | None = None) -> str:
    """What init says."""
    if not report.created and report.gitignore_changed:
        return f"There is a workspace already; its .gitignore hides grex's files now: {report.root}"
    if not report.created:
        return f"There is a workspace already; nothing was changed: {report.root}"
    made = f"Made a workspace; `grex add URL` adds the first pack: {report.root}"
    if report.outer is None:
        return made
    if report.belongs_to_outer:
        what = "which declares it as its pack: commands that are started in here work on that one"
    else:
        what = "which knows nothing of it: commands that are started in here work on this one only"
    return "\n".join([made, *fitted([f"note: it lies in another workspace, {report.outer}, {what}."], width)])


def add(report: AddReport, *, brief: bool = False, width: int | None = None) -> str:
    """What add says."""
    return f"Added {report.path} from {report.url}.\n{sync(report.sync, brief=brief, width=width)}"


def trust(report: TrustReport, *, width: int | None = None) -> str:
    """What trust says: what this call changed and which packs that is about, then all that is trusted."""
    lines = [] if report.prefix is None else _trust_change(report, report.prefix)
    if report.prefixes:
        lines += ["Trusted in this workspace:", *(f"  {prefix}" for prefix in report.prefixes)]
    else:
        lines.append("Nothing is trusted in this workspace.")
    return "\n".join(fitted(lines, width))


def _trust_change(report: TrustReport, prefix: str) -> list[str]:
    if report.revoked:
        lead, covers = "No longer trusted", "It covered"
    else:
        lead, covers = ("Trusted from now on" if report.changed else "Trusted already"), "It covers"
    lines = [f"{lead}: {prefix}"]
    if report.covers is None:
        lines.append(f"note: which packs begin with it cannot be told: {report.why_unknown}")
    elif not report.covers:
        lines.append("note: none of this workspace's packs begins with it; `grex ls --long` shows their URLs.")
    elif report.covers == (".",):
        lines.append(f"{covers} the workspace's own actions.")
    else:
        lines.append(f"{covers} {counted(len(report.covers), 'pack')}: {', '.join(report.covers)}")
    return lines


def locks(report: LocksReport, *, width: int = WIDTH) -> str:
    """What locks says: a lock and its file on one line, below it who has it and who waits, in the order of their turn.

    Args:
        report: the report.
        width: where sentences are broken; paths stay whole.
    """
    lines: list[str] = []
    if not report.held:
        lines.append("No lock is held, as far as can be seen." if report.errors else "No lock is held.")
    for info in (*report.held, *report.others):
        lines.append(f"{info.tier.name:<9}  {info.path}")
        lines.extend(wrapped(info.describe(), width, "  "))
        for waiter in info.describe_queue():
            lines.extend(wrapped(waiter, width, "    "))
    for error in report.errors:
        lines.extend(wrapped(f"note: there may be more locks than these: {error.message}", width))
    return "\n".join(lines)


def ls(report: ListReport, *, tree: bool, long: bool) -> str:
    """What ls says: a list, or a tree of who declares whom."""
    notes = note_lines(report.notes)
    if not report.packs and not report.is_narrowed:
        return "\n".join(["No packs are declared; `grex add URL` adds one.", *notes])
    if not tree:
        return "\n".join([*aligned([_listed(pack, long=long) for pack in report.packs]), *notes])
    lines = [f"{report.name} ({report.type})"] if not report.is_narrowed else []
    seen: set[str] = set()

    def draw(children: Sequence[ListedPack], indent: str) -> None:
        for position, pack in enumerate(children):
            last = position == len(children) - 1
            again = " (see above)" if pack.path in seen else ""
            facts = "  ".join(_listed(pack, long=long)[1:]).rstrip()
            lines.append(f"{indent}{'└── ' if last else '├── '}{pack.path}  {facts}{again}")
            if pack.path not in seen:
                seen.add(pack.path)
                draw(report.children_of(pack.path), indent + ("    " if last else "│   "))

    draw(report.tops(), "")
    return "\n".join([*lines, *notes])


def _listed(pack: ListedPack, *, long: bool) -> tuple[str, ...]:
    if pack.error is not None:
        where = f"error: {pack.error.message}"
    elif not pack.is_active:
        where = f"inactive ({', '.join(pack.groups)} off)"
    elif not pack.is_present:
        where = "not cloned"
    else:
        where = pack.branch or f"at {pack.ref or (pack.sha or '')[:_SHORT]}"
    if not long:
        return (pack.path, pack.type, where)
    return (pack.path, pack.type, where, (pack.sha or "-")[:_SHORT], pack.ref or "-", pack.url)


def sync(report: SyncReport, *, brief: bool = False, width: int | None = None) -> str:
    """What sync says: what moved, what was left alone and why, what to do next.

    Args:
        report: the report.
        brief: leave out what went well, and what commands said: it was told in the same place as it happened.
        width: of the terminal, where lines are broken; None where it goes elsewhere.
    """
    lines: list[str] = [f"recovered: {text}." for text in report.recovered]
    for pack in report.packs:
        lines.extend(_pack_lines(pack, brief=brief, width=width))
    for path, error in report.extra_errors:
        lines.append(pack_line("failed", path, error.message))
        if error.hint:
            lines.append(f"             hint: {error.hint}")
    kept = {pack.path for pack in report.pruned}
    left = [path for path in report.undeclared if path not in kept]
    lines.extend(f"undeclared   {path}: no pack declares it; it was left there." for path in left)
    if left:
        lines.append(f"{'':<12} hint: `grex sync --prune` moves what nobody declares to the trash.")
    lines.extend(removed_lines(report.pruned))
    lines.extend(_relocked(report.relocked_only))
    if report.swept:
        lines.append(f"note: {counted(len(report.swept), 'old entry', 'old entries')} left the trash for good.")
    lines.extend(note_lines(report.notes))
    if report.pulled is not None:
        lines.insert(0, _pulled(report.pulled, dry_run=report.dry_run))
    lines.append(_summary(report))
    return "\n".join(fitted(lines, width))


def update(report: UpdateReport, *, brief: bool = False, width: int | None = None) -> str:
    """What update says: what its sync says."""
    return sync(report.sync, brief=brief, width=width)


def _pack_lines(pack: PackReport, *, brief: bool, width: int | None) -> list[str]:
    lines: list[str] = []
    if pack.status != _QUIET and (not brief or is_for_the_report(pack.status)):
        lines.append(pack_line(pack.status, pack.path, pack.line()))
        below = explained(pack.error)
        if not below and pack.hint and pack.status in ("left", "failed"):
            below = [f"hint: {pack.hint}"]
        lines.extend(f"{'':<12} {line}" for line in below)
    lines.extend(f"{'note':<12} {pack.path}: {note}." for note in pack.notes)
    if pack.install is not None and (not brief or is_for_the_report(pack.install.status)):
        lines.extend(_step_lines(pack.install, brief=brief, width=width))
    return lines


def _pulled(pulled: Pulled, *, dry_run: bool) -> str:
    if pulled.old == pulled.new:
        return pack_line("pulled", ".", f"{pulled.branch} has all that {pulled.upstream} has")
    text = f"{pulled.branch} {pulled.old[:10]}..{pulled.new[:10]}, from {pulled.upstream}"
    if dry_run:
        return pack_line("would pull", ".", f"{text}; what it declares is not known yet")
    return pack_line("pulled", ".", text)


def _relocked(found: Relocked) -> list[str]:
    """The line about a lockfile that changed where no pack did."""
    told: list[str] = []
    for what, paths in (("new", found.added), ("changed", found.changed), ("gone", found.removed)):
        if paths:
            more = f" and {len(paths) - _NAMED} more" if len(paths) > _NAMED else ""
            told.append(f"{counted(len(paths), 'line')} {what} ({', '.join(paths[:_NAMED])}{more})")
    return [pack_line("lockfile", "grex.lock.jsonl", f"{', '.join(told)}.")] if told else []


def _summary(report: SyncReport) -> str:
    """How many packs there are of each kind: every pack counts once, and as the worst that became of it."""
    found: dict[str, str] = {}
    for pack in report.packs:
        statuses: list[str] = (
            [] if pack.path == "." else [pack.status]
        )  # the root is no checkout; only what it installs counts
        if pack.install is not None and pack.install.status != "skipped":
            statuses.append(pack.install.status)
        if statuses:
            found[pack.path] = min(statuses, key=_WORST_FIRST.index)
    found.update((path, "failed") for path, _ in report.extra_errors)
    order = (
        "cloned",
        "moved",
        "installed",
        "updated",
        "synced",
        "planned",
        "unchanged",
        "left",
        "untrusted",
        "failed",
        "not-reached",
    )
    told = _counted(list(found.values()), order) or "nothing to do"
    lead = "Plan" if report.dry_run else "Synced"
    packs = counted(len(found) - ("." in found), "pack") + (" and the root" if "." in found else "")
    return f"{in_role('heading', lead)}: {packs}: {told}; {report.elapsed_s:.2f} s{_of_them_waiting(report)}."


def _of_them_waiting(report: SyncReport) -> str:
    """The part of the time that is others'; a wait that nobody noticed is not worth a word."""
    if report.waited_s < 1:
        return ""
    pids = ", ".join(map(str, report.waited_for))
    whom = f"pid{'s' if len(report.waited_for) > 1 else ''} {pids}" if pids else "locks"
    return f", {report.waited_s:.2f} s of them waiting for {whom}"


def teardown(report: TeardownReport, *, brief: bool = False, width: int | None = None) -> str:
    """What teardown says: what was taken back, what is left and why; `brief` as for `sync`."""
    if not report.packs:
        return "\n".join(["Nothing of these packs is installed.", *note_lines(report.notes)])
    shown = [pack for pack in report.packs if not brief or is_for_the_report(pack.status)]
    lines = [line for pack in shown for line in _step_lines(pack, brief=brief, width=width)]
    order = ("torn-down", "planned", "skipped", "untrusted", "failed", "not-reached")
    told = _counted([pack.status for pack in report.packs], order)
    lines.extend(note_lines(report.notes))
    lines.append(f"{'Plan' if report.dry_run else 'Torn down'}: {told}; {report.elapsed_s:.2f} s.")
    return "\n".join(fitted(lines, width))


def run(report: RunReport, *, brief: bool = False, width: int | None = None) -> str:
    """What run says: per pack what was done, and below it what its commands said; `brief` as for `sync`."""
    lines: list[str] = []
    for pack in report.packs:
        if not brief:
            lines.extend(_step_lines(pack, brief=brief, width=width, output=report.output.get(pack.path, "")))
        elif is_for_the_report(pack.status):
            lines.extend(_step_lines(pack, brief=brief, width=width))
    order = ("ran", "unchanged", "planned", "skipped", "untrusted", "failed", "not-reached")
    told = _counted([pack.status for pack in report.packs], order) or "nothing to do"
    lines.extend(note_lines(report.notes))
    lines.append(f"{'Plan' if report.dry_run else 'Run'} {report.name}: {told}; {report.elapsed_s:.2f} s.")
    return "\n".join(fitted(lines, width))


def _step_lines(step: StepOutcome[str], *, brief: bool, width: int | None, output: str = "") -> list[str]:
    """What became of one pack; below it what was said, unless it was shown as it was said, and what there is to do."""
    lines = step_lines(step.status, step.path, step.told(), width)
    shown = output or ("" if step.error is None or brief else str(step.error.details.get("output", "")))
    lines.extend(f"{'':<12} | {line}" for line in shown.splitlines())
    lines.extend(f"{'':<12} {line}" for line in explained(step.error))
    return lines


def _counted(statuses: Sequence[str], order: Sequence[str]) -> str:
    return ", ".join(
        in_role(role_of(status), f"{statuses.count(status)} {status}") for status in order if status in statuses
    )


def plugins(report: PluginsReport) -> str:
    """What plugins says: a table, and below it why one cannot be used."""
    rows = [
        (one.group, one.name, one.status, f"{one.distribution} {one.version}".rstrip(), one.object)
        for one in report.plugins
    ]
    lines = aligned(rows)
    for one in report.plugins:
        if one.error is not None:
            lines.append(f"{one.group} {one.name}: {one.error.message}")
            lines.append(f"  hint: {one.error.hint}")
        elif one.status == "shadowed":
            lines.append(f"{one.group} {one.name}: {one.distribution} is not asked, for the name ships with grex.")
    return "\n".join(lines)


def demo(report: DemoReport) -> str:
    """What demo says."""
    parts = [
        f"Built {counted(report.upstreams, 'upstream repository', 'upstream repositories')} in {report.upstream_dir}",
        "",
        "$ grex sync",
        sync(report.first),
        "",
        "$ grex ls --tree",
        ls(report.tree, tree=True, long=False),
        "",
        f"Then a commit was pushed to {report.pushed}; `grex sync` again:",
        sync(report.second),
        "",
        f"Look around: cd {report.workspace}",
    ]
    return "\n".join(parts)
