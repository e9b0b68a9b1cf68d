"""What an import writes into the root's pack.yaml: compared with what is declared there already. Pure.

- A path that nobody declares gets an entry. At a path that the root declares, `url` and `ref` follow the file; other
  keys follow where the file says something, and `groups` are added to. So what somebody wrote besides stays.
- At a path that another pack declares, the same URL and ref are fine, and anything else is a problem.
- Nothing is ever removed. What the root declares and the file does not have is told.

`copyfile` and `linkfile` of a manifest become `copy` and `symlink` actions of the root, the one pack that may write
between the others. A `meta` root runs no actions and becomes `declarative`. The root is installed after every pack of
the run is there, and its copies are looked after in every sync (`grex.builtin.pack_types.declarative`). A link of a
pack in groups stands in a `when` that asks for its source, since the pack may not be brought.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct, field

from grex.engine.graph import Graph, Node
from grex.errors import ManifestError
from grex.interchange import Imported, ImportedPack, Link
from grex.manifest import Value, change_children, change_key, insert_children, remove_child
from grex.names import PACK_YAML, fold_key, parse_url
from grex.pack import ActionEntry, ChildSpec, PackSpec, Problems, escape_variables
from grex.pack.problems import quoted, raise_problems

__all__ = ["ChangedPack", "ImportPlan", "plan_import"]

_LINKS = ("copy", "symlink")


class ChangedPack(Struct, frozen=True):
    """An entry of the root that changes: which one, and what each key is set to."""

    path: str
    index: int
    changes: Mapping[str, Value | None]
    before: Mapping[str, str | None] = field(default_factory=dict)


class ImportPlan(Struct, frozen=True):
    """What is to be written, and what is said about the rest; every tuple is in the order of the imported file.

    Attributes:
        added: packs that get an entry.
        entries: those entries.
        changed: entries that change.
        unchanged: paths that are declared like this already, by whomever.
        absent: paths that the root declares and the file does not have.
        new_type: the root's new type, if it has to change.
        old_links: indexes of the root's actions that go.
        new_links: actions that the root gets.
        notes: what else there is to say.
    """

    added: tuple[ImportedPack, ...] = ()
    entries: tuple[Mapping[str, Value], ...] = ()
    changed: tuple[ChangedPack, ...] = ()
    unchanged: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    new_type: str | None = None
    old_links: tuple[int, ...] = ()
    new_links: tuple[Mapping[str, Value], ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether nothing is to be written."""
        return not (self.added or self.changed or self.old_links or self.new_links or self.new_type)

    def edit(self, text: str) -> str:
        """The text of the root's pack.yaml with all of it.

        Raises:
            ManifestError: the text has no shape that can be edited.
        """
        if self.new_type is not None:
            text = change_key(text, "type", self.new_type, file=PACK_YAML)
        if self.changed:
            changes = {changed.index: changed.changes for changed in self.changed}
            text = change_children(text, changes, file=PACK_YAML)
        text = insert_children(text, self.entries, file=PACK_YAML)
        for index in sorted(self.old_links, reverse=True):
            text = remove_child(text, index, file=PACK_YAML, section="actions")
        return insert_children(text, self.new_links, file=PACK_YAML, section="actions")


def plan_import(spec: PackSpec, graph: Graph, imported: Imported, workspace: Path) -> ImportPlan:
    """Compare what is imported with what is declared.

    Args:
        spec: the root's pack.yaml.
        graph: what is declared by every pack that is there.
        imported: what to import, judged already.
        workspace: the root, where relative URLs start.

    Raises:
        ManifestError: something cannot be declared; `details["problems"]` has each with its place in the file.
    """
    planning = _Planning(spec, graph, workspace)
    for pack in imported.packs:
        planning.take(pack)
    planning.take_links([(pack, link) for pack in imported.packs for link in pack.links])
    if planning.problems:
        raise_problems(planning.problems, ManifestError)
    return planning.plan({pack.path for pack in imported.packs})


class _Planning:
    def __init__(self, spec: PackSpec, graph: Graph, workspace: Path) -> None:
        self.problems = Problems()
        self._spec = spec
        self._graph = graph
        self._workspace = workspace
        self._folded = {fold_key(node.path): node for node in graph.nodes.values()}
        # What a target adds stands in another file, behind what stands in this one.
        self._own = {
            child.path.removeprefix("/"): (index, child)
            for index, child in enumerate(spec.children)
            if child.mark.file == PACK_YAML
        }
        self._added: list[ImportedPack] = []
        self._entries: list[Mapping[str, Value]] = []
        self._changed: list[ChangedPack] = []
        self._unchanged: list[str] = []
        self._new_links: list[Mapping[str, Value]] = []
        self._old_links: list[int] = []
        self._new_type: str | None = None
        self._notes: list[str] = []

    def take(self, pack: ImportedPack) -> None:
        """Compare one pack."""
        node = self._folded.get(fold_key(pack.path))
        if node is None:
            self._added.append(pack)
            self._entries.append(self._entry(pack))
            if pack.ref is None and self._spec.defaults.ref is not None:
                self._notes.append(
                    f"{pack.path} has no ref of its own and gets that of `defaults`: {self._spec.defaults.ref}"
                )
        elif node.path != pack.path:
            self.problems.add(
                pack.mark_of("path"),
                f"{quoted(pack.path)} differs only in case or Unicode form from {quoted(node.path)}",
                f"look at the one that is declared at {node.first.place}",
            )
        elif pack.path in self._own:
            index, child = self._own[pack.path]
            self._compare(pack, index, child)
        else:
            self._compare_with_others(pack, node)

    def _entry(self, pack: ImportedPack) -> dict[str, Value]:
        url = parse_url(pack.url, relative_to=self._workspace)
        entry: dict[str, Value] = {"url": pack.url}
        if pack.path != url.default_name:
            entry["path"] = pack.path
        if pack.ref is not None:
            entry["ref"] = pack.ref
        if pack.groups:
            entry["groups"] = list(pack.groups)
        if pack.depth is not None:
            entry["depth"] = pack.depth
        if pack.sparse:
            entry["sparse"] = list(pack.sparse)
        if pack.submodules:
            entry["submodules"] = True
        if pack.remotes:
            entry["remotes"] = dict(pack.remotes)
        return entry

    def _compare(self, pack: ImportedPack, index: int, child: ChildSpec) -> None:
        changes: dict[str, Value | None] = {}
        before: dict[str, str | None] = {}
        old = self._spec.resolve_url(child.url, self._workspace)
        new = parse_url(pack.url, relative_to=self._workspace)
        if old.identity != new.identity:
            changes["url"], before["url"] = pack.url, old.redacted
            if old.default_name == pack.path and new.default_name != pack.path:
                changes["path"] = pack.path  # it may have followed from the URL
        if _ref(child.ref) != _ref(pack.ref) and (pack.ref is not None or child.ref != self._spec.defaults.ref):
            changes["ref"], before["ref"] = pack.ref, child.ref
        groups = tuple(dict.fromkeys((*child.groups, *pack.groups)))
        if groups != child.groups:
            changes["groups"] = list(groups)
        if pack.depth is not None and pack.depth != child.depth:
            changes["depth"] = pack.depth
        if pack.sparse and pack.sparse != child.sparse:
            changes["sparse"] = list(pack.sparse)
        if pack.submodules and not child.submodules:
            changes["submodules"] = True
        remotes = {**child.remotes, **pack.remotes}
        if remotes != dict(child.remotes):
            changes["remotes"] = remotes
        if changes:
            self._changed.append(ChangedPack(pack.path, index, changes, before))
        else:
            self._unchanged.append(pack.path)

    def _compare_with_others(self, pack: ImportedPack, node: Node) -> None:
        url = parse_url(pack.url, relative_to=self._workspace)
        if node.url.identity == url.identity and _ref(node.ref) == _ref(pack.ref):
            self._unchanged.append(pack.path)
            return
        self.problems.add(
            pack.mark,
            f"{quoted(pack.path)} is declared at {node.first.place} with another URL or ref",
            "leave it out here, or settle it there; the root can override what other packs declare",
        )

    # --- links ---------------------------------------------------------------------------------------------------

    def take_links(self, links: Iterable[tuple[ImportedPack, Link]]) -> None:
        """Compare the links with the root's actions."""
        taken: dict[str, Link] = {}
        wanted: list[Mapping[str, Value]] = []
        for pack, link in links:
            first = taken.setdefault(fold_key(link.dst), link)
            if first is not link:
                self.problems.add(
                    link.mark, f"{quoted(link.dst)} is made twice", f"the first is {first.mark.seen_from(link.mark)}"
                )
            elif fold_key(link.dst) in self._folded or any(link.dst == added.path for added in self._added):
                self.problems.add(link.mark, f"{quoted(link.dst)} is the place of a pack", "give the file another name")
            else:
                wanted.append(_action(pack, link))
        if not wanted:
            return
        if self._spec.type in ("plain", "scripted"):
            self.problems.add(
                next(iter(taken.values())).mark,
                f"this needs actions of the root, and a {self._spec.type!r} one has none",
                "make the root's type declarative, or take these files out",
            )
        elif self._spec.type == "meta":
            self._new_type = "declarative"
        existing = [(index, entry) for index, entry in enumerate(self._spec.actions) if entry.mark.file == PACK_YAML]
        alike = {_key({entry.kind: entry.args.plain()}): (index, entry) for index, entry in existing}
        for action in wanted:
            found = alike.get(_key(action))
            if found is not None and _plain(found[1]) == action:
                continue
            self._new_links.append(action)
            if found is not None:
                self._old_links.append(found[0])

    # --- the result ----------------------------------------------------------------------------------------------

    def plan(self, paths: set[str]) -> ImportPlan:
        """What was found out."""
        return ImportPlan(
            added=tuple(self._added),
            entries=tuple(self._entries),
            changed=tuple(self._changed),
            unchanged=tuple(self._unchanged),
            absent=tuple(sorted(path for path in self._own if path not in paths)),
            new_type=self._new_type,
            old_links=tuple(self._old_links),
            new_links=tuple(self._new_links),
            notes=tuple(self._notes),
        )


def _ref(ref: str | None) -> str | None:
    return None if ref is None else ref.removeprefix("refs/heads/")


def _action(pack: ImportedPack, link: Link) -> Mapping[str, Value]:
    src = escape_variables(link.src)
    action: Mapping[str, Value] = {link.kind: {"src": src, "dst": escape_variables(link.dst)}}
    if not pack.groups:
        return action
    return {"when": {"all_of": [{"path_exists": src}], "actions": [action]}}


def _plain(entry: ActionEntry) -> Mapping[str, Any]:
    return {entry.kind: entry.args.plain()}


def _key(action: Any) -> tuple[str, str] | None:
    """Kind and destination of a link; None of an action that is none."""
    if not isinstance(action, Mapping) or len(action) != 1:
        return None
    (kind, arguments), *_ = action.items()
    if not isinstance(arguments, Mapping):
        return None
    if kind == "when":
        inner = arguments.get("actions")
        return _key(inner[0]) if isinstance(inner, list) and len(inner) == 1 else None
    return (str(kind), str(arguments.get("dst"))) if kind in _LINKS else None
