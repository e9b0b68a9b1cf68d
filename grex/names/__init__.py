"""What texts, paths, URLs and refs may look like, and how they are shown.

Everything here judges strings that somebody else wrote: a pack.yaml, a remote, a child process. The room knows
nothing of files that exist and of git as a process, so every other room may use it. There is one function for each
question (may this be a path, a ref, a URL; how is it printed without its credentials), and no second one elsewhere.
"""

from __future__ import annotations

from grex.names.files import BACKEND_LOCK_SUFFIX, GREX_DIRECTORY, GREX_TMP_PREFIX, PACK_LOCK_NAME, PACK_YAML
from grex.names.groups import GROUP_NAME_HINT, is_group_name
from grex.names.paths import check_pack_path, fold_key, resolve_pack_path
from grex.names.refs import check_ref, is_full_sha
from grex.names.rewrites import Rewrite, Rewrites
from grex.names.suggest import suggest
from grex.names.text import as_hint, clean, redact, shown_argument
from grex.names.urls import InvalidUrlError, PackUrl, parse_url

__all__ = [
    "BACKEND_LOCK_SUFFIX",
    "GREX_DIRECTORY",
    "GREX_TMP_PREFIX",
    "GROUP_NAME_HINT",
    "PACK_LOCK_NAME",
    "PACK_YAML",
    "InvalidUrlError",
    "PackUrl",
    "Rewrite",
    "Rewrites",
    "as_hint",
    "check_pack_path",
    "check_ref",
    "clean",
    "fold_key",
    "is_full_sha",
    "is_group_name",
    "parse_url",
    "redact",
    "resolve_pack_path",
    "shown_argument",
    "suggest",
]
