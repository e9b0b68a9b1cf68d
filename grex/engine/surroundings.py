"""What actions of a pack see of the machine: the environment of their commands."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from grex.locks import child_environment
from grex.plugin import Pack

__all__ = ["child_environ"]

# Trust for one run is this run's: a grex that a hook starts must not inherit it.
_NOT_FOR_CHILDREN = frozenset({"GREX_TRUST"})
_KEPT_GIT_VARIABLES = (
    "GIT_SSH",
    "GIT_CONFIG_GLOBAL",
    "GIT_CONFIG_SYSTEM",
    "GIT_AUTHOR_",
    "GIT_COMMITTER_",
    "GIT_ASKPASS",
)


def child_environ(
    environ: Mapping[str, str], pack: Pack, workspace: Path, platform: str, *, dry_run: bool
) -> dict[str, str]:
    """The environment of a hook or a command: the caller's without git's own variables, and what grex tells it."""
    kept = {
        name: value
        for name, value in environ.items()
        if name not in _NOT_FOR_CHILDREN and (not name.startswith("GIT_") or name.startswith(_KEPT_GIT_VARIABLES))
    }
    kept.update(child_environment())
    kept.update(
        GREX_PACK_NAME=pack.name,
        GREX_PACK_PATH=str(pack.root),
        GREX_PACK_OS=platform,
        GREX_WORKSPACE=str(workspace),
        GREX_DRY_RUN="1" if dry_run else "0",
        GIT_TERMINAL_PROMPT="0",
    )
    return kept
