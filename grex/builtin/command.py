"""What `exec` and the hooks have in common: how a command is shown, and how its failure becomes an error.

A command's output is text from a pack. `details["output"]` has its last 2 KiB, line by line without control characters
and credentials; the sentence leaves it out, for whoever reads both would read it twice.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from grex.builtin.paths import shown
from grex.errors import ActionError
from grex.process import Finished, clip_output

__all__ = ["exit_error", "shown_command"]


def shown_command(argv: Sequence[str]) -> str:
    """The command as one would type it, on one line."""
    return shown(shlex.join(argv))


def exit_error(what: str, finished: Finished, *, hint: str, file: str | None = None) -> ActionError:
    """The error for a command that did not end well.

    Args:
        what: the first part of the sentence: `exec make install`.
        finished: how it ended.
        hint: what the user can do.
        file: the file that is to blame, where that is not the pack.yaml; `what` begins with it.
    """
    output = clip_output(finished.stdout, finished.stderr)
    details: dict[str, str | int | None] = {"output": output, "returncode": finished.returncode}
    if file is not None:
        details["file"] = file
    return ActionError(f"{what} {finished.describe_end()}", hint=hint, details=details)
