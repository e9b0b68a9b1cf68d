"""Partial clones (`filter`): whether what a checkout would write is here, or git would have to fetch it.

git fetches what it lacks by itself, in the middle of a checkout, and removes files before it does. So where it may not
use the network, this is found out before.
"""

from __future__ import annotations

from grex.git.command import GitRunner, require_sha
from grex.git.config_file import read_config
from grex.git.observe import CheckoutState

__all__ = ["is_partial", "lacks_objects"]


def is_partial(state: CheckoutState) -> bool:
    """Whether the repository was cloned without some of its objects."""
    config = read_config(state.dirs.common / "config")
    return config is not None and config.get("remote", "promisor", subsection="origin") is not None


async def lacks_objects(runner: GitRunner, state: CheckoutState, to_sha: str) -> bool:
    """Whether moving from HEAD to a commit that is here would need objects that are not.

    Directories that a sparse checkout leaves out count as well, so in one that is both, the answer may be a needless
    yes.

    Raises:
        GitError: git cannot say.
    """
    if not is_partial(state):
        return False
    known = [] if state.head_sha is None else [f"^{require_sha(state.head_sha)}^{{tree}}"]
    finished = await runner.run(
        ["rev-list", "--objects", "--missing=print", f"{require_sha(to_sha)}^{{tree}}", *known, "--"], cwd=state.real
    )
    return any(line.startswith(b"?") for line in finished.stdout.split(b"\n"))
