"""Reports as text: a function for each verb, found by its name; its module is imported when it is first asked for."""

from typing import TYPE_CHECKING

from grex.later import imported_later

if TYPE_CHECKING:
    from grex.cli.render.cache import cache_gc, cache_ls
    from grex.cli.render.checkup import doctor
    from grex.cli.render.forks import fork, fork_ls, fork_rm
    from grex.cli.render.interchange import export, freeze, import_packs
    from grex.cli.render.over import exec_, fetch, path, push, switch
    from grex.cli.render.packs import add, demo, init, locks, ls, plugins, run, sync, teardown, trust, update
    from grex.cli.render.removal import rm
    from grex.cli.render.setting import clone, config, override, set_pack
    from grex.cli.render.showing import diff, diff_markdown, graph, graph_dot, graph_mermaid
    from grex.cli.render.standing import status

__all__ = [
    "add",
    "cache_gc",
    "cache_ls",
    "clone",
    "config",
    "demo",
    "diff",
    "diff_markdown",
    "doctor",
    "exec_",
    "export",
    "fetch",
    "fork",
    "fork_ls",
    "fork_rm",
    "freeze",
    "graph",
    "graph_dot",
    "graph_mermaid",
    "import_packs",
    "init",
    "locks",
    "ls",
    "override",
    "path",
    "plugins",
    "push",
    "rm",
    "run",
    "set_pack",
    "status",
    "switch",
    "sync",
    "teardown",
    "trust",
    "update",
]

_LATER = {
    "add": "packs",
    "cache_gc": "cache",
    "cache_ls": "cache",
    "clone": "setting",
    "config": "setting",
    "demo": "packs",
    "diff": "showing",
    "diff_markdown": "showing",
    "doctor": "checkup",
    "exec_": "over",
    "export": "interchange",
    "fetch": "over",
    "fork": "forks",
    "fork_ls": "forks",
    "fork_rm": "forks",
    "freeze": "interchange",
    "graph": "showing",
    "graph_dot": "showing",
    "graph_mermaid": "showing",
    "import_packs": "interchange",
    "init": "packs",
    "locks": "packs",
    "ls": "packs",
    "override": "setting",
    "path": "over",
    "plugins": "packs",
    "push": "over",
    "rm": "removal",
    "run": "packs",
    "set_pack": "setting",
    "status": "standing",
    "switch": "over",
    "sync": "packs",
    "teardown": "packs",
    "trust": "packs",
    "update": "packs",
}

if not TYPE_CHECKING:  # to a type checker, a room with it has every name there could be
    __getattr__ = imported_later(__name__, _LATER)
