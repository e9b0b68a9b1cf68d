"""What a plugin is tested with, without a workspace: a context that keeps in memory what grex keeps on disk."""

from grex.plugin.testing.recording import (
    RecordingActionContext,
    RecordingContext,
    RecordingHold,
    entry,
    perform,
    predicate,
    would,
)

__all__ = ["RecordingActionContext", "RecordingContext", "RecordingHold", "entry", "perform", "predicate", "would"]
