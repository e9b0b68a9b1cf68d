"""Which groups are on: all of them, but for those that the workspace's config.toml or this machine turns off.

`.grex/config.toml` is committed and says which groups are off for everybody who says nothing; `.grex/local.yaml` is
this machine's and wins, group by group. A child with groups is active when at least one of them is on, and one
without groups always. An inactive pack is left exactly as it is: it is not cloned, moved or removed, what it declares
is not walked, and its lines in the lockfile stay, so that the lockfile does not tell which machine wrote it.

What `-g` asks for is written by `grex.engine.turning` and is in force for every later command.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from msgspec import Struct, field

from grex.pack import Local, read_local_all
from grex.workspace import Layout, read_config

__all__ = ["ALL_ON", "GroupSetting", "Groups", "read_groups"]

_CONFIG_TOML = ".grex/config.toml"


class GroupSetting(Struct, frozen=True):
    """Whether a group is on, and who says so: a file of the workspace, with the place where it is known."""

    name: str
    is_on: bool
    origin: str


class Groups(Struct, frozen=True):
    """The groups that somebody has said something about, by name; every other one is on."""

    settings: Mapping[str, GroupSetting] = field(default_factory=dict)

    def is_on(self, name: str) -> bool:
        """Whether a group is on."""
        setting = self.settings.get(name)
        return setting is None or setting.is_on

    def is_active(self, groups: Collection[str]) -> bool:
        """Whether a child of these groups is brought."""
        return not groups or any(map(self.is_on, groups))

    def turned(self, choices: Mapping[str, bool], origin: str) -> Groups:
        """The same with some groups on or off by the word of somebody else."""
        said = {name: GroupSetting(name, is_on, origin) for name, is_on in choices.items()}
        return Groups({**self.settings, **said})


ALL_ON = Groups()


def read_groups(layout: Layout, local: Local | None = None, *, is_lenient: bool = False) -> Groups:
    """The groups of a workspace on this machine, each with where it was said. Takes no lock.

    Args:
        layout: the workspace.
        local: what `.grex/local.yaml` says, where the caller has read it already.
        is_lenient: a config.toml that is refused turns nothing off.

    Raises:
        ConfigError: one of the two files is refused.
    """
    config = read_config(layout.root, None, refused=[] if is_lenient else None)
    settings = {name: GroupSetting(name, False, _CONFIG_TOML) for name in config.groups_off}
    for entry in (local or read_local_all(layout.root)).groups:
        settings[entry.name] = GroupSetting(entry.name, entry.is_on, str(entry.mark))
    return Groups(settings)
