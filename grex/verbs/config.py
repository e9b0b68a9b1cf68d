"""`grex config`: every setting in force, and where it is set. It reads files, takes no lock and writes nothing."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from msgspec import Struct, field

from grex.engine.groups import read_groups
from grex.engine.holds import Permits
from grex.names import redact
from grex.workspace import Config, Layout, place_of_setting, read_config

if TYPE_CHECKING:
    from grex.verbs.documents import ConfigDocument

__all__ = ["SHOWN", "ConfigReport", "ConfigRequest", "Said", "Setting", "config"]

Value: TypeAlias = "bool | int | float | str | list[str] | None"
DEFAULT: Final = "default"


class Said(Struct, frozen=True):
    """What an option or a variable says, which wins over the files, and which of them it is."""

    value: Any
    origin: str


class ConfigRequest(Struct, frozen=True, kw_only=True):
    """Whose settings to show.

    Attributes:
        root: the workspace; None outside of one.
        user_config_dir: the directory that holds `grex/config.toml` of this user.
        workspace_origin: how the workspace was found.
        said: what options and variables say, by the key of the setting; of trust, one for each prefix.
    """

    root: Path | None
    user_config_dir: Path | None
    workspace_origin: str
    said: Mapping[str, tuple[Said, ...]] = field(default_factory=dict)


class Setting(Struct, frozen=True):
    """One setting in force; `origin` is a file with its line, a variable, an option, or `default`."""

    key: str
    value: Value
    origin: str


class ConfigReport(Struct, frozen=True):
    """Every setting in force, sorted by key."""

    root: Path | None
    settings: tuple[Setting, ...]
    exit_code: int = 0

    def to_json(self) -> ConfigDocument:
        """The document of `--json`."""
        return {
            "schema": "grex.config/1",
            "workspace": None if self.root is None else str(self.root),
            "exit_code": self.exit_code,
            "settings": [{"key": one.key, "value": one.value, "origin": one.origin} for one in self.settings],
        }


def config(request: ConfigRequest) -> ConfigReport:
    """Show the settings.

    Raises:
        ConfigError: a file of them is refused.
    """
    read = read_config(request.root, request.user_config_dir)
    found = [one for show in SHOWN.values() for one in show(read, request)]
    found += _of_this_call(request)
    return ConfigReport(request.root, tuple(sorted(found, key=lambda one: one.key)))


def _of_this_call(request: ConfigRequest) -> list[Setting]:
    workspace = None if request.root is None else str(request.root)
    found = [Setting("workspace", workspace, request.workspace_origin)]
    for key, default in (("lock.no_wait", False), ("lock.timeout_s", None)):
        said = request.said.get(key, ())
        found.append(Setting(key, said[0].value, said[0].origin) if said else Setting(key, default, DEFAULT))
    return found


def _origin(read: Config, name: str, table: str, key: str) -> str:
    path = read.origins.get(name)
    return DEFAULT if path is None else place_of_setting(path, table, key)


def _jobs(read: Config, request: ConfigRequest) -> list[Setting]:
    value, origin = _jobs_in_force(read, request)
    shown = value if value is not None else os.cpu_count() or 1
    return [Setting("sync.jobs", shown, origin if value is not None else "default (one per core)")]


def _jobs_in_force(read: Config, request: ConfigRequest) -> tuple[int | None, str]:
    said = request.said.get("sync.jobs", ())
    if said:
        return said[0].value, said[0].origin
    return read.jobs, _origin(read, "jobs", "sync", "jobs")


def _permits(name: str) -> Callable[[Config, ConfigRequest], list[Setting]]:
    def show(read: Config, request: ConfigRequest) -> list[Setting]:
        jobs, origin = _jobs_in_force(read, request)
        permits = Permits.for_jobs(jobs, read.network_permits, read.per_host)
        value = permits.network if name == "network_permits" else permits.per_host
        if jobs == 1:  # serial in both kinds, whatever is said of this one
            return [Setting(f"sync.{name}", value, f"{origin} (one job)")]
        return [Setting(f"sync.{name}", value, _origin(read, name, "sync", name))]

    return show


def _keep_days(read: Config, request: ConfigRequest) -> list[Setting]:
    del request
    return [Setting("trash.keep_days", read.keep_days, _origin(read, "keep_days", "trash", "keep_days"))]


def _trust(read: Config, request: ConfigRequest) -> list[Setting]:
    said = request.said.get("trust.prefixes", ())
    values = [*(one.value for one in said), *read.trust_prefixes]
    origins = [*(one.origin for one in said)]
    if read.trust_prefixes:
        origins.append(_origin(read, "trust_prefixes", "trust", "prefixes"))
    return [
        Setting("trust.prefixes", [redact(value) for value in values], ", ".join(dict.fromkeys(origins)) or DEFAULT)
    ]


def _groups(read: Config, request: ConfigRequest) -> list[Setting]:
    """Those that are off for everybody, and each one that somebody has said something about, as it is here."""
    found = [Setting("groups.off", list(read.groups_off), _origin(read, "groups_off", "groups", "off"))]
    if request.root is None:
        return found
    for name, one in sorted(read_groups(Layout(request.root)).settings.items()):
        origin = found[0].origin if name in read.groups_off and ":" not in one.origin else one.origin
        found.append(Setting(f"group {name}", "on" if one.is_on else "off", origin))
    return found


def _cache(read: Config, request: ConfigRequest) -> list[Setting]:
    said = request.said.get("cache.dir", ())
    if said:
        return [Setting("cache.dir", None if said[0].value is None else str(said[0].value), said[0].origin)]
    value = None if read.cache_dir is None else str(read.cache_dir)
    return [Setting("cache.dir", value, _origin(read, "cache_dir", "cache", "dir"))]


def _rewrites(read: Config, request: ConfigRequest) -> list[Setting]:
    """One for each base; the files of both are in force at once."""
    bases: dict[tuple[str, bool], list[str]] = {}
    for rule in read.rewrites.rules:
        bases.setdefault((rule.base, rule.is_shared), []).append(rule.instead_of)
    found: list[Setting] = []
    for (base, is_shared), instead_of in sorted(bases.items()):
        if is_shared:
            path = None if request.root is None else request.root / ".grex" / "config.toml"
        else:
            path = None if request.user_config_dir is None else request.user_config_dir / "grex" / "config.toml"
        origin = DEFAULT if path is None else place_of_setting(path, f"url.{base}", "instead_of")
        shown = [redact(one) for one in instead_of]
        found.append(Setting(f'url."{redact(base)}".instead_of', shown, origin))
    return found or [Setting("url.instead_of", [], DEFAULT)]


SHOWN: Final[Mapping[str, Callable[[Config, ConfigRequest], list[Setting]]]] = {
    "jobs": _jobs,
    "network_permits": _permits("network_permits"),
    "per_host": _permits("per_host"),
    "keep_days": _keep_days,
    "trust_prefixes": _trust,
    "groups_off": _groups,
    "cache_dir": _cache,
    "rewrites": _rewrites,
}
"""How each setting of `workspace.Config` is shown; a test demands that none is missing."""
