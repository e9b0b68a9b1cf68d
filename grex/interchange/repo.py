"""The XML manifests of Google's `repo`.

Described at https://gerrit.googlesource.com/git-repo/+/HEAD/docs/manifest-format.md. One thing there is not as repo
does it: `.git` is not put behind a project's URL, which is the remote's `fetch`, a slash, and the project's name.

- A relative `fetch` is joined to the URL that the manifest itself came from, as a browser joins links: `..` goes up
  from the directory that the manifest's repository lies in. In the scp form the part up to the first slash is the host.
- Remotes and the default count wherever they stand in the files; projects, `extend-project` and `remove-project` in
  their order, an `include` in its place. `local_manifests` come last.
- `notdefault`: repo checks out the projects that are in one of the groups `default` (all without `notdefault`) and
  `platform-<this one>`. Where any project says `notdefault`, that is said here by groups that are off.
- `copyfile` and `linkfile` are the root's business: see `grex.engine.declaring`.
"""

from __future__ import annotations

import posixpath
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

from msgspec import Struct, field
from msgspec.structs import replace

from grex.interchange.packs import Imported, ImportedPack, Link, short_ref, unique
from grex.interchange.source import Files, MissingFileError, Source, Tree, Wanted
from grex.interchange.xml_tree import Element, read_xml
from grex.pack import Problems
from grex.pack.problems import quoted

__all__ = ["parse_repo"]

_MAX_DEPTH = 20  # of includes
_PLATFORMS = {"linux": "linux", "macos": "darwin", "windows": "windows"}
_GLOB = re.compile(r"[*?\[]")
_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://|/|[^/]+:")
_AUTHORITY = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*://[^/]*|[^/:]+:[^/]*)?(.*)", re.DOTALL)
_NOTED = {
    "annotation": "annotations",
    "contactinfo": "contact information",
    "manifest-server": "the manifest server",
    "repo-hooks": "the hooks of repo",
    "submanifest": "submanifests",
    "superproject": "the superproject",
}
_NOTED_ATTRIBUTES = ("upstream", "dest-branch")
_KNOWN = frozenset({"default", "extend-project", "include", "notice", "project", "remote", "remove-project", *_NOTED})


class _Remote(Struct, frozen=True):
    element: Element
    fetch: str
    revision: str | None
    push: str | None


class _Project(Struct):
    name: str
    path: str
    element: Element
    remote: str | None
    revision: str | None
    groups: tuple[str, ...]
    depth: int | None
    submodules: bool
    links: list[Link] = field(default_factory=list)


def parse_repo(source: Source, files: Files, problems: Problems) -> Imported:
    """The projects of a manifest with everything that it includes.

    Raises:
        MissingFileError: it includes a file that is not among the given ones.
    """
    reading = _Reading(source, files, problems)
    for file, data in ((source.file, source.data), *source.further):
        reading.add(file, data)
    return reading.result()


class _Reading:
    def __init__(self, source: Source, files: Files, problems: Problems) -> None:
        self._source = source
        self._files = files
        self._problems = problems
        self._elements: list[tuple[Element, tuple[str, ...], str | None]] = []
        self._remotes: dict[str, _Remote] = {}
        self._default: Element | None = None
        self._projects: list[_Project] = []
        self._lost: Counter[str] = Counter()
        self._notes: list[str] = []

    # --- the files -----------------------------------------------------------------------------------------------

    def add(
        self, file: str, data: bytes, *, groups: tuple[str, ...] = (), revision: str | None = None, depth: int = 0
    ) -> None:
        """Take in a file; what it includes comes in the place of the include."""
        root = read_xml(data, file=file, problems=self._problems)
        if root is None:
            return
        if root.tag != "manifest":
            self._problems.add(
                root.mark, f"the root element is <{quoted(root.tag)}>", "begin a manifest with <manifest>"
            )
            return
        for element in root.children:
            if element.tag != "include":
                self._elements.append((element, groups, revision))
                continue
            name = element.get("name")
            if name is None:
                self._problems.add(element.mark, "an include needs 'name'", "give the path of a manifest")
            elif depth >= _MAX_DEPTH:
                self._problems.add(
                    element.mark, f"includes are nested deeper than {_MAX_DEPTH}", "look whether they go in a circle"
                )
            else:
                wanted = Wanted(Tree(), name)
                if wanted not in self._files:
                    raise MissingFileError(wanted, str(element.mark))
                found = self._files[wanted]
                if not found:
                    self._problems.add(
                        element.mark, f"there is no file {quoted(name)}", "give its path from the manifest's repository"
                    )
                for path, content in found:
                    self.add(
                        path,
                        content,
                        groups=(*groups, *_groups(element)),
                        revision=element.get("revision") or revision,
                        depth=depth + 1,
                    )

    # --- the elements --------------------------------------------------------------------------------------------

    def result(self) -> Imported:
        for element, _, _ in self._elements:
            if element.tag == "remote":
                self._read_remote(element)
            elif element.tag == "default":
                self._read_default(element)
        for element, groups, revision in self._elements:
            if element.tag == "project":
                self._read_project(element, groups, revision, None)
            elif element.tag == "extend-project":
                self._extend(element)
            elif element.tag == "remove-project":
                self._remove(element)
            elif element.tag in _NOTED:
                self._lost[_NOTED[element.tag]] += 1
            elif element.tag not in _KNOWN:
                self._notes.append(
                    f"{element.mark}: the element {quoted(element.tag)} is not known, and not taken over"
                )
        packs = [pack for project in self._projects if (pack := self._pack(project)) is not None]
        packs, off = _with_default_group(packs, self._source.platform)
        for what, count in sorted(self._lost.items()):
            self._notes.append(f"{what} ({count} {'time' if count == 1 else 'times'}): not taken over")
        return Imported(tuple(packs), off, tuple(self._notes))

    def _read_remote(self, element: Element) -> None:
        name, fetch = element.get("name"), element.get("fetch")
        if name is None or fetch is None:
            self._problems.add(element.mark, "a remote needs 'name' and 'fetch'", "write both")
            return
        joined = self._joined(fetch, element)
        if joined is None:
            return
        push = element.get("pushurl")
        remote = _Remote(
            element, joined, element.get("revision"), None if push is None else self._joined(push, element)
        )
        first = self._remotes.setdefault(name, remote)
        if first.element.attributes != element.attributes:
            self._problems.add(
                element.mark,
                f"the remote {quoted(name)} is there already, and is another one",
                f"the first is {first.element.mark.seen_from(element.mark)}",
            )

    def _read_default(self, element: Element) -> None:
        first = self._default
        if first is None or not first.attributes:
            self._default = element
        elif element.attributes and first.attributes != element.attributes:
            self._problems.add(
                element.mark,
                "a second default says something else",
                f"the first is {first.mark.seen_from(element.mark)}",
            )

    def _read_project(
        self, element: Element, groups: tuple[str, ...], revision: str | None, parent: _Project | None
    ) -> None:
        name = element.get("name")
        if name is None:
            self._problems.add(element.mark, "a project needs 'name'", "give its repository below the remote's 'fetch'")
            return
        path = element.get("path") or name
        depth = element.get("clone-depth")
        if depth is not None and re.fullmatch(r"[1-9][0-9]{0,8}", depth, re.ASCII) is None:
            self._problems.add(element.mark, f"clone-depth is {quoted(depth)}", "write a whole number, at least 1")
            depth = None
        inherited = () if parent is None else parent.groups
        project = _Project(
            name=name if parent is None else f"{parent.name}/{name}",
            path=path if parent is None else f"{parent.path}/{path}",
            element=element,
            remote=element.get("remote") or (parent.remote if parent is not None else None),
            revision=element.get("revision") or revision or (parent.revision if parent is not None else None),
            groups=unique((*inherited, *groups, *_groups(element))),
            depth=None if depth is None else int(depth),
            submodules=(element.get("sync-s") or self._of_default("sync-s") or "").lower() in ("true", "yes", "1"),
        )
        self._projects.append(project)
        self._note_attributes(element)
        for child in element.children:
            match child.tag:
                case "copyfile":
                    self._read_link(project, child, "copy")
                case "linkfile":
                    self._read_link(project, child, "symlink")
                case "project":
                    self._read_project(child, groups, revision, project)
                case tag:
                    self._lost[_NOTED.get(tag, f"the element {quoted(tag)}")] += 1

    def _read_link(self, project: _Project, element: Element, kind: Literal["copy", "symlink"]) -> None:
        src, dest = element.get("src"), element.get("dest")
        if src is None or dest is None:
            self._problems.add(element.mark, f"a {element.tag} needs 'src' and 'dest'", "write both")
        elif kind == "symlink" and _GLOB.search(src):
            self._notes.append(f"{element.mark}: {project.path}: a linkfile with a pattern is not taken over")
        elif posixpath.normpath(src).startswith(("../", "/")) or src == "..":
            self._problems.add(element.mark, f"{quoted(src)} lies outside of the project", "give a file of the project")
        else:
            project.links.append(
                Link(kind, posixpath.normpath(f"{project.path}/{src}"), posixpath.normpath(dest), element.mark)
            )

    def _extend(self, element: Element) -> None:
        name = element.get("name")
        if name is None:
            self._problems.add(element.mark, "an extend-project needs 'name'", "give that of a project")
            return
        named = [project for project in self._projects if project.name == name]
        if not named:
            self._problems.add(element.mark, f"there is no project {quoted(name)} to extend", "declare it before this")
        path = element.get("path")
        for project in named:
            if path is not None and project.path != path:
                continue
            project.groups = unique((*project.groups, *_groups(element)))
            project.revision = element.get("revision") or project.revision
            project.remote = element.get("remote") or project.remote
            moved = element.get("dest-path")
            if moved is not None:
                project.links = [
                    replace(link, src=moved + link.src.removeprefix(project.path)) for link in project.links
                ]
                project.path = moved
            for child in element.children:
                if child.tag in ("copyfile", "linkfile"):
                    self._read_link(project, child, "copy" if child.tag == "copyfile" else "symlink")
        self._note_attributes(element)

    def _remove(self, element: Element) -> None:
        name, path = element.get("name"), element.get("path")
        if name is None and path is None:
            self._problems.add(element.mark, "a remove-project needs 'name' or 'path'", "give that of a project")
            return
        kept = [
            project
            for project in self._projects
            if (name is not None and project.name != name) or (path is not None and project.path != path)
        ]
        if len(kept) == len(self._projects) and (element.get("optional") or "").lower() not in ("true", "yes", "1"):
            self._problems.add(
                element.mark, f"there is no project {quoted(name or path or '')} to remove", "declare it before this"
            )
        self._projects = kept

    def _note_attributes(self, element: Element) -> None:
        for name in _NOTED_ATTRIBUTES:
            if element.get(name) is not None:
                self._lost[f"the attribute '{name}'"] += 1

    def _of_default(self, attribute: str) -> str | None:
        return None if self._default is None else self._default.get(attribute)

    # --- a project as a pack -------------------------------------------------------------------------------------

    def _pack(self, project: _Project) -> ImportedPack | None:
        mark = project.element.mark
        named = project.remote or self._of_default("remote")
        remote = self._remotes.get(named) if named is not None else None
        if remote is None:
            what = (
                "has no remote, and there is no default"
                if named is None
                else f"has the remote {quoted(named)}, which is none"
            )
            if named is None or not self._is_refused(named):
                self._problems.add(mark, f"the project {quoted(project.name)} {what}", "declare it with <remote>")
            return None
        revision = project.revision or remote.revision or self._of_default("revision")
        if revision is None:
            self._problems.add(
                mark, f"the project {quoted(project.name)} has no revision", "give one to it, its remote or the default"
            )
            return None
        return ImportedPack(
            path=project.path,
            url=f"{remote.fetch}/{project.name}",
            ref=short_ref(revision),
            mark=mark,
            groups=project.groups,
            depth=project.depth,
            remotes={} if remote.push is None else {"push": f"{remote.push}/{project.name}"},
            submodules=project.submodules,
            links=tuple(project.links),
        )

    def _is_refused(self, name: str) -> bool:
        """Whether a remote of this name is declared and was complained about already."""
        return any(element.tag == "remote" and element.get("name") == name for element, _, _ in self._elements)

    def _joined(self, fetch: str, element: Element) -> str | None:
        """A `fetch` in full, without a slash at its end."""
        if _ABSOLUTE.match(fetch):
            return fetch.rstrip("/") or "/"
        base = self._source.own.url if self._source.own is not None else None
        if base is None:
            self._problems.add(
                element.mark,
                f"{quoted(fetch)} starts where the manifest came from, and it lies in no repository with an origin",
                "import it from a clone of its repository, or give that one's URL with --manifest-url",
            )
            return None
        match = _AUTHORITY.match(base.rstrip("/"))
        head, path = (match[1] or "", match[2]) if match is not None else ("", base)
        joined = posixpath.normpath(posixpath.join("/", posixpath.dirname(path), fetch))
        return f"{head}{'' if joined == '/' else joined}"


def _groups(element: Element) -> tuple[str, ...]:
    text = element.get("groups") or ""
    return tuple(group for group in re.split(r"[,\s]+", text) if group)


def _with_default_group(packs: Sequence[ImportedPack], platform: str) -> tuple[list[ImportedPack], tuple[str, ...]]:
    """Say by groups that are off what `notdefault` means to repo; without one, nothing is off."""
    if not any("notdefault" in pack.groups for pack in packs):
        return list(packs), ()
    on = {"default", f"platform-{_PLATFORMS.get(platform, platform)}"}
    changed = [
        replace(pack, groups=("default", *pack.groups))
        if pack.groups and "notdefault" not in pack.groups and "default" not in pack.groups
        else pack
        for pack in packs
    ]
    return changed, tuple(sorted({group for group in _all_groups(changed) if group not in on}))


def _all_groups(packs: Iterable[ImportedPack]) -> Iterator[str]:
    for pack in packs:
        yield from pack.groups
