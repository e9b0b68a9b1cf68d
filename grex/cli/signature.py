"""What typer is shown of a command: `takes` gives a command its `Call` in place of the options that commands share.

typer reads the options of a command from its signature. With `takes`, a command is written as what it is about, its
call and the options of its own:

    @takes("json", "quiet", "workspace")
    def ls(call: Call, tree: Annotated[bool, typer.Option("--tree")] = False) -> int: ...

and typer is shown `tree`, followed by those that are named, each as it is declared in `_given`. Flags that go on into
a request as they are stand in a `TypedDict`, once for all commands that have them, and the command takes them as
`**how: Unpack[...]`: typer is shown each of them in their place.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, Concatenate, TypeVar, get_args, get_type_hints

import typer
from msgspec.structs import replace
from typer.core import TyperCommand

from grex.cli.call import Call
from grex.cli.options import Color, Jobs, Json, JsonLines, LockTimeout, NoPager, NoWait, Quiet, Trace, Trust, Workspace

__all__ = ["COMMON", "CommandBehindDashes", "takes"]

COMMON = ("json", "json_lines", "quiet", "workspace", "jobs", "no_wait", "lock_timeout", "trace", "color")
"""What may stand before the verb as well, in the order in which the help lists it."""

R = TypeVar("R")

_BEHIND_DASHES = "grex.behind-dashes"


class CommandBehindDashes(TyperCommand):
    """A command of ours behind whose `--` stands a command of the user's, which is not ours to read.

    Before the dashes stand packs. What is behind them comes as `Call.behind_dashes`, None where there are no dashes.
    """

    takes_behind_dashes = True

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read what stands before the dashes, and keep the rest as it is."""
        if "--" in args:
            at = args.index("--")
            args, ctx.meta[_BEHIND_DASHES] = args[:at], tuple(args[at + 1 :])
        return super().parse_args(ctx, args)

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """What the first line of the help says."""
        return [*super().collect_usage_pieces(ctx), "-- CMD..."]


def _given(
    verb: str,
    *,
    trust: Trust = None,
    json: Json = False,
    json_lines: JsonLines = False,
    quiet: Quiet = False,
    workspace: Workspace = None,
    jobs: Jobs = None,
    no_wait: NoWait = False,
    lock_timeout: LockTimeout = None,
    trace: Trace = None,
    color: Color = None,
    no_pager: NoPager = False,
) -> Call:
    """The call that these options make; those that a command does not take have their defaults."""
    return Call(
        verb=verb,
        as_json=json,
        as_lines=json_lines,
        quiet=quiet,
        workspace=workspace,
        jobs=jobs,
        no_wait=no_wait,
        lock_timeout_s=lock_timeout,
        trace=trace,
        colour=color,
        no_pager=no_pager,
        trust=tuple(trust or ()),
    )


_SHARED = inspect.signature(_given, eval_str=True).parameters
_BY_NAME = inspect.Parameter.KEYWORD_ONLY  # as typer calls a command
_CONTEXT = inspect.Parameter("context", _BY_NAME, annotation=typer.Context)


def _flags(how: inspect.Parameter) -> list[inspect.Parameter]:
    """What `**how: Unpack[Flags]` stands for: every flag of that `TypedDict`, off unless it is given."""
    (flags,) = get_args(how.annotation)
    declared = get_type_hints(flags, include_extras=True)
    return [inspect.Parameter(name, _BY_NAME, default=False, annotation=flag) for name, flag in declared.items()]


def takes(*shared: str) -> Callable[[Callable[Concatenate[Call, ...], R]], Callable[..., R]]:
    """Turn a function of a `Call` and options into a command that typer can read.

    The name of the function is the verb. Its call is joined to the one of the options that stood before the verb;
    the command that comes first, which is the app itself, leaves its own for the verb.

    Args:
        shared: which of the shared options it takes, by their names in `_given`; in the help they come last.
    """

    def decorate(function: Callable[Concatenate[Call, ...], R]) -> Callable[..., R]:
        _, *own = inspect.signature(function, eval_str=True).parameters.values()
        verb = function.__name__.rstrip("_")  # `exec_`, because Python has an `exec` of its own

        def command(context: typer.Context, **options: Any) -> R:
            call = _given(verb, **{name: options.pop(name) for name in shared})
            call = replace(call, behind_dashes=context.meta.get(_BEHIND_DASHES))
            context.obj = call if context.obj is None else context.obj.joined(call)
            return function(context.obj, **options)

        shown: list[inspect.Parameter] = [_CONTEXT]
        for one in own:
            shown += _flags(one) if one.kind is one.VAR_KEYWORD else [one.replace(kind=_BY_NAME)]
        shown += [_SHARED[name] for name in shared]
        command.__name__ = verb
        command.__doc__ = function.__doc__
        command.__signature__ = inspect.Signature(shown)  # type: ignore[attr-defined]  # what `inspect` looks for
        command.__annotations__ = {one.name: one.annotation for one in shown}
        return command

    return decorate
