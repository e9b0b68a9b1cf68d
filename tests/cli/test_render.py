"""Reports as text: what moved, what was left alone and why, what to do next."""

from __future__ import annotations

from pathlib import Path

import pytest

from grex.cli import render
from grex.cli.lines import fitted
from grex.cli.render.removal import removed_lines
from grex.engine import InstallOutcome
from grex.engine.declaring import ChangedPack, ImportPlan
from grex.engine.removal import RemovalOutcome
from grex.engine.teardown import TeardownOutcome
from grex.errors import ActionError, PackError
from grex.manifest.relocked import Relocked
from grex.verbs.import_packs import ImportReport
from grex.verbs.init import InitReport
from grex.verbs.locks import LocksReport
from grex.verbs.ls import ListReport
from grex.verbs.status import PackStatus, StatusReport
from grex.verbs.sync import PackReport, SyncReport
from grex.verbs.teardown import TeardownReport
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


def test_a_lockfile_that_changed_where_no_pack_did_has_a_line() -> None:
    moved = PackReport("a", "plain", "moved", ref="v1", old_sha="1" * 40, new_sha="2" * 40)
    found = Relocked(("new",), ("a", "b", "c", "d", "e"), ("z",))
    assert synced(moved, PackReport("b", "plain", "unchanged"), relocked=found)[1] == (
        "lockfile     grex.lock.jsonl: 1 line new (new), 4 lines changed (b, c, d and 1 more), 1 line gone (z)."
    )
    assert len(synced(moved, relocked=Relocked(changed=("a",)))) == 2  # the pack's line tells it


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
    assert lines[-1] == "Synced: 3 packs: 1 installed, 1 updated, 1 failed; 1.23 s."


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
        "             hint: `grex sync --prune` moves what nobody declares to the trash.",
        "note: the override for x touches no pack.",
        "Synced: 0 packs: nothing to do; 1.23 s.",
    ]


def test_a_clean_workspace_says_so_and_one_that_is_not_puts_attention_first() -> None:
    clean = PackStatus("a", text="clean")
    assert render.status(StatusReport(ROOT, (clean,))) == "Clean: 1 pack, all as declared."
    assert render.status(StatusReport(ROOT, ())) == "Clean: no packs are declared."
    text = render.status(StatusReport(ROOT, (clean, PackStatus("libs/b", ("edited",), text="1 edited"))))
    assert text.splitlines() == ["libs/b  1 edited", "1 pack to look at, 1 as declared."]


def test_a_status_has_columns_for_what_there_is_and_fits_the_terminal() -> None:
    packs = (
        PackStatus(
            "a/b",
            ("edited", "untracked", "diverged"),
            "main",
            edited=2,
            untracked=1,
            ahead=3,
            behind=4,
            text="2 edited, 1 untracked, 3 ahead, 4 behind",
        ),
        PackStatus("c", ("missing",), text="not cloned yet; `grex sync` brings it"),
        PackStatus("d/long/path", ("wrong-ref", "conflicted"), "topic/x", text="on topic/x, not on main, 5 conflicted"),
        PackStatus("e", ("detached", "ahead"), None, ahead=1, text="detached at v1, 1 ahead"),
    )
    assert render.status(StatusReport(ROOT, packs)).splitlines() == [
        "d/long/path  topic/x                     5 conflicted           not on main",
        "c                                                               not cloned yet; `grex sync` brings it",
        "a/b          main     3 ahead, 4 behind  2 edited, 1 untracked",
        "e                     1 ahead                                   detached at v1",
        "4 packs to look at.",
    ]
    assert render.status(StatusReport(ROOT, packs), width=60).splitlines()[:3] == [
        "d/long/path  topic/x                     5 conflicted",
        "  not on main",
        "c  not cloned yet; `grex sync` brings it",
    ]
    assert render.status(StatusReport(ROOT, packs[1:2])).splitlines()[0] == "c  not cloned yet; `grex sync` brings it"


def test_empty_reports_say_what_to_do_and_end_with_a_period_or_a_path() -> None:
    assert render.trust(TrustReport((), changed=False)) == "Nothing is trusted in this workspace."
    assert render.trust(TrustReport((".",), changed=True)) == "Trusted in this workspace:\n  ."
    assert render.locks(LocksReport(ROOT, ())) == "No lock is held."
    assert render.ls(ListReport(ROOT, "r", "meta", ()), tree=True, long=True).startswith(
        "No packs are declared; `grex add"
    )
    assert render.init(InitReport(ROOT, created=True)).endswith(": /ws")
    assert "nothing was changed" in render.init(InitReport(ROOT, created=False))


def test_many_changes_have_a_line_each_and_a_plan_of_them_is_printed_whole() -> None:
    changes = tuple(f"mkdir /somewhere/{name}" for name in "abcdefghijkl")
    installed = PackReport("a", "declarative", "unchanged", install=InstallOutcome("a", "installed", changes))
    planned = PackReport("b", "declarative", "unchanged", install=InstallOutcome("b", "planned", changes))
    assert render.sync(SyncReport(Path("/ws"), False, (installed, planned))).splitlines()[:-1] == [
        "installed    a",
        *(f"             {change}" for change in changes[:9]),
        "             and 3 more",
        "planned      b",
        *(f"             {change}" for change in changes),
    ]


def test_what_a_line_has_room_for_stays_on_one() -> None:
    lines = synced(
        PackReport("a", "plain", "unchanged", install=InstallOutcome("a", "installed", ("mkdir x", "mkdir y")))
    )
    assert lines[0] == "installed    a: mkdir x; mkdir y"


def test_a_long_teardown_is_told_undo_by_undo_and_broken_at_the_width_of_the_terminal() -> None:
    undone = tuple(f"undid symlink /home/somebody/.config/{name} -> /ws/shell/files/{name}" for name in ("vim", "git"))
    note = "what its hooks did stays, for it has no `teardown` hook, and nobody else knows what that was"
    report = TeardownReport(ROOT, False, (TeardownOutcome("shell", "torn-down", undone, (note,)),))
    assert render.teardown(report).splitlines()[:-1] == [
        "torn-down    shell",
        *(f"             {text}" for text in (*undone, note)),
    ]
    lines = render.teardown(report, width=60).splitlines()
    assert all(len(line) <= 60 or " " not in line.strip() for line in lines)
    assert "".join(" ".join(lines).split()) == "".join(render.teardown(report).split())  # nothing is lost
    assert all(line.startswith(" " * 13) for line in lines[1:-1])


def test_what_a_teardown_could_not_take_back_has_a_line_each() -> None:
    left = [f"symlink /home/somebody/{name} (it is not as it was left)" for name in ("vim", "git")]
    message = f"shell: not everything could be undone: {'; '.join(left)}"
    error = ActionError(message, hint="Put it right.", details={"left": left})
    report = TeardownReport(ROOT, False, (TeardownOutcome("shell", "failed", error=error),))
    assert render.teardown(report).splitlines()[:-1] == [
        "failed       shell",
        "             not everything could be undone:",
        *(f"             {text}" for text in left),
        "             hint: Put it right.",
    ]


def test_a_pack_counts_once_as_the_worst_that_became_of_it_and_the_root_where_it_installs() -> None:
    failed = InstallOutcome("x", "failed", error=PackError("no"))
    text = synced(
        PackReport(".", "declarative", "unchanged", install=failed),
        PackReport("a", "scripted", "unchanged", install=failed),
        PackReport("b", "scripted", "cloned", install=InstallOutcome("b", "installed")),
        PackReport("c", "scripted", "left", install=InstallOutcome("c", "not-reached")),
        PackReport("d", "plain", "unchanged"),
        PackReport("e", "declarative", "unchanged", install=InstallOutcome("e", "skipped")),
        extra_errors=(("d", PackError("no")), ("f", PackError("no"))),
    )[-1]
    assert text == "Synced: 6 packs and the root: 1 cloned, 1 unchanged, 4 failed, 1 not-reached; 1.23 s."


def test_what_a_command_said_is_told_once() -> None:
    error = PackError(
        "a/.grex/hooks/setup.sh: the hook exited with code 2", hint="Mend it.", details={"output": "no x"}
    )
    pack = PackReport("a", "scripted", "unchanged", install=InstallOutcome("a", "failed", error=error))
    report = SyncReport(ROOT, dry_run=False, packs=(pack,))
    assert render.sync(report).count("no x") == 1
    assert render.sync(report, brief=True).count("no x") == 0  # it was shown as it was said
    assert "hint: Mend it." in render.sync(report, brief=True)


def test_a_status_says_what_to_do_and_names_every_problem_of_a_file() -> None:
    details = {"problems": [{}, {"file": "f", "line": 2, "column": 1, "message": "m", "hint": "Write it."}]}
    broken = PackStatus("a", ("error",), text="f:1:1: no", error=PackError("f:1:1: no", hint="Mend.", details=details))
    barred = PackStatus("b", ("not-installed", "untrusted"), text="not installed yet", hint="If you trust it: x.")
    assert render.status(StatusReport(ROOT, (broken, barred))).splitlines() == [
        "a  f:1:1: no",
        "  hint: Mend.",
        "  f:2:1: m",
        "    hint: Write it.",
        "b  not installed yet",
        "  hint: If you trust it: x.",
        "2 packs to look at.",
    ]


def test_a_trust_says_what_it_changed_and_which_packs_that_is_about() -> None:
    prefix = "https://host.example/team"

    def told(**facts: object) -> list[str]:
        report = TrustReport((prefix,), **{"changed": True, "prefix": prefix, **facts})  # type: ignore[arg-type] # by name
        return render.trust(report).splitlines()[:-2]

    assert told(covers=("a", "b")) == [f"Trusted from now on: {prefix}", "It covers 2 packs: a, b"]
    assert told(covers=("a",), changed=False) == [f"Trusted already: {prefix}", "It covers 1 pack: a"]
    assert told(covers=("a",), revoked=True) == [f"No longer trusted: {prefix}", "It covered 1 pack: a"]
    assert told(covers=())[1].startswith("note: none of this workspace's packs begins with it")
    assert told(covers=None, why_unknown="the file is empty")[1].endswith("cannot be told: the file is empty")
    assert told(covers=(".",))[1] == "It covers the workspace's own actions."


def test_a_workspace_inside_another_one_is_told_with_what_that_means() -> None:
    report = InitReport(Path("/out/in"), created=True, outer=Path("/out"))
    assert "note: it lies in another workspace, /out, which knows nothing of it" in render.init(report)
    report = InitReport(Path("/out/in"), created=True, outer=Path("/out"), belongs_to_outer=True)
    assert "/out, which declares it as its pack" in render.init(report)


def test_packs_that_went_together_come_back_by_one_command_the_outer_one_first() -> None:
    inner = RemovalOutcome(path="a/b", status="removed", trash=".grex/trash/1/a/b")
    outer = RemovalOutcome(path="a", status="removed", trash=".grex/trash/2/a")
    assert removed_lines([inner, outer])[2:] == ["             `grex doctor --restore 2 --restore 1` brings them back"]
    assert removed_lines([outer])[1:] == ["             `grex doctor --restore 2` brings it back"]
    many = [RemovalOutcome(path=f"p{n}", status="removed", trash=f".grex/trash/{n}/p{n}") for n in range(11)]
    assert sum("brings it back" in line for line in removed_lines(many)) == 11


def test_an_import_says_what_a_ref_was_and_is_and_of_a_url_only_what_it_was() -> None:
    new = {"ref": "v2", "url": "https://me:secret@host/b", "groups": ["x"]}
    plan = ImportPlan(changed=(ChangedPack("a", 0, new, {"ref": None, "url": "https://host/a"}),))
    report = ImportReport(ROOT, "x.repos", "vcs", dry_run=True, plan=plan)
    assert render.import_packs(report).splitlines()[0] == "change  a  groups, ref none -> v2, url was https://host/a"


@pytest.mark.parametrize(
    ("line", "broken"),
    [
        ("failed       a: one two three four", ["failed       a: one two", "             three four"]),
        ("             hint: one two three", ["             hint: one two", "                   three"]),
        ("note: one two three four five", ["note: one two three four", "  five"]),
        ("             | one  two three four five six", ["             | one  two three four five six"]),
        ("a/b | one two three four five six", ["a/b | one two three four five six"]),
        ("  hint: then `grex sync one`, ok?", ["  hint: then", "        `grex sync one`,", "        ok?"]),
        (
            "cloned       a/very/long/path/that/has/no/blank",
            ["cloned", "             a/very/long/path/that/has/no/blank"],
        ),
    ],
)
def test_a_line_is_broken_below_where_its_text_begins(line: str, broken: list[str]) -> None:
    assert fitted([line], 26) == broken
    assert fitted([line], None) == [line]
