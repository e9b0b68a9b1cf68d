"""The tools about forks: `fork`, `fork_ls`, `fork_rm`."""

from __future__ import annotations

from functools import partial

from grex.mcp.arguments import Argument
from grex.mcp.confining import beside
from grex.mcp.place import Place
from grex.mcp.tools.tool import LOCKING, PACKS, Asking, Given, Tool

__all__ = ["FORK", "FORK_LS", "FORK_RM"]

_DIRECTORY = "A directory beside the workspace, such as ../feature; a relative path starts at the workspace root."


def _fork(place: Place, given: Given) -> Asking:
    from grex.verbs.fork import ForkRequest, fork  # noqa: PLC0415 - only when called

    directory = beside(place.root, "directory", given["directory"])
    request = ForkRequest(
        place.root, directory, given["packs"], branch=given["branch"], provider=given["provider"] or "auto"
    )
    return Asking(request, partial(fork, request))


FORK = Tool(
    name="fork",
    verb="fork",
    says=(
        "Make a second workspace beside this one, each pack on a branch of its own: for one task. "
        "Commit pack.yaml first: only what is committed comes along. Work in that directory; these tools stay here."
    ),
    document="fork",
    ask=_fork,
    arguments=(
        Argument("directory", "text", f"Where to make it. {_DIRECTORY}", required=True),
        PACKS,
        Argument("branch", "text", "The branch of its packs; grex/ and the name of the directory if absent."),
        Argument("provider", "text", "How its directories are made: worktree, or auto, which is also the default."),
    ),
    waiting=LOCKING,
    is_idempotent=True,
)


def _fork_ls(place: Place, given: Given) -> Asking:
    from grex.verbs.fork_ls import ForkListRequest, fork_ls  # noqa: PLC0415 - only when called

    request = ForkListRequest(place.root, **given)
    return Asking(request, partial(fork_ls, request))


FORK_LS = Tool(
    name="fork_ls",
    verb="fork",
    says="List the forks of this workspace, and what work is in each.",
    document="fork-ls",
    ask=_fork_ls,
    is_read_only=True,
    is_idempotent=True,
)


def _fork_rm(place: Place, given: Given) -> Asking:
    from grex.verbs.fork_rm import ForkRemovalRequest, fork_rm  # noqa: PLC0415 - only when called

    directory = beside(place.root, "directory", given["directory"])
    request = ForkRemovalRequest(place.root, directory, force=given["force"])
    return Asking(request, partial(fork_rm, request))


def _forced_removal(place: Place, given: Given) -> str | None:
    del place
    return "`fork_rm` with `force` removes a fork with work in it; the work is kept aside" if given["force"] else None


FORK_RM = Tool(
    name="fork_rm",
    verb="fork",
    says=(
        "Remove a fork. One with edits, or commits that are nowhere else, is refused and stays: "
        "commit them, and merge or push its branch, or ask the user about `force`."
    ),
    document="fork-rm",
    ask=_fork_rm,
    arguments=(
        Argument("directory", "text", f"Which one. {_DIRECTORY}", required=True),
        Argument("force", "flag", "Also one with work in it; the work is kept."),
    ),
    waiting=LOCKING,
    is_destructive=True,
    discards=_forced_removal,
)
