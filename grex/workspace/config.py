"""Settings: those of a workspace (`.grex/config.toml`, shared) over those of the user (`grex/config.toml`).

```toml
[sync]
jobs = 4                 # disk permits; default: the number of cores
network_permits = 32
per_host = 8

[groups]                 # in the workspace's file only
off = ["docs"]           # not brought, unless this machine turns them on: `grex sync -g docs`

[trash]
keep_days = 90           # how long what was moved away can be brought back

[trust]                  # in the user's file only
prefixes = ["https://github.com/my-org"]

[cache]                  # in the user's file only
dir = "~/.cache/grex"    # objects that clones of all workspaces share; default: none

[url."https://mirror.example/"]
instead_of = ["https://github.com/"]
```

A workspace cannot grant itself trust: its configuration comes with the repository, from the very people whose code is
to be trusted. So `[trust]` in `.grex/config.toml` is refused rather than ignored, and so is `[cache]`, since which
directories of a machine are used is its user's to say. Where it rewrites URLs, `grex.names.rewrites` says what keeps
that safe. Unknown keys are errors too, since a misspelt limit would otherwise be no limit. Options and environment
variables win over both files; they are read in the front ends.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from msgspec import Struct, field
from msgspec.structs import replace

from grex.errors import ConfigError
from grex.names import GROUP_NAME_HINT, Rewrite, Rewrites, clean, is_group_name, redact, suggest
from grex.workspace.discover import PULL_MARKER

__all__ = ["Config", "cache_directory", "read_config"]

_SYNC_KEYS: Final = ("jobs", "network_permits", "per_host")
_TRASH_KEYS: Final = ("keep_days",)
_TRUST_KEYS: Final = ("prefixes",)
_GROUPS_KEYS: Final = ("off",)
_CACHE_KEYS: Final = ("dir",)
_URL_KEYS: Final = ("instead_of",)
_MOST: Final = 1024  # permits are processes
_MOST_DAYS: Final = 36500
_MAX_BYTES: Final = 1024 * 1024
_TOML_PLACE: Final = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")
_ELSEWHERE: Final = {
    "groups": (
        False,
        "groups belong to a workspace",
        "Turn one on or off there: `grex sync -g NAME`, `grex sync -g '!NAME'`.",
    ),
    "trust": (
        True,
        "a workspace cannot grant itself trust",
        "Move it to your own configuration, or use `grex trust`.",
    ),
    "cache": (
        True,
        "which directories of a machine are used is its user's to say",
        "Move it to your own configuration, or set GREX_CACHE_DIR.",
    ),
}
"""The tables that only one of the two files may have: whether it is the user's, why, and what to do."""


class Config(Struct, frozen=True):
    """The settings in force. `origins` names the file of each one that is not the default."""

    jobs: int | None = None
    """Disk permits; None: the number of cores."""
    network_permits: int = 32
    per_host: int = 8
    keep_days: int = 90
    trust_prefixes: tuple[str, ...] = ()
    groups_off: tuple[str, ...] = ()
    """The groups whose packs are brought only where a machine asks for them."""
    cache_dir: Path | None = None
    """Where the objects lie that clones share; None: nowhere."""
    rewrites: Rewrites = field(default_factory=Rewrites)
    """Of both files."""
    origins: Mapping[str, Path] = field(default_factory=lambda: MappingProxyType({}))


def read_config(
    workspace: Path | None, user_config_dir: Path | None, *, refused: list[ConfigError] | None = None
) -> Config:
    """Return the settings of a workspace.

    Args:
        workspace: its root; None outside of any.
        user_config_dir: the directory that holds `grex/config.toml` of this user, if there is one.
        refused: gets why a file was refused, which then counts for nothing; without it that is raised.

    Raises:
        ConfigError: a file says something that is not known or not possible; `details` has `file`, `line` and
            `column` where it stands in one.
    """
    config = Config()
    if user_config_dir is not None:
        try:
            config = _read_file(user_config_dir / "grex" / "config.toml", config, is_users=True)
        except ConfigError as error:
            if refused is None:
                raise
            refused.append(error)
    if workspace is None:
        return config
    try:
        return _read_file(workspace / ".grex" / "config.toml", config, is_users=False)
    except ConfigError as error:
        # The file may be half-written by a pull that was killed, which the verb is about to mend.
        if (workspace / PULL_MARKER).is_file():
            return config
        if refused is None:
            raise
        refused.append(error)
        return config


def _read_file(path: Path, config: Config, *, is_users: bool) -> Config:
    data = _read_bytes(path)
    if data is None:
        return config
    try:
        return _parse(path, data, config, is_users=is_users)
    except _Wrong as wrong:
        raise _located(path, data, wrong) from wrong.__cause__


class _Wrong(Exception):  # noqa: N818 - it never leaves this module
    """Something that cannot stand in a file: what, what to do, and where, as table and key or as line and column."""

    def __init__(self, text: str, hint: str | None, *, at: str = "", mark: tuple[int, int] | None = None) -> None:
        super().__init__(text)
        self.text, self.hint, self.at, self.mark = text, hint, at, mark


def _located(path: Path, data: bytes, wrong: _Wrong) -> ConfigError:
    from grex.workspace.origins import mark_of  # noqa: PLC0415 - only where something is wrong

    line, column = wrong.mark or mark_of(data.decode(errors="replace"), wrong.at)
    return ConfigError(
        f"{path}:{line}:{column}: {wrong.text}",
        hint=wrong.hint,
        details={"file": str(path), "line": line, "column": column},
    )


def _parse(path: Path, data: bytes, config: Config, *, is_users: bool) -> Config:
    # Imported here: most workspaces have no such file.
    import tomllib  # noqa: PLC0415 - see above

    try:
        tables = tomllib.loads(data.decode())
    except UnicodeDecodeError as error:
        before = data[: error.start]
        mark = before.count(b"\n") + 1, len(before) - (before.rfind(b"\n") + 1) + 1
        raise _Wrong("this is not TOML: it is not UTF-8.", "See https://toml.io.", mark=mark) from error
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        text = clean(str(error))
        place = _TOML_PLACE.search(text)
        raise _Wrong(
            f"this is not TOML: {text if place is None else text[: place.start()]}.",
            "See https://toml.io.",
            mark=_toml_mark(data, place),
        ) from error
    _check_known("", tables, ("cache", "groups", "sync", "trash", "trust", "url"))
    for table, (belongs_to_user, why_not, hint) in _ELSEWHERE.items():
        if table in tables and is_users != belongs_to_user:
            raise _Wrong(f"there is a table [{table}], but {why_not}.", hint, at=table)
    found: dict[str, int | tuple[str, ...] | Path | Rewrites] = {}
    if "sync" in tables:
        found.update(_read_sync(tables["sync"]))
    if "groups" in tables:
        found["groups_off"] = _read_groups(tables["groups"])
    if "trash" in tables:
        found.update(_read_trash(tables["trash"]))
    if "trust" in tables:
        found["trust_prefixes"] = _read_trust(tables["trust"])
    if "cache" in tables and (cache_dir := _read_cache(path, tables["cache"])) is not None:
        found["cache_dir"] = cache_dir
    if "url" in tables:
        rules = _read_rewrites(tables["url"], is_shared=not is_users)
        found["rewrites"] = Rewrites((*config.rewrites.rules, *rules))
    origins = MappingProxyType({**config.origins, **dict.fromkeys(found, path)})
    return replace(config, **found, origins=origins)  # each value was checked by its reader


def _toml_mark(data: bytes, place: re.Match[str] | None) -> tuple[int, int]:
    """Line and column of what the TOML parser speaks of; it names the end of a file by a word."""
    if place is not None and place[1] is not None:
        return int(place[1]), int(place[2])
    if place is None:
        return 1, 1
    lines = data.decode(errors="replace").split("\n")
    return len(lines), len(lines[-1]) + 1


def _read_bytes(path: Path) -> bytes | None:
    """The bytes of a file that need not be there, which then costs one stat."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise ConfigError(f"{path} is no regular file.", hint="Put a regular file in its place.")
        if status.st_size > _MAX_BYTES:
            raise ConfigError(f"{path} is larger than 1 MiB.", hint="Take away what is not configuration.")
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}.", hint="Check its permissions.") from error


def _read_sync(table: object) -> dict[str, int]:
    entries = _table("sync", table)
    _check_known("sync.", entries, _SYNC_KEYS)
    for key, value in entries.items():
        if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= _MOST:
            raise _Wrong(
                f"sync.{key} is {_shown(value)}, and a whole number from 1 to {_MOST} is needed.",
                f"Write it as in `{key} = 4`.",
                at=f"sync.{key}",
            )
    return {key: value for key, value in entries.items() if isinstance(value, int)}


def _read_groups(table: object) -> tuple[str, ...]:
    entries = _table("groups", table)
    _check_known("groups.", entries, _GROUPS_KEYS)
    names = entries.get("off", [])
    if not isinstance(names, list):
        raise _Wrong(
            f"groups.off is {_shown(names)}, and a list is needed.", 'Write it as in `["docs"]`.', at="groups.off"
        )
    for name in names:
        if not isinstance(name, str) or not is_group_name(name):
            raise _Wrong(
                f"groups.off holds {_shown(name)}, which is no name of a group.",
                f"Use {GROUP_NAME_HINT}.",
                at="groups.off",
            )
    return tuple(dict.fromkeys(names))


def _read_trash(table: object) -> dict[str, int]:
    entries = _table("trash", table)
    _check_known("trash.", entries, _TRASH_KEYS)
    days = entries.get("keep_days", Config().keep_days)
    if not isinstance(days, int) or isinstance(days, bool) or not 0 <= days <= _MOST_DAYS:
        raise _Wrong(
            f"trash.keep_days is {_shown(days)}, and a whole number from 0 to {_MOST_DAYS} is needed.",
            "Write it as in `keep_days = 90`.",
            at="trash.keep_days",
        )
    return {"keep_days": days} if "keep_days" in entries else {}


def _read_trust(table: object) -> tuple[str, ...]:
    entries = _table("trust", table)
    _check_known("trust.", entries, _TRUST_KEYS)
    prefixes = entries.get("prefixes", [])
    if not isinstance(prefixes, list):
        raise _Wrong(
            f"trust.prefixes is {_shown(prefixes)}, and a list is needed.",
            'Write it as in `["..."]`.',
            at="trust.prefixes",
        )
    texts: list[str] = []
    for prefix in prefixes:
        # An empty prefix would trust everybody.
        if not isinstance(prefix, str) or not prefix.strip() or not prefix.isprintable():
            raise _Wrong(
                f"trust.prefixes holds {_shown(prefix)}, and each is the beginning of a URL.",
                "Write it as in 'https://github.com/my-org'.",
                at="trust.prefixes",
            )
        texts.append(prefix)
    return tuple(texts)


def _read_cache(path: Path, table: object) -> Path | None:
    entries = _table("cache", table)
    _check_known("cache.", entries, _CACHE_KEYS)
    text = entries.get("dir", "")
    if not isinstance(text, str) or not text.isprintable():
        raise _Wrong(
            f"cache.dir is {_shown(text)}, and a directory is needed.",
            'Write it as in `dir = "~/.cache/grex"`.',
            at="cache.dir",
        )
    try:
        return cache_directory(text, relative_to=path.parent)
    except ConfigError as error:
        raise _Wrong(f"{error.message}.", error.hint, at="cache.dir") from error


def cache_directory(text: str, *, relative_to: Path) -> Path | None:
    """The directory that a text means: `~` is the home, a relative path starts at `relative_to`, none is no cache.

    Raises:
        ConfigError: it begins with `~` and a name that is no user's.
    """
    if not text.strip():
        return None
    try:
        path = Path(text).expanduser()
    except RuntimeError as error:
        raise ConfigError(
            f"the cache directory {_shown(text)} has no home to start from.", hint="Write it in full."
        ) from error
    return relative_to / path


def _read_rewrites(table: object, *, is_shared: bool) -> tuple[Rewrite, ...]:
    from grex.names.rewrites import check_rewrite  # noqa: PLC0415 - most files have no such table

    rules: list[Rewrite] = []
    for base, value in _table("url", table).items():
        name = f"url.{clean(redact(base), 80)}"
        entries = _table(name, value)
        _check_known(f"{name}.", entries, _URL_KEYS)
        prefixes = entries.get("instead_of", [])
        if not isinstance(prefixes, list) or not all(isinstance(one, str) and one.isprintable() for one in prefixes):
            raise _Wrong(
                f"{name}.instead_of is {_shown(prefixes)}, and a list of URL prefixes is needed.",
                'Write it as in `["https://github.com/"]`.',
                at=f"{name}.instead_of",
            )
        for prefix in prefixes:
            rule = Rewrite(base, prefix, is_shared)
            reason = check_rewrite(rule)
            if reason is not None:
                raise _Wrong(
                    f"{name} cannot stand for {_shown(prefix)}: {reason}.",
                    'Write it as in `[url."https://mirror.example/"]` with `instead_of = ["https://github.com/"]`.',
                    at=name,
                )
            rules.append(rule)
    return tuple(rules)


def _table(name: str, value: object) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise _Wrong(f"{name} is {_shown(value)}, and a table is needed.", f"Write [{name}] above its keys.", at=name)
    return value


def _check_known(prefix: str, entries: Mapping[str, object], known: tuple[str, ...]) -> None:
    for key in entries:
        if key not in known:
            name = f"{prefix}{key}"
            raise _Wrong(f"there is no setting '{clean(name, 80)}'.", suggest(key, known), at=name)


def _shown(value: object) -> str:
    return clean(redact(repr(value)), 60)
