"""What stands on the terminal, picture by picture, and that a run never waits for it."""

from __future__ import annotations

import io
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from grex.cli.live import LiveModel, LiveView
from grex.cli.live.painter import _Above
from grex.cli.streams import terminal_for_a_question
from grex.progress import PackFinished, PackStarted, PermitReturned, PermitTaken
from tests.support.screen import Screen

PATIENCE_S = 60.0


class Place:
    """A view on a pipe, a clock that stands, and a screen that shows what came through the pipe."""

    def __init__(self, *, has_colours: bool = False) -> None:
        self.now_s = 0.0
        self.size = (40, 10)
        self.screen = Screen(40)
        self.bytes = b""
        self.out, self.fd = os.pipe()
        self.view = LiveView(
            LiveModel("sync", 0.0),
            self.fd,
            has_colours=has_colours,
            size=lambda: self.size,
            clock=lambda: self.now_s,
        )

    def paint(self, *, is_last: bool = False) -> list[str]:
        """The screen after the next picture."""
        self.view._paint(is_last=is_last)
        return self.read()

    def read(self) -> list[str]:
        os.write(self.fd, b"\0")  # so that there is something to read
        while not (piece := os.read(self.out, 65536)).endswith(b"\0"):
            self.bytes += piece
        self.bytes += piece[:-1]
        self.screen.write(piece[:-1].decode())
        return self.screen.lines

    def expect(self, text: str) -> None:
        """Read on until this is on the screen."""
        while not any(text in line for line in self.screen.lines):
            piece = os.read(self.out, 65536)
            self.bytes += piece
            self.screen.write(piece.decode())

    def close(self) -> None:
        os.close(self.out)
        os.close(self.fd)


@contextmanager
def a_place(**how: bool) -> Iterator[Place]:
    place = Place(**how)
    try:
        yield place
    finally:
        place.close()


@pytest.fixture
def place() -> Iterator[Place]:
    with a_place() as made:
        yield made


def test_what_stays_stands_above_and_at_the_end_nothing_else_is_left(place: Place) -> None:
    for pack in ("a", "b"):
        place.view(PackStarted(pack, "checkout"))
        place.view(PermitTaken(pack, "network"))
    assert place.paint() == []  # what is over at once needs no view
    place.now_s = 1.0
    place.screen.write("$ grex sync\n")
    assert [line[:22].rstrip() for line in place.paint()] == [
        "$ grex sync",
        "sync: checkout 0 of 2",
        "a  asking the remote",
        "b  asking the remote",
    ]
    assert (place.screen.row, place.screen.column) == (4, 0)  # below, where a shell would go on
    place.view(PermitReturned("a"))
    place.view(PackFinished("a", "cloned", ""))
    place.view.say("cloned  a, in a line that is longer than it is wide here")
    stays = ["$ grex sync", "cloned  a, in a line that is longer than", " it is wide here"]
    lines = place.paint()
    assert lines[:3] == stays
    assert [line[:22].rstrip() for line in lines[3:]] == ["sync: checkout 1 of 2", "b  asking the remote"]
    assert place.paint(is_last=True) == stays
    assert b"\x1b[?" not in place.bytes  # neither the cursor nor the screen is switched


def test_a_picture_like_the_last_one_is_not_written(place: Place) -> None:
    place.view(PackStarted("a", "checkout"))
    place.now_s = 1.0
    place.paint()
    before = place.bytes
    place.now_s = 1.05
    place.paint()
    assert place.bytes == before
    place.now_s = 2.0
    place.paint()
    assert place.bytes != before


def test_a_window_that_became_narrower_is_painted_without_remains(place: Place) -> None:
    place.view(PackStarted("a/rather/long/path", "checkout"))
    place.view(PermitTaken("a/rather/long/path", "network"))
    place.now_s = 1.0
    place.screen.write("$ grex sync\n")
    assert len(place.paint()) == 3
    place.size = (20, 10)
    place.screen.narrow(20)
    assert len(place.screen.lines) == 5
    lines = place.paint()
    assert (lines[0], len(lines)) == ("$ grex sync", 3)
    assert max(map(len, lines)) <= 19


def test_after_ctrl_z_the_next_picture_stands_below_what_the_shell_said(place: Place) -> None:
    place.view(PackStarted("a", "checkout"))
    place.now_s = 1.0
    place.paint()
    place.screen.write("[1]+ Stopped\n$ fg\n")
    place.view._continued(signal.SIGCONT, None)
    assert [line[:8] for line in place.paint()] == ["sync: ch", "+ 1 in l", "[1]+ Sto", "$ fg", "sync: ch", "+ 1 in l"]


def test_colours_are_added_where_there_are_some_and_the_text_is_the_same() -> None:
    pictures = []
    for has_colours in (False, True):
        with a_place(has_colours=has_colours) as place:
            place.view(PackStarted("a", "checkout"))
            place.now_s = 1.0
            pictures.append((place.paint(), b"\x1b[1m" in place.bytes))
    assert pictures[0][0] == pictures[1][0]
    assert [is_coloured for _, is_coloured in pictures] == [False, True]


def test_a_terminal_that_has_gone_ends_the_view_and_not_the_run(place: Place) -> None:
    os.close(place.out)
    place.now_s = 1.0
    place.view.say("a")
    place.view._paint()
    place.view.say("b")
    place.view._paint()
    assert place.view._is_dead
    place.out = os.open(os.devnull, os.O_RDONLY)


def test_standard_error_comes_above_the_view_and_a_question_has_the_terminal_to_itself(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the thread that paints, and the clock that stands at a second.

    - whole lines appear above the view, a part of one waits for its end;
    - a question is written where the view was, and nothing is while it stands;
    - after it, what was said meanwhile appears, and the view below it.
    """
    place.view(PackStarted("a", "checkout"))
    place.now_s = 1.0
    stderr = io.StringIO()
    monkeypatch.setattr("sys.stderr", stderr)
    handler = signal.getsignal(signal.SIGCONT)
    with place.view:
        assert isinstance(sys.stderr, _Above)
        print("a warn", file=sys.stderr, end="")
        print("ing", file=sys.stderr)
        place.expect("a warning")
        place.expect("+ 1 in line")
        with terminal_for_a_question() as out:
            assert out is stderr
            assert place.read() == ["a warning"]
            print("said meanwhile", file=sys.stderr)
            place.screen.write("Really? y\n")
            may_paint: list[bool] = []
            painter = threading.Thread(target=lambda: may_paint.append(place.view._screen.acquire(blocking=False)))
            painter.start()
            painter.join(PATIENCE_S)
            assert may_paint == [False]
            assert place.read() == ["a warning", "Really? y"]
        place.expect("said meanwhile")
        place.expect("+ 1 in line")
        print("last words", file=sys.stderr, end="")
    place.read()
    assert place.screen.lines == ["a warning", "Really? y", "said meanwhile", "last words"]
    assert signal.getsignal(signal.SIGCONT) is handler
    with terminal_for_a_question() as out:
        assert out is stderr


def test_a_run_never_waits_for_a_terminal_that_takes_nothing(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """The pipe is full: the painter stands still, and who tells it something does not."""
    os.set_blocking(place.fd, False)
    try:
        while True:
            os.write(place.fd, b" " * 4096)
    except BlockingIOError:
        os.set_blocking(place.fd, True)
    place.now_s = 1.0
    writes = threading.Event()
    write = place.view._write

    def telling(text: str) -> None:
        writes.set()
        write(text)

    monkeypatch.setattr(place.view, "_write", telling)
    with place.view:
        place.view.say("stands still")
        assert writes.wait(PATIENCE_S)
        for number in range(2000):
            place.view(PackFinished(f"p{number}", "cloned", ""))
            place.view.say(f"cloned  p{number}" + " " * 100)
        reader = threading.Thread(target=place.expect, args=("cloned  p1999",), daemon=True)
        reader.start()
    reader.join(PATIENCE_S)
    assert not reader.is_alive()
