"""The arguments of the actions that ship with grex, as values that a pack.yaml or a plugin can make.

An action is two things: its arguments (here: plain data, checked when a pack.yaml is read) and its implementation (an
`ActionType`, found in the registry by the name in `action`). A plugin that runs `Symlink(src=..., dst=...)` therefore
needs no implementation, and a third party's action brings both halves. Texts may hold variables (`$NAME`, `${NAME}`,
`%NAME%`); relative paths are relative to the pack. The table of arguments is in `docs/reference/actions.md`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal

from grex.pack import ActionEntry, Mode, PredicateNode
from grex.plugin.arguments import ActionArguments

__all__ = [
    "Copy",
    "Env",
    "Exec",
    "Mkdir",
    "Require",
    "Rmdir",
    "Symlink",
    "When",
]

_DIRECTORY_MODE = Mode("0755")


@dataclass(frozen=True, slots=True, kw_only=True)
class Symlink(ActionArguments):
    """A symbolic link at `dst` that points to `src`.

    Attributes:
        src: what the link points to; relative to the pack.
        dst: where the link is made.
        backup: move something foreign at `dst` to `<dst>.grex-bak.<utc>` instead of failing.
        kind: `file`, `dir`, or `auto` (whatever `src` is); only Windows tells links to files and directories apart.
    """

    action: ClassVar[str] = "symlink"
    src: str | Path
    dst: str | Path
    backup: bool = False
    kind: Literal["auto", "file", "dir"] = "auto"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mkdir(ActionArguments):
    """A directory at `path`, with its parents; `mode` is text of 3 or 4 octal digits and applies to what is made."""

    action: ClassVar[str] = "mkdir"
    path: str | Path
    mode: Mode = _DIRECTORY_MODE


@dataclass(frozen=True, slots=True, kw_only=True)
class Env(ActionArguments):
    """A variable with a value.

    Attributes:
        name: a letter or `_`, then letters, digits and `_`.
        value: what it is set to, exactly.
        scope: `user` writes it into the startup file of the user's shell; `session` sets it only for what runs later
            in the pack.
    """

    action: ClassVar[str] = "env"
    name: str
    value: str
    scope: Literal["user", "session"] = "user"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rmdir(ActionArguments):
    """No directory at `path`.

    Attributes:
        path: the directory to take away; relative to the pack.
        backup: move one that is not empty to `<path>.grex-bak.<utc>`; wins over `force`.
        force: delete one that is not empty, with all that is in it and for good.
    """

    action: ClassVar[str] = "rmdir"
    path: str | Path
    backup: bool = False
    force: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy(ActionArguments):
    """A file at `dst` with the bytes of `src`.

    Attributes:
        src: a regular file; relative to the pack.
        dst: where the copy is made.
        mode: text of 3 or 4 octal digits; by default the permissions of `src`.
        backup: move something foreign at `dst` to `<dst>.grex-bak.<utc>` instead of failing.
    """

    action: ClassVar[str] = "copy"
    src: str | Path
    dst: str | Path
    mode: Mode | None = None
    backup: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Exec(ActionArguments):
    """A command in the pack.

    Attributes:
        cmd: the command and its arguments, started without a shell.
        shell: take `cmd_shell` instead of `cmd`.
        cmd_shell: a line for `/bin/sh -c`.
        cwd: where it runs; relative to the pack.
        env: variables set for it.
        timeout_s: seconds after which its process group is ended.
        on_fail: `error` fails the pack, `warn` reports and goes on, `ignore` goes on.
        creates: a path; when it exists already, nothing is run.
        undo: a command that takes back what `cmd` did, started without a shell.
    """

    action: ClassVar[str] = "exec"
    cmd: tuple[str, ...] = ()
    shell: bool = False
    cmd_shell: str | None = None
    cwd: str | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    timeout_s: float = 600.0
    on_fail: Literal["error", "warn", "ignore"] = "error"
    creates: str | None = None
    undo: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Require(ActionArguments):
    """A condition for the rest of the pack; `on_fail`: `error`, `skip` (the rest of the pack), or `warn`."""

    action: ClassVar[str] = "require"
    all_of: tuple[PredicateNode, ...] = ()
    any_of: tuple[PredicateNode, ...] = ()
    none_of: tuple[PredicateNode, ...] = ()
    on_fail: Literal["error", "skip", "warn"] = "error"


@dataclass(frozen=True, slots=True, kw_only=True)
class When(ActionArguments):
    """Actions that run only where every given condition holds."""

    action: ClassVar[str] = "when"
    actions: tuple[ActionEntry, ...]
    os: str | tuple[str, ...] | None = None
    all_of: tuple[PredicateNode, ...] = ()
    any_of: tuple[PredicateNode, ...] = ()
    none_of: tuple[PredicateNode, ...] = ()
