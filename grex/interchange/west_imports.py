"""What an `import` in a `west.yml` names: files, what of them is let in, and where it goes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import PurePosixPath

from msgspec import Struct

from grex.interchange.packs import text_of
from grex.pack import Mark, Node, Problems
from grex.pack.fields import read_list
from grex.pack.problems import quoted

__all__ = ["Filter", "Import", "read_imports"]

_DEFAULT_FILE = "west.yml"
_LISTS = ("name-allowlist", "path-allowlist", "name-blocklist", "path-blocklist")
_OLD_NAMES = {name: name.replace("allow", "white").replace("block", "black") for name in _LISTS}


class Filter(Struct, frozen=True):
    """What an importing manifest lets in."""

    names: tuple[str, ...]
    paths: tuple[str, ...]
    blocked_names: tuple[str, ...]
    blocked_paths: tuple[str, ...]

    def lets_in(self, name: str, path: str) -> bool:
        """Whether a project passes."""
        where = PurePosixPath(path)
        if name in self.names or any(where.match(pattern) for pattern in self.paths):
            return True
        is_blocked = name in self.blocked_names or any(where.match(pattern) for pattern in self.blocked_paths)
        return not is_blocked and not self.names and not self.paths


class Import(Struct, frozen=True):
    """One thing that an `import` names."""

    file: str
    filter: Filter | None
    prefix: str
    mark: Mark


def read_imports(node: Node, problems: Problems) -> list[Import]:
    """What an `import` names: true, a path, a map, or a list of these."""
    match node.value:
        case True:
            return [Import(_DEFAULT_FILE, None, "", node.mark)]
        case str() as file:
            return _checked_file(file, node, problems, lambda: Import(str(PurePosixPath(file)), None, "", node.mark))
        case tuple() as items:
            return [one for item in items for one in read_imports(item, problems)]
        case Mapping() as entries:
            known = ("file", "path-prefix", *_LISTS, *_OLD_NAMES.values())
            unknown = [key for key in entries if key not in known]
            if unknown:
                problems.add(
                    entries[unknown[0]].mark,
                    f"an import has no key {quoted(unknown[0])}",
                    "look into the docs of west",
                )
                return []
            chosen = {name: _texts(node.get(name) or node.get(old), problems) for name, old in _OLD_NAMES.items()}
            file_node, prefix_node = node.get("file"), node.get("path-prefix")
            named = _DEFAULT_FILE if file_node is None else text_of(file_node, "file", problems)
            has_prefix = prefix_node is not None and prefix_node.value != ""
            prefix = text_of(prefix_node, "path-prefix", problems) if prefix_node and has_prefix else ""
            if named is None or prefix is None:
                return []
            lists = Filter(*(chosen[name] for name in _LISTS))
            chosen_filter = lists if any(chosen.values()) else None
            at = file_node or node
            return _checked_file(
                named, at, problems, lambda: Import(str(PurePosixPath(named)), chosen_filter, prefix, node.mark)
            )
        case _:
            if not node.is_unreadable:
                problems.add(node, f"an import is true, a path, a map or a list, and this is {node.kind}", "")
            return []


def _checked_file(file: str, node: Node, problems: Problems, make: Callable[[], Import]) -> list[Import]:
    parts = PurePosixPath(file).parts
    if not parts or file.startswith("/") or ".." in parts:
        problems.add(node, f"{quoted(file)} leads out of the repository", "give a path inside of it")
        return []
    return [make()]


def _texts(node: Node | None, problems: Problems) -> tuple[str, ...]:
    if node is None or node.value in (None, ""):
        return ()
    if isinstance(node.value, str):
        return (node.value,)
    texts = [text_of(item, "a name or pattern", problems) for item in read_list(node, "the list", problems) or ()]
    return tuple(text for text in texts if text is not None)
