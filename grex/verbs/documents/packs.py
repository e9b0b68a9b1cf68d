"""The documents of the verbs that set up, list, bring and look at packs."""

from __future__ import annotations

from typing import Literal

from typing_extensions import TypedDict  # pydantic asks for this one below Python 3.12

from grex.verbs.documents.failure import FailureObject

__all__ = [
    "AddDocument",
    "DemoDocument",
    "FetchedObject",
    "HistoryObject",
    "InitDocument",
    "InstallObject",
    "ListDocument",
    "ListedPackObject",
    "PackStatusObject",
    "PulledObject",
    "RelockedObject",
    "RemovedObject",
    "RepositoryObject",
    "StatusDocument",
    "SubjectObject",
    "SyncDocument",
    "SyncPackObject",
    "UpdateDocument",
]


class InitDocument(TypedDict):
    """`grex init --json`; `outer` is the workspace around a new one, which may declare it as a pack of its own."""

    schema: Literal["grex.init/1"]
    workspace: str
    created: bool
    gitignore_changed: bool
    outer: str | None
    belongs_to_outer: bool
    exit_code: int


class InstallObject(TypedDict):
    """What became of one pack's installation."""

    status: Literal["installed", "updated", "synced", "skipped", "failed", "untrusted", "not-reached", "planned"]
    changes: list[str]
    notes: list[str]
    error: FailureObject | None


class SubjectObject(TypedDict):
    """A commit and its first line; `gone` if only the old place has it."""

    sha: str
    subject: str
    gone: bool


class HistoryObject(TypedDict):
    """The commits between two: how many only the new one has, and only the old one; `subjects` has the newest ones."""

    added: int
    gone: int
    subjects: list[SubjectObject]


class SyncPackObject(TypedDict):
    """What became of one pack; `old` and `new` are HEAD before and after, `code` says why it was left alone."""

    path: str
    type: str
    status: Literal["cloned", "moved", "unchanged", "left", "failed", "not-reached", "planned"]
    url: str | None
    ref: str | None
    branch: str | None
    old: str | None
    new: str | None
    commits: HistoryObject | None
    code: str | None
    text: str
    hint: str | None
    notes: list[str]
    error: FailureObject | None
    install: InstallObject | None


class RemovedObject(TypedDict):
    """What became of one pack that was to go; `trash` is where it is now, from the workspace root."""

    path: str
    status: Literal["removed", "unlinked", "absent", "forgotten", "kept", "planned"]
    trash: str | None
    code: str | None
    text: str
    hint: str | None
    error: FailureObject | None


class PulledObject(TypedDict):
    """What `--pull` did to the workspace's own repository; `old` is `new` if there was nothing to pull."""

    branch: str
    upstream: str
    old: str
    new: str


class RelockedObject(TypedDict):
    """The packs whose lines in the lockfile are new, different or gone since this run."""

    added: list[str]
    changed: list[str]
    removed: list[str]


class _SyncFacts(TypedDict):
    workspace: str
    dry_run: bool
    exit_code: int
    packs: list[SyncPackObject]
    undeclared: list[str]
    pruned: list[RemovedObject]
    swept: list[str]
    recovered: list[str]
    notes: list[str]
    errors: list[FailureObject]
    lockfile_changed: bool
    lockfile: RelockedObject | None
    pulled: PulledObject | None
    elapsed_s: float
    waited_s: float


class SyncDocument(_SyncFacts):
    """`grex sync --json`; packs are sorted by path. Equal work gives equal documents but for the two times."""

    schema: Literal["grex.sync/1"]


class UpdateDocument(_SyncFacts):
    """`grex update --json`: what `grex sync --json` has, and whether installs were run again (`--force`)."""

    schema: Literal["grex.update/1"]
    forced: bool


class AddDocument(TypedDict):
    """`grex add --json`."""

    schema: Literal["grex.add/1"]
    path: str
    url: str
    exit_code: int
    sync: SyncDocument


class ListedPackObject(TypedDict):
    """One declared pack, as it lies on the disk."""

    path: str
    name: str
    type: str
    url: str
    ref: str | None
    sha: str | None
    branch: str | None
    present: bool
    parents: list[str]
    groups: list[str]
    active: bool
    error: FailureObject | None


class ListDocument(TypedDict):
    """`grex ls --json`; packs are sorted by path, `parents` gives the tree (`.` is the root)."""

    schema: Literal["grex.ls/1"]
    workspace: str
    name: str
    type: str
    exit_code: int
    packs: list[ListedPackObject]
    notes: list[str]


class PackStatusObject(TypedDict):
    """How one pack stands; `states` is empty for a clean one, `tampered` has a line for each thing changed by hand.

    `drift` is whether `--fail-on-drift` minds.
    """

    path: str
    states: list[str]
    drift: bool
    branch: str | None
    sha: str | None
    ref: str | None
    edited: int
    untracked: int
    ahead: int
    behind: int
    unpushed: int
    tampered: list[str]
    text: str
    hint: str | None
    error: FailureObject | None


class RepositoryObject(TypedDict):
    """The workspace's own repository; `problem` says why it could not be looked at."""

    path: str
    branch: str | None
    sha: str | None
    edited: int
    ahead: int
    behind: int
    problem: str | None


class FetchedObject(TypedDict):
    """What became of one pack's fetch before a status (`fetched`, `unchanged`, `failed`); `text` says what is new."""

    path: str
    status: str
    text: str
    error: FailureObject | None


class StatusDocument(TypedDict):
    """`grex status --json`; packs are sorted by path. `repository` is null where the workspace lies in none."""

    schema: Literal["grex.status/1"]
    workspace: str
    exit_code: int
    clean: bool
    drift: bool
    repository: RepositoryObject | None
    packs: list[PackStatusObject]
    fetched: list[FetchedObject] | None
    notes: list[str]


class DemoDocument(TypedDict):
    """`grex demo --json`."""

    schema: Literal["grex.demo/1"]
    workspace: str
    upstreams: int
    pushed: str
    exit_code: int
    first: SyncDocument
    tree: ListDocument
    second: SyncDocument
