"""What is registered, and whether it can be used: for `grex plugins`, which loads everything to find out.

A run loads what it needs and no more, so a broken plugin is noticed only by the packs that need it. The list finds it
before: an entry that does not load, one of a name that somebody else has as well, one of a name that ships with grex
(which is never taken), and one in a group that grex does not know (a misspelt `grex.action`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Literal

from msgspec import Struct
from msgspec.structs import replace

from grex.errors import GrexError, PluginError, PluginLoadError
from grex.plugin.failures import described
from grex.plugin.values import API_VERSION

if TYPE_CHECKING:
    from importlib.metadata import Distribution, EntryPoint

__all__ = ["Listed", "list_plugins", "owner", "readable_entries", "registered_twice"]

_UNKNOWN = "unknown distribution"


class Listed(Struct, frozen=True):
    """One entry point.

    Attributes:
        group: `grex.actions` or its like.
        name: what a pack.yaml says.
        status: `ok`; `broken`, with an error; `shadowed`: the name ships with grex, which takes its own.
        distribution: who registers it.
        version: of that distribution.
        object: what is imported, as `module:Class`.
        api_version: what it is written for; None where that could not be found out.
        error: why it cannot be used.
    """

    group: str
    name: str
    status: Literal["ok", "broken", "shadowed"]
    distribution: str
    version: str
    object: str
    api_version: int | None = None
    error: GrexError | None = None


def list_plugins(
    own: Sequence[EntryPoint],
    installed: Iterable[EntryPoint],
    load: Callable[[EntryPoint], object],
    unreadable: Iterable[PluginLoadError] = (),
) -> tuple[Listed, ...]:
    """What these entry points come to, sorted by group and name, grex's own first among equal names.

    Args:
        own: those of grex.
        installed: those of every distribution, grex among them.
        load: gives the plugin, or raises a `PluginError`.
        unreadable: the distributions of which nobody can say what they register; they come first.
    """
    ours = {(entry.group, entry.name) for entry in own}
    entries = _without_repeats([*own, *installed])
    others: dict[tuple[str, str], list[EntryPoint]] = {}
    for entry in entries:
        if entry not in own:
            others.setdefault((entry.group, entry.name), []).append(entry)
    found = [Listed("", "", "broken", _UNKNOWN, "", "", None, error) for error in unreadable]
    for entry in entries:
        key = (entry.group, entry.name)
        if entry in own or (key not in ours and len(others[key]) == 1):
            found.append(_listed(entry, load))
        elif key in ours:
            found.append(_described(entry, "shadowed"))
        else:
            found.append(_described(entry, "broken", registered_twice(entry.group, entry.name, others[key])))
    return tuple(found)


def registered_twice(group: str, name: str, entries: Iterable[EntryPoint]) -> PluginLoadError:
    """Several distributions want one name, so that nobody gets it."""
    owners = ", ".join(sorted(f"{owner(entry)[0]} ({entry.value})" for entry in entries))
    return PluginLoadError(
        f"{name!r} in {group} is registered by more than one distribution: {owners}",
        hint="Uninstall all but one of them.",
    )


def _listed(entry: EntryPoint, load: Callable[[EntryPoint], object]) -> Listed:
    try:
        plugin = load(entry)
    except PluginError as error:
        return _described(entry, "broken", error)
    return replace(_described(entry, "ok"), api_version=getattr(plugin, "api_version", API_VERSION))


def _described(
    entry: EntryPoint, status: Literal["ok", "broken", "shadowed"], error: GrexError | None = None
) -> Listed:
    distribution, version = owner(entry)
    return Listed(entry.group, entry.name, status, distribution, version, entry.value, None, error)


def owner(entry: EntryPoint) -> tuple[str, str]:
    """Name and version of the distribution; an uninstall that was interrupted may have left one without either."""
    return (_UNKNOWN, "") if entry.dist is None else _named(entry.dist)


def readable_entries(
    found: Iterable[Distribution],
) -> tuple[list[EntryPoint], list[PluginLoadError]]:
    """The entry points of these distributions, and an error for each that wants to bring some and cannot be read.

    The library reads all of them at once, where one damaged file hides everybody's.
    """
    entries: list[EntryPoint] = []
    wrong: list[PluginLoadError] = []
    for one in found:
        try:
            entries += one.entry_points
        except Exception as error:  # noqa: BLE001 - whatever its parser stumbles over
            if "[grex." in (one.read_text("entry_points.txt") or ""):
                name = _named(one)[0]
                wrong.append(
                    PluginLoadError(
                        f"the entry points of {name} cannot be read: {described(error)}",
                        hint=f"Reinstall {name}, or report it to its authors.",
                    )
                )
    return entries, wrong


def _named(one: Distribution) -> tuple[str, str]:
    try:
        return one.metadata["Name"] or _UNKNOWN, one.metadata["Version"] or ""
    except Exception:  # noqa: BLE001 - there is no METADATA, or nothing that could be read as such
        return _UNKNOWN, ""


def _without_repeats(entries: Iterable[EntryPoint]) -> list[EntryPoint]:
    """The entries, sorted; a distribution that is found twice on the path counts once, and the first one counts."""
    found: dict[tuple[str, str, str, str], EntryPoint] = {}
    for entry in entries:
        found.setdefault((entry.group, entry.name, owner(entry)[0], entry.value), entry)
    return [found[key] for key in sorted(found)]
