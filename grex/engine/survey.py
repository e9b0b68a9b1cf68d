"""Reads the whole workspace as it lies on the disk: what is declared, without bringing anything.

For verbs that only look (`ls`, `status`, `locks`), and to find out which packs a PACK argument means.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection, Container, Iterable, Mapping, Sequence
from pathlib import Path

from msgspec import Struct, field

from grex.engine.graph import ROOT, Graph, Node
from grex.engine.groups import read_groups
from grex.engine.places import look_at
from grex.errors import GrexError, ManifestError, PackError, PackSpecError, UsageError
from grex.git import CheckoutState, observe
from grex.manifest import LockLine, read_fork_mark
from grex.names import clean, redact
from grex.pack import OverrideSpec, PackSpec, TypeCheck, read_local, read_local_all, read_pack_spec
from grex.workspace import Layout

__all__ = [
    "Survey",
    "absent_above",
    "known_paths",
    "named",
    "open_graph",
    "read_overrides",
    "read_root_spec",
    "survey",
    "undeclared",
]


class _Everything:
    """Contains whatever is asked for."""

    def __contains__(self, path: object) -> bool:
        return True


class Survey(Struct):
    """The graph as far as it is known on this disk, with the state of each checkout and what is wrong where."""

    graph: Graph
    root_spec: PackSpec
    states: dict[str, CheckoutState] = field(default_factory=dict)
    errors: dict[str, GrexError] = field(default_factory=dict)

    def nodes(self) -> list[Node]:
        """Every declared pack, sorted by path."""
        return self.graph.ordered()


def undeclared(layout: Layout, recorded: Iterable[str], declared: Container[str]) -> dict[str, CheckoutState]:
    """The checkouts that grex made and that nobody declares, by path; one that was removed by hand is none."""
    paths = sorted(path for path in recorded if path != ROOT and path not in declared)
    states = {path: observe(layout.pack_dir(path)) for path in paths}
    return {path: state for path, state in states.items() if state.kind == "checkout"}


def known_paths(graph: Graph, lines: Mapping[str, LockLine]) -> set[str]:
    """The declared packs, and those below inactive ones as far as the lockfile tells: none of them is undeclared."""
    return {*graph.nodes, *graph.dormant({path: line.parents for path, line in lines.items()})}


def read_root_spec(layout: Layout, platform: str, check_type: TypeCheck | None = None) -> PackSpec:
    """The root's pack.yaml.

    Raises:
        ManifestError: it is refused or cannot be read (exit 3: the root is the workspace's manifest).
    """
    try:
        spec = read_pack_spec(layout.root, is_root=True, platform=platform, display="", check_type=check_type)
    except PackSpecError as error:
        raise ManifestError(error.message, hint=error.hint, details=error.details) from error
    if spec is None:
        raise ManifestError(
            f"{layout.root} has no .grex/pack.yaml any more", hint="Restore it from version control, or `grex init`."
        )
    return spec


def read_overrides(layout: Layout, root_spec: PackSpec) -> Mapping[str, OverrideSpec]:
    """Overrides by path: those of the root, and over them those of this machine's `.grex/local.yaml`."""
    return _joined(root_spec, read_local(layout.root))


def open_graph(
    layout: Layout,
    root_spec: PackSpec,
    choices: Mapping[str, bool] | None = None,
    *,
    wanted: Container[str] = (),
    is_lenient: bool = False,
) -> Graph:
    """An empty graph that knows the overrides and the groups of this workspace and this machine.

    A fork reads relative URLs as the workspace did that it was made of. Of what is declared it lacks what was left out
    of it, as long as that was not brought since.

    Args:
        layout: the workspace.
        root_spec: the root's pack.yaml.
        choices: groups that the caller turns on or off, which a dry run does not write down.
        wanted: packs that are to be in it, though they were left out of a fork.
        is_lenient: a config.toml that is refused turns no group off.

    Raises:
        ConfigError: `.grex/local.yaml` or `.grex/config.toml` is refused.
        ManifestError: what a fork is told of itself is.
    """
    local = read_local_all(layout.root)
    overrides = _joined(root_spec, local.overrides)
    groups = read_groups(layout, local, is_lenient=is_lenient)
    if choices:
        groups = groups.turned(choices, "-g")
    mark = read_fork_mark(layout.state_dir)
    if mark is None:
        return Graph(layout.root, overrides, groups)
    left_out = {
        path for path in mark.left_out if path not in wanted and not os.path.lexists(layout.pack_dir(path) / ".git")
    }
    return Graph(Path(mark.base), overrides, groups, left_out=left_out)


def _joined(root_spec: PackSpec, local: Iterable[OverrideSpec]) -> Mapping[str, OverrideSpec]:
    return {override.path: override for override in (*root_spec.overrides, *local)}


def survey(
    layout: Layout,
    platform: str,
    choices: Mapping[str, bool] | None = None,
    *,
    check_type: TypeCheck | None = None,
    is_whole: bool = False,
    is_brief: bool = False,
    is_lenient: bool = False,
) -> Survey:
    """Read every pack that is there, from the root downwards. Takes no lock, writes nothing, starts nothing.

    Inactive packs are looked at, and what they declare is not read. `choices` is as for `open_graph`.
    `check_type` knows the pack types that there are, so that an unknown one is told with all else that is wrong. With
    `is_whole`, the packs that were left out of a fork are in it as well. With `is_brief`, of a checkout nothing is read
    but its pack.yaml: its state says that it is one, and no more. With `is_lenient`, a config.toml that is refused
    turns no group off.

    Raises:
        ManifestError: the root's pack.yaml is refused.
        ConfigError: `.grex/local.yaml` or `.grex/config.toml` is.
    """
    root_spec = read_root_spec(layout, platform, check_type)
    graph = open_graph(layout, root_spec, choices, wanted=_Everything() if is_whole else (), is_lenient=is_lenient)
    found = Survey(graph, root_spec)
    try:
        waiting = graph.declare(ROOT, root_spec)
    except PackSpecError as error:
        raise ManifestError(error.message, hint=error.hint, details=error.details) from error
    while waiting:
        node = waiting.pop()
        verdict = graph.verdict(node)
        if verdict is not None:
            found.errors[node.path] = verdict
            continue
        root = layout.pack_dir(node.path)
        try:
            state = found.states[node.path] = look_at(root, is_brief=is_brief)
            if state.kind != "checkout":
                continue
            spec = read_pack_spec(root, is_root=False, platform=platform, display=node.path, check_type=check_type)
            if spec is not None:
                waiting.extend(graph.declare(node.path, spec))
        except (PackError, OSError) as error:
            found.errors[node.path] = (
                error if isinstance(error, GrexError) else PackError(f"{node.path}: {error}", hint="Check its files.")
            )
    for node in graph.ordered():
        verdict = graph.verdict(node)
        if verdict is not None:
            found.errors[node.path] = verdict
        if not node.is_active:
            with contextlib.suppress(OSError):  # nobody asks for more than whether it is there
                found.states[node.path] = look_at(layout.pack_dir(node.path), is_brief=is_brief)
    return found


def named(found: Survey, lines: Collection[str], wanted: Sequence[str]) -> set[str]:
    """The packs that the PACK arguments name, and no others.

    Args:
        found: what is declared.
        lines: the paths of packs that are known from elsewhere.
        wanted: paths from the workspace root, where `.` is the root pack, or unique names.

    Raises:
        UsageError: an argument means no pack, or several.
    """
    known = {ROOT} | {node.path for node in found.nodes()} | set(lines)
    names: dict[str, list[str]] = {}
    for path in sorted(known):
        node = found.graph.nodes.get(path)
        for name in {path.rsplit("/", 1)[-1], node.name if node is not None else path.rsplit("/", 1)[-1]}:
            names.setdefault(name, []).append(path)
    chosen: set[str] = set()
    for text in wanted:
        path = text.rstrip("/").removeprefix("./") or text
        if path in known:
            chosen.add(path)
            continue
        matches = names.get(path, [])
        if len(matches) == 1:
            chosen.add(matches[0])
            continue
        if matches:
            raise UsageError(
                f"{clean(text)!r} is the name of several packs: {', '.join(matches)}", hint="Say which one by its path."
            )
        raise UsageError(
            f"there is no pack {clean(redact(text))!r} in this workspace", hint=_closest(path, known | set(names))
        )
    return chosen


def absent_above(chosen: Iterable[str], found: Survey, lines: Mapping[str, LockLine]) -> set[str]:
    """The absent packs above and around the chosen ones, which have to be brought to reach them."""
    absent: set[str] = set()
    seen: set[str] = set()
    stack = list(chosen)
    while stack:
        path = stack.pop()
        if path in seen:
            continue
        seen.add(path)
        node = found.graph.nodes.get(path)
        parents = node.parents if node is not None else lines[path].parents if path in lines else ()
        around = found.graph.enclosing(path)
        for parent in (*parents, around):
            if parent in (ROOT, None):
                continue
            state = found.states.get(parent)
            if state is None or state.kind != "checkout":
                absent.add(parent)
            stack.append(parent)
    return absent


def _closest(path: str, known: Iterable[str]) -> str:
    from difflib import get_close_matches  # noqa: PLC0415 - only for a name that was not found

    close = get_close_matches(path, list(known), n=1)
    return f"Did you mean {close[0]!r}?" if close else "`grex ls` lists the packs."
