"""What is recorded: the event log and its fold, the lockfile, edits of the root pack.yaml, clone notes, forks.

Everything that the lock MANIFEST protects is written here. Functions that write are given the hold instead of taking
it, because whoever records something has mostly read something under the same hold first.

What only verbs that change something need (`edit`, `state`) is imported when it is first asked for: the others start
faster without it.
"""

from typing import TYPE_CHECKING

from grex.later import imported_later
from grex.manifest.compact import LARGE_LOG_BYTES, compact, lines_needed, worth_compacting
from grex.manifest.events import (
    KNOWN_OPS,
    NOT_WHOLE,
    ROOT_ID,
    SAME,
    SCHEMA_VERSION,
    Event,
    Phase,
    Same,
    action_completed_event,
    action_halted_event,
    action_started_event,
    add_event,
    install_failed_event,
    installed_event,
    parse_line,
    prune_event,
    render_line,
    restore_event,
    rm_event,
    sync_event,
    timestamp,
    update_event,
)
from grex.manifest.fold import fold
from grex.manifest.folded import (
    CompletedAction,
    FailedInstall,
    Folded,
    InstalledRecord,
    OpenBracket,
    PackRecord,
    RemovedRecord,
)
from grex.manifest.forks import (
    FORK_ROOT,
    ForkMark,
    ForkPack,
    ForkRecord,
    ForkStage,
    read_fork_mark,
    read_fork_records,
    remove_fork_record,
    write_fork_mark,
    write_fork_record,
)
from grex.manifest.lockfile import (
    LOCKFILE_VERSION,
    LockLine,
    parse_lockfile,
    read_lockfile,
    render_lockfile,
    write_lockfile,
)
from grex.manifest.log import AppendReport, CompactReport, Log, LogContents, ManifestWriteHold, require_hold
from grex.manifest.strict_json import MAX_LINE_BYTES, Json

if TYPE_CHECKING:
    from grex.manifest.edit import (
        change_child,
        change_children,
        change_key,
        edit_root,
        insert_child,
        insert_children,
        insert_item,
        remove_child,
        replace_item,
    )
    from grex.manifest.state import CloneNote, DamagedNote, read_notes, remove_note, write_note
    from grex.manifest.trash_record import (
        MovedFrom,
        TrashKind,
        TrashRecord,
        read_trash_record,
        remove_trash_record,
        trash_record_path,
        write_trash_record,
    )
    from grex.manifest.yaml_text import Value

__all__ = [
    "FORK_ROOT",
    "KNOWN_OPS",
    "LARGE_LOG_BYTES",
    "LOCKFILE_VERSION",
    "MAX_LINE_BYTES",
    "NOT_WHOLE",
    "ROOT_ID",
    "SAME",
    "SCHEMA_VERSION",
    "AppendReport",
    "CloneNote",
    "CompactReport",
    "CompletedAction",
    "DamagedNote",
    "Event",
    "FailedInstall",
    "Folded",
    "ForkMark",
    "ForkPack",
    "ForkRecord",
    "ForkStage",
    "InstalledRecord",
    "Json",
    "LockLine",
    "Log",
    "LogContents",
    "ManifestWriteHold",
    "MovedFrom",
    "OpenBracket",
    "PackRecord",
    "Phase",
    "RemovedRecord",
    "Same",
    "TrashKind",
    "TrashRecord",
    "Value",
    "action_completed_event",
    "action_halted_event",
    "action_started_event",
    "add_event",
    "change_child",
    "change_children",
    "change_key",
    "compact",
    "edit_root",
    "fold",
    "insert_child",
    "insert_children",
    "insert_item",
    "install_failed_event",
    "installed_event",
    "lines_needed",
    "parse_line",
    "parse_lockfile",
    "prune_event",
    "read_fork_mark",
    "read_fork_records",
    "read_lockfile",
    "read_notes",
    "read_trash_record",
    "remove_child",
    "remove_fork_record",
    "remove_note",
    "remove_trash_record",
    "render_line",
    "render_lockfile",
    "replace_item",
    "require_hold",
    "restore_event",
    "rm_event",
    "sync_event",
    "timestamp",
    "trash_record_path",
    "update_event",
    "worth_compacting",
    "write_fork_mark",
    "write_fork_record",
    "write_lockfile",
    "write_note",
    "write_trash_record",
]

_LATER = {
    "CloneNote": "state",
    "DamagedNote": "state",
    "MovedFrom": "trash_record",
    "TrashKind": "trash_record",
    "TrashRecord": "trash_record",
    "Value": "yaml_text",
    "change_child": "edit",
    "change_children": "edit",
    "change_key": "edit",
    "edit_root": "edit",
    "insert_child": "edit",
    "insert_children": "edit",
    "insert_item": "edit",
    "read_notes": "state",
    "read_trash_record": "trash_record",
    "remove_child": "edit",
    "remove_note": "state",
    "remove_trash_record": "trash_record",
    "replace_item": "edit",
    "trash_record_path": "trash_record",
    "write_note": "state",
    "write_trash_record": "trash_record",
}

if not TYPE_CHECKING:  # to a type checker, a room with it has every name there could be
    __getattr__ = imported_later(__name__, _LATER)
