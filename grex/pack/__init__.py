"""pack.yaml as checked values: what a pack is, what it owns, and what installing it would do.

`read_pack_spec` is the way in. It gives a `PackSpec` in which nothing has to be checked again, or one error with
every problem of the file. Arguments of actions are decoded by `decode`, once the registry knows the action. Nothing
here runs, clones or changes anything, and nothing but `.grex/` of the pack is read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from grex.later import imported_later
from grex.pack.action_spec import Mode, decode, mode_bits, parse_actions
from grex.pack.local import Local, parse_local, read_local, read_local_all
from grex.pack.predicate import PredicateNode, Predicates, evaluate, parse_conditions, parse_predicate
from grex.pack.problems import Mark, Problem, Problems, raise_problems
from grex.pack.relations import read_overrides
from grex.pack.source import RefusedFileError, read_pack_file
from grex.pack.spec import (
    PLATFORMS,
    ActionEntry,
    ChildSpec,
    Defaults,
    Dependency,
    OverrideSpec,
    PackSpec,
    current_platform,
)
from grex.pack.target import merge_target
from grex.pack.validate import TypeCheck, parse_pack_spec, read_declared_paths, read_pack_spec
from grex.pack.variables import MissingVariableError, escape_variables, expand_variables, variable_names
from grex.pack.yaml_events import Entry, Node, PlainData, read_yaml

if TYPE_CHECKING:
    from grex.pack.hash import actions_hash

__all__ = [
    "PLATFORMS",
    "ActionEntry",
    "ChildSpec",
    "Defaults",
    "Dependency",
    "Entry",
    "Local",
    "Mark",
    "MissingVariableError",
    "Mode",
    "Node",
    "OverrideSpec",
    "PackSpec",
    "PlainData",
    "PredicateNode",
    "Predicates",
    "Problem",
    "Problems",
    "RefusedFileError",
    "TypeCheck",
    "actions_hash",
    "current_platform",
    "decode",
    "escape_variables",
    "evaluate",
    "expand_variables",
    "merge_target",
    "mode_bits",
    "parse_actions",
    "parse_conditions",
    "parse_local",
    "parse_pack_spec",
    "parse_predicate",
    "raise_problems",
    "read_declared_paths",
    "read_local",
    "read_local_all",
    "read_overrides",
    "read_pack_file",
    "read_pack_spec",
    "read_yaml",
    "variable_names",
]

_LATER = {"actions_hash": "hash"}  # it loads OpenSSL, and completion runs at each press of a key

if not TYPE_CHECKING:  # to a type checker, a room with it has every name there could be
    __getattr__ = imported_later(__name__, _LATER)
