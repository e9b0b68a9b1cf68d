"""What the log amounts to: which checkouts are grex's, where they stand, what is installed and how to take it back.

The fold is pure and reads events in order; the last writer of a fact wins.

| op | effect |
|---|---|
| `add` | the pack has this `url`, `ref` and `owned`; nothing is synced into it yet, an install is not whole any more |
| `update` | `url` and `ref`, as far as they are given |
| `sync` | `sha` and `branch` |
| `rm`, `prune` | the pack goes to `removed`; one that is not there changes nothing |
| `restore` | a removed pack is back as it was, with what the event gives replaced |
| `installed` | `installed`, and no bracket is open; with a null hash, nothing is installed, nothing is left to undo |
| `install_failed` | the last install did not get through, and why; `installed` and `add` take that back |
| `action_started` | opens a bracket, named by run, action and phase; its `undo` is there to take back from now on |
| `action_completed` | closes it; its `undo` takes the place of the one it was started with |
| `action_halted` | closes it; if it failed or was skipped, what it was started with is taken back already |

Anything but a removal or an end of a bracket makes the pack if it is not there, without a URL and not owned: the
root pack is installed and never added, and a checkout that no `add` speaks of must never be taken for ours.

What was **completed** is a stack, because undoing runs backwards. The same action may complete again in later runs,
and what an earlier run recorded must not be lost by that:

- with the same undo data, it stays where it is (`exec` with a fixed undo command is undone once);
- with nothing to undo, nothing changes: it found everything in place, so the older entry still says what to undo;
- with other undo data it is pushed: after `dst` has changed, there are two links to take away.

An action writes its undo data down before it begins, so that a kill between its first change and its last line loses
nothing: an undo takes back what it finds, however far the action came. One that completes in phase `undo` takes the
entry with its `undo` away, and the newest one of that action and kind where it has none. Within one action and kind
there is either one entry without undo data or any number of different ones with it - the invariant by which
compaction can write the stack as a sequence of events.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from msgspec.structs import replace

from grex.manifest.events import NOT_WHOLE, Event, Phase
from grex.manifest.folded import (
    CompletedAction,
    FailedInstall,
    Folded,
    InstalledRecord,
    OpenBracket,
    PackRecord,
    RemovedRecord,
)
from grex.manifest.strict_json import Json

__all__ = ["fold"]


def fold(events: Iterable[Event]) -> Folded:
    """Read events in order; linear in their number."""
    state = _State()
    for event in events:
        apply = _OPS.get(event.op)
        if apply is not None:
            apply(state, event, event.data)
    return Folded(
        {pack_id: draft.freeze(pack_id) for pack_id, draft in state.packs.items()},
        {
            pack_id: RemovedRecord(removed.draft.freeze(pack_id), removed.op, removed.ts, removed.trash)
            for pack_id, removed in state.removed.items()
        },
    )


class _Draft:
    """A record while events arrive; the stacks are indexed so that no event costs more for a long history."""

    def __init__(self, added_at: str) -> None:
        self.added_at = added_at
        self.url: str | None = None
        self.ref: str | None = None
        self.sha: str | None = None
        self.branch: str | None = None
        self.owned = False
        self.synced_at: str | None = None
        self.installed: InstalledRecord | None = None
        self.failed: FailedInstall | None = None
        # (run, action, phase), in the order of their start
        self.open: dict[tuple[str, str, str], OpenBracket] = {}
        # (action, kind, canonical undo), in the order of their first completion
        self.completed: dict[tuple[str, str, str], CompletedAction] = {}
        # (action, kind): the canonical undo of each entry above, oldest first
        self.stacks: dict[tuple[str, str], list[str]] = {}
        # (run, action): the key of the entry that is there only because the action was begun; its bracket is open
        self.begun: dict[tuple[str, str], tuple[str, str, str]] = {}

    def start(self, bracket: OpenBracket, undo: Json) -> None:
        self.open[bracket.run, bracket.action, bracket.phase] = bracket
        key = (bracket.action, bracket.kind, _canonical(undo))
        if bracket.phase == "do" and undo is not None and key not in self.completed:
            self.begun[bracket.run, bracket.action] = key
            self.complete(CompletedAction(bracket.action, bracket.kind, bracket.run, undo, bracket.ts))

    def close(self, run: str, action: str, phase: Phase) -> tuple[str, str, str] | None:
        """Close a bracket; the key of the entry that stood for it as long as it was open, and now stays or goes."""
        self.open.pop((run, action, phase), None)
        return self.begun.pop((run, action), None) if phase == "do" else None

    def confirm(self, key: tuple[str, str, str]) -> None:
        """Let an entry stay, whichever runs have begun the same as well."""
        for bracket in [bracket for bracket, begun in self.begun.items() if begun == key]:
            del self.begun[bracket]

    def forget(self, key: tuple[str, str, str]) -> None:
        """Take an entry away, if it is there."""
        if self.completed.pop(key, None) is not None:
            self.stacks[key[:2]].remove(key[2])
            self.confirm(key)  # a run that died has begun what is gone by now, not what another does anew

    def complete(self, done: CompletedAction) -> None:
        stack = self.stacks.setdefault((done.action, done.kind), [])
        undo = _canonical(done.undo)
        if done.undo is None:
            if stack and stack != [undo]:
                return
        elif stack == [_NOTHING]:
            del self.completed[done.action, done.kind, stack.pop()]
        key = (done.action, done.kind, undo)
        if key not in self.completed:
            stack.append(undo)
        self.completed[key] = done

    def take_back(self, action: str, kind: str, undo: Json) -> None:
        """Take the entry away that was undone, not another one of the same action: its own undo may have failed."""
        stack = self.stacks.get((action, kind))
        if not stack:
            return
        self.forget((action, kind, stack[-1] if undo is None else _canonical(undo)))  # older logs do not say which

    def freeze(self, pack_id: str) -> PackRecord:
        begun = set(self.begun.values())
        return PackRecord(
            id=pack_id,
            url=self.url,
            ref=self.ref,
            sha=self.sha,
            branch=self.branch,
            owned=self.owned,
            added_at=self.added_at,
            synced_at=self.synced_at,
            installed=self.installed,
            open_brackets=tuple(sorted(self.open.values(), key=_by_start)),
            completed=tuple(
                replace(done, only_begun=True) if key in begun else done for key, done in self.completed.items()
            ),
            failed=self.failed,
        )


def _by_start(bracket: OpenBracket) -> tuple[str, str, str, str]:
    return bracket.ts, bracket.run, bracket.action, bracket.phase


_canonical = json.JSONEncoder(sort_keys=True).encode
_NOTHING = _canonical(None)
_NOTHING_LEFT = frozenset({"failed", "skipped"})


class _Removed(NamedTuple):
    draft: _Draft
    op: str
    ts: str
    trash: str | None


class _State:
    def __init__(self) -> None:
        self.packs: dict[str, _Draft] = {}
        self.removed: dict[str, _Removed] = {}

    def draft(self, event: Event) -> _Draft:
        """The pack of an event, made if it is not there."""
        draft = self.packs.get(event.id)
        if draft is None:
            draft = self.packs[event.id] = _Draft(event.ts)
            self.removed.pop(event.id, None)
        return draft


# The types of all fields below were checked when the line was read (`events.parse_line`).


def _add(state: _State, event: Event, data: Mapping[str, Any]) -> None:
    draft = state.draft(event)
    draft.added_at = event.ts
    draft.url, draft.ref, draft.owned = data["url"], data.get("ref"), data["owned"]
    draft.sha = draft.branch = draft.synced_at = None
    draft.failed = None
    if draft.installed is not None:  # into another checkout, with which all that it held of the install is gone
        draft.installed = InstalledRecord(NOT_WHOLE, event.ts)


def _update(state: _State, event: Event, data: Mapping[str, Any]) -> None:
    draft = state.draft(event)
    draft.url, draft.ref = data.get("url", draft.url), data.get("ref", draft.ref)


def _sync(state: _State, event: Event, data: Mapping[str, Any]) -> None:
    draft = state.draft(event)
    draft.sha, draft.branch, draft.synced_at = data["sha"], data.get("branch"), event.ts


def _remove(state: _State, event: Event, data: Mapping[str, Any]) -> None:
    draft = state.packs.pop(event.id, None)
    if draft is not None:
        state.removed[event.id] = _Removed(draft, event.op, event.ts, data.get("trash"))


def _restore(state: _State, event: Event, data: Mapping[str, Any]) -> None:
    removed = state.removed.pop(event.id, None)
    if removed is not None:  # then it is not in `packs`: a pack is in one of the two
        state.packs[event.id] = removed.draft
        removed.draft.added_at = event.ts
    _update(state, event, data)
    draft = state.packs[event.id]
    draft.owned = data.get("owned", draft.owned)


def _installed(state: _State, event: Event, data: Mapping[str, Any]) -> None:
    actions_hash = data["actions_hash"]
    draft = state.packs.get(event.id)
    if draft is not None:
        draft.open.clear()  # of runs that died before the one that got through
        draft.begun.clear()  # what they had begun stays to be undone
        draft.failed = None
    if actions_hash is not None:
        state.draft(event).installed = InstalledRecord(actions_hash, event.ts)
    elif draft is not None:
        draft.installed = None
        draft.completed.clear()
        draft.stacks.clear()
        draft.begun.clear()


def _install_failed(state: _State, event: Event, data: Mapping[str, Any]) -> None:
    state.draft(event).failed = FailedInstall(data["why"], event.ts)


def _action_started(state: _State, event: Event, data: Mapping[str, Any]) -> None:
    bracket = OpenBracket(data["action"], data["kind"], data["run"], data.get("phase", "do"), event.ts)
    state.draft(event).start(bracket, data.get("undo"))


def _action_halted(state: _State, event: Event, data: Mapping[str, Any]) -> None:
    draft = state.packs.get(event.id)
    if draft is None:
        return
    begun = draft.close(data["run"], data["action"], data.get("phase", "do"))
    if begun is not None and data.get("reason") in _NOTHING_LEFT:
        draft.forget(begun)


def _action_completed(state: _State, event: Event, data: Mapping[str, Any]) -> None:
    action, kind, run, phase = data["action"], data["kind"], data["run"], data.get("phase", "do")
    if phase == "do":
        done = CompletedAction(action, kind, run, data.get("undo"), event.ts)
        draft = state.draft(event)
        begun = draft.close(run, action, phase)
        key = (action, kind, _canonical(done.undo))
        if begun is not None and begun != key:
            draft.forget(begun)
        draft.complete(done)
        draft.confirm(key)
    elif event.id in state.packs:
        draft = state.packs[event.id]
        draft.close(run, action, phase)
        draft.take_back(action, kind, data.get("undo"))


_OPS: Mapping[str, Callable[[_State, Event, Mapping[str, Any]], None]] = {
    "add": _add,
    "update": _update,
    "sync": _sync,
    "rm": _remove,
    "prune": _remove,
    "restore": _restore,
    "installed": _installed,
    "install_failed": _install_failed,
    "action_started": _action_started,
    "action_completed": _action_completed,
    "action_halted": _action_halted,
}
