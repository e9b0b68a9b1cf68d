"""Bare repositories on disk that stand in for a server, and git commands of a user."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

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

    def create(self, name: str, files: Mapping[str, str] | None = None, *, branch: str = "main") -> Path:
        """Make a repository with one commit of these files, or an empty one; gives the bare repository."""
        git(self.root, "init", "--quiet", "--bare", f"--initial-branch={branch}", str(self.path(name)))
        git(self.root, "clone", "--quiet", self.url(name), str(self._work(name)))
        # Relative, so that the whole server can be copied.
        git(self._work(name), "config", "remote.origin.url", f"../{name}.git")
        git(self._work(name), "symbolic-ref", "HEAD", f"refs/heads/{branch}")
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
        work = self._work(name)
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
        work = self._work(name)
        git(work, "tag", "--force", *(["-a", "-m", "tag"] if annotated else []), tag, at)
        git(work, "push", "--quiet", "--force", "origin", f"refs/tags/{tag}")
        return git(work, "rev-parse", f"refs/tags/{tag}^{{commit}}")

    def push(self, name: str, branch: str) -> None:
        """Push a branch as it is in the work tree."""
        git(self._work(name), "push", "--quiet", "--force", "origin", f"refs/heads/{branch}:refs/heads/{branch}")

    def work(self, name: str) -> Path:
        """The work tree in which commits are made, for whatever else a test wants to do there."""
        return self._work(name)

    def _work(self, name: str) -> Path:
        return self.root / f"{name}.work"
