"""Where a repository's refs lie, and what they say, read without a process.

Only what git itself documents as stable is read: the git directory and its `commondir`, `HEAD`, loose ref files and
`packed-refs`. A repository with another ref storage (reftable) is not guessed at: `RefsUnreadableError`, and git is
asked. Every file is opened as a regular file of bounded size; a FIFO or a symlinked ref is unreadable, not waited for.
"""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

from msgspec import Struct

from grex.fs import read_regular
from grex.git.config_file import read_config
from grex.names import is_full_sha

__all__ = [
    "GitDirs",
    "Head",
    "RefsUnreadableError",
    "find_git_dirs",
    "has_plain_refs",
    "packed_peeled",
    "read_head",
    "read_ref",
]

_REF_FILE_BYTES = 8192
_PACKED_REFS_BYTES = 256 << 20
_SYMREF_DEPTH = 5
_PER_WORKTREE = ("refs/bisect/", "refs/worktree/", "refs/rewritten/")
_ROOT_REF = re.compile(r"[A-Z_]+")


class RefsUnreadableError(Exception):
    """The refs are not stored in the way that is read here, or a file of theirs is damaged: git has to be asked."""


class GitDirs(Struct, frozen=True):
    """The git directory of one checkout, and the one it shares with the other worktrees of its repository."""

    own: Path
    common: Path


class Head(Struct, frozen=True):
    """What HEAD says."""

    ref: str | None
    """The full name of the ref that HEAD is on; None if it is detached."""
    sha: str | None
    """The commit; None if that ref does not exist yet."""

    @property
    def branch(self) -> str | None:
        """The short name of the branch that HEAD is on."""
        return None if self.ref is None or not self.ref.startswith("refs/heads/") else self.ref[len("refs/heads/") :]


def find_git_dirs(directory: Path) -> GitDirs | None:
    """The git directories of the checkout at this very directory; None if none is there, or only a ruin of one."""
    own = directory / ".git"
    try:
        if stat.S_ISDIR(os.lstat(own).st_mode):
            return _check_git_dir(own)
        text = read_regular(own, limit_bytes=_REF_FILE_BYTES)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError:
        pass  # a directory (EISDIR or EINVAL), or a symlink to one, as some tools make
    else:
        if not text.startswith(b"gitdir: "):
            return None
        own = Path(os.path.normpath(directory / os.fsdecode(text[len(b"gitdir: ") :].rstrip(b"\r\n"))))
    return _check_git_dir(own)


def _check_git_dir(own: Path) -> GitDirs | None:
    common = own
    try:
        text = os.fsdecode(read_regular(f"{own}/commondir", limit_bytes=_REF_FILE_BYTES)).rstrip("\r\n")
        common = Path(os.path.normpath(own / text))
    except OSError:
        pass  # the usual case: one worktree
    # What git itself asks of a directory before it believes that it is a repository.
    shared = os.fspath(common)
    if os.path.lexists(f"{own}/HEAD") and os.path.isdir(f"{shared}/objects") and os.path.isdir(f"{shared}/refs"):  # noqa: PTH112 - looked at for every pack of every run
        return GitDirs(own, common)
    return None


def has_plain_refs(dirs: GitDirs) -> bool:
    """Whether the refs are files; the answer costs reading the repository's configuration."""
    config = read_config(dirs.common / "config")
    if config is None or config.get("extensions", "refStorage") not in (None, "files"):
        return False
    return config.get("core", "repositoryFormatVersion") in (None, "0", "1")


def read_head(dirs: GitDirs) -> Head:
    """What HEAD says now.

    Raises:
        RefsUnreadableError: git has to be asked.
    """
    text = _read_loose(f"{dirs.own}/HEAD")
    if text is None:
        raise RefsUnreadableError("HEAD is missing")
    target = _symref_target(text)
    if target is None:
        return Head(None, _checked(text))
    # reftable leaves this stub for programs that know only files.
    if target == "refs/heads/.invalid":
        raise RefsUnreadableError("the refs are in a reftable")
    return Head(target, read_ref(dirs, target))


def read_ref(dirs: GitDirs, name: str) -> str | None:
    """The object id that a ref holds, following symbolic refs; None if there is no such ref.

    Args:
        dirs: the repository.
        name: the full name (`refs/heads/main`), or one of the root refs (`ORIG_HEAD`).

    Raises:
        RefsUnreadableError: a file is damaged; git has to be asked.
    """
    for _ in range(_SYMREF_DEPTH):
        if not (name.startswith("refs/") or _ROOT_REF.fullmatch(name)) or ".." in name or "\0" in name:
            raise RefsUnreadableError(f"{name!r} is no name of a ref")
        own = name.startswith(_PER_WORKTREE) or not name.startswith("refs/")
        text = _read_loose((dirs.own if own else dirs.common) / name)
        if text is None:
            return _read_packed(dirs.common, name)
        target = _symref_target(text)
        if target is None:
            return _checked(text)
        name = target
    raise RefsUnreadableError("symbolic refs point at each other")


def _symref_target(text: str) -> str | None:
    return text[len("ref:") :].strip() if text.startswith("ref:") else None


def _checked(text: str) -> str:
    if not is_full_sha(text):
        raise RefsUnreadableError(f"a ref holds {text[:80]!r}")
    return text.lower()


def _read_loose(path: str | Path) -> str | None:
    try:
        return os.fsdecode(read_regular(path, limit_bytes=_REF_FILE_BYTES)).strip()
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return None
    except OSError as error:
        there = Path(path)
        if there.is_dir() and not there.is_symlink():  # `refs/heads/a` while only `refs/heads/a/b` exists
            return None
        raise RefsUnreadableError(str(error)) from error


def _read_packed(common: Path, name: str) -> str | None:
    data = _packed_refs(common)
    line_end = b" " + os.fsencode(name) + b"\n"
    at = data.find(line_end)
    while at >= 0:
        start = data.rfind(b"\n", 0, at) + 1
        sha = data[start:at].decode("ascii", "replace")
        if is_full_sha(sha):
            return sha.lower()
        at = data.find(line_end, at + 1)
    return None


def _packed_refs(common: Path) -> bytes:
    try:
        return read_regular(common / "packed-refs", limit_bytes=_PACKED_REFS_BYTES)
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise RefsUnreadableError(str(error)) from error


def packed_peeled(common: Path, name: str) -> str | None:
    """The commit that `packed-refs` gives for a tag, itself where it is no annotated one; None if it does not say.

    Raises:
        RefsUnreadableError: the file cannot be read.
    """
    data = _packed_refs(common)
    if b"fully-peeled" not in data.partition(b"\n")[0]:
        return None
    at = data.find(b" " + os.fsencode(name) + b"\n")
    if at < 0:
        return None
    start = data.rfind(b"\n", 0, at) + 1
    following = data[data.find(b"\n", at) + 1 :][:65].partition(b"\n")[0]
    sha = (following[1:] if following.startswith(b"^") else data[start:at]).decode("ascii", "replace")
    return sha.lower() if is_full_sha(sha) else None
