"""Tells a mistake that a test noticed from a wreck: code that fails because it does not hold together.

Code that names what is not there fails in any test that comes by, whatever that is about, so its death says nothing of
the promise. Such names get into the list when the code is renamed and the text of a mutation still fits.

What is read is the output of pytest with `--tb=short`, and in it the tracebacks that Python itself writes: those of
exception groups, threads and other processes.
"""

from __future__ import annotations

import re

__all__ = ["find_wreck"]

# `grex/locks/line.py:12: in take` of pytest, `File "/copy/grex/locks/line.py", line 12` of Python
_PLACE = re.compile(r'^(?:File "(?P<python>[^"]+)", line \d+|(?P<pytest>\S+\.py):\d+: in )')
_SUBJECTS = "AttributeError|ImportError|IndentationError|ModuleNotFoundError|NameError|SyntaxError|UnboundLocalError"
_ERROR = re.compile(rf"^(?:{_SUBJECTS})(?::|$)")
# "asyncio-0: NameError: name 'x' is not defined (/copy/grex/locks/line.py:12)", as the torture tells it
_FINDING = re.compile(rf"(?:{_SUBJECTS}): .*\((?P<place>[^()]*\.py):\d+\)")
_MARGIN = re.compile(r"^(?:E |[ |+>-])*")  # of pytest, and of the members of an exception group
_CODE = re.compile(r"(?:^|/)grex/")


def find_wreck(output: str) -> str | None:
    """The line of the first error of this kind that was raised in the code of grex itself; None if there is none."""
    place = ""
    for line in output.splitlines():
        text = line[len(match.group()) :] if (match := _MARGIN.match(line)) else line
        if found := _PLACE.match(text):
            place = found["python"] or found["pytest"]
        elif _ERROR.match(text):
            if _CODE.search(place):
                return f"{place}: {text}"
            place = ""
        elif (found := _FINDING.search(text)) and _CODE.search(found["place"]):
            return text
    return None
