"""What actions of a pack see of the machine: the environment of their commands, and the answers to predicates."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from grex.locks import child_environment
from grex.pack import PlainData
from grex.plugin import Pack

__all__ = ["PackFacts", "child_environ"]

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


class PackFacts:
    """What predicates ask about this machine, relative to one pack."""

    def __init__(self, resolve: Callable[[str], Path], environ: Mapping[str, str], platform: str) -> None:
        self._resolve = resolve
        self._environ = environ
        self._platform = platform

    def os_is(self, platform: str) -> bool:
        """Whether this is that platform."""
        return self._platform == platform

    def path_exists(self, path: str) -> bool:
        """Whether something is there."""
        return self._resolve(path).exists()

    def cmd_available(self, name: str) -> bool:
        """Whether a command of that name would be found."""
        from shutil import which  # noqa: PLC0415 - only packs with this predicate need it

        return which(name, path=self._environ.get("PATH")) is not None

    def env_set(self, name: str) -> bool:
        """Whether the variable is set."""
        return name in self._environ

    def symlink_ok(self, src: str, dst: str) -> bool:
        """Whether `dst` is a link that leads to `src`."""
        link = self._resolve(dst)
        try:
            return link.is_symlink() and link.resolve() == self._resolve(src).resolve()
        except (OSError, RuntimeError):
            return False

    def plugin_predicate(self, kind: str, value: PlainData) -> bool | None:
        """None: no plugin of this environment brings predicates."""
        del kind, value
        return None
