"""Colours by role: what a text is for, and the one place that says how it looks.

Whoever writes a text marks a part of it, `in_role("error", text)`, which gives the text as it is unless colours are on
where it goes: `with colours(...)` around the rendering says so. No part of a text is told by its colour alone. The
sequences take no room on a screen, so whatever is aligned or broken is measured with `cells`.

NO_COLOR (https://no-color.org), TERM=dumb and `--color` decide; a pipe has none unless it is `--color always`.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from enum import StrEnum
from typing import Literal, TextIO

__all__ = ["ColourChoice", "Role", "cells", "colours", "has_colours", "in_role", "painted", "plain", "role_of"]

Role = Literal["ok", "changed", "attention", "error", "dim", "heading"]


class ColourChoice(StrEnum):
    """When there are colours."""

    AUTO = "auto"
    ALWAYS = "always"
    NEVER = "never"


_PALETTE: Mapping[Role, str] = {
    # The eight colours that every theme sets itself, so that they can be read on any background.
    "ok": "32",
    "changed": "36",
    "attention": "33",
    "error": "31",
    "dim": "2",
    "heading": "1",
}

_ROLES: Mapping[str, Role] = {
    **dict.fromkeys(
        ("cloned", "moved", "installed", "updated", "synced", "fetched", "pushed", "switched", "created", "pulled"),
        "changed",
    ),
    **dict.fromkeys(("ran", "torn-down", "restored", "forked", "added", "changed", "mended", "removed"), "changed"),
    **dict.fromkeys(("unchanged", "skipped", "inactive", "note", "ok"), "dim"),
    **dict.fromkeys(("left", "not-reached", "untrusted", "undeclared", "kept", "blocked", "not fetched"), "attention"),
    **dict.fromkeys(("failed", "error"), "error"),
}

_SEQUENCE = re.compile(r"\x1b\[[0-9;]*m")
_is_on: ContextVar[bool] = ContextVar("grex-colours", default=False)


@contextmanager
def colours(is_on: bool) -> Generator[None]:
    """Whether what is marked in the block is coloured; in this task or thread only."""
    token = _is_on.set(is_on)
    try:
        yield
    finally:
        _is_on.reset(token)


def in_role(role: Role | None, text: str) -> str:
    """The text, coloured where colours are on."""
    return painted(role, text) if _is_on.get() else text


def painted(role: Role | None, text: str) -> str:
    """The text in the colour of its role; blanks at its ends stay as they are."""
    bare = text.strip(" ")
    if role is None or not bare:
        return text
    before, after = text[: text.index(bare)], text[text.index(bare) + len(bare) :]
    return f"{before}\x1b[{_PALETTE[role]}m{bare}\x1b[0m{after}"


def role_of(status: str) -> Role | None:
    """The role of what became of a pack; None for one that is neither good nor bad."""
    return _ROLES.get(status)


def has_colours(stream: TextIO, choice: ColourChoice | None, environ: Mapping[str, str]) -> bool:
    """Whether text that goes to the stream is coloured.

    Args:
        stream: where it goes.
        choice: what `--color` says, which counts before everything else; None where it was not given.
        environ: NO_COLOR, if it is set and not empty, and TERM.
    """
    if choice in (ColourChoice.ALWAYS, ColourChoice.NEVER):
        return choice is ColourChoice.ALWAYS
    if environ.get("NO_COLOR") or environ.get("TERM", "dumb") == "dumb":
        return False
    try:
        return stream.isatty()
    except ValueError:  # closed
        return False


def plain(text: str) -> str:
    """The text without colours."""
    return _SEQUENCE.sub("", text) if "\x1b" in text else text


def cells(text: str) -> int:
    """How many columns of a terminal a text takes: wide characters two, combining ones and colours none."""
    text = plain(text)
    if text.isascii():
        return len(text)
    from unicodedata import category, east_asian_width  # noqa: PLC0415 - most texts need no tables

    return sum(0 if category(one) in ("Mn", "Me", "Cf") else 2 if east_asian_width(one) in "WF" else 1 for one in text)
