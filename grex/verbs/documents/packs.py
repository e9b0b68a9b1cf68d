"""The documents of the verbs that set up, bring, look at and take back packs."""

from __future__ import annotations

from typing import Any, Literal

from typing_extensions import TypedDict  # pydantic asks for this one below Python 3.12

__all__ = [
    "AddDocument",
    "DemoDocument",
    "ErrorDocument",
    "FailureObject",
    "FetchedObject",
    "HistoryObject",
    "HolderObject",
    "InitDocument",
    "InstallObject",
    "ListDocument",
    "ListedPackObject",
    "LockObject",
    "LockProcessObject",
    "LocksDocument",
    "PackStatusObject",
    "PluginObject",
    "PluginsDocument",
    "PulledObject",
    "QueuedWaiterObject",
    "RanObject",
    "RemovedObject",
    "RepositoryObject",
    "RunDocument",
    "StatusDocument",
    "SubjectObject",
    "SyncDocument",
    "SyncPackObject",
    "TeardownDocument",
    "TornDownObject",
    "TrustDocument",
    "UpdateDocument",
]


class FailureObject(TypedDict):
    """A failure: a stable code, its exit code, one sentence, what to do, and further facts."""

    code: str
    exit_code: int
    message: str
    hint: str | None
    details: dict[str, Any]


class ErrorDocument(TypedDict):
    """What any verb prints instead of its document when it could not do its work at all."""

    error: FailureObject


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
    """How one pack stands; `states` is empty for a clean one, `tampered` has a line for each thing changed by hand."""

    path: str
    states: list[str]
    branch: str | None
    sha: str | None
    ref: str | None
    edited: int
    untracked: int
    ahead: int
    behind: int
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
    repository: RepositoryObject | None
    packs: list[PackStatusObject]
    fetched: list[FetchedObject] | None
    notes: list[str]


class TornDownObject(TypedDict):
    """What became of one pack in `grex teardown`; a pack that was left as it is says why."""

    path: str
    status: Literal["torn-down", "skipped", "failed", "untrusted", "not-reached", "planned"]
    changes: list[str]
    notes: list[str]
    error: FailureObject | None


class TeardownDocument(TypedDict):
    """`grex teardown --json`; packs are sorted by path."""

    schema: Literal["grex.teardown/1"]
    workspace: str
    dry_run: bool
    exit_code: int
    packs: list[TornDownObject]
    elapsed_s: float
    notes: list[str]


class RanObject(TypedDict):
    """What became of one pack in `grex run`; `output` is the end of what its commands said."""

    path: str
    status: Literal["ran", "unchanged", "skipped", "failed", "untrusted", "not-reached", "planned"]
    changes: list[str]
    notes: list[str]
    output: str
    error: FailureObject | None


class RunDocument(TypedDict):
    """`grex run NAME --json`; packs are sorted by path."""

    schema: Literal["grex.run/1"]
    workspace: str
    name: str
    dry_run: bool
    exit_code: int
    packs: list[RanObject]
    elapsed_s: float
    notes: list[str]


class PluginObject(TypedDict):
    """One entry point; `object` is what it imports, `error` why it cannot be used."""

    group: str
    name: str
    status: Literal["ok", "broken", "shadowed"]
    distribution: str
    version: str
    object: str
    api_version: int | None
    error: FailureObject | None


class PluginsDocument(TypedDict):
    """`grex plugins --json`; sorted by group, then name."""

    schema: Literal["grex.plugins/1"]
    api_version: int
    exit_code: int
    plugins: list[PluginObject]


class TrustDocument(TypedDict):
    """`grex trust --json`; `covers` has the declared packs under `prefix`, null where that cannot be told."""

    schema: Literal["grex.trust/1"]
    prefixes: list[str]
    changed: bool
    prefix: str | None
    covers: list[str] | None
    exit_code: int


class HolderObject(TypedDict):
    """Who wrote a lock's record; a hint, the kernel lock is the truth."""

    pid: int
    host: str
    tier: str | None
    verb: str
    acquired_at: str | None
    stale: bool
    kept_by: list[str]


class LockProcessObject(TypedDict):
    """A process that the kernel names at a lock."""

    pid: int
    command: str
    shared: bool
    ended: bool
    stopped: bool


class QueuedWaiterObject(TypedDict):
    """One who waits for a lock; the one at place 1 is served next."""

    place: int
    seq: int
    pid: int
    command: str
    shared: bool
    verified: bool
    stopped: bool


class LockObject(TypedDict):
    """One lock: who holds it and who waits for it."""

    tier: str
    path: str
    exists: bool
    held: bool | None
    shared: bool
    pids: list[int]
    holder: HolderObject | None
    outlived: bool
    held_for_s: int | None
    holders: list[LockProcessObject]
    queue: list[QueuedWaiterObject]
    blocked: list[LockProcessObject]
    problem: str | None


class LocksDocument(TypedDict):
    """`grex locks --json`."""

    schema: Literal["grex.locks/1"]
    workspace: str
    exit_code: int
    held: list[LockObject]
    others: list[LockObject]
    errors: list[FailureObject]


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
