"""A process that runs one `env` action in a workspace of its own and stops in the middle of changing the file.

`python -m tests.support.env_writer WORKSPACE HOME STATE_DIR NAME`: says `inside` when it has read the file and not
replaced it yet, goes on when it gets a line, and says `done`.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import anyio

from grex.builtin.actions import env
from grex.builtin.pack_types.declarative import Declarative
from grex.engine import RunContext, Session, Settings
from grex.engine.exclusive import exclusive
from grex.fs import atomic
from grex.pack import parse_pack_spec
from grex.plugin import Pack
from tests.support.workspace import pack_yaml

__all__ = ["env_pack", "main"]


def env_pack(root: Path, name: str) -> Pack:
    """The root pack of a workspace, which sets a variable."""
    text = pack_yaml("root", "declarative", actions=[{"env": {"name": name, "value": "set"}}])
    return Pack(".", root, "root", "declarative", parse_pack_spec(text.encode(), file="f", is_root=True), "")


async def _install(root: Path, home: Path, state_dir: Path, name: str) -> None:
    environ = dict(os.environ) | {"SHELL": "/bin/bash", "HOME": str(home)}
    session = Session.open(root, Settings(home, environ, "linux", state_dir, "test"))
    async with exclusive(session):
        await Declarative().install(RunContext(session), env_pack(root, name))


def main() -> None:
    """Run it."""
    replace = atomic.replace_file

    def stop_and_replace(*args: Any, **keys: Any) -> None:
        print("inside", flush=True)
        sys.stdin.readline()
        replace(*args, **keys)

    vars(env)["replace_file"] = stop_and_replace
    root, home, state_dir = map(Path, sys.argv[1:4])
    anyio.run(_install, root, home, state_dir, sys.argv[4])
    print("done", flush=True)


if __name__ == "__main__":
    main()
