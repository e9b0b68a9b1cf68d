"""Lock and temporary files that a killed git left in a git directory, and removing those that are surely ours.

git makes a lock file beside what it writes (`index.lock`, `HEAD.lock`, `refs/heads/main.lock`) and fails for ever if
one is left. Age proves nothing: a user's `git commit` may keep `index.lock` for an hour while its editor is open, and
does so without having the file open. So a file is removed only if all of this holds, the pack's locks being held:

* a move note stands, so a command of ours was killed here, and the file is not older than the note;
* no process has the file open;
* no git process works here: its working directory lies in a work tree of this repository or in the git directory, or
  its command line names one of them. Another work tree has an index of its own, and the same refs.

Otherwise nothing at all is removed and the caller hears of another git. Where processes cannot be looked at (no
`/proc`), that is the answer too. Processes of other users show less: a git of another user without the right to read
its details is recognised by its name alone, and is not counted.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from grex.git.errors import AnotherGitError
from grex.git.refs import GitDirs
from grex.git.worktree import work_trees

__all__ = ["find_git_at_work", "lock_files", "remove_stale_files"]

_PROC = Path("/proc")
_LOCK = ".lock"
_GARBAGE = ("tmp_pack_", "tmp_idx_", "tmp_rev_", "tmp_mtimes_", "tmp_obj_", "tmp_graph_")


def remove_stale_files(dirs: GitDirs, work_tree: Path, *, since_ns: int) -> tuple[str, ...]:
    """Remove what a killed git of ours left behind.

    Args:
        dirs: the git directories.
        work_tree: the checkout.
        since_ns: when the move note was written, by the clock of the file system.

    Returns:
        The removed lock files, below the git directory; temporary files are removed without a word.

    Raises:
        AnotherGitError: a lock file is there that is not surely ours.
        OSError: a file could not be removed.
    """
    locks = list(_lock_files(dirs))
    garbage = list(_garbage_files(dirs))
    if not locks and not garbage:
        return ()
    older = [path for path, status in locks if status.st_ctime_ns < since_ns]
    if older:
        raise _another(older[0], "older than our own work here")
    at_work = _find_git_at_work(dirs, work_tree, {(status.st_dev, status.st_ino) for _, status in locks + garbage})
    if at_work is not None:
        if not locks:
            return ()  # nothing is in anybody's way
        raise _another(locks[0][0], at_work)
    for path, status in locks:
        _remove(path, status)
    for path, status in garbage:
        if status.st_ctime_ns >= since_ns:
            _remove(path, status)
    return tuple(_shown(path, dirs) for path, _ in locks)


def lock_files(dirs: GitDirs) -> list[Path]:
    """The lock files of git that are there now: those of a git that works, or of one that was killed."""
    return sorted({path for path, _ in _lock_files(dirs)})


def find_git_at_work(dirs: GitDirs, work_tree: Path) -> str | None:
    """Say why somebody may be using the lock files of a repository; None if surely nobody is."""
    return _find_git_at_work(dirs, work_tree, {(status.st_dev, status.st_ino) for _, status in _lock_files(dirs)})


def _another(lock: Path, why: str) -> AnotherGitError:
    return AnotherGitError(
        f"another git is at work: '{lock}' is {why}",
        hint="Wait until it has ended; if none runs any more, remove that file.",
    )


def _lock_files(dirs: GitDirs) -> Iterator[tuple[Path, os.stat_result]]:
    for root in dict.fromkeys((dirs.own, dirs.common)):
        for directory in (root, root / "info", root / "objects" / "info"):
            yield from _files(directory, end=_LOCK)
        # No ref may end in `.lock`, so every such name here is a lock file.
        for parent, _, names in os.walk(root / "refs"):
            if any(name.endswith(_LOCK) for name in names):
                yield from _files(Path(parent), end=_LOCK)


def _garbage_files(dirs: GitDirs) -> Iterator[tuple[Path, os.stat_result]]:
    objects = dirs.common / "objects"
    try:
        names = os.listdir(objects)  # noqa: PTH208 - names are what is wanted
    except OSError:
        return
    for name in names:
        if len(name) == 2 or name == "pack":  # noqa: PLR2004 - the fan-out directories `00` to `ff`
            yield from _files(objects / name, start=_GARBAGE)


def _files(directory: Path, *, start: tuple[str, ...] = ("",), end: str = "") -> Iterator[tuple[Path, os.stat_result]]:
    """The regular files of one directory whose names begin and end so, each with its status."""
    try:
        names = os.listdir(directory)  # noqa: PTH208 - names are what is wanted
    except OSError:
        return
    for name in names:
        if name.startswith(start) and name.endswith(end):
            with contextlib.suppress(FileNotFoundError):
                status = (directory / name).lstat()
                if stat.S_ISREG(status.st_mode):
                    yield directory / name, status


def _find_git_at_work(dirs: GitDirs, work_tree: Path, inodes: set[tuple[int, int]]) -> str | None:
    """Say why somebody else may be using these files; None if surely nobody is."""
    roots = [os.path.realpath(path) for path in (work_tree, dirs.own, dirs.common, *work_trees(dirs))]
    try:
        pids = [int(path.name) for path in _PROC.iterdir() if path.name.isdecimal()]
    except OSError:
        return "there, and which processes run cannot be seen on this system"
    for pid in pids:
        if pid == os.getpid():
            continue
        process = _PROC / str(pid)
        if _has_open(process, inodes):
            return f"open in process {pid}"
        if _is_git_in(process, roots):
            return f"there, and the git process {pid} works here"
    return None


def _has_open(process: Path, inodes: set[tuple[int, int]]) -> bool:
    try:
        descriptors = list((process / "fd").iterdir())
    except OSError:
        return False  # gone, or another user's
    for descriptor in descriptors:
        try:
            status = descriptor.stat()
        except OSError:
            continue
        if (status.st_dev, status.st_ino) in inodes:
            return True
    return False


def _is_git_in(process: Path, roots: list[str]) -> bool:
    try:
        if not (process / "comm").read_bytes().startswith(b"git"):
            return False
        where = os.readlink(process / "cwd")  # noqa: PTH115 - a text to compare
        words = (process / "cmdline").read_bytes()
    except OSError:
        return False  # gone, a zombie, or another user's
    return any(where == root or where.startswith(root + os.sep) or os.fsencode(root) in words for root in roots)


def _remove(path: Path, seen: os.stat_result) -> None:
    """Remove a file, unless it has been replaced since it was judged."""
    try:
        if os.path.samestat(path.lstat(), seen):
            path.unlink()
    except FileNotFoundError:
        return


def _shown(path: Path, dirs: GitDirs) -> str:
    return os.path.relpath(path, dirs.own if path.is_relative_to(dirs.own) else dirs.common)
