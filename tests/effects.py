"""Which test shows the effect of what a pack.yaml can say; the table itself is `docs/reference/shown-by-tests.md`.

What there is to show is not listed anywhere: it is read from the code that decodes a pack.yaml. The table is written by
hand, because only a person knows which test shows what; `tests/test_effects.py` holds the two against each other.
"""

from __future__ import annotations

import ast
import dataclasses
import importlib
import re
import tomllib
from pathlib import Path
from typing import Any

import typer
from typer.main import get_command

from grex.cli import signature
from grex.cli.app import VERBS, app_with
from grex.pack import relations, validate
from grex.pack.predicate import COMBINERS
from grex.pack.target import ACTIONS_REPLACE

__all__ = ["COMMANDS", "PAGE", "find_test", "read_table", "what_a_call_can_say", "what_there_is"]

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "reference" / "shown-by-tests.md"
COMMANDS = ROOT / "docs" / "reference" / "commands-shown-by-tests.md"
_SHARED = set(signature._SHARED) - {"verb"}
_ROW = re.compile(r"^\| `([^`]+)` \| (.+?) \|$", re.MULTILINE)
_TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


def what_there_is() -> set[str]:
    """Every key of a pack.yaml, action, argument and predicate of this grex, by the name that it has in the table."""
    names = {f"pack.yaml: {key}" for key in (*validate._KEYS, "x-*")}
    for what, keys in (
        ("children", relations._CHILD_KEYS),
        ("defaults", relations._DEFAULTS_KEYS),
        ("overrides", relations._OVERRIDE_KEYS),
    ):
        names |= {f"{what}: {key}" for key in keys}
    names.add(f"target: {ACTIONS_REPLACE}")
    names |= {f"predicate: {name}" for name in (*_entry_points("grex.predicates"), *COMBINERS)}
    for name, implementation in _actions().items():
        names.add(f"action: {name}")
        names |= {f"{name}: {field.name}" for field in dataclasses.fields(implementation.arguments)}
    return names


def what_a_call_can_say() -> set[str]:
    """Every verb, argument and option of the command line, by the name that it has in its table.

    An option that the verbs share is declared once (`grex.cli.signature`), and stands there once: `grex --json`.
    """
    group = get_command(app_with(VERBS))
    names = {_longest(option) for option in group.params} | _commands("grex", group)
    return names | {f"grex {_flag_of(name)}" for name in _SHARED}


def _commands(above: str, group: Any) -> set[str]:
    names: set[str] = set()
    for verb, command in group.commands.items():
        called = f"{above} {verb}"
        names.add(called)
        if isinstance(command, typer.core.TyperGroup):
            names |= _commands(called, command)
        for option in command.params:
            if option.name not in _SHARED and option.name != "help":
                names.add(_longest(option, called))
    return names


def _flag_of(shared: str) -> str:
    return "--" + shared.replace("_", "-")


def _longest(option: Any, called: str = "grex") -> str:
    """An option by its long name, an argument by what stands for it in the help."""
    if option.param_type_name == "argument":
        shown = option.metavar or option.name.upper()
        return f"{called} {shown.strip('[].').split('|')[0]}"
    return f"{called} {max(option.opts, key=len)}"


def _actions() -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, place in _entry_points("grex.actions").items():
        module, _, attribute = place.partition(":")
        found[name] = getattr(importlib.import_module(module), attribute)
    return found


def _entry_points(group: str) -> dict[str, str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    return dict(project["entry-points"][group])


def read_table(page: Path) -> dict[str, list[tuple[str, str]]]:
    """The rows of a page: for each name, files and functions."""
    rows: dict[str, list[tuple[str, str]]] = {}
    for name, tests in _ROW.findall(page.read_text("utf-8")):
        if name in rows:
            raise ValueError(f"{page.name} has {name} twice")
        rows[name] = [(str(path), str(function)) for path, function in _TEST.findall(tests)]
    return rows


def find_test(path: str, function: str) -> str | None:
    """The source of a test with its decorators; None if there is no such test."""
    file = ROOT / path
    if not file.is_file():
        return None
    text = file.read_text("utf-8")
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == function:
            first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
            return "\n".join(text.splitlines()[first - 1 : node.end_lineno])
    return None
