"""A workspace with its server that many tests begin with: built once, and copied for each of them.

Building costs a dozen git processes, a copy none. What is in the files of the copy names its own place, as if it had
been built there; only the inodes and times differ from what the index says, so git is asked where it would otherwise
not be. A pack's own pack.yaml is not rewritten, which would be an edit: its URLs have to be relative.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest

from tests.support.git_server import GitServer
from tests.support.place import Place

__all__ = ["cast"]

_BUILT: dict[str, Path] = {}
_SERVER, _WORKSPACE = "up", "ws"


def cast(
    name: str, build: Callable[[Place, GitServer], None], base: Path, factory: pytest.TempPathFactory
) -> tuple[Place, GitServer]:
    """The workspace below `base`, synced, and the server beside it.

    Args:
        name: of what is built, once for each process.
        build: makes the repositories and declares the packs.
        base: where the copy is to be.
        factory: gives the place of the original.
    """
    original = _BUILT.get(name)
    if original is None:
        original = factory.mktemp(name)
        place = Place(original)
        build(place, GitServer(original / _SERVER))
        assert anyio.run(place.sync).exit_code == 0
        _BUILT[name] = original
    place, server = Place(base), GitServer(base / _SERVER)
    for part in (_SERVER, _WORKSPACE):
        shutil.copytree(original / part, base / part, symlinks=True, dirs_exist_ok=True)
    names = (".grex/pack.yaml", "grex.jsonl", "grex.lock.jsonl", "**/.git/config", "**/.git/grex/checkout.json")
    for pattern in names:
        for file in place.root.glob(pattern):
            file.write_text(file.read_text().replace(str(original), str(base)))
    return place, server
