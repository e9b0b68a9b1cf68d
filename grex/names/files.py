"""Names that grex gives to files of its own inside or beside packs, which no pack may take.

They stand here because rooms that may not know of each other need the same ones: the locks, the file system, the
layout of a workspace, and `check_pack_path`, which refuses them all.
"""

from __future__ import annotations

from typing import Final

__all__ = ["BACKEND_LOCK_SUFFIX", "GREX_DIRECTORY", "GREX_TMP_PREFIX", "PACK_LOCK_NAME", "PACK_YAML"]

GREX_DIRECTORY: Final = ".grex"
PACK_YAML: Final = ".grex/pack.yaml"
PACK_LOCK_NAME: Final = ".grex-lock"
BACKEND_LOCK_SUFFIX: Final = ".grex-backend.lock"
GREX_TMP_PREFIX: Final = ".grex-tmp-"
