"""Files and paths: durable replacement, joins that cannot escape, removal that follows no link.

The rules for touching the disk live here once, so that the rest of grex never opens a temporary file, joins a path
that it was given, or deletes a tree in its own way. Everything here is synchronous and short; what may take long
(`remove_tree`, `move_to_trash` across devices) is sent to a thread by its caller.
"""

from grex.fs.atomic import (
    TEMP_PREFIX,
    fsync_dir,
    keep_attributes,
    replace_file,
    sweep_temporary_files,
    write_all,
    write_if_changed,
)
from grex.fs.canonical import canonical
from grex.fs.regular import open_regular, read_regular
from grex.fs.remove import copy_durably, make_stamp_dir, move_to_trash, remove_tree, rename_whole
from grex.fs.renaming import rename_to_free_name
from grex.fs.safe_join import UnsafeJoinError, safe_join
from grex.fs.stamp import parse_stamp, utc_stamp

__all__ = [
    "TEMP_PREFIX",
    "UnsafeJoinError",
    "canonical",
    "copy_durably",
    "fsync_dir",
    "keep_attributes",
    "make_stamp_dir",
    "move_to_trash",
    "open_regular",
    "parse_stamp",
    "read_regular",
    "remove_tree",
    "rename_to_free_name",
    "rename_whole",
    "replace_file",
    "safe_join",
    "sweep_temporary_files",
    "utc_stamp",
    "write_all",
    "write_if_changed",
]
