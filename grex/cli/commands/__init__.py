"""The commands: each turns its options into a `Request`, calls one verb, and has the report rendered.

A command is imported when it is first asked for, and imports its verb when it is run, so that a call does not pay for
the others.
"""

from typing import TYPE_CHECKING

from grex.later import imported_later

if TYPE_CHECKING:
    from grex.cli.commands.cache import cache_group
    from grex.cli.commands.checkup import doctor
    from grex.cli.commands.forks import fork
    from grex.cli.commands.interchange import export, freeze, import_packs
    from grex.cli.commands.looking import locks, ls, plugins, schema, status
    from grex.cli.commands.over import exec_, fetch, path, push, switch
    from grex.cli.commands.packs import add, run, sync, teardown, update
    from grex.cli.commands.place import demo, init, merge_driver, trust
    from grex.cli.commands.removal import rm
    from grex.cli.commands.serving import mcp_group, serve
    from grex.cli.commands.setting import clone, config, override, set_
    from grex.cli.commands.showing import completion, diff, graph, help_

__all__ = [
    "add",
    "cache_group",
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
    "mcp_group",
    "merge_driver",
    "override",
    "path",
    "plugins",
    "push",
    "rm",
    "run",
    "schema",
    "serve",
    "set_",
    "status",
    "switch",
    "sync",
    "teardown",
    "trust",
    "update",
]

_LATER = {
    "add": "packs",
    "cache_group": "cache",
    "clone": "setting",
    "completion": "showing",
    "config": "setting",
    "demo": "place",
    "diff": "showing",
    "doctor": "checkup",
    "exec_": "over",
    "export": "interchange",
    "fetch": "over",
    "fork": "forks",
    "freeze": "interchange",
    "graph": "showing",
    "help_": "showing",
    "import_packs": "interchange",
    "init": "place",
    "locks": "looking",
    "ls": "looking",
    "mcp_group": "serving",
    "merge_driver": "place",
    "override": "setting",
    "path": "over",
    "plugins": "looking",
    "push": "over",
    "rm": "removal",
    "run": "packs",
    "schema": "looking",
    "serve": "serving",
    "set_": "setting",
    "status": "looking",
    "switch": "over",
    "sync": "packs",
    "teardown": "packs",
    "trust": "place",
    "update": "packs",
}

if not TYPE_CHECKING:  # to a type checker, a room with it has every name there could be
    __getattr__ = imported_later(__name__, _LATER)
