"""Compaction: the same fold from fewer lines."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grex.manifest import (
    KNOWN_OPS,
    Event,
    Json,
    action_completed_event,
    action_halted_event,
    action_started_event,
    add_event,
    compact,
    fold,
    install_failed_event,
    installed_event,
    lines_needed,
    parse_line,
    prune_event,
    render_line,
    restore_event,
    rm_event,
    sync_event,
    update_event,
    worth_compacting,
)

ids = st.sampled_from(["a", "b", "."])
times = st.integers(0, 10**6).map(lambda number: f"2026-11-20T10:00:00.{number % 10**6:06}Z")
refs = st.sampled_from(["main", "v1", None])
urls = st.sampled_from(["https://h/a", "https://h/b"])
undos = st.sampled_from([None, "x", {"k": [1, None]}, {"k": 1.5}, True, 1])
actions = st.sampled_from(["0", "1", "1.actions.0"])
kinds = st.sampled_from(["exec", "symlink"])
runs = st.sampled_from(["r1", "r2"])
reasons = st.sampled_from(["failed", "skipped", "cancelled", "left"])
phases = st.sampled_from(["do", "undo"])
trashes = st.sampled_from([None, ".grex/trash/t"])

events = st.one_of(
    st.builds(add_event, ids, url=urls, ref=refs, owned=st.booleans(), ts=times),
    st.builds(update_event, ids, url=st.none() | urls, ref=refs, ts=times),
    st.builds(rm_event, ids, trash=trashes, ts=times),
    st.builds(prune_event, ids, trash=trashes, ts=times),
    st.builds(restore_event, ids, url=st.none() | urls, ref=refs, owned=st.none() | st.booleans(), ts=times),
    st.builds(restore_event, ids, ts=times),
    st.builds(sync_event, ids, sha=st.sampled_from(["a" * 40, "b" * 40]), branch=refs, ts=times),
    st.builds(installed_event, ids, actions_hash=st.sampled_from(["h1", "h2", None]), ts=times),
    st.builds(install_failed_event, ids, why=st.sampled_from(["it broke", "no"]), ts=times),
    st.builds(action_started_event, ids, action=actions, kind=kinds, run=runs, phase=phases, undo=undos, ts=times),
    st.builds(action_completed_event, ids, action=actions, kind=kinds, run=runs, undo=undos, phase=phases, ts=times),
    st.builds(action_halted_event, ids, action=actions, kind=kinds, run=runs, reason=reasons, phase=phases, ts=times),
    st.builds(lambda ts, pack: Event("teleport", ts, pack, {"to": "mars"}), times, ids),
)
histories = st.lists(events, max_size=40)


@given(histories)
def test_the_fold_of_a_compacted_history_is_the_fold_of_the_history(history: list[Event]) -> None:
    kept = compact(history)
    assert fold(kept) == fold(history)
    assert [event for event in kept if event.op not in KNOWN_OPS] == [
        event for event in history if event.op not in KNOWN_OPS
    ]
    assert compact(kept) == kept
    known = [event for event in kept if event.op in KNOWN_OPS]
    assert len(known) == lines_needed(fold(history))
    assert [parse_line(render_line(event), 1) for event in kept] == kept


@given(histories, histories)
def test_life_goes_on_after_a_compaction_as_if_there_had_been_none(before: list[Event], after: list[Event]) -> None:
    assert fold([*compact(before), *after]) == fold([*before, *after])


def test_a_bracket_that_was_closed_is_not_opened_again_for_a_run_that_died_before() -> None:
    """A run dies in an action, another takes that back, does it anew, and cannot take back what it had begun."""
    undo: dict[str, Json] = {"link": "x"}
    action: Any = {"action": "0", "kind": "symlink"}
    history = [
        action_started_event("a", **action, run="dead", undo=undo),
        action_completed_event("a", **action, run="r1", undo=undo, phase="undo"),
        action_started_event("a", **action, run="r1", undo=undo),
        action_halted_event("a", **action, run="r1", reason="left"),
    ]
    (done,) = fold(history).packs["a"].completed
    assert not done.only_begun
    assert [bracket.run for bracket in fold(compact(history)).packs["a"].open_brackets] == ["dead"]
    assert fold(compact(history)) == fold(history)


def test_what_is_left_depends_on_what_is_there_and_not_on_what_happened() -> None:
    add = add_event("a", url="u", ref=None, owned=True)
    history = [add] + [sync_event("a", sha=f"{number:040}", branch="main") for number in range(1000)]
    assert [event.op for event in compact(history)] == ["add", "sync"]


@pytest.mark.parametrize(
    ("size_bytes", "events", "live", "worth"),
    [
        (1 << 20, 4_000, 1_000, True),
        ((1 << 20) - 1, 4_000, 1, False),  # small: people like to look back
        (1 << 20, 3_999, 1_000, False),  # mostly alive: rewriting would gain little
        (1 << 30, 0, 0, False),
        (1 << 20, 4, 0, True),
    ],
)
def test_only_a_large_log_that_is_mostly_history_is_worth_it(
    size_bytes: int, events: int, live: int, worth: bool
) -> None:
    assert worth_compacting(size_bytes, events, live) is worth
