"""Commands that start a program where the kernel itself says no: a user namespace needs no privilege and hurts nobody.

Each is given to whoever starts a process as the head of its command line. Where namespaces are not to be had (some
containers) the tests that need one are skipped.
"""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
from pathlib import Path

import pytest

__all__ = ["as_nobody", "with_limit", "with_read_only"]

_NOBODY = "65534"


@functools.cache
def _works(*command: str) -> bool:
    return shutil.which(command[0]) is not None and subprocess.run([*command, "true"], check=False).returncode == 0


def _checked(*command: str) -> list[str]:
    if not _works(*command):
        pytest.skip(f"not to be had here: {command[0]} {command[1]}")
    return list(command)


def with_limit(name: str, value: int) -> list[str]:
    """Let `/proc/sys/user/<name>` be this in there, such as `max_inotify_instances`."""
    script = f'echo {value} > /proc/sys/user/{name} && exec "$@"'
    return _checked("unshare", "--user", "--map-root-user", "sh", "-c", script, "sh")


def with_read_only(directory: Path) -> list[str]:
    """Let a directory be on a read-only file system in there."""
    script = f'mount --bind "{directory}" "{directory}" && mount -o remount,bind,ro "{directory}" && exec "$@"'
    return _checked("unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script, "sh")


def as_nobody() -> list[str]:
    """Be no root in there, to whom permissions would not apply."""
    if os.geteuid() != 0:
        return []
    return _checked("setpriv", "--reuid", _NOBODY, "--regid", _NOBODY, "--clear-groups")
