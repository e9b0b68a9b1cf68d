"""The hooks of a `scripted` pack, run as actions so that they get a bracket in the log, a time limit and a dry run.

There is no entry point for `hook`: a pack.yaml cannot ask for one, the pack type runs it with `using=HookAction()`.

A hook is `.grex/hooks/<name>.sh` (`.ps1` on Windows). It may be a link, but only to another file of the pack: trust was
given to this pack's content. An executable file that begins with `#!` is started itself, every other one by `/bin/sh`,
so that a hook works from a checkout that lost its mode bits (a file system without them, a zip).

A hook has no undo of its own. What `setup` did is taken back by the `teardown` hook, which the pack type runs when the
pack is torn down; running it because a later hook failed would take away more than that hook's own part.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, cast

from grex.builtin.command import exit_error, shown_command
from grex.builtin.paths import disk_error, is_within, shown
from grex.errors import ActionError
from grex.fs import open_regular
from grex.plugin import ActionArguments, ActionContext, ActionType, Done, Pack, Planned

__all__ = ["HookAction", "HookArguments", "hook_file", "hook_names"]

TIMEOUT_S = 600.0

_NAME = re.compile(r"[a-z][a-z0-9_-]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class HookArguments(ActionArguments):
    """Which hook."""

    action: ClassVar[str] = "hook"
    hook: str


def hook_file(pack: Pack, hook: str, platform: str) -> Path | None:
    """The file of a hook, or None if the pack has none of that name; whether it may be run is asked when it is."""
    if _NAME.fullmatch(hook) is None:
        return None
    path = _hooks(pack) / f"{hook}{_suffix(platform)}"
    return path if os.path.lexists(path) else None


def hook_names(pack: Pack, platform: str) -> tuple[str, ...]:
    """The names of the hooks that the pack has, sorted."""
    try:
        files = list(_hooks(pack).iterdir())
    except OSError:  # no hooks, or none that could be read
        return ()
    suffix = _suffix(platform)
    return tuple(sorted(file.stem for file in files if file.suffix == suffix and _NAME.fullmatch(file.stem)))


def _hooks(pack: Pack) -> Path:
    return pack.root / ".grex" / "hooks"


def _suffix(platform: str) -> str:
    return ".ps1" if platform == "windows" else ".sh"


class HookAction(ActionType[HookArguments]):
    """Runs one hook in the root of its pack."""

    name = "hook"
    arguments = HookArguments

    def needs_trust(self, arguments: HookArguments, ctx: ActionContext) -> tuple[str, ...]:
        """The hook, if there is one."""
        path = hook_file(ctx.pack, arguments.hook, ctx.platform)
        return () if path is None else (_title(path, ctx.pack),)

    def limit_s(self, arguments: HookArguments) -> float | None:
        """None: the command has a limit of its own."""
        del arguments
        return None

    async def plan(self, arguments: HookArguments, ctx: ActionContext) -> Planned | None:
        """The hook, if there is one; what it would change, only it knows."""
        path = hook_file(ctx.pack, arguments.hook, ctx.platform)
        if path is None:
            return None
        return Planned(_title(path, ctx.pack), facts=_command(path, ctx))

    async def do(self, arguments: HookArguments, planned: Planned, ctx: ActionContext) -> Done:
        """Run the hook.

        Cancellation: its process group has ended before the cancellation goes on.
        """
        finished = await ctx.run_process(
            cast("tuple[str, ...]", planned.facts),
            cwd=ctx.pack.root,
            env=ctx.environ,
            timeout_s=TIMEOUT_S,
            label=planned.text,
        )
        if finished.returncode:
            path = hook_file(ctx.pack, arguments.hook, ctx.platform)
            file = planned.text if path is None else _place(path, ctx.pack)  # a hook may remove itself
            raise exit_error(
                f"{file}: the hook", finished, hint="Correct what it complains about and try again.", file=file
            )
        return Done(planned.text, irreversible=True)

    async def drift(self, arguments: HookArguments, ctx: ActionContext) -> str | None:
        """None: what a hook left, only it knows."""
        del arguments, ctx
        return None


def _title(path: Path, pack: Pack) -> str:
    return f"hook {shown_command([path.relative_to(pack.root).as_posix()])}"


def _place(path: Path, pack: Pack) -> str:
    """Where the hook is, from the workspace root; its failures are its own, not those of the pack.yaml."""
    inside = shown(path.relative_to(pack.root).as_posix())
    return inside if pack.path == "." else f"{pack.path}/{inside}"


def _command(path: Path, ctx: ActionContext) -> tuple[str, ...]:
    """How the hook is started.

    Raises:
        ActionError: it is not a file of this pack, or cannot be read.
    """
    place = _place(path, ctx.pack)
    if not is_within(path, ctx.pack.root):
        raise ActionError(
            f"{place}: the hook is a link that leads out of the pack {ctx.pack.name}",
            hint="Put a file of the pack itself there.",
            details={"file": place},
        )
    try:
        has_interpreter = _begins_with_interpreter(Path(os.path.realpath(path)))
    except OSError as error:
        refused = disk_error(f"{place}: the hook cannot be read", error)
        refused.details["file"] = place
        raise refused from error
    if ctx.platform == "windows":
        return ("powershell", "-NoProfile", "-ExecutionPolicy", "Bypass", "-File", str(path))
    if has_interpreter and os.access(path, os.X_OK):
        return (str(path),)
    return ("/bin/sh", str(path))


def _begins_with_interpreter(real: Path) -> bool:
    fd = open_regular(real)  # no directory, no FIFO that would hang whoever runs it
    try:
        return os.read(fd, 2) == b"#!"
    finally:
        os.close(fd)
