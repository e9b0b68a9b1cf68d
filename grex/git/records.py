"""What grex keeps in a checkout's git directory: that a checkout was finished, and that one is under way.

`<git dir>/grex/checkout.json`, the **completion record**, is written after the last byte of a checkout. A HEAD that
matches proves nothing, for a killed checkout may have moved it, or may not; a record that names the same commit does.
It also holds the id of the commit's tree, which the index repeats as long as nothing has been staged; so that "nothing
is edited" can be found without a process.

`<git dir>/grex/note.json`, the **move note**, exists exactly while a command of ours may have written half of
something. Whoever finds one under the pack's locks knows that its writer is dead, and recovers. The change time of the
note file itself is the moment before which nothing can have been written by that command.

Both are JSON objects with `"v": 1`, replaced atomically and durably. A record that cannot be read is no record, and
the checkout is done again; a note that cannot be read is one of an unknown operation, and is recovered as far as
that goes.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Generator
from pathlib import Path
from typing import Any, Literal

from msgspec import Struct
from msgspec.structs import asdict

from grex.errors import PackError
from grex.fs import fsync_dir, read_regular, replace_file, sweep_temporary_files
from grex.git.refs import find_git_dirs
from grex.names import is_full_sha, redact

__all__ = [
    "CLONED_KEY",
    "ENDED_FROM_OUTSIDE",
    "CompletionRecord",
    "MoveNote",
    "note_path",
    "noted",
    "own_note_path",
    "read_note",
    "read_record",
    "remove_note",
    "write_note",
    "write_record",
]

RefKind = Literal["branch", "tag", "sha"]

ENDED_FROM_OUTSIDE = ("timeout_s", "signal")
"""In the details of a failure, either says that a git command did not end by itself."""

CLONED_KEY = "grex.cloned"
"""Set in the configuration of every repository that grex has cloned itself: an adopted one gets a record as well."""

_OPERATIONS = ("fetch", "refs", "checkout", "clone", "sparse", "submodules")
_VERSION = 1
_LIMIT_BYTES = 64 << 10


class CompletionRecord(Struct, frozen=True):
    """A checkout that was finished: what was declared, and what it came to."""

    url: str
    """The identity of the URL, without credentials."""
    ref: str | None
    """The ref as it was declared."""
    kind: RefKind
    branch: str | None
    """The local branch that HEAD was left on."""
    sha: str
    upstream: str | None
    """The branch's upstream, as `origin/main`."""
    tree: str | None = None
    """The tree of the commit; None where it was not known."""


class MoveNote(Struct, frozen=True):
    """A command of ours that was about to write."""

    op: Literal["fetch", "refs", "checkout", "clone", "sparse", "submodules", "unknown"]
    pack: str
    from_sha: str | None = None
    to_sha: str | None = None
    branch: str | None = None
    was_clean: bool = False
    pid: int = 0
    boot_id: str = ""
    record: CompletionRecord | None = None
    """What is recorded once the checkout is finished."""
    cone: tuple[str, ...] = ()
    """The directories of a sparse checkout that is being set; none for all of the tree."""
    cone_before: tuple[str, ...] = ()
    """The same, as it was."""
    new: tuple[str, ...] = ()
    """The submodules that had nothing checked out before, by their paths."""
    made: tuple[str, ...] = ()
    """Those of them that had no git directory either, by their names."""


def note_path(git_dir: Path) -> Path:
    """Where the move note of a checkout lies."""
    return git_dir / "grex" / "note.json"


def own_note_path(checkout: Path) -> Path | None:
    """The move note of the checkout at this very directory, where there is one; costs a look at two or three files."""
    dirs = find_git_dirs(checkout)
    path = None if dirs is None else note_path(dirs.own)
    return path if path is not None and os.path.lexists(path) else None


def write_record(git_dir: Path, record: CompletionRecord) -> None:
    """Record durably that a checkout was finished.

    Raises:
        OSError: it could not be written; the old record stands.
    """
    _write(git_dir / "grex" / "checkout.json", {"v": _VERSION, **_record_json(record)})


def read_record(git_dir: Path) -> CompletionRecord | None:
    """The record of the last checkout that was finished; None if there is none that can be understood."""
    data = _read(f"{git_dir}/grex/checkout.json")
    return _parse_record(data) if isinstance(data, dict) and data.get("v") == _VERSION else None


def write_note(git_dir: Path, note: MoveNote) -> None:
    """Note durably what is about to be written; to be called before the first byte of it.

    Raises:
        OSError: it could not be written; nothing may be begun then.
    """
    data: dict[str, object] = {
        "v": _VERSION,
        "op": note.op,
        "pack": note.pack,
        "from": note.from_sha,
        "to": note.to_sha,
        "branch": note.branch,
        "was_clean": note.was_clean,
        "pid": note.pid or os.getpid(),
        "boot_id": note.boot_id or _boot_id(),
        "record": None if note.record is None else _record_json(note.record),
    }
    if note.op in ("sparse", "submodules"):
        data |= {"cone": note.cone, "cone_before": note.cone_before, "new": note.new, "made": note.made}
    _write(note_path(git_dir), data)


def read_note(git_dir: Path) -> MoveNote | None:
    """The note of a command that is under way or was killed; None if there is none."""
    data = _read(f"{git_dir}/grex/note.json")
    if data is None:
        return None
    note = _parse_note(data) if isinstance(data, dict) and data.get("v") == _VERSION else None
    return note or MoveNote(op="unknown", pack="")


def remove_note(git_dir: Path) -> None:
    """Say that nothing is half-written any more; durable, or a later edit could be taken for the dead command's.

    Raises:
        OSError: the note still stands.
    """
    path = note_path(git_dir)
    try:
        path.unlink()
    except FileNotFoundError:
        return
    fsync_dir(path.parent)


@contextlib.contextmanager
def noted(git_dir: Path, note: MoveNote) -> Generator[None]:
    """Let a note stand while one git command runs that may leave lock files and nothing else half-written.

    A git that ended by itself has cleaned up, and the note goes. One that was stopped, killed or cancelled may not
    have, and the note stays for the next recovery.

    Raises:
        OSError: the note could not be written, and nothing may be begun; or it still stands.
    """
    write_note(git_dir, note)
    try:
        yield
    except PackError as error:
        if error.details.keys().isdisjoint(ENDED_FROM_OUTSIDE):
            remove_note(git_dir)
        raise
    remove_note(git_dir)


def _record_json(record: CompletionRecord) -> dict[str, object]:
    return {**asdict(record), "url": redact(record.url)}


def _write(path: Path, data: dict[str, object]) -> None:
    try:
        path.parent.mkdir()
    except FileExistsError:
        pass
    else:
        fsync_dir(path.parent.parent)
    sweep_temporary_files(path.parent)
    replace_file(path, json.dumps(data, ensure_ascii=True, separators=(",", ":")).encode() + b"\n")


_DAMAGED = object()


def _read(path: str) -> Any:
    """The JSON in a file; None if it is not there, something that is no dict if it cannot be read."""
    try:
        return json.loads(read_regular(path, limit_bytes=_LIMIT_BYTES)) or _DAMAGED
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, RecursionError):
        return _DAMAGED


def _parse_record(data: dict[str, Any]) -> CompletionRecord | None:
    texts = {name: data.get(name) for name in ("url", "ref", "kind", "branch", "sha", "upstream", "tree")}
    required = (texts["url"], texts["kind"], texts["sha"])
    if not all(isinstance(text, str) for text in required) or not _all_texts(texts.values()):
        return None
    if texts["kind"] not in ("branch", "tag", "sha") or not is_full_sha(str(texts["sha"])):
        return None
    return CompletionRecord(**texts)  # type: ignore[arg-type]  # every value was checked above


def _parse_note(data: dict[str, Any]) -> MoveNote | None:
    texts = {name: data.get(name) for name in ("from", "to", "branch")}
    op, pack, record = data.get("op"), data.get("pack"), data.get("record")
    lists = {name: data.get(name, []) for name in ("cone", "cone_before", "new", "made")}
    if op not in _OPERATIONS or not isinstance(pack, str) or not _all_texts(texts.values()):
        return None
    if not all(isinstance(one, list) and all(isinstance(item, str) for item in one) for one in lists.values()):
        return None
    if any(sha is not None and not is_full_sha(sha) for sha in (texts["from"], texts["to"])):
        return None
    pid, boot_id = data.get("pid"), data.get("boot_id")
    return MoveNote(
        op=op,
        pack=pack,
        from_sha=texts["from"],
        to_sha=texts["to"],
        branch=texts["branch"],
        was_clean=data.get("was_clean") is True,
        pid=pid if isinstance(pid, int) else 0,
        boot_id=boot_id if isinstance(boot_id, str) else "",
        record=_parse_record(record) if isinstance(record, dict) else None,
        **{name: tuple(one) for name, one in lists.items()},
    )


def _all_texts(values: Any) -> bool:
    return all(value is None or isinstance(value, str) for value in values)


def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""
