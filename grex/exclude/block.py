r"""The managed block: a few lines between two markers in a file that is otherwise the user's.

Everything outside the block is kept byte for byte, line ends included, and a block that says the right thing already
is not written again. What can be wrong with markers that people can edit:

| found | done |
|---|---|
| a start and an end | that is the block; it is replaced where it stands |
| several blocks, as a merge makes them | the first is replaced, the others are taken out |
| a start without an end, an end without a start | the marker is taken out, and a block appended if there is none |

What stands behind a start that has no end may be the user's, so it stays. The orphaned marker itself must go: when
the block between two orphans is removed later, they would become a pair, with lines of the user's between them.

Patterns are anchored (`/libs/a`) and have no slash at their end, because a pack may be a symlink, which a pattern
for directories does not match. Only names that are reserved for grex everywhere (`.grex-lock`, `.grex-tmp-*`,
`.*.grex-backend.lock`) are hidden at any depth.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from msgspec import Struct

from grex.errors import ManifestError
from grex.fs import TEMP_PREFIX, canonical, fsync_dir, read_regular, sweep_temporary_files, write_if_changed

__all__ = [
    "BlockFaults",
    "ensure_block",
    "escape_pattern",
    "find_block_faults",
    "read_block",
    "remove_block",
    "says",
    "workspace_patterns",
]

_START = b"# >>> grex (managed; edits inside are overwritten)"
_START_WORDS = [b"#", b">>>", b"grex"]  # what follows in brackets may change between versions
_END_WORDS = [b"#", b"<<<", b"grex"]
_SPECIAL = re.compile(r"[*?\[\]\\!#]")
_TRAILING_SPACES = re.compile(r" +$")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")

_ANYWHERE = (".grex-lock", ".*.grex-backend.lock", f"{TEMP_PREFIX}*")
_IN_WORKSPACE = (
    "grex.jsonl",
    ".grex.jsonl.lock",
    ".grex.sync.lock",
    ".grex/local.yaml",
    ".grex/state/",
    ".grex/store/",
    ".grex/trash/",
)


def escape_pattern(path: str) -> str:
    """The pattern that matches this path, from the repository's root, and nothing else.

    Raises:
        ValueError: the path is empty, absolute, or holds control characters, which a pattern cannot.
    """
    if not path or path.startswith("/") or _CONTROL.search(path):
        raise ValueError(f"{path!r} cannot be written as a pattern")
    escaped = _SPECIAL.sub(lambda match: f"\\{match[0]}", path)
    return "/" + _TRAILING_SPACES.sub(lambda match: "\\ " * len(match[0]), escaped)


def workspace_patterns(repository: Path, workspace: Path, packs: Iterable[Path]) -> tuple[str, ...]:
    """What has to be hidden in one repository.

    Args:
        repository: the root of its work tree: the workspace's own, one around it, or that of a pack.
        workspace: the root of the workspace.
        packs: the directories of packs, of which those count that lie in the repository and in no pack between.

    Returns:
        Patterns, sorted, without duplicates.
    """
    root = canonical(repository)
    patterns = set(_ANYWHERE)
    inner = _relative(canonical(workspace), root)
    if inner is not None:
        prefix = "/" if inner == "." else f"{escape_pattern(inner)}/"
        patterns.update(prefix + name for name in _IN_WORKSPACE)
    parents: dict[Path, Path] = {}  # packs mostly share theirs, and each costs several system calls
    inside: set[str] = set()
    for pack in packs:
        parent = parents.get(pack.parent)
        if parent is None:
            parent = parents[pack.parent] = canonical(pack.parent)
        below = _relative(parent / pack.name, root)  # the pack itself may be a link, and it is the link that shows
        if below is not None and below != ".":
            inside.add(below)
    patterns.update(escape_pattern(below) for below in inside if not _lies_in_another(below, inside))
    return tuple(sorted(patterns))


def ensure_block(exclude_file: Path, patterns: Sequence[str]) -> bool:
    """Make the file hide these patterns; `info/` is made if it is not there. No patterns: no block.

    Returns:
        Whether the file was written.

    Raises:
        ManifestError: the file cannot be read or replaced; it is as it was.
        ValueError: a pattern is not one line.
    """
    for pattern in patterns:
        if not pattern or _CONTROL.search(pattern):
            raise ValueError(f"{pattern!r} is no pattern")
    try:
        try:
            old = read_regular(exclude_file)
        except FileNotFoundError:
            if not patterns:
                return False
            old = b""
            _make_directory(exclude_file.parent)
        new = _with_block(old, [pattern.encode("utf-8", "surrogateescape") for pattern in patterns])
        if new == old:
            return False
        sweep_temporary_files(exclude_file.parent)
        return write_if_changed(exclude_file, new)
    except OSError as error:
        reason = "it is a symbolic link" if error.errno == errno.ELOOP else error.strerror or str(error)
        raise ManifestError(
            f"{exclude_file}: what is grex's cannot be hidden from git here: {reason}",
            hint="Check the file and its directory, then run the command again.",
            details={"file": str(exclude_file), "errno": error.errno},
        ) from error


def says(exclude_file: Path, patterns: Sequence[str]) -> bool:
    """Whether `ensure_block` would find nothing to write, as far as the file can be read."""
    try:
        old = read_regular(exclude_file)
    except FileNotFoundError:
        return not patterns
    except OSError:
        return False
    return _with_block(old, [pattern.encode("utf-8", "surrogateescape") for pattern in patterns]) == old


def remove_block(exclude_file: Path) -> bool:
    """Take the block out of the file; all else stays.

    Returns:
        Whether the file was written.

    Raises:
        ManifestError: the file cannot be read or replaced; it is as it was.
    """
    return ensure_block(exclude_file, ())


def read_block(exclude_file: Path) -> tuple[str, ...]:
    """The patterns that the block has now; none where there is no block or no readable file."""
    try:
        lines = read_regular(exclude_file).splitlines(keepends=True)
    except OSError:
        return ()
    start: int | None = None
    for number, line in enumerate(lines):
        words = line.split()
        if words[:3] == _START_WORDS:
            start = number
        elif words == _END_WORDS and start is not None:
            inside = lines[start + 1 : number]
            return tuple(one.rstrip(b"\r\n").decode("utf-8", "surrogateescape") for one in inside)
    return ()


class BlockFaults(Struct, frozen=True):
    """What is not as it should be about the block of a file; all empty if nothing is.

    Attributes:
        lacking: patterns that it has to have and has not.
        stale: patterns that it has and that nothing asks for.
        marks: what is wrong with its markers, as a clause.
    """

    lacking: tuple[str, ...] = ()
    stale: tuple[str, ...] = ()
    marks: str = ""


def find_block_faults(exclude_file: Path, patterns: Iterable[str]) -> BlockFaults:
    """Hold the block of a file against the patterns that it has to have. Nothing is written.

    Raises:
        OSError: the file cannot be read; one that is not there has no block.
    """
    try:
        lines = read_regular(exclude_file).splitlines()
    except FileNotFoundError:
        lines = []
    blocks: list[list[bytes]] = []
    orphans = 0
    inside: list[bytes] | None = None
    for line in lines:
        words = line.split()
        if words[:3] == _START_WORDS:
            orphans += inside is not None
            inside = []
        elif words == _END_WORDS:
            orphans += inside is None
            blocks += [] if inside is None else [inside]
            inside = None
        elif inside is not None:
            inside.append(line)
    orphans += inside is not None
    wanted = list(patterns)
    found = [line.decode("utf-8", "surrogateescape") for line in (blocks[0] if blocks else ())]
    marks = "a marker of it stands alone" if orphans else "it is there several times" if len(blocks) > 1 else ""
    return BlockFaults(
        lacking=tuple(pattern for pattern in wanted if pattern not in found),
        stale=tuple(pattern for pattern in found if pattern not in wanted),
        marks=marks,
    )


def _make_directory(directory: Path) -> None:
    if not directory.is_dir():
        directory.mkdir()  # not its parents: without a git directory there is nothing to hide from
        fsync_dir(directory.parent)


def _with_block(data: bytes, patterns: list[bytes]) -> bytes:
    lines = data.splitlines(keepends=True)
    kept: list[bytes] = []
    place: int | None = None  # in `kept`, of the first block
    start: int | None = None  # in `kept`, of what stands behind a start that has no end yet
    for line in lines:
        words = line.split()
        if words[:3] == _START_WORDS:
            start = len(kept)
        elif words != _END_WORDS:
            kept.append(line)
        elif start is not None:
            del kept[start:]
            place = start if place is None else place
            start = None
    # As the user ends lines; what only we wrote keeps the ends that it has.
    eol = b"\r\n" if (kept or lines or [b""])[0].endswith(b"\r\n") else b"\n"
    if patterns and place is None:
        place = len(kept)
        if kept and not kept[-1].endswith(b"\n"):
            kept.append(eol)
            place += 1
    if patterns and place is not None:
        kept[place:place] = [line + eol for line in (_START, *patterns, b" ".join(_END_WORDS))]
    return b"".join(kept)


def _relative(path: Path, root: Path) -> str | None:
    """Where a path lies below a directory, or None if it does not."""
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else None


def _lies_in_another(path: str, others: set[str]) -> bool:
    parts = path.split("/")
    return any("/".join(parts[:length]) in others for length in range(1, len(parts)))
