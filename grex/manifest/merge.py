"""Merging two people's changes to what is declared and to what was resolved, pack by pack instead of line by line.

git merges text: two people who both add a pack write behind the same last line, and git asks which of the two is
wanted, when both are. A pack is known by its path, so both files can be merged by that:

- the lockfile: for each path, the side that changed its line wins; the parents of a line are merged as a set. Where
  both came to the same commit, the rest is merged field by field; `ref` and `branch` are one, for one follows from the
  other. Of two commits none is taken: a line must not say of a ref what was found for another one;
- a pack.yaml: if git can merge the text, that is what both sides wrote, and it is taken. Where it cannot, the file of
  one side is taken, and to its lists (`children`, `overrides`) is done what the other side did to them, entry by entry
  and key by key. That is only done where the other side changed nothing else.

What both sides really changed, and differently, is a conflict, and left to a person.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct
from msgspec.structs import replace

from grex.errors import ManifestError
from grex.manifest.edit import copy_entry, copy_value, remove_child
from grex.manifest.lockfile import LockLine, parse_lockfile, render_lockfile
from grex.manifest.yaml_text import Node, Plain, YamlTextError, compose

__all__ = ["LOCKFILE_MARKER_SIZE", "MergedLockfile", "merge_lockfiles", "merge_pack_yaml"]

LOCKFILE_MARKER_SIZE = 7
_LISTS = ("children", "overrides")


class MergedLockfile(Struct, frozen=True):
    """A merged lockfile; `conflicts` are the paths whose lines stand in it twice, between git's markers."""

    data: bytes
    conflicts: tuple[str, ...] = ()


def merge_lockfiles(base: bytes, ours: bytes, theirs: bytes) -> MergedLockfile:
    """The lockfile that both sides come to.

    Args:
        base: the last one that both had; empty if there was none.
        ours: that of the branch that is merged into.
        theirs: that of the branch that is merged.

    Raises:
        LockfileError: one of them is damaged, or an unfinished merge itself.
        SchemaVersionError: a newer grex wrote one of them.
    """
    old, mine, other = (
        parse_lockfile(data, file=name) for data, name in ((base, "base"), (ours, "ours"), (theirs, "theirs"))
    )
    merged: dict[str, LockLine] = {}
    conflicts: dict[str, bytes] = {}
    for path in sorted({*mine, *other}):
        found = _merged_line(old.get(path), mine.get(path), other.get(path))
        if isinstance(found, LockLine):
            merged[path] = found
        elif found:
            conflicts[path] = _marked(mine.get(path), other.get(path))
    if not conflicts:
        return MergedLockfile(render_lockfile(merged.values()))
    pieces = {path: render_lockfile([line]) for path, line in merged.items()} | conflicts
    return MergedLockfile(b"".join(pieces[path] for path in sorted(pieces)), tuple(sorted(conflicts)))


def _merged_line(base: LockLine | None, ours: LockLine | None, theirs: LockLine | None) -> LockLine | bool:
    """The line; False if it goes, True for a conflict."""
    if ours is not None and theirs is not None:
        parents = _merged_parents(base, ours, theirs)
        rest = [None if line is None else replace(line, parents=()) for line in (base, ours, theirs)]
        if rest[1] == rest[2] or rest[2] == rest[0]:
            return replace(ours, parents=parents)
        if rest[1] == rest[0]:
            return replace(theirs, parents=parents)
        by_fields = _merged_fields(base, ours, theirs)
        return True if by_fields is None else replace(by_fields, parents=parents)
    changed = ours if ours is not None else theirs
    if base is None and changed is not None:
        return changed
    return changed != base  # one side took it away: the other may not have touched it


def _merged_fields(base: LockLine | None, ours: LockLine, theirs: LockLine) -> LockLine | None:
    """The line that two sides come to that agree on the commit; None for a conflict."""
    if base is None or ours.sha != theirs.sha:
        return None
    merged = ours
    for names in (("url",), ("ref", "branch"), ("type",)):
        old, mine, other = ([getattr(line, name) for name in names] for line in (base, ours, theirs))
        if mine == old:
            merged = replace(merged, **dict(zip(names, other, strict=True)))
        elif other not in (old, mine):
            return None
    return merged


def _merged_parents(base: LockLine | None, ours: LockLine, theirs: LockLine) -> tuple[str, ...]:
    old = set(base.parents) if base is not None else set[str]()
    mine, other = set(ours.parents), set(theirs.parents)
    return tuple(sorted((mine & other) | (mine - old) | (other - old)))


def _marked(ours: LockLine | None, theirs: LockLine | None) -> bytes:
    """Both lines between the markers that git writes; the lockfile's reader knows them."""
    mine, other = (b"" if line is None else render_lockfile([line]) for line in (ours, theirs))
    size = LOCKFILE_MARKER_SIZE
    return b"<" * size + b" ours\n" + mine + b"=" * size + b"\n" + other + b">" * size + b" theirs\n"


def merge_pack_yaml(base: str, ours: str, theirs: str, *, merged_text: str | None) -> str | None:
    """The pack.yaml that both sides come to; None where a person has to decide.

    Args:
        base: the last one that both had.
        ours: that of the branch that is merged into.
        theirs: that of the branch that is merged.
        merged_text: what a merge of lines gives, None where that is a conflict.
    """
    try:
        if merged_text is not None and not _repeats(merged_text):
            return merged_text
        old, mine, other = (_Parts.of(text) for text in (base, ours, theirs))
        if other.rest == old.rest:
            return _with_changes(ours, old, other, theirs)
        if mine.rest == old.rest:
            return _with_changes(theirs, old, mine, ours)
    except (YamlTextError, ManifestError, _ConflictError):
        return None
    return None


class _ConflictError(Exception):
    """Both sides changed one thing differently."""


class _Parts(Struct, frozen=True):
    """What a pack.yaml says: the entries of its lists by path, and everything else."""

    rest: list[tuple[Plain, Plain]]
    lists: Mapping[str, Mapping[str, Mapping[str, Plain]]]

    @classmethod
    def of(cls, text: str) -> _Parts:
        root = compose(text).root
        if root.kind != "mapping":
            raise YamlTextError("it is no mapping")
        rest = [(key.plain(), value.plain()) for key, value in root.pairs if key.text not in _LISTS]
        return cls(rest, {name: _entries(root, name) for name in _LISTS})


def _entries(root: Node, section: str) -> dict[str, dict[str, Plain]]:
    """The entries of a list by path, in order."""
    found = root.find(section)
    items = found[1].items if found is not None else []
    entries: dict[str, dict[str, Plain]] = {}
    for item in items:
        path = _path_of(item)
        if path in entries:
            raise YamlTextError(f"{path} is there twice")
        entries[path] = {key.text: value.plain() for key, value in item.pairs}
    return entries


def _path_of(item: Node) -> str:
    if item.kind != "mapping":
        raise YamlTextError("an entry is no mapping")
    for key in ("path", "url"):
        found = item.find(key)
        if found is not None and found[1].kind == "scalar":
            text = found[1].text
            return text.strip("/") if key == "path" else text.rstrip("/").rpartition("/")[2].removesuffix(".git")
    raise YamlTextError("an entry has neither path nor url")


def _repeats(text: str) -> bool:
    """Whether a merge of lines has given an entry twice: both sides have added it, in different places."""
    try:
        _Parts.of(text)
    except YamlTextError:
        return True
    return False


def _with_changes(text: str, base: _Parts, side: _Parts, side_text: str) -> str:
    """A text with what a side has done to the lists since `base`.

    Raises:
        _ConflictError: the text has changed the same thing differently.
        ManifestError: the text cannot be edited.
    """
    for section in _LISTS:
        old, new = base.lists[section], side.lists[section]
        for path in new:
            if path not in old:
                text = _added(text, side_text, section, path)
        for path in old:
            if path not in new:
                text = _removed(text, section, path, old[path])
            elif new[path] != old[path]:
                text = _changed(text, side_text, section, path, old[path], new[path])
    return text


def _index(text: str, section: str, path: str) -> int | None:
    entries = _entries(compose(text).root, section)
    return list(entries).index(path) if path in entries else None


def _added(text: str, side_text: str, section: str, path: str) -> str:
    here, there = _entries(compose(text).root, section), _entries(compose(side_text).root, section)
    if path in here:
        if here[path] == there[path]:
            return text
        raise _ConflictError
    index = _index(side_text, section, path)
    assert index is not None  # noqa: S101 - it was found there
    return copy_entry(side_text, index, text, file="pack.yaml", section=section)


def _removed(text: str, section: str, path: str, old: Mapping[str, Plain]) -> str:
    index = _index(text, section, path)
    if index is None:
        return text
    if _entries(compose(text).root, section)[path] != old:
        raise _ConflictError
    return remove_child(text, index, file="pack.yaml", section=section)


def _changed(
    text: str, side_text: str, section: str, path: str, old: Mapping[str, Plain], new: Mapping[str, Plain]
) -> str:
    index = _index(text, section, path)
    if index is None:
        raise _ConflictError
    here = _entries(compose(text).root, section)[path]
    source = _index(side_text, section, path)
    assert source is not None  # noqa: S101 - it was found there
    for key in (*new, *(key for key in old if key not in new)):
        if old.get(key) == new.get(key) or here.get(key) == new.get(key):
            continue
        if here.get(key) != old.get(key):
            raise _ConflictError
        text = copy_value(side_text, source, text, index, key, file="pack.yaml", section=section)
    return text
