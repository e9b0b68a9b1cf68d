"""The parts of a pack.yaml that speak of other packs: `defaults`, `children`, `depends_on`, `overrides`.

Each function takes the node of a key and returns checked values; entries with a problem are left out and the problem
is recorded at the value that has it. `overrides` is a list of mappings, in the root's pack.yaml and in
`.grex/local.yaml` alike:

```yaml
overrides:
  - path: libs/core          # from the workspace root, whoever declares the pack
    url: ../forks/core       # at least one of url and ref
    ref: my-branch
```
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from grex.names import (
    GROUP_NAME_HINT,
    InvalidUrlError,
    PackUrl,
    check_pack_path,
    check_ref,
    fold_key,
    is_group_name,
    parse_url,
)
from grex.pack.fields import (
    check_keys,
    read_bool,
    read_int,
    read_list,
    read_mapping,
    read_text,
)
from grex.pack.problems import Mark, Problems, quoted
from grex.pack.spec import ChildSpec, Defaults, Dependency, OverrideSpec
from grex.pack.yaml_events import Entry, Node

__all__ = ["PACK_NAME", "read_children", "read_defaults", "read_dependencies", "read_overrides"]

PACK_NAME: Final = re.compile(r"[a-z][a-z0-9-]*")

_CHILD_KEYS: Final = ("depth", "filter", "groups", "path", "ref", "remotes", "sparse", "submodules", "url")
_DEFAULTS_KEYS: Final = ("base", "depth", "filter", "ref")
_OVERRIDE_KEYS: Final = ("path", "ref", "url")
_FILTER: Final = re.compile(r"blob:none|blob:limit=[0-9]+[kmg]?|tree:[0-9]+")
# Cone mode takes directories, one to a line, and gives these characters a meaning of their own.
_SPARSE_PATTERN: Final = re.compile(r"[*?\[\]\\]|^[!#-]")

# Whether a relative URL is well formed does not depend on where it starts, which one file alone does not know.
_SOMEWHERE: Final = Path("/")


def read_defaults(node: Node, problems: Problems) -> Defaults:
    """Return what children get that do not say it themselves."""
    entries = read_mapping(node, "defaults", problems)
    if entries is None:
        return Defaults()
    check_keys(entries, "defaults", _DEFAULTS_KEYS, problems)
    base_node = _node(entries, "base")
    base = None if base_node is None else read_text(base_node, "defaults.base", problems)
    if base_node is not None and base is not None and _parse_url(base_node, base, None, problems) is None:
        base = None
    return Defaults(
        base=base,
        ref=_read_ref(entries, problems),
        depth=_read_depth(entries, problems),
        filter=_read_filter(entries, problems),
    )


def read_children(node: Node, defaults: Defaults, problems: Problems, *, is_root: bool) -> tuple[ChildSpec, ...]:
    """Return the children, with the defaults filled in; two at one path are a problem of the second."""
    children: list[ChildSpec] = []
    seen: dict[str, ChildSpec] = {}
    for item in read_list(node, "children", problems) or ():
        child = _read_child(item, defaults, problems)
        if child is None:
            continue
        children.append(child)
        # In the root, and only there, a leading slash changes nothing.
        key = fold_key(child.path.removeprefix("/") if is_root else child.path)
        first = seen.setdefault(key, child)
        if first is not child:
            place = item.get("path") or item.get("url") or item
            problems.add(
                place,
                f"the path {quoted(child.path)} is taken by {quoted(first.path)}",
                f"declared {first.mark.seen_from(place.mark)}; file systems without case would mix them up",
            )
    return tuple(children)


def read_dependencies(node: Node, defaults: Defaults, problems: Problems) -> tuple[Dependency, ...]:
    """Return the packs that have to be present: what looks like a name is one, everything else is a URL."""
    found: list[Dependency] = []
    seen: dict[str, Mark] = {}
    for item in read_list(node, "depends_on", problems) or ():
        text = read_text(item, "an item of depends_on", problems)
        if text is None:
            continue
        if text in seen:
            problems.add(
                item, f"{quoted(text)} is named a second time", f"the first is {seen[text].seen_from(item.mark)}"
            )
            continue
        seen[text] = item.mark
        if PACK_NAME.fullmatch(text):
            found.append(Dependency(text, None, item.mark))
        elif _parse_url(item, text, defaults.base, problems) is not None:
            found.append(Dependency(None, text, item.mark))
    return tuple(found)


def read_overrides(node: Node, base: str | None, problems: Problems) -> tuple[OverrideSpec, ...]:
    """Return what is said about packs that others declare; see the module for the syntax."""
    overrides: list[OverrideSpec] = []
    seen: dict[str, Mark] = {}
    for item in read_list(node, "overrides", problems) or ():
        override = _read_override(item, base, problems)
        if override is None:
            continue
        key = fold_key(override.path)
        if key in seen:
            problems.add(
                item,
                f"{quoted(override.path)} is overridden a second time",
                f"the first is {seen[key].seen_from(item.mark)}",
            )
        seen.setdefault(key, item.mark)
        overrides.append(override)
    return tuple(overrides)


def _read_child(item: Node, defaults: Defaults, problems: Problems) -> ChildSpec | None:
    entries = read_mapping(item, "a child", problems)
    if entries is None:
        return None
    check_keys(entries, "a child", _CHILD_KEYS, problems)
    submodules = _node(entries, "submodules")
    ref = _read_ref(entries, problems) or defaults.ref
    depth = _read_depth(entries, problems) or defaults.depth
    blob_filter = _read_filter(entries, problems) or defaults.filter
    groups = _read_labels(entries, "groups", "a group", is_group_name, problems)
    sparse = _read_labels(entries, "sparse", "a sparse directory", _is_directory, problems)
    remotes = _read_remotes(entries, defaults.base, problems)
    with_submodules = submodules is not None and bool(read_bool(submodules, "submodules", problems))
    url_node = _node(entries, "url")
    if url_node is None:
        problems.add(item, "a child needs 'url'", "write it as in 'url: https://host/path'")
        return None
    url = _read_url(url_node, "url", defaults.base, problems)
    path = _read_path(entries, "path", problems) if "path" in entries else _default_path(url_node, url, problems)
    if url is None or path is None:
        return None
    return ChildSpec(
        url=url.text,
        path=path,
        ref=ref,
        groups=groups,
        depth=depth,
        filter=blob_filter,
        sparse=sparse,
        submodules=with_submodules,
        remotes=remotes,
        mark=item.mark,
    )


def _read_override(item: Node, base: str | None, problems: Problems) -> OverrideSpec | None:
    entries = read_mapping(item, "an override", problems)
    if entries is None:
        return None
    check_keys(entries, "an override", _OVERRIDE_KEYS, problems)
    url_node = _node(entries, "url")
    url = None if url_node is None else _read_url(url_node, "url", base, problems)
    ref = _read_ref(entries, problems)
    if "path" not in entries:
        problems.add(item, "an override needs 'path'", "give the pack's path from the workspace root")
        return None
    path = _read_path(entries, "path", problems)
    if "url" not in entries and "ref" not in entries:
        problems.add(item, "an override says nothing", "give it 'url', 'ref' or both")
        return None
    if path is None:
        return None
    return OverrideSpec(path.removeprefix("/"), None if url is None else url.text, ref, item.mark)


def _node(entries: Mapping[str, Entry], key: str) -> Node | None:
    entry = entries.get(key)
    return None if entry is None else entry.node


def _read_url(node: Node, what: str, base: str | None, problems: Problems) -> PackUrl | None:
    text = read_text(node, what, problems)
    return None if text is None else _parse_url(node, text, base, problems)


def _parse_url(node: Node, text: str, base: str | None, problems: Problems) -> PackUrl | None:
    try:
        return parse_url(text, base=base, relative_to=_SOMEWHERE)
    except InvalidUrlError as error:
        problems.add(node, f"the URL {error}", error.hint)
        return None


def _read_path(entries: Mapping[str, Entry], key: str, problems: Problems) -> str | None:
    node = entries[key].node
    path = read_text(node, key, problems)
    if path is None:
        return None
    reason = check_pack_path(path.removeprefix("/"))
    if reason is None:
        return path
    problems.add(node, f"the path {quoted(path)} {reason}", "it starts at this pack, or with '/' at the workspace")
    return None


def _default_path(node: Node, url: PackUrl | None, problems: Problems) -> str | None:
    if url is None:
        return None
    reason = check_pack_path(url.default_name)
    if reason is None:
        return url.default_name
    problems.add(node, f"the URL ends in {quoted(url.default_name)}, which as a path {reason}", "write 'path' as well")
    return None


def _read_ref(entries: Mapping[str, Entry], problems: Problems) -> str | None:
    node = _node(entries, "ref")
    ref = None if node is None else read_text(node, "ref", problems)
    if node is None or ref is None:
        return None
    reason = check_ref(ref)
    if reason is None:
        return ref
    problems.add(node, f"the ref {quoted(ref)} {reason}", "give a branch, a tag or a whole commit id")
    return None


def _read_depth(entries: Mapping[str, Entry], problems: Problems) -> int | None:
    node = _node(entries, "depth")
    return None if node is None else read_int(node, "depth", problems, at_least=1)


def _read_filter(entries: Mapping[str, Entry], problems: Problems) -> str | None:
    node = _node(entries, "filter")
    text = None if node is None else read_text(node, "filter", problems)
    if node is None or text is None:
        return None
    if _FILTER.fullmatch(text):
        return text
    problems.add(node, f"filter cannot be {quoted(text)}", "use blob:none, blob:limit=<size>, or tree:<depth>")
    return None


def _read_labels(
    entries: Mapping[str, Entry],
    key: str,
    what: str,
    check: Callable[[str], bool],
    problems: Problems,
) -> tuple[str, ...]:
    node = _node(entries, key)
    found: list[str] = []
    for item in () if node is None else read_list(node, key, problems) or ():
        text = read_text(item, what, problems)
        if text is not None and not check(text):
            problems.add(item, f"{what} cannot be {quoted(text)}", _LABEL_HINTS[key])
        elif text is not None and text not in found:
            found.append(text)
    return tuple(found)


_LABEL_HINTS: Final = {
    "groups": f"use {GROUP_NAME_HINT}",
    "sparse": "give a directory inside the pack; no patterns, and nothing that starts with -, ! or #",
}


def _is_directory(text: str) -> bool:
    if _SPARSE_PATTERN.search(text) or not text.isprintable():
        return False
    return all(part not in {"", ".", ".."} for part in text.strip("/").split("/"))


def _read_remotes(entries: Mapping[str, Entry], base: str | None, problems: Problems) -> Mapping[str, str]:
    node = _node(entries, "remotes")
    remotes: dict[str, str] = {}
    for name, entry in ({} if node is None else read_mapping(node, "remotes", problems) or {}).items():
        if name == "origin":
            problems.add(entry.mark, "the remote 'origin' is the URL itself", "choose another name")
        elif not is_group_name(name) or check_ref(name) is not None:
            problems.add(entry.mark, f"a remote cannot be called {quoted(name)}", f"use {GROUP_NAME_HINT}")
        elif (url := _read_url(entry.node, "the URL of a remote", base, problems)) is not None:
            remotes[name] = url.text
    return MappingProxyType(remotes)
