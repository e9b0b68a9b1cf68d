"""git as a subprocess, and what can be read of a checkout without one.

This room is mechanism: it looks (`observe`, `edited_paths`), brings (`clone`, `fetch_branch`), moves (`check_out`,
`move_in`) and repairs (`recover`). What to do with a checkout is decided elsewhere, from the values that it returns.

Locks are taken by the caller. What writes takes the held BACKEND lock as an argument and refuses to go on without it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from grex.git.checkout import check_out, follow, has_upstream
from grex.git.clone import ClonedCheckout, clone
from grex.git.command import BackendHold, GitCommand, GitRunner, Logins, git_environment
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
from grex.git.edits_away import keep_edits, unstage
from grex.git.errors import (
    AnotherGitError,
    CheckoutRefusedError,
    FilesInTheWayError,
    GitError,
    PushError,
    RefNotFoundError,
)
from grex.git.fetch import fetch_branch, fetch_branches, fetch_sha, fetch_tag, set_origin
from grex.git.index import Index, IndexUnreadableError, read_index
from grex.git.move_in import move_in, plan_move, resume_move
from grex.git.observe import CheckoutState, Operation, observe
from grex.git.progress import GitProgress
from grex.git.records import CompletionRecord, MoveNote, noted, read_note, read_record, write_record
from grex.git.recover import RecoveryReport, recover
from grex.git.refs import GitDirs, Head, RefsUnreadableError, find_git_dirs, has_plain_refs, read_head, read_ref
from grex.git.remote import LocalRemoteRefs, RemoteRef, local_remote_refs, parse_ref, resolve_remote
from grex.git.status import WorkTreeStatus, ahead_behind, ask_head, porcelain, unpushed_count
from grex.git.work import (
    LocalWork,
    SubmoduleLoss,
    find_work,
    is_linked_worktree,
    nested_repositories,
    submodule_losses,
)
from grex.git.worktree import (
    add_work_tree,
    count_commits,
    delete_branch,
    fill_work_tree,
    finish_work_tree,
    forget_work_tree,
    is_half_made,
    linked_work_trees,
    registered_at,
    settle_work_tree,
    unmerged_count,
    work_trees,
)
from grex.later import imported_later

if TYPE_CHECKING:
    from grex.git.switching import (
        Commit,
        Upstream,
        commits_between,
        count_own_commits,
        has_remote,
        own_commits,
        push_branch,
        remote_branches,
        switch_branch,
        upstream_of,
    )

__all__ = [
    "AnotherGitError",
    "BackendHold",
    "CheckoutRefusedError",
    "CheckoutState",
    "ClonedCheckout",
    "Commit",
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
    "LocalWork",
    "Logins",
    "MoveNote",
    "Operation",
    "PushError",
    "RecoveryReport",
    "RefNotFoundError",
    "RefsUnreadableError",
    "RemoteRef",
    "SubmoduleLoss",
    "Upstream",
    "WorkTreeStatus",
    "add_work_tree",
    "ahead_behind",
    "ask_head",
    "check_out",
    "clone",
    "commit_at",
    "commits_between",
    "count_commits",
    "count_own_commits",
    "delete_branch",
    "edited_paths",
    "fast_forward_ref",
    "fetch_branch",
    "fetch_branches",
    "fetch_sha",
    "fetch_tag",
    "fill_work_tree",
    "find_git_dirs",
    "find_work",
    "finish_work_tree",
    "follow",
    "forget_work_tree",
    "git_environment",
    "has_commit",
    "has_plain_refs",
    "has_remote",
    "has_upstream",
    "is_ancestor",
    "is_half_made",
    "is_linked_worktree",
    "is_reachable",
    "keep_edits",
    "keep_rescue_ref",
    "linked_work_trees",
    "local_remote_refs",
    "move_in",
    "nested_repositories",
    "noted",
    "observe",
    "own_commits",
    "parse_ref",
    "plan_move",
    "porcelain",
    "push_branch",
    "read_head",
    "read_index",
    "read_note",
    "read_record",
    "read_ref",
    "recover",
    "registered_at",
    "remote_branches",
    "resolve_remote",
    "resume_move",
    "set_origin",
    "settle_work_tree",
    "submodule_losses",
    "switch_branch",
    "unmerged_count",
    "unpushed_count",
    "unstage",
    "untracked_hint",
    "upstream_of",
    "work_trees",
    "worktree_on_branch",
    "write_record",
]

_LATER = dict.fromkeys(
    (
        "Commit",
        "Upstream",
        "commits_between",
        "count_own_commits",
        "has_remote",
        "own_commits",
        "push_branch",
        "remote_branches",
        "switch_branch",
        "upstream_of",
    ),
    "switching",
)

if not TYPE_CHECKING:  # to a type checker, a room with it has every name there could be
    __getattr__ = imported_later(__name__, _LATER)
