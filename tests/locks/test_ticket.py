"""The numbers that stand for places in a line."""

from __future__ import annotations

import pytest

from grex.locks.ticket import MAX_SEQUENCE, PID_BITS, TICKET_BASE, parse_ticket, render_ticket

HIGHEST_PID = (1 << PID_BITS) - 1
LARGEST_OFFSET = (1 << 63) - 1  # off_t is signed


@pytest.mark.parametrize(("seq", "pid"), [(1, 1), (1, HIGHEST_PID), (7, 4711), (MAX_SEQUENCE, HIGHEST_PID)])
def test_a_place_comes_back_from_its_byte(seq: int, pid: int) -> None:
    offset = render_ticket(seq, pid)
    assert TICKET_BASE < offset <= LARGEST_OFFSET
    assert parse_ticket(offset) == (seq, pid)


def test_the_order_of_the_bytes_is_the_order_of_the_line() -> None:
    places = [(1, HIGHEST_PID), (2, 1), (2, 3), (10, 2), (11, 1)]
    assert sorted(places) == places
    offsets = [render_ticket(*place) for place in places]
    assert sorted(offsets) == offsets


@pytest.mark.parametrize(("seq", "pid"), [(0, 1), (-1, 1), (MAX_SEQUENCE + 1, 1), (1, 0), (1, HIGHEST_PID + 1)])
def test_what_does_not_fit_is_refused(seq: int, pid: int) -> None:
    with pytest.raises(ValueError, match=f"{seq} and the pid {pid}"):
        render_ticket(seq, pid)


@pytest.mark.parametrize("offset", [0, TICKET_BASE - 1, TICKET_BASE, TICKET_BASE + 5, TICKET_BASE + (3 << PID_BITS)])
def test_other_bytes_are_no_tickets(offset: int) -> None:
    assert parse_ticket(offset) is None
