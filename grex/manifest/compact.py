"""The shortest log with the same fold.

Compaction does not pick lines; it folds, and writes the result as events: per pack where it comes from, where it
stands, what can be undone, what it is installed as, what is still open. So the size of what is left depends on what
is there and not on what happened, and that the fold stays equal is a property of two small functions
(`fold(compact(e)) == fold(e)`, tested on generated histories).

Events of ops that are not known are kept, all and in their order, before the others: a newer grex may need them.
Fields that are not known are lost; one that must not be has to come with an op of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from grex.manifest.events import (
    KNOWN_OPS,
    Event,
    action_completed_event,
    action_started_event,
    add_event,
    install_failed_event,
    installed_event,
    restore_event,
    sync_event,
)
from grex.manifest.fold import fold
from grex.manifest.folded import Folded, PackRecord

__all__ = ["LARGE_LOG_BYTES", "compact", "lines_needed", "worth_compacting"]

LARGE_LOG_BYTES = 1 << 20
_RATIO = 4


def compact(events: Sequence[Event]) -> list[Event]:
    """Events with the same fold, as few as it takes."""
    kept = [event for event in events if event.op not in KNOWN_OPS]
    folded = fold(events)
    for pack_id, removed in folded.removed.items():
        kept.extend(_events_of(removed.record))
        kept.append(Event(removed.op, removed.ts, pack_id, {"trash": removed.trash}))
    for record in folded.packs.values():
        kept.extend(_events_of(record))
    return kept


def lines_needed(folded: Folded) -> int:
    """How many lines a compaction leaves of what the fold knows."""
    records = [*folded.packs.values(), *(removed.record for removed in folded.removed.values())]
    return len(folded.removed) + sum(
        1
        + (record.sha is not None)
        + len(record.completed)
        + (record.installed is not None)
        + (record.failed is not None)
        + len(record.open_brackets)
        for record in records
    )


def worth_compacting(size_bytes: int, events: int, live: int) -> bool:
    """Whether a log has grown enough to rewrite it.

    A small log never is: nobody feels it, and people like to look back. A large one is when most of it is history,
    so that each rewrite is paid for by several times as many appends.

    Args:
        size_bytes: the length of the file.
        events: how many events it holds.
        live: how many would be left, as `lines_needed` says.
    """
    return size_bytes >= LARGE_LOG_BYTES and events >= _RATIO * max(live, 1)


def _events_of(record: PackRecord) -> Iterable[Event]:
    pack_id = record.id
    if record.url is not None:
        yield add_event(pack_id, url=record.url, ref=record.ref, owned=record.owned, ts=record.added_at)
    else:  # the one op that makes a pack and may leave the URL out
        yield restore_event(pack_id, ref=record.ref, owned=record.owned, ts=record.added_at)
    if record.sha is not None and record.synced_at is not None:
        yield sync_event(pack_id, sha=record.sha, branch=record.branch, ts=record.synced_at)
    if record.installed is not None:  # which closes brackets, so it comes before those that are open
        yield installed_event(pack_id, actions_hash=record.installed.actions_hash, ts=record.installed.ts)
    if record.failed is not None:
        yield install_failed_event(pack_id, why=record.failed.why, ts=record.failed.ts)
    for done in record.completed:
        if done.only_begun:
            yield action_started_event(
                pack_id, action=done.action, kind=done.kind, run=done.run, undo=done.undo, ts=done.ts
            )
        else:
            yield action_completed_event(
                pack_id, action=done.action, kind=done.kind, run=done.run, undo=done.undo, ts=done.ts
            )
    for bracket in record.open_brackets:
        yield action_started_event(
            pack_id,
            action=bracket.action,
            kind=bracket.kind,
            run=bracket.run,
            phase=bracket.phase,
            ts=bracket.ts,
        )
