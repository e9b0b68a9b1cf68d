"""The documents of the verbs that work over packs and bring none: `exec`, `switch`, `fetch`, `push`, `path`."""

from __future__ import annotations

from typing import Literal

from typing_extensions import TypedDict  # pydantic asks for this one below Python 3.12

from grex.verbs.documents.failure import FailureObject

__all__ = [
    "BranchNewsObject",
    "CommitObject",
    "ExecDocument",
    "ExecPackObject",
    "FetchDocument",
    "OverPackObject",
    "PathDocument",
    "PushDocument",
    "SwitchDocument",
]


class ExecPackObject(TypedDict):
    """What became of the command in one pack; of each stream the end, at most 64 KiB, and how much it was in all."""

    path: str
    status: Literal["ran", "failed", "not-reached", "planned"]
    returncode: int | None
    stdout: str
    stdout_bytes: int
    stderr: str
    stderr_bytes: int
    duration_s: float
    error: FailureObject | None


class ExecDocument(TypedDict):
    """`grex exec --json`; packs are sorted by path."""

    schema: Literal["grex.exec/1"]
    workspace: str
    command: list[str]
    dry_run: bool
    exit_code: int
    packs: list[ExecPackObject]
    notes: list[str]
    elapsed_s: float


class CommitObject(TypedDict):
    """A commit and its first line."""

    sha: str
    subject: str


class BranchNewsObject(TypedDict):
    """What a fetch brought for one of the remote's branches; `old` is null for a new one."""

    branch: str
    old: str | None
    new: str
    commits: int
    rewritten: bool


class OverPackObject(TypedDict):
    """What became of one pack; `code` says why it was left alone."""

    path: str
    status: Literal["switched", "created", "fetched", "pushed", "unchanged", "planned", "no-branch", "left", "failed"]
    branch: str | None
    text: str
    code: str | None
    hint: str | None
    commits: list[CommitObject]
    news: list[BranchNewsObject]
    notes: list[str]
    error: FailureObject | None


class SwitchDocument(TypedDict):
    """`grex switch --json`; packs are sorted by path."""

    schema: Literal["grex.switch/1"]
    workspace: str
    branch: str
    dry_run: bool
    exit_code: int
    packs: list[OverPackObject]
    notes: list[str]
    elapsed_s: float


class FetchDocument(TypedDict):
    """`grex fetch --json`; packs are sorted by path."""

    schema: Literal["grex.fetch/1"]
    workspace: str
    exit_code: int
    packs: list[OverPackObject]
    notes: list[str]
    elapsed_s: float


class PushDocument(TypedDict):
    """`grex push --json`; packs are sorted by path."""

    schema: Literal["grex.push/1"]
    workspace: str
    dry_run: bool
    exit_code: int
    packs: list[OverPackObject]
    notes: list[str]
    elapsed_s: float


class PathDocument(TypedDict):
    """`grex path --json`; `pack` is the pack's path from the workspace root, `.` for the root itself."""

    schema: Literal["grex.path/1"]
    workspace: str
    pack: str
    path: str
    present: bool
    exit_code: int
