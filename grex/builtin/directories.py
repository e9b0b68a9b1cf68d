"""Directories that an action makes on its way, and takes back when it is undone.

What was made is a list of paths, outermost first, and is kept in the log as such. Taking it back is `rmdir` from the
innermost outwards: a directory that somebody has put something into stays, and so do those above it. `rmdir` follows
no link, so a path that has meanwhile become one is left alone as well.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterable
from pathlib import Path

from grex.builtin.paths import disk_error, shown
from grex.errors import ActionError
from grex.plugin import ActionContext

__all__ = ["make_missing", "missing_directories", "remove_made"]

_OUR_WAY = 0o300
_STAYS = (errno.ENOENT, errno.ENOTDIR, errno.ENOTEMPTY, errno.EEXIST, errno.EBUSY)


def missing_directories(path: Path, what: str) -> tuple[Path, ...]:
    """The directories that have to be made for `path` to be one, outermost first.

    Args:
        path: an absolute path.
        what: whose path it is, for the message: `mkdir /home/ann/bin`.

    Raises:
        ActionError: something that is not a directory is in the way, or the disk cannot be asked.
    """
    if ".." in path.parts:
        path = Path(os.path.realpath(path))  # `a/..` is no directory to make; without it, `a` may have to be one
    missing: list[Path] = []
    try:
        while not _is_directory(path, what):
            missing.append(path)
            path = path.parent
    except OSError as error:
        raise disk_error(what, error) from error
    return tuple(reversed(missing))


def make_missing(missing: Iterable[Path], what: str, *, mode: int | None = None) -> tuple[Path, ...]:
    """Make these directories, outermost first; all of them, or none.

    Args:
        missing: what `missing_directories` gave.
        what: as there.
        mode: the exact permission bits; by default what the umask allows.

    Raises:
        ActionError: one could not be made; those made before it are gone again.
    """
    made: list[Path] = []
    begun: list[Path] = []
    try:
        for path in missing:
            # With the wanted bits from the first moment: after a kill between this and the next step, the directory is
            # there and is taken as it is. Only our own way in is kept open until the inner ones are made.
            begun.append(path)
            path.mkdir(mode=0o777 if mode is None else (mode | _OUR_WAY) & 0o777)
            made.append(path)
        if mode is not None:
            for path in reversed(made):  # the innermost first: the mode may be one that bars our own way
                if stat.S_IMODE(path.stat().st_mode) != mode:  # what the umask took away, and special bits
                    path.chmod(mode)
    except OSError as error:
        # A network file system may say that it failed when it did not; what is there already is somebody else's.
        with contextlib.suppress(OSError):  # the first failure is the one to report
            remove_made(made if isinstance(error, FileExistsError) else begun)
        raise disk_error(what, error) from error
    return tuple(made)


def remove_made(made: Iterable[Path], ctx: ActionContext | None = None) -> None:
    """Remove those of the directories that are still there and empty, given outermost first.

    Args:
        made: the directories.
        ctx: of the undo; directories that are another pack's by now stay.

    Raises:
        OSError: one that is empty could not be removed, for the first such reason; the others were.
    """
    first: OSError | None = None
    ours = [path for path in made if ctx is None or not ctx.is_anothers(path)]
    for path in reversed(ours):
        try:
            _remove(path, ours)
        except OSError as error:  # in use, gone, or a link by now: one around it may still be empty
            if error.errno not in _STAYS:
                first = first or error
    if first is not None:
        raise first


def _remove(path: Path, ours: Iterable[Path]) -> None:
    """`rmdir`, also out of directories that were made with a mode that bars our own way."""
    try:
        path.rmdir()
    except PermissionError:
        opened: list[tuple[Path, int]] = []
        try:
            for above in (one for one in ours if one in path.parents):
                status = above.lstat()
                mode = stat.S_IMODE(status.st_mode)
                if stat.S_ISDIR(status.st_mode) and mode & _OUR_WAY != _OUR_WAY:
                    above.chmod(mode | _OUR_WAY)
                    opened.append((above, mode))
            if not opened:
                raise
            path.rmdir()
        finally:
            for above, mode in reversed(opened):
                above.chmod(mode)


def _is_directory(path: Path, what: str) -> bool:
    """Whether there is a directory; false where nothing is."""
    try:
        status = path.stat()
    except FileNotFoundError:
        if not os.path.lexists(path):
            return False
        raise ActionError(
            f"{what}: {shown(path)} is a link to something that does not exist",
            hint="Remove the link, or make what it points to.",
        ) from None
    except NotADirectoryError:
        return False  # the file among the parents is found, and named, on the way up
    if not stat.S_ISDIR(status.st_mode):
        raise ActionError(
            f"{what}: {shown(path)} is in the way and is not a directory",
            hint="Move it away, or choose another path in the pack.yaml.",
        )
    return True
