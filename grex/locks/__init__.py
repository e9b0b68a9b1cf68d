"""Every lock of grex: one order of tiers, cancellable waits, and who holds what. See `docs/concurrency.md`.

What looks at locks from outside is imported when it is first asked for: taking one needs none of it.
"""

from typing import TYPE_CHECKING

from grex.later import imported_later
from grex.locks.backend_lock import BACKEND_LOCK_SUFFIX, BackendHold, BackendLock, backend_lock_path
from grex.locks.cancel import CancelToken
from grex.locks.held import child_environment
from grex.locks.holder import HolderRecord
from grex.locks.manifest_lock import MANIFEST_LOCK_FILE_NAME, ManifestHold, ManifestLock
from grex.locks.pack_lock import PACK_LOCK_FILE_NAME, PackHold, PackLock
from grex.locks.permits import PermitHold, PermitKind, PermitPool
from grex.locks.policy import WaitPolicy, WaitReport
from grex.locks.run_context import set_verb, set_workspace
from grex.locks.statistics import LockStatistics, PermitKeyStatistics, PermitStatistics
from grex.locks.tiers import Tier, held_tiers, tier_scope, with_tier
from grex.locks.workspace_lock import WORKSPACE_LOCK_FILE_NAME, WorkspaceHold, WorkspaceLock

if TYPE_CHECKING:
    from grex.locks.inspection import LockInfo, inspect_locks
    from grex.locks.mirror_lock import MirrorHold, MirrorLock
    from grex.locks.shared_file_lock import SharedFileHold, SharedFileLock

__all__ = [
    "BACKEND_LOCK_SUFFIX",
    "MANIFEST_LOCK_FILE_NAME",
    "PACK_LOCK_FILE_NAME",
    "WORKSPACE_LOCK_FILE_NAME",
    "BackendHold",
    "BackendLock",
    "CancelToken",
    "HolderRecord",
    "LockInfo",
    "LockStatistics",
    "ManifestHold",
    "ManifestLock",
    "MirrorHold",
    "MirrorLock",
    "PackHold",
    "PackLock",
    "PermitHold",
    "PermitKeyStatistics",
    "PermitKind",
    "PermitPool",
    "PermitStatistics",
    "SharedFileHold",
    "SharedFileLock",
    "Tier",
    "WaitPolicy",
    "WaitReport",
    "WorkspaceHold",
    "WorkspaceLock",
    "backend_lock_path",
    "child_environment",
    "held_tiers",
    "inspect_locks",
    "set_verb",
    "set_workspace",
    "tier_scope",
    "with_tier",
]

_LATER = {
    "LockInfo": "inspection",
    "MirrorHold": "mirror_lock",
    "MirrorLock": "mirror_lock",
    "SharedFileHold": "shared_file_lock",
    "SharedFileLock": "shared_file_lock",
    "inspect_locks": "inspection",
}

if not TYPE_CHECKING:  # to a type checker, a room with it has every name there could be
    __getattr__ = imported_later(__name__, _LATER)
