"""What the workspace would declare after an edit of its own declarations, found without touching anything.

Pure but for the texts that it is given: entries of the root's pack.yaml and overrides are changed as a person would,
and what the packs below declare is taken from what was read before the edit. So a conflict or a cycle that an edit
would make is refused before a byte is written.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from msgspec import Struct

from grex.engine.graph import ROOT, Graph, Node
from grex.engine.survey import Survey
from grex.errors import ManifestError, PackError
from grex.manifest.edit import change_child
from grex.manifest.yaml_text import Value
from grex.names import PACK_YAML, resolve_pack_path, shown_argument
from grex.pack import OverrideSpec, PackSpec, parse_pack_spec

__all__ = ["Edited", "edit_entry", "entry_of", "moved_overrides", "moved_path", "only_the_root_declares", "redeclared"]


class Edited(Struct, frozen=True):
    """A text of the root's pack.yaml after an edit, and what it says."""

    text: str
    spec: PackSpec


def moved_path(path: str, old: str, new: str) -> str:
    """Where a path is after the directory `old` has moved to `new`."""
    return new + path[len(old) :] if path == old or path.startswith(f"{old}/") else path


def moved_overrides(text: str, overrides: Sequence[OverrideSpec], old: str, new: str, *, file: str) -> str:
    """The text with its overrides for a pack that moves, and for those in it, under their new paths.

    Raises:
        ManifestError: the text has no shape that can be edited.
    """
    for index, override in enumerate(overrides):
        path = moved_path(override.path, old, new)
        if path != override.path:
            text = change_child(text, index, {"path": path}, file=file, section="overrides")
    return text


def only_the_root_declares(node: Node, *, shared: bool) -> None:
    """Insist that the root's pack.yaml is where a pack is declared.

    Args:
        node: the pack.
        shared: whether other packs may declare it as well.

    Raises:
        PackError: another pack declares it, which is named with its place.
    """
    others = [found for found in node.declarations if found.parent != ROOT]
    if len(others) == len(node.declarations) or (others and not shared):
        first = min(others, key=lambda found: (found.parent, found.place))
        also = "" if len(others) == len(node.declarations) else "also "
        raise PackError(
            f"{node.path} is {also}declared by another pack, at {first.place}",
            hint=f"Edit it there, or say it over it: `grex override {shown_argument(node.path)} --ref REF`.",
            details={"path": node.path, "place": first.place},
        )


def entry_of(spec: PackSpec, node: Node) -> int:
    """Which entry of the root's pack.yaml declares a pack.

    Raises:
        PackError: none in that file: it stands in a file of its own for this platform.
    """
    for index, child in enumerate(spec.children):
        if resolve_pack_path("", child.path) == node.path:
            return index
    place = next(found.place for found in node.declarations if found.parent == ROOT)
    raise PackError(f"{node.path} is declared at {place}, not in {PACK_YAML}", hint="Edit it there, then `grex sync`.")


def edit_entry(
    text: str, node: Node, changes: Mapping[str, Value | None], *, moved: tuple[str, str] | None = None
) -> Edited:
    """The root's pack.yaml with one entry changed, and with the overrides of what moves.

    Raises:
        ManifestError: the text has no shape that can be edited, or would not say what is meant.
        PackError: the entry is in another file.
    """
    before = parse_pack_spec(text.encode(), file=PACK_YAML, is_root=True)
    index = entry_of(before, node)
    new = change_child(text, index, changes, file=PACK_YAML)
    if moved is not None:
        new = moved_overrides(new, before.overrides, *moved, file=PACK_YAML)
    spec = parse_pack_spec(new.encode(), file=PACK_YAML, is_root=True)
    path = resolve_pack_path("", spec.children[index].path)
    if len(spec.children) != len(before.children) or path != (node.path if moved is None else moved[1]):
        raise ManifestError(
            f"{PACK_YAML} would not say what was meant", hint="Edit the file by hand; nothing was written."
        )
    return Edited(new, spec)


def redeclared(
    found: Survey,
    graph: Graph,
    root_spec: PackSpec,
    *,
    moved: tuple[str, str] | None = None,
    unknown: Collection[str] = (),
) -> Graph:
    """Fill a graph with what is declared after an edit.

    Args:
        found: what was declared before.
        graph: an empty one that knows the overrides as they will be.
        root_spec: the root's pack.yaml as it will be.
        moved: the old and the new path of a pack that moves.
        unknown: packs, by their new paths, that will be another repository: what that declares nobody knows yet.

    Raises:
        PackError: the edit would make a conflict or a cycle that was not there before.
    """
    waiting = graph.declare(ROOT, root_spec)
    while waiting:
        node = waiting.pop()
        path = node.path if moved is None else moved_path(node.path, moved[1], moved[0])
        before = found.graph.nodes.get(path)
        if before is None or before.spec is None or node.path in unknown:
            continue
        if graph.verdict(node) is None:
            waiting.extend(graph.declare(node.path, before.spec))
    for node in graph.ordered():
        path = node.path if moved is None else moved_path(node.path, moved[1], moved[0])
        verdict = graph.verdict(node)
        if verdict is not None and path not in found.errors:
            raise verdict
    return graph
