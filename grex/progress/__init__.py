"""What a run says while it runs: typed events that are shown or traced, and never kept as state."""

from typing import TYPE_CHECKING

from grex.later import imported_later
from grex.progress.events import (
    CommandOutput,
    CommandStarted,
    Event,
    FetchProgress,
    GitProgress,
    HolderSeen,
    LockHad,
    LockWait,
    PackFinished,
    PacksFound,
    PackStarted,
    PermitReturned,
    PermitTaken,
    PluginBlocks,
    Slice,
)
from grex.progress.permit import under_permit
from grex.progress.sinks import Collector, Sink, Tee, null_sink

if TYPE_CHECKING:
    from grex.progress.chrome_trace import ChromeTrace

__all__ = [
    "ChromeTrace",
    "Collector",
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
    "Sink",
    "Slice",
    "Tee",
    "null_sink",
    "under_permit",
]

if not TYPE_CHECKING:  # most runs write no trace
    __getattr__ = imported_later(__name__, {"ChromeTrace": "chrome_trace"})
