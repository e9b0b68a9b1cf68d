"""What a checkout was fitted with beside its commit: `<git dir>/grex/fittings.json`.

The completion record says at which commit a checkout was finished. This one says which parts of its tree were asked
for, for which commit its submodules were brought, and which remotes were made. It is written after the last byte of
what it speaks of; so where it says less than what is declared, the step is done (or done again), and a checkout with
nothing declared needs no such file. JSON with `"v": 1`, replaced atomically and durably. One that cannot be read says
nothing, and everything that is declared is done again, which changes nothing where it was done.
"""

from __future__ import annotations

import json
from pathlib import Path
from types import MappingProxyType
from typing import Any

from msgspec import Struct

from grex.fs import fsync_dir, read_regular, replace_file
from grex.names import is_full_sha

__all__ = ["Fittings", "read_fittings", "write_fittings"]

_VERSION = 1
_LIMIT_BYTES = 256 << 10


class Fittings(Struct, frozen=True):
    """What was done; the default is that of a plain clone."""

    sparse: tuple[str, ...] = ()
    """The directories of the cone; none for all of the tree."""
    submodules: str | None = None
    """The commit whose submodules are there; None where they are not grex's business."""
    remotes: tuple[tuple[str, str], ...] = ()
    """Name and URL (without credentials) of the remotes that were made, sorted."""

    @property
    def urls(self) -> MappingProxyType[str, str]:
        """The remotes by name."""
        return MappingProxyType(dict(self.remotes))


def read_fittings(git_dir: Path) -> Fittings:
    """What a checkout was fitted with; the default where nothing is recorded."""
    try:
        data = json.loads(read_regular(f"{git_dir}/grex/fittings.json", limit_bytes=_LIMIT_BYTES))
    except (OSError, ValueError, RecursionError):
        return Fittings()
    if not isinstance(data, dict) or data.get("v") != _VERSION:
        return Fittings()
    submodules = data.get("submodules")
    remotes = data.get("remotes")
    return Fittings(
        sparse=_texts(data.get("sparse")),
        submodules=submodules if isinstance(submodules, str) and is_full_sha(submodules) else None,
        remotes=tuple(sorted((name, url) for name, url in remotes.items() if isinstance(url, str)))
        if isinstance(remotes, dict)
        else (),
    )


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list) else ()


def write_fittings(git_dir: Path, fittings: Fittings) -> None:
    """Record durably what a checkout was fitted with.

    Raises:
        OSError: it could not be written; the old record stands.
    """
    path = git_dir / "grex" / "fittings.json"
    try:
        path.parent.mkdir()
    except FileExistsError:
        pass
    else:
        fsync_dir(git_dir)
    data = {
        "v": _VERSION,
        "sparse": fittings.sparse,
        "submodules": fittings.submodules,
        "remotes": dict(fittings.remotes),
    }
    replace_file(path, json.dumps(data, ensure_ascii=True, separators=(",", ":")).encode() + b"\n")
