"""Mistakes in what is held, and in how it is taken and given up, in the order of the layers that they break."""

from __future__ import annotations

from tests.mutants.mutation import Edit, Mutation

__all__ = ["HOLDS"]

_LOCKS = "tests/locks"

HOLDS: tuple[Mutation, ...] = (
    # Tiers.
    Mutation(
        "no-tier-check",
        "L3",
        f"{_LOCKS}/test_tiers.py::test_a_second_pack_is_refused_naming_both_tiers_both_paths_and_the_place",
        (Edit("grex/locks/tiers.py", "        if outer.tier >= tier:\n", "        if outer.tier > Tier.MANIFEST:\n"),),
        in_torture=True,
    ),
    Mutation(
        "two-tiers-swapped",
        "L3",
        f"{_LOCKS}/test_tiers.py::test_backend_is_above_pack_and_below_manifest",
        (Edit("grex/locks/tiers.py", "    PACK = 2\n    BACKEND = 3\n", "    PACK = 3\n    BACKEND = 2\n"),),
        in_torture=True,
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
        in_torture=True,
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
        in_torture=True,
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
                "            is_dropped = ending == 'cancel' and not self._protocol.locked\n"
                "            left = None if is_dropped and self._ticket and self._ticket.granted else self._ticket\n"
                "            give_up(self._target.kernel, opened, left, self._frame,",
            ),
        ),
        in_torture=True,
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
    # Kernel lock and inode.
    Mutation(
        "no-inode-check-of-any-kind",
        "L1",
        f"{_LOCKS}/test_one_inode.py::test_a_waiter_on_a_workspace_lock_that_was_replaced_takes_the_new_one",
        (
            Edit(
                "grex/locks/attempt.py",
                "        verdict = target.file.confirm(opened)\n",
                "        verdict = target.file.confirm(opened)\n"
                "        verdict = Verdict.HELD if verdict is Verdict.REPLACED else verdict\n",
            ),
            Edit(
                "grex/locks/attempt.py",
                "target.file.confirm_guarded(opened) if is_free",
                "Verdict.HELD if is_free",
            ),
        ),
        in_torture=True,
    ),
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
        in_torture=True,
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
        "guard-dropped-after-the-unlock",
        "L4",
        f"{_LOCKS}/test_release_order.py::test_who_finds_the_lock_free_does_not_find_its_guard_taken",
        (
            Edit("grex/locks/hold.py", "    opened.drop_guard()  # first: who", "    # first: who"),
            Edit(
                "grex/locks/hold.py",
                "        kernel.unlock(opened.fd)\n",
                "        kernel.unlock(opened.fd)\n    opened.drop_guard()\n",
            ),
        ),
    ),
    Mutation(
        "guard-never-dropped",
        "L4",
        f"{_LOCKS}/test_release_order.py::test_the_guard_of_a_lock_is_free_when_the_lock_is",
        (Edit("grex/locks/kernel.py", "            close_descriptor(guard)\n", "            pass\n"),),
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
    Mutation(
        "a-long-record-keeps-its-end",
        "L10",
        f"{_LOCKS}/test_holder.py::test_a_record_that_is_longer_than_ours_can_be_is_gone_to_its_last_byte",
        (
            Edit(
                "grex/locks/target.py",
                "os.pread(opened.fd, MAX_RECORD_BYTES + 1, 0)",
                "os.pread(opened.fd, MAX_RECORD_BYTES, 0)",
            ),
        ),
    ),
)
