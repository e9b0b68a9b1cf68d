"""The predicates that ship with grex: what is there, what can be run, where we are, what is set, what is linked."""

from __future__ import annotations

import os
from typing import cast

from grex.builtin.paths import shown
from grex.names import suggest
from grex.pack import PLATFORMS, PlainData
from grex.plugin import PredicateContext, PredicateType

__all__ = ["CmdAvailable", "EnvSet", "Os", "PathExists", "SymlinkOk"]

_LINK_KEYS = ("src", "dst")


def _text_problem(value: PlainData, what: str) -> str | None:
    if not isinstance(value, str):
        return f"{what} is text (write it in quotes)"
    return None if value else f"{what} is empty (write its value)"


class PathExists(PredicateType):
    """Whether something is at a path, links followed."""

    name = "path_exists"

    def check(self, value: PlainData) -> str | None:
        """Text."""
        return _text_problem(value, self.name)

    def holds(self, value: PlainData, ctx: PredicateContext) -> bool:
        """Whether something is there; what nobody may look at, or has no possible name, is not."""
        return os.path.exists(ctx.path(cast("str", value)))  # noqa: PTH110 - Path raises where it may not look


class CmdAvailable(PredicateType):
    """Whether a command of that name would be found."""

    name = "cmd_available"

    def check(self, value: PlainData) -> str | None:
        """Text."""
        return _text_problem(value, self.name)

    def holds(self, value: PlainData, ctx: PredicateContext) -> bool:
        """Whether `PATH` has it."""
        from shutil import which  # noqa: PLC0415 - only packs with this predicate need it

        return which(cast("str", value), path=ctx.environ.get("PATH")) is not None


class Os(PredicateType):
    """Whether this is one of some platforms."""

    name = "os"

    def check(self, value: PlainData) -> str | None:
        """A platform, or a list of them that is not empty."""
        names = value if isinstance(value, list) else [value]
        if not names:
            return f"os is empty (known: {', '.join(PLATFORMS)})"
        for name in names:
            wrong = _text_problem(name, "os")
            if wrong is not None:
                return wrong
            if name not in PLATFORMS:
                return f"os cannot be '{shown(str(name))}' ({suggest(str(name), PLATFORMS)})"
        return None

    def holds(self, value: PlainData, ctx: PredicateContext) -> bool:
        """Whether this is one of them."""
        return ctx.platform in value if isinstance(value, list) else ctx.platform == value


class EnvSet(PredicateType):
    """Whether an environment variable is set."""

    name = "env_set"

    def check(self, value: PlainData) -> str | None:
        """Text."""
        return _text_problem(value, self.name)

    def holds(self, value: PlainData, ctx: PredicateContext) -> bool:
        """Whether it is set, to whatever."""
        return value in ctx.environ


class SymlinkOk(PredicateType):
    """Whether `dst` is a link that leads to `src`, which exists."""

    name = "symlink_ok"

    def check(self, value: PlainData) -> str | None:
        """A mapping of `src` and `dst`, both text."""
        if not isinstance(value, dict):
            return "symlink_ok is a mapping (write {src: ..., dst: ...})"
        for key in value:
            if key not in _LINK_KEYS:
                return f"symlink_ok has no key '{shown(key)}' ({suggest(key, _LINK_KEYS)})"
        for key in _LINK_KEYS:
            if key not in value:
                return f"symlink_ok needs '{key}' (write {{src: ..., dst: ...}})"
            wrong = _text_problem(value[key], f"symlink_ok.{key}")
            if wrong is not None:
                return wrong
        return None

    def holds(self, value: PlainData, ctx: PredicateContext) -> bool:
        """Whether the link leads there."""
        texts = cast("dict[str, str]", value)
        link, source = ctx.path(texts["dst"]), ctx.path(texts["src"])
        try:
            return link.is_symlink() and link.exists() and link.resolve() == source.resolve()
        except (OSError, RuntimeError):
            return False
