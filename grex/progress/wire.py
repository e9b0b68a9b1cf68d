"""The events of `--json-lines`: what each kind of line has, and the lines that events become.

One JSON object a line, `event` says of which kind. Lines about one pack stand in the order in which things happened to
it; those of several packs are mixed. Exactly one line ends the stream: `report`, `error` or `stopped`. Within
`grex.events/1` keys and kinds of lines are only added, so a reader skips what it does not know.
"""

from __future__ import annotations

import datetime as dt
from typing import Any, Literal, TypeAlias

from typing_extensions import TypedDict  # pydantic asks for this one below Python 3.12

from grex.progress.events import (
    CommandOutput,
    CommandStarted,
    Event,
    FetchProgress,
    GitProgress,
    LockWait,
    PackFinished,
    PacksFound,
    PackStarted,
    PluginBlocks,
)

__all__ = [
    "SCHEMA",
    "BlockedLine",
    "CommandStartedLine",
    "DownloadLine",
    "ErrorLine",
    "EventLine",
    "LockWaitLine",
    "OutputLine",
    "PackFinishedLine",
    "PackStartedLine",
    "PacksFoundLine",
    "ProgressLine",
    "ReportLine",
    "StoppedLine",
    "line_of",
    "stamped",
]

SCHEMA = "grex.events/1"


class _Line(TypedDict):
    schema: Literal["grex.events/1"]
    ts: str


class PacksFoundLine(_Line):
    """How many packs the run is about, as far as is known by now; it grows where packs declare others."""

    event: Literal["packs-found"]
    count: int


class PackStartedLine(_Line):
    """Work on a pack began; `doing` is one word: `checkout`, `fetch`, `install`."""

    event: Literal["pack-started"]
    pack: str
    doing: str


class PackFinishedLine(_Line):
    """A pack is done for this phase; `text` is one line about it, `told` the same thing by thing."""

    event: Literal["pack-finished"]
    pack: str
    status: str
    text: str
    told: list[str]


class CommandStartedLine(_Line):
    """A command of a pack begins."""

    event: Literal["command-started"]
    pack: str
    label: str


class OutputLine(_Line):
    """A line that a command of a pack wrote, without control characters and credentials."""

    event: Literal["output"]
    pack: str
    label: str
    stream: Literal["stdout", "stderr"]
    line: str


class LockWaitLine(_Line):
    """A lock has been waited for; `ahead` are served before, `stopped` are the pids among them that stand still."""

    event: Literal["lock-wait"]
    tier: str
    path: str
    waited_s: float
    holder: str | None
    ahead: int | None
    stopped: list[int]


class BlockedLine(_Line):
    """Code of a plugin has let nothing else run for so long; `place` is file:line where it stands."""

    event: Literal["blocked"]
    pack: str
    plugin: str
    place: str
    blocked_s: float


class ProgressLine(_Line):
    """How far git is with one stage of its work on a pack; `bytes_per_s` is null where nothing is transferred."""

    event: Literal["progress"]
    pack: str
    stage: str
    percent: int
    bytes_per_s: int | None


class DownloadLine(_Line):
    """How much of a file has come that an action fetches; `total_bytes` is null where nobody said."""

    event: Literal["download"]
    pack: str
    label: str
    received_bytes: int
    total_bytes: int | None


class ReportLine(_Line):
    """The last line of a run that came to its end; `document` is what `--json` prints."""

    event: Literal["report"]
    document: dict[str, Any]


class ErrorLine(_Line):
    """The last line of a run that could not do its work at all; `error` is as with `--json`."""

    event: Literal["error"]
    error: dict[str, Any]


class StoppedLine(_Line):
    """The last line of a run that a signal ended."""

    event: Literal["stopped"]
    signal: str
    exit_code: int


EventLine: TypeAlias = (
    PacksFoundLine
    | PackStartedLine
    | PackFinishedLine
    | CommandStartedLine
    | OutputLine
    | LockWaitLine
    | BlockedLine
    | ProgressLine
    | DownloadLine
    | ReportLine
    | ErrorLine
    | StoppedLine
)


def stamped(event: str, **facts: Any) -> dict[str, Any]:
    """A line of this kind, with the time of day in UTC."""
    now = dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {"event": event, "schema": SCHEMA, "ts": now, **facts}


def line_of(event: Event) -> dict[str, Any] | None:  # noqa: PLR0911 - a kind of event, a kind of line
    """The line that an event becomes; None for one that is only for traces."""
    match event:
        case PacksFound(count):
            return stamped("packs-found", count=count)
        case PackStarted(pack, doing):
            return stamped("pack-started", pack=pack, doing=doing)
        case PackFinished(pack, status, text, told):
            return stamped("pack-finished", pack=pack, status=status, text=text, told=list(told))
        case CommandStarted(pack, label):
            return stamped("command-started", pack=pack, label=label)
        case CommandOutput(pack, label, line, stream):
            return stamped("output", pack=pack, label=label, stream=stream, line=line)
        case LockWait(tier, path, waited_s, holder, ahead, stopped):
            waited = {"waited_s": round(waited_s, 3), "holder": holder, "ahead": ahead, "stopped": list(stopped)}
            return stamped("lock-wait", tier=tier, path=path, **waited)
        case PluginBlocks(pack, plugin, place, blocked_s):
            return stamped("blocked", pack=pack, plugin=plugin, place=place, blocked_s=round(blocked_s, 3))
        case GitProgress(pack, stage, percent, bytes_per_s):
            return stamped("progress", pack=pack, stage=stage, percent=percent, bytes_per_s=bytes_per_s)
        case FetchProgress(pack, label, received, total):
            return stamped("download", pack=pack, label=label, received_bytes=received, total_bytes=total)
    return None
