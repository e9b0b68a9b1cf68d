"""Reads the whole workspace as it lies on the disk: what is declared, without bringing anything.

For verbs that only look (`ls`, `status`, `locks`), and to find out which packs a PACK argument means.
"""

from __future__ import annotations

from collections.abc import Collection, Container, Iterable, Mapping, Sequence

from msgspec import Struct, field

from grex.engine.graph import ROOT, Graph, Node, enclosing_path
from grex.engine.places import look_at
from grex.errors import GrexError, ManifestError, PackError, PackSpecError, UsageError
from grex.git import CheckoutState, observe
from grex.manifest import LockLine
from grex.names import clean
from grex.pack import OverrideSpec, PackSpec, read_local, read_pack_spec
from grex.workspace import Layout

__all__ = ["Survey", "named", "read_overrides", "read_root_spec", "select", "survey", "undeclared"]


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


def read_root_spec(layout: Layout, platform: str) -> PackSpec:
    """The root's pack.yaml.

    Raises:
        ManifestError: it is refused or cannot be read (exit 3: the root is the workspace's manifest).
    """
    try:
        spec = read_pack_spec(layout.root, is_root=True, platform=platform, display="")
    except PackSpecError as error:
        raise ManifestError(error.message, hint=error.hint, details=error.details) from error
    if spec is None:
        raise ManifestError(
            f"{layout.root} has no .grex/pack.yaml any more", hint="Restore it from version control, or `grex init`."
        )
    return spec


def read_overrides(layout: Layout, root_spec: PackSpec) -> Mapping[str, OverrideSpec]:
    """Overrides by path: those of the root, and over them those of this machine's `.grex/local.yaml`."""
    try:
        local = read_local(layout.root)
    except PackSpecError as error:
        raise ManifestError(error.message, hint=error.hint, details=error.details) from error
    return {override.path: override for override in (*root_spec.overrides, *local)}


def survey(layout: Layout, platform: str) -> Survey:
    """Read every pack that is there, from the root downwards. Takes no lock, writes nothing, starts nothing.

    Raises:
        ManifestError: the root's pack.yaml or `.grex/local.yaml` is refused.
    """
    root_spec = read_root_spec(layout, platform)
    graph = Graph(layout.root, read_overrides(layout, root_spec))
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
            state = found.states[node.path] = look_at(root)
            if state.kind != "checkout":
                continue
            spec = read_pack_spec(root, is_root=False, platform=platform, display=node.path)
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
    return found


def select(found: Survey, lines: Mapping[str, LockLine], wanted: Sequence[str]) -> set[str] | None:
    """Which packs the PACK arguments mean: paths from the workspace root, or unique names; None for all.

    Gives the named packs, with the absent ones above and around them that would have to be brought to reach them. What
    lies below them is found by the walk.

    Raises:
        UsageError: an argument means no pack, or several.
    """
    if not wanted:
        return None
    chosen = named(found, lines, wanted)
    return chosen | _absent_above(chosen, found, lines)


def named(found: Survey, lines: Collection[str], wanted: Sequence[str]) -> set[str]:
    """The packs that the PACK arguments name, and no others.

    Args:
        found: what is declared.
        lines: the paths of packs that are known from elsewhere.
        wanted: paths from the workspace root, or unique names.

    Raises:
        UsageError: an argument means no pack, or several.
    """
    known = {node.path for node in found.nodes()} | set(lines)
    names: dict[str, list[str]] = {}
    for path in sorted(known):
        node = found.graph.nodes.get(path)
        for name in {path.rsplit("/", 1)[-1], node.name if node is not None else path.rsplit("/", 1)[-1]}:
            names.setdefault(name, []).append(path)
    chosen: set[str] = set()
    for text in wanted:
        path = text.removeprefix("./").rstrip("/")
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
        raise UsageError(f"there is no pack {clean(text)!r} in this workspace", hint=_closest(path, known | set(names)))
    return chosen


def _absent_above(chosen: Iterable[str], found: Survey, lines: Mapping[str, LockLine]) -> set[str]:
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
        around = enclosing_path(path, found.graph.nodes)
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
