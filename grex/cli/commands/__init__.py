"""The commands: each turns its options into a `Request`, calls one verb, and has the report rendered.

A command imports its verb when it is run, so that `grex --help` and a short verb do not pay for the others.
"""

from grex.cli.commands.forks import fork
from grex.cli.commands.looking import locks, ls, plugins, schema, status
from grex.cli.commands.packs import add, run, sync, teardown, update
from grex.cli.commands.place import demo, init, merge_driver, trust

__all__ = [
    "add",
    "demo",
    "fork",
    "init",
    "locks",
    "ls",
    "merge_driver",
    "plugins",
    "run",
    "schema",
    "status",
    "sync",
    "teardown",
    "trust",
    "update",
]
