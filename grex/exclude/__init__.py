"""Hiding from git what is grex's: the managed block in `info/exclude`, or in `.gitignore` for those who ask for it."""

from grex.exclude.block import (
    BlockFaults,
    ensure_block,
    escape_pattern,
    find_block_faults,
    read_block,
    remove_block,
    says,
    workspace_patterns,
)
from grex.exclude.repository import common_dir_of, enclosing_repository, exclude_file_of, git_dir_of

__all__ = [
    "BlockFaults",
    "common_dir_of",
    "enclosing_repository",
    "ensure_block",
    "escape_pattern",
    "exclude_file_of",
    "find_block_faults",
    "git_dir_of",
    "read_block",
    "remove_block",
    "says",
    "workspace_patterns",
]
