"""Long reports through a pager, as git does it.

GREX_PAGER goes before PAGER, and `less` is for those who set neither; `cat` or nothing at all is no pager. Where LESS
is not set, it is told to end where all fits on the screen (F), to show colours (R) and to leave the screen alone (X).

A pager is a courtesy: one that is not there, or that is left before the end, changes no exit code.
"""

from __future__ import annotations

import shutil
import signal
import subprocess
from collections.abc import Mapping
from contextlib import suppress

__all__ = ["page", "pager_of"]

_NO_PAGER = frozenset({"", "cat"})
_CANNOT_BE_RUN = (126, 127)


def pager_of(environ: Mapping[str, str]) -> str | None:
    """The command of the pager; None where none is wanted, or nobody chose one and there is no `less`."""
    chosen = environ.get("GREX_PAGER", environ.get("PAGER"))
    if chosen is None:
        return "less" if shutil.which("less", path=environ.get("PATH")) else None
    return None if chosen.strip() in _NO_PAGER else chosen


def page(text: str, environ: Mapping[str, str]) -> bool:
    """Show the text in the pager, until it is left; gives whether there was one.

    Ctrl-C is the pager's meanwhile: in `less` it ends a search and not the program.
    """
    command = pager_of(environ)
    if command is None:
        return False
    surroundings = {"LESS": "FRX", "LV": "-c", **environ}
    heard = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with subprocess.Popen(
            ["/bin/sh", "-c", f"trap - INT; {command}"], stdin=subprocess.PIPE, env=surroundings
        ) as pager:
            with suppress(BrokenPipeError):
                pager.communicate(f"{text}\n".encode("utf-8", "backslashreplace"))
            return pager.wait() not in _CANNOT_BE_RUN
    except OSError:
        return False
    finally:
        signal.signal(signal.SIGINT, heard)
