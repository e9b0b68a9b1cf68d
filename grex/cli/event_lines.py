"""`--json-lines`: every event of a run as a line of JSON on standard output, at once, and last the report.

A sink must not wait, and a pipe that nobody reads makes a writer wait; so a thread writes, and the run hands it lines.
Where the reader is slower than the run, the lines wait in memory, and of those the ones about progress are left out
that the next one would replace. When the reader has gone (`| head -1`), the run goes on to its end, as it does with a
report that nobody reads, and its exit code says so.

While the verb runs, descriptor 1 leads to standard error (`output_kept_for_the_report`), so a copy is kept.
"""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from grex.cli.streams import READER_GONE_EXIT_CODE
from grex.progress.wire import line_of, stamped

if TYPE_CHECKING:
    from grex.progress import Event

__all__ = ["EventLines", "print_error_line"]

_MOST_WAITING = 1000
_PASSING = frozenset({"progress", "download"})


class EventLines:
    """A sink, for one run. After its last line it takes nothing any more."""

    def __init__(self) -> None:
        sys.stdout.flush()
        self._fd = os.dup(1)
        self._lines: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._failed: OSError | None = None
        # Events come from the event loop, and from the thread that watches over it: one order for both.
        self._order = threading.Lock()
        self._writer = threading.Thread(target=self._write, name="json-lines", daemon=True)
        self._writer.start()

    def __call__(self, event: Event, /) -> None:
        """Hand the event to the writer."""
        line = line_of(event)
        if line is None or (line["event"] in _PASSING and self._lines.qsize() > _MOST_WAITING):
            return
        self._put(line)

    def report(self, document: Mapping[str, Any], exit_code: int) -> int:
        """End with the report; gives the exit code of the call."""
        return self._end(stamped("report", document=document), exit_code)

    def error(self, error: Mapping[str, Any], exit_code: int) -> int:
        """End with an error; gives the exit code of the call."""
        return self._end(stamped("error", error=error), exit_code)

    def stopped(self, signal: str, exit_code: int) -> int:
        """End because of a signal; gives the exit code of the call."""
        return self._end(stamped("stopped", signal=signal, exit_code=exit_code), exit_code)

    def _put(self, line: Mapping[str, Any], *, is_last: bool = False) -> None:
        data = _rendered(line)
        with self._order:
            self._lines.put(data)
            if is_last:
                self._lines.put(None)  # where the writer ends: what comes later is not written

    def _end(self, line: Mapping[str, Any], exit_code: int) -> int:
        self._put(line, is_last=True)
        self._writer.join()
        if isinstance(self._failed, BrokenPipeError):
            return READER_GONE_EXIT_CODE
        if self._failed is not None:
            print(f"grex: the events cannot be written: {self._failed.strerror}", file=sys.stderr)
            return 1
        return exit_code

    def _write(self) -> None:
        while (data := self._lines.get()) is not None:
            view = memoryview(data)
            try:
                while view and self._failed is None:
                    view = view[os.write(self._fd, view) :]
            except OSError as error:
                self._failed = error
        os.close(self._fd)


def _rendered(line: Mapping[str, Any]) -> bytes:
    text = json.dumps(line, ensure_ascii=False, separators=(",", ":"))
    try:
        return f"{text}\n".encode()
    except UnicodeEncodeError:  # a name that is not UTF-8
        return f"{json.dumps(line, separators=(',', ':'))}\n".encode()


def print_error_line(error: Mapping[str, Any], exit_code: int) -> int:
    """The stream of a call that did not come to a run: its error, and nothing else."""
    return EventLines().error(error, exit_code)
