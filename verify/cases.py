"""What is checked: the configurations in which a model must hold, and the mutations in which it must not.

A mutation is one `#ifdef` of a model: the mistake it makes is small, and one that an implementation could make. Each
names the property by whose violation it is found, as pan prints it, so that a mutation cannot be "found" by accident.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["CHECKS", "MUTATIONS", "PROPERTIES", "Check", "Mutation"]

PROPERTIES = {
    "order": "ahead[me]==0",
    "exclusion": "held==(1<<me)",
    "exclusion of tiers": "owner[",
    "wake-ups": "asleep!=0",
    "a listener for each ticket": "ticket[previous]==0",
    "nothing left": "(ticket[me]==0)&&(link[me]==0)",
    "no lock left": "((held|watching)|event)",
    "no mutex left": "behind[",
    "one asks": "(j==me)",
    "no deadlock": "queueing&",
    "git alone": "git==0",
    "no owner left": "owner[j]!=(me+1)",
    "no place left": "front[",
}
"""A property, and a part of the assertion that stands for it."""


@dataclass(frozen=True, slots=True)
class Check:
    """A model in one configuration, which must hold."""

    model: str
    name: str
    defines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Mutation:
    """A mistake, the smallest configuration in which it shows, and the property that it violates."""

    model: str
    define: str
    defines: tuple[str, ...]
    violates: str
    mistake: str


CHECKS = (
    Check("tiers", "3 tasks, a death", ("KILLS=1",)),
    Check("queue", "3 attempts, flock(1)", ("STRANGER",)),
    Check("queue", "readers and writers, a death", ("READERS", "KILLS=1")),
    Check("queue", "3 attempts, 3 deaths", ("KILLS=3",)),
    Check("tiers", "a command below a task", ("NESTED",)),
    Check("queue", "2 of one process, a death", ("PAIR", "KILLS=1")),
    Check("queue", "2 of one process, flock(1)", ("PAIR", "STRANGER")),
    Check("tiers", "2 processes, all tiers, 2 deaths", ("TASKS=2", "ALL_TIERS", "KILLS=2")),
    Check("queue", "probes out of turn, a death", ("PROBES=1", "KILLS=1")),
    Check("queue", "2 attempts, 2 deaths, flock(1)", ("ATTEMPTS=2", "STRANGER", "KILLS=2")),
    Check("queue", "3 attempts, no timer at all", ("NO_QUICK_RETRIES",)),
)
"""The long ones first, so that two cores end together."""

MUTATIONS = (
    Mutation("queue", "NO_QUICK_RETRIES", ("KILLS=1",), "wake-ups", "no quick retries where a holder died"),
    Mutation("queue", "NO_QUICK_RETRIES", ("STRANGER",), "wake-ups", "no quick retries where flock(1) ended"),
    Mutation(
        "queue",
        "MUTATE_RETRIES_AFTER_EVENTS_ONLY",
        ("KILLS=1",),
        "wake-ups",
        "quick retries after an event and not at the beginning of a watch",
    ),
    Mutation("queue", "MUTATE_WATCH_AFTER_LAST_TRY", (), "wake-ups", "the watch begins after the last try"),
    Mutation("queue", "MUTATE_NO_SECOND_LOOK", ("PAIR",), "wake-ups", "no second look after connecting"),
    Mutation("queue", "MUTATE_WAKE_BEFORE_DROP", ("PAIR",), "wake-ups", "connections are ended before the ticket is"),
    Mutation("queue", "MUTATE_DROP_WITHOUT_WAKE", ("PAIR",), "wake-ups", "a ticket is dropped and nobody woken"),
    Mutation("queue", "MUTATE_TOUCH_BEFORE_UNLOCK", (), "wake-ups", "the file is touched before it is unlocked"),
    Mutation(
        "queue", "MUTATE_LOOK_BEFORE_UNLOCK", (), "wake-ups", "whether anybody queues is looked at before the unlock"
    ),
    Mutation("queue", "MUTATE_RELEASE_WITHOUT_TOUCH", (), "wake-ups", "a release does not touch the file"),
    Mutation("queue", "MUTATE_PROBE_WITHOUT_TOUCH", ("PROBES=1",), "wake-ups", "a probe gives back without a touch"),
    Mutation("queue", "MUTATE_TIE_UNBROKEN", (), "wake-ups", "two with one number each wait for the other"),
    Mutation(
        "queue",
        "MUTATE_FRONT_KEEPS_ITS_PLACE",
        ("PAIR",),
        "wake-ups",
        "who tried in vain stays before others of its process whose tickets are earlier",
    ),
    Mutation(
        "queue",
        "MUTATE_TICKET_BEFORE_LISTENER",
        (),
        "a listener for each ticket",
        "a ticket is taken before there is a listener",
    ),
    Mutation("queue", "MUTATE_NEWCOMER_PASSES_QUEUE", (), "order", "a newcomer takes a free lock past the queue"),
    Mutation("queue", "MUTATE_READER_PASSES_WRITER", ("READERS",), "order", "readers mind no tickets: writers starve"),
    Mutation("queue", "MUTATE_WRITER_PASSES_READER", ("READERS",), "order", "writers do not mind readers' tickets"),
    Mutation("queue", "MUTATE_TICKETS_ALONE", (), "exclusion", "the head takes the lock on the word of its ticket"),
    Mutation("queue", "MUTATE_CANCEL_KEEPS_LOCK", (), "no lock left", "a cancelled attempt keeps the kernel's lock"),
    Mutation("queue", "MUTATE_CANCEL_KEEPS_TICKET", (), "nothing left", "a cancelled attempt keeps its ticket"),
    Mutation("queue", "MUTATE_CANCEL_KEEPS_GRANT", ("PAIR",), "no mutex left", "a grant is dropped on cancel"),
    Mutation("tiers", "MUTATE_SWAPPED_TIERS", (), "no deadlock", "PACK is taken inside of BACKEND"),
    Mutation("tiers", "MUTATE_PERMIT_INSIDE_PACK", (), "no deadlock", "PERMIT is taken inside of PACK"),
    Mutation("tiers", "MUTATE_TWO_PACKS", (), "no deadlock", "two packs are held at once"),
    Mutation("tiers", "MUTATE_KERNEL_BEFORE_MUTEX", (), "one asks", "the kernel is asked before the path mutex"),
    Mutation(
        "tiers", "MUTATE_NESTED_UNTOLD", ("NESTED",), "no deadlock", "a command is not told what is held above it"
    ),
    Mutation("tiers", "MUTATE_MUTEX_ALONE", (), "exclusion of tiers", "the path mutex is trusted without the kernel"),
    Mutation("tiers", "MUTATE_MUTEX_BEFORE_KERNEL", (), "one asks", "the path mutex is left before the unlock"),
    Mutation(
        "tiers", "MUTATE_CLOSE_WITHOUT_UNLOCK", (), "no owner left", "closed and not unlocked, with a forked child"
    ),
    Mutation("tiers", "MUTATE_CANCEL_KEEPS_GRANT", (), "no place left", "a path mutex granted to a cancelled task"),
    Mutation("tiers", "MUTATE_CANCEL_KEEPS_PLACE", (), "no place left", "a cancelled task stays in the queue"),
    Mutation("tiers", "MUTATE_BACKEND_NOT_INHERITED", ("KILLS=1",), "git alone", "git does not inherit BACKEND"),
)
