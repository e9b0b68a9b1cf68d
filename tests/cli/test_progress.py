"""Lines for people while a run goes on, and none of them can end it."""

from __future__ import annotations

import errno
import io

from grex.cli.progress import LinePrinter
from grex.progress import CommandOutput, CommandStarted, GitProgress, LockWait, PackFinished, PackStarted


class Closed(io.StringIO):
    """A terminal that has gone away."""

    writes = 0

    def write(self, text: str) -> int:
        """Fail."""
        self.writes += 1
        raise OSError(errno.EIO, "Input/output error")


EVENTS = (
    PackStarted("a", "checkout"),
    GitProgress("a", "Receiving objects", 50),
    PackFinished("a", "cloned", "cloned at 1234"),
    PackFinished("b", "unchanged", ""),
    LockWait("PACK", "/ws/a/.grex-lock", 1.2, "grex sync (pid 7)"),
    LockWait("PACK", "/ws/a/.grex-lock", 10.0, None),
    LockWait("PACK", "/ws/a", 20.0, "pid 7", 0),
    LockWait("PACK", "/ws/a", 30.0, "pid 7", 1),
    LockWait("PACK", "/ws/a", 40.0, "pid 7", 2),
    LockWait("PACK", "/ws/a", 50.0, "pid 7", 1, (8,)),
    LockWait("PACK", "/ws/a", 60.0, None, 3, (8, 9)),
)


def test_a_finished_pack_and_a_wait_are_a_line_each() -> None:
    out = io.StringIO()
    for event in EVENTS:
        LinePrinter(out, quiet=False)(event)
    lines = out.getvalue().splitlines()
    assert lines[:2] == ["cloned       a: cloned at 1234", "unchanged    b"]
    assert len(lines) == 9
    assert "grex sync (pid 7)" in lines[2]
    assert "unknown" in lines[3]
    assert lines[4:] == [
        "waiting 20 s for the pack /ws/a: held by pid 7",
        "waiting 30 s for the pack /ws/a: held by pid 7; 1 other is before this one",
        "waiting 40 s for the pack /ws/a: held by pid 7; 2 others are before this one",
        "waiting 50 s for the pack /ws/a: held by pid 7; 1 other is before this one (pid 8 is stopped)",
        "waiting 60 s for the pack /ws/a: holder unknown; 3 others are before this one (pids 8, 9 are stopped)",
    ]


def test_what_the_report_will_have_is_kept_back_where_it_comes_out_in_the_same_place() -> None:
    out = io.StringIO()
    printer = LinePrinter(out, quiet=False, is_shared=True)
    for status in ("cloned", "left", "failed", "planned", "moved"):
        printer(PackFinished("a", status, "a: text"))
    assert out.getvalue().splitlines() == ["cloned       a: text", "moved        a: text"]
    printer.tell_kept_back()  # there will be no report
    assert out.getvalue().splitlines()[2:] == ["left         a: text", "failed       a: text", "planned      a: text"]
    printer.tell_kept_back()
    assert len(out.getvalue().splitlines()) == 5


def test_beside_a_live_view_only_what_is_done_is_a_line() -> None:
    out = io.StringIO()
    printer = LinePrinter(out, quiet=False, has_view=True, has_colours=True)
    for event in (*EVENTS, CommandStarted("a", "exec make"), CommandOutput("a", "exec make", "made", "stdout")):
        printer(event)
    assert out.getvalue().splitlines() == [
        "\x1b[36mcloned\x1b[0m       a: cloned at 1234",
        "\x1b[2ma |\x1b[0m made",
    ]


def test_quiet_is_quiet() -> None:
    out = io.StringIO()
    for event in EVENTS:
        LinePrinter(out, quiet=True)(event)
    assert out.getvalue() == ""


def test_a_terminal_that_has_gone_away_does_not_end_the_run() -> None:
    out = Closed()
    printer = LinePrinter(out, quiet=False)
    for event in EVENTS:
        printer(event)
    assert out.writes == 1


def test_a_command_is_announced_by_what_is_being_done_to_its_pack() -> None:
    out = io.StringIO()
    printer = LinePrinter(out, quiet=False)
    for event in (
        PackStarted("a", "install"),
        PackStarted("b", "update"),
        CommandStarted("a", "hook .grex/hooks/setup.sh"),
        CommandStarted("b", "exec make"),
        CommandStarted("c", "exec true"),
    ):
        printer(event)
    assert out.getvalue().splitlines() == [
        "installing   a: hook .grex/hooks/setup.sh",
        "updating     b: exec make",
        "running      c: exec true",
    ]


def test_a_line_of_a_command_is_one_write_behind_its_pack() -> None:
    class Writes(io.StringIO):
        def __init__(self) -> None:
            super().__init__()
            self.writes: list[str] = []

        def write(self, text: str) -> int:
            self.writes.append(text)
            return len(text)

    out = Writes()
    LinePrinter(out, quiet=False)(CommandOutput("services/api", "exec make", "all is well", "stdout"))
    assert out.writes == ["services/api | all is well\n"]
