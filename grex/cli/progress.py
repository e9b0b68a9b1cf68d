"""One line per finished pack, and who is being waited for, on the error stream."""

from __future__ import annotations

from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from grex.progress import Event

__all__ = ["LinePrinter"]


_LOCKS = {
    "WORKSPACE": "the workspace",
    "PACK": "the pack",
    "BACKEND": "git in",
    "MANIFEST": "the manifest",
}


def _and_stopped(pids: tuple[int, ...]) -> str:
    shown = ", ".join(str(pid) for pid in pids)
    return f"pid {shown} is stopped" if len(pids) == 1 else f"pids {shown} are stopped"


class LinePrinter:
    """A sink that prints what a person wants to know while a run goes on."""

    def __init__(self, stream: TextIO, *, quiet: bool) -> None:
        self._stream = stream
        self._quiet = quiet

    def __call__(self, event: Event, /) -> None:
        """Print the event if it is one for people."""
        from grex.progress import LockWait, PackFinished  # noqa: PLC0415 - loaded by the run anyway

        if self._quiet:
            return
        if isinstance(event, PackFinished):
            text = f": {event.text}" if event.text else ""
            self._say(f"{event.status:<12} {event.pack}{text}")
        elif isinstance(event, LockWait):
            holder = f"held by {event.holder}" if event.holder else "holder unknown"
            what = _LOCKS.get(event.tier, event.tier)
            others = ""
            if event.ahead:
                others = f"; {event.ahead} other{'s are' if event.ahead > 1 else ' is'} before this one"
                if event.stopped:
                    others += f" ({_and_stopped(event.stopped)})"
            self._say(f"waiting {event.waited_s:.0f} s for {what} {event.path}: {holder}{others}")

    def _say(self, text: str) -> None:
        try:
            print(text, file=self._stream, flush=True)
        except OSError:  # a closed terminal must not end the run half-way
            self._quiet = True
