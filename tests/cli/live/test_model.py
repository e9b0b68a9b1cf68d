"""Events and the time go in, lines come out: on a usual terminal, on a tiny one, with 500 packs."""

from __future__ import annotations

import pytest

from grex.cli.colours import cells
from grex.cli.live import MOST_LINES, LiveModel
from grex.progress import (
    CommandStarted,
    Event,
    FetchProgress,
    GitProgress,
    LockHad,
    LockWait,
    PackFinished,
    PackStarted,
    PermitReturned,
    PermitTaken,
    PluginBlocks,
)

HOLDER = "pid 4242 on host box, grex sync, for 12 s (since 2026-11-22T01:10:49Z)"


def shown(model: LiveModel, now_s: float, columns: int = 80, rows: int = 24) -> list[str]:
    return ["".join(text for _, text in line).rstrip() for line in model.lines(columns, rows, now_s)]


def after(*events: Event, verb: str = "sync", at_s: float = 0.0) -> LiveModel:
    model = LiveModel(verb, 0.0)
    for event in events:
        model.take(event, at_s)
    return model


def row(what: str, age: str, columns: int = 80) -> str:
    return f"{what}{age:>{columns - 1 - len(what)}}"


def test_each_pack_says_what_is_done_to_it_and_for_how_long() -> None:
    packs = ("asked", "block", "cloned", "file", "hook", "line")
    model = after(*(PackStarted(pack, "checkout") for pack in packs))
    for pack in packs[:-1]:
        model.take(PermitTaken(pack, "network"), 1.0)
    model.take(GitProgress("cloned", "receiving", 45, 3_250_000), 2.0)
    model.take(FetchProgress("file", "big.bin", 500, 2048), 2.0)
    model.take(CommandStarted("hook", "hook .grex/hooks/setup.sh"), 2.0)
    model.take(PluginBlocks("block", "slowpoke", "plugin.py:7", 2.0), 2.0)
    assert shown(model, 4.0) == [
        row("sync: checkout 0 of 6", "4 s"),
        row("asked   asking the remote", "3 s"),
        row("block   slowpoke lets nothing else run, at plugin.py:7", "3 s"),
        row("cloned  receiving 45%, 3.1 MiB/s", "3 s"),
        row("file    downloading big.bin: 500 bytes of 2.0 KiB", "3 s"),
        row("hook    running: hook .grex/hooks/setup.sh", "3 s"),
        "+ 1 in line",
    ]


def test_a_lifecycle_call_has_its_own_word_and_what_takes_long_is_marked() -> None:
    model = after(PackStarted("a", "install"), PermitTaken("a", "disk"))
    assert shown(model, 9.9)[1] == row("a  installing", "9 s")
    model.take(CommandStarted("a", "exec 1"), 9.9)
    assert shown(model, 75.0)[1] == row("a  installing: exec 1", "slow 1:15 min")
    assert shown(model, 3725.0)[1] == row("a  installing: exec 1", "slow 1:02 h")


def test_a_wait_says_for_whom_counts_on_and_ends() -> None:
    model = after(PackStarted("libs/a", "checkout"), PermitTaken("libs/a", "disk"))
    model.take(LockWait("PACK", "/ws/libs/a", 1.5, HOLDER, 2, pack="libs/a"), 10.0)
    assert shown(model, 20.0) == [
        row("sync: checkout 0 of 1, 1 waiting for a lock", "20 s"),
        row("libs/a  waits: pid 4242, grex sync, has the pack; 2 before it", "11 s"),
    ]
    model.take(LockHad("PACK", "/ws/libs/a", "libs/a"), 20.0)
    assert shown(model, 21.0)[1] == row("libs/a  checking out", "slow 21 s")


@pytest.mark.parametrize("end", [PermitReturned("a"), PackFinished("a", "failed", "a: locked")])
def test_a_wait_that_was_given_up_ends_with_what_its_pack_was_doing(end: Event) -> None:
    model = after(PackStarted("a", "checkout"), PermitTaken("a", "disk"), LockWait("PACK", "/a", 1.0, None, pack="a"))
    assert "holder unknown" in shown(model, 2.0)[1]
    model.take(end, 3.0)
    assert not any("waits" in line for line in shown(model, 4.0))


def test_what_the_run_itself_waits_for_comes_first_before_any_pack_is_known() -> None:
    model = after(LockWait("WORKSPACE", "/ws", 1.0, HOLDER), at_s=1.0)
    assert shown(model, 8.0) == [
        row("sync, 1 waiting for a lock", "8 s"),
        row("(workspace)  waits: pid 4242, grex sync, has the workspace", "8 s"),
    ]


def test_the_totals_are_those_of_the_phase_and_say_what_went_wrong_in_all() -> None:
    model = after(*(PackStarted(pack, "checkout") for pack in "abcd"))
    for pack, status in zip("abcd", ("cloned", "failed", "left", "unchanged"), strict=True):
        model.take(PackFinished(pack, status, ""), 1.0)
    assert shown(model, 2.0) == [row("sync: checkout 4 of 4, 1 failed, 1 left alone", "2 s")]
    model.take(PackStarted("a", "install"), 2.0)
    assert shown(model, 3.0)[0] == row("sync: install 0 of 1, 1 failed, 1 left alone", "3 s")


def test_where_a_verb_is_its_own_phase_it_is_said_once_and_packs_that_only_end_are_counted() -> None:
    model = after(PackStarted("a", "fetch"), PackFinished("a", "fetched", ""), verb="fetch")
    assert shown(model, 1.0) == [row("fetch: 1 of 1", "1 s")]
    assert shown(after(PackFinished("a", "forked", ""), verb="fork"), 1.0) == [row("fork: 1 of 1", "1 s")]


def test_packs_are_a_tree_below_those_in_whose_directory_they_lie() -> None:
    model = after(PackFinished("app", "cloned", ""))
    for path in ("tool", "app/z/deep", "app/z", "app/a", "tool-x"):
        model.take(PackStarted(path, "checkout"), 0.0)
        model.take(PermitTaken(path, "network"), 0.0)
    assert [line[:28].rstrip() for line in shown(model, 1.0)[1:]] == [
        "app         cloned",
        "├─ a        asking the remot",
        "└─ z        asking the remot",
        "   └─ deep  asking the remot",
        "tool        asking the remot",
        "tool-x      asking the remot",
    ]
    ascii_model = LiveModel("sync", 0.0, is_ascii=True)
    for path in ("a", "a/b"):
        ascii_model.take(PermitTaken(path, "disk"), 0.0)
    assert shown(ascii_model, 1.0)[2].startswith("`- b")


def crowd(at_work: int, packs: int = 500) -> LiveModel:
    paths = [f"some/long-directory-{number % 7}/pack-{number:03}" for number in range(packs)]
    model = after(*(PackStarted(path, "checkout") for path in paths))
    for number, path in enumerate(paths[:at_work]):
        model.take(PermitTaken(path, "network"), float(number))
        model.take(GitProgress(path, "receiving", 45, 3_250_000), float(number))
    return model


@pytest.mark.parametrize(("columns", "rows"), [(80, 24), (40, 10), (200, 60), (20, 5), (7, 3), (1, 2), (80, 1)])
@pytest.mark.parametrize("at_work", [0, 1, 8, 60, 500])
def test_five_hundred_packs_never_fill_the_screen_or_break_a_line(columns: int, rows: int, at_work: int) -> None:
    lines = shown(crowd(at_work), 600.0, columns, rows)
    assert 1 <= len(lines) <= max(min(rows - 1, MOST_LINES), 1)
    assert max(map(cells, lines)) <= max(columns - 1, 1)


def test_where_lines_are_few_the_longest_ones_are_shown_in_the_order_of_paths() -> None:
    lines = shown(crowd(60), 60.0, 40, 10)
    assert lines[0] == row("sync: checkout 0 of 500", "1:00 min", 40)
    assert lines[-1] == "+ 53 more at work, 440 in line"
    assert [line[:9] for line in lines[1:-1]] == [f"…pack-00{number}" for number in range(7)]
    assert all("  receiving 45" in line for line in lines[1:-1])


def test_columns_stay_where_they_are_when_a_long_path_is_done() -> None:
    model = after(PermitTaken("short", "disk"), PermitTaken("a-much-longer-path", "disk"))
    before = shown(model, 1.0)[2].index("at work")
    model.take(PermitReturned("a-much-longer-path"), 1.0)
    assert shown(model, 1.0)[1].index("at work") == before


def test_wide_characters_take_their_room_and_control_characters_none() -> None:
    model = after(PermitTaken("库/包裹", "disk"), CommandStarted("库/包裹", "\x1b[31m漢字" * 30))
    lines = shown(model, 1.0, 60)
    assert cells(lines[1]) <= 59
    assert "\x1b" not in lines[1]
    assert lines[1].startswith("库/包裹  running: 漢字")
