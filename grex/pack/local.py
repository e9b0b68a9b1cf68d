"""`.grex/local.yaml`: what this machine says differently about packs, and nobody else sees.

```yaml
overrides:                   # as in the root's pack.yaml, over which these win
  - path: libs/core
    url: /home/me/src/core
```

The file may also carry `schema_version: "1"`. A relative URL starts with `./` or `../` and is relative to the
workspace; the `defaults` of pack.yaml do not reach here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from grex.errors import ConfigError
from grex.pack.fields import check_keys, read_choice, read_mapping
from grex.pack.problems import Mark, Problems, raise_problems
from grex.pack.relations import read_overrides
from grex.pack.source import RefusedFileError, read_pack_file
from grex.pack.spec import SCHEMA_VERSION, OverrideSpec
from grex.pack.yaml_events import read_yaml

__all__ = ["read_local"]

_LOCAL_YAML: Final = ".grex/local.yaml"
_KEYS: Final = ("overrides", "schema_version")


def read_local(workspace: Path) -> tuple[OverrideSpec, ...]:
    """Return the overrides of this machine; none where there is no such file, or an empty one.

    Raises:
        ConfigError: the file is refused; `details["problems"]` lists every problem.
    """
    problems = Problems()
    overrides: tuple[OverrideSpec, ...] = ()
    try:
        data = read_pack_file(workspace, _LOCAL_YAML)
    except RefusedFileError as error:
        problems.add(Mark(_LOCAL_YAML, 1, 1), error.reason, error.hint)
        data = None
    if data is not None and data.strip():
        overrides = _parse(data, problems)
    if problems:
        raise_problems(problems, ConfigError)
    return overrides


def _parse(data: bytes, problems: Problems) -> tuple[OverrideSpec, ...]:
    root = read_yaml(data, file=_LOCAL_YAML, problems=problems)
    entries = None if root is None else read_mapping(root, "local.yaml", problems)
    if entries is None:
        return ()
    check_keys(entries, "local.yaml", _KEYS, problems)
    if "schema_version" in entries:
        read_choice(entries["schema_version"].node, "schema_version", (SCHEMA_VERSION,), problems)
    return read_overrides(entries["overrides"].node, None, problems) if "overrides" in entries else ()
