"""Asks the user, once per run, whether packs that would run something are trusted."""

from __future__ import annotations

import os
import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, TextIO

import anyio

from grex.cli.streams import terminal_for_a_question
from grex.names import clean

if TYPE_CHECKING:
    from grex.engine import Step

__all__ = ["ask_for_trust", "trust_question"]

_LINE_LIMIT = 4096


def trust_question(*, as_json: bool) -> Callable[[Sequence[Step]], Awaitable[Sequence[str]]] | None:
    """The question, where somebody can answer it: a terminal on both sides, and text output."""
    if as_json or sys.stdin is None or not (sys.stdin.isatty() and sys.stderr.isatty()):
        return None
    return _ask_on_terminal


async def _ask_on_terminal(steps: Sequence[Step]) -> Sequence[str]:
    with terminal_for_a_question() as out:
        return await ask_for_trust(steps, _read_line, out)


async def _read_line() -> str:
    # Waiting for the descriptor instead of blocking in a read keeps Ctrl-C and SIGTERM effective at the question.
    await anyio.wait_readable(sys.stdin)
    return os.read(sys.stdin.fileno(), _LINE_LIMIT).decode(errors="replace")


async def ask_for_trust(steps: Sequence[Step], read_line: Callable[[], Awaitable[str]], out: TextIO) -> Sequence[str]:
    """Ask about every untrusted pack at once; gives the prefixes to trust from now on, none unless told so."""
    by_prefix: dict[str, list[Step]] = {}
    for step in steps:
        prefix = "." if step.trust_key is None else _prefix_of(step.trust_key)
        by_prefix.setdefault(prefix, []).append(step)
    trusted: list[str] = []
    for prefix in sorted(by_prefix):
        packs = by_prefix[prefix]
        count = f"{len(packs)} pack{'s' if len(packs) > 1 else ''}"
        while True:
            where = clean(prefix, 400)
            question = f"{count} under {where} would run something of their author's. Trust them? [y/N/show] "
            print(question, end="", file=out, flush=True)
            answer = (await read_line()).strip().lower()
            if answer in ("s", "show"):
                for step in packs:
                    for what in step.needs_trust:
                        print(f"  {step.pack.path}: {what}", file=out)
                continue
            if answer in ("y", "yes"):
                trusted.append(prefix)
            break
    return trusted


def _prefix_of(trust_key: str) -> str:
    """What a repository's neighbours have in common with it; never a whole host, or every file of this machine."""
    scheme, _, rest = trust_key.partition("://")
    above = rest.rpartition("/")[0]
    return f"{scheme}://{above}" if above.strip("/") and "/" in above else trust_key
