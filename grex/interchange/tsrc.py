"""`manifest.yml` of tsrc.

    repos:
      - {dest: libs/foo, url: git@host:foo.git, branch: next}
      - dest: bar
        remotes: [{name: origin, url: ...}, {name: upstream, url: ...}]
        tag: v1
        copy: [{file: top.mk, dest: Makefile}]
        symlink: [{source: tool, target: bar/tool.sh}]
    groups:
      default: {repos: [libs/foo]}
      all: {repos: [bar], includes: [default]}

Described at https://your-tools.github.io/tsrc/ref/manifest-config/. Of `sha1`, `tag` and `branch` (by default
`master`) the first that is there counts; of several remotes the first one is cloned. Where a group `default` is
declared, tsrc clones that one unless told otherwise: here all others are off.
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping

from msgspec.structs import replace

from grex.interchange.packs import Imported, ImportedPack, Link, Said, said, text_of, unique
from grex.interchange.source import Files, Source
from grex.pack import Node, Problems, read_yaml
from grex.pack.fields import read_list, read_mapping
from grex.pack.problems import quoted

__all__ = ["parse_tsrc"]

_KEYS = ("branch", "copy", "dest", "ignore_submodules", "remotes", "sha1", "symlink", "tag", "url")
_TOP_KEYS = ("github_enterprise", "gitlab", "groups", "repos")
_DEFAULT_BRANCH = "master"
_DEFAULT_GROUP = "default"
_NO_GROUP = "ungrouped"


def parse_tsrc(source: Source, files: Files, problems: Problems) -> Imported:
    """The repositories of a tsrc manifest, with the groups that each is in."""
    del files
    root = read_yaml(source.data, file=source.file, problems=problems)
    if root is None:
        return Imported()
    notes: list[str] = []
    entries = read_mapping(root, "the file", problems) or {}
    left = sorted(key for key in entries if key not in _TOP_KEYS)
    if left:
        notes.append(f"{source.file}: {', '.join(map(quoted, left))} is not taken over")
    repos = root.get("repos")
    if repos is None:
        problems.add(root, "there is no 'repos'", "list the repositories below this key")
        return Imported()
    packs = [
        pack for item in read_list(repos, "repos", problems) or () if (pack := _repo(item, problems, notes)) is not None
    ]
    listed = root.get("groups")
    groups = {} if listed is None else _groups(listed, {pack.path for pack in packs}, problems)
    packs = [replace(pack, groups=tuple(name for name in groups if pack.path in groups[name])) for pack in packs]
    off: tuple[str, ...] = ()
    if _DEFAULT_GROUP in groups:
        # A repository in no group has to be in one to be off.
        packs = [pack if pack.groups else replace(pack, groups=(_NO_GROUP,)) for pack in packs]
        off = unique(group for pack in packs for group in pack.groups if group != _DEFAULT_GROUP)
    return Imported(tuple(packs), off, tuple(notes))


def _repo(item: Node, problems: Problems, notes: list[str]) -> ImportedPack | None:
    entries = read_mapping(item, "a repository", problems)
    if entries is None:
        return None
    left = sorted(key for key in entries if key not in _KEYS)
    if left:
        notes.append(f"{item.mark}: {', '.join(map(quoted, left))} is not taken over")
    if "dest" not in entries:
        problems.add(item, "a repository needs 'dest'", "give the directory it goes into")
        return None
    dest = said(entries["dest"].node, "dest", problems)
    remotes = _remotes(item, problems)
    if dest is None or not remotes:
        return None
    (_, url), *others = remotes
    key = next((key for key in ("sha1", "tag", "branch") if key in entries), None)
    ref = said(entries[key].node, key, problems, notes) if key is not None else None
    if key is not None and ref is None:
        return None
    marks = {"path": dest.mark, "url": url.mark, **({"ref": ref.mark} if ref else {})}
    named = "refs/tags/" + ref.text if ref is not None and key == "tag" else ref.text if ref else _DEFAULT_BRANCH
    return ImportedPack(
        path=dest.text,
        url=url.text,
        ref=named,
        mark=item.mark,
        remotes={name.text: other.text for name, other in others},
        submodules=not _is_true(item.get("ignore_submodules")),
        links=_links(item, dest.text, problems),
        marks=marks,
    )


def _is_true(node: Node | None) -> bool:
    return node is not None and node.value is True


def _remotes(item: Node, problems: Problems) -> list[tuple[Said, Said]]:
    url, listed = item.get("url"), item.get("remotes")
    if url is not None and listed is None:
        address = said(url, "url", problems)
        return [] if address is None else [(Said("origin", url.mark), address)]
    if url is not None or listed is None:
        problems.add(item, "a repository has either 'url' or 'remotes'", "write one of the two")
        return []
    found: list[tuple[Said, Said]] = []
    for remote in read_list(listed, "remotes", problems) or ():
        parts = [remote.get("name"), remote.get("url")]
        texts = [said(part, "a remote's name and url", problems) for part in parts if part is not None]
        if len(texts) != len(parts):
            problems.add(remote, "a remote needs 'name' and 'url'", "as in '{name: origin, url: ...}'")
        elif texts[0] is not None and texts[1] is not None:
            found.append((texts[0], texts[1]))
    if not found and not listed.is_unreadable:
        problems.add(listed, "there is no remote", "list at least one")
    return found


def _links(item: Node, dest: str, problems: Problems) -> tuple[Link, ...]:
    found: list[Link] = []
    for entry in _items(item, "copy", problems):
        src, to = _pair(entry, "file", "dest", problems, second_is_first=True)
        if src is not None and to is not None:
            found.append(Link("copy", posixpath.normpath(f"{dest}/{src}"), posixpath.normpath(to), entry.mark))
    for entry in _items(item, "symlink", problems):
        # `target` is what the link says, so it starts where the link lies.
        link, target = _pair(entry, "source", "target", problems)
        if link is not None and target is not None:
            leads_to = posixpath.normpath(posixpath.join(posixpath.dirname(link), target))
            found.append(Link("symlink", leads_to, posixpath.normpath(link), entry.mark))
    return tuple(found)


def _items(item: Node, key: str, problems: Problems) -> tuple[Node, ...]:
    node = item.get(key)
    return () if node is None else read_list(node, key, problems) or ()


def _pair(
    entry: Node, first: str, second: str, problems: Problems, *, second_is_first: bool = False
) -> tuple[str | None, str | None]:
    one, other = entry.get(first), entry.get(second)
    if one is None or (other is None and not second_is_first):
        problems.add(entry, f"this needs {first!r} and {second!r}", "write both")
        return None, None
    text = text_of(one, first, problems)
    return text, text if other is None else text_of(other, second, problems)


def _groups(node: Node, dests: set[str], problems: Problems) -> dict[str, set[str]]:
    """The destinations of each group, those of the groups that it includes among them."""
    direct: dict[str, set[str]] = {}
    includes: dict[str, list[str]] = {}
    for name, entry in (read_mapping(node, "groups", problems) or {}).items():
        direct[name] = set()
        for item in _items(entry.node, "repos", problems):
            dest = text_of(item, "a repository of a group", problems)
            if dest is not None and dest not in dests:
                problems.add(item, f"the group {quoted(name)} has {quoted(dest)}, which is no 'dest'", "correct it")
            elif dest is not None:
                direct[name].add(dest)
        wanted = [(item, text_of(item, "a group", problems)) for item in _items(entry.node, "includes", problems)]
        includes[name] = [text for _, text in wanted if text is not None]
    for name, entry in (read_mapping(node, "groups", problems) or {}).items():
        for other in includes[name]:
            if other not in direct:
                problems.add(
                    entry.mark, f"the group {quoted(name)} includes {quoted(other)}, which is none", "correct it"
                )
    return {name: _closure(name, direct, includes) for name in direct}


def _closure(name: str, direct: Mapping[str, set[str]], includes: Mapping[str, list[str]]) -> set[str]:
    found: set[str] = set()
    waiting, seen = [name], {name}
    while waiting:
        group = waiting.pop()
        found |= direct.get(group, set())
        waiting += [other for other in includes.get(group, []) if other not in seen]
        seen.update(includes.get(group, []))
    return found
