"""Where in a configuration file a setting stands: the line of its key.

The reader of TOML tells values and no places. So the line is looked for in the text, by the ways in which a key can
stand on a line of its own: below the header of its table, or dotted. What is written otherwise (a table in one line)
has the file as its place.
"""

from __future__ import annotations

import re
from pathlib import Path

__all__ = ["line_of", "mark_of", "place_of_setting"]

_HEADER = re.compile(r"\s*\[\s*(?P<name>[^\[\]]+?)\s*\]\s*(?:#.*)?")
_ANY_HEADER = re.compile(r"\s*\[\[?\s*(?P<name>[^\[\]]+?)\s*\]\]?\s*(?:#.*)?")
_KEY = re.compile(r"\s*(?P<name>[^=#\s][^=]*?)\s*=")


def place_of_setting(path: Path, table: str, key: str) -> str:
    """The place of a setting that is known to stand in a file: with its line, where it can be found."""
    try:
        line = line_of(path.read_text(encoding="utf-8"), table, key)
    except (OSError, UnicodeDecodeError):
        line = None
    return str(path) if line is None else f"{path}:{line}"


def line_of(text: str, table: str, key: str) -> int | None:
    """The line of a key, from 1; None if it does not stand on a line of its own.

    Args:
        text: of the file.
        table: the name of its table, as `sync`, or `url.BASE` for a table whose name has to be quoted.
        key: its name.
    """
    current = ""
    for number, line in enumerate(text.splitlines(), 1):
        header = _HEADER.fullmatch(line)
        if header is not None:
            current = _plain(header["name"])
            continue
        found = _KEY.match(line)
        if found is None:
            continue
        name = _plain(found["name"])
        if (current, name) == (table, key) or (not current and name == f"{table}.{key}"):
            return number
    return None


def mark_of(text: str, name: str) -> tuple[int, int]:
    """Line and column, from 1, of what stands for a setting or a table; of what is around it, if that is not found.

    Args:
        text: of the file.
        name: of the setting with its table, as `sync.jobs`, or of a table.
    """
    wanted = _plain(name)
    current, best, best_length = "", (1, 1), 0
    for number, line in enumerate(text.splitlines(), 1):
        header, found = _ANY_HEADER.fullmatch(line), _KEY.match(line)
        if header is not None:
            here = current = _plain(header["name"])
        elif found is not None:
            here = ".".join(part for part in (current, _plain(found["name"])) if part)
        else:
            continue
        is_it = here == wanted or wanted.startswith(f"{here}.") or here.startswith(f"{wanted}.")
        length = len(wanted) if here.startswith(wanted) else len(here)
        if is_it and length > best_length:
            best, best_length = (number, len(line) - len(line.lstrip()) + 1), length
    return best


def _plain(name: str) -> str:
    """A dotted name without quotes and blanks around its dots: quoted parts stay as they are."""
    parts = re.findall(r'"(?:[^"\\]|\\.)*"|\'[^\']*\'|[^."\']+', name)
    return ".".join(part.strip().strip("\"'") for part in parts if part.strip())
