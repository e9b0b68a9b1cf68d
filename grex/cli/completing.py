"""`grex __complete KIND PREFIX`: the names that a shell offers, found fast and without a word when something is wrong.

It runs at each press of a key, so it imports neither the command line framework nor a verb, takes no lock and reads
only declarations: the lockfile and the root's pack.yaml. What only other packs declare is known once it is locked.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Collection
from pathlib import Path

__all__ = ["complete"]


def complete(arguments: list[str]) -> int:
    """Print the names of a kind (`packs`, `groups`) that begin with a prefix, a line each; always 0."""
    kind, prefix = (*arguments, "", "")[:2]
    try:
        found = _names(kind, prefix)
    except Exception:  # noqa: BLE001 - in the middle of a line that somebody types, nothing is the best answer
        return 0
    sys.stdout.write("".join(f"{name}\n" for name in sorted(found)))
    return 0


def _names(kind: str, prefix: str) -> Collection[str]:
    from grex.pack import current_platform, read_declared_paths, read_pack_spec  # noqa: PLC0415 - after the version
    from grex.workspace.discover import find_workspace  # noqa: PLC0415 - as above

    def declared(workspace: Path, pack: str) -> Collection[str]:
        return read_declared_paths(workspace, pack, platform=current_platform())

    named = os.environ.get("GREX_WORKSPACE")
    root = find_workspace(Path.cwd(), explicit=Path(named) if named else None, recorded=_locked, declared=declared)
    if kind == "groups":
        spec = read_pack_spec(root, is_root=True, platform=current_platform(), display="")
        groups = {group for child in spec.children for group in child.groups} if spec is not None else set[str]()
        return {group for group in groups if group.startswith(prefix)}
    if kind != "packs":
        return ()
    paths = {*_locked(root), *declared(root, "")}
    found = {path for path in paths if path.startswith(prefix)}
    if found or "/" in prefix:
        return found
    last = [path.rpartition("/")[2] for path in paths]
    return {name for name in last if name.startswith(prefix) and last.count(name) == 1}


def _locked(root: Path) -> Collection[str]:
    try:
        text = (root / "grex.lock.jsonl").read_text("utf-8")
    except OSError:
        return ()
    return [str(json.loads(line)["path"]) for line in text.splitlines()]
