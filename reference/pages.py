"""The generated parts of the pages in `docs/reference`, between markers; what stands around them is written by hand."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from grex.cli.described import Parameter, describe, every_verb
from grex.cli.signature import COMMON
from grex.progress.wire import EventLine
from grex.verbs.documents import DOCUMENTS
from reference.settings import SETTINGS, default_of, known_settings, may_say

__all__ = ["PARTS", "current", "write_pages"]

PAGES = Path(__file__).parents[1] / "docs" / "reference"
_BEGIN = "<!-- {name}: written by `make reference`, and not by hand -->"
_END = "<!-- end of {name} -->"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    return "\n".join([*lines, *(f"| {' | '.join(map(_cell, row))} |".replace("|  |", "| |") for row in rows)])


# -- cli.md -----------------------------------------------------------------------------------------------------------


def _options() -> str:
    """For each verb its arguments and its own options; those that verbs share have one table of their own."""
    root = describe()
    shared = {name for one in root.options for name in one.names if "--version" not in one.names}
    parts: list[str] = []
    for verb in every_verb(root):
        if verb.verbs:
            continue
        own = [one for one in (*verb.arguments, *verb.options) if shared.isdisjoint(one.names)]
        rows = [(_named(one), _meaning(one)) for one in own]
        also = [one.names[0] for one in verb.options if not shared.isdisjoint(one.names) and "--help" not in one.names]
        parts.append(f"`{verb.usage}`: {verb.summary}")
        if rows:
            parts.append(_table(("takes", "means"), rows))
        if also:
            has = "all shared options" if len(also) == len(COMMON) else ", ".join(f"`{name}`" for name in also)
            parts.append(f"And {has}.")
    return "\n\n".join(parts)


def _shared_options() -> str:
    rows = [(_named(one), _meaning(one)) for one in describe().options]
    return _table(("option", "means"), rows)


def _named(one: Parameter) -> str:
    names = ", ".join(f"`{name}`" for name in one.names)
    return f"{names} {one.metavar}".strip() if names else f"`{one.metavar}`"


def _meaning(one: Parameter) -> str:
    default = f" Default: {one.default}." if one.default else ""
    return f"{one.help}{default}"


# -- json.md ----------------------------------------------------------------------------------------------------------


def _documents() -> str:
    parts: list[str] = []
    objects: dict[str, Mapping[str, Any]] = {}
    for verb, document in DOCUMENTS.items():
        schema = TypeAdapter(document).json_schema()
        objects |= schema.get("$defs", {})
        parts.append(_object(schema["properties"].get("schema", {}).get("const", verb), schema))
    parts += [_object(name, schema) for name, schema in sorted(objects.items())]
    return "\n\n".join(parts)


def _events() -> str:
    schemas = TypeAdapter(EventLine).json_schema()["$defs"]
    lines = {schema["properties"]["event"]["const"]: schema for schema in schemas.values()}
    rows = [
        (
            f"`{event}`",
            ", ".join(
                f"`{key}` ({_type(value)})"
                for key, value in schema["properties"].items()
                if key not in ("event", "schema", "ts")
            ),
            schema.get("description", ""),
        )
        for event, schema in lines.items()
    ]
    return _table(("event", "keys besides `event`, `schema`, `ts`", "says"), rows)


def _object(name: str, schema: Mapping[str, Any]) -> str:
    rows = [(f"`{key}`", _type(value)) for key, value in schema["properties"].items()]
    about = " ".join(schema.get("description", "").split())
    return f"**{name}**: {about}\n\n{_table(('key', 'is'), rows)}"


def _type(schema: Mapping[str, Any]) -> str:
    """The type of a key in a few words."""
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "const" in schema:
        return f'`"{schema["const"]}"`'
    if "enum" in schema:
        return "one of " + ", ".join(f'`"{value}"`' for value in schema["enum"])
    if "anyOf" in schema:
        return " or ".join(_type(one) for one in schema["anyOf"])
    if schema.get("type") == "array":
        return f"list of {_type(schema['items'])}" if schema.get("items") else "list"
    return str(schema.get("type", "any"))


# -- config.md --------------------------------------------------------------------------------------------------------


def _settings() -> str:
    if set(known_settings()) != set(SETTINGS):
        different = set(known_settings()) ^ set(SETTINGS)
        raise ValueError(f"reference/settings.py and grex/workspace/config.py do not know the same: {different}")
    files = _table(
        ("file", "whose", "may say"),
        [
            ("`<workspace>/.grex/config.toml`", "the workspace's, committed", may_say(is_users=False)),
            (
                "the user's configuration directory, `grex/config.toml` (on Linux `~/.config/grex/config.toml`)",
                "this user's",
                may_say(is_users=True),
            ),
        ],
    )
    keys = _table(
        ("key", "means", "default"), [(f"`{name}`", about, default_of(name)) for name, (about, _) in SETTINGS.items()]
    )
    return f"{files}\n\n{keys}"


PARTS: dict[tuple[str, str], Callable[[], str]] = {
    ("cli.md", "shared options"): _shared_options,
    ("cli.md", "arguments and options"): _options,
    ("json.md", "events"): _events,
    ("json.md", "documents"): _documents,
    ("config.md", "settings"): _settings,
}
"""By page and name: what writes it."""


def current() -> dict[Path, str]:
    """The pages as they should be.

    Raises:
        ValueError: a page lacks the markers of a part.
    """
    pages: dict[Path, str] = {}
    for (page, name), write in PARTS.items():
        path = PAGES / page
        text = pages.get(path) or path.read_text("utf-8")
        begin, end = _BEGIN.format(name=name), _END.format(name=name)
        pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
        if len(pattern.findall(text)) != 1:
            raise ValueError(f"{path} has the markers of {name!r} not exactly once")
        part = f"{begin}\n\n{write()}\n\n{end}"
        pages[path] = pattern.sub(lambda _, part=part: part, text)  # type: ignore[misc]  # a text, and no pattern
    return pages


def write_pages() -> list[Path]:
    """Write the pages that are not current; gives them."""
    changed = [path for path, text in current().items() if path.read_text("utf-8") != text]
    for path, text in current().items():
        if path in changed:
            path.write_text(text, "utf-8")
    return changed
