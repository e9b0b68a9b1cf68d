"""`.repos` of vcstool and vcs2l, and the rosinstall lists that they read as well.

    repositories:
      ament/ament_cmake: {type: git, url: https://github.com/ament/ament_cmake.git, version: rolling}

Described at https://github.com/ros-infrastructure/vcs2l (README, "Export set of repositories"); a rosinstall list has
`- git: {local-name: PATH, uri: URL, version: REF}` instead. Without a version the remote's HEAD is meant. A
repository of another kind than git is reported, and nothing is imported: a tree with holes in it is not what was
asked for.
"""

from __future__ import annotations

from collections.abc import Sequence

from grex.interchange.packs import Imported, ImportedPack, said, short_ref, text_of
from grex.interchange.source import Files, Source
from grex.interchange.tree import Exported, ResolvedPack, scalar
from grex.pack import Node, Problems, read_yaml
from grex.pack.fields import read_list, read_mapping
from grex.pack.problems import Mark, quoted

__all__ = ["parse_vcs", "render_vcs"]

_KEYS = ("type", "uri", "url", "version", "local-name")


def parse_vcs(source: Source, files: Files, problems: Problems) -> Imported:
    """The repositories of a `.repos` or rosinstall file."""
    del files  # it names no others
    root = read_yaml(source.data, file=source.file, problems=problems)
    if root is None:
        return Imported()
    notes: list[str] = []
    packs: list[ImportedPack] = []
    if isinstance(root.value, tuple):
        for item in read_list(root, "the file", problems) or ():
            for kind, entry in (read_mapping(item, "a repository", problems) or {}).items():
                path = entry.node.get("local-name")
                if path is None:
                    problems.add(entry.mark, "a repository needs 'local-name'", "give the directory it goes into")
                    continue
                text = text_of(path, "local-name", problems)
                if text is not None:
                    packs += _repository(text, path.mark, kind, entry.node, problems, notes)
        return Imported(tuple(packs), notes=tuple(notes))
    listed = root.get("repositories")
    if listed is None:
        problems.add(root, "there is no 'repositories'", "list the repositories below this key")
        return Imported()
    if listed.value is None:
        return Imported(notes=("the list of repositories is empty",))
    for path_text, entry in (read_mapping(listed, "repositories", problems) or {}).items():
        kind_node = entry.node.get("type")
        kind_text = "git" if kind_node is None else text_of(kind_node, "type", problems)
        if kind_node is None and not entry.node.is_unreadable:
            problems.add(entry.mark, f"{quoted(path_text)} has no 'type'", "write 'type: git'")
        elif kind_text is not None:
            packs += _repository(path_text, entry.mark, kind_text, entry.node, problems, notes)
    return Imported(tuple(packs), notes=tuple(notes))


def _repository(
    path: str, mark: Mark, kind: str, node: Node, problems: Problems, notes: list[str]
) -> list[ImportedPack]:
    entries = read_mapping(node, f"the repository {quoted(path)}", problems)
    if entries is None:
        return []
    if kind != "git":
        problems.add(
            mark, f"{quoted(path)} is a repository of type {quoted(kind)}", "grex keeps git repositories: take it out"
        )
        return []
    url_entry = entries.get("url") or entries.get("uri")
    if url_entry is None:
        problems.add(mark, f"{quoted(path)} has no 'url'", "write it as in 'url: https://host/path'")
        return []
    url = said(url_entry.node, "url", problems)
    version = entries.get("version")
    has_version = version is not None and version.node.value is not None
    ref = said(version.node, "version", problems, notes) if version is not None and has_version else None
    left = sorted(key for key in entries if key not in _KEYS)
    if left:
        notes.append(f"{mark}: {path}: {', '.join(map(quoted, left))} is not taken over")
    if url is None or (has_version and ref is None):
        return []
    marks = {"path": mark, "url": url.mark, **({"ref": ref.mark} if ref else {})}
    return [ImportedPack(path, url.text, short_ref(ref.text) if ref else None, mark, marks=marks)]


def render_vcs(packs: Sequence[ResolvedPack]) -> Exported:
    """A `.repos` file of these packs, and what it leaves out."""
    lines = ["repositories:"] if packs else ["repositories: {}"]
    notes: list[str] = []
    for pack in packs:
        lines += [f"  {scalar(pack.path)}:", "    type: git", f"    url: {scalar(pack.url)}"]
        if pack.ref is not None:
            lines.append(f"    version: {scalar(short_ref(pack.ref).removeprefix('refs/tags/'))}")
        lost = [key for key in ("groups", "depth", "filter", "sparse", "submodules", "remotes") if getattr(pack, key)]
        if lost:
            notes.append(f"{pack.path}: {', '.join(lost)} cannot be said in a .repos file")
    return Exported("\n".join(lines) + "\n", tuple(notes))
