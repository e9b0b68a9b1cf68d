"""The commands: each turns its options into a `Request`, calls one verb, and has the report rendered.

A command imports its verb when it is run, so that `grex --help` and a short verb do not pay for the others.
"""

from grex.cli.commands.cache import cache
from grex.cli.commands.checkup import doctor
from grex.cli.commands.forks import fork
from grex.cli.commands.interchange import export, freeze, import_packs
from grex.cli.commands.looking import locks, ls, plugins, schema, status
from grex.cli.commands.over import exec_, fetch, path, push, switch
from grex.cli.commands.packs import add, run, sync, teardown, update
from grex.cli.commands.place import demo, init, merge_driver, trust
from grex.cli.commands.removal import rm
from grex.cli.commands.setting import clone, config, override, set_
from grex.cli.commands.showing import completion, diff, graph, help_

__all__ = [
    "add",
    "cache",
    "clone",
    "completion",
    "config",
    "demo",
    "diff",
    "doctor",
    "exec_",
    "export",
    "fetch",
    "fork",
    "freeze",
    "graph",
    "help_",
    "import_packs",
    "init",
    "locks",
    "ls",
    "merge_driver",
    "override",
    "path",
    "plugins",
    "push",
    "rm",
    "run",
    "schema",
    "set_",
    "status",
    "switch",
    "sync",
    "teardown",
    "trust",
    "update",
]
