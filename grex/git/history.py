"""What lies between two commits, and what a file was at one: read, never fetched.

`git submodule summary` is the model: `>` is a commit that the new place has, `<` one that it has no more.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from msgspec import Struct

from grex.git.command import GitRunner, require_sha
from grex.git.errors import GitError
from grex.git.refs import GitDirs
from grex.names import clean, redact

__all__ = ["MOST_SUBJECTS", "FileAt", "History", "HistoryCommit", "file_at", "read_history"]

MOST_SUBJECTS = 12
"""How many subjects a history keeps; the counts are of all."""

_SUBJECT_CHARACTERS = 200
_NO_FETCH = {"GIT_NO_LAZY_FETCH": "1"}


class HistoryCommit(Struct, frozen=True):
    """A commit and its first line, fit to be shown; `is_gone` if only the old place has it."""

    sha: str
    subject: str
    is_gone: bool = False


class History(Struct, frozen=True):
    """The commits between two, newest first: how many only the new one has (`added`), and only the old (`gone`)."""

    added: int = 0
    gone: int = 0
    commits: tuple[HistoryCommit, ...] = ()

    def count(self) -> str:
        """How many, in a few words: `3 commits`, `1 commit, 2 taken back`."""
        many = "1 commit" if self.added == 1 else f"{self.added} commits"
        if not self.gone:
            return many
        return f"{many}, {self.gone} taken back" if self.added else f"{self.gone} taken back"

    @property
    def more(self) -> int:
        """How many commits have no subject here."""
        return self.added + self.gone - len(self.commits)


class FileAt(Struct, frozen=True):
    """A file as a commit has it; `content` is None where the commit has no such file."""

    sha: str
    content: bytes | None


async def read_history(
    runner: GitRunner, where: Path, dirs: GitDirs, old: str, new: str, *, limit: int = MOST_SUBJECTS
) -> History | None:
    """The commits between two, in one process; None where the repository does not have all of them.

    A shallow clone that was cut off between the two cannot tell how many they are; that is None as well.

    Raises:
        GitError: git could not look.
    """
    if require_sha(old) == require_sha(new):
        return History()
    finished = await runner.run(
        [
            *("log", "--no-show-signature", "--no-decorate", "--no-notes", "--encoding=UTF-8"),
            *("--format=tformat:%m%H %s", f"{old}...{new}", "--"),
        ],
        cwd=where,
        accept=(0, 128),
        extra_env=_NO_FETCH,
    )
    if finished.returncode != 0:
        return None
    cut_off = _shallow(dirs)
    added = gone = 0
    commits: list[HistoryCommit] = []
    for line in finished.stdout.split(b"\n"):
        mark, sha, subject = line[:1], line[1:].partition(b" ")[0].decode("ascii", "replace"), line.partition(b" ")[2]
        if mark not in (b"<", b">"):
            continue
        if sha in cut_off:
            return None
        is_gone = mark == b"<"
        added, gone = added + (not is_gone), gone + is_gone
        if len(commits) < limit:
            text = clean(redact(subject.decode("utf-8", "replace")), _SUBJECT_CHARACTERS)
            commits.append(HistoryCommit(sha, text, is_gone))
    return History(added, gone, tuple(commits))


def _shallow(dirs: GitDirs) -> Collection[str]:
    try:
        return frozenset((dirs.common / "shallow").read_text("ascii").split())
    except (OSError, UnicodeDecodeError):
        return frozenset()


async def file_at(runner: GitRunner, top: Path, revision: str, path: str) -> FileAt | None:
    """A file as a revision of this repository has it, in one process; None if there is no such revision.

    Args:
        runner: runs git.
        top: the root of the work tree.
        revision: as a person writes it; git never takes it for an option.
        path: from the root of the work tree.

    Raises:
        GitError: git could not look, or the path is no file there.
    """
    if any(ord(character) < ord(" ") for character in revision + path) or revision.startswith(":"):
        return None
    finished = await runner.run(
        ["cat-file", "--batch"],
        cwd=top,
        stdin_data=f"{revision}^{{commit}}\n{revision}:{path}\n".encode("utf-8", "surrogateescape"),
        extra_env=_NO_FETCH,
    )
    commit, rest = _batched(finished.stdout)
    if commit is None or commit[1] != "commit":
        return None
    file, _ = _batched(rest)
    if file is not None and file[1] != "blob":
        raise GitError(
            f"{path} is no file in {clean(revision, 100)}", hint="Give a revision that has a lockfile there."
        )
    return FileAt(commit[0], None if file is None else file[2])


def _batched(data: bytes) -> tuple[tuple[str, str, bytes] | None, bytes]:
    """The first object of what `cat-file --batch` answered (None: there is none), and what follows it."""
    head, _, rest = data.partition(b"\n")
    words = head.split(b" ")
    if len(words) != 3 or not words[2].isdigit():  # noqa: PLR2004 - id, kind and size, or something is missing
        return None, rest
    size = int(words[2])
    return (words[0].decode("ascii"), words[1].decode("ascii"), rest[:size]), rest[size + 1 :]
