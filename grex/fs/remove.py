"""Taking things away: for good, or into the trash.

`remove_tree` works on descriptors (`openat`, `unlinkat`), each directory opened with `O_NOFOLLOW`, so a directory
that turns into a symlink meanwhile is an error and never a way out of the tree. It keeps at most `_DEPTH_LIMIT`
directories open: one that lies deeper is moved up to the top of the tree and emptied there, so neither Python's
stack nor the descriptor limit bounds how deep a tree may be. Directories that their owner may not write (git makes
none, build tools do) are opened up first; the mode of files does not matter for removing them. Another file system
mounted inside the tree is not emptied: that is EXDEV. `shutil.rmtree` does not do the last three.

`move_to_trash` is one rename into a directory that it has just made, so nothing in the trash is ever overwritten.
Across file systems it copies, makes the copy durable, and only then removes the original. What must come back byte for
byte is not copied: `engine.trash` puts its own steps together, from `make_stamp_dir` and `rename_whole`, and for forks,
which may lie on another file system, from `copy_durably`.

POSIX only; the parts of grex that run on Windows do not need it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from pathlib import Path

from grex.fs.atomic import TEMP_PREFIX, fsync_dir
from grex.fs.safe_join import safe_join
from grex.fs.stamp import utc_stamp

__all__ = ["copy_durably", "make_stamp_dir", "move_to_trash", "remove_tree", "rename_whole"]

_DEPTH_LIMIT = 64
_OPEN_DIR = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
_STAMP_TRIES = 100


def remove_tree(path: Path) -> None:
    """Remove a file, a link or a whole directory; nothing there is fine, and no symlink is followed.

    A failure leaves what was not removed yet; calling it again goes on from there.

    Raises:
        OSError: something could not be removed; EXDEV for another file system mounted inside, EINVAL for a path
            that ends in no name (`/`, `..`).
    """
    if path.name in ("", ".."):
        raise OSError(errno.EINVAL, "has no name to remove", str(path))
    try:
        status = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISDIR(status.st_mode):
        path.unlink(missing_ok=True)
        return
    parent_fd = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        _Removal(status.st_dev, path).remove(parent_fd, path.name)
    finally:
        os.close(parent_fd)


class _Removal:
    """One removal: the file system that it stays on, and the directories that were moved up to be emptied."""

    def __init__(self, device: int, path: Path) -> None:
        self._device = device
        self._path = path
        self._moved_up: list[str] = []

    def remove(self, parent_fd: int, name: str) -> None:
        try:
            top_fd = self._open(parent_fd, name)
        except FileNotFoundError:
            return
        try:
            self._empty(top_fd, top_fd, 1)
            while self._moved_up:
                self._remove_directory(top_fd, top_fd, self._moved_up.pop(), 1)
        finally:
            os.close(top_fd)
        with contextlib.suppress(FileNotFoundError):
            os.rmdir(name, dir_fd=parent_fd)

    def _empty(self, fd: int, top_fd: int, depth: int) -> None:
        # The list is complete before the first removal: a directory that shrinks while it is read may skip names.
        with os.scandir(fd) as found:
            entries = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in found]
        for name, is_directory in entries:
            if is_directory:
                self._remove_directory(fd, top_fd, name, depth)
            else:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(name, dir_fd=fd)

    def _remove_directory(self, parent_fd: int, top_fd: int, name: str, depth: int) -> None:
        try:
            fd = self._open(parent_fd, name)
        except FileNotFoundError:
            return
        try:
            if depth >= _DEPTH_LIMIT:
                self._move_up(parent_fd, top_fd, name)
                return
            self._empty(fd, top_fd, depth + 1)
        finally:
            os.close(fd)
        with contextlib.suppress(FileNotFoundError):
            os.rmdir(name, dir_fd=parent_fd)

    def _move_up(self, parent_fd: int, top_fd: int, name: str) -> None:
        temp = f"{TEMP_PREFIX}{os.urandom(8).hex()}"
        os.rename(name, temp, src_dir_fd=parent_fd, dst_dir_fd=top_fd)
        self._moved_up.append(temp)

    def _open(self, parent_fd: int, name: str) -> int:
        """Open a directory that is about to be emptied, and make sure that we may."""
        try:
            fd = os.open(name, _OPEN_DIR, dir_fd=parent_fd)
        except PermissionError:
            # chmod follows links, so look first; what remains is a race against this very user.
            if not stat.S_ISDIR(os.stat(name, dir_fd=parent_fd, follow_symlinks=False).st_mode):
                raise
            os.chmod(name, stat.S_IRWXU, dir_fd=parent_fd)
            fd = os.open(name, _OPEN_DIR, dir_fd=parent_fd)
        try:
            self._check_device(fd, name)
            mode = stat.S_IMODE(os.fstat(fd).st_mode)
            if mode & stat.S_IRWXU != stat.S_IRWXU:
                os.fchmod(fd, mode | stat.S_IRWXU)
        except BaseException:
            os.close(fd)
            raise
        return fd

    def _check_device(self, fd: int, name: str) -> None:
        if os.fstat(fd).st_dev != self._device:
            raise OSError(
                errno.EXDEV, f"another file system is mounted at {name!r}; it is not emptied", str(self._path)
            )


def move_to_trash(path: Path, trash_dir: Path, label: str) -> Path:
    """Move a file, link or directory to `<trash_dir>/<utc>/<label>` and give that path.

    Durable when it returns. The directory of the moment is made by this call and shared with no other.

    Args:
        path: what to move; a symlink is moved itself.
        trash_dir: made if it is not there.
        label: the name in the trash, a relative path such as a pack's.

    Raises:
        OSError: `path` is still where it was; or, across file systems only, it is complete in the trash and what
            could not be removed of the original is still there.
        UnsafeJoinError: `label` is no relative path.
    """
    path.lstat()  # nothing is made in the trash for something that is not there,
    safe_join(trash_dir, label)  # or under a name that will be refused
    made = make_stamp_dir(trash_dir)
    copied = False
    try:
        target = safe_join(made, label)
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            rename_whole(path, target)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            copy_durably(path, target)
            copied = True
    except BaseException:
        _remove_empty(made, label)
        raise
    above = target.parent
    while above != trash_dir.parent:
        fsync_dir(above)
        above = above.parent
    if copied:
        remove_tree(path)
    fsync_dir(path.parent)
    return target


def make_stamp_dir(trash_dir: Path) -> Path:
    """Make a directory in the trash that is named after this moment, and shared with no other call.

    Raises:
        OSError: it cannot be made.
    """
    new = not trash_dir.is_dir()
    trash_dir.mkdir(parents=True, exist_ok=True)
    if new:
        fsync_dir(trash_dir.parent)
    for _ in range(_STAMP_TRIES):
        made = trash_dir / utc_stamp()
        try:
            made.mkdir()
        except FileExistsError:  # two calls in one microsecond, or a clock that was set back
            continue
        return made
    raise OSError(errno.EEXIST, "no free name in the trash", str(trash_dir))


def _remove_empty(made: Path, label: str) -> None:
    """Take back the directories that were made for a move that failed; only empty ones, whatever the failure was."""
    for below in Path(label).parents:  # deepest first; the last one is `made` itself
        with contextlib.suppress(OSError):
            (made / below).rmdir()


def rename_whole(path: Path, target: Path) -> None:
    """Rename, also a directory that its owner may not write: the kernel has to change its `..` entry.

    Raises:
        OSError: `path` is where and as it was.
    """
    try:
        path.rename(target)
    except PermissionError:
        status = path.lstat()
        if not stat.S_ISDIR(status.st_mode) or status.st_mode & stat.S_IWUSR:
            raise
        mode = stat.S_IMODE(status.st_mode)
        path.chmod(mode | stat.S_IWUSR)
        try:
            path.rename(target)
        except BaseException:
            path.chmod(mode)
            raise
        with contextlib.suppress(OSError):  # it has been moved; that one bit more is no reason to call it failed
            target.chmod(mode)


def copy_durably(path: Path, target: Path) -> None:
    """Copy a file, a link or a directory to another file system, or leave nothing there.

    Modes and times are kept, links are copied themselves; hard links between files are not kept.

    Raises:
        OSError: there is no copy.
    """
    import shutil  # noqa: PLC0415 - every start of grex would pay for what one in thousands needs

    try:
        if path.is_dir() and not path.is_symlink():
            shutil.copytree(path, target, symlinks=True)
            for directory, _, names in os.walk(target):
                for name in names:
                    _fsync_file(Path(directory, name))
                fsync_dir(Path(directory))
        else:
            shutil.copy2(path, target, follow_symlinks=False)
            _fsync_file(target)
    except BaseException:
        remove_tree(target)  # a copy and nothing else: the original has not been touched
        raise


def _fsync_file(path: Path) -> None:
    if path.is_symlink():
        return  # a link lives in its directory's entry, which is flushed with the directory
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
