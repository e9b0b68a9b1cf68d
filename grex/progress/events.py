"""The events of a run: facts with a time, without any idea of how they are shown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias

from msgspec import Struct, field

from grex.progress.permit import current_permit

__all__ = [
    "CommandOutput",
    "CommandStarted",
    "Event",
    "FetchProgress",
    "GitProgress",
    "HolderSeen",
    "LockHad",
    "LockWait",
    "PackFinished",
    "PackStarted",
    "PacksFound",
    "PermitReturned",
    "PermitTaken",
    "PluginBlocks",
    "Slice",
]


class PacksFound(Struct, frozen=True):
    """How many packs the run is about, as far as is known by now: it grows where packs declare others."""

    count: int


class PackStarted(Struct, frozen=True):
    """Work on a pack began; `doing` is one word: `checkout`, or the lifecycle call (`install`, `update`)."""

    pack: str
    doing: str


class PackFinished(Struct, frozen=True):
    """A pack is done for this phase; `status` is its outcome's status, `text` one line about it.

    `told` is the same thing by thing, where that is more than the text has room for.
    """

    pack: str
    status: str
    text: str
    told: tuple[str, ...] = ()


class CommandStarted(Struct, frozen=True):
    """A command of a pack begins; `label` is what it is called: `hook .grex/hooks/setup.sh`."""

    pack: str
    label: str


class CommandOutput(Struct, frozen=True):
    """A line that a command of a pack wrote to `stream`, bounded, without control characters and credentials."""

    pack: str
    label: str
    line: str
    stream: Literal["stdout", "stderr"]


class LockWait(Struct, frozen=True):
    """A lock has been waited for so long that it is worth saying who has it, and how many are `ahead` of this wait.

    `stopped` has the pids of those ahead that stand still. `pack` is what it is waited for in; empty where that is no
    pack, but the workspace or a file of several packs.
    """

    tier: str
    path: str
    waited_s: float
    holder: str | None
    ahead: int | None = None
    stopped: tuple[int, ...] = ()
    pack: str = ""


class LockHad(Struct, frozen=True):
    """A wait that was told of as `LockWait` is over, whether or not it got the lock."""

    tier: str
    path: str
    pack: str = ""


class PermitTaken(Struct, frozen=True):
    """A pack was given a permit, of `kind` `disk` or `network`: from now on it is worked at."""

    pack: str
    kind: str


class PermitReturned(Struct, frozen=True):
    """A pack gave its permit back; it may need another one before it is done."""

    pack: str


class HolderSeen(Struct, frozen=True):
    """Somebody waits for a lock, and this is who has it, as of now: at the beginning of a wait, and again meanwhile.

    `tier` and `path` are those of the slices of the lock. `name` is for people: `grex exec, pid 7`.
    """

    tier: str
    path: str
    pid: int
    name: str
    at_ns: int
    """On CLOCK_MONOTONIC."""


class PluginBlocks(Struct, frozen=True):
    """Code of a plugin has not let go of the event loop for `blocked_s`; `place` is `file:line` where it stands.

    It comes from a thread of its own, since the event loop stands. `pack` is empty where it cannot be told.
    """

    pack: str
    plugin: str
    place: str
    blocked_s: float


class GitProgress(Struct, frozen=True):
    """What git says of its own progress: `stage` as git names it, `percent` of that stage.

    `bytes_per_s` is how fast it comes, of stages in which something does.
    """

    pack: str
    stage: str
    percent: int
    bytes_per_s: int | None = None


class FetchProgress(Struct, frozen=True):
    """How much of a file has come that an action fetches; `total_bytes` is None where nobody said how much it is."""

    pack: str
    label: str
    received_bytes: int
    total_bytes: int | None


class Slice(Struct, frozen=True):
    """A stretch of time in which something was held or ran, for the trace.

    `start_ns` and `end_ns` are CLOCK_MONOTONIC, and it is told of when it ends. `track` is the pack that it is about,
    or `workspace`; slices of one pack nest or follow each other, they never cross; but calls of a server do. `category`
    is `call`, `permit`, `lock`, `wait`, `git`, `hook`, `action` or `command`. Locks and waits have `tier` and `path`
    among their `args`. `permit` is the one of the task that tells of it.
    """

    name: str
    category: str
    track: str
    start_ns: int
    end_ns: int
    args: Mapping[str, str | int | float | bool | None] = field(default_factory=dict)
    permit: str = field(default_factory=current_permit)


Event: TypeAlias = (
    CommandOutput
    | CommandStarted
    | PacksFound
    | PackStarted
    | PackFinished
    | LockWait
    | HolderSeen
    | LockHad
    | PermitTaken
    | PermitReturned
    | GitProgress
    | FetchProgress
    | PluginBlocks
    | Slice
)
