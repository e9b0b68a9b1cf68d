"""`PackSpec`: one pack.yaml, checked.

These values are made by `validate` only, so whoever holds one need not check it again: names, paths, refs and URLs in
it have passed `grex.names`, `defaults` have been filled into the children, and the platform's target is merged. What
is *not* decided here needs more than the one file: which actions and pack types exist (the registry knows), where a
relative URL leads (the directory of the declaring pack), whether two packs want one path (the graph).

URLs are kept as declared, so they may hold credentials: resolve them with `PackSpec.resolve_url`, whose result knows
how to be shown. `repr` leaves them out.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from msgspec import Struct, field

from grex.names import PackUrl, parse_url
from grex.pack.problems import Mark
from grex.pack.yaml_events import Node, PlainData

__all__ = [
    "BUILTIN_PACK_TYPES",
    "PLATFORMS",
    "SCHEMA_VERSION",
    "ActionEntry",
    "ChildSpec",
    "Defaults",
    "Dependency",
    "OverrideSpec",
    "PackSpec",
    "current_platform",
]

SCHEMA_VERSION: Final = "1"
PLATFORMS: Final = ("linux", "macos", "windows")
BUILTIN_PACK_TYPES: Final = ("declarative", "meta", "plain", "scripted")
_UNSHOWN = frozenset({"url", "base", "remotes"})


def current_platform() -> str:
    """Return the name that targets and the `os` predicate have for this system."""
    if sys.platform == "darwin":
        return "macos"
    return "windows" if sys.platform == "win32" else "linux"


class _Discreet(Struct, frozen=True):
    """Shows no URL: one may hold credentials, and a repr ends up in logs."""

    def __repr__(self) -> str:
        """All fields but those that may hold a URL."""
        shown = (f"{name}={getattr(self, name)!r}" for name in self.__struct_fields__ if name not in _UNSHOWN)
        return f"{type(self).__name__}({', '.join(shown)})"


class ActionEntry(Struct, frozen=True):
    """One action as declared: its name, and arguments whose meaning only the registered action knows."""

    kind: str
    args: Node
    mark: Mark

    def mark_of(self, argument: str) -> Mark:
        """Where an argument stands, or the action where it was left out."""
        node = self.args.get(argument)
        return self.mark if node is None else node.mark


class ChildSpec(_Discreet, frozen=True):
    """A pack that this one owns. `path` starts at the declaring pack, or at the workspace if it begins with `/`."""

    url: str
    path: str
    ref: str | None
    groups: tuple[str, ...]
    depth: int | None
    filter: str | None
    sparse: tuple[str, ...]
    submodules: bool
    remotes: Mapping[str, str]
    mark: Mark


class Dependency(_Discreet, frozen=True):
    """A pack that has to be present: known by its name or by its URL, exactly one of which is set."""

    name: str | None
    url: str | None
    mark: Mark


class Defaults(_Discreet, frozen=True):
    """What children get that do not say it themselves; `base` is what relative URLs start from."""

    base: str | None = None
    ref: str | None = None
    depth: int | None = None
    filter: str | None = None


class OverrideSpec(_Discreet, frozen=True):
    """What the root or this machine says about a pack, whoever declares it. `path` starts at the workspace root."""

    path: str
    url: str | None
    ref: str | None
    mark: Mark


class PackSpec(Struct, frozen=True):
    """A pack.yaml, checked."""

    schema_version: str
    name: str
    type: str
    source: Path
    version: str | None = None
    depends_on: tuple[Dependency, ...] = ()
    children: tuple[ChildSpec, ...] = ()
    defaults: Defaults = field(default_factory=Defaults)
    overrides: tuple[OverrideSpec, ...] = ()
    actions: tuple[ActionEntry, ...] = ()
    teardown: tuple[ActionEntry, ...] | None = None
    """None: undo `actions` in reverse; empty: there is nothing to undo."""
    type_mark: Mark | None = None
    """Where the type is declared."""
    extensions: Mapping[str, PlainData] = field(default_factory=lambda: MappingProxyType({}))
    """The `x-*` keys, verbatim."""

    @property
    def has_children(self) -> bool:
        """Whether this pack owns others."""
        return bool(self.children)

    def resolve_url(self, url: str, directory: Path) -> PackUrl:
        """Return the address of a child, dependency or remote of this pack.

        Args:
            url: as declared.
            directory: where `./` and `../` start if `defaults.base` is not given.

        Raises:
            InvalidUrlError: it is relative, and climbs out of its base.
        """
        return parse_url(url, base=self.defaults.base, relative_to=directory)
