"""Places where a git command of grex stands still until a test lets it go on, all of them on git's own paths.

`SlowTransport` is what `GIT_SSH_COMMAND` starts: it serves a repository of this machine for any `ssh://` URL and
stops in the middle of the pack, so that a clone is half received. `HeldFilter` is a smudge filter: a checkout stops
at one file, with everything that comes before it written, `index.lock` taken and HEAD where it was. `DyingGit` is a
git on the PATH for the one thing that cannot be held up: the moment in which a ref's lock file is there.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.support.killing import eventually
from tests.support.workspace import Workspace

__all__ = ["DyingGit", "HeldFilter", "SlowTransport"]

_SSH = """#!{python}
import os, signal, subprocess, sys

if {ignores_term}:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
command = sys.argv[2]
if os.path.exists({released!r}):
    os.execvp("sh", ["sh", "-c", command])
server = subprocess.Popen(["sh", "-c", command], stdout=subprocess.PIPE)
sent = 0
while piece := os.read(server.stdout.fileno(), 512):
    os.write(1, piece)
    sent += len(piece)
    if sent > {limit}:
        open({reached!r}, "w").close()
        while True:
            signal.pause()
"""
_DYING = """#!{python}
import os, signal, sys

if {subcommand!r} in sys.argv:
    ref = next((word for word in sys.argv if word.startswith("refs/")), "")
    lock = os.path.join(".git", {lock!r}.format(ref))
    os.makedirs(os.path.dirname(lock), exist_ok=True)
    open(lock, "x").close()
    if {kills_grex}:
        os.kill(os.getppid(), signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)
os.environ["PATH"] = {path!r}
os.execvp("git", sys.argv)
"""
_SMUDGE = """#!/bin/sh
if [ ! -e '{released}' ]; then
    : > '{reached}'
    while [ ! -e '{released}' ]; do sleep 0.02; done
fi
exec cat
"""


class _Gate:
    def __init__(self, base: Path) -> None:
        base.mkdir(parents=True)
        self._reached = base / "reached"
        self._released = base / "released"

    def wait(self) -> None:
        """Wait until a git of grex stands here."""
        eventually(self._reached.exists, "a git that is held up")

    def release(self) -> None:
        """Let it go on, and everyone who comes later."""
        self._released.touch()


class SlowTransport(_Gate):
    """An ssh that stops after `limit` bytes; it ends with its connection unless it ignores TERM."""

    def __init__(self, base: Path, workspace: Workspace, *, limit: int = 20_000, ignores_term: bool = False) -> None:
        super().__init__(base)
        script = base / "ssh"
        script.write_text(
            _SSH.format(
                python=sys.executable,
                released=str(self._released),
                reached=str(self._reached),
                limit=limit,
                ignores_term=ignores_term,
            )
        )
        script.chmod(0o755)
        workspace.environ |= {"GIT_SSH_COMMAND": str(script), "GIT_SSH_VARIANT": "simple"}

    @staticmethod
    def url(repository: Path) -> str:
        """The URL under which this transport serves a repository of this machine."""
        return f"ssh://host.invalid{repository}"


class DyingGit:
    """A `git` that is killed in the middle of one command, and grex with it; its lock file stays.

    Args:
        base: where the stand-in for git is made.
        workspace: whose PATH begins with it, until `repair`.
        subcommand: the command; all others are git's own.
        lock: the lock file that it leaves, below the git directory; `{}` is the first ref that it is given.
        kills_grex: whether it takes grex along.
    """

    def __init__(
        self, base: Path, workspace: Workspace, subcommand: str, lock: str, *, kills_grex: bool = True
    ) -> None:
        self._path = workspace.environ["PATH"]
        self._workspace = workspace
        base.mkdir()
        script = base / "git"
        script.write_text(
            _DYING.format(
                python=sys.executable, path=self._path, subcommand=subcommand, lock=lock, kills_grex=kills_grex
            )
        )
        script.chmod(0o755)
        workspace.environ["PATH"] = f"{base}:{self._path}"

    def repair(self) -> None:
        """Let the workspace have git itself again."""
        self._workspace.environ["PATH"] = self._path


class HeldFilter(_Gate):
    """A smudge filter for the files that `.gitattributes` gives `filter=held`."""

    ATTRIBUTES = "held.txt filter=held\n"

    def __init__(self, base: Path, workspace: Workspace) -> None:
        super().__init__(base)
        script = base / "smudge"
        script.write_text(_SMUDGE.format(released=self._released, reached=self._reached))
        script.chmod(0o755)
        config = base / "gitconfig"
        config.write_text(f'[filter "held"]\n\tsmudge = {script}\n\tclean = cat\n')
        workspace.environ["GIT_CONFIG_GLOBAL"] = str(config)
