"""A credential helper, run by git as a script: it asks the user's own helpers, with inherited descriptors closed.

A git that writes holds the BACKEND lock through an inherited descriptor, so that the lock lives exactly as long as the
last git process. Some credential helpers leave a daemon behind (`credential-cache`), which would inherit the
descriptor too and keep the lock for as long as it lives. So for such commands `grex.git.command` replaces the list of
helpers by this one, which closes the descriptors and then asks `git credential`, which in turn consults the helpers
that the user has configured.

It is Python and not a line of shell because `/bin/sh` may be dash, which cannot close a descriptor above 9. It is
started with `-I -S`, imports nothing of grex, and costs about 10 ms, only where credentials are needed at all.
"""

from __future__ import annotations

import os
import sys

_OPERATIONS = {"get": "fill", "store": "approve", "erase": "reject"}
# What the git above us put in for its own children: its `-c` options, among them the one that made it call us.
_OVERRIDES = ("GIT_CONFIG_PARAMETERS", "GIT_CONFIG_COUNT")


def main(arguments: list[str]) -> int:
    """Become `git credential`; an operation that is not known is ignored, as git asks of helpers."""
    operation = _OPERATIONS.get(arguments[-1]) if arguments else None
    if operation is None:
        return 0
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    environment = {name: value for name, value in os.environ.items() if name not in _OVERRIDES}
    # Only the helpers are to be asked: git itself turns to askpass when they know nothing, and would do so twice.
    # Set but empty also keeps core.askPass and SSH_ASKPASS from being used.
    environment["GIT_ASKPASS"] = ""
    return os.execvpe("git", ["git", "credential", operation], environment)  # noqa: S606 - no shell is wanted


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
