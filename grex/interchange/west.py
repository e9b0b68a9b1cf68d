"""`west.yml` of west, the tool of Zephyr.

Described at https://docs.zephyrproject.org/latest/develop/west/manifest.html. Where the page leaves room, what west 1.5
does counts:

- In the resolved list come first the projects that `self: import` brings, then those of `projects`, then what those
  import, in their order; of two projects of one name the first counts, also for what it imports.
- A map of an `import` filters by names and by patterns of paths. Allow wins over block, and with an allowlist all else
  is out. Filters and prefixes of imports inside imports add up. The prefix stands before the importing project too.
- `group-filter`: the filters of what was imported count first, later ones (nearer to the top) win.
- `revision` is `master` by default, whatever the remote says.

The manifest's own repository is a pack like others (`self: path`, by default where it lies), unless it is the workspace
itself.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

from msgspec import Struct
from msgspec.structs import replace

from grex.interchange.packs import Imported, ImportedPack, Said, said, short_ref, text_of
from grex.interchange.source import Files, MissingFileError, Source, Tree, Wanted
from grex.interchange.west_imports import Filter, Import, read_imports
from grex.pack import Mark, Node, Problems, read_yaml
from grex.pack.fields import read_bool, read_int, read_list, read_mapping
from grex.pack.problems import quoted

__all__ = ["parse_west"]

_DEFAULT_REVISION = "master"
_MAX_DEPTH = 20  # of imports inside imports
_PROJECT_KEYS = (
    *("clone-depth", "description", "groups", "import", "name", "path", "remote", "repo-path", "revision"),
    *("submodules", "url", "userdata", "west-commands"),
)
_MANIFEST_KEYS = ("defaults", "group-filter", "projects", "remotes", "self", "version")
_NOTED = ("userdata", "west-commands")


class _Context(Struct, frozen=True):
    """From where, and under which restrictions, a manifest is read."""

    tree: Tree
    filters: tuple[Filter, ...] = ()
    prefix: PurePosixPath = PurePosixPath()
    depth: int = 0


def parse_west(source: Source, files: Files, problems: Problems) -> Imported:
    """The projects of a manifest with everything that it imports.

    Raises:
        MissingFileError: it imports from a project or a file that is not among the given ones.
    """
    reading = _Reading(source, files, problems)
    reading.load(source.data, source.file, _Context(Tree()))
    return reading.result()


class _Reading:
    def __init__(self, source: Source, files: Files, problems: Problems) -> None:
        self._source = source
        self._files = files
        self._problems = problems
        self._projects: dict[str, ImportedPack] = {}
        self._group_filters: deque[list[str]] = deque()
        self._lost: Counter[str] = Counter()
        self._notes: list[str] = []
        self._self: ImportedPack | None = None

    def result(self) -> Imported:
        off: set[str] = set()
        for chosen in self._group_filters:
            for item in chosen:
                (off.add if item[0] == "-" else off.discard)(item[1:])
        for what, count in sorted(self._lost.items()):
            self._notes.append(f"{what} ({count} {'time' if count == 1 else 'times'}): not taken over")
        own = () if self._self is None else (self._self,)
        return Imported((*own, *self._projects.values()), tuple(sorted(off)), tuple(self._notes))

    def load(self, data: bytes, file: str, context: _Context) -> None:
        """Take in one manifest file."""
        root = read_yaml(data, file=file, problems=self._problems)
        if root is None:
            return
        manifest = root.get("manifest")
        if manifest is None:
            self._problems.add(root, "there is no 'manifest'", "write everything below this key")
            return
        if read_mapping(manifest, "manifest", self._problems) is None:
            return
        self._note_unknown(manifest, _MANIFEST_KEYS)
        self._load_self(manifest, context)
        self._load_group_filter(manifest)
        self._load_projects(manifest, context)

    def _note_unknown(self, node: Node, known: Sequence[str]) -> None:
        for key, entry in (node.value if isinstance(node.value, Mapping) else {}).items():
            if key not in known:
                self._notes.append(f"{entry.mark}: {quoted(key)} is not taken over")

    # --- self ----------------------------------------------------------------------------------------------------

    def _load_self(self, manifest: Node, context: _Context) -> None:
        node = manifest.get("self")
        if context == _Context(Tree()):
            self._declare_own(manifest if node is None else node, None if node is None else node.get("path"))
        if node is None or node.value is None:
            return
        for key in _NOTED:
            if node.get(key) is not None:
                self._lost[key] += 1
        imported = node.get("import")
        if imported is None:
            return
        if isinstance(imported.value, bool):
            self._problems.add(imported, "an import of the manifest's own repository names no file", "give a path")
            return
        for wanted in read_imports(imported, self._problems):
            self._import(wanted, context.tree, context)

    def _declare_own(self, place: Node, path: Node | None) -> None:
        """The manifest's own repository is a pack as well, if it is known where it comes from and where it belongs."""
        own = self._source.own
        said_path = None if path is None else said(path, "self: path", self._problems)
        where = said_path.text if said_path is not None else own.path if own is not None else None
        if own is not None and own.path == "":
            self._notes.append("the manifest's own repository is the workspace itself, and so no pack in it")
        elif own is None or own.url is None or not where:
            self._notes.append(
                "the manifest's own repository is not declared: where it comes from, or where it belongs, is not known"
            )
        else:
            mark = place.mark if said_path is None else said_path.mark
            self._self = ImportedPack(where, own.url, own.ref, mark)

    # --- groups --------------------------------------------------------------------------------------------------

    def _load_group_filter(self, manifest: Node) -> None:
        node = manifest.get("group-filter")
        if node is None:
            return
        chosen: list[str] = []
        for item in read_list(node, "group-filter", self._problems) or ():
            text = text_of(item, "an item of group-filter", self._problems)
            # A bare -1 is a number to YAML.
            if text is not None and (text[0] not in "+-" or len(text) == 1):
                self._problems.add(item, f"{quoted(text)} is no group filter", "write it as in '-GROUP' or '+GROUP'")
            elif text is not None:
                chosen.append(text)
        self._group_filters.appendleft(chosen)

    # --- projects ------------------------------------------------------------------------------------------------

    def _load_projects(self, manifest: Node, context: _Context) -> None:
        bases = self._read_remotes(manifest)
        defaults = manifest.get("defaults")
        remote = None if defaults is None else defaults.get("remote")
        revision = None if defaults is None else defaults.get("revision")
        default_remote = None if remote is None else said(remote, "defaults: remote", self._problems)
        default_revision = (
            None if revision is None else said(revision, "defaults: revision", self._problems, self._notes)
        )
        if default_remote is not None and default_remote.text not in bases:
            self._problems.add(
                default_remote.mark,
                f"the remote {quoted(default_remote.text)} is not declared",
                "declare it below 'remotes'",
            )
            return
        listed = manifest.get("projects")
        seen: dict[str, Mark] = {}
        imports: list[tuple[ImportedPack, Node]] = []
        for item in (
            () if listed is None or listed.value is None else read_list(listed, "projects", self._problems) or ()
        ):
            found = self._read_project(item, bases, default_remote, default_revision, context)
            if found is None:
                continue
            name, pack = found
            if not all(chosen.lets_in(name, pack.path) for chosen in context.filters):
                continue
            if name in seen:
                first = seen[name].seen_from(item.mark)
                self._problems.add(item, f"the project {quoted(name)} stands here twice", f"the first is {first}")
                continue
            seen[name] = item.mark
            if name in self._projects:
                continue  # the first definition counts
            self._projects[name] = pack
            wanted = item.get("import")
            if wanted is not None and wanted.value not in (None, False):
                imports.append((pack, wanted))
        for pack, node in imports:
            self._import_from_project(pack, node, context)

    def _read_remotes(self, manifest: Node) -> dict[str, str]:
        bases: dict[str, str] = {}
        node = manifest.get("remotes")
        for item in () if node is None or node.value is None else read_list(node, "remotes", self._problems) or ():
            name, base = item.get("name"), item.get("url-base")
            if name is None or base is None:
                self._problems.add(item, "a remote needs 'name' and 'url-base'", "write both")
                continue
            texts = text_of(name, "name", self._problems), text_of(base, "url-base", self._problems)
            if texts[0] is not None and texts[1] is not None:
                bases[texts[0]] = texts[1]
        return bases

    def _read_project(
        self, item: Node, bases: Mapping[str, str], remote: Said | None, revision: Said | None, context: _Context
    ) -> tuple[str, ImportedPack] | None:
        problems = self._problems
        if read_mapping(item, "a project", problems) is None:
            return None
        self._note_unknown(item, _PROJECT_KEYS)
        name_node = item.get("name")
        name = None if name_node is None else said(name_node, "name", problems)
        if name_node is None:
            problems.add(item, "a project needs 'name'", "write it as in 'name: hal_stm32'")
        if name is None:
            return None
        if name.text == "manifest" or "/" in name.text or "\\" in name.text:
            problems.add(
                name.mark,
                f"{quoted(name.text)} cannot be the name of a project",
                "change that; west refuses it as well",
            )
            return None
        url = self._url(item, name, bases, remote)
        ref_node = item.get("revision")
        ref = revision if ref_node is None else said(ref_node, "revision", problems, self._notes)
        path_node = item.get("path")
        path = name if path_node is None else said(path_node, "path", problems)
        if url is None or path is None or (ref_node is not None and ref is None):
            return None
        imported = item.get("import")
        prefix = imported.get("path-prefix") if imported is not None else None
        own_prefix = "" if prefix is None or prefix.value == "" else text_of(prefix, "path-prefix", problems) or ""
        groups = self._groups(item)
        if groups and imported is not None and imported.value not in (None, False):
            problems.add(
                imported, f"{quoted(name.text)} has both 'groups' and 'import'", "change that; west refuses it as well"
            )
        depth = item.get("clone-depth")
        for key in _NOTED:
            if item.get(key) is not None:
                self._lost[key] += 1
        where = (context.prefix / own_prefix / path.text).as_posix()
        named = _DEFAULT_REVISION if ref is None else ref.text
        pack = ImportedPack(
            path=where,
            url=url.text,
            ref=None if named == "HEAD" else short_ref(named),
            mark=item.mark,
            groups=groups,
            depth=None if depth is None else read_int(depth, "clone-depth", problems, at_least=1),
            submodules=self._submodules(item, where),
            marks={"path": path.mark, "url": url.mark, **({"ref": ref.mark} if ref is not None else {})},
        )
        return name.text, pack

    def _url(self, item: Node, name: Said, bases: Mapping[str, str], default: Said | None) -> Said | None:
        problems = self._problems
        found = {key: item.get(key) for key in ("url", "remote", "repo-path")}
        texts = {key: said(node, key, problems) for key, node in found.items() if node is not None}
        if None in texts.values():
            return None
        url, remote, repo_path = texts.get("url"), texts.get("remote"), texts.get("repo-path")
        if url is not None:
            if remote is not None or repo_path is not None:
                other = remote or repo_path
                problems.add((other or url).mark, f"{quoted(name.text)} has a 'url' besides", "write one of the two")
                return None
            return url
        chosen = remote or default
        if chosen is None:
            problems.add(
                name.mark, f"{quoted(name.text)} has no 'url' and no 'remote'", "write one of them, or a default remote"
            )
            return None
        if chosen.text not in bases:
            problems.add(chosen.mark, f"the remote {quoted(chosen.text)} is not declared", "declare it below 'remotes'")
            return None
        return Said(f"{bases[chosen.text]}/{(repo_path or name).text}", name.mark)

    def _groups(self, item: Node) -> tuple[str, ...]:
        node = item.get("groups")
        texts = [
            text_of(one, "a group", self._problems)
            for one in (() if node is None or node.value is None else read_list(node, "groups", self._problems) or ())
        ]
        return tuple(dict.fromkeys(text for text in texts if text is not None))

    def _submodules(self, item: Node, path: str) -> bool:
        node = item.get("submodules")
        if node is None or node.value is None:
            return False
        if isinstance(node.value, tuple):
            self._notes.append(f"{node.mark}: {path}: all submodules are taken, where a few were named")
            return True
        return bool(read_bool(node, "submodules", self._problems))

    # --- imports -------------------------------------------------------------------------------------------------

    def _import_from_project(self, pack: ImportedPack, node: Node, context: _Context) -> None:
        tree = Tree(pack.url, pack.ref)
        for wanted in read_imports(node, self._problems):
            self._import(wanted, tree, context)

    def _import(self, wanted: Import, tree: Tree, context: _Context) -> None:
        if context.depth >= _MAX_DEPTH:
            self._problems.add(
                wanted.mark, f"imports are nested deeper than {_MAX_DEPTH}", "look whether they go in a circle"
            )
            return
        key = Wanted(tree, wanted.file)
        if key not in self._files:
            raise MissingFileError(key, str(wanted.mark))
        found = self._files[key]
        if not found:
            where = (
                "the manifest's repository" if tree.url is None else f"{quoted(tree.url)} at {tree.ref or 'its HEAD'}"
            )
            self._problems.add(wanted.mark, f"there is no {quoted(wanted.file)} in {where}", "correct the import")
        inner = replace(
            context,
            tree=tree,
            filters=(*context.filters, *([] if wanted.filter is None else [wanted.filter])),
            prefix=context.prefix / wanted.prefix,
            depth=context.depth + 1,
        )
        for name, data in found:
            self.load(data, name if tree.url is None else f"{tree.url.rstrip('/').rpartition('/')[2]}:{name}", inner)
