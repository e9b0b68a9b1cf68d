"""What a run says while it runs: typed events that are shown or traced, and never kept as state."""

from grex.progress.events import (
    CommandOutput,
    CommandStarted,
    Event,
    FetchProgress,
    GitProgress,
    LockWait,
    PackFinished,
    PackStarted,
    PluginBlocks,
    Slice,
)
from grex.progress.sinks import ChromeTrace, Collector, Sink, Tee, null_sink

__all__ = [
    "ChromeTrace",
    "Collector",
    "CommandOutput",
    "CommandStarted",
    "Event",
    "FetchProgress",
    "GitProgress",
    "LockWait",
    "PackFinished",
    "PackStarted",
    "PluginBlocks",
    "Sink",
    "Slice",
    "Tee",
    "null_sink",
]
