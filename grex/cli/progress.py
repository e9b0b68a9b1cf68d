"""One line per finished pack, and who is being waited for, on the error stream.

Where the report comes out in the same place, lines that the report will have are kept back for it. A run that ends
without a report tells them then: what failed before a Ctrl-C is worth knowing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TextIO

from grex.cli.lines import is_for_the_report, pack_line

if TYPE_CHECKING:
    from grex.progress import Event

__all__ = ["LinePrinter"]


_LOCKS = {
    "WORKSPACE": "the workspace",
    "PACK": "the pack",
    "BACKEND": "git in",
    "MANIFEST": "the manifest",
}


class LinePrinter:
    """A sink that prints what a person wants to know while a run goes on.

    Args:
        stream: where to.
        quiet: print nothing.
        is_shared: whether the report comes out in the same place.
    """

    def __init__(self, stream: TextIO, *, quiet: bool, is_shared: bool = False) -> None:
        self._stream = stream
        self._quiet = quiet
        self._is_shared = is_shared
        self._kept_back: list[str] = []

    def __call__(self, event: Event, /) -> None:
        """Print the event if it is one for people."""
        from grex.progress import LockWait, PackFinished  # noqa: PLC0415 - loaded by the run anyway

        if self._quiet:
            return
        if isinstance(event, PackFinished):
            line = pack_line(event.status, event.pack, event.text)
            if self._is_shared and is_for_the_report(event.status):
                self._kept_back.append(line)
            else:
                self._say(line)
        elif isinstance(event, LockWait):
            holder = f"held by {event.holder}" if event.holder else "holder unknown"
            what = _LOCKS.get(event.tier, event.tier)
            others = ""
            if event.ahead:
                others = f"; {event.ahead} other{'s are' if event.ahead > 1 else ' is'} before this one"
            self._say(f"waiting {event.waited_s:.0f} s for {what} {event.path}: {holder}{others}")

    def tell_kept_back(self) -> None:
        """Print what was kept back for a report that will not come."""
        for line in self._kept_back:
            self._say(line)
        self._kept_back.clear()

    def _say(self, text: str) -> None:
        if self._quiet:
            return
        try:
            print(text, file=self._stream, flush=True)
        except OSError:  # a closed terminal must not end the run half-way
            self._quiet = True
