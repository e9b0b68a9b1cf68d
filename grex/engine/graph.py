"""The packs of a workspace and who declares them: grown while the walk runs, judged the same whatever the order.

The walk finds declarations in an order that depends on the network. Two rules keep what the user sees independent of
it: a path is walked once, by whichever parent comes first, and everything that is reported (parents, conflicts, order)
is computed from the complete set of declarations, sorted.

- The same resolved path, URL and ref declared twice is a diamond: one node, several parents.
- The same path with another URL or ref is a conflict: the node fails with an error that names every place.
- Two paths that are equal after NFC and case folding are a conflict as well: they would collide on other machines.
- A child whose groups are all off on this machine is inactive. Its node is there, so that nobody takes the pack for
  undeclared, but it is nobody's work: it is not given out to be walked, has no verdict, and takes no part in those of
  others. A path that is declared several times is active if one of the declarations is, and only these count then.
- A pack whose URL is that of one of its ancestors, in whatever spelling and through whichever parent, closes a cycle;
  a pack that is its own ancestor is one.

Nothing here reads a file; telling local URLs apart resolves their symbolic links, once each.
"""

from __future__ import annotations

from collections.abc import Collection, Container, Iterable, Mapping
from pathlib import Path
from types import MappingProxyType

from msgspec import Struct, field

from grex.engine.groups import ALL_ON, Groups
from grex.errors import CycleError, PackError, PackSpecError
from grex.names import InvalidUrlError, PackUrl, fold_key, parse_url, resolve_pack_path
from grex.pack import ChildSpec, OverrideSpec, PackSpec, Problems
from grex.pack.problems import raise_problems

__all__ = ["ROOT", "Declaration", "Graph", "Node", "enclosing_path"]

ROOT = "."


def enclosing_path(path: str, paths: Container[str]) -> str | None:
    """The longest of these paths in whose directory a path lies."""
    above = path
    while "/" in above:
        above = above.rpartition("/")[0]
        if above in paths:
            return above
    return None


class Declaration(Struct, frozen=True):
    """One `children[]` entry of one pack.yaml, resolved: what is to be where."""

    parent: str
    path: str
    url: PackUrl
    ref: str | None
    child: ChildSpec
    overridden: bool = False
    is_active: bool = True
    remotes: Mapping[str, PackUrl] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def place(self) -> str:
        """Where it is written, as file:line:column."""
        return str(self.child.mark)


class Node(Struct):
    """A path at which a pack belongs, with everyone who declares it."""

    path: str
    declarations: list[Declaration] = field(default_factory=list)
    spec: PackSpec | None = None

    @property
    def url(self) -> PackUrl:
        """The URL, of whichever declaration sorts first; they agree unless there is a conflict."""
        return self.first.url

    @property
    def ref(self) -> str | None:
        """The declared ref, None for the remote's HEAD."""
        return self.first.ref

    @property
    def first(self) -> Declaration:
        """The declaration that stands for all of them."""
        if len(self.declarations) == 1:
            return self.declarations[0]
        return min(self.active, key=lambda found: (found.parent, found.place))

    @property
    def active(self) -> list[Declaration]:
        """The declarations that count: those that are active, or all of them where none is."""
        return [found for found in self.declarations if found.is_active] or self.declarations

    @property
    def is_active(self) -> bool:
        """Whether this pack is to be brought on this machine."""
        return any(found.is_active for found in self.declarations)

    @property
    def parents(self) -> tuple[str, ...]:
        """The packs through which this one is declared, sorted."""
        return tuple(sorted({found.parent for found in self.active}))

    @property
    def all_parents(self) -> tuple[str, ...]:
        """The same with those whose declaration is inactive here: what the lockfile says on every machine."""
        return tuple(sorted({found.parent for found in self.declarations}))

    @property
    def groups(self) -> tuple[str, ...]:
        """The groups it belongs to, sorted."""
        return tuple(sorted({group for found in self.declarations for group in found.child.groups}))

    @property
    def name(self) -> str:
        """The pack's declared name, or the last segment of its path."""
        return self.spec.name if self.spec is not None else self.path.rsplit("/", 1)[-1]

    @property
    def type(self) -> str:
        """The declared type, `plain` where there is no pack.yaml."""
        return self.spec.type if self.spec is not None else "plain"


class Graph:
    """Every declaration found so far, and the verdicts on them."""

    def __init__(
        self,
        workspace: Path,
        overrides: Mapping[str, OverrideSpec],
        groups: Groups = ALL_ON,
        *,
        left_out: Container[str] = (),
    ) -> None:
        """Make an empty graph.

        Args:
            workspace: where relative URLs start.
            overrides: by the path of a pack.
            groups: which are on.
            left_out: the paths at which nobody declares anything, whatever a pack.yaml says.
        """
        self._workspace = workspace
        self._left_out = left_out
        self.groups = groups
        self._overrides = overrides
        self._used_overrides: set[str] = set()
        self.nodes: dict[str, Node] = {}
        self._folded: dict[str, set[str]] = {}
        self._children: dict[str, set[str]] = {}
        self._identities: dict[str, str] = {}
        self._urls: dict[tuple[str, str | None], PackUrl] = {}
        self.root_spec: PackSpec | None = None

    def declare(self, parent: str, spec: PackSpec) -> list[Node]:
        """Take in the children of a pack; gives the nodes that nobody declared before, in the order of the file.

        Inactive ones are taken in and not given; one that was inactive and is active now is.
        What the pack declared before (at another commit) is replaced.

        Raises:
            PackSpecError: a URL cannot be resolved; every such place of the file is in the message's details.
        """
        if parent == ROOT:
            self.root_spec = spec
        else:
            self.nodes[parent].spec = spec
        resolved = self._resolve(parent, spec)
        known = {path for path in (found.path for found in resolved) if self._is_active(path)}
        self.forget_children(parent, {declaration.path for declaration in resolved})
        fresh: list[Node] = []
        for declaration in resolved:
            node = self.nodes.get(declaration.path)
            if node is None:
                node = self.nodes[declaration.path] = Node(declaration.path)
                self._folded.setdefault(fold_key(declaration.path), set()).add(declaration.path)
            node.declarations.append(declaration)
            self._children.setdefault(parent, set()).add(declaration.path)
            if not node.is_active:
                self.forget_children(node.path)
            elif node.path not in known:
                fresh.append(node)
        return fresh

    def _is_active(self, path: str) -> bool:
        node = self.nodes.get(path)
        return node is not None and node.is_active

    def children(self, parent: str) -> list[Node]:
        """The active nodes that this pack declares, sorted by path."""
        found = (self.nodes[path] for path in sorted(self._children.get(parent, ())))
        return [node for node in found if node.is_active and parent in node.parents]

    def enclosing(self, path: str) -> str | None:
        """The nearest active pack in whose directory a path lies."""
        around = enclosing_path(path, self.nodes)
        while around is not None and not self.nodes[around].is_active:
            around = enclosing_path(around, self.nodes)
        return around

    def active(self) -> list[Node]:
        """Every node that is to be brought on this machine, sorted by path."""
        return [node for node in self.ordered() if node.is_active]

    def dormant(self, lines: Mapping[str, Container[str]]) -> set[str]:
        """The inactive packs, with those below them that nobody who is active declares.

        Args:
            lines: the parents of each pack that the lockfile knows; what inactive packs declare is not walked.
        """
        found = {path for path, node in self.nodes.items() if not node.is_active}
        grown = bool(found)
        while grown:
            below = {
                path
                for path, parents in lines.items()
                if path not in self.nodes and path not in found and any(parent in parents for parent in found)
            }
            found |= below
            grown = bool(below)
        return found

    def verdict(self, node: Node) -> PackError | None:
        """Why this node must not be walked, as far as is known now: a conflict or a cycle; an inactive one has none."""
        if not node.is_active:
            return None
        cycle = self._cycle(node)
        if cycle is not None:
            return cycle
        wanted = {(self._identity(found.url), found.ref) for found in node.active}
        if len(wanted) > 1:
            wishes = sorted(
                (found.place, f"{found.url.redacted} at {found.ref or 'its HEAD'}") for found in node.active
            )
            told = "; ".join(f"{place} wants {what}" for place, what in wishes)
            return PackError(
                f"{node.path} is declared differently: {told}",
                hint=f"Settle it with an override for {node.path} in the root's pack.yaml or in .grex/local.yaml.",
                details={"path": node.path, "places": [place for place, _ in wishes]},
            )
        alike = {path for path in self._folded[fold_key(node.path)] if self._is_active(path)}
        if len(alike) > 1:
            places = sorted(found.place for path in alike for found in self.nodes[path].active)
            told = " and ".join(sorted(alike))
            return PackError(
                f"the paths {told} differ only in case or Unicode form, declared at {' and '.join(places)}",
                hint="Rename one of them: on many file systems they are one directory.",
                details={"path": node.path, "places": places},
            )
        return None

    def ordered(self) -> list[Node]:
        """Every node, sorted by path: the order of reports and of the lockfile."""
        return [self.nodes[path] for path in sorted(self.nodes)]

    def descendants(self, paths: Iterable[str]) -> set[str]:
        """The given packs with everything below them."""
        below: dict[str, list[str]] = {}
        for node in self.nodes.values():
            for parent in node.parents:
                below.setdefault(parent, []).append(node.path)
        found: set[str] = set()
        stack = list(paths)
        while stack:
            path = stack.pop()
            if path in found:
                continue
            found.add(path)
            stack.extend(below.get(path, ()))
        return found

    def forget_children(self, parent: str, kept: Collection[str] = ()) -> None:
        """Drop what a pack declared, and the nodes below that nobody else declares, but for the kept ones."""
        for path in sorted(self._children.pop(parent, ())):
            node = self.nodes[path]
            node.declarations = [found for found in node.declarations if found.parent != parent]
            if not node.declarations and path not in kept:
                del self.nodes[path]
                self._folded[fold_key(path)].discard(path)
                self.forget_children(path)
            elif path not in kept and not node.is_active:
                self.forget_children(path)  # of two that declared it, the active one is gone

    def unused_overrides(self) -> list[OverrideSpec]:
        """The overrides that no declaration was touched by."""
        return [self._overrides[path] for path in sorted(set(self._overrides) - self._used_overrides)]

    def _resolve(self, parent: str, spec: PackSpec) -> list[Declaration]:
        problems = Problems()
        resolved: list[Declaration] = []
        for child in spec.children:
            try:
                url = self._url(child.url, spec.defaults.base)
            except InvalidUrlError as error:
                problems.add(child.mark, str(error), error.hint)
                continue
            path = resolve_pack_path("" if parent == ROOT else parent, child.path)
            ref = child.ref if child.ref is not None else spec.defaults.ref
            override = self._overrides.get(path)
            if override is not None:
                self._used_overrides.add(path)
                ref = override.ref if override.ref is not None else ref
                if override.url is not None:
                    url = parse_url(override.url, base=None, relative_to=self._workspace)
            is_active = self.groups.is_active(child.groups)
            remotes: dict[str, PackUrl] = {}
            for name, text in child.remotes.items():
                try:
                    remotes[name] = self._url(text, spec.defaults.base)
                except InvalidUrlError as error:
                    problems.add(child.mark, str(error), error.hint)
            if path in self._left_out:
                continue
            resolved.append(
                Declaration(
                    parent,
                    path,
                    url,
                    ref,
                    child,
                    overridden=override is not None,
                    is_active=is_active,
                    remotes=remotes,
                )
            )
        if problems:
            raise_problems(problems, PackSpecError)
        return resolved

    def _url(self, text: str, base: str | None) -> PackUrl:
        """One value for one address: what it finds out about itself, it finds out once."""
        found = self._urls.get((text, base))
        if found is None:
            found = self._urls[text, base] = parse_url(text, base=base, relative_to=self._workspace)
        return found

    def _identity(self, url: PackUrl) -> str:
        found = self._identities.get(url.resolved)
        if found is None:
            found = self._identities[url.resolved] = url.identity
        return found

    def _cycle(self, node: Node) -> CycleError | None:
        """The shortest way down from an ancestor of the same URL, or from the node itself, to the node."""
        chain = self._chain_from_its_like(node)
        if chain is None:
            return None
        closing = min(found.place for found in node.active if found.parent == chain[-2])
        return CycleError(
            f"packs own each other in a circle: {' -> '.join(chain)} ({node.url.redacted}, declared at {closing})",
            hint="Remove one of these children; a pack that only needs another one says depends_on.",
            details={"chain": chain, "place": closing},
        )

    def _chain_from_its_like(self, node: Node) -> list[str] | None:
        identities = {self._identity(found.url) for found in node.active}
        below: dict[str, str] = {}
        level = [node.path]
        while level:
            above: list[str] = []
            for path in level:
                for parent in self.nodes[path].parents:
                    if parent == ROOT or parent in below:
                        continue
                    below[parent] = path
                    if parent == node.path or self._identity(self.nodes[parent].url) in identities:
                        chain = [parent, path]
                        while chain[-1] != node.path:
                            chain.append(below[chain[-1]])
                        return chain
                    above.append(parent)
            level = sorted(above)
        return None
