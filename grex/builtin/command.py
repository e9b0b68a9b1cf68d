"""What `exec` and the hooks have in common: how a command is shown, and how its failure becomes an error.

A command's output is text from a pack. The error's sentence gets its last line, and `details["output"]` its last
2 KiB, line by line without control characters and credentials.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from grex.builtin.paths import shown
from grex.errors import ActionError
from grex.names import clean
from grex.process import Finished, clip_output

__all__ = ["exit_error", "shown_command"]

_LAST_LINE_CHARACTERS = 200


def shown_command(argv: Sequence[str]) -> str:
    """The command as one would type it, on one line."""
    return shown(shlex.join(argv))


def exit_error(what: str, finished: Finished, *, hint: str) -> ActionError:
    """The error for a command that did not end well.

    Args:
        what: the first part of the sentence: `exec make install`.
        finished: how it ended.
        hint: what the user can do.
    """
    output = clip_output(finished.stdout, finished.stderr)
    last = next((line for line in reversed(output.splitlines()) if line.strip()), "")
    message = f"{what} {finished.describe_end()}"
    if last:
        message += f": {clean(last.strip(), _LAST_LINE_CHARACTERS)}"
    return ActionError(message, hint=hint, details={"output": output, "returncode": finished.returncode})
