"""The standard streams as they really are: closed, of another encoding, or read by nobody any more.

A program that was started with a closed descriptor 0, 1 or 2 gets that number for the next file that it opens, and a
lock file or a log would then receive what is printed, or be handed to children as their input. So the numbers are
taken first, by the null device. Python in turn has no stream object there, and prints errors to standard output then.

What cannot be encoded (a name that is not UTF-8, a tree's lines under an ASCII locale) is escaped, not a traceback.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager
from io import TextIOWrapper
from pathlib import Path
from typing import NoReturn, Protocol, TextIO

__all__ = [
    "View",
    "give_up",
    "is_one_place",
    "prepare_streams",
    "say",
    "terminal_for_a_question",
    "terminal_height",
    "terminal_width",
    "views_on_the_terminal",
]


class View(Protocol):
    """Something that paints on the terminal of standard error as the run goes on."""

    def suspended(self) -> AbstractContextManager[TextIO]:
        """Away for the block, which is given the terminal to write to."""


views_on_the_terminal: list[View] = []
"""The one that is there now, if there is one: like `sys.stderr` itself, there is one terminal for the process."""

READER_GONE_EXIT_CODE = 128 + 13
"""As of a program that SIGPIPE ends."""


def prepare_streams() -> None:
    """Make sure that there are three standard streams, and that whatever is printed can be."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest free number, which is this one
    null = Path(os.devnull)
    sys.stdin = sys.stdin or null.open(encoding="utf-8")
    sys.stdout = sys.stdout or null.open("w", encoding="utf-8")
    sys.stderr = sys.stderr or null.open("w", encoding="utf-8")
    if isinstance(sys.stdout, TextIOWrapper):  # something else where a program runs us inside of itself
        sys.stdout.reconfigure(encoding=_of_the_locale(), errors="backslashreplace")
    if isinstance(sys.stderr, TextIOWrapper):
        sys.stderr.reconfigure(encoding=_of_the_locale(), errors="backslashreplace")


def _of_the_locale() -> str | None:
    """What the user's terminal takes, where `grex.__main__` chose UTF-8 for names; None to leave it as it is."""
    if "grex_locale" not in sys._xoptions or "PYTHONIOENCODING" in os.environ:  # noqa: SLF001 - documented as it is
        return None
    import locale  # noqa: PLC0415 - rare

    return locale.getencoding()


def is_one_place(one: TextIO, other: TextIO) -> bool:
    """Whether two streams lead to the same terminal, file or pipe."""
    try:
        return os.path.sameopenfile(one.fileno(), other.fileno())
    except (OSError, ValueError):  # closed, or no file at all
        return False


def terminal_width(stream: TextIO, columns: str | None) -> int | None:
    """How wide the terminal is that the stream leads to, in characters; None where it leads elsewhere.

    Args:
        stream: the stream.
        columns: the variable COLUMNS, which counts before what the terminal says of itself.
    """
    try:
        if not stream.isatty():
            return None
        asked = int(columns) if columns and columns.isascii() and columns.isdecimal() else 0
        return (asked or os.get_terminal_size(stream.fileno()).columns) or None
    except (OSError, ValueError):  # closed, or no file at all
        return None


def terminal_height(stream: TextIO) -> int | None:
    """How many lines the terminal has that the stream leads to; None where it leads elsewhere, or nobody knows."""
    try:
        return (os.get_terminal_size(stream.fileno()).lines or None) if stream.isatty() else None
    except (OSError, ValueError):  # closed, or no file at all
        return None


@contextmanager
def terminal_for_a_question() -> Generator[TextIO]:
    """Standard error for as long as somebody is asked there; nothing is painted over the question."""
    if not views_on_the_terminal:
        yield sys.stderr
        return
    with views_on_the_terminal[-1].suspended() as stream:
        yield stream


def say(text: str) -> None:
    """Print a report to its end.

    Raises:
        SystemExit: nobody reads on (`grex ls | head -1`), or the disk behind it is full: what was to be done is done,
            but not all of it was told.
    """
    try:
        print(text, flush=True)
    except OSError as error:
        give_up(error)


def give_up(error: OSError) -> NoReturn:
    """Leave, because standard output takes no more.

    Raises:
        SystemExit: always.
    """
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)  # what is still buffered has somewhere to go when the process ends
    os.close(null)
    if isinstance(error, BrokenPipeError):
        raise SystemExit(READER_GONE_EXIT_CODE) from None
    print(f"grex: the report cannot be written: {error.strerror}", file=sys.stderr)
    raise SystemExit(1) from None
