"""What every format comes to: packs with their places, and what else there is to say.

A format's parser takes the values as the format means them; whether grex can have them is asked here, once for all
formats: paths, URLs, refs and groups by the rules of pack.yaml. What is refused is a problem at its own place.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from msgspec import Struct, field
from msgspec.structs import replace

from grex.names import InvalidUrlError, check_pack_path, check_ref, fold_key, is_group_name, parse_url, redact
from grex.pack import Mark, Node, Problems
from grex.pack.problems import quoted

__all__ = ["Imported", "ImportedPack", "Link", "Said", "fit_for_grex", "said", "short_ref", "text_of", "unique"]

_SOMEWHERE = Path("/")  # whether a relative URL is well formed does not depend on where it starts


class Said(NamedTuple):
    """A text and where it stands."""

    text: str
    mark: Mark


class Link(Struct, frozen=True):
    """A file of a pack that is to be elsewhere in the workspace as well; both paths are from the workspace root."""

    kind: Literal["copy", "symlink"]
    src: str
    dst: str
    mark: Mark


class ImportedPack(Struct, frozen=True):
    """One repository, as a manifest of another tool has it. `ref` is None for the remote's HEAD."""

    path: str
    url: str
    ref: str | None
    mark: Mark
    groups: tuple[str, ...] = ()
    depth: int | None = None
    remotes: Mapping[str, str] = field(default_factory=dict)
    submodules: bool = False
    sparse: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    links: tuple[Link, ...] = ()
    marks: Mapping[str, Mark] = field(default_factory=dict)
    """Where single values stand, by the name of the field; the entry's own place stands for the others."""

    def __repr__(self) -> str:
        """Show no URL: one may hold credentials until it was judged."""
        return f"ImportedPack({self.path!r}, {self.ref!r}, {self.mark})"

    def mark_of(self, name: str) -> Mark:
        """Where a value stands."""
        return self.marks.get(name, self.mark)


class Imported(Struct, frozen=True):
    """What a manifest comes to.

    Attributes:
        packs: in the order of the file, no path twice once it was judged.
        groups_off: the groups whose packs are not brought unless they are asked for.
        notes: what is not taken over, or not as it stands there.
    """

    packs: tuple[ImportedPack, ...] = ()
    groups_off: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def said(node: Node, what: str, problems: Problems, notes: list[str] | None = None) -> Said | None:
    """The text of a value. The tools that wrote these files take a number for text, so that is done here as well."""
    text = text_of(node, what, problems, notes)
    return None if text is None else Said(text, node.mark)


def text_of(node: Node, what: str, problems: Problems, notes: list[str] | None = None) -> str | None:
    """The text of a value, or None after a problem was recorded; a number becomes text, and that is noted."""
    value = node.value
    if isinstance(value, str):
        if value:
            return value
        problems.add(node, f"{what} is empty", "write its value, or leave the key out")
        return None
    if isinstance(value, int | float) and not isinstance(value, bool):
        if isinstance(value, float) and notes is not None:
            notes.append(f"{node.mark}: {what} is a number and means {value}; in quotes it would mean what it shows")
        return str(value)
    if not node.is_unreadable:
        problems.add(node, f"{what} is text, and this is {node.kind}", "write it in quotes")
    return None


def fit_for_grex(imported: Imported, problems: Problems, *, groups: Sequence[str] = ()) -> Imported:
    """The same, with every value judged by the rules of pack.yaml; what they refuse is recorded as a problem.

    Args:
        imported: what a parser gave.
        problems: collects what is refused.
        groups: groups that all packs are to have besides their own.
    """
    kept: list[ImportedPack] = []
    seen: dict[str, ImportedPack] = {}
    for pack in imported.packs:
        judged = _judged(pack, problems)
        if judged is None:
            continue
        first = seen.setdefault(fold_key(judged.path), judged)
        if first is not judged:
            problems.add(
                pack.mark_of("path"),
                f"the path {quoted(judged.path)} is taken by {quoted(first.path)}",
                f"it stands {first.mark.seen_from(pack.mark)}; file systems without case would mix them up",
            )
            continue
        kept.append(replace(judged, groups=tuple(dict.fromkeys((*judged.groups, *groups)))))
    return replace(imported, packs=tuple(kept))


def _judged(pack: ImportedPack, problems: Problems) -> ImportedPack | None:
    path = posixpath.normpath(pack.path) if pack.path and not pack.path.startswith("../") else pack.path
    wrong_path = check_pack_path(path)
    found = [
        (pack.mark_of("path"), f"the path {quoted(pack.path)}", wrong_path, "give the repository another path"),
        (pack.mark_of("url"), "the URL", *_wrong_url(pack.url)),
    ]
    if pack.ref is not None:
        told = f"the ref {quoted(pack.ref)}"
        found.append((pack.mark_of("ref"), told, _wrong_ref(pack.ref), "give a branch, a tag or a whole commit id"))
    for name, url in pack.remotes.items():
        wrong = (
            None
            if is_group_name(name) and name != "origin" and check_ref(name) is None
            else "has a name that cannot be taken over"
        )
        found.append((pack.mark, f"the remote {quoted(name)}", wrong, "rename it"))
        found.append((pack.mark, f"the remote {quoted(name)}", *_wrong_url(url)))
    for group in pack.groups:
        wrong = None if is_group_name(group) else "cannot be the name of a group"
        found.append((pack.mark, quoted(group), wrong, "use letters, digits and . _ -, the first a letter or digit"))
    found += [
        (link.mark, f"the path {quoted(text)}", check_pack_path(text), "give a place in the workspace")
        for link in pack.links
        for text in ((link.dst,) if wrong_path else (link.src, link.dst))
    ]
    wrong_ones = [one for one in found if one[2] is not None]
    for mark, what, reason, hint in wrong_ones:
        problems.add(mark, f"{what} {reason}", hint)
    return None if wrong_ones else replace(pack, path=path)


def _wrong_url(url: str) -> tuple[str | None, str]:
    try:
        parse_url(url, relative_to=_SOMEWHERE)
    except InvalidUrlError as error:
        return str(error), error.hint
    if redact(url) != url:
        return (
            f"{quoted(redact(url))} holds credentials, and pack.yaml is made to be committed",
            "write it without them, and set up a credential helper or an ssh key",
        )
    return None, ""


def _wrong_ref(ref: str) -> str | None:
    if ref.startswith("refs/") and not ref.startswith(("refs/heads/", "refs/tags/")):
        return "is neither a branch nor a tag"
    return check_ref(ref)


def short_ref(ref: str) -> str:
    """A ref without what it needs not: `refs/heads/main` is `main`."""
    return ref.removeprefix("refs/heads/")


def unique(items: Iterable[str]) -> tuple[str, ...]:
    """Each once, in their order."""
    return tuple(dict.fromkeys(items))
