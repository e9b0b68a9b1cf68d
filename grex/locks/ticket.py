"""A place in the line for a lock, written where the kernel keeps it and everybody can read it.

Who waits for a lock file holds an open file description lock on one byte of it, far beyond any content. The number of
that byte says when the waiter came and who it is:

    offset = 2^62 + sequence * 2^22 + pid

so the order of the bytes is the order of the line; of two processes that chose the same sequence number in overlapping
arrivals the smaller pid is first. The kernel frees the byte when its process dies, and `/proc/locks` shows it to
everybody, which is all that `grex locks` needs. A ticket gives order, never the lock itself.

The limits: 2^40 - 1 arrivals at a line that never runs empty in between, and 2^22 pids, which is the most that Linux
hands out.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["MAX_SEQUENCE", "PID_BITS", "TICKET_BASE", "TicketNumber", "parse_ticket", "render_ticket"]

TICKET_BASE = 1 << 62
PID_BITS = 22
MAX_SEQUENCE = (1 << (62 - PID_BITS)) - 1
_PID_MASK = (1 << PID_BITS) - 1


class TicketNumber(NamedTuple):
    """The place of one waiter; the smaller one is served first."""

    seq: int
    pid: int


def render_ticket(seq: int, pid: int) -> int:
    """The offset of the byte that stands for this place.

    Raises:
        ValueError: the number or the pid does not fit.
    """
    if not 0 < seq <= MAX_SEQUENCE or not 0 < pid <= _PID_MASK:
        raise ValueError(f"no ticket has the sequence number {seq} and the pid {pid}")
    return TICKET_BASE + (seq << PID_BITS) + pid


def parse_ticket(offset: int) -> TicketNumber | None:
    """The place that a locked byte stands for; None where that byte is no ticket."""
    seq, pid = divmod(offset - TICKET_BASE, 1 << PID_BITS)
    if not 0 < seq <= MAX_SEQUENCE or pid == 0:
        return None
    return TicketNumber(seq, pid)
