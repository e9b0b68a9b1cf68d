"""The documents of `grex fork`, `grex fork ls` and `grex fork rm`."""

from __future__ import annotations

from typing import Literal

from typing_extensions import TypedDict  # pydantic asks for this one below Python 3.12

from grex.verbs.documents.failure import FailureObject

__all__ = [
    "ForkDocument",
    "ForkListDocument",
    "ForkRemovalDocument",
    "ForkWorkObject",
    "ForkedPackObject",
    "ListedForkObject",
]


class ForkedPackObject(TypedDict):
    """A pack of a new fork; `edited` and `untracked` count what of the source is in no commit, so not in the fork."""

    path: str
    status: str
    branch: str | None
    sha: str | None
    edited: int
    untracked: int
    text: str
    error: FailureObject | None


class ForkDocument(TypedDict):
    """`grex fork DIR --json`."""

    schema: Literal["grex.fork/1"]
    workspace: str
    directory: str
    branch: str
    provider: str
    resumed: bool
    exit_code: int
    packs: list[ForkedPackObject]
    elapsed_s: float


class ForkWorkObject(TypedDict):
    """What there is of a pack in a fork; `unmerged` counts commits that only the fork has."""

    path: str
    branch: str | None
    present: bool
    ahead: int
    edited: int
    untracked: int
    unmerged: int
    operation: str | None
    text: str


class ListedForkObject(TypedDict):
    """A fork, and how it stands."""

    directory: str
    source: str
    branch: str
    provider: str
    created_at: str
    state: Literal["ok", "half-made", "half-removed", "gone", "damaged"]
    text: str
    packs: list[ForkWorkObject]


class ForkListDocument(TypedDict):
    """`grex fork ls --json`."""

    schema: Literal["grex.fork-ls/1"]
    workspace: str
    exit_code: int
    forks: list[ListedForkObject]
    notes: list[str]


class ForkRemovalDocument(TypedDict):
    """`grex fork rm DIR --json`; `packs` are those with work in them."""

    schema: Literal["grex.fork-rm/1"]
    workspace: str
    directory: str
    removed: bool
    exit_code: int
    packs: list[ForkWorkObject]
    kept_branches: dict[str, str]
    rescue_refs: dict[str, list[str]]
    trash: str | None
    errors: list[FailureObject]
    text: str
    hint: str | None
