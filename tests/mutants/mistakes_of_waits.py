"""Mistakes in how one waits: the order of the waiters, what wakes them, and what they are told."""

from __future__ import annotations

from tests.mutants.mutation import Edit, Mutation

__all__ = ["WAITS"]

_LOCKS = "tests/locks"

WAITS: tuple[Mutation, ...] = (
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
    Mutation(
        "newcomer-does-not-look-whether-the-front-still-runs",
        "L7",
        f"{_LOCKS}/test_many_loops.py::test_a_waiter_at_the_front_whose_loop_was_closed_is_passed_over_too",
        (
            Edit(
                "grex/locks/path_mutex.py",
                "        if standing is Standing.QUEUED:\n            self.prod(ticket)\n",
                "",
            ),
        ),
    ),
    Mutation(
        "reports-do-not-look-whether-the-front-still-runs",
        "L7",
        f"{_LOCKS}/test_many_loops.py"
        "::test_a_waiter_at_the_front_whose_loop_is_closed_while_others_wait_is_passed_over_too",
        (
            Edit(
                "grex/locks/attempt.py",
                "            if not ticket.granted:\n                PATH_MUTEXES.prod(ticket)\n",
                "",
            ),
        ),
    ),
    Mutation(
        "a-wake-up-that-was-never-delivered-is-not-posted-again",
        "L7",
        f"{_LOCKS}/test_many_loops.py"
        "::test_a_waiter_at_the_front_whose_loop_is_closed_while_others_wait_is_passed_over_too",
        (
            Edit(
                "grex/locks/waiter.py",
                "        self._is_set = True\n        if self._post is not None:\n",
                "        was_set, self._is_set = self._is_set, True\n"
                "        if self._post is not None and not was_set:\n",
            ),
        ),
    ),
    Mutation(
        "all-waiters-look-at-once-whether-the-head-runs",
        "L5",
        f"{_LOCKS}/test_wait_clock.py::test_of_many_waiters_the_one_behind_the_head_looks_first_whether_it_runs",
        (
            Edit(
                "grex/locks/wait_clock.py",
                "        self._patience_s = SAFETY_S * min(max(1, waiters_before), _MOST_PATIENT)\n",
                "        self._patience_s = SAFETY_S\n",
            ),
        ),
    ),
    Mutation(
        "no-second-probe-soon-after-the-first",
        "L5",
        f"{_LOCKS}/test_wait_clock.py"
        "::test_who_found_the_lock_free_out_of_turn_looks_again_a_second_later_and_takes_it",
        (Edit("grex/locks/wait_clock.py", "        self._next_probe = time.monotonic() + _KICK_S\n", ""),),
    ),
    Mutation(
        "a-file-system-without-tickets-is-not-remembered",
        "L5",
        f"{_LOCKS}/test_without_kernel_help.py::test_the_warning_says_what_is_missing",
        (
            Edit(
                "grex/locks/attempt.py",
                'be_without_tickets(opened, f"it has no open file description locks ({error.strerror})")\n',
                "pass\n",
            ),
        ),
    ),
    Mutation(
        "the-command-line-keeps-the-fallback-to-itself",
        "L5",
        "tests/cli/test_call.py::test_a_wait_that_is_polled_is_warned_of_in_one_line",
        (
            Edit(
                "grex/cli/execution.py",
                '            print(f"grex: warning: {message}", file=sys.stderr)\n',
                "            pass\n",
            ),
        ),
    ),
    # Reports of a wait.
    Mutation(
        "no-search-for-a-circle",
        "L10",
        f"{_LOCKS}/test_wait_graph.py::test_a_wait_that_closes_a_circle_ends_at_its_first_report",
        (Edit("grex/locks/obstacle.py", "    check_cycle(target.tier, target.subject, file)\n", ""),),
    ),
    Mutation(
        "a-report-does-not-say-how-many-are-ahead",
        "L10",
        f"{_LOCKS}/test_inspection_queue.py::test_a_long_wait_says_how_many_are_before_it_and_stands_in_the_line",
        (
            Edit(
                "grex/locks/obstacle.py",
                "    ahead = None if number is None else pids_ahead(file, number)\n",
                "    ahead = None\n",
            ),
        ),
    ),
    Mutation(
        "an-ancestor-is-refused-whenever-it-took-the-lock",
        "L5",
        f"{_LOCKS}/test_held.py::test_an_ancestor_that_took_the_lock_after_it_started_this_process_is_waited_for",
        (
            Edit(
                "grex/locks/held.py",
                "    if age_s is not None and held_for_s is not None and age_s > held_for_s + _CLOCK_SLACK_S:\n",
                "    if age_s is None and held_for_s is None:\n",
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
    # The record, whose making would otherwise be a part of every hand-over.
    Mutation(
        "record-is-found-out-after-the-grant",
        "L10",
        f"{_LOCKS}/test_holder.py::test_who_waits_finds_out_what_its_record_will_say_before_its_turn",
        (Edit("grex/locks/attempt.py", "            prepare_record(target.tier)\n", "            pass\n"),),
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
)
