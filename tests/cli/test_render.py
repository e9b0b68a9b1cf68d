"""Reports as text: what moved, what was left alone and why, what to do next."""

from __future__ import annotations

from pathlib import Path

import pytest

from grex.cli import render
from grex.engine import InstallOutcome
from grex.errors import PackError
from grex.verbs.init import InitReport
from grex.verbs.locks import LocksReport
from grex.verbs.ls import ListReport
from grex.verbs.status import PackStatus, StatusReport
from grex.verbs.sync import PackReport, SyncReport
from grex.verbs.trust import TrustReport

ROOT = Path("/ws")


def synced(*packs: PackReport, **keys: object) -> list[str]:
    report = SyncReport(ROOT, dry_run=bool(keys.pop("dry_run", False)), packs=packs, elapsed_s=1.234, **keys)  # type: ignore[arg-type] # fields by name
    return render.sync(report).splitlines()


def test_a_sync_tells_what_moved_and_keeps_quiet_about_what_did_not() -> None:
    lines = synced(
        PackReport("a", "plain", "cloned", branch="main", new_sha="1" * 40),
        PackReport("b", "plain", "moved", ref="v1", old_sha="1" * 40, new_sha="2" * 40),
        PackReport("c", "plain", "unchanged"),
    )
    assert lines == [
        "cloned       a: main at 1111111111",
        "moved        b: v1 1111111111..2222222222",
        "Synced: 3 packs: 1 cloned, 1 moved, 1 unchanged; 1.23 s.",
    ]


def test_what_was_left_alone_says_why_and_what_to_do() -> None:
    lines = synced(
        PackReport("a", "plain", "left", text="your edits are in the way", hint="Commit them.", notes=("1 ahead",))
    )
    assert lines[:3] == [
        "left         a: your edits are in the way",
        "             hint: Commit them.",
        "note         a: 1 ahead.",
    ]


def test_installs_and_their_failures_are_lines_of_their_own() -> None:
    failure = PackError("a: exec make ended with 2", hint="Mend it.")
    lines = synced(
        PackReport("a", "declarative", "unchanged", install=InstallOutcome("a", "failed", error=failure)),
        PackReport("b", "declarative", "unchanged", install=InstallOutcome("b", "installed", ("mkdir x",))),
        PackReport("c", "declarative", "unchanged", install=InstallOutcome("c", "updated")),
    )
    assert lines[:4] == [
        "failed       a: exec make ended with 2",
        "             hint: Mend it.",
        "installed    b: mkdir x",
        "updated      c: nothing to change",
    ]
    assert lines[-1] == "Synced: 3 packs: 1 installed, 1 updated, 3 unchanged, 1 failed; 1.23 s."


def test_where_progress_was_told_in_the_same_place_only_what_needs_attention_is_told_again() -> None:
    failure = PackError("b: exec make ended with 2", hint="Mend it.")
    untrusted = PackError("d would run something")
    packs = (
        PackReport("a", "plain", "cloned", branch="main", new_sha="1" * 40, notes=("1 ahead",)),
        PackReport(
            "b",
            "scripted",
            "moved",
            ref="v1",
            old_sha="1" * 40,
            new_sha="2" * 40,
            install=InstallOutcome("b", "failed", error=failure),
        ),
        PackReport("c", "scripted", "left", text="edits", install=InstallOutcome("c", "updated", ("mkdir x",))),
        PackReport("d", "scripted", "unchanged", install=InstallOutcome("d", "untrusted", error=untrusted)),
        PackReport("e", "scripted", "unchanged", install=InstallOutcome("e", "not-reached", notes=("it needs b",))),
    )
    assert render.sync(SyncReport(ROOT, dry_run=False, packs=packs), brief=True).splitlines()[:-1] == [
        "note         a: 1 ahead.",
        "failed       b: exec make ended with 2",
        "             hint: Mend it.",
        "left         c: edits",
        "untrusted    d: d would run something",
        "not-reached  e: it needs b",
    ]


def test_a_failure_without_an_entry_of_its_own_names_its_pack() -> None:
    lines = synced(extra_errors=(("libs/x", PackError("The checkout is locked.", hint="Wait.")),))
    assert lines[:2] == ["failed       libs/x: The checkout is locked.", "             hint: Wait."]


@pytest.mark.parametrize(
    ("waited_s", "pids", "told"),
    [
        (0.99, (7,), "12.40 s."),
        (11.9, (7,), "12.40 s, 11.90 s of them waiting for pid 7."),
        (11.9, (7, 8), "12.40 s, 11.90 s of them waiting for pids 7, 8."),
        (1.0, (), "12.40 s, 1.00 s of them waiting for locks."),
    ],
)
def test_a_wait_that_was_noticed_is_told_apart(waited_s: float, pids: tuple[int, ...], told: str) -> None:
    report = SyncReport(ROOT, dry_run=False, packs=(), elapsed_s=12.4, waited_s=waited_s, waited_for=pids)
    assert render.sync(report) == f"Synced: 0 packs: nothing to do; {told}"


def test_a_plan_says_that_it_is_one_and_the_root_is_no_pack() -> None:
    lines = synced(
        PackReport(".", "meta", "unchanged"), PackReport("a", "plain", "planned", text="clone x"), dry_run=True
    )
    assert lines == ["planned      a: clone x", "Plan: 1 pack: 1 planned; 1.23 s."]


def test_what_concerns_no_single_pack_is_told_too() -> None:
    lines = synced(undeclared=("old",), recovered=("a: cleared",), notes=("the override for x touches no pack",))
    assert lines == [
        "recovered: a: cleared.",
        "undeclared   old: no pack declares it; it was left there.",
        "note: the override for x touches no pack.",
        "Synced: 0 packs: nothing to do; 1.23 s.",
    ]


def test_a_clean_workspace_says_so_and_one_that_is_not_puts_attention_first() -> None:
    clean = PackStatus("a", text="clean")
    assert render.status(StatusReport(ROOT, (clean,))) == "Clean: 1 pack, all as declared."
    assert render.status(StatusReport(ROOT, ())) == "Clean: no packs are declared."
    text = render.status(StatusReport(ROOT, (clean, PackStatus("libs/b", ("edited",), text="1 edited"))))
    assert text.splitlines() == ["libs/b  1 edited", "1 pack to look at, 1 as declared."]


def test_empty_reports_say_what_to_do_and_end_with_a_period_or_a_path() -> None:
    assert render.trust(TrustReport((), changed=False)) == "Nothing is trusted in this workspace."
    assert render.trust(TrustReport((".",), changed=True)) == "Trusted in this workspace:\n  ."
    assert render.locks(LocksReport(ROOT, ())) == "No lock is held."
    assert render.ls(ListReport(ROOT, "r", "meta", ()), tree=True, long=True).startswith(
        "No packs are declared; `grex add"
    )
    assert render.init(InitReport(ROOT, created=True)).endswith(": /ws")
    assert "nothing was changed" in render.init(InitReport(ROOT, created=False))


def test_a_pack_with_many_changes_has_one_line_and_a_plan_of_them_is_printed_whole() -> None:
    changes = tuple(f"mkdir {name}" for name in "vwxyz")
    installed = PackReport("a", "declarative", "unchanged", install=InstallOutcome("a", "installed", changes))
    planned = PackReport("b", "declarative", "unchanged", install=InstallOutcome("b", "planned", changes))
    assert render.sync(SyncReport(Path("/ws"), False, (installed, planned))).splitlines()[:-1] == [
        "installed    a: mkdir v; mkdir w; and 3 more",
        "planned      b: 5 changes",
        *(f"             {change}" for change in changes),
    ]
