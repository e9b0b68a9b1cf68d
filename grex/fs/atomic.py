"""The one function that replaces a file.

`replace_file` writes a temporary file beside the target, flushes it, renames it over the target and flushes the
directory. A reader sees the old bytes or the new ones, never a mixture and never nothing; after the function has
returned, the new bytes survive a power cut. When it raises, the old file is untouched - except when the very last
step failed, the flush of the directory: then the new bytes are in place and their survival is unknown, which is why
that is an error too.

The temporary file has a random name and is opened with `O_EXCL | O_NOFOLLOW`, so nothing that waits under its name
can be written through. A kill leaves at most one such file, recognisable by `TEMP_PREFIX`; who writes
there next sweeps it away (`sweep_temporary_files`).

A target that is a symlink is refused: a rename would replace the link, not the file, and following it would let
whoever made the link choose what is overwritten. Callers whose file is the user's own (a dotfile kept as a link into
a repository) say `follow=True`. Hard links are not preserved: other names keep the old bytes.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterable
from pathlib import Path

from grex.fs.regular import read_regular

__all__ = [
    "TEMP_PREFIX",
    "fsync_dir",
    "keep_attributes",
    "replace_file",
    "sweep_temporary_files",
    "write_all",
    "write_if_changed",
]

TEMP_PREFIX = ".grex-tmp-"
"""How every temporary file and directory of grex begins; pack paths may not."""

_TRIES = 3
_PERMISSIONS = 0o777
_NO_LINKS = (errno.EPERM, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP)  # what file systems without hard links say
_NEW_FILE_MODE = 0o666  # before the umask, as any program creates files
_TEMP_FLAGS = (
    os.O_WRONLY
    | os.O_CREAT
    | os.O_EXCL
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
)


def write_all(fd: int, data: bytes) -> None:
    """Write every byte, however many calls the kernel needs for it.

    Raises:
        OSError: the disk is full, or broken; a part may have been written.
    """
    view = memoryview(data)
    while view:
        written = os.write(fd, view)
        if written <= 0:  # POSIX allows it, no file system should do it, and looping on it would never end
            raise OSError(errno.EIO, "the file system accepted no bytes")
        view = view[written:]


def fsync_dir(path: Path) -> None:
    """Make the names in a directory durable: a rename, a new file or a removal survives a power cut.

    Raises:
        OSError: the directory cannot be opened or flushed.
    """
    if os.name == "nt":  # directories cannot be opened there; NTFS journals the names itself
        return
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    except OSError as error:
        # Some network and FUSE file systems do not know how to flush a directory, and nothing better can be asked.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(fd)


def replace_file(
    path: Path,
    data: bytes | Iterable[bytes],
    *,
    mode: int | None = None,
    follow: bool = False,
    temp: Path | None = None,
    must_be_new: bool = False,
    still: os.stat_result | None = None,
) -> None:
    """Give a file these bytes, atomically and durably; it is created if it is not there.

    Args:
        path: the file; its directory must exist.
        data: all that it shall hold, in one piece or in several; what the iterable raises leaves the file untouched.
        mode: its permission bits; by default an existing file keeps its own (and its owner and extended attributes,
            access control lists among them, where we may set these) and a new one gets what the umask allows.
        follow: write through a symlink at `path` instead of refusing it.
        temp: the temporary file, for callers that keep a record of it; it must not be there.
        must_be_new: never replace anything, whatever appears at `path` meanwhile.
        still: what the file was when it was read; one that somebody has written since is not replaced. It is looked at
            last of all, after the flush, so that next to no time is left to write to it.

    Raises:
        OSError: nothing was changed (the module says which one case is different). ELOOP for a symlink, EINVAL for
            a target that is neither a file nor missing, FileExistsError for one that must be new, EBUSY for one that
            is not what it was.
    """
    if follow:
        path = Path(os.path.realpath(path))
    old = _target_status(path)
    if old is not None and must_be_new:
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
    like = None
    if mode is None and old is not None:
        mode, like = stat.S_IMODE(old.st_mode), path
    chunks = (data,) if isinstance(data, bytes) else data
    tries = _TRIES if temp is None and isinstance(data, bytes) else 1  # what was iterated once is gone
    for tries_left in reversed(range(tries)):
        new = temp or path.with_name(f"{TEMP_PREFIX}{os.urandom(8).hex()}")
        try:
            _replace(path, chunks, mode, old, new, must_be_new=must_be_new, like=like, still=still)
        except _SweptAwayError:
            # Somebody took it for a dead process's; that costs the work, never the target.
            if not tries_left:
                raise
        else:
            break
    fsync_dir(path.parent)


class _SweptAwayError(FileNotFoundError):
    """The temporary file was removed by somebody else before it could be renamed."""


def _replace(
    path: Path,
    chunks: Iterable[bytes],
    mode: int | None,
    old: os.stat_result | None,
    temp: Path,
    *,
    must_be_new: bool,
    like: Path | None,
    still: os.stat_result | None,
) -> None:
    # Never readable by more people than the file will be: the final bits are set before the rename.
    fd = os.open(temp, _TEMP_FLAGS, _NEW_FILE_MODE if mode is None else 0o600)
    try:
        try:
            if old is not None:
                _keep_owner(fd, old)
            if mode is not None and hasattr(os, "fchmod"):
                os.fchmod(fd, mode & _PERMISSIONS)
            if like is not None:
                keep_attributes(like, fd)
            for chunk in chunks:
                write_all(fd, chunk)
            if mode is not None and mode & ~_PERMISSIONS and hasattr(os, "fchmod"):
                os.fchmod(fd, mode)  # a write takes set-user-ID bits away from whoever is not root
            os.fsync(fd)
        finally:
            os.close(fd)
        if still is not None:
            _check_still(path, still)
        try:
            if must_be_new:
                _move_to_free_name(temp, path)
            else:
                os.replace(temp, path)  # noqa: PTH105 - Path.replace is the same call with an allocation around it
        except FileNotFoundError as error:
            raise _SweptAwayError(error.errno, error.strerror, str(temp), None, str(path)) from error
    except BaseException:
        with contextlib.suppress(OSError):  # the first failure is the one to report
            temp.unlink()
        raise


def _check_still(path: Path, before: os.stat_result) -> None:
    if _written(path.lstat()) != _written(before):
        raise OSError(errno.EBUSY, "somebody has written to it meanwhile", str(path))


def _written(status: os.stat_result) -> tuple[int, ...]:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def _move_to_free_name(temp: Path, path: Path) -> None:
    """Rename without replacing anything: a link fails where a name is taken."""
    try:
        os.link(temp, path, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        if os.path.lexists(path):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path)) from error
        os.replace(temp, path)  # noqa: PTH105 - as above
    else:
        temp.unlink()


def sweep_temporary_files(directory: Path) -> None:
    """Remove the temporary files that killed processes left in a directory; what cannot be removed stays.

    To be called by who is about to write there: what a killed replacement leaves behind is a target that still has to
    be replaced. It cannot be told whether the process that made such a file lives, and need not be: `replace_file`
    makes another one if its own has gone.
    """
    try:
        entries = [entry for entry in os.scandir(directory) if entry.name.startswith(TEMP_PREFIX)]
    except OSError:
        return  # whoever writes there says what is wrong
    for entry in entries:
        with contextlib.suppress(OSError):
            if entry.is_file(follow_symlinks=False):
                os.unlink(entry.path)  # noqa: PTH108 - a string is what scandir gives


def write_if_changed(path: Path, data: bytes, *, mode: int | None = None, follow: bool = False) -> bool:
    """Replace a file only if its bytes differ; an equal one keeps its bytes, inode and times.

    Returns:
        Whether the file was written.

    Raises:
        OSError: as `replace_file`.
    """
    if follow:
        path = Path(os.path.realpath(path))
    old = _target_status(path)
    if old is not None and old.st_size == len(data) and read_regular(path) == data:
        return False
    replace_file(path, data, mode=mode)
    return True


def _target_status(path: Path) -> os.stat_result | None:
    """What is at the target now, if it may be replaced."""
    try:
        status = path.lstat()
    except FileNotFoundError:
        return None
    if stat.S_ISLNK(status.st_mode):
        raise OSError(errno.ELOOP, "is a symbolic link, which is not written through", str(path))
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    return status


def keep_attributes(source: Path, target: Path | int) -> None:
    """Give a file the extended attributes of another one, as far as this system has such and lets us set them.

    Args:
        source: the file that has them; a link is not followed.
        target: a path, or an open descriptor.

    Raises:
        OSError: never: bytes and permissions matter more.
    """
    if not hasattr(os, "listxattr"):
        return
    with contextlib.suppress(OSError):  # a file system without any, or the file is gone
        for name in os.listxattr(source, follow_symlinks=False):
            with contextlib.suppress(OSError):  # some are for root alone
                os.setxattr(target, name, os.getxattr(source, name, follow_symlinks=False))


def _keep_owner(fd: int, old: os.stat_result) -> None:
    """Give the new file the owner and group of the old one, so that a run as root takes nothing from its user."""
    if not hasattr(os, "fchown"):
        return
    new = os.fstat(fd)
    if (new.st_uid, new.st_gid) != (old.st_uid, old.st_gid):
        with contextlib.suppress(PermissionError):  # only root may give files away; the bytes matter more
            os.fchown(fd, old.st_uid, old.st_gid)
