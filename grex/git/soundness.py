"""Whether a repository can be relied on: its objects, where else it looks for some, how much of its history it has.

Everything here looks and changes nothing.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final

from grex.fs import read_regular
from grex.git.command import GitRunner
from grex.git.config_file import read_config
from grex.git.errors import GitError
from grex.git.observe import CheckoutState
from grex.git.records import CLONED_KEY
from grex.git.refs import GitDirs
from grex.names import clean

__all__ = [
    "OLDEST_GIT",
    "broken_objects",
    "git_version",
    "is_partial",
    "is_shallow",
    "missing_alternates",
    "origin_url",
    "was_cloned",
]

OLDEST_GIT: Final = (2, 34)

_LIMIT_BYTES: Final = 1 << 20
_VERSION = re.compile(r"git version (\d+)\.(\d+)")
_SHOWN: Final = 3


def was_cloned(dirs: GitDirs) -> bool:
    """Whether the repository says that grex has cloned it."""
    config = read_config(dirs.common / "config")
    section, _, key = CLONED_KEY.partition(".")
    return config is not None and config.is_true(section, key, default=False)


def origin_url(dirs: GitDirs) -> str | None:
    """The URL of `origin` as the repository's own configuration has it; None where that does not say."""
    config = read_config(dirs.common / "config")
    return None if config is None else config.get("remote", "url", subsection="origin")


def is_shallow(dirs: GitDirs) -> bool:
    """Whether the history is cut off somewhere."""
    try:
        return (dirs.common / "shallow").stat().st_size > 0
    except OSError:
        return False


def is_partial(dirs: GitDirs) -> bool:
    """Whether objects were left out, to be fetched when they are needed."""
    config = read_config(dirs.common / "config")
    return config is not None and config.get("remote", "promisor", subsection="origin") == "true"


def missing_alternates(dirs: GitDirs) -> list[str]:
    """The object directories that the repository borrows from and that are not there."""
    objects = dirs.common / "objects"
    try:
        lines = read_regular(objects / "info" / "alternates", limit_bytes=_LIMIT_BYTES).splitlines()
    except FileNotFoundError:
        return []
    except OSError as error:
        return [f"{objects}/info/alternates ({error.strerror})"]
    named = [os.fsdecode(line) for line in lines if line and not line.startswith(b"#")]
    return [name for name in named if "\0" in name or not (objects / name).is_dir()]


async def broken_objects(runner: GitRunner, state: CheckoutState) -> str | None:
    """What git finds wrong with the objects that the refs need, on one line; None if nothing.

    Every object is looked for, and none is read to its end: that would take minutes for a large repository.

    Raises:
        GitError: git could not look.
    """
    done = await runner.run(
        ["fsck", "--connectivity-only", "--no-dangling", "--no-progress"], cwd=state.real, accept=range(256)
    )
    if done.returncode == 0:
        return None
    lines = (done.stderr + b"\n" + done.stdout).decode("utf-8", "replace").splitlines()
    told = [clean(line, 120) for line in lines if line.strip()]
    more = f" (and {len(told) - _SHOWN} more)" if len(told) > _SHOWN else ""
    return "; ".join(told[:_SHOWN]) + more or f"git fsck ended with {done.returncode}"


async def git_version(runner: GitRunner, cwd: Path) -> tuple[int, int]:
    """The version of the git that is run.

    Raises:
        GitError: there is none, or it does not say.
    """
    done = await runner.run(["version"], cwd=cwd)
    found = _VERSION.match(done.stdout.decode("utf-8", "replace"))
    if found is None:
        raise GitError(f"git does not tell its version, but {clean(done.stdout.decode('utf-8', 'replace'), 80)!r}")
    return int(found[1]), int(found[2])
