"""What was probably meant by a verb or an option that there is not."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from grex.errors import UsageError
from grex.names import clean

__all__ = ["usage_error"]

_HELP = "`grex --help` and `grex VERB --help` list what there is."
_SHOWN_CHARACTERS = 60
_MISSING = re.compile(r"Missing argument '(.*?)'\.", re.DOTALL)
_NO_VERB = re.compile(r"No such command '(.*?)'\.", re.DOTALL)

_ELSEWHERE = {
    "checkout": "switch",
    "forall": "exec",
    "foreach": "exec",
    "install": "sync",
    "list": "ls",
    "pull": "sync",
    "remove": "rm",
    "st": "status",
    "uninstall": "teardown",
}
"""What other tools call it."""


def usage_error(error: Any) -> UsageError:
    """What is wrong with a command line, with the name that is nearest; `error` is the framework's own."""
    command = getattr(getattr(error, "ctx", None), "command", None)
    option = getattr(error, "option_name", None)
    message = str(error.format_message())
    if option is not None and command is not None and message.startswith("No such option"):
        known = [name for one in command.params for name in (*one.opts, *one.secondary_opts) if name.startswith("-")]
        if "--help" not in known:
            known.append("--help")
        told = f"{error.ctx.command_path} has no option {clean(option, _SHOWN_CHARACTERS)}"
        return UsageError(told, hint=_hint(option, known, f"`{error.ctx.command_path} --help` lists those it has."))
    if message.startswith("Usage:") and command is not None:  # the framework would print the whole help of a group
        verbs = [name for name, one in command.commands.items() if not one.hidden]
        path = error.ctx.command_path
        return UsageError(f"{path} needs a verb: {_either(verbs)}", hint=f"`{path} --help` says what each one does.")
    missing = _MISSING.match(message)
    if missing is not None and command is not None:
        path = error.ctx.command_path
        return UsageError(f"{path} needs {missing[1]}", hint=f"`{path} --help` says what that is, and what there is.")
    found = _NO_VERB.match(message)
    if found is not None and command is not None:
        verbs = [name for name, one in command.commands.items() if not one.hidden]
        verb = found[1]
        told = f"{error.ctx.command_path} has no verb {clean(verb, _SHOWN_CHARACTERS)!r}"
        elsewhere = _ELSEWHERE.get(verb)
        if elsewhere in verbs:
            return UsageError(told, hint=f"Did you mean '{elsewhere}'?")
        return UsageError(told, hint=_hint(verb, verbs, _HELP))
    return UsageError(message, hint=_HELP)


def _either(names: list[str]) -> str:
    return " or ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _hint(word: str, known: Iterable[str], otherwise: str) -> str:
    """The known name that is nearest; dashes and case count for little, for these are what people get wrong."""
    from difflib import get_close_matches  # noqa: PLC0415 - only after a mistake

    plain = {name.replace("-", "").lower(): name for name in known}
    near = get_close_matches(word[:_SHOWN_CHARACTERS].replace("-", "").lower(), plain, n=1, cutoff=0.6)
    return f"Did you mean '{plain[near[0]]}'?" if near else otherwise
