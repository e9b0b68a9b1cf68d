"""The `exec` action: a command in the pack, once, unless what it `creates` is there.

`cmd` is a list and is started without a shell, its variables expanded by grex. `cmd_shell` is a line for `/bin/sh`
and is handed over as it is: the shell has the same variables in its environment, and a second expansion before its
own would mangle `$1`. The directory is the pack or below it; an absolute one is taken as it is, which trust covers.

A command that fails has done an unknown part of its work. Its `undo` is not run then: it takes back what `cmd` did, and
nobody knows what that was. With `warn` and `ignore` the failed command counts as run, its undo included.

Undo data: `{"argv", "cwd", "env", "timeout_s", "exported"}`, all as declared and not expanded: values of variables
(tokens among them) have no place in the log. `exported` is what `env` actions had set before, if they had.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from grex.builtin.command import exit_error, shown_command
from grex.builtin.paths import is_within, resolve, shown
from grex.builtin.recorded import recorded_texts
from grex.errors import ActionError
from grex.names import clean
from grex.plugin import ActionContext, ActionType, Done, Planned
from grex.plugin import Exec as ExecArguments
from grex.plugin.failures import with_last_line

__all__ = ["Exec"]

_OWN_VARIABLES = "GREX_"
_LABEL_CHARACTERS = 80


class Exec(ActionType[ExecArguments]):
    """Runs commands."""

    name = "exec"
    arguments = ExecArguments
    stays: ClassVar[str | None] = "what its command did stays, for it has no `undo`"

    def check(self, arguments: ExecArguments) -> str | None:
        """Exactly one command, and arguments that a process can be given."""
        if arguments.shell:
            if arguments.cmd or not arguments.cmd_shell:
                return "exec with `shell: true` takes its command from `cmd_shell`, and no `cmd`"
        elif arguments.cmd_shell is not None:
            return "exec takes `cmd_shell` only together with `shell: true`"
        elif not arguments.cmd or not arguments.cmd[0]:
            return "exec needs a command: `cmd` as a list, or `shell: true` with `cmd_shell`"
        if arguments.undo and not arguments.undo[0]:
            return "exec has an `undo` without a program"
        if not math.isfinite(arguments.timeout_s) or arguments.timeout_s <= 0:
            return "exec needs a `timeout_s` of more than 0 seconds"
        return _check_environment(arguments.env) or _check_texts(arguments)

    def needs_trust(self, arguments: ExecArguments, ctx: ActionContext) -> tuple[str, ...]:
        """Its command lines, as declared."""
        del ctx
        undo = (f"exec {shown_command(arguments.undo)} (undo)",) if arguments.undo else ()
        return (_title(arguments), *undo)

    def limit_s(self, arguments: ExecArguments) -> float | None:
        """None: the command has a limit of its own."""
        del arguments
        return None

    def undo_limit_s(self, undo: Mapping[str, Any]) -> float | None:
        """None: as above."""
        del undo
        return None

    async def plan(self, arguments: ExecArguments, ctx: ActionContext) -> Planned | None:
        """The command, unless what it creates is there."""
        if _is_created(arguments, ctx):
            return None
        _directory(arguments.cwd, ctx)
        return Planned(_title(arguments), undo=_facts(arguments, ctx), undo_if_failed=False, touches_users=False)

    async def drift(self, arguments: ExecArguments, ctx: ActionContext) -> str | None:
        """What the command creates, if it says so and that is gone; what else it left, nobody knows."""
        if arguments.creates is None or _is_created(arguments, ctx):
            return None
        return f"{_title(arguments)}: {shown(arguments.creates)}, which it creates, is gone"

    async def do(self, arguments: ExecArguments, planned: Planned, ctx: ActionContext) -> Done:
        """Run the command.

        Cancellation: its process group has ended before the cancellation goes on.
        """
        title = planned.text
        argv = ("/bin/sh", "-c", arguments.cmd_shell or "") if arguments.shell else arguments.cmd
        if arguments.shell and ctx.platform == "windows":
            raise ActionError(f"{title}: there is no /bin/sh on Windows", hint="Use `cmd`, or a `when` with `os`.")
        try:
            await _run(argv, arguments, ctx, title, expand=not arguments.shell)
        except ActionError as error:
            if arguments.on_fail == "error":
                raise
            if arguments.on_fail == "warn":
                ctx.note(with_last_line(error))
        else:
            if arguments.creates is not None and not _is_created(arguments, ctx):
                ctx.note(f"{title}: succeeded and did not create {shown(arguments.creates)}, so it will run again")
        return Done(title, undo=planned.undo, irreversible=not arguments.undo)

    def describe_undo(self, undo: Mapping[str, Any]) -> str:
        """The undo command, as it was declared."""
        return f"exec {shown_command(recorded_texts(undo, 'argv'))}"

    async def undo(self, undo: Mapping[str, Any], ctx: ActionContext) -> None:
        """Run the undo command; whether running it twice is one time too many is for its author to know."""
        arguments = _recorded(undo)
        for name, text in undo.get("exported", ()):
            ctx.export(name, ctx.expand(text), text)
        title = f"exec {shown_command(arguments.cmd)} (undo)"
        await _run(arguments.cmd, arguments, ctx, title, expand=True)


def _title(arguments: ExecArguments) -> str:
    command = shown(arguments.cmd_shell or "") if arguments.shell else shown_command(arguments.cmd)
    return f"exec {command}"


def _check_environment(env: Mapping[str, str]) -> str | None:
    for name in env:
        if not name or "=" in name:
            return f"exec cannot set a variable named {shown(name)!r}"
        if name.upper().startswith(_OWN_VARIABLES):
            return f"exec cannot set {shown(name)}: variables that begin with {_OWN_VARIABLES} are grex's own"
    return None


def _check_texts(arguments: ExecArguments) -> str | None:
    texts = (*arguments.cmd, arguments.cmd_shell or "", *arguments.env, *arguments.env.values(), *arguments.undo)
    return "exec cannot pass a NUL character to a program" if any("\0" in text for text in texts) else None


def _is_created(arguments: ExecArguments, ctx: ActionContext) -> bool:
    return arguments.creates is not None and os.path.lexists(resolve(ctx, arguments.creates, "exec creates"))


def _directory(cwd: str | None, ctx: ActionContext) -> Path:
    """Where the command runs.

    Raises:
        ActionError: it is relative and leads out of the pack.
    """
    if cwd is None:
        return ctx.pack.root
    path = resolve(ctx, cwd, "exec cwd")
    is_relative = not (cwd.startswith("~") or Path(ctx.expand(cwd)).is_absolute())
    if is_relative and not is_within(path, ctx.pack.root):
        raise ActionError(
            f"exec cwd {shown(cwd)} leads out of the pack {ctx.pack.name}",
            hint="Give a directory of the pack, or an absolute path.",
        )
    return path


async def _run(argv: Sequence[str], arguments: ExecArguments, ctx: ActionContext, title: str, *, expand: bool) -> None:
    cwd = _directory(arguments.cwd, ctx)
    if not os.path.isdir(cwd):  # noqa: PTH112 - Path raises where it may not look
        raise ActionError(f"{title}: its directory {shown(cwd)} does not exist", hint="Correct `cwd` in the pack.yaml.")
    finished = await ctx.run_process(
        tuple(ctx.expand(text) for text in argv) if expand else tuple(argv),
        cwd=cwd,
        env={**ctx.environ, **{name: ctx.expand(value) for name, value in arguments.env.items()}},
        timeout_s=arguments.timeout_s,
        label=clean(title, _LABEL_CHARACTERS),
    )
    if finished.returncode:
        raise exit_error(
            title,
            finished,
            hint="Correct what it complains about and try again; `on_fail: warn` goes on without it.",
        )


def _facts(arguments: ExecArguments, ctx: ActionContext) -> dict[str, Any] | None:
    if not arguments.undo:
        return None
    facts = {
        "argv": list(arguments.undo),
        "cwd": arguments.cwd,
        "env": dict(arguments.env),
        "timeout_s": arguments.timeout_s,
    }
    # A teardown runs no `env` action: what they had set for this command is set again by its undo.
    return {**facts, "exported": [list(pair) for pair in ctx.exported]} if ctx.exported else facts


def _recorded(undo: Mapping[str, Any]) -> ExecArguments:
    """The undo command as arguments of its own, under the checks that declared ones pass."""
    cwd, env, timeout_s = undo.get("cwd"), undo.get("env", {}), undo.get("timeout_s", 0)
    exported = undo.get("exported", ())
    argv = recorded_texts(undo, "argv")
    is_readable = (
        (cwd is None or isinstance(cwd, str))
        and isinstance(env, Mapping)
        and isinstance(exported, list | tuple)
        and all(isinstance(pair, list | tuple) and len(pair) == 2 for pair in exported)  # noqa: PLR2004 - name and value
        and all(isinstance(text, str) for pair in (*env.items(), *exported) for text in pair)
        and isinstance(timeout_s, int | float)
    )
    arguments = ExecArguments(cmd=argv, cwd=cwd, env=env, timeout_s=timeout_s) if is_readable else ExecArguments()
    reason = Exec().check(arguments)
    if reason is not None:
        raise ActionError(
            f"the recorded undo command cannot be used: {reason}",
            hint="The log was edited or damaged; undo this action by hand.",
        )
    return arguments
