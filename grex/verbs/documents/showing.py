"""The documents of the verbs that show: `diff` and `graph`."""

from __future__ import annotations

from typing import Literal

from typing_extensions import TypedDict  # pydantic asks for this one below Python 3.12

from grex.verbs.documents.failure import FailureObject
from grex.verbs.documents.packs import HistoryObject

__all__ = [
    "DiffDocument",
    "DiffPackObject",
    "DiffSideObject",
    "GraphDependencyObject",
    "GraphDocument",
    "GraphPackObject",
]


class DiffSideObject(TypedDict):
    """One of the two lockfiles: a revision of the workspace's repository, a file, or the one that is there."""

    kind: Literal["revision", "file", "disk"]
    text: str
    sha: str | None


class DiffPackObject(TypedDict):
    """What became of one pack; `commits` is null where there are none to tell, for the reason in `commits_unknown`."""

    path: str
    status: Literal["added", "removed", "moved", "changed"]
    old_path: str | None
    old: str | None
    new: str | None
    old_ref: str | None
    new_ref: str | None
    old_branch: str | None
    new_branch: str | None
    old_url: str | None
    new_url: str | None
    commits: HistoryObject | None
    commits_unknown: str | None
    link: str | None


class DiffDocument(TypedDict):
    """`grex diff --json`; packs that are the same are not in it, the others are sorted by path."""

    schema: Literal["grex.diff/1"]
    workspace: str
    exit_code: int
    old: DiffSideObject
    new: DiffSideObject
    packs: list[DiffPackObject]
    notes: list[str]


class GraphPackObject(TypedDict):
    """One declared pack; `children` are the packs that it declares.

    `commit` and `branch` are where its HEAD is, `locked` is the commit in the lockfile, `drift` what of that disagrees
    and what is begun there, each in a few words; whether files were edited is what `grex status` looks for. `hooks` are
    the files of its hooks.
    """

    path: str
    name: str
    type: str
    url: str
    ref: str | None
    commit: str | None
    branch: str | None
    locked: str | None
    state: Literal["present", "missing", "inactive", "error"]
    drift: list[str]
    hooks: list[str]
    groups: list[str]
    parents: list[str]
    children: list[str]
    error: FailureObject | None


class GraphDependencyObject(TypedDict):
    """One `depends_on`: `to` is the path of the pack that is needed, null where none is declared."""

    source: str
    needs: str
    to: str | None


class GraphDocument(TypedDict):
    """`grex graph --json`; packs are sorted by path, `parents` and `children` give the tree (`.` is the root)."""

    schema: Literal["grex.graph/1"]
    workspace: str
    name: str
    type: str
    exit_code: int
    packs: list[GraphPackObject]
    dependencies: list[GraphDependencyObject]
    notes: list[str]
