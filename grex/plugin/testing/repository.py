"""Local git repositories that stand in for a server. git has to be installed, and nothing else."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

__all__ = ["commit_files", "make_repository", "quiet_git_environ"]

_TIMEOUT_S = 60


def make_repository(directory: Path, files: Mapping[str, str | bytes] | None = None, *, branch: str = "main") -> Path:
    """Make a repository with one commit of these files; gives its directory, whose path or `as_uri()` is its URL.

    Args:
        directory: where; it and its parents are made.
        files: what is committed, by path.
        branch: the branch it is on.
    """
    directory.mkdir(parents=True)
    _git(directory, "init", "--quiet", f"--initial-branch={branch}")
    commit_files(directory, files or {}, message="First commit")
    return directory


def commit_files(directory: Path, files: Mapping[str, str | bytes | None], *, message: str = "Next commit") -> str:
    """Write files (None removes one) and commit them; gives the commit's id."""
    for name, content in files.items():
        path = directory / name
        if content is None:
            path.unlink()
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    _git(directory, "add", "--all")
    _git(directory, "commit", "--quiet", "--allow-empty", f"--message={message}")
    return _git(directory, "rev-parse", "HEAD")


def quiet_git_environ(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables without those of git and grex, and with an author, so that no configuration of the user counts."""
    kept = {name: value for name, value in environ.items() if not name.startswith(("GIT_", "GREX_"))}
    kept |= {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    for role in ("AUTHOR", "COMMITTER"):
        kept |= {f"GIT_{role}_NAME": "Test", f"GIT_{role}_EMAIL": "test@example.invalid"}
    return kept


def _git(directory: Path, *arguments: str) -> str:
    ended = subprocess.run(
        ["git", *arguments],
        cwd=directory,
        env=quiet_git_environ(os.environ),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=_TIMEOUT_S,
        check=False,
        text=True,
    )
    if ended.returncode:
        raise AssertionError(f"git {' '.join(arguments)} in {directory}: {ended.stderr}")
    return ended.stdout.strip()
