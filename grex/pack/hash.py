r"""`actions_hash`: equal for two states of a pack if an install of the one is good for the other.

It covers all that an install can see of the pack by its own declarations: the type, the actions and teardown as
declared (after the platform's target), the hooks, `.grex/files/`, and the commit, because actions may copy or run any
tracked file. The bytes that go into SHA-256, in order:

```text
grex-actions/1 LF
{"actions":[...],"commit":"...","teardown":[...]|null,"type":"..."} LF
["<path>","<kind>","<content>"] LF          for each file, sorted by the bytes of its path
```

Both are JSON with sorted keys, no spaces and everything outside ASCII escaped. An action is `[name, arguments]` as
declared: `1`, `1.0`, `true` and `"1"` are four values. A path starts at the pack and uses `/`; bytes of a name that
are not UTF-8 are escaped lone surrogates. The kind is `file` or, where the owner may execute it, `exec`, with the
SHA-256 of the bytes; `link` with the target, which is not followed; `other` for what has no content (a FIFO), with
none. Empty directories do not count, as they do not for git; other permission bits and times do not either.

The hash is a comparison with an earlier install on one machine, not a signature: it says nothing about who wrote it.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from grex.errors import PackError
from grex.pack.problems import quoted
from grex.pack.spec import ActionEntry, PackSpec
from grex.pack.yaml_events import PlainData

__all__ = ["actions_hash"]

_FORMAT: Final = b"grex-actions/1\n"
_ROOTS: Final = (".grex/files", ".grex/hooks")
_FLAGS = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


def actions_hash(spec: PackSpec, pack_root: Path, commit: str) -> str:
    """Return the hash of everything an install depends on, in hexadecimal.

    Raises:
        PackError: a file under `.grex/` cannot be read.
    """
    digest = hashlib.sha256(_FORMAT)
    declared: PlainData = {
        "actions": _plain(spec.actions),
        "commit": commit,
        "teardown": None if spec.teardown is None else _plain(spec.teardown),
        "type": spec.type,
    }
    digest.update(_line(declared))
    try:
        for path in sorted(_files(pack_root), key=os.fsencode):
            digest.update(_line(_describe(pack_root, path)))
    except OSError as error:
        raise PackError(
            f"{quoted(str(error.filename or pack_root))} cannot be read: {error.strerror}.",
            hint="Check its permissions.",
        ) from error
    return digest.hexdigest()


def _plain(actions: Sequence[ActionEntry]) -> list[PlainData]:
    return [[action.kind, action.args.plain()] for action in actions]


def _line(value: PlainData) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode("ascii") + b"\n"


def _files(pack_root: Path) -> Iterator[str]:
    """The paths below the covered directories, from the pack, with `/`."""
    pending = list(_ROOTS)
    while pending:
        path = pending.pop()
        try:
            mode = (pack_root / path).lstat().st_mode
        except (FileNotFoundError, NotADirectoryError):
            continue
        if stat.S_ISDIR(mode):
            pending.extend(f"{path}/{entry.name}" for entry in (pack_root / path).iterdir())
        else:
            yield path


def _describe(pack_root: Path, path: str) -> list[PlainData]:
    full = pack_root / path
    mode = full.lstat().st_mode
    if stat.S_ISLNK(mode):
        return [path, "link", str(full.readlink())]
    if not stat.S_ISREG(mode):
        return [path, "other", ""]
    # The checkout may be in other hands than ours: what was a file a moment ago is opened as one, or not at all.
    with open(os.open(full, _FLAGS), "rb") as file:  # noqa: PTH123 - no Path opens with these flags
        content = hashlib.file_digest(file, "sha256").hexdigest()
    return [path, "exec" if mode & stat.S_IXUSR else "file", content]
