"""What each setting of `config.toml` means: the one thing about them that the code does not say."""

from __future__ import annotations

from grex.workspace import config
from grex.workspace.config import Config

__all__ = ["SETTINGS", "default_of", "known_settings", "may_say"]

SETTINGS: dict[str, tuple[str, str | None]] = {
    "[sync] jobs": (
        "disk permits: how many packs are worked on at once on this machine; 1 is serial for the network as well",
        "one per core",
    ),
    "[sync] network_permits": ("how many packs may use the network at once", None),
    "[sync] per_host": ("how many of them may talk to one host", None),
    "[groups] off": (
        "groups whose packs are brought only on machines that [turn them on](cli.md#groups)",
        "none",
    ),
    "[trash] keep_days": ("how many days the trash keeps what was moved there; 0 to 36500", None),
    "[trust] prefixes": (
        "URL prefixes whose packs may run what they declare, in every workspace of this user",
        "none",
    ),
    "[cache] dir": (
        (
            "where the objects lie that clones of all workspaces share: [below](#the-cache); `~` is the home, a"
            " relative path starts at the file. `GREX_CACHE_DIR` goes before it; there, a relative path starts at the"
            " current directory"
        ),
        "none: no cache",
    ),
    '[url."BASE"] instead_of': ("URL prefixes for which BASE is asked: [below](#other-addresses)", "none"),
}
"""By table and key: what it means, and its default where `Config` has no plain one."""


def known_settings() -> list[str]:
    """What the reader of the files knows, in its own words."""
    found: list[str] = []
    for name, keys in sorted(vars(config).items()):
        if name.endswith("_KEYS") and isinstance(keys, tuple):
            table = name.strip("_").removesuffix("_KEYS").lower()
            shown = f'{table}."BASE"' if table == "url" else table
            found += [f"[{shown}] {key}" for key in keys]
    return found


def may_say(*, is_users: bool) -> str:
    """The tables that one of the two files may have."""
    tables = dict.fromkeys(name.split("]")[0] + "]" for name in SETTINGS)
    elsewhere = {
        name for name, (belongs_to_user, *_) in vars(config)["_ELSEWHERE"].items() if belongs_to_user != is_users
    }
    return ", ".join(f"`{table}`" for table in tables if table.strip("[]") not in elsewhere)


def default_of(name: str) -> str:
    """The default of a setting."""
    said = SETTINGS[name][1]
    return said if said is not None else str(getattr(Config(), name.rpartition(" ")[2]))
