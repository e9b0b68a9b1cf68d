"""Renaming without replacing anything: what is in the way stays, whenever it came there.

A check before a rename leaves a moment in which somebody may put a file into the place, and a rename would replace it.
The kernel can do both in one step (`renameat2` with `RENAME_NOREPLACE` on Linux, `renamex_np` with `RENAME_EXCL` on
macOS). Where it, the C library or the file system cannot, the check is what there is.
"""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path

__all__ = ["rename_to_free_name"]

_AT_FDCWD = -100
_NOREPLACE = 1
_EXCL = 4
_CANNOT = (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP)


def rename_to_free_name(source: Path, target: Path) -> None:
    """Rename; a link is renamed itself.

    Raises:
        FileExistsError: something has the name already.
        OSError: it cannot be renamed.
    """
    code = _rename_exclusively(os.fsencode(source), os.fsencode(target))
    if code in _CANNOT:
        if os.path.lexists(target):
            code = errno.EEXIST
        else:
            source.rename(target)
            return
    if code:
        raise OSError(code, os.strerror(code), str(source), None, str(target))


def _rename_exclusively(source: bytes, target: bytes) -> int:
    """Zero, or the number of the error; `ENOSYS` where there is no such call."""
    import ctypes  # noqa: PLC0415 - few runs rename anything, and it takes as long to import as the rest of a teardown

    try:
        library = ctypes.CDLL(None, use_errno=True)
        if sys.platform == "darwin":
            failed = library.renamex_np(source, target, ctypes.c_uint(_EXCL))
        else:
            failed = library.renameat2(_AT_FDCWD, source, _AT_FDCWD, target, ctypes.c_uint(_NOREPLACE))
    except (OSError, TypeError, AttributeError):  # another system, or an old library
        return errno.ENOSYS
    return ctypes.get_errno() if failed else 0
