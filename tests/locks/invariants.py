"""The promises of `docs/concurrency.md`, by id; each is defended by tests marked `@pytest.mark.invariant(id)`."""

PROMISES = {
    "L1": "At most one hold per canonical pack on the machine: across tasks, event loops, threads, processes.",
    "L2": "An acquire that raises leaves nothing: no descriptor, watch, ticket, thread, tier frame, path mutex.",
    "L3": "Active tiers strictly increase along any chain of tasks; a violation is a typed error, also under -O.",
    "L4": "Release is the reverse of acquire: kernel lock, path mutex, tier frame; on failed code paths too.",
    "L5": "Waiters on one host are served first come, first served; a cancelled one in the middle delays nobody.",
    "L6": "The death of any process frees what it held and its place in the line; the kernel wakes the next waiter.",
    "L7": "No thread is ever parked for a lock; a cancelled wait ends at once and never holds the lock later.",
    "L8": "The same on asyncio and trio; one process may use several loops and plain threads at once.",
    "L9": "Re-entry by the same task or a child task, through any spelling of the path, is an error at once.",
    "L10": "A busy or timed-out lock says who holds it: pid, host, verb, tier, since when.",
}
