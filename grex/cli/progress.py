"""One line per finished pack, and who is being waited for, on the error stream.

Where the report comes out in the same place, lines that the report will have are kept back for it. A run that ends
without a report tells them then: what failed before a Ctrl-C is worth knowing.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, TextIO

from grex.cli.colours import colours, in_role
from grex.cli.lines import fitted, is_for_the_report, step_lines

if TYPE_CHECKING:
    from grex.progress import Event

__all__ = ["LinePrinter"]


_LOCKS = {
    "WORKSPACE": "the workspace",
    "PACK": "the pack",
    "BACKEND": "git in",
    "MANIFEST": "the manifest",
    "FILE": "the file",
}


_CALLS = {"install": "installing", "update": "updating", "sync": "syncing", "teardown": "tearing down"}


def _and_stopped(pids: tuple[int, ...]) -> str:
    shown = ", ".join(str(pid) for pid in pids)
    return f"pid {shown} is stopped" if len(pids) == 1 else f"pids {shown} are stopped"


class LinePrinter:
    """A sink that prints what a person wants to know while a run goes on.

    Each line is written at once and as a whole, so that lines of packs that run at the same time do not mix.

    Args:
        stream: where to; None is standard error as it is when something is said.
        quiet: print nothing.
        is_shared: whether the report comes out in the same place.
        width: of the terminal; None where it goes elsewhere.
        has_view: whether a live view shows what is being done and waited for, so that only what is done is a line.
        has_colours: whether the lines are coloured.
    """

    def __init__(
        self,
        stream: TextIO | None,
        *,
        quiet: bool,
        is_shared: bool = False,
        width: int | None = None,
        has_view: bool = False,
        has_colours: bool = False,
    ) -> None:
        self._stream = stream
        self._quiet = quiet
        self._is_shared = is_shared
        self._width = width
        self._has_view = has_view
        self._has_colours = has_colours
        self._kept_back: list[str] = []
        self._doing: dict[str, str] = {}

    def __call__(self, event: Event, /) -> None:
        """Print the event if it is one for people."""
        from grex.progress import CommandStarted, LockWait, PluginBlocks  # noqa: PLC0415 - loaded by the run anyway

        if self._quiet or (self._has_view and isinstance(event, CommandStarted | LockWait | PluginBlocks)):
            return
        with colours(self._has_colours):
            self._print(event)

    def _print(self, event: Event) -> None:
        from grex.progress import (  # noqa: PLC0415 - as above
            CommandOutput,
            CommandStarted,
            LockWait,
            PackFinished,
            PackStarted,
            PluginBlocks,
        )

        if isinstance(event, CommandOutput):
            self._say(in_role("dim", f"{event.pack} |") + f" {event.line}")
        elif isinstance(event, CommandStarted):
            self._say(f"{_CALLS.get(self._doing.get(event.pack, ''), 'running'):<12} {event.pack}: {event.label}")
        elif isinstance(event, PackStarted):
            self._doing[event.pack] = event.doing
        elif isinstance(event, PackFinished):
            if self._has_view and event.status == "unchanged":
                return  # the view has counted it, and the summary will: the lines that stay are of what was done
            told = event.told or (event.text,)
            lines = "\n".join(fitted(step_lines(event.status, event.pack, told, self._width), self._width))
            if self._is_shared and is_for_the_report(event.status):
                self._kept_back.append(lines)
            else:
                self._say(lines)
        elif isinstance(event, PluginBlocks):
            pack = f" {event.pack}:" if event.pack else ""
            self._say(
                f"{'blocked':<12}{pack} {event.plugin} has let nothing else run for {event.blocked_s:.0f} s, at"
                f" {event.place}; a second Ctrl-C ends grex at once"
            )
        elif isinstance(event, LockWait):
            holder = f"held by {event.holder}" if event.holder else "holder unknown"
            what = _LOCKS.get(event.tier, event.tier)
            others = ""
            if event.ahead:
                others = f"; {event.ahead} other{'s are' if event.ahead > 1 else ' is'} before this one"
                if event.stopped:
                    others += f" ({_and_stopped(event.stopped)})"
            self._say(f"waiting {event.waited_s:.0f} s for {what} {event.path}: {holder}{others}")

    def tell_kept_back(self) -> None:
        """Print what was kept back for a report that will not come."""
        for line in self._kept_back:
            self._say(line)
        self._kept_back.clear()

    def _say(self, text: str) -> None:
        if self._quiet:
            return
        stream = self._stream or sys.stderr
        try:
            stream.write(f"{text}\n")
            stream.flush()
        except OSError:  # a closed terminal must not end the run half-way
            self._quiet = True
