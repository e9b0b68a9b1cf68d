"""Where a workspace begins, where its things live, how it is configured, and what this user trusts in it.

The room knows files and directories, not what they mean: what packs are declared or recorded is asked of the caller,
who can read pack.yaml and the log.
"""

from __future__ import annotations

from grex.workspace.config import Config, cache_directory, read_config
from grex.workspace.discover import PULL_MARKER, directory_in_place, find_workspace
from grex.workspace.layout import Layout, backend_lock_for
from grex.workspace.origins import place_of_setting
from grex.workspace.trust import ROOT_TRUST, TrustStore, canonical_prefix, covers

__all__ = [
    "PULL_MARKER",
    "ROOT_TRUST",
    "Config",
    "Layout",
    "TrustStore",
    "backend_lock_for",
    "cache_directory",
    "canonical_prefix",
    "covers",
    "directory_in_place",
    "find_workspace",
    "place_of_setting",
    "read_config",
]
