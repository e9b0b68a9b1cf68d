"""What events amount to."""

from __future__ import annotations

import sys
from collections import Counter
from typing import Any

import pytest

from grex.manifest import (
    NOT_WHOLE,
    ROOT_ID,
    CompletedAction,
    Event,
    FailedInstall,
    Folded,
    InstalledRecord,
    Json,
    Phase,
    action_completed_event,
    action_halted_event,
    action_started_event,
    add_event,
    fold,
    install_failed_event,
    installed_event,
    prune_event,
    restore_event,
    rm_event,
    sync_event,
    update_event,
)

TS = "2026-11-20T10:00:0{}.000000Z"
SHA = "a" * 40


def ts(number: int) -> str:
    return TS.format(number)


ADD = add_event("a", url="https://h/a", ref="main", owned=True, ts=ts(0))
SYNC = sync_event("a", sha=SHA, branch="main", ts=ts(1))


def done(action: str, undo: Json, *, kind: str = "symlink", run: str = "r1", phase: Phase = "do") -> Event:
    return action_completed_event("a", action=action, kind=kind, run=run, undo=undo, phase=phase, ts=ts(5))


def stack(*events: Event) -> list[tuple[str, Any]]:
    return [(entry.action, entry.undo) for entry in fold([ADD, *events]).packs["a"].completed]


def test_no_events_are_no_packs() -> None:
    assert fold([]) == Folded({}, {})


def test_the_last_writer_of_each_fact_wins() -> None:
    folded = fold([ADD, SYNC, update_event("a", ref="v2"), sync_event("a", sha="b" * 40, branch=None, ts=ts(2))])
    record = folded.packs["a"]
    assert (record.url, record.ref, record.sha, record.branch) == ("https://h/a", "v2", "b" * 40, None)
    assert (record.owned, record.added_at, record.synced_at) == (True, ts(0), ts(2))


def test_an_update_to_the_remotes_own_choice_is_not_the_same_as_no_update() -> None:
    assert fold([ADD, update_event("a", ref=None)]).packs["a"].ref is None
    assert fold([ADD, update_event("a", url="https://h/b")]).packs["a"].ref == "main"


def test_adding_again_starts_over_where_it_stands_and_forgets_nothing_to_undo() -> None:
    folded = fold(
        [ADD, SYNC, done("0", {"link": "x"}), add_event("a", url="https://h/b", ref=None, owned=False, ts=ts(7))]
    )
    record = folded.packs["a"]
    assert (record.url, record.sha, record.synced_at, record.owned) == ("https://h/b", None, None, False)
    assert len(record.completed) == 1


@pytest.mark.parametrize("remove", [rm_event, prune_event])
def test_removing_removes_and_restoring_brings_back_all_that_was_known(remove: Any) -> None:
    events = [
        ADD,
        SYNC,
        done("0", 1),
        installed_event("a", actions_hash="h", ts=ts(6)),
        remove("a", trash="t", ts=ts(7)),
    ]
    folded = fold(events)
    assert "a" not in folded.packs
    removed = folded.removed["a"]
    assert (removed.ts, removed.trash, removed.record) == (ts(7), "t", fold(events[:-1]).packs["a"])
    back = fold([*events, restore_event("a", ref="v3", ts=ts(8))])
    assert back.removed == {}
    record = back.packs["a"]
    assert (record.url, record.ref, record.sha, record.owned, record.added_at) == (
        "https://h/a",
        "v3",
        SHA,
        True,
        ts(8),
    )
    assert record.installed == InstalledRecord("h", ts(6))
    assert [entry.undo for entry in record.completed] == [1]


def test_a_pack_that_is_added_anew_after_its_removal_knows_nothing_of_the_old_one() -> None:
    folded = fold([ADD, SYNC, done("0", 1), rm_event("a"), ADD])
    assert folded.removed == {}
    assert (folded.packs["a"].sha, folded.packs["a"].completed) == (None, ())


def test_removing_what_is_not_there_changes_nothing() -> None:
    assert fold([rm_event("a")]) == Folded({}, {})
    assert fold([ADD, rm_event("a", ts=ts(3)), rm_event("a", ts=ts(4))]).removed["a"].ts == ts(3)


def test_restoring_what_was_never_there_makes_it_and_not_ours_unless_it_says_so() -> None:
    assert fold([restore_event("a")]).packs["a"].owned is False
    assert fold([restore_event("a", url="u", owned=True)]).packs["a"].owned is True


def test_the_root_is_installed_without_being_added_and_is_not_ours() -> None:
    record = fold([installed_event(ROOT_ID, actions_hash="h", ts=ts(1))]).packs[ROOT_ID]
    assert (record.url, record.owned, record.installed) == (None, False, InstalledRecord("h", ts(1)))


def test_the_end_of_a_bracket_does_not_bring_a_removed_pack_back() -> None:
    ends = [
        action_halted_event("a", action="0", kind="exec", run="r", reason="cancelled"),
        action_completed_event("a", action="0", kind="exec", run="r", phase="undo"),
        installed_event("a", actions_hash=None),
    ]
    assert fold([ADD, rm_event("a"), *ends]).packs == {}


def test_a_bracket_is_open_until_it_is_completed_or_halted_in_its_own_run_and_phase() -> None:
    started = action_started_event("a", action="0", kind="exec", run="r1", ts=ts(1))
    others: list[Event] = [
        action_halted_event("a", action="0", kind="exec", run="r2", reason="x"),
        action_halted_event("a", action="1", kind="exec", run="r1", reason="x"),
        action_halted_event("a", action="0", kind="exec", run="r1", reason="x", phase="undo"),
    ]
    assert [bracket.run for bracket in fold([ADD, started, *others]).packs["a"].open_brackets] == ["r1"]
    for end in (
        action_halted_event("a", action="0", kind="exec", run="r1", reason="cancelled"),
        action_completed_event("a", action="0", kind="exec", run="r1"),
    ):
        assert fold([ADD, started, end]).packs["a"].open_brackets == ()


def test_an_install_that_got_through_closes_the_brackets_of_the_runs_that_died_before_it() -> None:
    started = action_started_event("a", action="0", kind="exec", run="dead", ts=ts(2))
    installed = installed_event("a", actions_hash="f" * 64, ts=ts(3))
    assert fold([ADD, started, installed]).packs["a"].open_brackets == ()
    later = action_started_event("a", action="0", kind="exec", run="later", ts=ts(4))
    assert [bracket.run for bracket in fold([ADD, started, installed, later]).packs["a"].open_brackets] == ["later"]


def test_what_is_completed_is_listed_in_order_with_what_its_undo_needs() -> None:
    completed = fold([ADD, done("0", {"link": "x"}), done("1", None, kind="mkdir")]).packs["a"].completed
    assert completed == (
        CompletedAction("0", "symlink", "r1", {"link": "x"}, ts(5)),
        CompletedAction("1", "mkdir", "r1", None, ts(5)),
    )


def test_the_same_undo_again_stays_where_it_is() -> None:
    assert stack(done("0", "x"), done("1", "y"), done("0", "x", run="r2")) == [("0", "x"), ("1", "y")]


def test_finding_everything_in_place_does_not_lose_what_there_is_to_undo() -> None:
    assert stack(done("0", "x"), done("0", None, run="r2")) == [("0", "x")]


def test_another_undo_is_one_more_thing_to_take_back() -> None:
    assert stack(done("0", "x"), done("1", "y"), done("0", "z", run="r2")) == [("0", "x"), ("1", "y"), ("0", "z")]


def test_something_to_undo_takes_the_place_of_nothing_to_undo() -> None:
    assert stack(done("0", None), done("1", "y"), done("0", "x")) == [("1", "y"), ("0", "x")]


def test_undoing_takes_back_the_newest_of_that_action_and_kind() -> None:
    both = [done("0", "x"), done("0", "k", kind="exec"), done("0", "z", run="r2")]
    assert stack(*both, done("0", None, run="r3", phase="undo")) == [("0", "x"), ("0", "k")]
    assert stack(*both, *[done("0", None, run="r3", phase="undo")] * 5) == [("0", "k")]


def test_undoing_takes_back_the_entry_that_is_named_and_no_other() -> None:
    """The undo of the newer one failed: it is still to be undone when the older one is gone."""
    both = [done("0", {"b": 1, "a": 2}), done("0", {"c": 3}, run="r2")]
    undone = done("0", {"a": 2, "b": 1}, run="r3", phase="undo")
    assert stack(*both, undone) == [("0", {"c": 3})]
    assert stack(*both, undone, undone) == [("0", {"c": 3})]


def test_undoing_takes_back_what_it_says_also_if_that_is_not_the_newest() -> None:
    """The first was found gone and made again, with the same undo, and that run failed: the second is as it was."""
    both = [done("0", {"link": "x"}), done("0", {"link": "y"}, run="r2")]
    again = [done("0", {"link": "x"}, run="r3"), done("0", {"link": "x"}, run="r3", phase="undo")]
    assert stack(*both, *again) == [("0", {"link": "y"})]
    assert stack(*both, done("0", {"link": "z"}, phase="undo")) == [("0", {"link": "x"}), ("0", {"link": "y"})]


def test_a_teardown_that_is_through_leaves_nothing_installed_and_nothing_to_undo() -> None:
    record = fold(
        [ADD, done("0", "x"), installed_event("a", actions_hash="h"), installed_event("a", actions_hash=None)]
    ).packs["a"]
    assert (record.installed, record.completed) == (None, ())


def test_another_checkout_is_not_what_was_installed_and_what_was_done_is_still_to_be_undone() -> None:
    record = fold([ADD, done("0", "x"), installed_event("a", actions_hash="h"), ADD]).packs["a"]
    assert record.installed is not None
    assert record.installed.actions_hash == NOT_WHOLE
    assert [entry.undo for entry in record.completed] == ["x"]


def test_what_is_installed_again_after_a_teardown_is_undone_once() -> None:
    torn_down = [done("0", "x"), done("1", "y"), installed_event("a", actions_hash=None)]
    assert stack(*torn_down, done("0", "x"), done("1", None)) == [("0", "x"), ("1", None)]
    assert stack(*torn_down, done("0", "x"), *[done("0", None, phase="undo")] * 3) == []


def test_unknown_ops_are_ignored() -> None:
    assert fold([ADD, Event("teleport", ts(3), "a", {"to": "mars"}), Event("x", ts(3), "b", {})]) == fold([ADD])


def test_folding_changes_no_event() -> None:
    events = [ADD, SYNC, done("0", {"k": [1]}), rm_event("a"), restore_event("a")]
    before = [Event(event.op, event.ts, event.id, dict(event.data)) for event in events]
    fold(events)
    assert events == before


@pytest.mark.parametrize("same_action", [True, False])
def test_the_work_of_a_fold_grows_with_the_number_of_events_and_not_faster(same_action: bool) -> None:
    """Count the calls that a fold makes, which is exact, instead of timing it, which is not."""

    def calls(number: int) -> int:
        events = [ADD]
        for index in range(number // 2):
            action = "0" if same_action else str(index)
            events.append(action_started_event("a", action=action, kind="exec", run=f"r{index}", ts=ts(1)))
            events.append(done(action, {"n": index}, kind="exec", run=f"r{index}"))
        counted: Counter[str] = Counter()
        sys.setprofile(lambda frame, kind, argument: counted.update([kind]))
        try:
            fold(events)
        finally:
            sys.setprofile(None)
        return counted.total()

    assert calls(4_000) <= 2.02 * calls(2_000)


def begun(undo: Json, *, run: str = "r2", action: str = "0") -> Event:
    return action_started_event("a", action=action, kind="symlink", run=run, undo=undo, ts=ts(4))


def ended(reason: str, *, run: str = "r2", action: str = "0") -> Event:
    return action_halted_event("a", action=action, kind="symlink", run=run, reason=reason, ts=ts(5))


def test_what_a_killed_run_had_begun_can_be_undone() -> None:
    assert stack(begun({"link": "x"})) == [("0", {"link": "x"})]


def test_what_an_action_did_takes_the_place_of_what_it_was_about_to_do() -> None:
    assert stack(begun({"made": ["a", "b"]}), done("0", {"made": ["a"]}, run="r2")) == [("0", {"made": ["a"]})]
    assert stack(begun({"made": ["a"]}), done("0", None, run="r2")) == [("0", None)]


@pytest.mark.parametrize(("reason", "left"), [("failed", []), ("skipped", []), ("cancelled", [("0", {"link": "x"})])])
def test_only_what_was_cancelled_leaves_something_to_undo(reason: str, left: list[tuple[str, Any]]) -> None:
    assert stack(begun({"link": "x"}), ended(reason)) == left


def test_what_an_earlier_run_did_is_not_forgotten_because_doing_it_again_failed() -> None:
    earlier = done("0", {"link": "x"})
    assert stack(earlier, begun({"link": "x"}), ended("failed")) == [("0", {"link": "x"})]
    assert stack(earlier, begun({"link": "y"}), ended("failed")) == [("0", {"link": "x"})]


def test_a_later_run_that_fails_takes_nothing_from_a_killed_one() -> None:
    """What the killed run had begun may be there; that a later one begins the same and fails proves nothing of it."""
    assert stack(begun({"link": "x"}, run="dead"), begun({"link": "x"}), ended("failed")) == [("0", {"link": "x"})]


def test_what_was_begun_is_undone_once() -> None:
    undone = done("0", None, run="r3", phase="undo")
    assert stack(begun({"link": "x"}), ended("cancelled"), undone) == []


def test_why_an_install_failed_is_known_until_one_gets_through_or_the_checkout_is_another_one() -> None:
    failed = install_failed_event("a", why="make ended with 2", ts=ts(5))
    record = fold([ADD, failed]).packs["a"]
    assert record.failed == FailedInstall("make ended with 2", ts(5))
    assert (record.installed, record.owned) == (None, True)
    for over in (installed_event("a", actions_hash="h"), installed_event("a", actions_hash=None), ADD):
        assert fold([ADD, failed, over]).packs["a"].failed is None
    assert fold([ADD, failed, install_failed_event("a", why="no disk")]).packs["a"].failed != record.failed
