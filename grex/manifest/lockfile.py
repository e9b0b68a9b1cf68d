"""The lockfile `grex.lock.jsonl`: what was resolved, one line per pack, the same bytes on every machine.

The file is committed and merged by people, so its form is fixed to the byte: sorted by path, keys in one order, LF,
no facts of a machine. Every line carries `"v":1`, not the file: a merge then cannot leave lines of two versions
under one header, and a line can be read by itself.

Reading refuses the file as a whole at its first bad line. A lockfile that is half believed would check out half of
what was recorded; and it is cheap to mend, since `grex sync` writes it anew. Conflict markers of a merge get a
message of their own, because they are what people will meet.

The format is described in `docs/reference/lockfile.md`.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from grex.errors import LockfileError, SchemaVersionError
from grex.fs import read_regular, write_if_changed
from grex.manifest.credentials import refuse_credentials
from grex.manifest.log import ManifestWriteHold, require_hold
from grex.manifest.strict_json import DamageError, Json, load_object, render_object

__all__ = [
    "LOCKFILE_VERSION",
    "LockLine",
    "parse_lock_line",
    "parse_lockfile",
    "read_lockfile",
    "render_lockfile",
    "write_lockfile",
]

LOCKFILE_VERSION: Final = 1

_SHA = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}", re.ASCII)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_MARKERS = (b"<<<<<<<", b"|||||||", b"=======", b">>>>>>>")
_HINT_MENDED = "Mend the line, or take the file of the last commit and run `grex sync`, which writes it anew."
_HINT_CONFLICT = "Finish the merge: take either side whole, then run `grex sync`, which writes the lockfile anew."


class LockLine(Struct, frozen=True):
    """What was resolved for one pack.

    Attributes:
        path: where it is, from the workspace root.
        url: where it comes from, redacted.
        ref: what was declared; None for the remote's own choice.
        branch: the branch that `ref` turned out to be; None for a tag or a commit.
        sha: the commit that it resolved to.
        type: its pack type.
        parents: the paths of the packs that declare it, sorted; the root is `.`.
    """

    path: str
    url: str
    ref: str | None
    branch: str | None
    sha: str
    type: str
    parents: tuple[str, ...]


def read_lockfile(path: Path) -> Mapping[str, LockLine]:
    """The lines of a lockfile by pack path; a file that is not there has none.

    Raises:
        LockfileError: the file cannot be read, or a line of it cannot be used; the message begins with file:line.
        SchemaVersionError: a newer grex wrote it.
    """
    try:
        data = read_regular(path)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise _unusable(path, "read", error) from error
    return parse_lockfile(data, file=str(path))


def parse_lockfile(data: bytes, *, file: str) -> Mapping[str, LockLine]:
    """As `read_lockfile`, of bytes; for the lockfile of another commit.

    Raises:
        LockfileError: a line cannot be used.
        SchemaVersionError: a newer grex wrote it.
    """
    found: dict[str, LockLine] = {}
    first_at: dict[str, int] = {}
    lines = data.split(b"\n")
    if not lines[-1]:
        lines.pop()
    for line_no, line in enumerate(lines, start=1):
        parsed = parse_lock_line(line, line_no, file=file)
        if parsed.path in first_at:
            raise _damaged(file, line_no, f"repeats {parsed.path!r}, which line {first_at[parsed.path]} has")
        first_at[parsed.path] = line_no
        found[parsed.path] = parsed
    return found


def parse_lock_line(line: bytes, line_no: int, *, file: str) -> LockLine:
    """One line of a lockfile, without its LF.

    Raises:
        LockfileError: it cannot be used.
        SchemaVersionError: a newer grex wrote it.
    """
    try:
        return _parse_line(line)  # a CR before the LF, as git may make it, is a blank to JSON
    except _ConflictError:
        raise LockfileError(
            f"{file}:{line_no}: the lockfile holds an unfinished merge",
            hint=_HINT_CONFLICT,
            details={"file": file, "line": line_no},
        ) from None
    except _NewerVersionError as error:
        raise SchemaVersionError(
            f"{file}:{line_no}: lockfile version {error} is not one that this grex reads",
            hint="Use the newer grex that wrote it.",
            details={"file": file, "line": line_no},
        ) from None
    except DamageError as error:
        raise _damaged(file, line_no, str(error)) from None


def _damaged(file: str, line_no: int, what: str) -> LockfileError:
    return LockfileError(
        f"{file}:{line_no}: the line {what}", hint=_HINT_MENDED, details={"file": file, "line": line_no}
    )


def render_lockfile(lines: Iterable[LockLine]) -> bytes:
    """The canonical bytes of a lockfile.

    Raises:
        ValueError: a line is not one that could be read back, a path is there twice, or a URL carries credentials:
            bugs in the caller.
    """
    rendered: dict[str, bytes] = {}
    for line in lines:
        if line.path in rendered:
            raise ValueError(f"two lines for {line.path!r}")
        refuse_credentials(line.url)
        value: dict[str, Json] = {
            "v": LOCKFILE_VERSION,
            "path": line.path,
            "url": line.url,
            "ref": line.ref,
            "branch": line.branch,
            "sha": line.sha,
            "type": line.type,
            "parents": sorted(line.parents),
        }
        try:
            _line(value)
            rendered[line.path] = render_object(value, {})
        except ValueError as error:
            raise ValueError(f"the line of {line.path!r} {error}") from error
    # By code point, like every tool that sorts UTF-8 bytes; the same order on every machine and in every locale.
    return b"".join(rendered[path] for path in sorted(rendered))


def write_lockfile(path: Path, lines: Iterable[LockLine], *, hold: ManifestWriteHold) -> bool:
    """Replace the lockfile atomically; one that would not change is left alone.

    Returns:
        Whether it was written.

    Raises:
        LockfileError: it cannot be replaced; the old one is untouched.
        ValueError: as `render_lockfile`; nothing was written.
    """
    require_hold(hold)
    data = render_lockfile(lines)
    try:
        # No packs and no file: there is nothing to say, so no empty file appears.
        return (bool(data) or path.exists()) and write_if_changed(path, data)
    except OSError as error:
        raise _unusable(path, "written", error) from error


class _ConflictError(Exception):
    """The line is a marker that git leaves where two sides could not be merged."""


class _NewerVersionError(Exception):
    """The line has a version that is not ours."""


def _parse_line(line: bytes) -> LockLine:
    if line.startswith(_MARKERS):
        raise _ConflictError
    value = load_object(line)
    version = value.get("v")
    if version is None:
        raise DamageError("has no 'v'")
    if version != LOCKFILE_VERSION or isinstance(version, (bool, float)):
        raise _NewerVersionError(repr(version))
    return _line(value)


def _line(value: Mapping[str, Any]) -> LockLine:
    """The line that a JSON object is.

    Raises:
        DamageError: it is none.
    """
    unknown = sorted(value.keys() - _KEYS)
    if unknown:
        raise DamageError(f"has the unknown key {unknown[0]!r}")
    path, url, sha, pack_type = (_text(value, key) for key in ("path", "url", "sha", "type"))
    ref, branch = (_text_or_none(value, key) for key in ("ref", "branch"))
    parents = _get(value, "parents")
    if not isinstance(parents, (list, tuple)) or not all(isinstance(parent, str) for parent in parents):
        raise DamageError("has 'parents' that are not a list of text")
    _check_path(path, "'path'")
    for parent in parents:
        if parent != ".":
            _check_path(parent, "parent")
    if _SHA.fullmatch(sha) is None:
        raise DamageError("has a 'sha' that is not 40 or 64 lower-case hexadecimal digits")
    if not url or _CONTROL.search(url):
        raise DamageError("has a 'url' that is empty or holds control characters")
    return LockLine(path, url, ref, branch, sha, pack_type, tuple(parents))


_KEYS = frozenset({"v", "path", "url", "ref", "branch", "sha", "type", "parents"})


def _get(value: Mapping[str, Any], key: str) -> object:
    if key not in value:
        raise DamageError(f"has no {key!r}")
    return value[key]


def _text(value: Mapping[str, Any], key: str) -> str:
    found = _get(value, key)
    if not isinstance(found, str):
        raise DamageError(f"has a {key!r} that is not text")
    return found


def _text_or_none(value: Mapping[str, Any], key: str) -> str | None:
    found = _get(value, key)
    if found is not None and not isinstance(found, str):
        raise DamageError(f"has a {key!r} that is neither text nor null")
    return found


def _check_path(path: str, what: str) -> None:
    """The checks without which joining the path would be dangerous; all rules stand where declarations are read."""
    if path.startswith("/"):
        raise DamageError(f"has a {what} that is absolute: {path!r}")
    segments = path.split("/")
    if ".." in segments:
        raise DamageError(f"has a {what} that leaves the workspace: {path!r}")
    if "" in segments or "." in segments:
        raise DamageError(f"has a {what} with an empty segment: {path!r}")
    if _CONTROL.search(path) or "\\" in path:
        raise DamageError(f"has a {what} with a control character or a backslash: {path!r}")


def _unusable(path: Path, participle: str, error: OSError) -> LockfileError:
    reason = "it is a symbolic link" if error.errno == errno.ELOOP else error.strerror or str(error)
    return LockfileError(
        f"{path}: the lockfile cannot be {participle}: {reason}",
        hint="Check the file, its directory and the disk, then run the command again.",
        details={"file": str(path), "errno": error.errno},
    )
