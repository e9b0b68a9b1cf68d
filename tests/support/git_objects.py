"""Objects and refs of a git repository, written without git.

A process of git costs some milliseconds, and a small history takes a dozen of them; so that what tests clone from is
written here as git would leave it: loose objects, loose refs. What this does not know it says by `UnknownError`, and
whoever asked asks git instead.
"""

from __future__ import annotations

import hashlib
import os
import re
import time
import zlib
from collections.abc import Mapping
from pathlib import Path

__all__ = ["Objects", "Tree", "UnknownError", "borrow_objects", "identity", "write_bare", "write_worktree"]

Tree = dict[str, tuple[str, str]]
"""What a commit has in it: by path, the mode as git writes it and the id of the blob."""

_SHA = re.compile(r"[0-9a-f]{40}")
_CORE = "[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = {bare}\n"


class UnknownError(Exception):
    """Here only git knows what to do."""


def write_bare(path: Path, branch: str) -> None:
    """Make an empty bare repository."""
    _write_skeleton(path, branch, _CORE.format(bare="true"))


def write_worktree(path: Path, branch: str, origin: str) -> None:
    """Make what a clone of an empty repository is, without an index yet; it borrows the objects of its origin.

    Args:
        path: the work tree.
        branch: the branch that HEAD is on.
        origin: the bare repository, seen from the work tree.
    """
    remote = f'[remote "origin"]\n\turl = {origin}\n\tfetch = +refs/heads/*:refs/remotes/origin/*\n'
    tracked = f'[branch "{branch}"]\n\tremote = origin\n\tmerge = refs/heads/{branch}\n'
    core = _CORE.format(bare="false") + "\tlogallrefupdates = true\n"
    _write_skeleton(path / ".git", branch, core + remote + tracked)
    borrow_objects(path, origin)


def borrow_objects(path: Path, origin: str) -> None:
    """Let a work tree find the objects of its origin, which is named as it is seen from the work tree."""
    (path / ".git/objects/info/alternates").write_text(f"../../{origin}/objects\n")


def _write_skeleton(path: Path, branch: str, config: str) -> None:
    for made in ("hooks", "info", "objects/info", "objects/pack", "refs/heads", "refs/tags"):
        (path / made).mkdir(parents=True)
    (path / "HEAD").write_text(f"ref: refs/heads/{branch}\n")
    (path / "config").write_text(config)
    (path / "info/exclude").touch()
    (path / "description").write_text("Unnamed repository\n")


def identity(role: str) -> str:
    """Who does it and when, as the environment has it: `AUTHOR` or `COMMITTER`."""
    name, email = (os.environ.get(f"GIT_{role}_{what}") for what in ("NAME", "EMAIL"))
    if not name or not email or f"GIT_{role}_DATE" in os.environ:
        raise UnknownError(role)
    return f"{name} <{email}> {int(time.time())} {time.strftime('%z')}"


class Objects:
    """The objects and refs of a repository that no git has packed.

    Args:
        git: its git directory.
    """

    def __init__(self, git: Path) -> None:
        self._git = git

    def read(self, sha: str) -> tuple[str, bytes]:
        """The kind and the content of an object.

        Raises:
            UnknownError: it is not there, or packed.
        """
        try:
            stored = zlib.decompress((self._git / "objects" / sha[:2] / sha[2:]).read_bytes())
        except FileNotFoundError:
            raise UnknownError(sha) from None
        head, _, content = stored.partition(b"\0")
        return head.split()[0].decode(), content

    def write(self, kind: str, content: bytes) -> str:
        """Store an object; gives its id."""
        stored = f"{kind} {len(content)}\0".encode() + content
        sha = hashlib.sha1(stored, usedforsecurity=False).hexdigest()
        file = self._git / "objects" / sha[:2] / sha[2:]
        if not file.exists():
            file.parent.mkdir(exist_ok=True)
            file.write_bytes(zlib.compress(stored, 1))
            file.chmod(0o444)
        return sha

    def peel(self, sha: str) -> tuple[str, dict[str, list[str]]]:
        """The commit that an object is or a tag leads to, and the lines of its head by their first word."""
        while True:
            kind, content = self.read(sha)
            head: dict[str, list[str]] = {}
            for line in os.fsdecode(content).partition("\n\n")[0].splitlines():
                head.setdefault(line.partition(" ")[0], []).append(line.partition(" ")[2])
            if kind == "commit":
                return sha, head
            if kind != "tag":
                raise UnknownError(sha)
            sha = head["object"][0]

    def tree(self, sha: str, below: str = "") -> Tree:
        """The files of a tree object."""
        found: Tree = {}
        content = self.read(sha)[1]
        while content:
            head, _, rest = content.partition(b"\0")
            mode, _, name = os.fsdecode(head).partition(" ")
            entry, content = rest[:20].hex(), rest[20:]
            if mode == "40000":
                found |= self.tree(entry, f"{below}{name}/")
            else:
                found[below + name] = (mode, entry)
        return found

    def write_tree(self, files: Mapping[str, tuple[str, str]]) -> str:
        """Store a tree object of files and those below it; gives its id."""
        entries: dict[bytes, tuple[str, str]] = {}
        directories: dict[str, Tree] = {}
        for path, what in files.items():
            top, slash, rest = path.partition("/")
            if slash:
                directories.setdefault(top, {})[rest] = what
            else:
                entries[os.fsencode(top)] = what
        for top, inside in directories.items():
            entries[os.fsencode(top) + b"/"] = ("40000", self.write_tree(inside))  # git sorts it so
        lines = (
            mode.encode() + b" " + name.removesuffix(b"/") + b"\0" + bytes.fromhex(sha)
            for name, (mode, sha) in sorted(entries.items())
        )
        return self.write("tree", b"".join(lines))

    def ref(self, name: str) -> str | None:
        """What a ref leads to, by its full name."""
        try:
            return (self._git / name).read_text().strip()
        except (FileNotFoundError, NotADirectoryError):
            return None

    def head(self) -> str:
        """The full name of the branch that HEAD is on."""
        text = (self._git / "HEAD").read_text().strip()
        if not text.startswith("ref: "):
            raise UnknownError(text)
        return text.removeprefix("ref: ")

    def resolve(self, name: str, objects: Objects) -> str:
        """What a short name leads to, in the order in which git looks: a tag comes before a branch.

        Args:
            name: `HEAD`, a tag, a branch or an id.
            objects: where an id is to be found.
        """
        if _SHA.fullmatch(name):
            objects.read(name)
            return name
        full = [self.head()] if name == "HEAD" else [f"refs/tags/{name}", f"refs/heads/{name}"]
        for sha in map(self.ref, full):
            if sha is not None:
                return sha
        raise UnknownError(name)

    def point(self, name: str, sha: str) -> None:
        """Make or move a ref, by its full name."""
        file = self._git / name
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(f"{sha}\n")
        except (FileExistsError, NotADirectoryError, IsADirectoryError):
            raise UnknownError(name) from None

    def switch(self, name: str) -> None:
        """Put HEAD on a branch, by its full name."""
        (self._git / "HEAD").write_text(f"ref: {name}\n")
