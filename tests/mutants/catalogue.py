"""The mistakes, in the order of the layers that they break."""

from __future__ import annotations

from tests.mutants.mutation import Edit, Mutation

__all__ = ["MUTATIONS"]

_LOCKS = "tests/locks"

MUTATIONS: tuple[Mutation, ...] = (
    # Tiers.
    Mutation(
        "no-tier-check",
        "L3",
        f"{_LOCKS}/test_tiers.py::test_a_second_pack_is_refused_naming_both_tiers_both_paths_and_the_place",
        (Edit("grex/locks/tiers.py", "        if outer.tier >= tier:\n", "        if outer.tier > Tier.MANIFEST:\n"),),
    ),
    Mutation(
        "two-tiers-swapped",
        "L3",
        f"{_LOCKS}/test_tiers.py::test_backend_is_above_pack_and_below_manifest",
        (Edit("grex/locks/tiers.py", "    PACK = 2\n    BACKEND = 3\n", "    PACK = 3\n    BACKEND = 2\n"),),
    ),
    Mutation(
        "tier-check-by-assert",
        "L3",
        f"{_LOCKS}/test_tiers.py::test_the_order_is_checked_under_python_dash_o",
        (
            Edit(
                "grex/locks/tiers.py",
                "        if outer.tier >= tier:\n",
                "        if __debug__ and outer.tier >= tier:\n",
            ),
        ),
    ),
    Mutation(
        "stack-reset-by-token",
        "L4",
        f"{_LOCKS}/test_tiers.py::test_a_hold_may_be_released_by_another_task",
        (
            Edit("grex/locks/tiers.py", '"place", "tier", "workspace")', '"place", "tier", "token", "workspace")'),
            Edit(
                "grex/locks/tiers.py",
                "    _STACK.set((*stack, frame))\n    return frame",
                "    frame.token = _STACK.set((*stack, frame))\n    return frame",
            ),
            Edit(
                "grex/locks/tiers.py",
                "    _STACK.set(tuple(other for other in stack if other.active))\n",
                "    _STACK.reset(frame.token)\n",
            ),
        ),
    ),
    Mutation(
        "frames-not-shared-with-child-tasks",
        "L3",
        f"{_LOCKS}/test_tiers.py::test_a_child_sees_at_once_that_its_parent_released",
        (Edit("grex/locks/tiers.py", "        self._active = False\n", "        self._active = self._active\n"),),
    ),
    Mutation(
        "no-reentry-check",
        "L9",
        f"{_LOCKS}/test_pack_lock.py::test_reentry_through_any_spelling_is_an_error_at_once",
        (Edit("grex/locks/tiers.py", "        if key is not None and outer.key == key:\n", "        if key == ():\n"),),
    ),
    Mutation(
        "key-by-path-and-not-by-inode",
        "L9",
        f"{_LOCKS}/test_pack_lock.py::test_a_hard_linked_alias_of_the_lock_file_is_the_same_lock",
        (
            Edit(
                "grex/locks/kernel.py",
                "    return OpenedFile(path, fd, (found.st_dev, found.st_ino), found.st_size)\n",
                "    return OpenedFile(path, fd, (found.st_dev, hash(path)), found.st_size)\n",
            ),
        ),
    ),
    # Path mutex.
    Mutation(
        "a-mutex-for-each-loop",
        "L8",
        f"{_LOCKS}/test_pack_lock.py::test_two_event_loops_and_a_plain_thread_are_served_in_the_order_they_came",
        (Edit("grex/locks/path_mutex.py", "class PathMutexes:\n", "class PathMutexes(threading.local):\n"),),
    ),
    Mutation(
        "grant-dropped-on-cancel",
        "L7",
        f"{_LOCKS}/test_pack_lock_cancellation.py"
        "::test_a_waiter_cancelled_in_the_tick_of_its_grant_passes_the_grant_on",
        (
            Edit(
                "grex/locks/attempt.py",
                "            give_up(self._target.kernel, opened, self._ticket, self._frame,",
                "            left = self._ticket if self._protocol.locked or not self._ticket.granted else None\n"
                "            give_up(self._target.kernel, opened, left, self._frame,",
            ),
        ),
    ),
    Mutation(
        "waiter-of-a-closed-loop-keeps-its-turn",
        "L7",
        f"{_LOCKS}/test_many_loops.py::test_a_waiter_in_the_queue_whose_loop_was_closed_is_passed_over",
        (
            Edit(
                "grex/locks/path_mutex.py",
                "so it goes to the next in line.\n                self._leaving.append(ticket)\n",
                "so it goes nowhere.\n                pass\n",
            ),
        ),
    ),
    Mutation(
        "release-waits-for-the-registry",
        "L2",
        f"{_LOCKS}/test_path_mutex.py::test_a_release_on_top_of_another_step_is_done_by_whoever_is_in_the_way",
        (Edit("grex/locks/path_mutex.py", "self._lock.acquire(blocking=False):\n", "self._lock.acquire():\n"),),
    ),
    # The line.
    Mutation(
        "newcomer-ignores-the-line",
        "L5",
        f"{_LOCKS}/test_line.py::test_a_newcomer_does_not_take_a_free_lock_that_somebody_queues_for",
        (
            Edit(
                "grex/locks/protocol.py",
                "        if answer is None:\n            self.strikes = 0\n",
                "        if answer is None or not self.is_queued:\n            self.strikes = 0\n",
            ),
        ),
    ),
    Mutation(
        "cancel-forgets-the-ticket",
        "L2",
        f"{_LOCKS}/test_cancelled_waits.py::test_a_thousand_waiters_cost_no_more_of_the_kernels_than_one",
        (
            Edit(
                "grex/locks/path_mutex.py",
                "        mutex.queue.pop(ticket, None)\n        mutex.drop_number(ticket)\n",
                "        if mutex.queue.pop(ticket, ticket) is not None:\n            mutex.drop_number(ticket)\n",
            ),
        ),
    ),
    Mutation(
        "line-is-never-closed",
        "L2",
        f"{_LOCKS}/test_cancelled_waits.py::test_a_thousand_waiters_cost_no_more_of_the_kernels_than_one",
        (
            Edit(
                "grex/locks/line.py",
                "        if not self._numbers:\n            self.close()\n",
                "",
            ),
        ),
    ),
    Mutation(
        "ticket-kept-after-the-grant",
        "L2",
        f"{_LOCKS}/test_line.py::test_who_has_waited_and_got_the_lock_is_in_the_line_no_more",
        (
            Edit(
                "grex/locks/protocol.py",
                "            self.ask = Ask.RETIRE if self.is_queued else Ask.DONE\n",
                "            self.ask = Ask.DONE\n",
            ),
        ),
    ),
    Mutation(
        "ticket-dropped-without-waking-the-next",
        "L5",
        f"{_LOCKS}/test_line.py::test_the_one_before_us_wakes_us_when_it_leaves_though_others_of_its_process_stay",
        (
            Edit(
                "grex/locks/line.py",
                "        self._hang_up()\n        if not self._numbers:\n            self.close()\n",
                "        if not self._numbers:\n            self.close()\n",
            ),
        ),
    ),
    Mutation(
        "no-second-look-after-the-connection",
        "L5",
        f"{_LOCKS}/test_line.py::test_one_that_leaves_just_before_we_connect_to_its_process_is_not_waited_for",
        (
            Edit(
                "grex/locks/protocol.py",
                "            self.ask = Ask.TRY if self.target == THE_FILE else Ask.LOOK\n",
                "            self.ask = Ask.TRY if self.target == THE_FILE else Ask.SLEEP\n",
            ),
        ),
    ),
    # The watch of the lock file.
    Mutation(
        "watch-added-after-the-last-try",
        "L7",
        f"{_LOCKS}/test_line.py::test_a_lock_that_comes_free_just_before_we_watch_its_file_is_not_waited_for",
        (
            Edit(
                "grex/locks/protocol.py",
                "            self.ask = Ask.TRY if self.target == THE_FILE else Ask.LOOK\n",
                "            self.ask = Ask.SLEEP if self.target == THE_FILE else Ask.LOOK\n",
            ),
        ),
    ),
    Mutation(
        "reading-of-events-not-handed-over",
        "L7",
        f"{_LOCKS}/test_shared_inotify.py::test_when_the_reader_gives_up_another_reads",
        (
            Edit(
                "grex/locks/inotify.py",
                "            self._reader = None\n            for others in",
                "            for others in",
            ),
        ),
    ),
    # Kernel lock and inode.
    Mutation(
        "no-inode-check",
        "L1",
        f"{_LOCKS}/test_one_inode.py::test_a_waiter_on_a_workspace_lock_that_was_replaced_takes_the_new_one",
        (
            Edit(
                "grex/locks/target.py",
                "        return Verdict.HELD if opened.is_still_at(self.path) else Verdict.REPLACED\n",
                "        return Verdict.HELD\n",
            ),
        ),
    ),
    Mutation(
        "no-inode-check-of-a-pack",
        "L1",
        f"{_LOCKS}/test_one_inode.py::test_a_waiter_on_a_file_that_was_renamed_away_takes_the_new_one",
        (
            Edit(
                "grex/locks/pack_lock.py",
                "            return Verdict.HELD if named == opened.key else Verdict.REPLACED\n",
                "            return Verdict.HELD\n",
            ),
        ),
    ),
    Mutation(
        "close-without-unlock",
        "L4",
        f"{_LOCKS}/test_pack_lock.py::test_a_release_frees_the_lock_although_another_process_has_the_descriptor",
        (Edit("grex/locks/hold.py", "        kernel.unlock(opened.fd)\n", "        pass\n"),),
    ),
    Mutation(
        "touch-before-unlock",
        "L4",
        f"{_LOCKS}/test_pack_lock.py::test_a_release_touches_the_file_after_the_unlock_if_somebody_queues",
        (
            Edit(
                "grex/locks/hold.py",
                "        kernel.unlock(opened.fd)\n",
                "        os.utime(opened.fd)\n        kernel.unlock(opened.fd)\n",
            ),
            Edit("grex/locks/hold.py", "            os.utime(opened.fd)  # the event", "            pass  # the event"),
        ),
    ),
    Mutation(
        "no-guard",
        "L1",
        f"{_LOCKS}/test_line.py::test_a_lock_file_that_was_deleted_while_it_is_held_lets_nobody_in",
        (
            Edit(
                "grex/locks/guard.py",
                "    if address is None:\n        return True\n    try:\n",
                "    if address is None or opened is not None:\n        return True\n    try:\n",
            ),
        ),
    ),
    Mutation(
        "path-mutex-left-before-the-kernel-lock",
        "L4",
        f"{_LOCKS}/test_pack_lock.py::test_a_release_goes_the_way_of_the_acquire_backwards",
        (
            Edit(
                "grex/locks/hold.py",
                "    try:\n        if opened is not None:\n            if is_locked:\n",
                "    try:\n        if ticket is not None:\n            PATH_MUTEXES.leave(ticket)\n"
                "        if opened is not None:\n            if is_locked:\n",
            ),
        ),
    ),
    # The watch of an event loop.
    Mutation(
        "one-wait-takes-the-events-of-another",
        "L7",
        f"{_LOCKS}/test_shared_inotify.py::test_the_end_of_one_wait_takes_no_event_from_another",
        (
            Edit(
                "grex/locks/inotify.py",
                "                watch.tell(awake=watch is by)\n",
                "                watch.tell(awake=True)\n",
            ),
        ),
    ),
    Mutation(
        "nobody-reads-for-the-others-any-more",
        "L7",
        f"{_LOCKS}/test_shared_inotify.py::test_when_the_reader_gives_up_another_reads",
        (Edit("grex/locks/inotify.py", "                    others[0].wake()\n", "                    pass\n"),),
    ),
    # Processes.
    Mutation(
        "forked-child-keeps-descriptors",
        "L1",
        f"{_LOCKS}/test_pack_lock.py::test_a_forked_child_holds_nothing_and_takes_nothing_from_its_parent",
        (Edit("grex/locks/inheritance.py", "            os.close(fd)\n", "            pass\n"),),
    ),
    # Cancelling.
    Mutation(
        "cancelled-token-takes-a-free-lock",
        "L7",
        f"{_LOCKS}/test_pack_lock_cancellation.py::test_a_token_that_fired_before_never_acquires_and_is_no_lock_error",
        (
            Edit(
                "grex/locks/attempt.py",
                "        if self._token is not None and self._token.fired:\n",
                "        if self._token is not None and self._waits and self._token.fired:\n",
            ),
        ),
    ),
    Mutation(
        "cancelled-task-takes-a-free-lock",
        "L7",
        f"{_LOCKS}/test_pack_lock_cancellation.py::test_one_who_is_cancelled_already_does_not_take_a_free_lock",
        (
            Edit(
                "grex/locks/file_lock.py",
                "    await anyio.lowlevel.checkpoint_if_cancelled()  #",
                "    pass  #",
            ),
        ),
    ),
)
"""Each of them breaks one promise, and each is killed by the test that it names."""
