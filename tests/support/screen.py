"""A terminal that shows what was written to it: lines that wrap, a cursor, and as many sequences as we write."""

from __future__ import annotations

import re

__all__ = ["Screen"]

_PIECES = re.compile(r"\x1b\[\??[0-9;]*[A-Za-z]|\r|\n|[^\x1b\r\n]")


class Screen:
    """What stands on a screen of unlimited height. A sequence that it does not know is an error of the test."""

    def __init__(self, columns: int = 80) -> None:
        self.columns = columns
        self.row = self.column = 0
        self._lines: list[str] = [""]

    @property
    def lines(self) -> list[str]:
        """The lines, without blanks at their ends and without those at the end that are empty."""
        found = [line.rstrip() for line in self._lines]
        while found and not found[-1]:
            found.pop()
        return found

    def write(self, text: str) -> None:
        """Take what a program writes; the end of a line as its driver gives it, with a carriage return."""
        for piece in _PIECES.findall(text):
            if piece == "\n":
                self._down()
                self.column = 0
            elif piece == "\r":
                self.column = 0
            elif piece[0] == "\x1b":
                self._obey(piece)
            else:
                if self.column == self.columns:
                    self._down()
                    self.column = 0
                line = self._lines[self.row].ljust(self.column)
                self._lines[self.row] = line[: self.column] + piece + line[self.column + 1 :]
                self.column += 1

    def narrow(self, columns: int) -> None:
        """Make the window narrower, and break the lines that stand there."""
        broken: list[str] = []
        for number, line in enumerate(self._lines):
            if number == self.row:
                self.row = len(broken)
            kept = line.rstrip()
            broken += [kept[at : at + columns] for at in range(0, max(len(kept), 1), columns)]
        self._lines, self.columns = broken, columns

    def _down(self) -> None:
        self.row += 1
        if self.row == len(self._lines):
            self._lines.append("")

    def _obey(self, sequence: str) -> None:
        number = sequence[2:-1]
        if sequence[-1] == "A":
            self.row = max(self.row - int(number or 1), 0)
        elif sequence == "\x1b[K":
            self._lines[self.row] = self._lines[self.row][: self.column]
        elif sequence == "\x1b[J":
            self._lines[self.row] = self._lines[self.row][: self.column]
            del self._lines[self.row + 1 :]
        elif sequence[-1] != "m":
            raise AssertionError(sequence)
