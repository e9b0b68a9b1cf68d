"""The file by which a directory is known to be what was unpacked there, and unchanged since."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from dataclasses import asdict, dataclass
from pathlib import Path

__all__ = ["MARKER", "Marker", "digest", "read_marker", "write_marker"]

MARKER = ".grex-archive.json"


@dataclass(frozen=True, slots=True)
class Marker:
    """Which archive it was, how it was unpacked, and what came of it."""

    sha256: str
    strip: int
    digest: str


def digest(root: Path) -> str:
    """One hash over all names, kinds, contents and executable bits below a directory, the marker left out."""
    found = hashlib.sha256()
    for directory, names, files in os.walk(root):
        names.sort()
        for name in sorted((*names, *files)):
            path = Path(directory, name)
            relative = path.relative_to(root).as_posix()
            if relative == MARKER:
                continue
            status = path.lstat()
            content = b""
            if stat.S_ISLNK(status.st_mode):
                content = os.fsencode(path.readlink())
            elif stat.S_ISREG(status.st_mode):
                with path.open("rb") as file:
                    content = hashlib.file_digest(file, "sha256").digest()
            facts = f"{relative}\0{stat.S_IFMT(status.st_mode)}\0{status.st_mode & 0o100}\0{len(content)}\0"
            found.update(facts.encode("utf-8", "surrogateescape") + content)
    return found.hexdigest()


def read_marker(root: Path) -> Marker | None:
    """What the marker says; None where there is none that makes sense."""
    path = root / MARKER
    try:
        if root.is_symlink() or path.is_symlink():
            return None
        return Marker(**json.loads(path.read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def write_marker(root: Path, sha256: str, strip: int) -> None:
    """Note what was unpacked, as the last thing."""
    (root / MARKER).write_text(json.dumps(asdict(Marker(sha256, strip, digest(root)))) + "\n", "utf-8")
