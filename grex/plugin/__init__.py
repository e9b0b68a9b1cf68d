"""The API for plugin authors: pack types, actions, predicates, fetchers, and what they are given to work with.

API version 1. A plugin is a class and an entry point in the group `grex.pack_types`, `grex.actions`, `grex.predicates`
or `grex.fetchers`; those that ship with grex are registered the same way and get nothing that a third party's would
not get.

The arguments of the built-in actions are imported when they are first asked for: most calls run no action.
"""

from typing import TYPE_CHECKING

from grex.later import imported_later
from grex.plugin.action_type import ActionContext, ActionType
from grex.plugin.arguments import ActionArguments
from grex.plugin.fetcher import FetchContext, Fetcher
from grex.plugin.listing import Listed
from grex.plugin.pack_type import Context, Hold, PackType
from grex.plugin.predicate_type import PredicateContext, PredicateType
from grex.plugin.registry import Registry
from grex.plugin.values import API_VERSION, Change, Claim, Done, Outcome, Pack, PackSkippedError, Planned

if TYPE_CHECKING:
    from grex.plugin.actions import Copy, Env, Exec, Mkdir, Require, Rmdir, Symlink, When

__all__ = [
    "API_VERSION",
    "ActionArguments",
    "ActionContext",
    "ActionType",
    "Change",
    "Claim",
    "Context",
    "Copy",
    "Done",
    "Env",
    "Exec",
    "FetchContext",
    "Fetcher",
    "Hold",
    "Listed",
    "Mkdir",
    "Outcome",
    "Pack",
    "PackSkippedError",
    "PackType",
    "Planned",
    "PredicateContext",
    "PredicateType",
    "Registry",
    "Require",
    "Rmdir",
    "Symlink",
    "When",
]

_LATER = {
    "Copy": "actions",
    "Env": "actions",
    "Exec": "actions",
    "Mkdir": "actions",
    "Require": "actions",
    "Rmdir": "actions",
    "Symlink": "actions",
    "When": "actions",
}

if not TYPE_CHECKING:  # to a type checker, a room with it has every name there could be
    __getattr__ = imported_later(__name__, _LATER)
