"""Sparse checkouts: only some directories of the tree are in the work tree, in git's cone mode.

git keeps what a new cone would take away if it is edited or not tracked, and says so; nothing is lost by `set_cone`.
Around it stands a move note that names the old and the new cone: files that only the new one has can be half-written
after a kill, and `grex.git.recover` puts them right. The directories go to git through its standard input, so that
none can be read as an option.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

from grex.git.command import LOCAL_TIMEOUT_S, BackendHold, GitRunner, require_backend
from grex.git.observe import CheckoutState
from grex.git.records import MoveNote, remove_note, write_note
from grex.names import clean

__all__ = ["cone_directories", "is_in_cone", "set_cone", "write_cone"]

_LEFT = re.compile(
    r"(?:not up to date and were left|were already present and thus not updated"
    r"|unmerged and were left|contains untracked files)"
)


def cone_directories(declared: Sequence[str]) -> tuple[str, ...]:
    """The directories as git wants them: without slashes at the ends, sorted, each once."""
    return tuple(sorted({"/".join(part for part in one.split("/") if part not in ("", ".")) for one in declared}))


def is_in_cone(path: bytes, cone: Sequence[str]) -> bool:
    """Whether a path is in the work tree: below one of the directories, or a file right in one of their parents."""
    if not cone:
        return True
    parent = path.rpartition(b"/")[0]
    if not parent:
        return True
    for directory in map(os.fsencode, cone):
        if parent == directory or parent.startswith(directory + b"/") or directory.startswith(parent + b"/"):
            return True
    return False


async def set_cone(
    runner: GitRunner,
    state: CheckoutState,
    cone: Sequence[str],
    *,
    before: Sequence[str],
    pack: str,
    backend: BackendHold,
    timeout_s: float | None = LOCAL_TIMEOUT_S,
) -> tuple[str, ...]:
    """Let the work tree hold these directories; all of the tree if there are none.

    Cancellation: git has ended; the move note stands, and the next recovery finishes it.

    Args:
        runner: runs git.
        state: the checkout.
        cone: the directories.
        before: those that it has now, for the note.
        pack: the pack's path, for the note.
        backend: the held BACKEND lock.
        timeout_s: how long it may take; objects that a partial clone lacks are fetched.

    Returns:
        What git left in the work tree although it is outside, because it is edited or untracked.

    Raises:
        GitError: git failed; the note stands.
    """
    require_backend(backend)
    write_note(state.dirs.own, MoveNote(op="sparse", pack=pack, cone=tuple(cone), cone_before=tuple(before)))
    left = await write_cone(runner, state, cone, backend=backend, timeout_s=timeout_s)
    remove_note(state.dirs.own)
    return left


async def write_cone(
    runner: GitRunner,
    state: CheckoutState,
    cone: Sequence[str],
    *,
    backend: BackendHold,
    timeout_s: float | None = LOCAL_TIMEOUT_S,
) -> tuple[str, ...]:
    """As `set_cone`, for a caller that has its own note: a clone, and a recovery.

    Raises:
        GitError: git failed.
    """
    finished = await runner.run(
        ["sparse-checkout", "set", "--cone", "--stdin"] if cone else ["sparse-checkout", "disable"],
        cwd=state.real,
        write=backend,
        timeout_s=timeout_s,
        stdin_data="".join(f"{_quoted(directory)}\n" for directory in cone).encode("utf-8", "surrogateescape"),
        subject=f"'{state.path}'",
    )
    return _left(finished.stderr)


def _quoted(directory: str) -> str:
    """A line of git's input: one that begins with a quotation mark would be taken for a quoted one."""
    if not directory.startswith('"'):
        return directory
    return '"' + directory.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _left(stderr: bytes) -> tuple[str, ...]:
    """The paths that git's warnings name."""
    text = stderr.decode("utf-8", "surrogateescape")
    if _LEFT.search(text) is None:
        return ()
    named = re.findall(r"^\t(.+)$|directory '(.+?)' contains untracked", text, re.MULTILINE)
    return tuple(sorted({clean(first or second, 200) for first, second in named})) or ("some files",)
