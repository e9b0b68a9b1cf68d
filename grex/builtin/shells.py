"""The startup files of shells: which one is the user's, and how a variable is set in it.

| `SHELL`  | file                                                                  |
|----------|-----------------------------------------------------------------------|
| bash     | `~/.bashrc`                                                           |
| zsh      | `$ZDOTDIR/.zshrc`, or `~/.zshrc`                                      |
| fish     | `$XDG_CONFIG_HOME/fish/conf.d/grex.fish`, or below `~/.config`        |
| another  | `~/.profile`                                                          |

An assignment is always one line, whatever the value: what a value holds can then never be taken for a marker of a
block. Every byte but NUL comes back exactly. Single quotes are the only quotes in which a shell looks at nothing; what
cannot stand in them (a quote, for fish a backslash) is put between two of them. A newline has a spelling of its own in
bash, zsh and fish; the shells of POSIX have none, so `printf` makes it there, with a character behind it that keeps
`$(...)` from swallowing it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from msgspec import Struct

__all__ = ["Startup", "assignment", "startup_file"]

Dialect = Literal["bash", "zsh", "fish", "sh"]


class Startup(Struct, frozen=True):
    """A shell's startup file, and the language that is spoken in it."""

    file: Path
    dialect: Dialect


def startup_file(home: Path, environ: Mapping[str, str]) -> Startup:
    """The file that the user's interactive shells read."""
    shell = Path(environ.get("SHELL", "")).name
    if shell == "bash":
        return Startup(home / ".bashrc", "bash")
    if shell == "zsh":
        return Startup(_directory(environ, "ZDOTDIR", home) / ".zshrc", "zsh")
    if shell == "fish":
        return Startup(_directory(environ, "XDG_CONFIG_HOME", home / ".config") / "fish/conf.d/grex.fish", "fish")
    return Startup(home / ".profile", "sh")


def _directory(environ: Mapping[str, str], name: str, otherwise: Path) -> Path:
    path = Path(environ.get(name, ""))
    return path if path.is_absolute() else otherwise


def assignment(dialect: Dialect, name: str, value: bytes) -> bytes:
    """The line, without its end, that sets an exported variable to exactly this value."""
    variable = name.encode("ascii")
    if dialect == "fish":
        escaped = value.replace(b"\\", b"\\\\").replace(b"'", b"\\'")
        return b"set -gx " + variable + b" '" + escaped.replace(b"\n", b"'\\n'") + b"'"
    if b"\n" not in value:
        return b"export " + variable + b"=" + _quoted(value)
    if dialect in ("bash", "zsh"):
        return b"export " + variable + b"=" + b"$'\\n'".join(_quoted(line) for line in value.split(b"\n"))
    escaped = value.replace(b"\\", b"\\\\").replace(b"\n", b"\\n")
    printed = b"$(printf '%b.' " + _quoted(escaped) + b")"
    return variable + b"=" + printed + b"; " + variable + b"=${" + variable + b"%.}; export " + variable


def _quoted(value: bytes) -> bytes:
    return b"'" + value.replace(b"'", b"'\\''") + b"'"
