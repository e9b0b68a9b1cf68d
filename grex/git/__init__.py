"""git as a subprocess, and what can be read of a checkout without one.

This room is mechanism: it looks (`observe`, `edited_paths`), brings (`clone`, `fetch_branch`), moves (`check_out`,
`move_in`) and repairs (`recover`). What to do with a checkout is decided elsewhere, from the values that it returns.

Locks are taken by the caller. What writes takes the held BACKEND lock as an argument and refuses to go on without it.
"""

from __future__ import annotations

from grex.git.checkout import check_out, has_upstream
from grex.git.clone import ClonedCheckout, clone
from grex.git.command import BackendHold, GitCommand, GitRunner, git_environment
from grex.git.commits import (
    commit_at,
    fast_forward_ref,
    has_commit,
    is_ancestor,
    is_reachable,
    keep_rescue_ref,
    worktree_on_branch,
)
from grex.git.edits import Edits, edited_paths, untracked_hint
from grex.git.errors import (
    AnotherGitError,
    CheckoutRefusedError,
    FilesInTheWayError,
    GitError,
    RefNotFoundError,
)
from grex.git.fetch import fetch_branch, fetch_sha, fetch_tag, set_origin
from grex.git.index import Index, IndexUnreadableError, read_index
from grex.git.move_in import move_in, plan_move, resume_move
from grex.git.observe import CheckoutState, Operation, observe
from grex.git.progress import GitProgress
from grex.git.records import CompletionRecord, MoveNote, noted, read_note, read_record, write_record
from grex.git.recover import RecoveryReport, recover
from grex.git.refs import GitDirs, Head, RefsUnreadableError, find_git_dirs, read_head, read_ref
from grex.git.remote import LocalRemoteRefs, RemoteRef, local_remote_refs, parse_ref, resolve_remote
from grex.git.status import WorkTreeStatus, ahead_behind, ask_head, porcelain
from grex.git.worktree import (
    add_work_tree,
    count_commits,
    delete_branch,
    fill_work_tree,
    finish_work_tree,
    forget_work_tree,
    is_half_made,
    keep_edits,
    linked_work_trees,
    registered_at,
    settle_work_tree,
    unmerged_count,
    work_trees,
)

__all__ = [
    "AnotherGitError",
    "BackendHold",
    "CheckoutRefusedError",
    "CheckoutState",
    "ClonedCheckout",
    "CompletionRecord",
    "Edits",
    "FilesInTheWayError",
    "GitCommand",
    "GitDirs",
    "GitError",
    "GitProgress",
    "GitRunner",
    "Head",
    "Index",
    "IndexUnreadableError",
    "LocalRemoteRefs",
    "MoveNote",
    "Operation",
    "RecoveryReport",
    "RefNotFoundError",
    "RefsUnreadableError",
    "RemoteRef",
    "WorkTreeStatus",
    "add_work_tree",
    "ahead_behind",
    "ask_head",
    "check_out",
    "clone",
    "commit_at",
    "count_commits",
    "delete_branch",
    "edited_paths",
    "fast_forward_ref",
    "fetch_branch",
    "fetch_sha",
    "fetch_tag",
    "fill_work_tree",
    "find_git_dirs",
    "finish_work_tree",
    "forget_work_tree",
    "git_environment",
    "has_commit",
    "has_upstream",
    "is_ancestor",
    "is_half_made",
    "is_reachable",
    "keep_edits",
    "keep_rescue_ref",
    "linked_work_trees",
    "local_remote_refs",
    "move_in",
    "noted",
    "observe",
    "parse_ref",
    "plan_move",
    "porcelain",
    "read_head",
    "read_index",
    "read_note",
    "read_record",
    "read_ref",
    "recover",
    "registered_at",
    "resolve_remote",
    "resume_move",
    "set_origin",
    "settle_work_tree",
    "unmerged_count",
    "untracked_hint",
    "work_trees",
    "worktree_on_branch",
    "write_record",
]
