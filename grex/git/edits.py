"""Whether anything in a work tree is edited, and whether anything lies there untracked, found without a process.

The question of a sync that has nothing to do is asked of every pack, and asking git costs more than all the rest. So
this answers where the answer is certain, and says `decided=False` where only git knows. Every doubt goes that way: an
answer "nothing is edited" is what allows work to be moved aside.

Nothing is edited if

1. HEAD is the commit of the completion record, and the index makes the tree of that commit: so nothing is staged; and
2. every tracked file is what the index says. As in git, a file whose status (mode, size, times, inode) is the recorded
   one is unchanged, unless it is not older than the index itself - it could have been written again within the same
   tick of the clock. Such a file, and one whose status differs, is read: bytes that hash to the recorded blob are the
   committed ones whatever git would make of them; other bytes may still be unchanged to git (line endings, filters),
   so git is asked.

What is missing, of another type or size, or in conflict is edited without a doubt.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Collection, Container

from msgspec import Struct

from grex.fs import TEMP_PREFIX
from grex.git.index import GITLINK, REGULAR, SYMLINK, Index, IndexEntry, IndexUnreadableError, read_index
from grex.git.observe import CheckoutState

__all__ = ["Edits", "blob_id", "edited_paths", "untracked_hint"]

_FORMAT = 0o170000
_EXECUTABLE = 0o100
_SIZE_MASK = 0xFFFFFFFF
_READ_BYTES = 1 << 20
_SHA1_BYTES = 20
_OWN_AT_ROOT = (b".git", b".grex-lock")
_BACKEND_SUFFIX = b".grex-backend.lock"


class Edits(Struct, frozen=True):
    """What is edited; if it was not `decided`, `edited` is only what is certain, and git has to be asked."""

    decided: bool
    edited: tuple[str, ...] = ()


_UNDECIDED = Edits(decided=False)


def edited_paths(state: CheckoutState, *, index: Index | None = None) -> Edits:
    """The tracked paths that differ from HEAD: staged, edited, deleted or in conflict.

    Args:
        state: a checkout, as observed.
        index: its index, where the caller has read it already.
    """
    record = state.record
    if record is None or record.tree is None or record.sha != state.head_sha:
        return _UNDECIDED
    try:
        index = index or read_index(state.dirs)
    except IndexUnreadableError:
        return _UNDECIDED
    conflicts = sorted({os.fsdecode(entry.path) for entry in index.entries if entry.stage})
    if conflicts:
        return Edits(decided=False, edited=tuple(conflicts))
    if index.tree != record.tree:
        return _UNDECIDED
    comparison = _Comparison(os.fsencode(state.real), index.mtime_ns)
    edited: list[str] = []
    for entry in index.entries:
        if comparison.is_plainly_unchanged(entry):
            continue
        verdict = comparison.compare(entry)
        if verdict is None:
            return Edits(decided=False, edited=tuple(edited))
        if not verdict:
            edited.append(os.fsdecode(entry.path))
    return Edits(decided=True, edited=tuple(edited))


class _Comparison:
    """Compares index entries with the files of one work tree."""

    def __init__(self, root: bytes, index_mtime_ns: int) -> None:
        self._root = root
        self._index_mtime_ns = index_mtime_ns
        self._directories: dict[bytes, bool] = {b"": True}

    def is_plainly_unchanged(self, entry: IndexEntry) -> bool:
        """Whether a regular file is in every respect as recorded, as nearly all are: `compare` at little cost."""
        directory = entry.path.rpartition(b"/")[0]
        if not (self._directories.get(directory) or self._is_directory(directory)):
            return False
        try:
            status = os.lstat(self._root + b"/" + entry.path)
        except OSError:
            return False
        return (
            entry.mtime_ns == status.st_mtime_ns
            and entry.ctime_ns == status.st_ctime_ns
            and entry.size == status.st_size
            and entry.ino == status.st_ino & _SIZE_MASK
            and entry.mtime_ns < self._index_mtime_ns
            and entry.mode & _FORMAT == REGULAR == status.st_mode & _FORMAT
            and not (entry.mode ^ status.st_mode) & _EXECUTABLE
            and not (entry.skip_worktree or entry.assume_valid or entry.intent_to_add)
        )

    def compare(self, entry: IndexEntry) -> bool | None:
        """Whether the file is as committed; None if git has to say."""
        path = self._root + b"/" + entry.path
        try:
            status = os.lstat(path) if self._is_directory(entry.path.rpartition(b"/")[0]) else None
        except (FileNotFoundError, NotADirectoryError):
            status = None
        except OSError:
            return None
        if entry.skip_worktree or entry.assume_valid or entry.intent_to_add:
            # Left out by a sparse checkout, as wanted; everything else under these flags has rules of its own in git.
            return True if entry.skip_worktree and status is None else None
        if status is None:
            return False
        return self._compare_status(path, entry, status)

    def _compare_status(self, path: bytes, entry: IndexEntry, status: os.stat_result) -> bool | None:
        kind = entry.mode & _FORMAT
        if kind == GITLINK:
            # Not checked out is as committed. Populated: its own HEAD and work tree count, which git looks into.
            return (None if os.listdir(path) else True) if stat.S_ISDIR(status.st_mode) else False  # noqa: PTH208 - bytes
        if kind != stat.S_IFMT(status.st_mode):
            # Where links cannot be made (core.symlinks=false), git writes files instead.
            return None if kind == SYMLINK and stat.S_ISREG(status.st_mode) else False
        if kind == REGULAR and (entry.mode ^ status.st_mode) & _EXECUTABLE:
            return None  # an edit, unless core.fileMode says that this file system cannot know
        unchanged = (
            entry.mtime_ns == status.st_mtime_ns
            and entry.ctime_ns == status.st_ctime_ns
            and entry.size == status.st_size & _SIZE_MASK
            and entry.ino == status.st_ino & _SIZE_MASK
        )
        if unchanged and entry.mtime_ns < self._index_mtime_ns:
            return True
        if entry.size and entry.size != status.st_size & _SIZE_MASK:
            return False  # for git as well: the recorded size is that of the file it wrote, filters and all
        try:
            return True if blob_id(path, status, entry.oid) == entry.oid else None
        except OSError:
            return None

    def _is_directory(self, directory: bytes) -> bool:
        """Whether this path below the root is made of real directories; what lies behind a symlink is not ours."""
        pending = []  # a loop and no recursion: how deep a tree is, is up to whoever made it
        while directory not in self._directories:
            pending.append(directory)
            directory = directory.rpartition(b"/")[0]
        known = self._directories[directory]
        for below in reversed(pending):
            if known:
                try:
                    known = stat.S_ISDIR(os.lstat(self._root + b"/" + below).st_mode)
                except (FileNotFoundError, NotADirectoryError):
                    known = False
            self._directories[below] = known
        return known


def blob_id(path: bytes, status: os.stat_result, like: bytes) -> bytes:
    """The id that git would give to these very bytes as a blob, in the algorithm of another id."""
    digest = hashlib.new("sha1" if len(like) == _SHA1_BYTES else "sha256", usedforsecurity=False)
    if stat.S_ISLNK(status.st_mode):
        target = os.readlink(path)  # noqa: PTH115 - the bytes, which need not be UTF-8
        digest.update(b"blob %d\0%s" % (len(target), target))
        return digest.digest()
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        digest.update(b"blob %d\0" % status.st_size)
        while chunk := os.read(fd, _READ_BYTES):
            digest.update(chunk)
    finally:
        os.close(fd)
    return digest.digest()


def untracked_hint(state: CheckoutState, *, ignore: Container[str] = (), index: Index | None = None) -> bool | None:
    """Whether some file in the work tree is not in the index; None if the index cannot be read.

    Ignored files count as well, for the rules of `.gitignore` are git's: True means "ask git", False is certain.
    Empty directories do not count, as in git.

    Args:
        state: a checkout, as observed.
        ignore: paths below it that are not its own, with `/` between segments: nested packs and other files of grex.
        index: its index, where the caller has read it already.
    """
    try:
        index = index or read_index(state.dirs)
    except IndexUnreadableError:
        return None
    tracked = {entry.path for entry in index.entries}
    links = {entry.path for entry in index.entries if entry.mode & _FORMAT == GITLINK}
    try:
        return _has_untracked(os.fsencode(state.real), tracked, links, ignore)
    except OSError:
        return None


def _has_untracked(root: bytes, tracked: Collection[bytes], links: Collection[bytes], ignore: Container[str]) -> bool:
    pending = [b""]
    while pending:
        prefix = pending.pop()
        with os.scandir(root + b"/" + prefix) as entries:
            for entry in entries:
                path = prefix + entry.name
                if (path in tracked and path not in links) or _is_own(path, entry.name) or os.fsdecode(path) in ignore:
                    # A tracked file that has become a directory is an edit, and found as one.
                    continue
                if not entry.is_dir(follow_symlinks=False):
                    return True
                if path not in links:
                    pending.append(path + b"/")
    return False


def _is_own(path: bytes, name: bytes) -> bool:
    """Whether only git and grex use this name. A `.git` further down belongs to a repository that is somebody's."""
    return path in _OWN_AT_ROOT or name.startswith(TEMP_PREFIX.encode()) or name.endswith(_BACKEND_SUFFIX)
