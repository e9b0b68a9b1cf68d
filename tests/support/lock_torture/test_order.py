"""Who overtook whom is told from the trace, and only where it tells."""

from __future__ import annotations

import json
from collections.abc import Collection

import pytest

from tests.support.lock_torture.order import Order, count_order

Line = tuple[str, str, int, int]  # event, token, pid, milliseconds


def count(*lines: Line, path: str = "/p", suspended: Collection[tuple[int, int, int]] = ()) -> Order:
    rendered = [
        json.dumps({"ev": event, "tok": tok, "pid": pid, "ns": ms * 1_000_000, "tier": 2, "path": path}).encode()
        for event, tok, pid, ms in lines
    ]
    return count_order([*rendered, b"torn"], {"/p"}, suspended)


def test_who_came_clearly_later_and_was_first_has_overtaken() -> None:
    waits: list[Line] = [("wait", "a", 7, 0), ("wait", "b", 7, 100)]
    assert count(*waits, ("acquire", "b", 7, 200), ("acquire", "a", 7, 300)) == Order(1, 1, 0, 0)
    assert count(*waits, ("acquire", "a", 7, 200), ("acquire", "b", 7, 300)) == Order(1, 0, 0, 0)


def test_other_processes_are_counted_apart() -> None:
    lines: list[Line] = [("wait", "a", 7, 0), ("wait", "b", 8, 100), ("acquire", "b", 8, 200), ("acquire", "a", 7, 300)]
    assert count(*lines) == Order(0, 0, 1, 1)


@pytest.mark.parametrize(
    "lines",
    [
        [("wait", "a", 7, 0), ("wait", "b", 7, 5), ("acquire", "b", 7, 200), ("acquire", "a", 7, 300)],
        [("wait", "a", 7, 0), ("wait", "b", 7, 100), ("acquire", "b", 7, 200), ("timeout", "a", 7, 300)],
        [("wait", "a", 7, 0), ("wait", "b", 7, 100), ("acquire", "b", 7, 200)],
    ],
    ids=["too close to tell", "timed out", "killed"],
)
def test_what_tells_nothing_does_not_count(lines: list[Line]) -> None:
    assert count(*lines).overtaken_here == 0


def test_who_was_overtaken_twice_counts_once() -> None:
    found = count(
        *[("wait", "a", 7, 0), ("wait", "b", 8, 100), ("wait", "c", 8, 150)],
        *[("acquire", "b", 8, 200), ("acquire", "c", 8, 250), ("acquire", "a", 7, 300)],
    )
    assert (found.contended_elsewhere, found.overtaken_elsewhere) == (2, 1)


@pytest.mark.parametrize(("pid", "begin", "end", "overtaken"), [(7, 5, 50, 0), (7, 400, 500, 1), (8, 5, 50, 1)])
def test_who_was_suspended_while_it_waited_was_not_overtaken(pid: int, begin: int, end: int, overtaken: int) -> None:
    lines: list[Line] = [("wait", "a", 7, 0), ("wait", "b", 8, 100), ("acquire", "b", 8, 200), ("acquire", "a", 7, 300)]
    suspended = [(pid, begin * 1_000_000, end * 1_000_000)]
    assert count(*lines, suspended=suspended).overtaken_elsewhere == overtaken


def test_other_packs_are_left_out() -> None:
    lines: list[Line] = [("wait", "a", 7, 0), ("wait", "b", 7, 100), ("acquire", "b", 7, 200), ("acquire", "a", 7, 300)]
    assert count(*lines, path="/q") == Order()


def test_a_hand_off_is_from_a_release_to_the_grant_of_one_that_waited_elsewhere() -> None:
    first: list[Line] = [("wait", "a", 7, 0), ("acquire", "a", 7, 1)]
    assert count(
        *first, ("wait", "b", 8, 5), ("release", "a", 7, 10), ("acquire", "b", 8, 13)
    ).hand_off_ms == pytest.approx(3)
    came_later = count(*first, ("release", "a", 7, 10), ("wait", "b", 8, 12), ("acquire", "b", 8, 13))
    of_the_same = count(*first, ("wait", "b", 7, 5), ("release", "a", 7, 10), ("acquire", "b", 7, 13))
    assert came_later.hand_offs_ns == of_the_same.hand_offs_ns == []
    assert came_later.hand_off_ms == 0


def test_a_hand_off_that_took_nearly_as_long_as_the_safety_poll_is_slow() -> None:
    waits: list[Line] = [("wait", "a", 7, 0), ("acquire", "a", 7, 1), ("wait", "b", 8, 5), ("release", "a", 7, 10)]
    assert count(*waits, ("acquire", "b", 8, 700)).slow_hand_offs == 0
    assert count(*waits, ("acquire", "b", 8, 720)).slow_hand_offs == 1
