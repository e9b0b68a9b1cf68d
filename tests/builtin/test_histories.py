"""Whatever happens to an installed pack, in whatever order: nothing of the user's is lost, and nothing of ours stays.

A history is any sequence of what people and machines do: the pack.yaml changes, `sync`, `update`, `update --force` and
`teardown` run, a disk call of theirs fails, they are killed between two changes to the disk, and the user puts
something of their own in the place of what was installed, or takes it away. The verbs are the real ones, in this
process or killed in a fork of it. Beside them goes a plain model: the list of what the user has made and not taken
away. After each step

* everything of the user's is there exactly once, byte for byte, with its mode and its time, under its own name or under
  that of a backup beside it;
* a run that got through changes nothing when it is run again.

After a teardown at the end the home is as it was, but where the user has put something since, and nothing that grex
made is left; only what lay in a place that the user has taken meanwhile may still lie beside it as a backup.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from tests.builtin.test_properties import (
    ACTIONS,
    BOUNDS,
    CONTENT,
    MODES,
    NAMES,
    Action,
    Thing,
    in_a_new_place,
    pack_of,
    packs,
)
from tests.support.dying import run_until
from tests.support.life import FIRST_CHANGE, Kind, Life, Verb
from tests.support.sandbox import FailingCalls, Snapshot, snapshot

Fate = Literal["whole", "killed", "fails before", "fails after"]


@dataclass
class Step:
    """What happens next."""

    what: Literal["declare", "put", "take away", "run"]
    actions: list[Action] = field(default_factory=list)
    name: str = ""
    kind: Kind = "file"
    mode: int = 0o644
    verb: Verb = "sync"
    fate: Fate = "whole"
    nth: int = 0


@dataclass
class History:
    """What was there, what is installed first, and what happens then."""

    before: dict[str, tuple[Kind, int]]
    rc: bytes | None
    first: list[Action]
    steps: list[Step]


PLACES = st.sampled_from([*NAMES, "deep", "m"])
KINDS: st.SearchStrategy[Kind] = st.sampled_from(["file", "directory", "link"])
STEPS = st.one_of(
    st.builds(Step, st.just("declare"), packs()),
    st.builds(Step, st.just("put"), name=PLACES, kind=KINDS, mode=MODES),
    st.builds(Step, st.just("take away"), name=PLACES),
    st.builds(
        Step,
        st.just("run"),
        verb=st.sampled_from(["sync", "update", "force", "force", "teardown"]),
        fate=st.sampled_from(["whole", "whole", "killed", "fails before", "fails after"]),
        nth=st.integers(1, 25),
    ),
)
HISTORIES = st.builds(
    History,
    st.dictionaries(PLACES, st.tuples(KINDS, MODES), max_size=5),
    st.none() | CONTENT,
    packs(),
    st.lists(STEPS, min_size=2, max_size=10),
)


def come_true(history: History, base: Path, calls: FailingCalls) -> None:
    calls.repair()
    life = Life(base)
    for name, (kind, mode) in history.before.items():
        life.put(name, kind, mode)
    if history.rc is not None:
        Thing("file", history.rc, 0o640).put(life.home / ".bashrc")
    start = snapshot(life.home)
    life.declare(pack_of(history.first))
    for step in [Step("run"), *history.steps]:
        match step.what:
            case "declare":
                life.declare(pack_of(step.actions))
            case "put":
                life.put(step.name, step.kind, step.mode)
            case "take away":
                life.take_away(step.name)
            case "run":
                run(life, step, calls)
        life.check_marks()
    assert not life.run("teardown")
    life.check_marks()
    touched = {step.name for step in history.steps if step.name}
    assert where_nobody_was(touched, snapshot(life.home)) == where_nobody_was(touched, start)
    check_nothing_is_left(life, touched)


def run(life: Life, step: Step, calls: FailingCalls) -> None:
    if step.fate == "killed":
        died = run_until(lambda: life.run(step.verb), step.nth, since=FIRST_CHANGE)
        event(f"{step.verb} {'killed' if died else 'through before it was killed'}")
        return
    if step.fate != "whole":
        calls.fail(step.nth % 8 + 1, step.fate.removeprefix("fails "))
    errors = life.run(step.verb)
    calls.repair()
    event(f"{step.verb} {step.fate}: {'failed' if errors else 'through'}")
    if not errors and step.verb != "teardown":
        after = snapshot(life.home)
        assert not life.run("update")
        assert snapshot(life.home) == after


def where_nobody_was(touched: set[str], found: Snapshot) -> Snapshot:
    """The part of a home in which the user has changed nothing."""
    return {name: facts for name, facts in found.items() if place_of(name) not in touched}


def place_of(name: str) -> str:
    return name.split("/", maxsplit=1)[0].split(".grex-bak.", maxsplit=1)[0]


def check_nothing_is_left(life: Life, touched: set[str]) -> None:
    for name, facts in snapshot(life.home).items():
        if ".grex-bak." in name and place_of(name) in touched:
            continue
        assert ".grex-tmp-" not in name
        assert facts[0] != "link" or not str(facts[1]).startswith(str(life.root)), name
        assert facts[0] != "file" or not bytes(facts[3]).startswith(b"the pack's"), name  # type: ignore[call-overload]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> FailingCalls:
    """Disk calls that can be made to fail; no flush, as what a power cut would leave is not asked here."""
    monkeypatch.setattr(os, "fsync", lambda fd: None)
    calls = FailingCalls(monkeypatch, during="do")
    calls.watch(monkeypatch, *ACTIONS)
    return calls


@settings(BOUNDS, max_examples=12, report_multiple_bugs=False)
@given(history=HISTORIES)
def test_nothing_of_the_users_is_lost_whatever_happens(calls: FailingCalls, history: History) -> None:
    in_a_new_place(lambda base: come_true(history, base, calls))


@pytest.mark.exhaustive
@pytest.mark.timeout(900)
@settings(BOUNDS, max_examples=1500, report_multiple_bugs=False)
@given(history=HISTORIES)
def test_nothing_is_lost_in_many_histories(calls: FailingCalls, history: History) -> None:
    in_a_new_place(lambda base: come_true(history, base, calls))
