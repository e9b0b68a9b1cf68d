r"""Reading one git configuration file without a process.

Enough of the format to answer questions about a checkout's own `config`: sections, subsections, values with quotes,
escapes, comments and continued lines. Includes are not followed; `has_includes` tells a caller who needs certainty to
ask git instead. A file that does not follow the format gives None, and git is asked as well.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

from grex.fs import read_regular

__all__ = ["ConfigFile", "parse_config", "read_config"]

_LIMIT_BYTES = 1 << 20
_BLANKS = " \t\r"  # what git takes for blank on a line, which is less than Python does
_SECTION = re.compile(r'[ \t\r]*\[([A-Za-z0-9.-]+)(?:[ \t]+"((?:[^"\\\n]|\\.)*)")?\]')
_KEY = re.compile(r"[ \t\r]*([A-Za-z][A-Za-z0-9-]*)[ \t]*(=)?")
_IGNORED = re.compile(r"[ \t\r]*(?:[#;].*)?")
_ESCAPES = {"n": "\n", "t": "\t", "b": "\b", '"': '"', "\\": "\\"}
_TRUE = frozenset({"true", "yes", "on", "1"})


class ConfigFile(Struct, frozen=True):
    """The values of one file; where a key stands several times, the last one counts."""

    values: Mapping[tuple[str, str, str], str]
    """By section and key in lower case with the subsection between them, `""` where there is none."""

    def get(self, section: str, key: str, *, subsection: str = "") -> str | None:
        """The value, `"true"` for a key without one, None if it is not set."""
        return self.values.get((section.lower(), subsection, key.lower()))

    def is_true(self, section: str, key: str, *, default: bool) -> bool:
        """The value as git reads a boolean."""
        value = self.get(section, key)
        return default if value is None else value.lower() in _TRUE

    @property
    def has_includes(self) -> bool:
        """Whether this file pulls in others, which may say something else."""
        return any(section in {"include", "includeif"} for section, _, _ in self.values)


def read_config(path: Path) -> ConfigFile | None:
    """The file's values; None if it is missing, cannot be read or does not follow the format."""
    try:
        text = read_regular(path, limit_bytes=_LIMIT_BYTES).decode("utf-8", "surrogateescape")
    except OSError:
        return None
    return parse_config(text)


def parse_config(text: str) -> ConfigFile | None:
    """The values in a file's text; None if it does not follow the format."""
    values: dict[tuple[str, str, str], str] = {}
    section: tuple[str, str] | None = None
    lines = iter(text.removeprefix("\ufeff").split("\n"))
    for line in lines:
        rest = line
        header = _SECTION.match(rest)
        if header is not None:
            section = (header[1].lower(), re.sub(r"\\(.)", r"\1", header[2] or ""))
            rest = rest[header.end() :]  # a key may follow on the same line
        if _IGNORED.fullmatch(rest):
            continue
        key = _KEY.match(rest)
        if key is None or section is None:
            return None
        value: str | None
        if key[2]:
            while _is_continued(rest):
                rest = rest[:-1] + next(lines, "")
            value = _parse_value(rest[key.end() :])
        else:
            value = "true" if _IGNORED.fullmatch(rest[key.end() :]) else None
        if value is None:
            return None
        values[*section, key[1].lower()] = value
    return ConfigFile(values)


def _is_continued(line: str) -> bool:
    backslashes = len(line) - len(line.rstrip("\\"))
    return backslashes % 2 == 1


def _parse_value(text: str) -> str | None:
    """A value without quotes, escapes, comment and outer blanks; None if a quote is left open."""
    value: list[str] = []
    quoted = False
    kept = 0  # up to here even trailing blanks count, for they were quoted
    position = 0
    text = text.removesuffix("\r")
    while position < len(text):
        character = text[position]
        position += 1
        if character == '"':
            quoted = not quoted
            kept = len(value)
        elif character == "\\":
            escaped = _ESCAPES.get(text[position : position + 1])
            if escaped is None:
                return None
            value.append(escaped)
            kept = len(value)
            position += 1
        elif character in "#;" and not quoted:
            break
        elif quoted or value or character not in _BLANKS:
            value.append(character)
    return None if quoted else "".join(value[:kept]) + "".join(value[kept:]).rstrip(_BLANKS)
