"""`.grex/local.yaml`: what this machine says differently about packs, and nobody else sees.

```yaml
overrides:                   # as in the root's pack.yaml, over which these win
  - path: libs/core
    url: /home/me/src/core
groups: [docs, "!ci"]        # turned on and off here, over `[groups] off` of the workspace's config.toml
```

The file may also carry `schema_version: "1"`. A relative URL starts with `./` or `../` and is relative to the
workspace; the `defaults` of pack.yaml do not reach here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from msgspec import Struct

from grex.errors import ConfigError
from grex.names import GROUP_NAME_HINT, is_group_name
from grex.pack.fields import check_keys, read_choice, read_list, read_mapping, read_text
from grex.pack.problems import Mark, Problems, quoted, raise_problems
from grex.pack.relations import read_overrides
from grex.pack.source import RefusedFileError, read_pack_file
from grex.pack.spec import SCHEMA_VERSION, OverrideSpec
from grex.pack.yaml_events import Node, read_yaml

__all__ = ["GroupEntry", "Local", "parse_local", "read_local", "read_local_all"]

_LOCAL_YAML: Final = ".grex/local.yaml"
_KEYS: Final = ("groups", "overrides", "schema_version")


class GroupEntry(Struct, frozen=True):
    """A group that this machine turns on or off."""

    name: str
    is_on: bool
    mark: Mark


class Local(Struct, frozen=True):
    """Everything that the file says."""

    overrides: tuple[OverrideSpec, ...] = ()
    groups: tuple[GroupEntry, ...] = ()


def read_local(workspace: Path) -> tuple[OverrideSpec, ...]:
    """Return the overrides of this machine; none where there is no such file, or an empty one.

    Raises:
        ConfigError: the file is refused; `details["problems"]` lists every problem.
    """
    return read_local_all(workspace).overrides


def read_local_all(workspace: Path) -> Local:
    """Return everything that the file says; nothing where there is no such file, or an empty one.

    Raises:
        ConfigError: as for `read_local`.
    """
    try:
        data = read_pack_file(workspace, _LOCAL_YAML)
    except RefusedFileError as error:
        problems = Problems()
        problems.add(Mark(_LOCAL_YAML, 1, 1), error.reason, error.hint)
        raise_problems(problems, ConfigError)
    return Local() if data is None else parse_local(data)


def parse_local(data: bytes) -> Local:
    """Return what the bytes of such a file say.

    Raises:
        ConfigError: as for `read_local`.
    """
    problems = Problems()
    # A file of comments is one in which everything is commented out: that is nothing to YAML, and no mistake here.
    says_nothing = all(not line or line.startswith(b"#") for line in map(bytes.strip, data.splitlines()))
    local = Local() if says_nothing else _parse(data, problems)
    if problems:
        raise_problems(problems, ConfigError)
    return local


def _parse(data: bytes, problems: Problems) -> Local:
    root = read_yaml(data, file=_LOCAL_YAML, problems=problems)
    entries = None if root is None else read_mapping(root, "local.yaml", problems)
    if entries is None:
        return Local()
    check_keys(entries, "local.yaml", _KEYS, problems)
    if "schema_version" in entries:
        read_choice(entries["schema_version"].node, "schema_version", (SCHEMA_VERSION,), problems)
    return Local(
        overrides=read_overrides(entries["overrides"].node, None, problems) if "overrides" in entries else (),
        groups=_read_groups(entries["groups"].node, problems) if "groups" in entries else (),
    )


def _read_groups(node: Node, problems: Problems) -> tuple[GroupEntry, ...]:
    found: dict[str, GroupEntry] = {}
    for item in read_list(node, "groups", problems) or ():
        text = read_text(item, "a group", problems)
        if text is None:
            continue
        name = text.removeprefix("!")
        if not is_group_name(name):
            problems.add(item, f"a group cannot be {quoted(text)}", f"{GROUP_NAME_HINT}; a ! before it turns it off")
        elif name in found:
            first = found[name].mark.seen_from(item.mark)
            problems.add(item, f"the group {quoted(name)} is named a second time", f"the first is {first}")
        else:
            found[name] = GroupEntry(name, not text.startswith("!"), item.mark)
    return tuple(found.values())
