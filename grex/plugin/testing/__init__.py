"""What a plugin is tested with.

`RecordingContext` is a context that keeps in memory what grex keeps on disk: fast, and without a workspace.
`TemporaryWorkspace` is a workspace on disk in which the real `grex` runs, and `make_repository` makes the repositories
that it clones. Everything works under any test runner; nothing of one is imported here.
"""

from grex.plugin.testing.acting import RecordingActionContext, perform, would
from grex.plugin.testing.holding import RecordingHold
from grex.plugin.testing.recording import RecordingContext, entry, predicate
from grex.plugin.testing.repository import commit_files, make_repository
from grex.plugin.testing.workspace import Ended, TemporaryWorkspace

__all__ = [
    "Ended",
    "RecordingActionContext",
    "RecordingContext",
    "RecordingHold",
    "TemporaryWorkspace",
    "commit_files",
    "entry",
    "make_repository",
    "perform",
    "predicate",
    "would",
]
