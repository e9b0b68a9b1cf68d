"""The API for plugin authors: pack types, actions, and what they are given to work with.

API version 1. A plugin is a class and an entry point in the group `grex.pack_types` or `grex.actions`; the types that
ship with grex are registered the same way and get nothing that a third party's would not get.
"""

from grex.plugin.actions import ActionArguments, Exec, Mkdir, Require, Symlink, When
from grex.plugin.api import (
    API_VERSION,
    ActionContext,
    ActionType,
    Change,
    Context,
    Done,
    Hold,
    Outcome,
    Pack,
    PackSkippedError,
    PackType,
)
from grex.plugin.registry import Registry

__all__ = [
    "API_VERSION",
    "ActionArguments",
    "ActionContext",
    "ActionType",
    "Change",
    "Context",
    "Done",
    "Exec",
    "Hold",
    "Mkdir",
    "Outcome",
    "Pack",
    "PackSkippedError",
    "PackType",
    "Registry",
    "Require",
    "Symlink",
    "When",
]
