"""Further remotes in a checkout's configuration; `origin` is the pack itself and never one of them.

Only what differs is written, and nothing of the user's is ever removed. A remote is two keys, of which the one with the
URL comes last: a remote that a kill has left without it is completed by the next run, and git knows no remote without a
URL. Credentials are never among what is written.
"""

from __future__ import annotations

from collections.abc import Mapping

from grex.git.command import BackendHold, GitRunner
from grex.git.config_file import ConfigFile, read_config
from grex.git.observe import CheckoutState
from grex.git.records import MoveNote, noted

__all__ = ["missing_remotes", "set_remotes"]


def missing_remotes(state: CheckoutState, wanted: Mapping[str, str]) -> Mapping[str, str]:
    """Those of the wanted remotes (URL by name) that the checkout lacks, or has with another URL."""
    if not wanted:
        return {}
    config = read_config(state.dirs.common / "config") or ConfigFile({})
    return {name: url for name, url in wanted.items() if config.get("remote", "url", subsection=name) != url}


async def set_remotes(
    runner: GitRunner, state: CheckoutState, wanted: Mapping[str, str], *, pack: str, backend: BackendHold
) -> tuple[str, ...]:
    """Make the remotes that are missing, and give those with another URL the wanted one.

    Returns:
        The names of those that were made or changed.

    Raises:
        GitError: the configuration could not be written.
    """
    missing = missing_remotes(state, wanted)
    config = read_config(state.dirs.common / "config") or ConfigFile({})
    with noted(state.dirs.own, MoveNote(op="refs", pack=pack)):
        for name, url in sorted(missing.items()):
            if config.get("remote", "fetch", subsection=name) is None:
                refspec = f"+refs/heads/*:refs/remotes/{name}/*"
                await _set(runner, state, f"remote.{name}.fetch", refspec, backend)
            await _set(runner, state, f"remote.{name}.url", url, backend)
    return tuple(sorted(missing))


async def _set(runner: GitRunner, state: CheckoutState, key: str, value: str, backend: BackendHold) -> None:
    await runner.run(["config", "--local", "--replace-all", key, value], cwd=state.real, write=backend)
