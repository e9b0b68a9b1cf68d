"""Where a checkout comes from and what it is on, for a declaration that is made after it: read from its files.

`declared_ref` is the answer to "which ref would bring this checkout back": the branch that HEAD is on if it follows the
branch of the same name of `origin`, else the commit. A branch that follows another one, or nothing, says nothing to
somebody who clones.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct, field

from grex.git.config_file import ConfigFile, read_config
from grex.git.index import read_index
from grex.git.refs import GitDirs, RefsUnreadableError, read_head

__all__ = ["Origin", "gitlinks", "read_origin", "submodule_of"]

_GITLINK = 0o160000


class Origin(Struct, frozen=True):
    """What a checkout says of itself.

    Attributes:
        url: of the remote `origin`; None if there is none.
        remotes: the URLs of the other remotes.
        ref: the branch or the commit; None where nothing is committed, or HEAD cannot be read.
        is_branch: whether `ref` is a branch.
    """

    url: str | None
    ref: str | None
    is_branch: bool = False
    remotes: Mapping[str, str] = field(default_factory=dict)


def read_origin(dirs: GitDirs) -> Origin:
    """What the files of a checkout say of it; starts no process."""
    config = read_config(dirs.common / "config") or ConfigFile({})
    urls = {
        name: url for (section, name, key), url in config.values.items() if (section, key) == ("remote", "url") and name
    }
    ref, is_branch = None, False
    try:
        head = read_head(dirs)
    except RefsUnreadableError:
        pass
    else:
        branch = head.branch
        follows = branch is not None and (
            config.get("branch", "remote", subsection=branch) == "origin"
            and config.get("branch", "merge", subsection=branch) == f"refs/heads/{branch}"
        )
        ref, is_branch = (branch, True) if follows and head.sha is not None else (head.sha, False)
    others = {name: url for name, url in sorted(urls.items()) if name != "origin"}
    return Origin(urls.get("origin"), ref, is_branch, others)


def gitlinks(dirs: GitDirs) -> dict[str, str]:
    """The commits that a repository records for its submodules, by path.

    Raises:
        IndexUnreadableError: only git can read its index.
    """
    return {
        entry.path.decode("utf-8", "surrogateescape"): entry.oid.hex()
        for entry in read_index(dirs).entries
        if entry.mode == _GITLINK
    }


def submodule_of(dirs: GitDirs) -> Path | None:
    """The git directory of the repository that a checkout is a submodule of; None if it is none."""
    parts = dirs.common.parts
    if "modules" not in parts[:-1]:
        return None
    around = Path(*parts[: len(parts) - 1 - parts[::-1].index("modules")])
    return around if (around / "HEAD").is_file() else None
