"""Reports as text: a function for each verb, found by its name; its module is imported when it is first asked for."""

from typing import TYPE_CHECKING

from grex.later import imported_later

if TYPE_CHECKING:
    from grex.cli.render.forks import fork, fork_ls, fork_rm
    from grex.cli.render.packs import add, demo, init, locks, ls, plugins, run, status, sync, teardown, trust, update

__all__ = [
    "add",
    "demo",
    "fork",
    "fork_ls",
    "fork_rm",
    "init",
    "locks",
    "ls",
    "plugins",
    "run",
    "status",
    "sync",
    "teardown",
    "trust",
    "update",
]

_LATER = {
    "add": "packs",
    "demo": "packs",
    "fork": "forks",
    "fork_ls": "forks",
    "fork_rm": "forks",
    "init": "packs",
    "locks": "packs",
    "ls": "packs",
    "plugins": "packs",
    "run": "packs",
    "status": "packs",
    "sync": "packs",
    "teardown": "packs",
    "trust": "packs",
    "update": "packs",
}

if not TYPE_CHECKING:  # to a type checker, a room with it has every name there could be
    __getattr__ = imported_later(__name__, _LATER)
