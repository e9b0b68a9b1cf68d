"""Where a workspace begins, where its things live, and how it is configured.

The room knows files and directories, not what they mean: what packs are declared or recorded is asked of the caller,
who can read pack.yaml and the log.
"""

from __future__ import annotations

from grex.workspace.config import Config, read_config
from grex.workspace.discover import find_workspace
from grex.workspace.layout import Layout, backend_lock_for

__all__ = ["Config", "Layout", "backend_lock_for", "find_workspace", "read_config"]
