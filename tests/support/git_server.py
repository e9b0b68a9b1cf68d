"""Bare repositories on disk that stand in for a server, and git commands of a user.

What a commit or a tag needs is written here (`tests.support.git_objects`), at a hundredth of the cost of a dozen git
processes. The work tree is filled when a test asks for it; from then on git does everything, in case the test has done
something there. So it does with whatever only git knows how to: attributes, a name that is neither a branch nor a tag.
`tests/support/test_git_server.py` holds the two ways against each other.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from tests.support.git_objects import Objects, Tree, UnknownError, borrow_objects, identity, write_bare, write_worktree

__all__ = ["GitServer", "git"]


def git(directory: Path, *args: str, stdin: bytes | None = None, check: bool = True) -> str:
    """Run git as a user would, in a directory; gives its standard output without the last line end."""
    done = subprocess.run(
        ["git", "-c", "advice.detachedHead=false", *args],
        cwd=directory,
        input=stdin,
        stdin=subprocess.DEVNULL if stdin is None else None,
        capture_output=True,
        check=False,
    )
    if check and done.returncode:
        raise AssertionError(f"git {args} in {directory}: {done.stderr.decode('utf-8', 'replace')}")
    return os.fsdecode(done.stdout).removesuffix("\n")


class GitServer:
    """A directory of bare repositories, each with a work tree beside it in which commits are made."""

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir(parents=True, exist_ok=True)

    def path(self, name: str) -> Path:
        """The bare repository."""
        return self.root / f"{name}.git"

    def url(self, name: str) -> str:
        """Its file URL."""
        return self.path(name).as_uri()

    def create(self, name: str, files: Mapping[str, str | bytes] | None = None, *, branch: str = "main") -> Path:
        """Make a repository with one commit of these files, or an empty one; gives the bare repository."""
        write_bare(self.path(name), branch)
        write_worktree(self._work(name), branch, f"../{name}.git")  # relative: the whole server can be copied
        if files is not None:
            self.commit(name, files, branch=branch)
        return self.path(name)

    def commit(
        self,
        name: str,
        files: Mapping[str, str | bytes | Path | None],
        *,
        branch: str = "main",
        start: str | None = None,
        amend: bool = False,
        message: str = "change",
    ) -> str:
        """Write files (None removes one), commit them on a branch and push it; gives the commit's id.

        Args:
            name: the repository.
            files: what to write; a path makes a symlink to it.
            branch: the branch to commit on; one that does not exist starts at `start`, or where the work tree is.
            start: where a new branch starts.
            amend: rewrite the branch's last commit.
            message: the commit's message.
        """
        if not self._is_filled(name):
            with contextlib.suppress(UnknownError):
                return self._write_commit(name, files, branch, start, amend=amend, message=message)
        work = self.work(name)
        if git(work, "rev-parse", "--verify", "--quiet", f"refs/heads/{branch}", check=False):
            git(work, "checkout", "--quiet", "--force", branch, "--")
        elif git(work, "rev-parse", "--verify", "--quiet", "HEAD", check=False):
            git(work, "checkout", "--quiet", "--force", "-b", branch, *([] if start is None else [start]), "--")
        for path, content in files.items():
            if content is None or isinstance(content, Path):
                (work / path).unlink()
                with contextlib.suppress(OSError):
                    (work / path).parent.rmdir()  # if it is empty now, as git would
        for path, content in files.items():
            file = work / path
            if content is not None:
                file.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, Path):
                file.symlink_to(content)
            elif content is not None:
                file.write_bytes(content if isinstance(content, bytes) else content.encode())
        git(work, "add", "--all", "--force")
        git(work, "commit", "--quiet", "--allow-empty", "-m", message, *(["--amend"] if amend else []))
        self.push(name, branch)
        return git(work, "rev-parse", "HEAD")

    def tag(self, name: str, tag: str, *, at: str = "HEAD", annotated: bool = False) -> str:
        """Make or move a tag and push it; gives the commit."""
        if not self._is_filled(name):
            with contextlib.suppress(UnknownError):
                return self._write_tag(name, tag, at, annotated=annotated)
        work = self.work(name)
        git(work, "tag", "--force", *(["-a", "-m", "tag"] if annotated else []), tag, at)
        git(work, "push", "--quiet", "--force", "origin", f"refs/tags/{tag}")
        return git(work, "rev-parse", f"refs/tags/{tag}^{{commit}}")

    def push(self, name: str, branch: str) -> None:
        """Push a branch as it is in the work tree."""
        git(self.work(name), "push", "--quiet", "--force", "origin", f"refs/heads/{branch}:refs/heads/{branch}")

    def rename(self, name: str, other: str) -> None:
        """Give a repository another name, and with it another URL."""
        self.path(name).rename(self.path(other))
        work = self._work(name).rename(self._work(other))
        borrow_objects(work, f"../{other}.git")
        git(work, "config", "remote.origin.url", f"../{other}.git")

    def work(self, name: str) -> Path:
        """The work tree in which commits are made, for whatever else a test wants to do there."""
        work = self._work(name)
        if not self._is_filled(name):
            objects = Objects(work / ".git")
            tip = objects.ref(objects.head())
            git(work, *(["read-tree", "--empty"] if tip is None else ["reset", "--quiet", "--hard"]))
            for branch in (work / ".git/refs/heads").rglob("*"):
                if branch.is_file():  # what a push would have left
                    objects.point(
                        f"refs/remotes/origin/{branch.relative_to(work / '.git/refs/heads')}",
                        branch.read_text().strip(),
                    )
        return work

    def _is_filled(self, name: str) -> bool:
        return (self._work(name) / ".git/index").exists()

    def _write_commit(
        self,
        name: str,
        files: Mapping[str, str | bytes | Path | None],
        branch: str,
        start: str | None,
        *,
        amend: bool,
        message: str,
    ) -> str:
        """What `commit` does, as long as nobody has looked into the work tree."""
        work, bare = Objects(self._work(name) / ".git"), Objects(self.path(name))
        ref = f"refs/heads/{branch}"
        base = work.ref(ref)
        if base is None and work.ref(work.head()) is not None:
            base = work.resolve("HEAD" if start is None else start, bare)
        elif base is None and work.head() != ref:
            raise UnknownError(branch)
        parents, author = [], identity("AUTHOR")
        tree: Tree = {}
        if base is not None:
            base, head = bare.peel(base)
            tree = bare.tree(head["tree"][0])
            parents = [base]
            if amend:
                parents, author = head.get("parent", []), head["author"][0]
        elif amend:
            raise UnknownError(branch)
        made = bare.write_tree(_changed(tree, files, bare))
        lines = [f"tree {made}", *(f"parent {parent}" for parent in parents)]
        lines += [f"author {author}", f"committer {identity('COMMITTER')}", "", _clean(message)]
        sha = bare.write("commit", os.fsencode("\n".join(lines)))
        for objects in (bare, work):
            objects.point(ref, sha)
        work.switch(ref)
        return sha

    def _write_tag(self, name: str, tag: str, at: str, *, annotated: bool) -> str:
        """What `tag` does, as long as nobody has looked into the work tree."""
        work, bare = Objects(self._work(name) / ".git"), Objects(self.path(name))
        target = work.resolve(at, bare)
        commit, _ = bare.peel(target)
        if annotated:
            kind, _ = bare.read(target)
            lines = [f"object {target}", f"type {kind}", f"tag {tag}", f"tagger {identity('COMMITTER')}", "", "tag\n"]
            target = bare.write("tag", os.fsencode("\n".join(lines)))
        for objects in (bare, work):
            objects.point(f"refs/tags/{tag}", target)
        return commit

    def _work(self, name: str) -> Path:
        return self.root / f"{name}.work"


def _changed(tree: Tree, files: Mapping[str, str | bytes | Path | None], objects: Objects) -> Tree:
    """The files of a tree after some were written, linked or taken away."""
    tree = dict(tree)
    for path, content in files.items():
        if content is None or isinstance(content, Path):
            if path not in tree:
                raise UnknownError(path)
            del tree[path]
    for path, content in files.items():
        mode = tree.get(path, ("100644",))[0]
        if isinstance(content, Path):
            tree[path] = ("120000", objects.write("blob", os.fsencode(content)))
        elif content is not None:
            if not mode.startswith("100"):
                raise UnknownError(path)  # through a link, or into another repository
            tree[path] = (mode, objects.write("blob", content if isinstance(content, bytes) else content.encode()))
    for path in tree:
        *above, last = path.split("/")
        if last == ".gitattributes" or {"", ".", "..", ".git"} & {*above, last}:
            raise UnknownError(path)  # git may change what it stores, or not store it
        if any("/".join(above[: count + 1]) in tree for count in range(len(above))):
            raise UnknownError(path)  # a file where a directory would have to be
    return tree


def _clean(message: str) -> str:
    """The message as git stores it."""
    if not message or "\n\n\n" in message or message != "\n".join(map(str.rstrip, message.strip().split("\n"))):
        raise UnknownError(message)
    return f"{message}\n"
