"""Which groups are off, written into `.grex/config.toml`: a few characters, everything else as it was.

```toml
[groups]
off = ["optional", "platform-windows"]
```

As with pack.yaml, the edit is proven by reading the result: it says what it said before, but for `groups.off`.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Sequence
from typing import Any

from grex.errors import ConfigError

__all__ = ["with_groups_off"]

_TABLE = re.compile(r"^[ \t]*\[[ \t]*groups[ \t]*\][^\n]*(?:\n|\Z)", re.MULTILINE)
_OFF = re.compile(r"^[ \t]*off[ \t]*=[ \t]*\[[^\]]*\]", re.MULTILINE)
_NEXT_TABLE = re.compile(r"^[ \t]*\[", re.MULTILINE)


def with_groups_off(text: str, groups: Sequence[str], *, file: str) -> str:
    """The text of a config.toml in which these groups are off besides those that are off already.

    Raises:
        ConfigError: it is not TOML, or of a shape in which nothing can be written safely.
    """
    before = _parsed(text, file)
    table = before.get("groups", {})
    off = table.get("off", []) if isinstance(table, dict) else []
    if not isinstance(off, list):
        raise _by_hand(file, groups)
    wanted = [*off, *(group for group in groups if group not in off)]
    if wanted == off:
        return text
    new = _edited(text, f"off = [{', '.join(json.dumps(group) for group in wanted)}]")
    try:
        after = tomllib.loads(new)
    except tomllib.TOMLDecodeError:  # written as `groups.off`, or as a table on one line
        raise _by_hand(file, groups) from None
    expected = {**before, "groups": {**(table if isinstance(table, dict) else {}), "off": wanted}}
    if after != expected:
        raise _by_hand(file, groups)
    return new


def _edited(text: str, line: str) -> str:
    header = _TABLE.search(text)
    if header is None:
        gap = "" if not text else "\n" if text.endswith("\n") else "\n\n"
        return f"{text}{gap}[groups]\n{line}\n"
    following = _NEXT_TABLE.search(text, header.end())
    end = len(text) if following is None else following.start()
    found = _OFF.search(text, header.end(), end)
    if found is not None:
        return text[: found.start()] + line + text[found.end() :]
    head = text[: header.end()]
    return f"{head}{'' if head.endswith(chr(10)) else chr(10)}{line}\n{text[header.end() :]}"


def _parsed(text: str, file: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ConfigError(f"{file} is not TOML: {error}", hint="See https://toml.io.") from error


def _by_hand(file: str, groups: Sequence[str]) -> ConfigError:
    return ConfigError(
        f"{file}: the groups that are off cannot be written there",
        hint=f"Write `off = {json.dumps(list(groups))}` below [groups] by hand.",
    )
