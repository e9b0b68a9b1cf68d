"""What one line of the log says.

A line is `{"op", "ts", "id", "schema_version": "1", ...}`: what was done, when, to which pack, and the facts of that
op. Lines are judged where they are read: everything that the fold relies on has its type checked here, so that
nothing above this module meets a log that is half right. Three things are left to the future on purpose: an op that
is not known is kept and ignored; a field that is not known is ignored; another `schema_version` is refused, because
then even the known fields may mean something else.

The writer is judged by the same rules as the reader, so grex cannot write a line that it would refuse.

The format is described in `docs/reference/log.md`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import Enum
from typing import Any, Final, Literal, NamedTuple, TypeAlias

from msgspec import Struct

from grex.errors import CorruptLogError, SchemaVersionError
from grex.manifest.credentials import refuse_credentials
from grex.manifest.strict_json import DamageError, Json, load_object, render_object

__all__ = [
    "KNOWN_OPS",
    "NOT_WHOLE",
    "ROOT_ID",
    "SAME",
    "SCHEMA_VERSION",
    "Event",
    "Phase",
    "Same",
    "action_completed_event",
    "action_halted_event",
    "action_started_event",
    "add_event",
    "install_failed_event",
    "installed_event",
    "parse_line",
    "prune_event",
    "render_line",
    "restore_event",
    "rm_event",
    "sync_event",
    "timestamp",
    "update_event",
]


class Same(Enum):
    """The one value that says "as before" where None already says something."""

    SAME = "same"


SAME: Final = Same.SAME

Phase: TypeAlias = Literal["do", "undo"]
"""Whether an action is being done or being taken back."""

SCHEMA_VERSION: Final = "1"
ROOT_ID: Final = "."
"""The id of the root pack, whose path from the workspace root has no segment."""

_TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z", re.ASCII)
_HEAD_KEYS = frozenset({"op", "ts", "id", "schema_version"})
_HINT_DAMAGED = (
    "Mend the line, or move the file away and sync again: checkouts are known by their own records, installs run anew."
)
_HINT_VERSION = "Use the newer grex that wrote it."


class Event(Struct, frozen=True):
    """One thing that happened to one pack.

    Attributes:
        op: what happened.
        ts: when, RFC 3339 in UTC.
        id: the pack, as its path from the workspace root.
        data: the facts of this op.
    """

    op: str
    ts: str
    id: str
    data: Mapping[str, Json]


def timestamp() -> str:
    """This moment as the log writes it: `2026-11-20T10:15:30.123456Z`."""
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


# --- Making events: `ts` is when it happened, if that is not now ---------------------------------------------------


def add_event(pack_id: str, *, url: str, ref: str | None, owned: bool, ts: str | None = None) -> Event:
    """A checkout came under grex's care; `owned` says that grex made it and may take it away again."""
    return Event("add", ts or timestamp(), pack_id, {"url": url, "ref": ref, "owned": owned})


def update_event(
    pack_id: str, *, url: str | None = None, ref: str | Same | None = SAME, ts: str | None = None
) -> Event:
    """The declaration changed: `url` unless None, `ref` unless `SAME` (None is a ref: the remote's own choice)."""
    return Event("update", ts or timestamp(), pack_id, _changed(url, ref))


def rm_event(pack_id: str, *, trash: str | None = None, ts: str | None = None) -> Event:
    """The pack was removed; `trash` says where its checkout went, if it went."""
    return Event("rm", ts or timestamp(), pack_id, {"trash": trash})


def prune_event(pack_id: str, *, trash: str | None = None, ts: str | None = None) -> Event:
    """The pack was no longer declared and was removed; `trash` as in `rm_event`."""
    return Event("prune", ts or timestamp(), pack_id, {"trash": trash})


def restore_event(
    pack_id: str,
    *,
    url: str | None = None,
    ref: str | Same | None = SAME,
    owned: bool | None = None,
    ts: str | None = None,
) -> Event:
    """A removed pack is back with all that was known of it; what is given here replaces that."""
    data = _changed(url, ref)
    if owned is not None:
        data["owned"] = owned
    return Event("restore", ts or timestamp(), pack_id, data)


def sync_event(pack_id: str, *, sha: str, branch: str | None, ts: str | None = None) -> Event:
    """The checkout was brought to this commit, on this branch or detached."""
    return Event("sync", ts or timestamp(), pack_id, {"sha": sha, "branch": branch})


NOT_WHOLE: Final = ""
"""The `actions_hash` of a pack whose teardown has begun, or that was cloned anew: it is equal to that of no pack."""


def installed_event(pack_id: str, *, actions_hash: str | None, ts: str | None = None) -> Event:
    """The pack is installed as this hash says; None: its teardown is through and nothing is installed any more."""
    return Event("installed", ts or timestamp(), pack_id, {"actions_hash": actions_hash})


def action_started_event(
    pack_id: str, *, action: str, kind: str, run: str, undo: Json = None, phase: Phase = "do", ts: str | None = None
) -> Event:
    """An action begins; a crash from here on leaves an open bracket.

    Args:
        pack_id: the pack.
        action: its index path, such as `0` or `1.actions.2`.
        kind: its name, such as `symlink`.
        run: the run that does it.
        undo: all that taking it back would need, however far it comes; None if there is nothing to take back.
        phase: whether it is done or undone.
        ts: when it happened, if that is not now.
    """
    data = _bracket(action, kind, run, phase)
    if undo is not None:
        data["undo"] = undo
    return Event("action_started", ts or timestamp(), pack_id, data)


def action_completed_event(
    pack_id: str, *, action: str, kind: str, run: str, undo: Json = None, phase: Phase = "do", ts: str | None = None
) -> Event:
    """An action is through; `undo` is all that taking it back will need, None if there is nothing to take back."""
    data = {**_bracket(action, kind, run, phase), "undo": undo}
    return Event("action_completed", ts or timestamp(), pack_id, data)


def action_halted_event(
    pack_id: str, *, action: str, kind: str, run: str, reason: str, phase: Phase = "do", ts: str | None = None
) -> Event:
    """An action ended without being through; `reason` is `failed`, `skipped`, `cancelled` or `left`.

    What was cancelled, or could not be taken back (`left`), may have left something behind: of the others nothing is
    there to take back any more.
    """
    data = {**_bracket(action, kind, run, phase), "reason": reason}
    return Event("action_halted", ts or timestamp(), pack_id, data)


def install_failed_event(pack_id: str, *, why: str, ts: str | None = None) -> Event:
    """An install or update did not get through; `why` is one line for people, without credentials."""
    return Event("install_failed", ts or timestamp(), pack_id, {"why": why})


def _changed(url: str | None, ref: str | Same | None) -> dict[str, Json]:
    data: dict[str, Json] = {}
    if url is not None:
        data["url"] = url
    if not isinstance(ref, Same):
        data["ref"] = ref
    return data


def _bracket(action: str, kind: str, run: str, phase: Phase) -> dict[str, Json]:
    return {"action": action, "kind": kind, "run": run, "phase": phase}


# --- Lines -------------------------------------------------------------------------------------------------------


def render_line(event: Event) -> bytes:
    """The canonical bytes of an event, its LF included.

    Raises:
        ValueError: the event cannot be a line: it is too long, nested too deeply, holds what JSON cannot, its
            fields have wrong types, or its URL carries credentials. All of these are bugs in the caller.
    """
    data = event.data
    if not _HEAD_KEYS.isdisjoint(data):
        raise ValueError(f"the data of the {event.op!r} event of {event.id!r} uses a key that every event has")
    url = data.get("url")
    if isinstance(url, str):
        refuse_credentials(url)
    try:
        _check(event.op, event.ts, event.id, data)
        head: dict[str, Json] = {"op": event.op, "ts": event.ts, "id": event.id, "schema_version": SCHEMA_VERSION}
        return render_object(head, data)
    except ValueError as error:
        raise ValueError(f"the {event.op!r} event of {event.id!r} {error}") from error


def parse_line(line: bytes, line_no: int, *, file: str = "grex.jsonl") -> Event:
    """The event on a line; its LF may be there or not.

    Args:
        line: the bytes.
        line_no: its number in the file, from 1, for messages.
        file: the file's name, for messages.

    Raises:
        CorruptLogError: the bytes are no event.
        SchemaVersionError: the line was written by a grex that this one does not know.
    """
    try:
        value = load_object(line)
        # First of all: in another version even the other keys may mean something else.
        version = value.pop("schema_version", None)
        if version == SCHEMA_VERSION:
            op, ts, pack_id = _head(value, "op"), _head(value, "ts"), _head(value, "id")
            _check(op, ts, pack_id, value)
            return Event(op, ts, pack_id, value)
        if version is None:
            raise DamageError("has no 'schema_version'")  # noqa: TRY301 - one place gives it file, line and hint
    except DamageError as error:
        raise CorruptLogError(
            f"{file}:{line_no}: the line {error}", hint=_HINT_DAMAGED, details={"file": file, "line": line_no}
        ) from None
    raise SchemaVersionError(
        f"{file}:{line_no}: schema version {json.dumps(version)} is not one that this grex reads",
        hint=_HINT_VERSION,
        details={"file": file, "line": line_no, "schema_version": version},
    )


def _head(value: dict[str, Any], key: str) -> str:
    found = value.pop(key, None)
    if not isinstance(found, str):
        raise DamageError(f"has no {key!r}" if found is None else f"has a {key!r} that is not text")
    return found


class _Field(NamedTuple):
    """A field that the fold reads: its name, what it may be, and whether it may be left out."""

    name: str
    types: tuple[type, ...]
    expected: str
    required: bool = True


_URL = _Field("url", (str,), "text")
_NEW_URL = _Field("url", (str,), "text", required=False)
_REF = _Field("ref", (str, type(None)), "text or null", required=False)
_TRASH = _Field("trash", (str, type(None)), "text or null", required=False)
_BRACKET = (
    _Field("action", (str,), "text"),
    _Field("kind", (str,), "text"),
    _Field("run", (str,), "text"),
    _Field("phase", (str,), "text", required=False),
)
_FIELDS: Mapping[str, tuple[_Field, ...]] = {
    "add": (_URL, _REF, _Field("owned", (bool,), "true or false")),
    "update": (_NEW_URL, _REF),
    "rm": (_TRASH,),
    "prune": (_TRASH,),
    "restore": (_NEW_URL, _REF, _Field("owned", (bool,), "true or false", required=False)),
    "sync": (_Field("sha", (str,), "text"), _Field("branch", (str, type(None)), "text or null", required=False)),
    "installed": (_Field("actions_hash", (str, type(None)), "text or null"),),
    "install_failed": (_Field("why", (str,), "text"),),
    "action_started": _BRACKET,
    "action_completed": _BRACKET,
    "action_halted": (*_BRACKET, _Field("reason", (str,), "text", required=False)),
}
KNOWN_OPS: Final = frozenset(_FIELDS)
"""The ops that the fold reads; others are kept and ignored."""


def _check(op: str, ts: str, pack_id: str, data: Mapping[str, Any]) -> None:
    """Insist that this is an event.

    Raises:
        DamageError: it is not.
    """
    if not op:
        raise DamageError("has an empty 'op'")
    if _TIMESTAMP.fullmatch(ts) is None:
        raise DamageError("has a 'ts' that is no UTC time such as 2026-01-31T12:00:00.000000Z")
    if not pack_id or "\0" in pack_id:
        raise DamageError("has an 'id' that is no path")
    for field in _FIELDS.get(op, ()):
        if field.name not in data:
            if field.required:
                raise DamageError(f"has no {field.name!r}, which {op!r} needs")
        elif not isinstance(data[field.name], field.types):
            raise DamageError(f"has a {field.name!r} that is not {field.expected}")
    if "phase" in data and _FIELDS.get(op, ())[:4] == _BRACKET and data["phase"] not in ("do", "undo"):
        raise DamageError("has a 'phase' that is neither 'do' nor 'undo'")
