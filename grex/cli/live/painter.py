"""Paints the live view on a terminal, from a thread of its own: the run hands it events and never waits for it.

The view stands below everything else that was said, and the cursor stands at the beginning of the line below the view,
where it is visible; so a run that is killed leaves a usable terminal and nothing worse than the lines of the view. A
new picture goes up over the last one and overwrites it line by line; what is to stay (a finished pack, what a hook
said) is written in its place, and the view again below it. A picture that is the same as the last one is not written.

While something is asked (`suspended`), the view is away, and what is to stay waits until the question is answered.

rich was measured and left out: it costs 47 ms of processor time to import, as much as half of a sync that has nothing
to do; it hides the cursor, which `kill -9` leaves hidden; and it writes under the lock that the run needs.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from io import TextIOBase
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any, Self, TextIO

from grex.cli.colours import cells, painted
from grex.cli.streams import views_on_the_terminal

if TYPE_CHECKING:
    from grex.cli.live.model import LiveModel, Span
    from grex.progress import Event

__all__ = ["LiveView"]

_PERIOD_S = 0.1
_DELAY_S = 0.3
"""What is over sooner needs no view: it would only flicker."""
_BACK = "\x1b[{}A"
_REST_OF_LINE = "\x1b[K"
_REST_OF_SCREEN = "\x1b[J"


class LiveView:
    """A sink of events, and a context manager: within it, the view is on the terminal, and standard error above it.

    Args:
        model: what there is to show.
        fd: a descriptor of the terminal.
        has_colours: whether it is coloured.
        size: gives columns and rows of the terminal, asked again for every picture: windows change.
        clock: gives the time, in seconds; the one by which the model was begun.
    """

    def __init__(
        self,
        model: LiveModel,
        fd: int,
        *,
        has_colours: bool,
        size: Callable[[], tuple[int, int]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._model = model
        self._fd = fd
        self._has_colours = has_colours
        self._size = size
        self._clock = clock
        self._begun_s = clock()
        self._state = threading.Lock()
        """Held for a moment, never while something is written: for the model and what is to stay."""
        self._screen = threading.RLock()
        """Held by whoever writes to the terminal."""
        self._to_stay: list[str] = []
        self._painted: list[str] = []
        self._is_forgotten = False
        self._is_dead = False
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._work, name="live-view", daemon=True)
        self._handler: Callable[[int, FrameType | None], Any] | int | None = None

    def __call__(self, event: Event, /) -> None:
        """Take an event."""
        with self._state:
            self._model.take(event, self._clock())

    def say(self, text: str) -> None:
        """Let lines appear above the view, and stay; within the tenth of a second."""
        with self._state:
            self._to_stay.append(text)

    def __enter__(self) -> Self:
        """Begin to show it; what is written to standard error comes above it."""
        self._stderr = sys.stderr
        self._above = _Above(self, self._stderr)
        sys.stderr = self._above
        with suppress(ValueError):  # not in the main thread, where signals cannot be heard
            self._handler = signal.signal(signal.SIGCONT, self._continued)
        views_on_the_terminal.append(self)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Take it away; what was to stay has been written then."""
        views_on_the_terminal.remove(self)
        self._above.end()
        sys.stderr = self._stderr
        if self._handler is not None:
            signal.signal(signal.SIGCONT, self._handler)
        self._over.set()
        self._thread.join()

    @contextmanager
    def suspended(self) -> Generator[TextIO]:
        """Take the view away for the block, in which the terminal belongs to a question; gives where to write it."""
        with self._state:
            stay, self._to_stay = self._to_stay, []
        self._screen.acquire()
        try:
            self._write(self._picture([], stay))
            yield self._stderr
        finally:
            self._screen.release()

    def _work(self) -> None:
        while not self._over.wait(_PERIOD_S):
            if not self._screen.acquire(blocking=False):
                continue  # somebody is asked something
            try:
                self._paint()
            finally:
                self._screen.release()
        with self._screen:
            self._paint(is_last=True)

    def _paint(self, *, is_last: bool = False) -> None:
        now_s = self._clock()
        columns, rows = self._size()
        with self._state:
            stay, self._to_stay = self._to_stay, []
            is_shown = not is_last and now_s - self._begun_s >= _DELAY_S
            found = self._model.lines(columns, rows, now_s) if is_shown else []
        lines = [self._text(line) for line in found]
        if stay or lines != self._painted or self._is_forgotten:
            self._write(self._picture(lines, stay))

    def _text(self, line: Sequence[Span]) -> str:
        if not self._has_colours:
            return "".join(text for _, text in line).rstrip()
        return "".join(painted(role, text) for role, text in line).rstrip()

    def _picture(self, lines: list[str], stay: Sequence[str]) -> str:
        """What to write, so that `stay` stands where the view began, and the view below it."""
        columns, rows = self._size()
        # A window that became narrower has broken the lines that stand there.
        before = 0 if self._is_forgotten else sum(max(1, -(-cells(line) // columns)) for line in self._painted)
        self._is_forgotten = False
        self._painted = lines
        shown = [*(line for text in stay for line in text.splitlines()), *lines]
        back = "\r" + (_BACK.format(min(before, rows - 1)) if before else "")
        return back + "".join(f"{line}{_REST_OF_LINE}\n" for line in shown) + _REST_OF_SCREEN

    def _write(self, text: str) -> None:
        data = text.encode("utf-8", "backslashreplace")
        try:
            while data and not self._is_dead:
                data = data[os.write(self._fd, data) :]
        except OSError:  # a closed terminal must not end the run half-way
            self._is_dead = True

    def _continued(self, number: int, frame: FrameType | None) -> None:
        """After Ctrl-Z and `fg`, the last picture stands above what the shell said, and is left there."""
        del number, frame
        self._is_forgotten = True


class _Above(TextIOBase):
    """Standard error while there is a view: whole lines appear above it."""

    def __init__(self, view: LiveView, stream: TextIO) -> None:
        self._view = view
        self._stream = stream
        self._rest = ""

    @property
    def encoding(self) -> str:  # type: ignore[override]  # a plain attribute in the base class
        """That of the terminal."""
        return self._stream.encoding

    def write(self, text: str) -> int:
        """Say every line that is whole."""
        *lines, self._rest = (self._rest + text).split("\n")
        if lines:
            self._view.say("\n".join(lines))
        return len(text)

    def end(self) -> None:
        """Say what was not a whole line."""
        if self._rest:
            self.write("\n")

    def isatty(self) -> bool:
        """It is a terminal."""
        return self._stream.isatty()

    def fileno(self) -> int:
        """The terminal."""
        return self._stream.fileno()
