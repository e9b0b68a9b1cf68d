"""Finds pack types, actions, predicates and fetchers by name among entry points.

A lookup asks grex's own distribution first and scans the installed distributions only for a name that is not there:
the scan costs tens of milliseconds, and a workspace of built-in types should not pay for it. Both are the same
mechanism, a third party is found by exactly what finds the built-ins; only the order is ours, so a third party cannot
replace a built-in name. Before both, a few of grex's own are known without reading anything (`shipped`). A plugin that
does not load stops only those packs that need it, and names its distribution.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, cast

from grex.errors import (
    PluginError,
    PluginLoadError,
    UnknownActionError,
    UnknownFetcherError,
    UnknownPackTypeError,
    UnknownPredicateError,
)
from grex.plugin.action_type import ActionType
from grex.plugin.failures import described, is_failure
from grex.plugin.fetcher import Fetcher
from grex.plugin.listing import Listed, list_plugins, owner, readable_entries, registered_twice
from grex.plugin.pack_type import PackType
from grex.plugin.predicate_type import PredicateType
from grex.plugin.shipped import SHIPPED, load_shipped
from grex.plugin.values import API_VERSION

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

__all__ = ["ACTIONS_GROUP", "FETCHERS_GROUP", "GROUPS", "PACK_TYPES_GROUP", "PREDICATES_GROUP", "Registry"]

PACK_TYPES_GROUP = "grex.pack_types"
ACTIONS_GROUP = "grex.actions"
PREDICATES_GROUP = "grex.predicates"
FETCHERS_GROUP = "grex.fetchers"
_PREFIX = "grex."
_KINDS: Mapping[str, type] = {
    PACK_TYPES_GROUP: PackType,
    ACTIONS_GROUP: ActionType,
    PREDICATES_GROUP: PredicateType,
    FETCHERS_GROUP: Fetcher,
}
GROUPS = tuple(_KINDS)


class Registry:
    """The plugins of this environment; each is imported at its first use and then kept.

    Args:
        on_third_party: called before one is imported, or given, that does not ship with grex.
    """

    def __init__(self, on_third_party: Callable[[], None] = lambda: None) -> None:
        self._on_third_party = on_third_party
        self._loaded: dict[tuple[str, str], object] = {}
        self._own: list[EntryPoint] | None = None
        self._installed: list[EntryPoint] | None = None
        self._unreadable: list[PluginLoadError] = []

    def pack_type(self, name: str) -> PackType:
        """The pack type of that name.

        Raises:
            UnknownPackTypeError: nobody registers it.
            PluginLoadError: it is registered and cannot be loaded.
        """
        return cast("PackType", self._named(PACK_TYPES_GROUP, name, "pack type", UnknownPackTypeError))

    def action(self, name: str) -> ActionType[Any]:
        """The action of that name.

        Raises:
            UnknownActionError: nobody registers it.
            PluginLoadError: it is registered and cannot be loaded.
        """
        return cast("ActionType[Any]", self._named(ACTIONS_GROUP, name, "action", UnknownActionError))

    def predicate(self, name: str) -> PredicateType:
        """The predicate of that name.

        Raises:
            UnknownPredicateError: nobody registers it.
            PluginLoadError: it is registered and cannot be loaded.
        """
        return cast("PredicateType", self._named(PREDICATES_GROUP, name, "predicate", UnknownPredicateError))

    def fetcher(self, scheme: str) -> Fetcher:
        """The fetcher for URLs of that scheme.

        Raises:
            UnknownFetcherError: nobody registers one.
            PluginLoadError: it is registered and cannot be loaded.
        """
        found = self._get(FETCHERS_GROUP, scheme)
        if found is None:
            known = ", ".join(self.names(FETCHERS_GROUP)) or "none"
            raise UnknownFetcherError(
                f"no plugin fetches URLs of the scheme {scheme!r}",
                hint=f"Install the plugin that brings it, or use another scheme; known here: {known}.",
            )
        return cast("Fetcher", found)

    def provide(self, *plugins: PackType | ActionType[Any] | PredicateType | Fetcher) -> None:
        """Let it know plugins that no distribution brings: those under test."""
        for plugin in plugins:
            group = next(group for group, kind in _KINDS.items() if isinstance(plugin, kind))
            self._loaded[group, plugin.name] = plugin
        if self.has_third_parties():
            self._on_third_party()

    def has(self, group: str, name: str) -> bool:
        """Whether anybody registers that name; it may still not load."""
        return (
            (group, name) in self._loaded
            or (group, name) in SHIPPED
            or any(
                entry.group == group and entry.name == name
                for entries in (self._own_entries, self._all_entries)
                for entry in entries()
            )
        )

    def names(self, group: str) -> list[str]:
        """Every registered name of a group, sorted."""
        return sorted({entry.name for entry in (*self._own_entries(), *self._all_entries()) if entry.group == group})

    def has_third_parties(self) -> bool:
        """Whether anything was loaded that does not ship with grex."""
        return any(not type(plugin).__module__.startswith("grex.builtin.") for plugin in self._loaded.values())

    def listed(self) -> tuple[Listed, ...]:
        """Every plugin of this environment, loaded to find out whether it can be used."""
        from importlib.metadata import distributions  # noqa: PLC0415 - scans every one

        def load(entry: EntryPoint) -> object:
            kind = _KINDS.get(entry.group)
            if kind is None:
                raise PluginLoadError(
                    f"{entry.name!r} is registered in {entry.group}, and there is no such group",
                    hint=f"Register it in one of: {', '.join(sorted(_KINDS))}.",
                )
            return _load(entry, kind)

        every, unreadable = readable_entries(distributions())
        installed = [entry for entry in every if entry.group.startswith(_PREFIX)]
        own = [entry for entry in self._own_entries() if entry.group.startswith(_PREFIX)]
        return list_plugins(own, installed, load, unreadable)

    def _named(self, group: str, name: str, what: str, unknown: type[PluginError]) -> object:
        found = self._get(group, name)
        if found is None:
            raise unknown(f"no plugin registers the {what} {name!r}", hint=self._hint(group, name))
        return found

    def _get(self, group: str, name: str) -> object | None:
        key = (group, name)
        if key in self._loaded:
            return self._loaded[key]
        known = load_shipped(group, name)
        if known is not None:
            self._loaded[key] = known
            return known
        entry = _pick(self._own_entries(), group, name) or _pick(self._all_entries(), group, name)
        if entry is None:
            return None
        if entry not in self._own_entries():
            self._on_third_party()
        loaded = self._loaded[key] = _load(entry, _KINDS[group])
        return loaded

    def _own_entries(self) -> list[EntryPoint]:
        if self._own is None:
            from importlib.metadata import PackageNotFoundError, distribution  # noqa: PLC0415 - 15 ms, not always needed

            try:
                self._own = list(distribution("grex").entry_points)
            except PackageNotFoundError as error:
                raise PluginError(
                    "grex's own pack types are not registered in this environment",
                    hint="Install grex (for a source tree: `pip install -e .`) instead of running it from its files.",
                ) from error
        return self._own

    def _all_entries(self) -> list[EntryPoint]:
        if self._installed is None:
            from importlib.metadata import distributions, entry_points  # noqa: PLC0415 - scans every distribution

            try:
                found = entry_points()
                self._installed = [entry for group in GROUPS for entry in found.select(group=group)]
            except Exception:  # noqa: BLE001 - one file that is damaged must not hide the others
                entries, self._unreadable = readable_entries(distributions())
                self._installed = [entry for entry in entries if entry.group in _KINDS]
        return self._installed

    def _hint(self, group: str, name: str) -> str:
        from difflib import get_close_matches  # noqa: PLC0415 - only for a name that was not found

        known = self.names(group)
        close = get_close_matches(name, known, n=1)
        if self._unreadable:
            return f"{' '.join(f'{error.message}.' for error in self._unreadable)} {self._unreadable[0].hint}"
        if close:
            return f"Did you mean {close[0]!r}? Known here: {', '.join(known)}."
        return f"Install the plugin that brings it, or use one of: {', '.join(known)}."


def _pick(entries: Iterable[EntryPoint], group: str, name: str) -> EntryPoint | None:
    found = [entry for entry in entries if entry.group == group and entry.name == name]
    if len({entry.value for entry in found}) > 1:
        raise registered_twice(group, name, found)
    return found[0] if found else None


def _load(entry: EntryPoint, kind: type) -> object:
    by = owner(entry)[0]
    where = f"{entry.name!r} of {by} ({entry.value})"
    try:
        loaded = entry.load()
    except BaseException as error:
        if not is_failure(error):
            raise
        raise PluginLoadError(
            f"the plugin {where} cannot be imported: {described(error)}",
            hint=f"Update or reinstall {by}.",
        ) from error
    if not (isinstance(loaded, type) and issubclass(loaded, kind)):
        raise PluginLoadError(
            f"the plugin {where} is not a {kind.__name__}",
            hint=f"Report it to the authors of {by}.",
        )
    wanted = getattr(loaded, "api_version", API_VERSION)
    if wanted != API_VERSION:
        raise PluginLoadError(
            f"the plugin {where} is written for version {wanted} of the plugin API, and this grex has {API_VERSION}",
            hint=f"Install a version of {by} that fits, or another grex.",
        )
    runs = getattr(getattr(loaded, "arguments", None), "action", None)
    if kind is ActionType and runs != entry.name:
        # What runs and is undone is found by the name in the arguments: another one would be another action.
        raise PluginLoadError(
            f"the plugin {where} has arguments of the action {runs!r}, not {entry.name!r}",
            hint=f"Report it to the authors of {by}.",
        )
    try:
        return loaded()
    except BaseException as error:
        if not is_failure(error):
            raise
        raise PluginLoadError(
            f"the plugin {where} cannot be created: {described(error)}",
            hint=f"Report it to the authors of {by}.",
        ) from error
