"""The path mutex as a state machine: every order of three attempts on two keys."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from grex.locks.path_mutex import PathMutexes, Ticket, TicketState

KEYS = [(1, 1), (1, 2)]


def programs(count: int) -> Iterator[tuple[int, ...]]:
    """Every order in which `count` attempts can enter and leave: the first mention enters, the second leaves."""
    return iter(sorted(set(itertools.permutations(sorted([*range(count), *range(count)])))))


@pytest.mark.invariant("L5")
def test_in_every_order_the_mutex_excludes_serves_in_order_and_forgets() -> None:
    """For each of 90 orders, 8 choices of key and 8 of mode.

    - A ticket holds only together with others if all of them share.
    - Nobody waits whom nobody is in the way of: the holders, or an earlier waiter.
    - Whoever waits and is granted was woken.
    - In the end the registry is empty.
    """
    runs = 0
    for order in programs(3):
        for keys in itertools.product(KEYS, repeat=3):
            for shared in itertools.product([False, True], repeat=3):
                run_one(order, keys, shared)
                runs += 1
    assert runs == 90 * 8 * 8


def run_one(order: tuple[int, ...], keys: tuple[tuple[int, int], ...], shared: tuple[bool, ...]) -> None:
    mutexes = PathMutexes()
    woken: set[int] = set()
    tickets: dict[int, Ticket] = {}
    waited: set[int] = set()
    arrived: list[int] = []
    for number in order:
        if number not in tickets:
            tickets[number] = Ticket(keys[number], lambda number=number: woken.add(number), shared=shared[number])  # type: ignore[misc]  # mypy cannot type a default in a lambda
            mutexes.enter(tickets[number])
            arrived.append(number)
            if not tickets[number].granted:
                waited.add(number)
        else:
            mutexes.leave(tickets[number])
        for key in KEYS:
            check_key([n for n in arrived if keys[n] == key], tickets, shared)
        assert {n for n in waited if tickets[n].granted} <= woken
    assert len(mutexes) == 0


def check_key(arrived: list[int], tickets: dict[int, Ticket], shared: tuple[bool, ...]) -> None:
    holding = [n for n in arrived if tickets[n].state is TicketState.GRANTED]
    waiting = [n for n in arrived if tickets[n].state is TicketState.WAITING]
    assert len(holding) <= 1 or all(shared[n] for n in holding)
    if waiting:
        assert holding, "somebody waits for nobody"
        assert not (shared[waiting[0]] and all(shared[n] for n in holding)), "the head could have been let in"
        assert all(n < waiting[0] or arrived.index(n) < arrived.index(waiting[0]) for n in holding), "overtaken"


def is_granted(ticket: Ticket) -> bool:
    """A call, so that a type checker does not take the first answer for the last."""
    return ticket.granted


@pytest.mark.invariant("L2")
def test_a_grant_to_a_dead_event_loop_goes_to_the_next_in_line() -> None:
    def dead() -> None:
        raise RuntimeError("Event loop is closed")

    mutexes = PathMutexes()
    first, second, third = (Ticket(KEYS[0], wake) for wake in (lambda: None, dead, lambda: None))
    for ticket in (first, second, third):
        mutexes.enter(ticket)
    mutexes.leave(first)
    assert second.state is TicketState.GONE
    assert third.granted
    mutexes.leave(third)
    assert len(mutexes) == 0


@pytest.mark.invariant("L2")
def test_a_release_on_top_of_another_step_is_done_by_whoever_is_in_the_way() -> None:
    """A finaliser or signal handler runs while this very thread has the registry's lock: it must not wait for it."""
    mutexes = PathMutexes()
    first, second = Ticket(KEYS[0], lambda: None), Ticket(KEYS[0], lambda: None)
    mutexes.enter(first)
    mutexes.enter(second)
    with mutexes._lock:
        mutexes.leave(first)  # would hang if it took the lock
        assert not is_granted(second)
    other = Ticket(KEYS[1], lambda: None)
    mutexes.enter(other)
    assert is_granted(second)
    mutexes.leave(second)
    mutexes.leave(other)


@pytest.mark.invariant("L5")
def test_a_newcomer_does_not_overtake_a_queue_even_if_it_would_fit() -> None:
    mutexes = PathMutexes()
    reader, writer, late = (Ticket(KEYS[0], lambda: None, shared=shared) for shared in (True, False, True))
    for ticket in (reader, writer, late):
        mutexes.enter(ticket)
    assert not is_granted(late)
    mutexes.leave(writer)
    assert is_granted(late)
    mutexes.leave(reader)
    mutexes.leave(late)


def test_one_that_must_not_wait_is_never_queued() -> None:
    mutexes = PathMutexes()
    first, second = Ticket(KEYS[0], lambda: None), Ticket(KEYS[0], lambda: None)
    mutexes.enter(first)
    mutexes.enter(second, may_wait=False)
    assert second.state is TicketState.GONE
    mutexes.leave(first)
    mutexes.leave(first)
    assert len(mutexes) == 0
