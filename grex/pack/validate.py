"""From the bytes of a pack.yaml to a `PackSpec`, or to one error that lists every problem of the file.

The text is read (`yaml_events`), the platform's target merged over it (`target`), each key checked (here and in
`relations`), and what was found raised together. A pack.yaml with a problem gives no spec at all: half a declaration
would clone half a level.

The error's class says whose file it is, because that decides the exit code. A pack's own is a `PackSpecError`, the
failure of that pack alone; the root's is a `ManifestError`, since nothing can be done without it. A file of a later
schema version is not judged any further: what else looks wrong in it is probably just new.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final, NoReturn, TypeAlias, TypeVar

from grex.errors import ManifestError, PackSpecError, SchemaVersionError
from grex.names import PACK_YAML, resolve_pack_path
from grex.pack.action_spec import parse_actions
from grex.pack.fields import check_keys, read_bool, read_mapping, read_text
from grex.pack.problems import Mark, Problems, quoted, raise_problems
from grex.pack.relations import PACK_NAME, read_children, read_defaults, read_dependencies, read_overrides
from grex.pack.source import RefusedFileError, read_pack_file
from grex.pack.spec import SCHEMA_VERSION, ActionEntry, ChildSpec, Defaults, PackSpec
from grex.pack.target import ACTIONS_REPLACE, merge_target
from grex.pack.yaml_events import UNREADABLE, Entry, Node, PlainData, read_yaml

__all__ = ["TypeCheck", "parse_pack_spec", "read_declared_paths", "read_pack_spec"]

T = TypeVar("T")
TypeCheck: TypeAlias = Callable[[str], tuple[str, str] | None]
"""What is wrong with a pack type, and what to do about it; None where somebody registers it."""

_KEYS: Final = (
    "actions",
    "children",
    "defaults",
    "depends_on",
    "name",
    "overrides",
    "schema_version",
    "teardown",
    "type",
    "version",
)
_LENGTH: Final = 100  # of names and versions: they stand in one line with much else


def read_pack_spec(
    pack_root: Path, *, is_root: bool, platform: str, display: str, check_type: TypeCheck | None = None
) -> PackSpec | None:
    """Return what a pack declares, or None where it has no `.grex/pack.yaml`.

    Args:
        pack_root: the directory of the pack.
        is_root: whether it is the workspace's own, the only one that may have `overrides`.
        platform: `linux`, `macos` or `windows`; its target is merged.
        display: how the pack's directory is called in messages; `""` for the workspace.
        check_type: as for `parse_pack_spec`.

    Raises:
        ManifestError: the root's file is refused or cannot be read; `SchemaVersionError` if a later grex wrote it.
        PackSpecError: another pack's is. `details["problems"]` lists every problem of either.
    """
    prefix = f"{display}/" if display else ""
    target_yaml = f".grex/targets/{platform}.yaml"
    problems = Problems()
    data = _read(pack_root, PACK_YAML, prefix, problems)
    if data is None:
        if problems:
            _refuse(problems, is_root=is_root)
        return None
    over = _read(pack_root, target_yaml, prefix, problems)
    if problems:
        _refuse(problems, is_root=is_root)
    return parse_pack_spec(
        data,
        file=f"{prefix}{PACK_YAML}",
        is_root=is_root,
        target=None if over is None else (over, f"{prefix}{target_yaml}"),
        source=pack_root / PACK_YAML,
        check_type=check_type,
    )


def parse_pack_spec(
    data: bytes,
    *,
    file: str,
    is_root: bool,
    target: tuple[bytes, str] | None = None,
    source: Path | None = None,
    check_type: TypeCheck | None = None,
) -> PackSpec:
    """Return the checked content of a pack.yaml.

    Args:
        data: its bytes.
        file: how it is called in messages.
        is_root: whether it is the workspace's own.
        target: bytes and name of the platform's target, if there is one.
        source: where it is on disk; by default `file`.
        check_type: knows the pack types that there are. It is asked only where something else is wrong already, so
            that the list of problems is complete: a file that is right but for its type is refused by whoever
            installs it, and its children are looked after all the same.

    Raises:
        ManifestError: as `read_pack_spec`.
        PackSpecError: likewise.
    """
    problems = Problems()
    root = read_yaml(data, file=file, problems=problems)
    if target is not None:
        over = read_yaml(target[0], file=target[1], problems=problems)
        if root is not None and over is not None:
            _check_target(over, problems)
            root = merge_target(root, over)
    reader = _Reader(problems, is_root=is_root, check_type=check_type)
    spec = None if root is None else reader.read(root, source or Path(file))
    if spec is None or problems:
        _refuse(problems, is_root=is_root, newer=reader.is_newer)
    return spec


def read_declared_paths(workspace: Path, pack_path: str, *, platform: str) -> frozenset[str]:
    """Return the paths, from the workspace root, of packs that the pack at `pack_path` (`""`: the root) speaks of.

    This is for finding the workspace, where a pack.yaml that is absent, broken or unreadable just declares nothing.
    """
    try:
        spec = read_pack_spec(workspace / pack_path, is_root=not pack_path, platform=platform, display=pack_path)
    except (ManifestError, PackSpecError):
        return frozenset()
    if spec is None:
        return frozenset()
    children = {resolve_pack_path(pack_path, child.path) for child in spec.children}
    return frozenset({*children, *(override.path for override in spec.overrides)})


def _read(pack_root: Path, name: str, prefix: str, problems: Problems) -> bytes | None:
    try:
        return read_pack_file(pack_root, name)
    except RefusedFileError as error:
        problems.add(Mark(f"{prefix}{name}", 1, 1), error.reason, error.hint)
        return None


def _check_target(over: Node, problems: Problems) -> None:
    read_mapping(over, "a target", problems)
    switch = over.get(ACTIONS_REPLACE)
    if switch is not None:
        read_bool(switch, ACTIONS_REPLACE, problems)


def _refuse(problems: Problems, *, is_root: bool, newer: bool = False) -> NoReturn:
    if not is_root:
        raise_problems(problems, PackSpecError)
    raise_problems(problems, SchemaVersionError if newer else ManifestError)


class _Reader:
    """The checks of one file. What has a problem is left out of the spec, which is then never handed on."""

    def __init__(self, problems: Problems, *, is_root: bool, check_type: TypeCheck | None) -> None:
        self._problems = problems
        self._check = check_type
        self._is_root = is_root
        self.is_newer = False
        """Whether a later grex wrote the file."""

    def read(self, root: Node, source: Path) -> PackSpec | None:
        entries = read_mapping(root, "a pack.yaml", self._problems)
        if entries is None:
            return None
        self._check_schema_version(entries, root.mark)
        if self.is_newer:
            return None
        self._check_keys(entries)
        problems = self._problems
        # The defaults come first: children and dependencies are read in their light.
        defaults = self._read(entries, "defaults", Defaults(), lambda node: read_defaults(node, problems))
        children: tuple[ChildSpec, ...] = self._read(
            entries, "children", (), lambda node: read_children(node, defaults, problems, is_root=self._is_root)
        )
        actions: tuple[ActionEntry, ...] = self._read(
            entries, "actions", (), lambda node: parse_actions(node, "actions", problems)
        )
        teardown = self._read(entries, "teardown", None, lambda node: parse_actions(node, "teardown", problems))
        pack_type = self._read_label(entries, "type", root.mark, "use meta, declarative, scripted or plain") or ""
        self._check_type(pack_type, entries, children, {"actions": actions, "teardown": teardown or ()})
        spec = PackSpec(
            schema_version=SCHEMA_VERSION,
            name=self._read_label(entries, "name", root.mark, "write it as in 'name: my-pack'") or "",
            type=pack_type,
            source=source,
            version=self._read(entries, "version", None, self._read_version),
            depends_on=self._read(entries, "depends_on", (), lambda node: read_dependencies(node, defaults, problems)),
            children=children,
            defaults=defaults,
            overrides=self._read(entries, "overrides", (), lambda node: read_overrides(node, defaults.base, problems)),
            actions=actions,
            teardown=teardown,
            type_mark=entries["type"].mark if "type" in entries else root.mark,
            extensions=_extensions(entries),
        )
        wrong = self._check(pack_type) if problems and pack_type and self._check is not None else None
        if wrong is not None:
            problems.add(entries["type"].mark, *wrong)
        return spec

    def _check_schema_version(self, entries: Mapping[str, Entry], mark: Mark) -> None:
        entry = entries.get("schema_version")
        if entry is None:
            self._problems.add(mark, "'schema_version' is missing", 'write schema_version: "1"')
            return
        node, value = entry.node, entry.node.value
        if value is UNREADABLE or value == SCHEMA_VERSION:
            return
        if isinstance(value, str) and value.isdecimal():
            self.is_newer = True
            self._problems.add(
                node, f"the schema version {quoted(value, 20)} was written for another grex", "upgrade grex"
            )
        elif isinstance(value, str):
            self._problems.add(node, f"the schema version {quoted(value, 20)} does not exist", 'write "1"')
        else:
            self._problems.add(node, f"the schema version is text, and this is {node.kind}", 'quote it: "1"')

    def _check_keys(self, entries: Mapping[str, Entry]) -> None:
        judged = {key: entry for key, entry in entries.items() if not key.startswith("x-")}
        misplaced = {ACTIONS_REPLACE: "only a target in .grex/targets/ may have 'actions_replace'"}
        if not self._is_root:
            misplaced["overrides"] = "only the pack.yaml of the workspace itself may have 'overrides'"
        for key, message in misplaced.items():
            if key in judged:
                self._problems.add(judged.pop(key).mark, message, "move it there")
        check_keys(judged, "a pack.yaml", _KEYS, self._problems)

    def _check_type(
        self,
        pack_type: str,
        entries: Mapping[str, Entry],
        children: tuple[ChildSpec, ...],
        actions: Mapping[str, tuple[ActionEntry, ...]],
    ) -> None:
        for key, declared in actions.items():
            if declared and pack_type in {"meta", "plain", "scripted"}:
                self._problems.add(
                    entries[key].mark,
                    f"'{key}' would not run, for the type is '{pack_type}'",
                    "use type: declarative, or take them away",
                )
        if children and pack_type == "plain":
            self._problems.add(entries["children"].mark, "a pack of type 'plain' has no children", "use type: meta")

    def _read_label(self, entries: Mapping[str, Entry], key: str, mark: Mark, hint: str) -> str | None:
        """A name of a pack or of a pack type."""
        entry = entries.get(key)
        if entry is None:
            self._problems.add(mark, f"'{key}' is missing", hint)
            return None
        text = read_text(entry.node, key, self._problems)
        if text is not None and (not PACK_NAME.fullmatch(text) or len(text) > _LENGTH):
            self._problems.add(
                entry.node,
                f"{key} cannot be {quoted(text, 40)}",
                f"use a small letter, then small letters, digits and '-', at most {_LENGTH} in all",
            )
            return None
        return text

    def _read_version(self, node: Node) -> str | None:
        text = read_text(node, "version", self._problems)
        if text is not None and (not text.isprintable() or len(text) > _LENGTH):
            self._problems.add(node, f"version is one line of at most {_LENGTH} characters", "shorten it")
            return None
        return text

    def _read(self, entries: Mapping[str, Entry], key: str, default: T, read: Callable[[Node], T]) -> T:
        entry = entries.get(key)
        return default if entry is None else read(entry.node)


def _extensions(entries: Mapping[str, Entry]) -> Mapping[str, PlainData]:
    return MappingProxyType({key: entry.node.plain() for key, entry in entries.items() if key.startswith("x-")})
