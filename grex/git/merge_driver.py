"""git's merge drivers: how a repository is told to have certain files merged by grex, and git's own merge of lines.

A driver is named in the repository's attributes and described in its configuration (gitattributes(5), "Defining a
custom merge driver"). Both are local here, `info/attributes` and `config` of the git directory, so that nothing that is
committed speaks of grex, and a repository whose users have no grex merges as ever. The command falls back on git's own
merge where the Python that wrote it is gone.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterable
from pathlib import Path

from msgspec import Struct

from grex.git.command import GitRunner
from grex.git.config_file import read_config
from grex.git.errors import GitError

__all__ = ["MergedText", "has_merge_driver", "merge_lines", "merge_patterns", "write_merge_driver"]

_NAME = "grex"
_MOST_CONFLICTS = 127  # what git reports at most


class MergedText(Struct, frozen=True):
    """What git's merge of three texts gave; with conflicts, their markers stand in it."""

    data: bytes
    has_conflicts: bool


def merge_patterns(paths: Iterable[str]) -> list[str]:
    """Lines of an attributes file that have these paths, from the root of the work tree, merged by grex."""
    return sorted(f'"/{path}" merge={_NAME}' for path in paths)


def has_merge_driver(common_dir: Path) -> bool:
    """Whether the repository knows how to call a grex that is there; read from its configuration, without git."""
    config = read_config(common_dir / "config")
    command = None if config is None else config.get("merge", "driver", subsection=_NAME)
    if command is None or not command.startswith("if [ -x "):
        return False
    words = shlex.split(command)
    return len(words) > 3 and Path(words[3]).exists()  # noqa: PLR2004 - if [ -x PYTHON


async def write_merge_driver(git: GitRunner, work_tree: Path) -> None:
    """Describe the driver in the repository's configuration.

    Raises:
        GitError: git could not write it.
    """
    python = shlex.quote(sys.executable or "python3")
    ours = f"{python} -P -m grex merge-driver %O %A %B %P"
    command = f"if [ -x {python} ]; then {ours}; else git merge-file %A %O %B; fi"
    for key, value in (("name", "packs and their commits, by path"), ("driver", command)):
        await git.run(["config", "--local", f"merge.{_NAME}.{key}", value], cwd=work_tree)


async def merge_lines(git: GitRunner, base: Path, ours: Path, theirs: Path) -> MergedText:
    """Merge three files as git does, line by line; none of them is written.

    Raises:
        GitError: one of them cannot be read, or is no text.
    """
    names = ["-L", "ours", "-L", "base", "-L", "theirs"]
    files = [str(path.absolute()) for path in (ours, base, theirs)]
    done = await git.run(
        ["merge-file", "--stdout", *names, *files], cwd=ours.absolute().parent, accept=range(_MOST_CONFLICTS + 1)
    )
    if done.returncode < 0:
        raise GitError(f"git could not merge {ours}")
    return MergedText(done.stdout, done.returncode > 0)
