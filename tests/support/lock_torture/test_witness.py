"""The witness sees two holders at once, wherever they are, and a dead one is none."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Generator
from pathlib import Path

import pytest

from tests.support.lock_torture.witness import OverlapError, Witness

_HOLDER = """
import sys
from pathlib import Path
from tests.support.lock_torture.witness import Witness
witness = Witness(Path(sys.argv[1]))
if sys.argv[2] == "child":
    with witness.working_for(int(sys.argv[3]), int(sys.argv[4])):
        print("in", flush=True)
        sys.stdin.read()
else:
    witness.enter(int(sys.argv[3]), sys.argv[2], "the other")
    print("in", flush=True)
    sys.stdin.read()
"""
_ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where the witness is."""
    return tmp_path / "witness"


class Other:
    """Another process that holds the witness."""

    def __init__(self, file: Path, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-S", "-c", _HOLDER, str(file), *arguments],
            cwd=_ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        self.said = self.process.stdout.readline()

    def end(self) -> str:
        """Let it go on and end; what it printed to standard error."""
        return self.process.communicate()[1]


Start = Callable[..., Other]


@pytest.fixture
def start(file: Path) -> Generator[Start]:
    """Starts others; all have ended when the test is over."""
    started: list[Other] = []

    def one(*arguments: str) -> Other:
        started.append(Other(file, *arguments))
        return started[-1]

    yield one
    for other in started:
        if other.process.returncode is None:
            other.end()


@pytest.fixture
def other(start: Start) -> Other:
    """One that holds lock 3 exclusively."""
    holder = start("x", "3")
    assert holder.said == "in\n"
    return holder


@pytest.mark.parametrize("mode", ["x", "s"])
def test_a_holder_of_another_process_is_seen_and_named(file: Path, other: Other, mode: str) -> None:
    with pytest.raises(OverlapError, match=f"pid {other.process.pid}"):
        Witness(file).enter(3, "x" if mode == "x" else "s", "we")


def test_another_lock_is_another_one(file: Path, other: Other) -> None:
    Witness(file).enter(2, "x", "we")
    Witness(file).enter(4, "x", "we")


def test_a_dead_holder_is_none(file: Path, other: Other) -> None:
    other.process.send_signal(signal.SIGKILL)
    other.end()
    Witness(file).enter(3, "x", "we")


@pytest.mark.parametrize(("first", "second"), [("x", "x"), ("x", "s"), ("s", "x")])
def test_two_holders_of_one_process_are_seen(file: Path, first: str, second: str) -> None:
    witness = Witness(file)
    witness.enter(3, "x" if first == "x" else "s", "we")
    with pytest.raises(OverlapError, match="'we'"):
        witness.enter(3, "x" if second == "x" else "s", "they")


def test_readers_share_it_until_the_last_one_has_left(file: Path, start: Start) -> None:
    reader = start("s", "3")
    assert reader.said == "in\n"
    witness = Witness(file)
    witness.enter(3, "s", "we")
    witness.enter(3, "s", "they")
    witness.leave(3, "we")
    reader.end()
    writer = start("x", "3")
    assert writer.said == ""
    assert "OverlapError" in writer.end()
    witness.leave(3, "they")
    assert start("x", "3").said == "in\n"


def test_a_child_that_works_is_seen_by_the_next_holder_at_the_beginning_and_at_the_end(
    file: Path, start: Start
) -> None:
    child = start("child", "3", "1")
    assert child.said == "in\n"
    witness = Witness(file)
    with pytest.raises(OverlapError, match=f"pid {child.process.pid}"):
        witness.enter(3, "x", "we")
    child.end()

    def let_one_in() -> None:
        with witness.inside(3, "x", "we"):
            # It would complain itself, but for that it takes this very process for its parent.
            assert start("child", "3", str(os.getpid())).said == "in\n"

    with pytest.raises(OverlapError, match="pid"):
        let_one_in()


def test_a_child_sees_a_holder_that_is_not_its_parent(start: Start, other: Other) -> None:
    stranger = start("child", "3", "1")
    assert stranger.said == ""
    assert f"pid {other.process.pid} holds" in stranger.end()
    own = start("child", "3", str(other.process.pid))
    assert own.said == "in\n"
    assert own.end() == ""
